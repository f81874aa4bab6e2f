"""Triple differences: the 8 cells, the three doubly robust DiDs put together by hand, and diff_diff live.

No golden numbers exist for the R package triplediff. That the estimate without
covariates is the signed sum of 8 cell means is `test_eight_cells`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from evalkit.aggregate import event_study
from evalkit.design import Design
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.triple_differences import triple_difference_effects
from evalkit.panel import Panel

CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
POINTS, ERRORS = 1e-8, 1e-6


def places(seed: int, *, units: int = 400, periods: int = 6, cohorts: tuple[float, ...] = (3, 4, 5)) -> Panel:
    rng = np.random.default_rng(seed)
    adoption = rng.choice([*map(float, cohorts), np.inf], units)
    target = rng.integers(0, 2, units)
    x = rng.standard_normal(units) + 0.2 * target
    t = np.arange(1, periods + 1)
    y = rng.standard_normal((units, periods)).cumsum(axis=1) + 0.2 * x[:, None] * t
    y += 0.3 * np.isfinite(adoption)[:, None] * t + 0.2 * target[:, None] * t
    y += ((t >= adoption[:, None]) & (target[:, None] == 1)) * 1.0
    fixed = {
        "adoption": adoption,
        "target": target,
        "x": x,
        "w": rng.uniform(0.5, 2, units),
        "region": rng.integers(0, 12, units),
    }
    return Panel(np.arange(units), t, {"y": y}, fixed)


def weighted_mean(values: np.ndarray, weights: np.ndarray, at: np.ndarray) -> float:
    return float((values[at] * weights[at]).sum() / weights[at].sum())


@pytest.mark.parametrize("seed", range(4))
def test_eight_cells(seed: int) -> None:
    """Without covariates: [(treated, eligible) − (treated, other)] − [(comparison, ...)] of the mean changes."""
    panel = places(seed)
    est = triple_difference_effects(panel, Design("y", weight="w"), eligible="target", combination="separate")
    y, w = panel.values("y"), panel.fixed["w"]
    adoption, target = panel.fixed["adoption"], panel.fixed["target"] == 1
    for (g, t, other), value in zip(est.terms, est.values, strict=True):
        change = y[:, t - 1] - y[:, g - 2]
        c = np.inf if other == "never" else float(other)
        cells = [
            weighted_mean(change, w, (adoption == place) & (target == side))
            for place in (g, c)
            for side in (True, False)
        ]
        assert value == pytest.approx(cells[0] - cells[1] - (cells[2] - cells[3]), abs=1e-9)


def test_two_periods_are_the_regression_with_all_interactions() -> None:
    """Two periods, one cohort: the coefficient of place × target × post in the saturated regression."""
    panel = places(1, periods=2, cohorts=(2,))
    est = triple_difference_effects(panel, Design("y", base="varying"), eligible="target")
    y = panel.values("y")
    place = np.repeat(np.isfinite(panel.fixed["adoption"]), 2).astype(float)
    target, post = np.repeat(panel.fixed["target"], 2).astype(float), np.tile([0.0, 1.0], len(y))
    columns = [np.ones(len(post)), place, target, post, place * target, place * post, target * post]
    design = np.column_stack([*columns, place * target * post])
    coef = np.linalg.lstsq(design, y.ravel(), rcond=None)[0]
    assert est.values[0] == pytest.approx(coef[-1], abs=1e-9)


@pytest.mark.parametrize("method", ["dr_improved", "dr", "reg", "ipw", "ipw_ht"])
@pytest.mark.parametrize("base", ["universal", "varying"])
def test_three_did_by_hand(method: str, base: str) -> None:
    """Each pair of groups alone is a panel with one cohort: DiD(4, 3) + DiD(4, 2) − DiD(4, 1), influence included."""
    panel = places(8)
    options: dict[str, Any] = {"covariates": ("x",), "weight": "w", "cluster": "region", "base": base}
    est = triple_difference_effects(
        panel, Design("y", **options), eligible="target", combination="separate", method=method
    )
    adoption, target = panel.fixed["adoption"], panel.fixed["target"] == 1
    row = np.arange(len(panel.units))
    assert est.influence is not None
    for g, c in ((3.0, np.inf), (4.0, 5.0), (4.0, np.inf)):
        mine = (adoption == g) & target
        total: dict[int, np.ndarray] = {}
        sides = (
            (1, (adoption == g) & ~target),
            (1, (adoption == c) & target),
            (-1, (adoption == c) & ~target),
        )
        for sign, others in sides:
            part = panel.with_fixed(adoption=np.where(mine, g, np.inf), row=row).select(mine | others)
            did = group_time_effects(part, Design("y", **options), method=method)
            assert did.influence is not None
            for k, (_, t) in enumerate(did.terms):
                numbers = np.zeros(1 + len(row))
                numbers[0] = did.values[k]
                numbers[1 + part.fixed["row"]] = did.influence[:, k] * len(row) / len(part.units)
                total[t] = total.get(t, 0.0) + sign * numbers
        name = "never" if np.isinf(c) else f"{c:g}"
        asked = [(t, v) for t, v in total.items() if t < c and (int(g), t, name) in est.terms]
        assert len(asked) >= 3
        for t, numbers in asked:
            at = est.terms.get_loc((int(g), t, name))
            np.testing.assert_allclose(est.values[at], numbers[0], **CLOSE)
            np.testing.assert_allclose(est.influence[:, at], numbers[1:], **CLOSE)


def test_difference_of_two_did_is_another_number_with_covariates() -> None:
    """Each DiD averages over the covariates of its own treated units: the reference's warning."""
    panel = places(4, cohorts=(4,))
    design = Design("y", covariates=("x",), base="varying")
    est = triple_difference_effects(panel, design, eligible="target", method="reg")
    target = panel.fixed["target"] == 1
    two = [group_time_effects(panel.select(side), design, method="reg").values for side in (target, ~target)]
    assert np.abs(est.values - (two[0] - two[1])).max() > 1e-3
    plain = triple_difference_effects(panel, Design("y", base="varying"), eligible="target")
    two = [group_time_effects(panel.select(s), Design("y", base="varying")).values for s in (target, ~target)]
    np.testing.assert_allclose(plain.values, two[0] - two[1], **CLOSE)


def test_pooling_cohorts_not_yet_treated_is_another_number() -> None:
    """Pooled, the cohorts' shares differ between eligible and other units: another, biased comparison."""
    panel = places(5)
    adoption, target = panel.fixed["adoption"], panel.fixed["target"] == 1
    est = triple_difference_effects(panel, Design("y"), eligible="target", combination="separate")
    y = panel.values("y")
    change = y[:, 2] - y[:, 1]
    own = change[(adoption == 3) & target].mean() - change[(adoption == 3) & ~target].mean()
    pooled = own - (change[(adoption > 3) & target].mean() - change[(adoption > 3) & ~target].mean())
    separate = [v for (g, t, _), v in zip(est.terms, est.values, strict=True) if (g, t) == (3, 3)]
    assert len(separate) == 3
    shares = [
        np.mean(adoption[(adoption > 3) & side] == c) for c in (4, 5, np.inf) for side in (target, ~target)
    ]
    assert np.ptp(shares[:2]) > 0  # the shares do differ
    assert not np.isclose(np.mean(separate), pooled, atol=1e-3)


def test_combination_is_least_squares_in_the_influence() -> None:
    """w = Ω⁻¹1/(1'Ω⁻¹1), error 1/√(1'Ω⁻¹1), Ω summed by cluster."""
    panel = places(6)
    design = Design("y", cluster="region", covariates=("x",))
    separate = triple_difference_effects(panel, design, eligible="target", combination="separate")
    combined = triple_difference_effects(panel, design, eligible="target")
    for k, (g, t) in enumerate(combined.terms):
        at = [i for i, term in enumerate(separate.terms) if term[:2] == (g, t)]
        if t == g - 1:
            assert combined.values[k] == 0
            continue
        omega = separate.covariance[np.ix_(at, at)]
        w = np.linalg.solve(omega, np.ones(len(at)))
        assert combined.values[k] == pytest.approx(w @ separate.values[at] / w.sum(), abs=1e-9)
        assert combined.std_errors[k] == pytest.approx(1 / np.sqrt(w.sum()), rel=1e-9)


@pytest.mark.peer
@pytest.mark.parametrize("method", ["reg", "dr"])
@pytest.mark.parametrize("control", ["not_yet_treated", "never_treated"])
@pytest.mark.parametrize("covariates", [(), ("x",)])
def test_live_against_diff_diff(method: str, control: str, covariates: tuple[str, ...]) -> None:
    """Points all; errors where one cohort is compared, and elsewhere after a slip of the reference is undone.

    `tests/recovery/test_triple_differences_recovery.py` shows which of the two errors covers.
    """
    peer = pytest.importorskip("diff_diff")
    panel = places(9)
    frame = panel.to_long()
    theirs = peer.TripleDifference(
        estimation_method=method, control_group=control, base_period="universal", pscore_trim=0.001
    ).fit(
        frame,
        "y",
        unit="unit",
        time="period",
        first_treat="adoption",
        partition="target",
        covariates=list(covariates) or None,
    )
    combination = "gmm" if control == "not_yet_treated" else "never"
    est = triple_difference_effects(
        panel, Design("y", covariates=covariates), eligible="target", combination=combination, method=method
    )
    adoption, n = panel.fixed["adoption"], len(panel.units)
    compared = 0
    for (g, t), found in theirs.group_time_effects.items():
        if t == g - 1:
            continue
        at = est.terms.get_loc((int(g), int(t)))
        assert est.values[at] == pytest.approx(found["effect"], abs=POINTS)
        later = [c for c in (3, 4, 5) if c > max(t, g - 1) and c != g] if combination == "gmm" else []
        units = np.isin(adoption, [g, np.inf, *later]).sum()
        # with several comparison cohorts the reference scales influence to the units of the cell, but divides by all n
        ratio = n / units * np.sqrt((n - 1) / n) if later else 1.0
        assert est.std_errors[at] / found["se"] == pytest.approx(ratio, rel=ERRORS)
        compared += 1
    assert compared >= 12


def test_averages_weigh_the_eligible_units() -> None:
    panel = places(2)
    est = triple_difference_effects(panel, Design("y"), eligible="target", combination="never")
    average = event_study(est)
    at = average.terms.get_loc((1,))
    adoption, target = panel.fixed["adoption"], panel.fixed["target"] == 1
    sizes = np.array([(target & (adoption == g)).sum() for g in (3, 4, 5)])
    values = np.array([est.values[est.terms.get_loc((g, g + 1))] for g in (3, 4, 5)])
    assert average.values[at] == pytest.approx(sizes @ values / sizes.sum())
