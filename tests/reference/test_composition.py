"""Composition against effect: against a loop over units, their weights, and a jackknife by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evalkit.appraisal.composition import ALL, PARTS, PhaseUnits, join_thin_cells, split_difference
from evalkit.errors import DesignError

TIMES = (0, 1)
PERIODS = np.arange(5)
PLACES = np.array(["가", "나", "다", "라", "마"])
AS_THEY_ARE = {(name, size): (name, size) for name in ("가공", "기계") for size in ("1/2", "2/2")}


def side(phase: int, seed: int, names: np.ndarray, *, covariate: bool) -> PhaseUnits:
    """40 of 150 units treated in period 2 or 3; two industries by two sizes; some values missing, some not at risk."""
    rng = np.random.default_rng(seed)
    n = len(names)
    cohort = np.where(np.arange(n) % 4 == 0, rng.integers(2, 4, n), np.inf).astype(float)
    y = rng.normal(size=(n, 5)).cumsum(axis=1) + phase * (cohort[:, None] <= PERIODS)
    y[rng.random(y.shape) < 0.03] = np.nan
    x = [np.ones(n), rng.normal(size=n)] if covariate else [np.ones(n)]
    place = np.array([PLACES[int(name[1:]) % 5] for name in names])
    cells = [(("가공", "기계")[i % 3 == 0], f"{1 + (i // 5) % 2}/2") for i in range(n)]
    cells[7] = ()
    return PhaseUnits(
        phase, names, place, cells, y, rng.random(y.shape) > 0.02, PERIODS, cohort, np.column_stack(x)
    )


@pytest.fixture(params=[False, True], ids=["means", "adjusted"])
def sides(request: pytest.FixtureRequest) -> tuple[PhaseUnits, PhaseUnits]:
    names = np.array([f"u{i:03d}" for i in range(220)])
    return (
        side(1, 5, names[:150], covariate=request.param),
        side(3, 6, names[70:], covariate=request.param),
    )


def by_hand(s: PhaseUnits, weight: np.ndarray) -> tuple[dict, dict]:
    """Shares and effects by cell with unit weights, one unit at a time."""
    share: dict = {}
    effect: dict = {}
    cells = sorted({c for c in s.cells if c})
    counted = {}
    for i, cell in enumerate(s.cells):
        if cell and np.isfinite(s.cohort[i]):
            base = int(s.cohort[i]) - 1
            if np.isfinite(s.y[i, base]) and s.at_risk[i, base]:
                counted[i] = cell
    total = sum(weight[i] for i in counted)
    for cell in cells:
        share[cell] = sum(weight[i] for i, c in counted.items() if c == cell) / total
        by_event = []
        for e in TIMES:
            gain = mass = 0.0
            for g in (2, 3):
                if g + e > 4:
                    continue
                seen = [
                    i
                    for i, c in enumerate(s.cells)
                    if c == cell and np.isfinite(s.y[i, [g - 1, g + e]]).all() and s.at_risk[i, g - 1]
                ]
                zero = [i for i in seen if np.isinf(s.cohort[i]) and weight[i] > 0]
                one = [i for i in seen if s.cohort[i] == g and weight[i] > 0]
                if not one:
                    continue
                d = s.y[:, g + e] - s.y[:, g - 1]
                root = np.sqrt(weight[zero])
                slope = np.linalg.lstsq(s.x[zero] * root[:, None], d[zero] * root, rcond=None)[0]
                gain += sum(weight[i] * (d[i] - s.x[i] @ slope) for i in one)
                mass += sum(weight[i] for i in one)
            by_event.append(gain / mass)
        effect[cell] = float(np.mean(by_event))
    return share, effect


def parts(sides: tuple[PhaseUnits, PhaseUnits], weight: dict[str, float]) -> dict[str, float]:
    """Every part of the split, with weights by name of unit."""
    (w1, t1), (w3, t3) = (by_hand(s, np.array([weight.get(str(u), 1.0) for u in s.units])) for s in sides)
    out = {}
    for name, ((a1, a3), (b1, b3)) in PARTS.items():
        out[name] = sum((a1 * w1[k] + a3 * w3[k]) * (b1 * t1[k] + b3 * t3[k]) for k in w1)
    out["total"] = out["last"] - out["first"]
    return out


def values(found) -> dict[str, float]:  # type: ignore[no-untyped-def]
    labels = found.estimate.terms.get_level_values("part")
    return dict(zip(labels, found.estimate.values, strict=True))


def test_parts_against_a_loop_over_units(sides: tuple[PhaseUnits, PhaseUnits]) -> None:
    found = values(split_difference(*sides, horizon=TIMES, joined=AS_THEY_ARE))
    for name, value in parts(sides, {}).items():
        assert found[name] == pytest.approx(value, rel=1e-10, abs=1e-12), name


def test_parts_add_up(sides: tuple[PhaseUnits, PhaseUnits]) -> None:
    found = values(split_difference(*sides, horizon=TIMES, joined=AS_THEY_ARE))
    assert found["composition"] + found["effect"] == pytest.approx(found["total"], abs=1e-12)
    assert found["composition_first"] + found["effect_last"] == pytest.approx(found["total"], abs=1e-12)
    assert found["composition_last"] + found["effect_first"] == pytest.approx(found["total"], abs=1e-12)
    mean = (found["composition_first"] + found["composition_last"]) / 2
    assert found["composition"] == pytest.approx(mean, abs=1e-12)


def test_cells_add_up_to_the_parts(sides: tuple[PhaseUnits, PhaseUnits]) -> None:
    found = split_difference(*sides, horizon=TIMES, joined=AS_THEY_ARE)
    assert found.cells["composition"].sum() == pytest.approx(values(found)["composition"], abs=1e-12)
    assert found.cells["effect"].sum() == pytest.approx(values(found)["effect"], abs=1e-12)
    assert found.cells["share_first"].sum() == pytest.approx(1)


def test_replicates_are_estimates_without_a_place(sides: tuple[PhaseUnits, PhaseUnits]) -> None:
    found = split_difference(*sides, horizon=TIMES, joined=AS_THEY_ARE)
    labels = list(found.estimate.terms.get_level_values("part"))
    place = {str(u): p for s in sides for u, p in zip(s.units, s.cluster, strict=True)}
    for c, label in enumerate(found.estimate.cluster_labels):
        without = parts(sides, {u: 0.0 for u, p in place.items() if p == label})
        for name in ("total", "composition", "effect", "effect_first"):
            got = found.estimate.replicates[c, labels.index(name)]
            assert got == pytest.approx(without[name], rel=1e-9, abs=1e-11), (label, name)
    spread = [(found.estimate.replicates[c] - found.estimate.values) ** 2 for c in range(5)]
    np.testing.assert_allclose(np.diag(found.estimate.covariance), 4 / 5 * np.sum(spread, axis=0), rtol=1e-9)
    assert found.estimate.inference == "CV3"


def test_influence_is_the_derivative_by_the_weight_of_a_unit(sides: tuple[PhaseUnits, PhaseUnits]) -> None:
    """A unit of both phases, treated in one or neither: its influence (in sum form) is ∂part/∂weight."""
    found = split_difference(*sides, horizon=TIMES, joined=AS_THEY_ARE)
    labels = list(found.estimate.terms.get_level_values("part"))
    units = [str(u) for u in found.estimate.units]
    n, step = len(units), 1e-5
    for unit in ("u000", "u072", "u074", "u101", "u148", "u219"):
        up, down = (parts(sides, {unit: 1 + sign * step}) for sign in (1, -1))
        for name in ("composition", "effect", "effect_first", "first"):
            slope = (up[name] - down[name]) / (2 * step)
            got = found.estimate.influence[units.index(unit), labels.index(name)] / n
            assert got == pytest.approx(slope, rel=1e-5, abs=1e-9), (unit, name)


def test_within_holds_the_effects_of_the_cells(sides: tuple[PhaseUnits, PhaseUnits]) -> None:
    found = split_difference(*sides, horizon=TIMES, joined=AS_THEY_ARE)
    (_, t1), (_, t3) = (by_hand(s, np.ones(len(s.units))) for s in sides)
    gap = found.within.table().loc["difference"]
    for cell in t1:
        assert gap.loc[" · ".join(cell), "estimate"] == pytest.approx(t3[cell] - t1[cell], rel=1e-9)


# -- thin cells ------------------------------------------------------------------------------------


def test_thin_sizes_are_joined_first_then_industries() -> None:
    names = np.array([f"u{i:03d}" for i in range(150)])
    one, two = side(1, 5, names, covariate=False), side(3, 6, names, covariate=False)
    cells = list(two.cells)
    treated = [i for i in range(150) if np.isfinite(two.cohort[i]) and cells[i]]
    for i in treated:  # no treated unit of phase 3 in the larger size of 기계
        if cells[i] == ("기계", "2/2"):
            cells[i] = ("기계", "1/2")
    joined = join_thin_cells(one, replace(two, cells=cells), treated=3, clusters=2, comparison=5)
    assert joined["기계", "1/2"] == joined["기계", "2/2"] == ("기계", ALL)
    assert joined["가공", "1/2"] == ("가공", "1/2")
    for i in treated:  # and none at all in 기계
        if cells[i] and cells[i][0] == "기계":
            cells[i] = ("가공", "1/2")
    joined = join_thin_cells(one, replace(two, cells=cells), treated=3, clusters=2, comparison=5)
    assert joined["기계", "1/2"] == (ALL, ALL)
    found = split_difference(one, replace(two, cells=cells), horizon=TIMES)
    assert np.isfinite(found.estimate.values).all()
    assert ("기계", "1/2") in found.joined


def test_as_many_as_asked_are_enough() -> None:
    """Twelve units, six treated in three places: neither too few treated, nor places, nor comparison units."""
    names = np.array([f"u{i:03d}" for i in range(12)])
    cohort = np.where(np.arange(12) % 2 == 0, 2.0, np.inf)
    place = PLACES[np.arange(12) // 2 % 3]
    one = replace(
        side(1, 5, names, covariate=False), cohort=cohort, cluster=place, cells=[("가공", "1/1")] * 12
    )
    kept = join_thin_cells(one, one, treated=6, clusters=3, comparison=6)
    assert kept == {("가공", "1/1"): ("가공", "1/1")}
    for more in ({"treated": 7}, {"clusters": 4}, {"comparison": 7}):
        with pytest.raises(DesignError, match="구성과 효과를 나눌 수 없음"):
            join_thin_cells(one, one, **({"treated": 6, "clusters": 3, "comparison": 6} | more))


@pytest.mark.parametrize("thin", [0, 1])
def test_the_phase_in_fewer_places_decides_which_inference_leads(
    sides: tuple[PhaseUnits, PhaseUnits], thin: int
) -> None:
    """A phase that supported one place alone has no interval, however many places the other has."""
    alone = sides[thin]
    gone = np.isfinite(alone.cohort) & (alone.cluster != "가")
    keep = ~gone
    part = replace(
        alone,
        units=alone.units[keep],
        cluster=alone.cluster[keep],
        cells=[cell for cell, k in zip(alone.cells, keep, strict=True) if k],
        y=alone.y[keep],
        at_risk=alone.at_risk[keep],
        cohort=alone.cohort[keep],
        x=alone.x[keep],
    )
    pair = (part, sides[1]) if thin == 0 else (sides[0], part)
    one_cell = dict.fromkeys(AS_THEY_ARE, (ALL, ALL))
    found = split_difference(*pair, horizon=TIMES, joined=one_cell)
    assert "one_cluster_on_one_side" in found.reasons
    assert np.isnan(found.estimate.table(0.95)["conf_low"].to_numpy()).all()


def test_too_few_units_altogether_are_refused() -> None:
    names = np.array([f"u{i:03d}" for i in range(12)])
    one, two = side(1, 5, names, covariate=False), side(3, 6, names, covariate=False)
    with pytest.raises(DesignError, match="구성과 효과를 나눌 수 없음"):
        split_difference(one, two, horizon=TIMES)


def test_a_unit_in_two_places_is_refused(sides: tuple[PhaseUnits, PhaseUnits]) -> None:
    moved = sides[1].cluster.copy()
    moved[0] = "마" if moved[0] != "마" else "가"
    with pytest.raises(DesignError, match="단위 1개의 군집이 단계마다 다름"):
        split_difference(sides[0], replace(sides[1], cluster=moved), horizon=TIMES)
