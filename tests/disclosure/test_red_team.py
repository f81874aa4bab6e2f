"""Red team: tries to get a firm's number out of a finished run, and identifiers into one. Zero succeed."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from entries import ENTRIES, enter
from further_tries import told_without_the_check
from planted_run import IDENTIFIERS, Run, plant, raw_tables, two_more_runs
from small_project import prepared_at_rest
from tries import TRIES, Try, won

from evalkit.errors import DisclosureError
from evalkit.release import Rules
from evalkit.release.rules import sensitive
from evalkit.report.export import Asked, export_plan


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    patch = pytest.MonkeyPatch()
    patch.setattr("evalkit.study.prepare.prepare", prepared_at_rest)
    patch.setattr("evalkit.report.rendering.prepare", prepared_at_rest)
    patch.setattr("evalkit.report.rendering.check_asked", lambda *_: None)
    try:
        project, secrets, cells = plant(tmp_path_factory.mktemp("planted"))
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            outcome = project.render(jobs=2)
            project.render(jobs=2, lang="en", only=("sales", "counts"))
            export_plan(
                project.plan, Asked(("xlsx", "docx", "hwpx", "csv"), out=project.out.parent / "exported")
            )
            later, second = two_more_runs(project, secrets)
        return Run(project, outcome, told.getvalue(), secrets, cells, later, second)
    finally:
        patch.undo()


def test_the_run_ended_as_it_should(run: Run) -> None:
    states = {name: job["state"] for name, job in run.project.run()["jobs"].items()}
    assert states == {
        "sales_phase1": "ok",
        "sales_phase3": "ok",
        "counts": "ok",
        "again": "refused",
        "bars": "refused",
        "personal": "refused",
        "broken": "failed",
        "union": "ok",
        "lax": "refused",
        **{f"province_{k}": "ok" for k in range(4)},
        "province_4": "refused",  # 울산 and 제주 would fill the gaps of the national page
        "province_5": "refused",
    }
    assert run.outcome.exit_code == 5
    rules = {
        line.split(",")[4] for line in (run.out / "disclosure.csv").read_text("utf-8-sig").splitlines()[1:]
    }
    assert {"threshold", "complementary", "order_statistic"} <= rules
    assert rules & {"dominance", "p_percent"}


def test_each_page_says_how_many_cells_it_withholds(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO((run.out / "disclosure.csv").read_text("utf-8-sig"))))
    totals = run.project.run()["disclosure"]
    assert sum(totals["suppressed"].values()) == sum(row["action"] == "suppressed" for row in rows) > 0
    for name in ("sales_phase1", "counts", "union"):
        mine = [row["action"] for row in rows if row["report"] == name]
        assert mine
        said = f"{mine.count('suppressed')}칸, 검토할 칸 {mine.count('flagged')}칸"
        assert said in run.project.page(name)


@pytest.mark.slow
def test_the_text_of_the_pdf_tells_nothing(run: Run) -> None:
    pypdf = pytest.importorskip("pypdf")
    export_plan(run.project.plan, Asked(("pdf",), out=run.out.parent / "printed"))
    found = sorted((run.out.parent / "printed").rglob("*.pdf"))
    assert found
    for path in found:
        text = "\n".join(page.extract_text() for page in pypdf.PdfReader(path).pages)
        assert "매출" in text or "기업" in text
        assert won(run, [text]) == []


def test_the_attackers_can_win(run: Run) -> None:
    name, value = next(iter(run.secrets.items()))
    assert won(run, [value]) == [name]
    assert won(run, [f"매출은 {value:,.1f}백만원"]) == [name]
    assert won(run, [(name, 0.99 * value, 1.01 * value)]) == [name]
    assert won(run, [IDENTIFIERS[0]]) == ["식별자"]
    assert won(run, [value * 1.01, (name, 0.0, 2 * value), "글"]) == []


def test_the_attackers_win_where_only_the_rules_for_single_cells_are_kept(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the protection is for: without it six of the tries at sums succeed."""
    import tries

    raw = raw_tables(run.project.root / "notebooks")
    naive = []
    for table in raw:
        gone = {at: need.rule for at, need in sensitive(table, Rules(3)).items()}
        naive.append(
            (table.with_cells(dict.fromkeys(gone), dict.fromkeys(gone, "*"), ()).without_counts(), gone)
        )
    monkeypatch.setattr(tries, "tables", lambda _: naive)
    cases = [case for case in TRIES if case.family == "합계"]
    winners = [case.name for case in cases if won(run, case.attack(run))]
    assert len(winners) >= 6, winners


def test_two_runs_taken_apart_give_a_firm_away_where_nobody_checks_them(run: Run) -> None:
    for name, found in told_without_the_check(run).items():
        assert won(run, found) == [name[:5]], name


RESULTS: dict[str, tuple[str, str]] = {}


@pytest.mark.parametrize("case", TRIES, ids=[f"{k + 1}-{t.name}" for k, t in enumerate(TRIES)])
def test_nothing_is_got_out(run: Run, case: Try) -> None:
    got = won(run, case.attack(run))
    RESULTS[case.name] = (case.family, ", ".join(got) or "없음")
    assert got == []


@pytest.mark.parametrize("entry", ENTRIES, ids=[f"{k + 1}-{e.name}" for k, e in enumerate(ENTRIES)])
def test_no_identifier_is_got_in(entry: object) -> None:
    with pytest.raises(DisclosureError) as caught:
        enter(entry)  # type: ignore[arg-type]
    told = str(caught.value)
    assert caught.value.exit_code == 5
    assert not any(word in told for word in IDENTIFIERS)
    RESULTS[entry.name] = (entry.family, "거절")  # type: ignore[attr-defined]


def test_there_are_a_hundred_tries() -> None:
    names = [t.name for t in TRIES] + [e.name for e in ENTRIES]
    assert len(names) == len(set(names)) >= 165


def test_the_table_of_tries() -> None:
    """`EVALKIT_RED_TEAM_TABLE=FILE python3 run.py test tests/disclosure/test_red_team.py` writes it."""
    target = os.environ.get("EVALKIT_RED_TEAM_TABLE")
    if not target:
        pytest.skip("no file was named")
    lines = ["| # | 갈래 | 시도 | 얻은 것 |", "|--:|---|---|---|"]
    lines += [
        f"| {k + 1} | {family} | {name.replace('|', '&#124;')} | {got} |"
        for k, (name, (family, got)) in enumerate(RESULTS.items())
    ]
    path = Path(target)
    words = path.read_text(encoding="utf-8").partition("| #")[0] if path.is_file() else ""  # written by hand
    path.write_text(words + "\n".join(lines) + "\n", encoding="utf-8")
    assert len(RESULTS) >= 100
