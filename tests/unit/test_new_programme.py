"""A programme of one's own: the files it begins with, what is refused, and a walk with the simulated world."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from evalkit.cli import cli
from evalkit.errors import FileError, UsageError
from evalkit.programmes import read_programme
from evalkit.study import Study, starting
from evalkit.study.build import check_words
from evalkit.study.plan import is_fact_file, load_plan
from evalkit.study.starting import Beginning, begin, parse_phases

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
OURS = Beginning("ours", "우리 사업", "Our programme", "산업통상자원부", ((2018, 2020),), "firms", ("부산",))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    for path in NOTEBOOKS.glob("*.ipynb"):
        shutil.copyfile(path, tmp_path / "notebooks" / path.name)
    return tmp_path


def files(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_file() and "notebooks" not in path.parts
    }


def asked(**changes: object) -> Beginning:
    from dataclasses import replace

    return replace(OURS, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["firms", "regions", "indicators"])
@pytest.mark.parametrize(
    "phases", [((2018, 2020),), ((2018, 2020), (2021, 2021), (2024, 2025)), ((2027, 2031),)]
)
def test_what_is_written_loads(kind: str, phases: tuple[tuple[int, int], ...], root: Path) -> None:
    facts, plan, readme = begin(asked(kind=kind, phases=phases), root=root)
    assert files(root) == {"plans/ours.facts.yml", "plans/ours.yml", "data/raw/ours/README.md"}
    programme = read_programme(facts)
    assert [(p.number, p.years) for p in programme.phases] == list(enumerate(phases, start=1))
    loaded = load_plan(plan)
    check_words(loaded)
    assert (loaded.id, loaded.programme, loaded.facts) == ("ours", "ours", "ours.facts.yml")
    assert len(loaded.phases) == (0 if kind == "indicators" else len(phases))
    assert readme.read_text(encoding="utf-8").startswith("# 우리 사업 자료를 두는 곳")
    result = CliRunner().invoke(cli, ["plan", "check", str(plan)])
    assert (result.exit_code, "이상 없음" in result.output) == (0, True), result.output


def test_the_simulated_world_is_offered_only_for_years_that_it_has(root: Path) -> None:
    begin(asked(id="early"), root=root)
    assert load_plan(root / "plans" / "early.yml").data.simulate is not None
    for name, phases in (("late", ((2026, 2028),)), ("before", ((2010, 2012),))):
        begin(asked(id=name, phases=phases), root=root)
        assert load_plan(root / "plans" / f"{name}.yml").data.simulate is None
        assert "자료를 두기 전에는" in (root / "data" / "raw" / name / "README.md").read_text(
            encoding="utf-8"
        )


def test_the_readme_names_every_file_and_every_column_that_must_be_there(root: Path) -> None:
    from evalkit.ingest.sources import SPECS

    readme = begin(OURS, root=root)[2].read_text(encoding="utf-8")
    plan = load_plan(root / "plans" / "ours.yml")
    for source in plan.data.sources.values():
        assert source.files in readme
    for table in ("employment_insurance", "firm_financials", "deflator"):
        for column in SPECS[table].columns:
            if column.required:
                assert any(f"| {alias} |" in readme for alias in column.aliases), column.name


def test_names_may_hold_anything_but_line_ends(root: Path) -> None:
    odd = "『우리』: {사업} #1 «\"'&<b>» \\ %"
    begin(asked(name=odd, name_en=odd, ministry="부처: A, B"), root=root)
    assert read_programme(root / "plans" / "ours.facts.yml").name_ko == odd
    assert odd in load_plan(root / "plans" / "ours.yml").title.ko
    with pytest.raises(UsageError, match="줄바꿈"):
        begin(asked(id="two", name="첫 줄\nid: other"), root=root)


@pytest.mark.parametrize("name", ["plans/ours.facts.yml", "plans/ours.yml", "data/raw/ours/README.md"])
def test_nothing_is_overwritten(name: str, root: Path) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(FileError, match=f"'{path.name}' 이.* 이미 있음"):
        begin(OURS, root=root)
    assert files(root) == {name}
    assert path.read_text(encoding="utf-8") == "mine"


def test_data_that_lie_there_already_stay(root: Path) -> None:
    path = root / "data" / "raw" / "ours" / "물가" / "cpi.csv"
    path.parent.mkdir(parents=True)
    path.write_text("연도,지수\n2020,100\n", encoding="utf-8")
    begin(OURS, root=root)
    assert path.read_text(encoding="utf-8") == "연도,지수\n2020,100\n"


def test_a_fault_on_the_way_leaves_nothing_behind(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = starting._place

    def broken(source: Path, target: Path) -> None:
        if target.name == "README.md":
            raise OSError(28, "No space left on device")
        place(source, target)

    monkeypatch.setattr(starting, "_place", broken)
    with pytest.raises(FileError, match="No space left"):
        begin(OURS, root=root)
    assert files(root) == set()
    assert not (root / "data").exists()
    assert list((root / "plans").iterdir()) == []


def test_files_that_would_not_be_read_are_not_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = starting._texts

    def damaged(*given: object) -> list[str]:
        facts, plan, readme = texts(*given)  # type: ignore[arg-type]
        return [facts.replace("schema_version", "schema"), plan, readme]

    monkeypatch.setattr(starting, "_texts", damaged)
    with pytest.raises(UsageError, match="모르는 키 'schema'"):
        begin(OURS, root=root)
    assert files(root) == set()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "우리"}, "이름표 '우리'.*영문자로 시작"),
        ({"id": "9th"}, "이름표 '9th'"),
        ({"id": "a/b"}, "이름표 'a/b'"),
        ({"id": "nic"}, "이미 있는 사업"),
        ({"name": " "}, "이름이 비어 있음"),
        ({"phases": ()}, "단계가 하나도 없음"),
        ({"regions": ("부산시",)}, "시·도 '부산시'.*부산"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(
    changes: dict[str, object], said: str, root: Path
) -> None:
    with pytest.raises(UsageError, match=said):
        begin(asked(**changes), root=root)
    assert files(root) == set()


def test_an_id_that_another_plan_has_is_refused(root: Path) -> None:
    (root / "plans").mkdir()
    (root / "plans" / "other.yml").write_text("id: ours\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"other\.yml 도 씀"):
        begin(OURS, root=root)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["2020-2018"], "거꾸로"),
        (["20-21"], "읽을 수 없음"),
        (["2018-2020", "2020-2022"], "2단계.*겹치거나 앞섬"),
        (["2021", "2018"], "겹치거나 앞섬"),
        (["1800-1801"], "1990–2100 밖"),
    ],
)
def test_bad_years_are_refused(written: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_phases(written)


def test_years_are_read_as_people_write_them() -> None:
    assert parse_phases(["2018-2020", " 2021–2022 ", "2023"]) == ((2018, 2020), (2021, 2022), (2023, 2023))


def test_outside_a_project_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="notebooks"):
        begin(OURS, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


# -- the command ----------------------------------------------------------------------------------------


def run(root: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["new", "programme", "--root", str(root), *words])
    return result.exit_code, result.output


def test_the_command_writes_three_files(root: Path) -> None:
    code, said = run(
        root, "--id", "ours", "--name", "우리 사업", "--phase", "2018-2020", "--phase", "2021-2022",
        "--kind", "firms", "--region", "부산", "--folder", str(root / "elsewhere"),
    )  # fmt: skip
    assert code == 0, said
    assert files(root) == {"plans/ours.facts.yml", "plans/ours.yml", "elsewhere/README.md"}
    assert load_plan(root / "plans" / "ours.yml").data.folder == "../elsewhere"
    assert "evalkit plan check plans/ours.yml" in said


def test_a_programme_of_one_province_is_told_what_cannot_be_inferred(root: Path) -> None:
    given = ["--name", "우리", "--phase", "2018-2020", "--kind", "firms", "--region", "부산"]
    code, said = run(root, "--id", "one", *given)
    assert (code, "부산 한 곳이라" in said) == (0, True), said
    assert "처치 군집이 하나뿐" in (root / "plans" / "one.yml").read_text(encoding="utf-8")
    code, said = run(root, "--id", "two", *given, "--region", "대구")
    assert (code, "한 곳이라" in said) == (0, False), said
    assert "처치 군집이 하나뿐" not in (root / "plans" / "two.yml").read_text(encoding="utf-8")


def test_an_answer_that_cannot_be_used_is_asked_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(
        [
            "우리",
            "NIC",
            "ours",
            "",
            "우리 사업",
            "Ours",
            "",
            "2020-2018",
            "2018-2020",
            "firms",
            "부산시",
            "부산",
        ]
    )
    monkeypatch.setattr(sys.modules["evalkit.cli.new"], "_at_terminal", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    code, said = run(root)
    assert code == 0, said
    assert next(answers, None) is None
    for words in (
        "'우리' 을(를) 쓸 수 없음",
        "이미 있는 사업임",
        "이름이 비어 있음",
        "거꾸로임",
        "부산 (으)로 적을 것",
    ):
        assert words in said
    assert read_programme(root / "plans" / "ours.facts.yml").regions == ("부산",)


@pytest.mark.parametrize("left_out", ["--id", "--name", "--phase", "--kind"])
def test_without_a_terminal_a_missing_flag_is_named(left_out: str, root: Path) -> None:
    given = {"--id": "ours", "--name": "우리", "--phase": "2018-2020", "--kind": "firms"}
    pairs = [word for flag, value in given.items() if flag != left_out for word in (flag, value)]
    code, said = run(root, *pairs)
    assert (code, f"{left_out} 이(가) 빠짐" in said) == (2, True), said
    assert files(root) == set()


def test_at_a_terminal_the_questions_are_asked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[str] = iter(
        ["ours", "우리 사업", "Our programme", "", "2018-2020, 2021-2022", "regions", "부산, 대구"]
    )
    monkeypatch.setattr(sys.modules["evalkit.cli.new"], "_at_terminal", lambda: True)
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    code, said = run(root)
    assert code == 0, said
    assert next(answers, None) is None
    programme = read_programme(root / "plans" / "ours.facts.yml")
    assert (programme.regions, len(programme.phases), programme.ministry) == (("부산", "대구"), 2, "")


def test_a_fact_file_is_no_plan(root: Path) -> None:
    facts = begin(OURS, root=root)[0]
    assert is_fact_file(facts)
    with pytest.raises(UsageError, match=r"계획이 아니라.*ours\.yml"):
        load_plan(facts)


def test_an_error_in_a_fact_file_names_its_line(root: Path) -> None:
    facts = begin(OURS, root=root)[0]
    text = facts.read_text(encoding="utf-8")
    line = next(n for n, row in enumerate(text.splitlines(), start=1) if row.startswith("name:"))
    facts.write_text(text.replace("\nname:", "\nnaem:"), encoding="utf-8")
    with pytest.raises(UsageError, match=rf"{line}행.*'naem'.*name"):
        read_programme(facts)


def test_the_commented_examples_of_the_fact_file_hold_when_uncommented(root: Path) -> None:
    facts = begin(OURS, root=root)[0]
    rows = []
    for row in facts.read_text(encoding="utf-8").splitlines():
        example = row.startswith("# ") and (
            row[2:].rstrip().endswith(":") or row.startswith(("#   ", "# budgets", "# targets"))
        )
        rows.append(row[2:] if example and "일자리, en: Jobs" not in row and "# targets" not in row else row)
    facts.write_text("\n".join(rows) + "\n", encoding="utf-8")
    programme = read_programme(facts)
    assert programme.phase(1).budgets["national"].number == 120
    assert programme.phase(1).outcomes["jobs"].number == 85
    assert programme.logic.inputs[0].text["ko"] == "국비 120억원"


# -- a walk -----------------------------------------------------------------------------------------------


def test_a_walk_with_the_simulated_world(root: Path) -> None:
    _, plan, _ = begin(OURS, root=root)
    small = plan.read_text(encoding="utf-8").replace("firms: 2000", "firms: 800")
    plan.write_text(small, encoding="utf-8")
    study = Study.open(plan)
    assert study.simulated
    effect = study.effect("jobs", 1)
    row = effect.row(0.95)
    assert effect.n_treated > 30
    assert row["conf_low"] < row["estimate"] < row["conf_high"]
    assert study.programme.name_ko == "우리 사업"


def test_a_walk_with_indicators_alone(root: Path) -> None:
    _, plan, readme = begin(asked(kind="indicators"), root=root)
    (readme.parent / "2021.csv").write_text("지표,연도,값,출처\njobs,2019,12,결산\n", encoding="utf-8")
    (one,) = Study.open(plan).watched
    assert one.series.observed == {2019: 12.0}
