"""Changed outcomes, made only under a name that says so; and the guard that keeps "percent" away from log(1 + y).

Where a treatment moves units between zero and something, the mean effect on log(1 + y), asinh(y) or any function that
is log-like for large y can be given any size by the choice of the unit of measure (Chen and Roth 2024, Quarterly
Journal of Economics 139, Proposition 1): the zeros stay and the others move by log of the factor. So

* such outcomes are made here, as ``log1p_<name>``, ``asinh_<name>``, ``calibrated_<name>_x<x>``,
* `is_log_like` knows them (and copies of them under another name), `refuse_percent` refuses to call them percent,
* `rescaled` shows how an estimate moves when the unit changes.

The calibrated outcome is m(y) = log(y / y_min) for y > 0 and −x at 0: x is the declared worth, in log points, of the
step from nothing to the smallest positive value. It does not depend on the unit; it depends on x, so show several.

Winsorisation takes its bound from the pooled values before the first adoption, so that the treatment cannot move it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DataError, DesignError, RefusalError, nearest
from evalkit.estimate import Estimate
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Kind = Literal["log1p", "asinh", "calibrated"]
PREFIXES = ("log1p_", "asinh_", "calibrated_")
LOOKS = 2_000  # cells compared when a copy under another name is looked for
UNITS = (1.0, 100.0, 1e6)


def log_like_name(name: str, kind: Kind, worth: float | None = None) -> str:
    """The only name under which a log-like outcome is made.

    >>> log_like_name("sales", "calibrated", 0.1)
    'calibrated_sales_x0.1'
    """
    if kind == "calibrated":
        return f"calibrated_{name}_x{0.0 if worth is None else worth:g}"
    return f"{kind}_{name}"


def with_log_like(
    panel: Panel, name: str, kind: Kind, *, worth: float | None = None, smallest: float | None = None
) -> Panel:
    """The panel with a log-like outcome under its own name (see `log_like_name`); never to be read as percent.

    Parameters
    ----------
    panel : `name` is not negative
    kind : "log1p" log(1 + y); "asinh" log(y + √(1 + y²)); "calibrated" log(y / smallest), and −worth at 0
    worth : log points between 0 and the smallest positive value, >= 0; for "calibrated" it must be declared
    smallest : y_min; None = the smallest positive value of the panel

    Raises
    ------
    DesignError : an unknown kind, or "calibrated" without `worth`
    DataError : negative or infinite values, or no positive one
    """
    if kind not in get_args(Kind):
        raise DesignError(f"변환 {kind!r} 을(를) 모름", remedy=nearest(kind, get_args(Kind)))
    if kind == "calibrated" and (worth is None or not 0 <= worth < np.inf):
        raise DesignError(
            f"0 에서 가장 작은 양수로 가는 변화의 값 worth={worth} 이(가) 정해지지 않음",
            where=(f"변수 {name}",),
            remedy="로그 단위로 0, 0.1, 1, 3 처럼 적고 여러 값으로 견줄 것",
        )
    values = _not_negative(panel, name)
    if kind == "log1p":
        made = np.log1p(values)
    elif kind == "asinh":
        made = np.arcsinh(values)
    else:
        positive = values > 0
        if smallest is None:
            if not positive.any():
                raise DataError(f"변수 {name} 에 양수가 없음", remedy="변수와 단위를 확인할 것")
            smallest = float(values[positive].min())
        if not 0 < smallest < np.inf:
            raise DesignError(f"가장 작은 양수 {smallest} 이(가) 양수가 아님", where=(f"변수 {name}",))
        with np.errstate(divide="ignore", invalid="ignore"):
            logged = np.log(values / smallest)
        made = np.where(positive, logged, np.where(np.isnan(values), np.nan, -float(worth or 0.0)))
    return panel.with_derived((name,), **{log_like_name(name, kind, worth): made})


def _not_negative(panel: Panel, name: str) -> Floats:
    values = panel.values(name)
    wrong = (values < 0) | np.isinf(values)
    if wrong.any():
        i, t = np.argwhere(wrong)[0]
        raise DataError(
            f"변수 {name} 의 값 {values[i, t]:g} 은(는) 로그형 변환을 할 수 없음 (같은 문제 {int(wrong.sum())}칸)",
            where=(f"단위 {panel.units[i]}", f"기간 {panel.periods[t]}"),
            remedy="음수나 무한대의 뜻을 확인해 고치거나 수준 그대로 추정할 것",
        )
    return values


def is_log_like(name: str, panel: Panel | None = None) -> bool:
    """Whether an outcome is log-like with zeros: by its name, or because it is log1p or asinh of another variable.

    Parameters
    ----------
    name : of a varying variable
    panel : where it stands; None = only the name is read

    Examples
    --------
    >>> is_log_like("asinh_sales"), is_log_like("sales")
    (True, False)
    """
    if name.lower().startswith(PREFIXES):
        return True
    if panel is None or name not in panel.varying:
        return False
    values = panel.values(name, across_breaks=True)
    seen = np.flatnonzero(~np.isnan(values.ravel()))
    if not len(seen):
        return False
    at = seen[:: max(1, len(seen) // LOOKS)]
    mine = values.ravel()[at]
    if not (mine != 0).any():
        return False
    for other, array in panel.varying.items():
        if other == name:
            continue
        theirs = array.ravel()[at]
        if np.isnan(theirs).any() or (theirs < 0).any() or np.array_equal(theirs, mine):
            continue
        for change in (np.log1p, np.arcsinh):
            if np.allclose(mine, change(theirs), rtol=1e-9, atol=1e-12):
                return True
    return False


def refuse_percent(outcome: str, panel: Panel | None = None) -> None:
    """Call before an effect is labelled percent.

    Raises
    ------
    RefusalError : the outcome is log-like, so its "percent" depends on the unit of measure
    """
    if is_log_like(outcome, panel):
        raise RefusalError(
            f"결과 변수 {outcome} 은(는) 0 이 있는 값을 로그처럼 바꾼 것이라 효과를 % 로 읽을 수 없음"
            " (측정 단위를 바꾸면 크기가 달라짐)",
            remedy="수준 효과를 비교 수준으로 나눈 값(포아송 회귀)이나 margin_effects 의 참여·규모 분해를 쓸 것",
        )


def winsorised(
    panel: Panel,
    name: str,
    *,
    percentile: float = 99.0,
    before: int | None = None,
    adoption: str = "adoption",
) -> tuple[Panel, float]:
    """The panel with ``winsor<percentile>_<name>``, values above the bound set to it; and the bound.

    Parameters
    ----------
    percentile : of the pooled values of all units in the periods before `before`
    before : None = the first adoption in the panel
    adoption : name of the fixed variable with the first treated period

    Raises
    ------
    DesignError : no period before the first adoption, or a percentile outside (50, 100)
    """
    if not 50 < percentile < 100:
        raise DesignError(f"백분위수 {percentile:g} 이(가) 50 과 100 사이가 아님", remedy="99 처럼 적을 것")
    if before is None:
        first = panel.constant(adoption).astype(np.float64)
        first = first[np.isfinite(first)]
        before = int(first.min()) if len(first) else int(panel.periods[-1]) + 1
    pool = panel.values(name)[:, panel.periods < before]
    pool = pool[~np.isnan(pool)]
    if not len(pool):
        raise DesignError(
            f"변수 {name} 에 {before} 이전의 관측값이 없어 상한을 정할 수 없음",
            remedy="지원 전의 자료를 더하거나 before 를 적을 것",
        )
    bound = float(np.percentile(pool, percentile))
    return panel.with_derived(
        (name,), **{f"winsor{percentile:g}_{name}": np.minimum(panel.values(name), bound)}
    ), bound


@dataclass(frozen=True, slots=True, eq=False)
class Rescaled:
    """One estimate under several units of measure.

    Attributes
    ----------
    outcome : the name estimated; factors : what the outcome was multiplied by before the change  # (F,)
    terms : labels of the estimate; values, std_errors : (F, k)
    """

    outcome: str
    factors: Floats
    terms: pd.MultiIndex
    values: Floats
    std_errors: Floats

    def moves(self) -> Floats:
        """Estimate under each unit less that under the first  # (F, k)"""
        return np.asarray(self.values - self.values[0])

    def sentence(self) -> str:
        """What happened to the first term."""
        told = ", ".join(
            f"×{factor:g} → {value:.4g}"
            for factor, value in zip(self.factors, self.values[:, 0], strict=True)
        )
        return f"{self.outcome} 의 '효과'는 측정 단위를 바꾸면 달라진다: {told}."


def rescaled(
    call: Callable[[Panel, str], Estimate],
    panel: Panel,
    name: str,
    kind: Kind,
    *,
    factors: Sequence[float] = UNITS,
    worth: float | None = None,
) -> Rescaled:
    """Estimate the same question on log1p, asinh or the calibrated outcome of factor × `name`, for each factor.

    Parameters
    ----------
    call : ``call(panel, outcome)`` estimates the effect on a variable of that name
    name : the outcome in its own unit, not negative

    Returns
    -------
    Rescaled; the calibrated outcome does not move, log1p and asinh do as soon as the extensive margin does
    """
    outcome = log_like_name(name, kind, worth)
    found = []
    for factor in factors:
        if not 0 < factor < np.inf:
            raise DesignError(f"단위의 배수 {factor:g} 이(가) 양수가 아님", remedy="100 처럼 적을 것")
        changed = panel.with_varying(**{name: panel.values(name) * factor})
        found.append(call(with_log_like(changed, name, kind, worth=worth), outcome))
    return Rescaled(
        outcome=outcome,
        factors=np.array(factors, dtype=np.float64),
        terms=found[0].terms,
        values=np.stack([estimate.values for estimate in found]),
        std_errors=np.stack([estimate.std_errors for estimate in found]),
    )
