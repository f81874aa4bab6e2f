"""Two finished runs side by side: what the tables of both give away is listed, and nothing else is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from small_project import Project, prepared_at_rest, write_notebook

from evalkit.cli import cli
from evalkit.present.tabulation import Column, Identity, Tabulation, Total
from evalkit.release import Release, Rules
from evalkit.release.differencing import Risk, differencing
from evalkit.release.run_audit import Published

COLUMNS = (Column("g", "집단"), Column("n", "기업", "integer"), Column("m", "평균", "number"))


def page(report: str, rows: list[tuple[str, int, float]], *, total: bool = False, **more: Any) -> Published:
    """Firms and means by group; the last row is the total of the firms where asked."""
    keys = {(r, 1): f"firms.jobs.1.{label}" for r, (label, *_) in enumerate(rows)}
    last = len(rows) - 1
    parts = tuple(f"firms.jobs.1.{label}" for label, *_ in rows[:-1])
    sums_up = (Identity(f"firms.jobs.1.{rows[last][0]}", parts),) if total else ()
    table = Tabulation(
        "t", report, COLUMNS, rows, counts=[n for _, n, _ in rows], keys=keys, identities=sums_up, **more
    )
    payload = Release(3).table(table).payload
    hidden = {(r, c): (rule, whole) for r, c, rule, whole in payload.get("hidden", ())}
    return Published(report, Tabulation.from_json(payload["table"]), hidden)


def found(
    before: list[Published], after: list[Published], least: int = 3, **subjects: tuple[str, ...]
) -> list[Risk]:
    return differencing(before, after, Rules(least), subjects)


def rules_of(risks: list[Risk]) -> list[tuple[str, str, str]]:
    return [(risk.rule, risk.report, risk.row) for risk in risks]


def test_a_sample_with_one_firm_less_is_listed_with_the_numbers_that_moved() -> None:
    before, after = page("x", [("a", 9, 4.5), ("b", 8, 2.0)]), page("x", [("a", 9, 4.5), ("b", 7, 2.25)])
    assert rules_of(found([before], [after])) == [("difference", "x", "b"), ("moved", "x", "")]
    assert found([before], [before]) == []
    assert found([before], [after], least=1) == []  # public statistics


@pytest.mark.parametrize("left", [5, 8])
def test_a_sample_that_differs_by_nobody_or_by_many_is_not(left: int) -> None:
    before, after = page("x", [("a", 9, 4.5), ("b", 8, 2.0)]), page("x", [("a", 9, 4.5), ("b", left, 2.5)])
    assert found([before], [after]) == []


def test_other_pages_of_the_same_sample_are_listed_and_those_of_others_are_not() -> None:
    before, after = page("x", [("b", 8, 2.0)]), page("x", [("b", 7, 2.25)])

    def curve(report: str, value: float) -> Published:
        columns = (Column("t", "해"), Column("e", "효과", "number"))
        return Published(report, Tabulation("curve", "", columns, [("1", value)]), {})

    old = [before, *(curve(name, 1.0) for name in ("same", "other", "summary"))]
    new = [after, *(curve(name, 1.5) for name in ("same", "other", "summary"))]
    risks = found(old, new, same=("jobs", "1"), other=("sales", "1"))
    assert [risk.report for risk in risks if risk.rule == "moved"] == ["x", "same", "summary"]


def test_a_cell_that_the_other_run_shows_is_listed() -> None:
    before = page("x", [("a", 9, 4.5), ("b", 2, 2.0)])
    after = page("y", [("a", 9, 4.5), ("b", 4, 2.5)])
    risks = found([before], [after])
    assert ("shown_elsewhere", "x", "b") in rules_of(risks)
    # words that stand at the same place are one cell too, without a key
    same = page("x", [("a", 9, 4.5), ("b", 4, 2.5)])
    listed = {(risk.row, risk.column) for risk in found([before], [same]) if risk.rule == "shown_elsewhere"}
    assert listed == {("b", "기업"), ("b", "평균")}


def test_a_cell_that_follows_from_the_sums_of_both_runs_is_listed() -> None:
    rows = [("a", 9, 4.5), ("b", 2, 2.0), ("c", 6, 3.0), ("all", 17, 3.5)]
    roles = ("body", "body", "body", "total")
    before = page("x", rows, total=True, roles=roles, totals=(Total("row", 3, (0, 1, 2)),))
    assert len({r for r, _ in before.hidden}) == 2
    beside = next(rows[r] for r, _ in before.hidden if rows[r][1] > 2)
    risks = found([before], [page("y", [beside])])
    assert ("linked", "x", "") in rules_of(risks)
    # where that number is another one in the later run, nothing follows from it
    moved = page("x", [(g, n + 10, m) if g == beside[0] else (g, n, m) for g, n, m in rows])
    assert not any(risk.rule == "linked" for risk in found([page("x", rows[:1])], [moved]))


# -- the command -------------------------------------------------------------------------------------

SOURCE = """\
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import Release
n = len(open('../data/panel.csv', encoding='utf-8').read().splitlines())
release = Release()
release.table(Tabulation("t", "표", (Column("g", "집단"), Column("n", "기업", "integer"), Column("m", "평균", "number")),
    [("모두", n, 100.0 / n)], counts=[n], keys={(0, 1): f"firms.{outcome}.{phase}.all"}))"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr("evalkit.study.prepare.prepare", prepared_at_rest)
    monkeypatch.setattr("evalkit.report.rendering.prepare", prepared_at_rest)
    monkeypatch.setattr("evalkit.report.rendering.check_asked", lambda *_: None)
    made = Project(tmp_path)
    write_notebook(tmp_path / "notebooks" / "effect.ipynb", SOURCE)
    (tmp_path / "notebooks" / "summary.ipynb").unlink()
    made.raw["disclosure"] = {"min_firms": 3}
    made.raw["reports"] = [{"notebook": "effect.ipynb"}]
    made.save()
    return made


def check(*words: object) -> Any:
    return CliRunner().invoke(cli, ["release-check", *map(str, words)])


def test_the_command_lists_what_to_sign_and_leaves_the_runs_alone(project: Project, tmp_path: Path) -> None:
    rows = [f"{k},1" for k in range(12)]
    panel = tmp_path / "data" / "panel.csv"
    panel.write_text("\n".join(rows), encoding="utf-8")
    project.render()
    kept = tmp_path / "kept" / "small"
    shutil.copytree(project.out, kept)
    panel.write_text("\n".join(rows[1:]), encoding="utf-8")
    project.render()
    bytes_before = project.bytes()
    done = check(kept, project.out, "--csv", tmp_path / "sign.csv")
    assert done.exit_code == 5, done.output
    assert "기업 수의 차이가 한두 곳인 칸: 1" in done.output
    assert "effect › t" in done.output
    lines = (tmp_path / "sign.csv").read_text("utf-8-sig").splitlines()
    assert [line.split(",")[4] for line in lines[1:]] == ["difference", "moved"]
    assert lines[0].endswith("decision,checker,date")
    assert project.bytes() == bytes_before
    # what is listed depends on the two runs alone, and a run with itself gives nothing away
    assert check(kept, project.out).exit_code == 5
    shutil.copytree(kept, tmp_path / "twin" / "small")
    assert check(kept, tmp_path / "twin" / "small").exit_code == 0


def test_plans_that_read_no_common_file_are_not_compared(project: Project, tmp_path: Path) -> None:
    project.render()
    other = tmp_path / "reports" / "other"
    shutil.copytree(project.out, other)
    run = json.loads((other / "run.json").read_text("utf-8"))
    run["plan"]["content"]["id"] = "other"
    (other / "run.json").write_text(json.dumps(run), encoding="utf-8")
    assert "실행 1쌍" in check(tmp_path / "reports").output
    run["inputs"] = [{"path": "b.csv", "sha256": "0" * 64, "bytes": 1}]
    (other / "run.json").write_text(json.dumps(run), encoding="utf-8")
    assert "같은 것이 없음" in check(tmp_path / "reports").output


def test_one_run_alone_is_no_pair(project: Project) -> None:
    project.render()
    done = check(project.out)
    assert done.exit_code == 2
    assert "둘이 안 됨" in done.output
