"""Evidence grade on the Maryland Scientific Methods Scale, with the reason for every point lost.

The scale as used by the What Works Centre for Local Economic Growth: 1 no comparison or no before; 2 before–after or adjusted
cross-section; 3 difference-in-differences with a comparison group and evidence that it is comparable; 4 quasi-random
assignment; 5 randomised. A difference-in-differences on selected support is capped at 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalkit.checks.check import Check


@dataclass(frozen=True, slots=True)
class Grade:
    """Points on the scale and the codes of the reasons."""

    points: int
    reasons: tuple[str, ...]


# One row a rule: (check name, verdict or reason that costs a point, code of the reason). A verdict "unknown" of the
# pre-trend check means that comparability cannot be shown, which is what separates 3 from 2.
RULES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("pre_trends", ("unknown",), "no_pre_evidence"),
    ("pre_trends", ("fail",), "pre_trend_found"),
    ("pre_trends", ("warn",), "pre_trend_power_low"),
    ("few_clusters", ("fail",), "inference_not_valid"),
    ("leave_one_out", ("fail",), "one_cluster_decides"),
)


def maryland(checks: Sequence[Check], *, description: bool = False) -> Grade:
    """Grade of a difference-in-differences with the given checks.

    Each kind of check costs one point at most; the floor is 1, which is also the grade of a descriptive comparison
    without a clean period before adoption.
    """
    if description:
        return Grade(1, ("description_only",))
    found = {check.name: check for check in checks}
    reasons: list[str] = []
    lost: set[str] = set()
    for name, verdicts, code in RULES:
        check = found.get(name)
        if check is not None and check.verdict in verdicts and name not in lost:
            lost.add(name)
            reasons.append(code)
    points = max(3 - len(lost), 1)
    return Grade(points, ("selected_support_cap", *reasons))
