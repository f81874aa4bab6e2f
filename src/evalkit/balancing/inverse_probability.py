"""Inverse probability weights for the effect on the treated, from a logit or a calibrated propensity.

A comparison unit weighs p/(1 − p), normalised to the treated total (Hájek): Hirano, Imbens & Ridder (2003), Efficient
estimation of average treatment effects using the estimated propensity score, Econometrica 71. ``calibrated`` fits the
propensity so that the weighted comparison means are exactly those of the treated (Graham, Pinto & Egel 2012; Sant'Anna
& Zhao 2020, section 3): these are the weights of `evalkit.balancing.entropy_balancing`.

Checked in tests/reference/test_balancing.py: the logit against statsmodels (``Logit``), the weighted difference in
differences against R DRDID 1.2.3 (``ipwdid(normalized = TRUE)``) on the NSW–CPS data.

Where it differs from DRDID: units trimmed are listed, treated ones too (a treated unit with a propensity of 1 has no
comparison), and a separated sample is an error that names the covariate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.propensity import Propensity, Sample, fit_propensity, inverse_logit, odds
from evalkit.balancing.result import Balancing
from evalkit.balancing.sides import (
    Covariate,
    Sides,
    Told,
    balancing_of,
    independent,
    read_sides,
    standardised,
    with_powers,
)
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
TRIM = (0.0, 0.995)
# ridge of the fit that is only used to name what separates the two groups
RIDGE = 1e-4

CARDS = (
    MethodCard(
        function="inverse_probability",
        name="성향점수 역확률 가중",
        english="inverse probability weighting (ATT)",
        group="before",
        question="지원받을 확률이 비슷한 비교 단위에 무게를 더 주면 두 집단의 특성이 비슷해지는가?",
        assumptions=(
            "기준 시점의 공변량이 같으면 지원이 없었을 때의 추세가 같았다(조건부 평행추세).",
            "지원받을 확률의 모형(로짓)이 맞다.",
            "지원받을 확률이 1에 가까운 단위가 없다(공통 영역).",
        ),
        returns="Balancing: 가중치, 성향점수, 유효 표본 크기, 잘려 나간 단위; apply 로 패널에 붙여 Design.weight 에 쓴다",
        reference="Hirano, Imbens & Ridder (2003); Sant'Anna & Zhao (2020)",
        oracle=("statsmodels Logit, R DRDID 1.2.3: tests/reference/test_balancing.py",),
        differs="잘린 단위는 지원받은 단위까지 이름을 남긴다.",
        refuses="지원 뒤에 측정한 공변량, 공변량이 두 집단을 완전히 가르는 자료: entropy_balancing 이나 matching 을 쓴다.",
    ),
)


def inverse_probability(
    panel: Panel,
    design: Design,
    covariates: Sequence[Covariate] | None = None,
    *,
    moments: int = 1,
    calibrated: bool = False,
    trim: tuple[float, float] = TRIM,
) -> Balancing:
    """Propensity weights of the comparison units.

    Parameters
    ----------
    panel : outcomes after adoption are not read
    design : adoption (treated = ever), anticipation, weight (base weights), at_risk
    covariates : names of variables (varying: in the base period) or (name, earlier period); None = design.covariates
    moments : 1 = the columns as they are, 2 and 3 add powers
    calibrated : fit the propensity for exact balance in place of likelihood
    trim : units with a propensity below the first or from the second on leave, on both sides

    Returns
    -------
    Balancing ("inverse_probability"); ``detail``: coefficients (intercept first, in the units of the columns),
    columns, calibrated, trim

    Raises
    ------
    DesignError : the covariates separate the groups, nothing is left after trimming
    RefusalError : a covariate measured at or after adoption
    UsageError : limits that are not 0 <= low < high <= 1

    Examples
    --------
    >>> panel = Panel(np.arange(6), np.array([1]), {"y": np.zeros((6, 1))},
    ...               {"adoption": np.array([2, 2, 2, np.inf, np.inf, np.inf]), "big": np.array([1, 1, 0, 1, 0, 0.0])})
    >>> inverse_probability(panel, Design("y"), ("big",)).weights.round(6)
    array([1. , 1. , 1. , 2. , 0.5, 0.5])
    """
    low, high = trim
    if not 0 <= low < high <= 1:
        raise UsageError(
            f"성향점수를 자를 범위 {trim!r} 을(를) 쓸 수 없음",
            remedy="(0.0, 0.995) 처럼 0 ≤ 아래 < 위 ≤ 1 로 적을 것",
        )
    sides = read_sides(panel, design, covariates)
    x, names, origin = with_powers(sides, moments)
    z, mean, spread = standardised(x, sides)
    used = sides.treated | sides.comparison
    columns, redundant = independent(z[used], np.flatnonzero(spread > 0))
    notes = ["constant_column"] * bool((spread == 0).any()) + ["redundant_column"] * redundant
    fitted = _fit(z[:, columns], sides, calibrated)
    if fitted is None:
        _separated(z[:, columns], sides, [origin[j] for j in columns])
    assert fitted is not None
    index = fitted.coef @ np.vstack([np.ones(len(z)), z[:, columns].T])
    ratio = odds(index)
    propensity = np.where(used, ratio / (1 + ratio) if calibrated else inverse_logit(index), np.nan)
    weights, dropped = _weights(panel, sides, ratio, propensity, trim)
    notes += ["trimmed"] * any(reason.startswith("propensity") for reason in dropped)
    detail = {
        "coefficients": _own_units(fitted, mean[columns], spread[columns]),
        "columns": [names[j] for j in columns],
        "calibrated": calibrated,
        "trim": list(trim),
        "moments": moments,
    }
    told = Told("inverse_probability", {**sides.dropped, **dropped}, notes, detail, propensity)
    return balancing_of(told, panel, sides, weights, z, spread)


def _weights(
    panel: Panel, sides: Sides, ratio: Floats, propensity: Floats, trim: tuple[float, float]
) -> tuple[Floats, dict[str, tuple[str, ...]]]:
    """Odds weights normalised to the treated total, and who was trimmed."""
    used = sides.treated | sides.comparison
    low, high = trim
    with np.errstate(invalid="ignore"):
        out = {"propensity_low": used & (propensity < low), "propensity_high": used & (propensity >= high)}
    weights = np.where(sides.treated, sides.base, np.where(sides.comparison, sides.base * ratio, 0.0))
    for who in out.values():
        weights[who] = 0.0
    totals = [float(weights[side].sum()) for side in (sides.treated, sides.comparison)]
    if min(totals) <= 0:
        raise DesignError(
            f"성향점수 {low:g}–{high:g} 밖의 단위를 빼면 한쪽에 단위가 남지 않음",
            remedy="trim 의 범위를 넓히거나, 공변량을 줄이거나, 비교집단을 넓힐 것",
        )
    weights[sides.comparison] *= totals[0] / totals[1]
    return weights, {
        reason: tuple(str(unit) for unit in panel.units[who]) for reason, who in out.items() if who.any()
    }


def _sample(z: Floats, who: NDArray[np.bool_], base: Floats) -> Sample:
    rows = np.vstack([np.ones(int(who.sum())), z[who].T])
    return Sample(rows, base[who], np.zeros(int(who.sum()), dtype=np.int64))


def _fit(z: Floats, sides: Sides, calibrated: bool) -> Propensity | None:
    base = sides.base / sides.base[sides.treated | sides.comparison].mean()
    found = fit_propensity(
        "calibration" if calibrated else "logit",
        [_sample(z, sides.treated, base)],
        [_sample(z, sides.comparison, base)],
    )
    # a linear index that has run away is a separation that Newton's method took for a solution
    if found is not None and np.abs(found.coef @ np.vstack([np.ones(len(z)), z.T])).max() > 500:
        return None
    return found


def _separated(z: Floats, sides: Sides, origin: list[str]) -> None:
    """Name the covariate that separates the groups alone, else the one with the largest ridge coefficient."""
    guilty = ""
    for j, name in enumerate(origin):
        one, other = z[sides.treated, j], z[sides.comparison, j]
        if one.min() >= other.max() or one.max() <= other.min():
            guilty = name
            break
    if not guilty:
        used = sides.treated | sides.comparison
        rows, d = np.column_stack([np.ones(int(used.sum())), z[used]]), sides.treated[used].astype(float)
        penalty = np.diag([0.0, *[RIDGE * len(d)] * z.shape[1]])
        coef = np.zeros(rows.shape[1])
        for _ in range(50):
            p = inverse_logit(rows @ coef)
            hessian = (rows * (p * (1 - p))[:, None]).T @ rows + penalty + 1e-10 * np.eye(len(coef))
            coef = coef - np.linalg.solve(hessian, rows.T @ (p - d) + penalty @ coef)
        guilty = origin[int(np.abs(coef[1:]).argmax())]
    raise DesignError(
        f"공변량 {guilty} 이(가) 지원받은 단위와 비교 단위를 완전히 갈라 성향점수를 추정할 수 없음",
        where=(f"지원 {int(sides.treated.sum())}개", f"비교 {int(sides.comparison.sum())}개"),
        remedy=f"공변량 {guilty} 을(를) 빼거나 묶고, 두 집단이 겹치는 단위만 남기거나(matching), 비교집단을 넓힐 것",
    )


def _own_units(fitted: Propensity, mean: Floats, spread: Floats) -> Floats:
    """Coefficients of the columns as they were given, the intercept first."""
    slopes = fitted.coef[1:] / spread
    return np.concatenate([[fitted.coef[0] - slopes @ mean], slopes])
