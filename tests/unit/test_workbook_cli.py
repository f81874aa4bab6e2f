"""From a workbook to its tables by the command line: guess, edit one file, check; and nothing secret in what is written."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner, Result
from workbook_layouts import CHOICES, Layout, write
from workbook_truth import KEY, truth

from evalkit import simulate, strict_yaml
from evalkit.cli import cli
from evalkit.ingest import read_source
from evalkit.ingest.table import Repair
from evalkit.ingest.workbook.guessing import guess
from evalkit.ingest.workbook.mapped import read_mapped
from evalkit.ingest.workbook.mapping import read_mapping
from evalkit.ingest.workbook.writing import mapping_text, scalar, scalar_in_list

TRUTH = truth()


def layout(**changes: object) -> Layout:
    return Layout(**{**{name: values[0] for name, values in CHOICES.items()}, **changes})


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["ingest", *map(str, arguments)])


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    (written,) = write(layout(words="asked", unit_place="none"), TRUTH, tmp_path)
    return written.path


def test_guess_edit_check(workbook: Path) -> None:
    done = run("guess", workbook)
    assert done.exit_code == 0, done.output
    mapping = workbook.with_name("성과조사_1단계.map.yml")
    text = mapping.read_text(encoding="utf-8")
    assert "performance_projects (과제현황): 시트 과제현황, 열 12개를 제안, 물음 4개" in done.output
    assert "읽지 않는 시트 표지" in done.output
    count = text.count("???") - 1  # the head speaks of them once
    assert f"다음: 성과조사_1단계.map.yml 의 '???' {count}곳에 답하고" in done.output
    refused = run("check", workbook, "--map", mapping)
    assert refused.exit_code == 2
    assert f"고칠 곳 {count}곳" in refused.stderr
    with pytest.raises(Exception, match=r"아직 정하지 않음 \(\?\?\?\)"):
        read_mapped(workbook, mapping, key=KEY)
    mapping.write_text(_edited(text), encoding="utf-8")
    checked = run("check", workbook, "--map", workbook.parent)
    assert checked.exit_code == 0, checked.output + checked.stderr
    assert "표 4개를 모두 읽음" in checked.output
    assert "행: 읽은 31 → 쓴 27" in checked.output
    assert "소계·합계 행 -2" in checked.output
    assert len(read_source("performance_survey", workbook, key=KEY, options={"mapping": str(mapping)})) == 4


def _edited(text: str) -> str:
    """What an analyst does in an editor, line by line."""
    for header, column in (
        ("수행 기업체", "firm_name"), ("사업비 > 국가지원액", "national_grant_krw"), ("유치 형태", "kind"),
        ("특허(출원+등록)", "patents"), ("논문 편수(SCI)", "papers"),
    ):  # fmt: skip
        text = re.sub(rf"(      {re.escape(header)}:\n        column: )\?\?\?", rf"\g<1>{column}", text)
    text = re.sub(r"      project_id: \?\?\?\n", "", text).replace(
        "    columns:\n", "    columns:\n      고유번호: project_id\n", 3
    )
    text = text.replace("고유번호, ", "").replace(", 고유번호", "")
    text = text.replace("    constants:\n      # 물음: 과제 번호", "      # 물음: 과제 번호")
    return re.sub(r"unit: \?\?\?", "unit: 천원", text)


def test_a_mapping_file_is_never_overwritten(workbook: Path) -> None:
    out = workbook.parent / "내것.map.yml"
    out.write_text("손으로 고친 것", encoding="utf-8")
    refused = run("guess", workbook, "--out", out)
    assert refused.exit_code == 2
    assert (
        "열 대응 파일이 이미 있음. → --out 으로 다른 이름을 적거나, 덮어쓰려면 --force 를 붙일 것."
        in refused.stderr
    )
    assert out.read_text(encoding="utf-8") == "손으로 고친 것"
    assert run("guess", workbook, "--out", out, "--force").exit_code == 0
    assert out.read_text(encoding="utf-8").startswith("# 열 대응 파일: 성과조사_1단계.xlsx")
    assert not list(workbook.parent.glob(".map-*"))
    lost = run("guess", workbook, "--out", workbook.parent / "없음" / "x.yml")
    assert lost.exit_code == 2
    assert "폴더가 없음" in lost.stderr


def test_show_lists_sheets_headers_and_units(tmp_path: Path) -> None:
    (written,) = write(layout(unit="백만원", hidden=True), TRUTH, tmp_path)
    done = run("show", written.path)
    assert done.exit_code == 0
    assert re.search(
        r"과제현황: \d+행 × 19열, 숨긴 행 2개, 병합 \d+곳\n  머리글 3–4행, 단위: 백만원, 명\n    연번\n",
        done.output,
    )
    assert "    사업비 > 국비\n" in done.output
    assert "기업유치" in done.output


def test_tables_and_schema_are_printed() -> None:
    assert "performance_attracted  기업유치" in run("tables").output
    assert (
        "  project_id  과제 번호, 꼭 필요함. 머리글: 과제번호, 과제코드"
        in run("tables", "performance_outcomes").output
    )
    assert "비슷한 이름: performance_outcomes" in run("tables", "performance_outcome").stderr
    assert '"TableMapping"' in run("schema").output


def test_the_tables_of_a_source_are_listed() -> None:
    done = run("tables", "performance_survey")
    assert [line.split()[0] for line in done.output.splitlines()] == [
        "performance_projects", "performance_outcomes", "performance_firm_years", "performance_attracted"
    ]  # fmt: skip
    assert run("tables", "deflator").output.startswith("deflator: ")
    assert "비슷한 이름: performance_survey" in run("tables", "performance_surve").stderr


def test_a_proposal_names_its_schema_and_what_else_may_be_said(workbook: Path) -> None:
    book = workbook.with_name("성과 (최종).xlsx")
    workbook.rename(book)
    plans = book.parent / "plans" / "mappings"
    plans.mkdir(parents=True)
    done = run("guess", book, "--out", plans / "기관 A.map.yml")
    assert f"곳에 답하고 evalkit ingest check '{book}' --map '{plans / '기관 A.map.yml'}'" in done.output
    text = (plans / "기관 A.map.yml").read_text(encoding="utf-8")
    assert "yaml-language-server" not in text
    (plans.parent / "mapping.schema.json").write_text("{}", encoding="utf-8")
    assert run("guess", book, "--out", plans / "기관 A.map.yml", "--force").exit_code == 0
    text = (plans / "기관 A.map.yml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../mapping.schema.json\n")
    for word in ("rows: ", "header_rows: ", "constants: ", "categories: ", "leave_sheets: "):
        assert re.search(rf"^# .*{word}", text, re.MULTILINE)


def test_the_package_gives_guess_and_read_mapped() -> None:
    from evalkit.ingest import workbook as package

    assert (package.guess, package.read_mapped) == (guess, read_mapped)
    with pytest.raises(AttributeError, match="gess"):
        _ = package.gess


def test_faults_of_files_are_sentences(tmp_path: Path, workbook: Path) -> None:
    assert "파일이 없음" in run("guess", tmp_path / "없음.xlsx").stderr
    assert "열 대응 파일이 없음" in run("check", workbook, "--map", tmp_path / "없음.yml").stderr
    (tmp_path / "b.map.yml").write_text(
        "schema_version: 1\ntables:\n  - {table: deflator, columns: {가: year, 나: index}}\n"
    )
    wrong = run("check", workbook, "--map", tmp_path / "b.map.yml")
    assert wrong.exit_code == 3
    assert "어느 시트에 있는지 적지 않음" in wrong.stderr
    assert "표 1개 가운데 1개를 읽지 못함" in wrong.stderr
    empty = tmp_path / "메모.csv"
    empty.write_text("오늘,할 일\n회의,보고\n", encoding="utf-8")
    done = run("guess", empty)
    assert done.exit_code == 0
    assert "아는 표를 찾지 못함" in done.stderr
    assert "tables 이(가) 비어 있음" in run("check", empty, "--map", tmp_path / "메모.map.yml").stderr


@pytest.mark.parametrize("words", CHOICES["words"])
@pytest.mark.parametrize("arrangement", CHOICES["arrangement"])
def test_nothing_of_a_firm_stands_in_a_mapping(tmp_path: Path, words: str, arrangement: str) -> None:
    (written,) = write(layout(words=words, arrangement=arrangement, header="one"), TRUTH, tmp_path)
    text = mapping_text(guess(written.path))
    bare = re.sub(r"[-\s,]", "", text)
    for row in (*TRUTH.projects, *TRUTH.attracted):
        assert row["number"] not in bare
        assert re.sub(r"\W", "", row["firm_name"]) not in re.sub(r"\W", "", text)
        for name in ("address", "project_name", "project_id", "from_address"):
            assert str(row.get(name, "???!")) not in text
    assert not re.search(r"\d{3}-?\d{2}-?\d{5}", text.split("schema_version")[1])


def test_a_header_that_holds_a_number_is_named_by_its_column(tmp_path: Path) -> None:
    number = TRUTH.projects[0]["number"]
    path = tmp_path / "물가.csv"
    path.write_text(f"연도,지수,담당 {number}\n2019,99.5,가\n2020,100,나\n", encoding="utf-8")
    text = mapping_text(guess(path))
    assert number not in text
    assert "leave:\n      ['@C']" in text
    mapping = tmp_path / "물가.map.yml"
    mapping.write_text(text.replace("leave:\n      ['@C']", "") + "      '@C': remark\n", encoding="utf-8")
    lines = mapping.read_text(encoding="utf-8").replace("    \n", "")
    mapping.write_text(lines, encoding="utf-8")
    (table,) = read_mapped(path, mapping)
    assert table.frame["remark"].tolist() == ["가", "나"]


@pytest.mark.parametrize(
    "text",
    ["a: b", "# 국비", "[표]", "'국비'", "- 항목", "No", "2018", "3:40", "{x}", "a, b", "@x", "*별", "&표", "", "줄\n바꿈", "???", "~", "한\x07글"],
)  # fmt: skip
def test_any_text_of_a_sheet_is_a_key(text: str) -> None:
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    value, _ = strict_yaml.load_with_lines(f"{scalar(text)}: x\nlist: [{scalar_in_list(text)}, y]")
    assert value == {plain: "x", "list": [plain, "y"]}
    assert yaml.safe_load(scalar(text)) is not None


def test_the_simulated_world_reads_the_same_by_its_guess(tmp_path: Path) -> None:
    """Workbooks of three phases and a public file of each kind: by declaration and by guessed mapping, frame for frame."""
    raw = simulate.write(simulate.world(5, firms=500), tmp_path / "raw", tmp_path / "truth").raw
    files = [("performance_survey", path, 0) for path in sorted((raw / "성과조사").glob("*.xlsx"))]
    files += [
        ("employment_insurance", next((raw / "고용보험").glob("*2016*")), 0),
        ("national_pension", next((raw / "국민연금").glob("*2017*")), 0),
        ("firm_financials", next((raw / "재무").glob("*")), 0),
        ("zones", next((raw / "지정고시").glob("*지구.csv")), 0),
        ("zones", next((raw / "지정고시").glob("*지구거리.csv")), 1),  # when its codes were in use
        ("deflator", next((raw / "물가").glob("*")), 0),
    ]
    for source, path, questions in files:
        found = guess(path)
        assert found.questions == questions
        mapping = tmp_path / "a.map.yml"
        mapping.write_text(
            mapping_text(found).replace("region_year: ???", "region_year: 2018"), encoding="utf-8"
        )
        assert read_mapping(mapping)
        declared = read_source(source, path, key=KEY)
        mapped = read_source(source, path, key=KEY, options={"mapping": str(mapping)})
        assert len(declared) == len(mapped)
        for one, other in zip(declared, mapped, strict=True):
            pd.testing.assert_frame_equal(one.frame, other.frame)
            assert one.flow == other.flow
            assert [_done(repair) for repair in one.repairs] == [_done(repair) for repair in other.repairs]


def _done(repair: Repair) -> tuple[object, ...]:
    """A repair but for the name of its column: a mapping names the whole header."""
    return repair.kind, repair.row, repair.before, repair.after, repair.count
