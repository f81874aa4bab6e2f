"""Two treatments in a row: each estimand is group-time effects on a sub-panel, and two dummies go wrong.

There is no golden file: R has no function for these comparisons. What is fixed here is which units stand against
which, by an estimator that is itself held against R (tests/reference/test_group_time.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from paths_panel import lasting_first_treatment, two_treatments

from evalkit.aggregate import event_study, overall
from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators.group_time import group_time_effects
from evalkit.estimators.phase_paths import equal_time_gap, naive_phase_regression, phase_path_effects
from evalkit.panel import Panel

CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}
METHODS = ("dr_improved", "dr", "reg", "ipw", "ipw_ht")


def sub_panel(panel: Panel, units: np.ndarray, clock: np.ndarray, periods: Any = None) -> Panel:
    part = panel.with_fixed(adoption=clock, row=np.arange(len(panel.units), dtype=float))
    return part.select(units, periods)


def cells_of(est: Estimate, estimand: str, other: str) -> tuple[np.ndarray, list[tuple[int, int]]]:
    at = [i for i, term in enumerate(est.terms) if term[0] == estimand and term[2] == other]
    return np.array(at), [(est.terms[i][1], est.terms[i][3]) for i in at]


def assert_cells(est: Estimate, estimand: str, other: str, part: Panel, theirs: Estimate) -> None:
    """The cells of an estimand are all the cells of group-time effects on the part: points, influence, replicates."""
    at, labels = cells_of(est, estimand, other)
    where = [theirs.terms.get_loc(label) for label in labels]
    assert sorted(where) == list(range(len(theirs)))
    np.testing.assert_allclose(est.values[at], theirs.values[where], **CLOSE)
    assert est.influence is not None
    assert theirs.influence is not None
    rows = part.fixed["row"].astype(int)
    scale = est.n_units / theirs.n_units
    np.testing.assert_allclose(est.influence[np.ix_(rows, at)], theirs.influence[:, where] * scale, **CLOSE)
    others = np.setdiff1d(np.arange(est.n_units), rows)
    assert not est.influence[np.ix_(others, at)].any()
    np.testing.assert_allclose(est.replicates[:, at], theirs.replicates[:, where], **CLOSE)


@pytest.mark.parametrize("comparison", ["never", "not_yet"])
@pytest.mark.parametrize("base", ["universal", "varying"])
@pytest.mark.parametrize("method", METHODS)
def test_each_estimand_is_group_time_effects_of_its_units(comparison: str, base: str, method: str) -> None:
    panel = two_treatments(3)
    options: dict[str, Any] = {"covariates": ("x",), "weight": "w", "cluster": "cluster", "base": base}
    design = Design("y", comparison=comparison, **options)
    est = phase_path_effects(panel, design, second="later", level="cell", method=method)
    first, second = panel.fixed["adoption"], panel.fixed["later"]
    none1, none2, everybody = np.isinf(first), np.isinf(second), np.ones(len(first), dtype=bool)

    def same(estimand: str, other: str, part: Panel, question: Design) -> None:
        assert_cells(est, estimand, other, part, group_time_effects(part, question, method=method))

    # E1: periods before anybody's second treatment (6); never = never in the first
    same("E1", "any", sub_panel(panel, everybody, first, range(1, 6)), design)
    strict = Design("y", comparison="never", **options)
    same("E1_persist", "never", sub_panel(panel, none2, first), strict)
    same("E3_new", "never", sub_panel(panel, none1, second), design)
    for f in (3.0, 4.0):
        same("E3_add", f"{f:g}", sub_panel(panel, first == f, second), design)
    for g in (6.0, 7.0):
        same("E_cum", f"{g:g}", sub_panel(panel, (second == g) & ~none1 | none1 & none2, first), strict)


@pytest.mark.parametrize("ahead", [0, 1])
def test_averages_are_those_of_group_time_effects(ahead: int) -> None:
    panel = two_treatments(11)
    design = Design("y", cluster="cluster", weight="w", anticipation=ahead)
    none1 = np.isinf(panel.fixed["adoption"])
    theirs = group_time_effects(sub_panel(panel, none1, panel.fixed["later"]), design)
    for level, average in (("event_time", event_study(theirs)), ("overall", overall(theirs))):
        est = phase_path_effects(panel, design, second="later", estimands=("E3_new",), level=level)  # type: ignore[arg-type]
        if level == "event_time":
            assert [e for _, e in est.terms] == [e for (e,) in average.terms]
        np.testing.assert_allclose(est.values, average.values, **CLOSE)
        np.testing.assert_allclose(est.std_errors, average.std_errors, **CLOSE)
        np.testing.assert_allclose(est.replicates, average.replicates, **CLOSE)


def test_tiers_are_parts_of_the_second_treatment() -> None:
    """One tier after the other, with the comparison units of all."""
    panel = two_treatments(5)
    design = Design("y", cluster="cluster", comparison="never")
    est = phase_path_effects(panel, design, second="later", level="cell", tier="tier")
    first, second, tier = (panel.fixed[name] for name in ("adoption", "later", "tier"))
    for k in (1, 2):
        for f in (3.0, 4.0):
            units = (first == f) & (np.isinf(second) | (tier == k))
            theirs = group_time_effects(sub_panel(panel, units, second), design)
            for label, value in zip(theirs.terms, theirs.values, strict=True):
                at = est.terms.get_loc(("E3_add", str(k), label[0], f"{f:g}", label[1]))
                assert est.values[at] == pytest.approx(value, abs=1e-9)


# -- what two dummies make of a lasting effect -----------------------------------------------------------


def test_two_dummies_turn_a_lasting_effect_around() -> None:
    """True mean of phase 1 +0.40: two dummies say −0.155, the path estimands say 0.2, 0.4, 0.6."""
    panel = lasting_first_treatment()
    naive = naive_phase_regression(panel, Design("y"), second="later", first_until=2020, for_contrast=True)
    np.testing.assert_allclose(naive.values, [-0.155, 0.35], atol=5e-4)
    est = phase_path_effects(panel, Design("y"), second="later")
    found = dict(zip(est.terms, est.values, strict=True))
    np.testing.assert_allclose([found["E1", e] for e in range(5)], [0.2, 0.4, 0.6, 0.8, 1.0], atol=1e-12)
    np.testing.assert_allclose([found["E1_persist", e] for e in range(8)], 0.2 * np.arange(1, 9), atol=1e-12)
    np.testing.assert_allclose([found["E3_new", e] for e in range(3)], 0.5, atol=1e-12)
    np.testing.assert_allclose([found["E3_add", e] for e in range(3)], 0.2, atol=1e-12)
    np.testing.assert_allclose([found["E_cum", e] for e in (4, 5, 7)], [1.0, 1.4, 1.8], atol=1e-12)
    mean = phase_path_effects(
        panel, Design("y"), second="later", estimands=("E1",), level="overall", horizon=2
    )
    assert mean.values[0] == pytest.approx(0.4)
    gap = est.combine(*equal_time_gap(est))
    np.testing.assert_allclose(gap.values, [0.3, 0.1, -0.1], atol=1e-12)


def test_two_dummies_by_hand() -> None:
    """The regression is least squares on unit and period dummies."""
    panel = two_treatments(2, units=54)
    est = naive_phase_regression(
        panel, Design("y", cluster="cluster"), second="later", first_until=5, for_contrast=True
    )
    y, t = panel.values("y"), panel.periods
    n, periods = y.shape
    first, second = panel.fixed["adoption"][:, None], panel.fixed["later"][:, None]
    columns = [((t >= first) & (t <= 5)).ravel(), (t >= second).ravel()]
    columns += [np.repeat(np.arange(n) == i, periods) for i in range(n)]
    columns += [np.tile(np.arange(periods) == s, n) for s in range(1, periods)]
    by_hand = np.linalg.lstsq(np.column_stack(columns).astype(float), y.ravel(), rcond=None)[0]
    np.testing.assert_allclose(est.values, by_hand[:2], **CLOSE)


@pytest.mark.peer
@pytest.mark.parametrize("seed", [1, 2])
def test_two_dummies_live_against_pyfixest(seed: int) -> None:
    peer = pytest.importorskip("pyfixest")
    panel = two_treatments(seed)
    est = naive_phase_regression(
        panel, Design("y", cluster="cluster"), second="later", acknowledge="zero_persistence"
    )
    frame: pd.DataFrame = panel.to_long()
    frame["d1"] = (frame["period"] >= frame["adoption"]).astype(float)
    frame["d2"] = (frame["period"] >= frame["later"]).astype(float)
    fit = peer.feols("y ~ d1 + d2 | unit + period", frame, vcov={"CRV1": "cluster"})
    np.testing.assert_allclose(est.values, fit.coef().to_numpy(), rtol=1e-8)
    np.testing.assert_allclose(est.std_errors, fit.se().to_numpy(), rtol=1e-6)
