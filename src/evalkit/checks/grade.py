"""Evidence grade on the Maryland Scientific Methods Scale, with the reason for every point lost.

The scale as used by the What Works Centre for Local Economic Growth: 1 no comparison or no before; 2 before–after or adjusted
cross-section; 3 difference-in-differences with a comparison group and evidence that it is comparable; 4 quasi-random
assignment; 5 randomised. The grade starts from the class of the design, loses one point a rule of `RULES` that a check
breaks, and is capped: support that was selected keeps a difference-in-differences at 3 whatever the checks say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evalkit.checks.check import Check
from evalkit.errors import UsageError

DesignClass = Literal[
    "description",
    "before_after",
    "difference_in_differences",
    "quasi_random",
    "randomised",
]
# points that the class of a design starts from
STARTS: Mapping[DesignClass, int] = {
    "description": 1,
    "before_after": 2,
    "difference_in_differences": 3,
    "quasi_random": 4,
    "randomised": 5,
}
# support given to those who were chosen: parallel trends is an assumption, not a fact of the assignment
SELECTED_CAP = 3


@dataclass(frozen=True, slots=True)
class Rule:
    """What costs a point: a verdict of a check, where `reasons` are given only with one of these reasons."""

    check: str
    verdicts: tuple[str, ...]
    code: str
    reasons: tuple[str, ...] = ()


# In the order in which they are told. Rules of one check cost one point together: the first that holds names it.
RULES: tuple[Rule, ...] = (
    Rule("pre_trends", ("unknown",), "no_pre_evidence"),
    Rule("pre_trends", ("fail",), "pre_trend_found"),
    Rule("pre_trends", ("warn",), "pre_trend_power_low"),
    Rule("overlap", ("fail",), "overlap_too_thin"),
    Rule("attrition", ("fail",), "differential_attrition"),
    Rule("few_clusters", ("fail",), "inference_not_valid"),
    Rule("spillovers", ("fail",), "comparison_contaminated"),
    Rule("sensitivity", ("fail",), "breakdown_below_half"),
    Rule("leave_one_out", ("fail",), "one_cluster_decides"),
)
# checks without which a full grade would rest on nothing looked at
EXPECTED = tuple(dict.fromkeys(rule.check for rule in RULES))


@dataclass(frozen=True, slots=True)
class Grade:
    """Points on the scale and why.

    Attributes
    ----------
    points : 1–5
    reasons : codes; the class or the cap first, then one code for each point lost
    lost : code -> name of the check that cost the point
    unchecked : checks of `RULES` that were not made or could not tell: nothing is lost for them, and nothing is shown
    """

    points: int
    reasons: tuple[str, ...]
    lost: Mapping[str, str]
    unchecked: tuple[str, ...]


def maryland(
    checks: Sequence[Check],
    *,
    design_class: DesignClass = "difference_in_differences",
    selected: bool = True,
) -> Grade:
    """Grade of a design with the given checks.

    Parameters
    ----------
    checks : findings, at most one of each name
    design_class : what the design is; a comparison without a clean period before is a "description"
    selected : whether support went to those who were chosen, or who asked for it, and not by lot or by a rule that
        draws a line between alike places

    Each kind of check costs one point at most; the floor is 1, which is also the grade of a description. A
    difference-in-differences whose trends before were not looked at loses that point: without them it shows nothing.

    Raises
    ------
    UsageError : the class does not exist
    """
    if design_class not in STARTS:
        raise UsageError(
            f"설계 종류 {design_class!r} 은(는) 없음", remedy=f"{', '.join(STARTS)} 가운데 하나를 적을 것"
        )
    if design_class == "description":
        return Grade(1, ("description_only",), {}, ())
    start = STARTS[design_class]
    ceiling = SELECTED_CAP if selected else start
    found = {check.name: check for check in checks}
    if design_class == "difference_in_differences":
        found.setdefault("pre_trends", Check("pre_trends", "unknown", "not_made"))
    lost: dict[str, str] = {}
    for rule in RULES:
        check = found.get(rule.check)
        if check is None or check.verdict not in rule.verdicts or rule.check in lost.values():
            continue
        if rule.reasons and check.reason not in rule.reasons:
            continue
        lost[rule.code] = rule.check
    capped = ("selected_support_cap",) if selected and start >= SELECTED_CAP else (f"starts_{design_class}",)
    silent = tuple(
        name
        for name in EXPECTED
        if name not in lost.values() and (name not in found or found[name].verdict == "unknown")
    )
    points = max(min(start, ceiling) - len(lost), 1)
    return Grade(points, (*capped, *lost), lost, silent)
