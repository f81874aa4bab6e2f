"""`evalkit verify` and `evalkit diff` on rendered pages: every kind of change is found, and named.

Only the preparation of data stands still here (the notebooks read none); everything else is the real machinery.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner
from small_project import Project, prepared_at_rest, write_notebook

from evalkit.cli import cli
from evalkit.report import rendering
from evalkit.report.audit import record_export
from evalkit.report.chain import read_chain
from evalkit.report.results import SCHEMA_FILE
from evalkit.report.store import read_run
from evalkit.report.verify import asked_of, verify

TABLE = """\
from evalkit.present.tabulation import Column, Tabulation
from evalkit.release import Release
release = Release()
effect = 12.5 if outcome == 'jobs' else -3.25
rows = (("효과", effect, (effect - 10, effect + 10)), ("시차", 0.1 + 0.2, None))
columns = (Column("a", "이름"), Column("b", "값", "number"), Column("c", "구간", "interval"))
release.table(Tabulation("effects", f"{outcome} {phase}단계", columns, rows))"""
HEADLINE = "release.headline('고용', f'{effect}명', f'{outcome} {phase}단계에 {effect}명이다.', 3)"


@pytest.fixture(autouse=True)
def data_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "prepare", prepared_at_rest)
    monkeypatch.setattr(rendering, "check_asked", lambda *_: None)
    monkeypatch.setenv("EVALKIT_HASH_KEY", "key of the tests")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project rendered once; tests copy it."""
    project = Project(tmp_path_factory.mktemp("finished"))
    project.raw["reports"] = [{"notebook": "effect.ipynb", "for_each": {"outcome": ["jobs", "sales"]}}]
    write_notebook(project.root / "notebooks" / "effect.ipynb", TABLE, HEADLINE)
    project.save()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "prepare", prepared_at_rest)
        patch.setattr(rendering, "check_asked", lambda *_: None)
        patch.setenv("EVALKIT_HASH_KEY", "key of the tests")
        outcome = project.render()
    assert outcome.exit_code == 0, outcome.failed
    (project.out / "export").mkdir()
    (project.out / "export" / "small.xlsx").write_bytes(b"a workbook made of the pages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVALKIT_HASH_KEY", "key of the tests")
        record_export(project.out, [project.out / "export" / "small.xlsx"])
    return project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    shutil.copytree(finished.root, tmp_path / "copy")
    project = Project.__new__(Project)
    project.root, project.raw = tmp_path / "copy", json.loads(json.dumps(finished.raw))
    return project


def answers(target: Path, **options: Any) -> dict[str, tuple[str, str]]:
    (asked,) = asked_of(target, **options)
    return {answer.what: (answer.verdict, answer.detail) for answer in verify(asked)}


def differing(target: Path, **options: Any) -> dict[str, str]:
    return {what: d for what, (v, d) in answers(target, **options).items() if v == "differs"}


def command(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    return done.exit_code, done.output


def test_a_finished_plan_agrees_with_everything(project: Project) -> None:
    found = answers(project.out)
    assert {verdict for verdict, _ in found.values()} == {"same"}, found
    assert {"감사 기록", "봉인", "run.json", "effect_jobs", "index.html", "export/small.xlsx"} <= set(found)
    assert {"입력 자료", "계획", "코드", "공책", "꾸러미 판", "쪽 끝의 만든 내력"} <= set(found)
    code, output = command("verify", project.out)
    assert code == 0
    assert "보고서가 기록과 재료에 맞음" in output
    assert command("verify", project.out / "effect_jobs.html")[0] == 0
    assert command("verify", project.out / "index.html")[0] == 0
    assert command("verify", project.out.parent)[0] == 0


def test_results_of_rendered_pages_have_the_form_of_the_schema(finished: Project) -> None:
    schema = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    files = sorted((finished.out / "results").glob("*.json"))
    assert [path.stem for path in files] == ["effect_jobs", "effect_sales"]
    for path in files:
        results = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validate(results, schema)
        assert results["job"] == path.stem
        assert results["headlines"][0]["value"] in finished.page(path.stem)


FILES = (
    "effect_jobs.html",
    "tables/effect_jobs__effects.csv",
    "tables/effect_jobs__effects.xlsx",
    "notebooks/effect_jobs.ipynb",
    "results/effect_jobs.json",
    "index.html",
    "disclosure.csv",
    "export/small.xlsx",
)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_one_byte_of_any_file_is_found_and_the_file_named(project: Project, file: str, at: float) -> None:
    path = project.out / file
    raw = bytearray(path.read_bytes())
    raw[int(at * (len(raw) - 1))] ^= 1
    path.write_bytes(bytes(raw))
    (changed,) = differing(project.out).items()
    assert file in " ".join(changed)
    assert command("verify", project.out)[0] == 3
    if file.endswith(".html"):
        assert command("verify", path)[0] == 3
        other = "effect_sales.html"
        assert command("verify", project.out / other)[0] == 0  # the other page is as it was


@pytest.mark.parametrize("file", FILES[:-1])
def test_a_missing_file_is_found(project: Project, file: str) -> None:
    (project.out / file).unlink()
    (changed,) = differing(project.out).items()
    assert "없음" in changed[1]


def test_swapped_pages_are_found_for_what_they_are(project: Project) -> None:
    one, other = project.out / "effect_jobs.html", project.out / "effect_sales.html"
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)
    found = differing(project.out)
    assert found["effect_jobs"] == "effect_jobs.html effect_sales.html 의 내용임"
    assert found["effect_sales"] == "effect_sales.html effect_jobs.html 의 내용임"


def altered_record(project: Project) -> None:
    """A page and run.json changed together."""
    page = project.out / "effect_jobs.html"
    page.write_bytes(page.read_bytes().replace("12.5명".encode(), "99.5명".encode()))
    record = project.run()
    record["jobs"]["effect_jobs"]["files"]["effect_jobs.html"] = hashlib.sha256(page.read_bytes()).hexdigest()
    (project.out / "run.json").write_text(json.dumps(record), encoding="utf-8")


def test_a_record_changed_with_its_page_is_not_in_the_trail(project: Project) -> None:
    altered_record(project)
    assert set(differing(project.out)) == {"run.json", "effect_jobs", "export/small.xlsx"}


@pytest.mark.parametrize("lines", [1, 2, 3])
def test_a_trail_cut_short_is_found(project: Project, lines: int) -> None:
    """Cut within the command that wrote run.json: its last line, and the pages before, are missed."""
    path = project.out.parent / "audit.jsonl"
    kept = path.read_bytes().splitlines()[: -1 - lines]  # the last line is the export's
    path.write_bytes(b"\n".join(kept) + b"\n")
    found = differing(project.out)
    assert "run.json" in found
    assert ("effect_jobs" in found or "effect_sales" in found) == (lines > 1)


def test_a_head_kept_elsewhere_shows_a_trail_written_anew(project: Project) -> None:
    path = project.out.parent / "audit.jsonl"
    head = read_chain(path).head
    assert answers(project.out, head=head)["적어 둔 머리"][0] == "same"
    assert head in answers(project.out)["감사 기록"][1]
    path.write_bytes(b"\n".join(path.read_bytes().splitlines()[:-1]) + b"\n")
    assert "적어 둔 머리" in differing(project.out, head=head)


def test_forged_lines_for_a_changed_page_lack_the_seal(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who rewrites page, record and trail without the key is found; the chain alone would hold."""
    altered_record(project)
    path = project.out.parent / "audit.jsonl"
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    from evalkit.report.audit import append
    from evalkit.report.chain import key_mark
    from evalkit.report.store import run_sha256, write_run

    record = read_run(project.out)
    path.unlink()
    for entry in lines:
        if entry.get("job") == "effect_jobs":
            entry["files"] = record["jobs"]["effect_jobs"]["files"]
        if entry["event"] == "end":
            entry["record"] = run_sha256(record)
        kept = {k: v for k, v in entry.items() if k not in {"previous", "n", "time", "seal", "key"}}
        last = append(path, kept, b"a guess")
        if entry["event"] == "page":
            record["timing"]["audit"] = {"line": last[0], "sha256": last[1]}
            record["timing"]["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    write_run(project.out, {k: v for k, v in record.items() if k != "schema"})
    found = answers(project.out)
    assert found["감사 기록"][0] == found["run.json"][0] == found["effect_jobs"][0] == "same"
    assert found["봉인"][0] == "unknown"  # lines of another key: --strict ends with 3
    assert command("verify", "--strict", project.out)[0] == 3
    path.write_bytes(
        path.read_bytes().replace(key_mark(b"a guess").encode(), key_mark(b"key of the tests").encode())
    )
    assert "봉인" in differing(project.out)


def _input(project: Project) -> None:
    (project.root / "data" / "panel.csv").write_text("a,b\n1,3\n", encoding="utf-8")


def _more(project: Project) -> None:
    (project.root / "data" / "more.csv").write_text("a,b\n1,2\n", encoding="utf-8")


def _plan(project: Project) -> None:
    project.raw["horizon"] = 1
    project.save()


def _notebook(project: Project) -> None:
    write_notebook(project.root / "notebooks" / "effect.ipynb", TABLE, HEADLINE, "print(1)")


def _lock(project: Project) -> None:
    (project.root / "requirements.lock").write_text("numpy==1\n", encoding="utf-8")


def _freeze(project: Project) -> None:
    assert command("plan", "freeze", project.plan)[0] == 0


@pytest.mark.parametrize(
    ("change", "what", "told"),
    [
        (_input, "입력 자료", "panel.csv 바뀜"),
        (_more, "입력 자료", "more.csv 새로 생김"),
        (_plan, "계획", "horizon: "),
        (_notebook, "공책", ""),
        (_lock, "꾸러미 판", "requirements.lock"),
        (_freeze, "고정한 계획", ""),
    ],
)
def test_an_ingredient_that_changed_is_named(
    project: Project, change: Callable[[Project], None], what: str, told: str
) -> None:
    change(project)
    found = differing(project.out)
    assert set(found) == {what}
    assert told in found[what]
    assert command("verify", project.out)[0] == 3


def test_a_folder_carried_elsewhere_says_what_it_cannot_check(project: Project, tmp_path: Path) -> None:
    away = tmp_path / "away" / "small"
    shutil.copytree(project.out, away)
    found = answers(away)
    assert not [v for v, _ in found.values() if v == "differs"]
    assert {what for what, (v, _) in found.items() if v == "unknown"} >= {
        "감사 기록",
        "입력 자료",
        "계획",
        "코드",
    }
    assert found["effect_jobs"][0] == "same"
    code, output = command("verify", away)
    assert (code, "확인하지 못한 것이 있음" in output) == (0, True)
    assert command("verify", "--strict", away)[0] == 3
    assert answers(away, plan=project.plan)["계획"][0] == "same"
    shutil.rmtree(project.root / "data")
    assert answers(project.out)["입력 자료"][0] == "unknown"


def test_a_page_without_a_record_is_not_taken_for_ours(project: Project) -> None:
    shutil.copy(project.out / "effect_jobs.html", project.out / "effect_forged.html")
    assert answers(project.out)["그 밖의 파일"][0] == "unknown"
    assert command("verify", project.out / "effect_forged.html")[0] == 3
    code, output = command("verify", project.root / "data")
    assert code == 3
    assert "evalkit report" in output


@pytest.mark.slow
def test_made_again_the_bytes_are_the_same(project: Project) -> None:
    found = answers(project.out / "effect_jobs.html", again=True)
    assert {v for v, _ in found.values()} == {"same"}
    _notebook(project)
    assert "effect_jobs" in differing(project.out / "effect_jobs.html", again=True)


def test_what_a_run_leaves_in_the_trail(project: Project) -> None:
    """One page again, which fails: its state stands there, and nothing of the values."""
    path = project.out.parent / "audit.jsonl"
    write_notebook(project.root / "notebooks" / "effect.ipynb", TABLE, "raise ValueError('비밀기업 12345')")
    project.render(only=("effect_jobs",))
    lines = [json.loads(line) for line in path.read_bytes().splitlines()][5:]
    assert [(e["event"], e["folder"]) for e in lines] == [(e, "small") for e in ("start", "page", "end")]
    assert lines[1]["state"] == "failed"
    assert lines[2]["states"] == {"effect_jobs": "failed", "effect_sales": "ok"}
    assert lines[0]["options"]["only"] == ["effect_jobs"]
    assert lines[0]["jobs"]["effect_jobs"].startswith("바뀐 것: 공책")
    text = path.read_text(encoding="utf-8")
    for secret in ("비밀기업", str(project.root), project.root.name + "/"):
        assert secret not in text
    verdict, detail = answers(project.out / "effect_jobs.html")["effect_jobs"]
    assert (verdict, "끝나지 않은 쪽" in detail) == ("same", True)
    assert answers(project.out / "effect_sales.html")["공책"][0] == "differs"


@pytest.mark.slow
def test_another_language_is_verified_in_its_own_folder(project: Project) -> None:
    project.render(lang="en", only=("effect_sales",))
    assert {v for v, _ in answers(project.out / "en").values()} == {"same"}
    assert {v for v, _ in answers(project.out).values()} == {"same"}


def test_diff_says_which_numbers_moved_and_why(project: Project, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    shutil.copytree(project.out, earlier)
    assert command("diff", earlier, project.out) == (0, "재료가 모두 같음\n움직인 수가 없음\n")
    moved = TABLE.replace("12.5 if", "-2.5 if").replace("0.1 + 0.2", "0.3")
    write_notebook(project.root / "notebooks" / "effect.ipynb", moved, HEADLINE)
    _input(project)
    project.render()
    code, output = command("diff", earlier, project.out)
    assert code == 0
    assert "입력 자료 (2쪽): panel.csv 바뀜" in output
    assert "까닭: 공책, 입력 자료 (1쪽 " in output
    assert "함께 바뀌어 몫을 나눌 수 없음" in output
    assert "공책 (2쪽): effect.ipynb" in output
    lines = [line for line in output.splitlines() if line.startswith(("  결론", "  표"))]
    assert lines[0].startswith("  결론")
    assert "effect_jobs  effects › 효과 › b: 12.5 → -2.5 (-15, -120.000%)  0을 넘음" in output
    assert "시차" not in output  # 0.30000000000000004 and 0.3 are the same number
    assert "effect_sales" not in output.split("움직인 것")[1]
    found = json.loads(command("diff", "--json", earlier, project.out)[1])
    assert (found["schema"], found["unexplained"]) == (1, [])


def test_a_number_that_moved_without_a_cause_is_not_reproducible(project: Project, tmp_path: Path) -> None:
    earlier = tmp_path / "earlier"
    shutil.copytree(project.out, earlier)
    path = project.out / "results" / "effect_sales.json"
    path.write_text(path.read_text(encoding="utf-8").replace("-3.25", "-3.26"), encoding="utf-8")
    code, output = command("diff", earlier, project.out)
    assert code == 3
    assert "만든 뒤에 바뀐 결과 파일이 있어 까닭을 말할 수 없음: 뒤 실행의 effect_sales" in output
    files = project.run()["jobs"]["effect_sales"]["files"]  # as if the run itself had written it
    files["results/effect_sales.json"] = hashlib.sha256(path.read_bytes()).hexdigest()
    record = project.run()
    record["jobs"]["effect_sales"]["files"] = files
    (project.out / "run.json").write_text(json.dumps(record), encoding="utf-8")
    code, output = command("diff", earlier, project.out)
    assert code == 3
    assert "만든 뒤에" not in output
    assert "재현되지 않음: 재료가 모두 같은데 수가 움직인 쪽: effect_sales" in output
    record["jobs"]["effect_sales"]["made_of"]["template"] = "another"
    (project.out / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert command("diff", earlier, project.out)[0] == 3  # a template moves no number
    record["jobs"]["effect_sales"]["made_of"]["code"] = "another"
    (project.out / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert command("diff", earlier, project.out)[0] == 0
