"""From raw files to panels: nothing half done, nothing done twice; and what the 성과조사 workbooks add up to."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prepared_project import Project

from evalkit import simulate
from evalkit.errors import DataError, FileError
from evalkit.ingest.sources.performance_survey import ATTRACTED, OUTCOMES, PROJECTS
from evalkit.ingest.table import Table, TableSpec
from evalkit.panel import Panel
from evalkit.simulate.identity import identify
from evalkit.study import Study
from evalkit.study.inputs import fingerprint
from evalkit.study.plan import load_plan
from evalkit.study.prepare import MADE_BY, identifier_key
from evalkit.study.programme_files import reported_totals, support
from evalkit.study.worlds import put

PLANS = Path(__file__).resolve().parents[2] / "plans"


# -- programme files ------------------------------------------------------------------------------


def table(spec: TableSpec, rows: list[dict[str, Any]]) -> Table:
    frame = pd.DataFrame(rows)
    frame["source_row"] = np.arange(5, 5 + len(frame))
    return Table(spec, frame, Path("성과조사.xlsx"), "0" * 64, spec.sheets[0])


def project(firm: str, phase: int, start: str, number: int = 1) -> dict[str, Any]:
    return {
        "phase": phase,
        "project_id": f"P{phase}-{number}",
        "firm_id": firm,
        "agreement_start": pd.Timestamp(start),
    }


def test_first_support_is_the_earliest_agreement_of_all_phases() -> None:
    started = support(
        [
            table(PROJECTS, [project("c", 3, "2023-03-01"), project("a", 3, "2024-01-01")]),
            table(
                PROJECTS,
                [
                    project("a", 1, "2019-07-01", 2),
                    project("a", 1, "2018-11-01", 1),
                    project("b", 1, "2018-12-31"),
                ],
            ),
            table(OUTCOMES, [{"phase": 1, "project_id": "P", "firm_id": "z"}]),  # says nothing of support
        ]
    )
    assert started.to_dict("index") == {
        "a": {"adoption": 2018.0, "phase": 1, "phases": "1,3"},
        "b": {"adoption": 2018.0, "phase": 1, "phases": "1"},
        "c": {"adoption": 2023.0, "phase": 3, "phases": "3"},
    }


def test_without_projects_nobody_is_known_to_be_supported() -> None:
    with pytest.raises(DataError, match="과제현황이 없음"):
        support([])


def totals(tables: list[Table]) -> dict[tuple[int, str], dict[str, Any]]:
    rows, _ = reported_totals(tables)
    return {(row["phase"], row["indicator"]): row for row in rows}


def test_a_firm_that_stands_in_several_projects_counts_once() -> None:
    def row(firm: str, jobs: float, sales: float) -> dict[str, Any]:
        return {
            "phase": 1,
            "project_id": "P",
            "firm_id": firm,
            "new_jobs": jobs,
            "commercial_sales_million_krw": sales,
        }

    # a twice with the same values, b twice with different jobs (the larger counts), c blank once
    rows = [row("a", 3, 500), row("a", 3, 500), row("b", 2, 100), row("b", 5, 100), row("c", np.nan, 250)]
    found = totals([table(OUTCOMES, rows)])
    assert set(found) == {(1, "new_jobs"), (1, "commercial_sales")}
    jobs, sales = found[1, "new_jobs"], found[1, "commercial_sales"]
    assert (jobs["raw"], jobs["deduplicated"]) == (13.0, 8.0)
    assert (sales["raw"], sales["deduplicated"]) == pytest.approx((14.5, 8.5))  # 억원
    # KTAB FAQ 2021-03-04: 649명, 1,446억원
    assert (jobs["published"], sales["published"]) == (649, 1446)
    assert jobs["source"]
    # two of three firms have jobs, three have sales; a and b repeat
    assert (jobs["firms"], jobs["repeated"]) == (2, 2)
    assert (sales["firms"], sales["repeated"]) == (3, 2)


def test_published_figures_are_those_of_the_programme() -> None:
    rows = [table(OUTCOMES, [{"phase": 1, "project_id": "P", "firm_id": "a", "new_jobs": 5.0}])]
    assert reported_totals(rows, "NIC")[0][0]["published"] == 649
    assert reported_totals(rows, "우리 사업")[0][0]["published"] is None
    assert reported_totals(rows, "우리 사업")[0][0]["source"] == ""


def test_what_is_prepared_depends_on_all_that_makes_it() -> None:
    """Every part of the package that building the panels imports is among those whose change prepares them again."""
    code = "import sys, evalkit.study.build, evalkit.simulate; print(*(m for m in sys.modules if m.startswith('evalkit.')))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    parts = {name.split(".")[1] for name in loaded}
    assert {"ingest", "panel", "study", "programmes"} <= parts
    assert parts <= {part.removesuffix(".py") for part in MADE_BY}


def test_attracted_firms_by_origin_and_kind() -> None:
    def row(firm: str, kind: str, origin: str | None) -> dict[str, Any]:
        return {
            "phase": 1,
            "firm_id": firm,
            "firm_name": f"가상{firm}",
            "kind": kind,
            "from_region": origin,
            "to_region": "42130",
            "date": pd.Timestamp("2019-03-01"),
        }

    rows = [
        row("a", "headquarters", "11110"),
        row("a", "headquarters", "11110"),  # reported by two bodies
        row("b", "mou", "41110"),  # an agreement is not a move
        row("c", "plant", "26110"),
        row("d", "plant", None),
    ]
    found = totals([table(ATTRACTED, rows)])
    assert {name: (r["raw"], r["deduplicated"]) for (_, name), r in found.items()} == {
        "attracted": (5.0, 4.0),
        "attracted_capital": (3.0, 2.0),
        "attracted_moved": (4.0, 3.0),
    }
    # KTAB FAQ 2021-03-04: 122건, of which 47 from the capital region
    assert found[1, "attracted"]["published"] == 122
    assert found[1, "attracted_capital"]["published"] == 47


def test_totals_stand_in_the_order_of_phases() -> None:
    def one(phase: int) -> Table:
        return table(OUTCOMES, [{"phase": phase, "project_id": "P", "firm_id": "a", "new_jobs": phase}])

    rows, cleaned = reported_totals([one(3), one(1), table(PROJECTS, [project("a", 1, "2018-11-01")])])
    assert [(r["phase"], r["raw"]) for r in rows] == [(1, 1.0), (3, 3.0)]
    assert len(cleaned) == 2


# -- preparing ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def raw_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    simulate.write(simulate.world(seed=2, firms=200), folder / "raw", folder / "truth")
    return folder / "raw"


@pytest.fixture(scope="module")
def prepared(raw_files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an evaluator's own files, prepared once; tests copy it."""
    root = tmp_path_factory.mktemp("prepared")
    shutil.copytree(raw_files, root / "data" / "raw")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("EVALKIT_HASH_KEY", raising=False)
        assert Project(root).prepare().changed
    return root


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("EVALKIT_HASH_KEY", raising=False)
    return Project(tmp_path)


@pytest.fixture
def ready(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("EVALKIT_HASH_KEY", raising=False)
    return Project(Path(shutil.copytree(prepared, tmp_path / "ready")))


def test_the_simulated_world_is_written_once(tree: Project) -> None:
    first = tree.prepare()
    assert first.changed
    assert first.inputs.simulated
    assert {f.path.split("/")[0] for f in first.inputs.files} >= {"성과조사", "고용보험", "재무"}
    assert not (tree.processed / "identifier.key").exists()  # invented numbers need no secret
    assert not list(first.inputs.folder.rglob("*truth*"))  # the truth lies where the readers do not look
    assert (first.inputs.folder.parent / "truth" / "truth.json").is_file()
    before = tree.state()
    again = tree.prepare()
    assert not again.changed
    assert tree.state() == before
    assert again.inputs == first.inputs
    # the panels are made anew where they are gone; the world is not
    shutil.rmtree(first.folder)
    assert tree.prepare().changed
    after = tree.state()
    world = {name for name in after if name.startswith("simulated")}
    assert world
    assert {n: after[n] for n in world} == {n: before[n] for n in world}
    for name in set(after) - world:
        assert after[name][1] == before[name][1], name  # same inputs, same bytes


def test_another_seed_is_another_world(tree: Project) -> None:
    first = fingerprint(tree.path, load_plan(tree.path))
    tree.raw["data"]["simulate"]["seed"] = 3
    tree.save()
    second = fingerprint(tree.path, load_plan(tree.path))
    assert second.digest != first.digest
    assert second.folder != first.folder


def test_what_asks_for_new_panels(ready: Project) -> None:
    first = ready.prepare()
    assert not first.changed  # a copy of the project is the same project
    assert not first.inputs.simulated
    ready.raw["title"]["ko"] = "다른 제목"  # says nothing of the data
    ready.save()
    assert not ready.prepare().changed
    file = next((ready.root / "data" / "raw" / "물가").glob("*.csv"))
    file.write_bytes(file.read_bytes() + b"\n")
    assert ready.prepare().changed
    assert not ready.prepare().changed


@pytest.mark.parametrize("fault", ["empty", "cut", "column"])
def test_a_file_that_cannot_be_read_leaves_the_earlier_panels(ready: Project, fault: str) -> None:
    data = ready.root / "data" / "raw"
    before = ready.state()
    if fault == "empty":
        next((data / "물가").glob("*.csv")).write_bytes(b"")
    elif fault == "cut":
        workbook = sorted((data / "성과조사").glob("*.xlsx"))[-1]
        workbook.write_bytes(workbook.read_bytes()[:5000])
    else:
        file = next((data / "재무").glob("*.csv"))
        content = file.read_bytes()
        head = content.splitlines()[0]
        file.write_bytes(content.replace(head, head.replace("매출액".encode("cp949"), b"x"), 1)
                         .replace("매출액".encode(), b"x", 1))  # fmt: skip
    with pytest.raises(DataError) as caught:
        ready.prepare()
    assert caught.value.where
    assert caught.value.remedy
    assert ready.state() == before
    assert not [p for p in ready.processed.iterdir() if p.name.startswith(".")]


def test_a_required_source_without_files(ready: Project) -> None:
    data = ready.root / "data" / "raw"
    shutil.rmtree(data / "국민연금")  # not required
    assert len(fingerprint(ready.path, load_plan(ready.path)).files) > 0
    shutil.rmtree(data / "재무")
    with pytest.raises(FileError, match=r"파일이 없음: firm_financials → 재무"):
        ready.prepare()


def test_a_year_without_a_file_is_named(ready: Project) -> None:
    data = ready.root / "data" / "raw"
    for file in (data / "고용보험").glob("*2019*"):
        file.unlink()
    with pytest.raises(DataError, match="고용보험 자료에 2019년 파일이 없음"):
        ready.prepare()


def test_data_named_by_hand_is_never_replaced_by_the_simulated_world(tree: Project) -> None:
    empty = tree.root / "empty"
    empty.mkdir()
    with pytest.raises(FileError, match="파일이 하나도 없음"):
        tree.prepare(empty)
    with pytest.raises(FileError, match=r"자료 폴더 .* 없음"):
        tree.prepare(tree.root / "nowhere")


def test_temporary_files_of_excel_are_not_read(ready: Project) -> None:
    data = ready.root / "data" / "raw"
    plan = load_plan(ready.path)
    before = fingerprint(ready.path, plan)
    (data / "성과조사" / "~$성과조사_1단계.xlsx").write_bytes(b"lock")
    assert fingerprint(ready.path, plan) == before


def test_the_identifier_key_is_made_once_and_kept(ready: Project) -> None:
    folder = ready.prepare().folder
    path = ready.processed / "identifier.key"
    key = path.read_bytes()
    assert len(key) == 32
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    firms = Panel.load(folder / "units.npz").units
    ready.raw["units"]["options"]["ring_km"] = 25
    ready.save()
    assert ready.prepare().changed
    assert path.read_bytes() == key
    np.testing.assert_array_equal(Panel.load(folder / "units.npz").units, firms)


def test_runs_at_once_agree_on_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVALKIT_HASH_KEY", raising=False)
    for k in range(10):
        root = tmp_path / str(k)
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(lambda _, root=root: identifier_key(root, simulated=False), range(8)))
        assert len(keys) == 1
        assert [p.name for p in (root / "data" / "processed").iterdir()] == ["identifier.key"]


def test_data_named_by_hand_has_panels_of_its_own(ready: Project, tmp_path: Path) -> None:
    """A run on other data does not take the panels away from under a run on the plan's own."""
    first = ready.prepare()
    other = Path(shutil.copytree(ready.root / "data" / "raw", tmp_path / "other"))
    file = next((other / "물가").glob("*.csv"))
    file.write_bytes(file.read_bytes() + b"\n")
    before = {name: state for name, state in ready.state().items() if name.startswith("nic/")}
    second = ready.prepare(other)
    assert second.changed
    assert second.folder != first.folder
    assert {name: state for name, state in ready.state().items() if name.startswith("nic/")} == before
    assert not ready.prepare().changed
    assert not ready.prepare(other).changed


def test_two_runs_that_put_the_same_folder_leave_it_whole(tmp_path: Path) -> None:
    """Threads stand in for runs: whoever comes second neither fails nor leaves half a folder."""
    target = tmp_path / "nic"

    def one(number: int) -> None:
        aside = tmp_path / f".preparing-{number}"
        aside.mkdir()
        for name in ("audit.json", "units.npz"):
            (aside / name).write_text(str(number % 2))
        (aside / "stamp").write_text(str(number % 2))
        put(aside, target)
        shutil.rmtree(aside, ignore_errors=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(200)))
    contents = {p.name: p.read_text() for p in target.iterdir()}
    assert set(contents) == {"audit.json", "units.npz", "stamp"}
    assert len(set(contents.values())) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["nic"]


def test_a_key_of_ones_own_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALKIT_HASH_KEY", "열쇠")
    assert identifier_key(tmp_path, simulated=False) == "열쇠".encode()
    assert not list(tmp_path.rglob("*.key"))
    monkeypatch.delenv("EVALKIT_HASH_KEY")
    first = identifier_key(tmp_path, simulated=False)
    assert identifier_key(tmp_path, simulated=False) == first
    assert identifier_key(tmp_path / "other", simulated=False) != first


def test_no_business_number_stands_in_what_is_kept(ready: Project) -> None:
    """Every number of ten digits that the raw files hold, against every byte of the panels and the audit."""
    folder = ready.prepare().folder
    numbers = {str(n).replace("-", "") for n in identify(simulate.world(seed=2, firms=200)).business_number}
    assert all(len(n) == 10 and n.isdigit() for n in numbers)
    audit = (folder / "audit.json").read_text(encoding="utf-8").replace("-", "")
    assert not [n for n in numbers if n in audit]
    for file in folder.glob("*.npz"):
        with np.load(file) as stored:
            for name in stored.files:
                if stored[name].dtype.kind == "U":
                    assert numbers.isdisjoint(s.replace("-", "") for s in stored[name].ravel().tolist()), name


def test_opening_a_plan_that_is_not_there_or_panels_that_are(ready: Project) -> None:
    study = Study.open(ready.path)
    assert (study.lang, study.simulated) == ("ko", False)
    assert Study.open(ready.path, lang="en").text("twice_supported").startswith("For firms")
    assert study.panel("regions").shape[0] == 250
    assert study.audit["linkage"]["supported_firms"] == study.audit["linkage"]["linked"]
