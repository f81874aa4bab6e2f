"""The truths of the simulated world against what happens in it when one cause alone is taken away."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from evalkit import programmes, simulate
from evalkit.errors import UsageError
from evalkit.simulate import World
from evalkit.simulate.composition import STAFF
from evalkit.simulate.parameters import FIRST_YEAR
from evalkit.simulate.truth_firms import (
    ALL,
    composition_split,
    effect,
    means,
    over_time,
    path_effect,
    path_rows,
    percent,
    share,
    tier_contrast,
    tier_effect,
)
from evalkit.simulate.truth_places import (
    borders,
    cost_per_job,
    national_cost,
    net,
    net_per_firm,
    outflow,
    rings,
    spillover,
)

SEEDS = range(12)


@cache
def drawn(seed: int, firms: int = 1500, **changes: float) -> World:
    return simulate.world(seed, firms=firms, **changes)


@pytest.fixture(scope="module")
def world() -> World:
    return simulate.world(11, firms=4000)


def centred(gaps: list[float]) -> bool:
    """Whether a mean of zero lies within four of its errors."""
    return abs(np.mean(gaps)) < 4 * np.std(gaps, ddof=1) / np.sqrt(len(gaps))


def test_effects_are_those_of_the_first_truth(world: World) -> None:
    for outcome in ("jobs", "sales", "survival"):
        for phase in (1, 2, 3):
            assert effect(world, outcome, phase) == pytest.approx(world.truth.att(outcome, phase), abs=1e-12)
            assert effect(world, outcome, phase, balanced=True) == pytest.approx(
                world.truth.att_balanced(outcome, phase), abs=1e-12
            )
    path = [path_effect(world, "sales", name) for name in ("E1", "E3_new")]
    assert path == pytest.approx([effect(world, "sales", phase) for phase in (1, 3)])


@pytest.mark.parametrize("outcome", [*STAFF, "selling"])
def test_what_is_expected_is_the_mean_of_what_happens(outcome: str) -> None:
    gaps = []
    for seed in SEEDS:
        w = drawn(seed)
        if outcome == "selling":
            real, without = (np.nan_to_num(values) > 0 for values in (w.sales, w.sales_untreated))
        else:
            real, without = (
                np.nan_to_num(part[outcome]) for part in (w.composition.treated, w.composition.untreated)
            )
        happened = over_time(real.astype(float) - without, w.support.phase == 1, w.support.cohort, 2)
        gaps.append(happened - effect(w, outcome, 1))
    assert centred(gaps)
    assert np.std(gaps) > 0


def test_staff_moves_as_persons_do(world: World) -> None:
    """Hires less separations are the change of the staff, with and without the programme, in mean and in fact."""
    for which, jobs in enumerate((world.jobs, world.jobs_untreated)):
        counts = (world.composition.treated, world.composition.untreated)[which]
        net_change = np.nan_to_num(counts["hires"] - counts["separations"])[:, 1:]
        np.testing.assert_array_equal(net_change, np.diff(np.nan_to_num(jobs), axis=1))
        expected = [means(world, name)[which] for name in ("hires", "separations", "jobs")]
        np.testing.assert_allclose(
            (expected[0] - expected[1])[:, 1:], np.diff(expected[2], axis=1), atol=1e-9
        )
    assert 0.2 < np.nansum(world.composition.treated["hires"]) / np.nansum(world.jobs) < 0.4


def test_what_repeated_support_adds() -> None:
    """The same world without the effect of repeated support differs by E3_add, and in nothing else."""
    gaps = []
    for seed in SEEDS:
        w, plain = drawn(seed), drawn(seed, repeat_effect=0.0)
        rows = path_rows(w, "E3_add")
        assert (rows == path_rows(plain, "E3_add")).all()
        start = np.where(rows, w.support.repeat_phase3.astype(float), np.inf)
        happened = over_time(np.nan_to_num(w.jobs) - np.nan_to_num(plain.jobs), rows, start, 2)
        gaps.append(happened - path_effect(w, "jobs", "E3_add"))
        assert path_effect(w, "survival", "E3_add") == 0
        assert path_effect(plain, "jobs", "E3_add") == 0
    assert centred(gaps)


def test_a_cumulated_path_is_given_survival() -> None:
    """Of the firms that lived to be supported again the first effect on jobs is higher than of all: nobody of them closed."""
    gaps = []
    for seed in SEEDS:
        w = drawn(seed)
        rows = path_rows(w, "E_cum")
        happened = np.nan_to_num(w.jobs) - np.nan_to_num(w.jobs_untreated)
        gaps.append(
            over_time(happened, rows, w.support.cohort, 6) - path_effect(w, "jobs", "E_cum", horizon=6)
        )
    assert centred(gaps)


def test_spillovers_are_what_happens_without_them() -> None:
    for seed in (0, 1, 2):
        w, clean = drawn(seed, 4000), drawn(seed, 4000, displacement_jobs=0.0)
        never = w.support.phase == 0
        happened = np.nan_to_num(w.jobs - clean.jobs)[never].sum(axis=0)
        expected = spillover(w)[never].sum(axis=0)
        assert expected[:6] == pytest.approx(0.0)  # until 2018
        # rounding of each firm up or down is the only luck that is left
        assert happened[6:] == pytest.approx(expected[6:], abs=60)
        assert expected[-1] < -100
        table = rings(w)
        for year in (2019, 2022, 2027):
            at = year - FIRST_YEAR
            assert table[table["year"] == year]["total"].sum() == pytest.approx(expected[at], rel=1e-9)
        one, both = spillover(w, "jobs", (1,)), spillover(w)
        assert (one[:, : 2023 - FIRST_YEAR] == both[:, : 2023 - FIRST_YEAR]).all()
        assert one.sum() > both.sum()
        assert (spillover(w, "jobs", ()) == 0).all()


def test_the_four_nets(world: World) -> None:
    whole = net(world, "jobs", 2027)
    parts = [net(world, "jobs", 2027, phase=phase) for phase in (1, 2, 3)]
    assert whole.direct == pytest.approx(sum(part.direct for part in parts))
    assert whole.spillover == pytest.approx(sum(part.spillover for part in parts))
    assert whole.drawn == sum(part.drawn for part in parts)
    assert parts[0].direct == pytest.approx(world.truth.total("jobs", 1, 2027))
    assert whole.national == whole.direct + whole.spillover
    assert whole.local - whole.national == pytest.approx(whole.drawn)
    assert whole.drawn > 0
    assert (parts[1].spillover, parts[1].drawn) == (0, 0)
    by_hand = sum(net(world, "jobs", year, phase=1).national for year in (2019, 2020, 2021))
    first = world.support.cohort[world.support.phase == 1]
    assert net_per_firm(world, "jobs", 1) == pytest.approx(
        by_hand / sum((first <= year).sum() for year in (2019, 2020, 2021))
    )


def test_moves_are_drawn_not_diverted() -> None:
    counts, expected = [], []
    for seed in SEEDS:
        w = drawn(seed)
        table = outflow(w).set_index("year")
        assert (table["diverted"] == 0).all()
        assert (table.loc[:2018, "drawn"] == 0).all()
        counts.append(float((w.drawn_by_zone & (w.move_year >= 2019)).sum()) - float(table["drawn"].sum()))
        expected.append(float(((w.move_year > 0) & ~w.drawn_by_zone).sum()) - float(table["without"].sum()))
    assert centred(counts)
    assert centred(expected)
    last = outflow(drawn(0)).iloc[-1]
    zones = len(np.union1d(drawn(0).geography.zones[1], drawn(0).geography.zones[3]))
    assert last["percent"] == pytest.approx(150 * zones / len(drawn(0).geography.zones[1]))


def test_borders_redrawn_undo_nothing(world: World) -> None:
    table, flow = borders(world), outflow(world).set_index("year")["drawn"]
    for year, rows in table.groupby("year"):
        assert (rows["drawn"] * rows["municipalities"]).sum() == pytest.approx(flow[year])
    wide = table.pivot(index="year", columns="border", values="drawn")
    assert (wide.loc[:2022, "entered"] == 0).all()
    assert wide.loc[2027].nunique() == 1
    rate = world.truth.effects.query("outcome == 'relocation' and phase == 3 and event_time == 2")[
        "att"
    ].item()
    assert wide.loc[2025, "entered"] == pytest.approx(rate)


def test_shares_percents_and_tiers(world: World) -> None:
    p = world.parameters
    for phase in (1, 2, 3):
        along = np.mean(p.effects[phase - 1].path[:3])
        assert share(world, "regular", phase) == pytest.approx(
            100 * p.regular_gain[phase - 1] * along, rel=0.25
        )
        assert share(world, "youth", phase) > 0
    with_, without = means(world, "sales")
    rows, start = world.support.phase == 1, world.support.cohort
    ratio = over_time(with_, rows, start, 2) / over_time(without, rows, start, 2) - 1
    assert percent(world, "sales", 1) == pytest.approx(100 * ratio)
    assert tier_contrast(world, "jobs") == pytest.approx(
        tier_effect(world, "jobs", 3, 2) - tier_effect(world, "jobs", 3, 1)
    )
    assert tier_contrast(world, "jobs") > 0.5 > abs(tier_contrast(world, "jobs", 1))


def test_a_difference_is_composition_and_effect(world: World) -> None:
    split = composition_split(world, "jobs", world.firms.tier)
    assert split.last - split.first == pytest.approx(split.composition + split.effect)
    assert split.first == pytest.approx(world.truth.att_balanced("jobs", 1))
    assert composition_split(world, "jobs", np.zeros(4000)).composition == 0
    with pytest.raises(UsageError, match="한 단계의 기업만 있음"):
        composition_split(world, "jobs", world.support.phase)


def test_costs_are_the_published_budgets(world: World) -> None:
    assert national_cost(1) == programmes.fact("NIC.1.budget.national").number
    assert national_cost(2) == programmes.fact("NIC.2.budget.national").number
    assert cost_per_job(world, 1, 2020) == pytest.approx(1203 / net(world, "jobs", 2020, phase=1).direct)


def test_truths_that_are_not_there(world: World) -> None:
    for call, said in (
        (lambda: means(world, "sale"), "비슷한 이름: sales"),
        (lambda: effect(world, "jobs", 4), "4단계가 없음"),
        (lambda: effect(world, "jobs", 3, horizon=9), "경과 연수 5 에 관찰되는 기업이 없음"),
        (lambda: path_rows(world, "E2"), "경로 추정량 'E2'"),  # type: ignore[arg-type]
        (lambda: path_effect(world, "hires", "E3_add"), "hires 의 추가 효과는 참값이 없음"),
        (lambda: spillover(world, "hires"), "파급 참값이 없음"),
        (lambda: net(world, "jobs", 2030), "2030년이 없음"),
        (lambda: net(world, "jobs", 2020, phase=5), "5단계가 없음"),
    ):
        with pytest.raises(UsageError, match=said):
            call()
    assert set(ALL) == {"jobs", "sales", "survival", *STAFF, "selling"}
