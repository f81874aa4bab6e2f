"""The panels that the firm builder makes of the files are those that the simulated world says they should be."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from evalkit import programmes, simulate
from evalkit.errors import PlanError
from evalkit.flows import Flows
from evalkit.panel import Panel
from evalkit.simulate import World
from evalkit.simulate.direct import study_flows, study_panels
from evalkit.study import Study

PROJECT = Path(__file__).resolve().parents[2]
FROM_NUMBERS_ALONE = {"pension_members", "pension_members_next"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Study, dict[str, Panel]]:
    root = tmp_path_factory.mktemp("panels")
    (root / "plans").mkdir()
    (root / "notebooks").mkdir()
    plan = Path(shutil.copy(PROJECT / "plans" / "nic_phase1_vs_phase3.yml", root / "plans"))
    world = simulate.world(seed=11, firms=1200)
    simulate.write(world, root / "raw", root / "truth")
    study = Study.open(plan, data=root / "raw")
    groups = study.plan.units.options["industry_groups"]
    return world, study, study_panels(world, industry_groups=groups)


def in_order(panel: Panel) -> np.ndarray:
    """Firms of the files have hashes of a key of the day for names: order them by all that they are."""
    varying = [np.nan_to_num(panel.values(n), nan=-1.0).T for n in ("jobs", "hires", "youth", "regular")]
    fixed = [np.unique(panel.constant(n), return_inverse=True)[1] for n in ("sigungu", "sector")]
    keys = np.concatenate([*varying, np.stack(fixed)])
    assert len(np.unique(keys, axis=1).T) == len(panel.units)  # no two firms alike
    return np.lexsort(keys)


def test_firms_are_those_of_the_world(made: tuple[World, Study, dict[str, Panel]]) -> None:
    _, study, drawn = made
    read, drawn_units = study.panel("units"), drawn["units"]
    assert set(drawn_units.varying) == set(read.varying) - FROM_NUMBERS_ALONE
    assert set(drawn_units.fixed) == set(read.fixed) - {"pension_link", "pension_rivals"}
    mine, theirs = in_order(read), in_order(drawn_units)
    for name, values in drawn_units.varying.items():
        tolerance = (
            1e-3 if name in ("sales_real", "log1p_sales") else 0.0
        )  # accounts are in whole thousands of won
        np.testing.assert_allclose(
            read.values(name)[mine], values[theirs], rtol=tolerance, atol=tolerance, err_msg=name
        )
    for name, constants in drawn_units.fixed.items():
        found, expected = read.constant(name)[mine], constants[theirs]
        if expected.dtype.kind in "US":
            assert (found == expected).all(), name
        else:
            np.testing.assert_allclose(found.astype(float), expected, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", ["regions", "industries"])
def test_places_and_industries_are_those_of_the_world(
    made: tuple[World, Study, dict[str, Panel]], name: str
) -> None:
    _, study, drawn = made
    read, expected = study.panel(name), drawn[name]
    order = np.argsort(expected.units)
    assert read.units.tolist() == expected.units[order].tolist()
    assert read.periods.tolist() == expected.periods.tolist()
    assert set(read.varying) == set(expected.varying)
    assert set(read.fixed) == set(expected.fixed)
    for variable, values in expected.varying.items():
        tolerance = 1e-3 if variable == "sales_real" else 0.0
        at = {"firms", "jobs_total"} if name == "regions" else set()
        if variable in at:
            assert values.sum() == read.values(variable).sum(), variable
        else:
            np.testing.assert_allclose(read.values(variable), values[order], rtol=tolerance, err_msg=variable)
    for variable, constants in expected.fixed.items():
        assert read.constant(variable).tolist() == constants[order].tolist(), variable


def test_flows_out_of_the_capital_are_those_of_the_world(
    made: tuple[World, Study, dict[str, Panel]],
) -> None:
    world, study, drawn = made
    read, expected = study.flows("relocation"), study_flows(world)
    order = np.argsort(expected.destinations)
    assert read.origins.tolist() == expected.origins.tolist()
    assert read.destinations.tolist() == expected.destinations[order].tolist()
    np.testing.assert_array_equal(read.counts, expected.counts[:, order])
    for name, values in expected.fixed.items():
        assert read.constant(name).tolist() == values[order].tolist(), name
    arrived = drawn["regions"].values("moved_in")
    assert read.counts.sum() == arrived.sum()  # what leaves the capital arrives outside it
    with pytest.raises(PlanError, match="흐름 자료 'moves'"):
        study.flows("moves")


def test_flows_survive_their_file(made: tuple[World, Study, dict[str, Panel]], tmp_path: Path) -> None:
    flows = study_flows(made[0])
    flows.save(tmp_path / "f.npz")
    again = Flows.load(tmp_path / "f.npz")
    np.testing.assert_array_equal(again.counts, flows.counts)
    assert again.constant("sido").tolist() == flows.constant("sido").tolist()
    assert again.periods.dtype == np.int64


def test_nobody_appears_or_disappears(made: tuple[World, Study, dict[str, Panel]]) -> None:
    """Hires less separations are the change of the staff, the year of closing included; of the first year nothing is said."""
    panel = made[1].panel("units")
    alive, jobs = panel.values("alive"), np.nan_to_num(panel.values("jobs"))
    net = (panel.values("hires") - panel.values("separations"))[:, 1:]
    begins = np.isfinite(alive[:, 1:]) & ~np.isfinite(alive[:, :-1])
    assert begins.sum() > 50
    np.testing.assert_array_equal(np.isfinite(net), np.isfinite(alive[:, 1:]) & ~begins)
    np.testing.assert_array_equal(net[np.isfinite(net)], np.diff(jobs, axis=1)[np.isfinite(net)])
    closed = (jobs[:, 1:] == 0) & (jobs[:, :-1] > 0)
    assert closed.sum() > 50
    np.testing.assert_array_equal(panel.values("separations")[:, 1:][closed], jobs[:, :-1][closed])
    for part in ("regular", "youth"):
        assert (np.nan_to_num(panel.values(part)) <= jobs).all()


def test_support_adds_up_to_the_stated_budgets(made: tuple[World, Study, dict[str, Panel]]) -> None:
    """국비 of a phase is that of its roster: firms supported before hold the rest of what phases 2 and 3 spent."""
    panel = made[1].panel("units")
    first, money = panel.constant("phase_first"), panel.constant("support_national_million_krw")
    assert money[first == 1].sum() == pytest.approx(
        100 * programmes.fact("NIC.1.budget.national").number, abs=1
    )
    assert 0 < money[first == 2].sum() < 100 * programmes.fact("NIC.2.budget.national").number
    assert (money[first == 0] == 0).all()
    assert (money[first > 0] > 0).all()
    by_province = [money[(first == 1) & (panel.constant("sido") == name)].sum() for name in ("부산", "제주")]
    assert by_province[0] == pytest.approx(by_province[1], abs=0.01)  # equal parts
