"""Rules: which cell gives a firm away by itself, and how far from its value every reader must be kept.

The thresholds are data (`disclosure:` of the plan). A cell of a table is withheld when it comes from 1 to
``min_firms - 1`` firms (threshold), when its `n` largest firms hold more than the share `k` of it (dominance), when what
is left after the two largest is less than the share `p` of the largest (p %: the second largest could work out the
largest), or when it is one firm's own value by its nature: a minimum or maximum, a median or quantile of few firms.

The rules are those of the table "Sensitivity rules" in chapter 4 of the Handbook on Statistical Disclosure Control
(github.com/sdcTools/HandbookSDC), and protection is the distance of its table "Upper protection levels": for p %
``p·x1 - rest``, for dominance ``top_n / k - total``. A threshold alone asks for none there; here the share `p` of the
value is kept, and a count of firms needs a second possible value. The handbook would keep n, k and p secret; here they
stand in the plan, so that every attack assumes a reader who knows them. With ``min_firms: 1`` the plan says that its
values are public, and no rule applies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evalkit.errors import UsageError
from evalkit.present.cells import Contribution, Entry
from evalkit.present.tabulation import Tabulation

At = tuple[int, int]
_SAFETY = 0.10  # of a threshold cell's value, where the plan sets no p

_EXTREME = ("최소", "최솟값", "최소값", "최대", "최댓값", "최대값", "minimum", "maximum", "min", "max")
_INNER = ("중앙값", "중위값", "중위수", "median", "q1", "q2", "q3")
_QUANTILE = re.compile(
    r"^(?:제?\d+(?:\.\d+)?(?:사분위수|분위수|백분위수|백분위|분위)|(?:1st|2nd|3rd|\d+th)(?:percentile|quartile|decile)|p\d{1,2})$"
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Thresholds.

    Attributes
    ----------
    min_firms : smallest number of firms that a shown cell or point may come from
    dominance : (n, k): the n largest firms may hold at most the share k of a cell; None = not asked
    p_percent : the share p of the largest firm's value by which everyone must miss it; None = not asked
    order_firms : smallest number of firms whose median or quantile may be shown; minima and maxima never are
    """

    min_firms: int = 3
    dominance: tuple[int, float] | None = (2, 0.9)
    p_percent: float | None = 0.1
    order_firms: int = 10

    def __post_init__(self) -> None:
        if isinstance(self.min_firms, bool) or not isinstance(self.min_firms, int) or self.min_firms < 1:
            raise UsageError(
                f"최소 기업 수 {self.min_firms!r} 은(는) 1 이상의 정수가 아님", remedy="3 처럼 적을 것"
            )

    @property
    def apply(self) -> bool:
        """Whether firms stand behind the values at all."""
        return self.min_firms > 1

    @property
    def safety(self) -> float:
        """Share of a threshold cell's value by which everyone must miss it."""
        return _SAFETY if self.p_percent is None else self.p_percent


def strictest(several: Iterable[Rules]) -> Rules:
    """Rules that keep what every one of several keeps; the usual ones where there is none."""
    found = list(several)
    if not found:
        return Rules()
    pairs = [rules.dominance for rules in found if rules.dominance is not None]
    shares = [rules.p_percent for rules in found if rules.p_percent is not None]
    return Rules(
        max(rules.min_firms for rules in found),
        (max(n for n, _ in pairs), min(k for _, k in pairs)) if pairs else None,
        max(shares) if shares else None,
        max(rules.order_firms for rules in found),
    )


def listable(counts: Mapping[str, int], least: int) -> dict[str, int]:
    """Counts of firms that a sentence may list although their sum stands elsewhere: thin ones left out, with company.

    >>> listable({"a": 2, "b": 9, "c": 4}, 3)
    {'b': 9}
    """
    gone = {name for name, n in counts.items() if 0 < n < least}
    left = sorted((n, name) for name, n in counts.items() if n >= least)
    while gone and left and (len(gone) < 2 or all(0 < counts[name] < least for name in gone)):
        gone.add(left.pop(0)[1])
    return {name: n for name, n in counts.items() if name not in gone}


@dataclass(frozen=True, slots=True)
class Need:
    """Why a cell is withheld and how uncertain it must stay.

    ``up`` and ``down`` are distances from the value in the cell's own unit; ``limit`` is the rule's threshold in words
    for the checker.
    """

    rule: str
    limit: str
    up: float = 0.0
    down: float = 0.0


def sensitive(table: Tabulation, rules: Rules) -> dict[At, Need]:
    """Cells that may not be shown whatever stands beside them, with what their protection needs."""
    if not rules.apply:
        return {}
    found: dict[At, Need] = {}
    for r in range(len(table.rows)):
        for c in range(table.stub, len(table.columns)):
            if table.value(r, c) is not None:
                need = _threshold(table, (r, c), rules) or _magnitude(table, (r, c), rules)
                need = need or _order(table, (r, c), rules)
                if need is None and (r, c) in table.withheld:
                    need = Need("complementary", "protects a cell of another table")
                if need is not None:
                    found[r, c] = need
    return found


def kept_back(table: Tabulation) -> dict[At, Need]:
    """Cells that their page left empty for the sake of firms: a line of a flow, which no table rule can see."""
    return {
        at: Need("withheld", "protects a count of firms") for at in table.withheld if table.value(*at) is None
    }


def _threshold(table: Tabulation, at: At, rules: Rules) -> Need | None:
    count = table.firms(*at)
    if count is None or not 0 < count < rules.min_firms:
        return None
    limit = f"firms >= {rules.min_firms}"
    if is_count(table, at):
        return Need("threshold", limit)
    width = rules.safety * abs(number_of(table, at) or 0.0)
    return Need("threshold", limit, width, width)


def _magnitude(table: Tabulation, at: At, rules: Rules) -> Need | None:
    """Dominance and p %; the levels in the unit of the cell, which may be a mean or in another unit than the firms'."""
    made = table.contributions.get(at)
    if made is None or made.total <= 0 or not made.largest:
        return None
    value = number_of(table, at)
    scale = abs(value) / made.total if value else 1.0
    rule, limit, width = _concentrated(made, rules)
    return Need(rule, limit, scale * width, scale * width) if rule else None


def gives_away(firms: int | None, made: Contribution | None, rules: Rules) -> bool:
    """Whether a sum over firms that a sentence would tell must not be told: too few firms, or one or two hold it."""
    if not rules.apply:
        return False
    thin = firms is not None and 0 < firms < rules.min_firms
    return thin or (made is not None and made.total > 0 and bool(_concentrated(made, rules)[0]))


def _concentrated(made: Contribution, rules: Rules) -> tuple[str, str, float]:
    """Rule and threshold that the largest firms of a sum break, and its protection level; empty where they break none."""
    width, rule, limit = 0.0, "", ""
    if not made.largest:
        return rule, limit, width
    if rules.dominance is not None:
        n, k = rules.dominance
        top = math.fsum(made.largest[:n])
        if top > k * made.total:
            width, rule, limit = top / k - made.total, "dominance", f"largest {n} <= {k:g}"
    if rules.p_percent is not None:
        short = rules.p_percent * made.largest[0] - _rest(made)
        if short > 0:
            first = not rule
            width = max(width, short)
            rule = "p_percent" if first else rule
            limit = f"rest >= {rules.p_percent:g} of largest" if first else limit
    return rule, limit, width


def _rest(made: Contribution) -> float:
    return max(0.0, made.total - math.fsum(made.largest[:2]))


def _order(table: Tabulation, at: At, rules: Rules) -> Need | None:
    count = table.firms(*at)
    kind = order_statistic(table, at)
    if count is None or count == 0 or not kind:
        return None
    if kind in ("minimum", "maximum"):
        return Need("order_statistic", "minimum and maximum are one firm's value")
    if count < rules.order_firms:
        return Need("order_statistic", f"firms >= {rules.order_firms} for {kind}")
    return None


def order_statistic(table: Tabulation, at: At) -> str:
    """Which order statistic a cell holds: by its column's declaration, or by the label of its column or row."""
    declared = table.columns[at[1]].statistic
    if declared:
        return "" if declared == "total" else declared
    labels = [table.columns[at[1]].label, table.columns[at[1]].key]
    labels += [str(table.value(at[0], c) or "") for c in range(table.stub)]
    for label in labels:
        bare = re.sub(r"\(.*?\)|\[.*?\]|[\s.]", "", label).lower()
        if bare in _EXTREME:
            return "minimum" if bare.startswith(("최소", "최솟", "min")) else "maximum"
        if bare in _INNER or _QUANTILE.match(bare):
            return "median" if bare in _INNER[:4] else "quantile"
    return ""


def flagged(table: Tabulation, rules: Rules) -> dict[At, Need]:
    """Cells that may be shown but that the checker should look at: a whole group that shares, or lacks, an attribute;
    a median or quantile of enough firms; a magnitude whose largest contributions nobody has stated."""
    found: dict[At, Need] = {}
    if not rules.apply:
        return found
    for r in range(len(table.rows)):
        for c in range(table.stub, len(table.columns)):
            count, value = table.firms(r, c), number_of(table, (r, c))
            if not count or value is None:
                continue
            if _is_share(table, (r, c)) and value in (0.0, 1.0):
                found[r, c] = Need("group", "share is 0 or 1")
            elif order_statistic(table, (r, c)):
                found[r, c] = Need("order_statistic", f"firms >= {rules.order_firms}")
            elif table.columns[c].statistic == "total" and (r, c) not in table.contributions:
                found[r, c] = Need("contributions_unknown", "dominance and p % not checked")
    return found


def _is_share(table: Tabulation, at: At) -> bool:
    cell = table.rows[at[0]][at[1]]
    kind = cell.kind if isinstance(cell, Entry) else table.columns[at[1]].kind
    return kind == "percent"


def number_of(table: Tabulation, at: At) -> float | None:
    """The finite number in a cell; None for everything else."""
    value = table.value(*at)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def is_count(table: Tabulation, at: At) -> bool:
    """Whether the cell is the number of firms itself."""
    value, count = number_of(table, at), table.firms(*at)
    return count is not None and value == count
