"""Files and declared tables under audit: the columns that are found, the lists that are written, the command and the page."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import small_study
from click.testing import CliRunner

from evalkit.cli import cli
from evalkit.errors import FileError, SchemaError, ValueProblem
from evalkit.ingest import read_source
from evalkit.ingest.audit import (
    Finding,
    Row,
    audit_file,
    audit_table,
    audit_tables,
    place_words,
    tables,
    write_findings,
)
from evalkit.ingest.audit.columns import read_column
from evalkit.ingest.audit.kinds import is_sensitive, kind_by_name
from evalkit.ingest.identifiers import business_check_digit
from evalkit.ingest.regions import municipalities
from evalkit.study.audit import describe_findings
from evalkit.study.pages import audit as page

CODES = municipalities(2018, level="city")["code"].tolist()[:24]
TODAY = dt.date(2026, 6, 1)


def panel(codes=CODES, years=range(2014, 2021)) -> pd.DataFrame:
    """시·군·구 × year in Korean headers, as a file would have it."""
    rows = []
    for i, code in enumerate(codes):
        for t, year in enumerate(years):
            people = 2 * round(
                5_000 * (1 + 7 * i % 24) * np.exp(0.01 * t + 0.01 * np.sin(1.7 * i + 2.3 * t + 0.9 * i * t))
            )
            rows.append(
                (
                    code,
                    "서울" if code[:2] == "11" else "부산",
                    year,
                    people + (i + t) % 2,
                    101 + 7 * i + t,
                    301 + 4 * i + 2 * t,
                )
            )
    return pd.DataFrame(
        rows, columns=["시군구코드", "시도", "연도", "인구", "법인사업자", "개인사업자"]
    ).assign(가동사업자=lambda f: f["법인사업자"] + f["개인사업자"])


def written(folder: Path, frame: pd.DataFrame, name: str = "panel_2014_2018.csv") -> Path:
    path = folder / name
    frame.to_csv(path, index=False)
    return path


def checks(findings: tuple[Finding, ...]) -> set[tuple[str, str]]:
    return {(f.check, f.severity) for f in findings}


# -- files ----------------------------------------------------------------------------------------------------


def test_the_columns_of_a_file_are_found_and_told(tmp_path):
    (finding,) = audit_file(written(tmp_path, panel()), today=TODAY)
    assert (finding.check, finding.severity) == ("columns_read", "hint")
    assert (
        finding.sentence
        == "단위는 시군구코드, 기간은 연도, 값은 4개 열로 읽음: 인구, 법인사업자, 개인사업자, 가동사업자"
    )


def test_columns_may_be_named(tmp_path):
    path = written(tmp_path, panel())
    (finding,) = audit_file(path, unit=["시군구코드"], period="연도", values=["인구"], today=TODAY)
    assert "값은 1개 열" in finding.sentence
    with pytest.raises(SchemaError, match=r"열 '인규' 이\(가\) 파일에 없음"):
        audit_file(path, values=["인규"])


@pytest.mark.parametrize("form", ["cp949", "xlsx", "title", "dots"])
def test_a_fault_is_found_in_any_form_of_the_file(tmp_path, form):
    frame = panel()
    frame.loc[frame["연도"] == 2017, "인구"] *= 2
    path = tmp_path / "panel.csv"
    first = 2
    if form == "cp949":
        frame.to_csv(path, index=False, encoding="cp949", sep="\t")
    elif form == "xlsx":
        path = tmp_path / "panel.xlsx"
        frame.to_excel(path, index=False)
    elif form == "title":
        path = tmp_path / "panel.xlsx"
        book = openpyxl.Workbook()
        book.active.append(["시군구 통계"])
        book.active.append(["(단위: 명, 개)"])
        book.active.append(list(frame.columns))
        for row in frame.itertuples(index=False):
            book.active.append([v if isinstance(v, str) else int(v) for v in row])
        book.save(path)
        first = 4
    else:
        frame.astype({"시군구코드": float, "인구": str}).assign(인구=lambda f: f["인구"].map(lambda t: f"{int(t):,}")).to_csv(path, index=False)  # fmt: skip
    (finding,) = [f for f in audit_file(path, today=TODAY) if f.severity != "hint"]
    assert finding.check == "scaled_period"
    assert [row.source_row for row in finding.rows[:2]] == [first + 3, first + 10]
    assert finding.rows[0].unit == CODES[0]


def test_one_column_a_year_is_read_as_one_row_a_year(tmp_path):
    wide = panel().pivot(index="시군구코드", columns="연도", values="인구").reset_index()
    wide.loc[5, 2017] *= 1000
    wide.columns = [f"{c}년" if isinstance(c, int) else c for c in wide.columns]
    found = audit_file(written(tmp_path, wide), today=TODAY)
    finding = next(f for f in found if f.check == "outlier")
    assert [(r.source_row, r.unit, r.period) for r in finding.rows] == [(7, CODES[5], "2017")]


def test_two_columns_make_a_unit_where_names_repeat(tmp_path):
    frame = panel().drop(columns="시군구코드")
    frame["시도"] = np.repeat(["서울", "부산"], len(frame) // 2)
    frame["시군구명"] = np.tile(np.repeat([f"{c}구" for c in "가나다라마바사아자차카타"], 7), 2)
    found = audit_file(written(tmp_path, frame), today=TODAY)
    assert "단위는 시도 + 시군구명" in next(f for f in found if f.check == "columns_read").sentence
    assert checks(found) == {("columns_read", "hint")}


def test_a_series_without_units(tmp_path):
    frame = pd.DataFrame({"year": range(2000, 2021), "cpi_2020": np.linspace(70, 100, 21).round(2), "ppi_2015": np.linspace(85, 105, 21).round(2)})  # fmt: skip
    found = audit_file(written(tmp_path, frame), today=TODAY)
    assert "단위는 없음(모든 행이 하나)" in next(f for f in found if f.check == "columns_read").sentence
    assert {f.check for f in found} == {"columns_read", "index_base"}


def test_words_in_columns_of_numbers_and_a_row_that_breaks_off(tmp_path):
    frame = panel().astype({"인구": object})
    frame.loc[10, "인구"] = "확인중"
    path = written(tmp_path, frame)
    found = audit_file(path, today=TODAY)
    finding = next(f for f in found if f.check == "unreadable")
    assert [(r.source_row, r.value) for r in finding.rows] == [(12, "확인중")]
    path.write_text(path.read_text(encoding="utf-8") + "41590,경기", encoding="utf-8")
    finding = next(f for f in audit_file(path, today=TODAY) if f.check == "cut_row")
    assert finding.severity == "fault"
    assert finding.rows[0].source_row == len(frame) + 2


def test_firms_are_masked_and_their_values_left_out(tmp_path):
    frame = panel().rename(columns={"시군구코드": "사업장명", "법인사업자": "가입자수"})[
        ["사업장명", "연도", "가입자수"]
    ]
    frame["사업장명"] = "주식회사한빛" + frame["사업장명"]
    frame.loc[5, "가입자수"] = -3
    found = audit_file(written(tmp_path, frame), today=TODAY)
    finding = next(f for f in found if f.check == "negative")
    (row,) = finding.rows
    assert (row.source_row, row.value, row.expected) == (7, None, None)
    assert "한빛" not in row.unit


def test_a_file_without_a_table(tmp_path):
    path = tmp_path / "note.csv"
    path.write_text("1,2\n3,4\n5,6\n", encoding="utf-8")
    with pytest.raises(FileError, match="머리글 행을 찾을 수 없음"):
        audit_file(path)
    book = openpyxl.Workbook()
    book.active.append(["빈 양식"])
    book.save(tmp_path / "empty.xlsx")
    with pytest.raises(FileError, match="표가 든 시트가 없음"):
        audit_file(tmp_path / "empty.xlsx")
    path.write_text("기간,비고\n2015,가\n2016,가\n2017,가\n", encoding="utf-8")
    with pytest.raises(FileError, match="수가 든 열도 단위를 적은 열도 없어"):
        audit_file(path)


def test_the_sheet_may_be_named(tmp_path):
    path = tmp_path / "book.xlsx"
    with pd.ExcelWriter(path) as book:
        panel().to_excel(book, sheet_name="첫째", index=False)
        panel().assign(인구=lambda f: -f["인구"]).to_excel(book, sheet_name="둘째", index=False)
    assert {f.check for f in audit_file(path, today=TODAY)} == {"columns_read"}
    assert "negative" in {f.check for f in audit_file(path, sheet="둘째", today=TODAY)}
    with pytest.raises(SchemaError, match="시트 '셋째' 이"):
        audit_file(path, sheet="셋째")


def test_a_column_is_numbers_dates_or_words():
    numbers = read_column(np.array(["1,234", "-", "", "△5", "12명", "7"], dtype=object))
    assert numbers.numbers is not None
    assert numbers.numbers[[0, 3, 4, 5]].tolist() == [1234.0, -5.0, 12.0, 7.0]
    assert np.isnan(numbers.numbers[[1, 2]]).all()
    dates = read_column(np.array(["2001-03-01", "0001-01-01", "2203.5.1"], dtype=object))
    assert dates.dates is not None
    assert np.datetime_as_string(dates.dates, "D")[[0, 2]].tolist() == ["2001-03-01", "2203-05-01"]
    assert np.isnat(dates.dates[1])
    words = read_column(np.array(["가", "나"], dtype=object))
    assert words.numbers is None
    assert words.dates is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("population", "count"), ("종업원수", "count"), ("매출액", "money"), ("영업이익", "signed"), ("고용률", "share"),
        ("매출액증가율", "growth"), ("소비자물가지수", "index"), ("ppi_2015_bok_mean", "index"), ("export_kusd", "money"),
        ("emp_rate_15plus", "share"), ("x", None),
    ],
)  # fmt: skip
def test_what_a_column_claims_to_be(name, kind):
    assert kind_by_name(name) == kind


@pytest.mark.parametrize(
    ("name", "firm"), [("사업장명", True), ("firm_id", True), ("sigungu", False), ("code", False)]
)
def test_which_units_are_firms(name, firm):
    assert is_sensitive(name) is firm


# -- declared tables --------------------------------------------------------------------------------------------


def test_a_declared_table_takes_its_columns_from_the_declaration(tmp_path):
    frame = panel()
    (table,) = read_source("region_panel", written(tmp_path, frame))
    assert audit_table(table, today=TODAY) == ()
    frame.loc[frame["연도"] == 2017, "인구"] *= 2
    frame.loc[3, "가동사업자"] += 5
    (table,) = read_source("region_panel", written(tmp_path, frame))
    found = audit_table(table, today=TODAY)
    assert checks(found) == {("scaled_period", "fault"), ("sums", "fault")}
    assert {f.variable for f in found} == {"population", "nts_biz_total"}


def _insured(folder: Path, year: int, last: int) -> Path:
    rows = []
    for i in range(30):
        nine = f"12481{i:04d}"
        rows.append(
            (
                f"가나{i}",
                "강원도 평창군 봉평면",
                f"{nine}{business_check_digit(nine)}",
                20 + 13 * i + (i * year) % 5 if i else last,
            )
        )
    frame = pd.DataFrame(rows, columns=["사업장명", "사업장주소", "사업자등록번호", "고용보험상시근로자수"])
    path = folder / f"고용보험_{year}1231.csv"
    frame.to_csv(path, index=False)
    return path


def test_files_of_one_table_are_looked_at_as_one(tmp_path, monkeypatch):
    paths = [
        _insured(tmp_path, year, 100_000 if year == 2017 else 100) for year in (2015, 2016, 2017, 2018, 2019)
    ]
    read = read_source("employment_insurance", paths, key=b"test key")
    (finding,) = [f for f in audit_tables(read, today=TODAY) if f.severity != "hint"]
    assert finding.check == "outlier"
    (row,) = finding.rows
    assert (row.file, row.source_row, row.value) == ("고용보험_20171231.csv", 2, None)
    assert row.unit.endswith("…")
    monkeypatch.setattr(tables, "MOST_ROWS", 10)
    alone = audit_tables(read, today=TODAY)
    assert [f.sentence for f in alone] == ["표가 커서 파일 5개를 하나씩 따로 점검함"]
    other = read_source("region_panel", written(tmp_path, panel()))
    with pytest.raises(ValueProblem, match="서로 다른 표를 하나로 점검할 수 없음"):
        audit_tables([*read, *other])
    assert audit_tables([]) == ()


def test_declared_breaks_travel_to_the_audit():
    assert [year for year, _ in tables.declared_breaks(None, ["estab_census"])["estab_census"]] == [2020]
    assert tables.declared_breaks("region_panel", ["population"]) == {}


# -- lists --------------------------------------------------------------------------------------------------------

FOUND = Finding(
    check="outlier", severity="suspicion", sentence="=HYPERLINK(1)", rows=(Row(5, "@x", "2016", "인구", 10.0, 2.0), Row(9, "-y", "2017", "인구", 7.5, None)),
    total=2, rule="할 일", score=0.75, variable="인구",
)  # fmt: skip


def test_a_place_in_a_line():
    assert place_words(FOUND.rows[0]) == "5행 @x 2016 인구 10 (예상 2)"
    assert place_words(Row(0, "", "", "인구")) == "인구"
    assert place_words(Row(3, file="가.csv")) == "가.csv 3행"


def test_lists_hold_text_and_never_formulas(tmp_path):
    write_findings([("=자료", FOUND)], tmp_path / "out.xlsx")
    book = openpyxl.load_workbook(tmp_path / "out.xlsx")
    assert book.sheetnames == ["찾은 것", "볼 행"]
    assert all(cell.data_type != "f" for sheet in book for row in sheet for cell in row)
    assert [c.value for c in book["볼 행"][2]] == [1, None, 5, "@x", "2016", "인구", 10, 2]
    write_findings([("=자료", FOUND)], tmp_path / "out.csv")
    text = (tmp_path / "out.csv").read_bytes().decode("utf-8-sig")
    lines = list(csv.reader(io.StringIO(text)))
    assert len(lines) == 3
    assert lines[1][0] == "'=자료"
    assert lines[2][8:] == ["", "9", "'-y", "2017", "인구", "7.5", ""]
    assert not any(cell.startswith(("=", "+", "@")) for line in lines for cell in line)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.csv", "out.xlsx"]


# -- the command --------------------------------------------------------------------------------------------------


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["audit", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_command_tells_faults_and_ends_with_three(tmp_path):
    path = written(tmp_path, panel())
    code, text = run(path)
    assert code == 0
    assert "panel_2014_2018.csv: 오류 0건, 의심 0건, 참고 1건" in text
    frame = panel()
    frame.loc[frame["연도"] == 2017, "인구"] *= 2
    path = written(tmp_path, frame)
    code, text = run(path, "--out", tmp_path / "found.xlsx")
    assert code == 3
    assert "[오류] 인구: 2017년 값이 통째로 2배로 적힌 것으로 보임 (모든 값이 짝수)" in text
    assert f"볼 곳: 5행 {CODES[0]} 2017 인구" in text
    assert "… (모두 24곳)" in text
    assert "할 일: 원자료를 확인하고" in text
    assert (tmp_path / "found.xlsx").is_file()
    assert run(path, "--warn-only")[0] == 0


def test_the_command_refuses_what_it_cannot_do(tmp_path):
    path = written(tmp_path, panel())
    code, text = run(path, "--out", tmp_path / "found.pdf")
    assert code == 2
    assert ".xlsx 나 .csv" in text
    code, text = run(path, "--data", tmp_path)
    assert code == 2
    assert "--data 는 계획을 점검할 때만" in text
    code, text = run(tmp_path / "plan.yml", "--unit", "code")
    assert code == 2
    assert "계획을 점검할 때는 열을 고를 수 없음" in text
    code, text = run(tmp_path / "none.csv")
    assert code == 3
    assert "파일이 없음" in text


# -- the page -------------------------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    def texts(study) -> str:
        found: list[str] = []
        monkeypatch.setattr("IPython.display.display", lambda item: found.append(item.html or str(item)))
        page.findings(study)
        return "\n".join(found)

    return texts


@pytest.mark.parametrize("lang", ["ko", "en"])
def test_the_page_tells_severity_rows_and_rule_in_words(tmp_path, shown, lang):
    frame = panel()
    frame.loc[frame["연도"] == 2017, "인구"] *= 2
    read = read_source("region_panel", written(tmp_path, frame))
    study = small_study.small_study(tmp_path, lang=lang)
    facts = {"panels": {}, "tables": [], "findings": describe_findings({"panel": read}, TODAY)}
    (tmp_path / "audit.json").write_text(json.dumps(facts), encoding="utf-8")
    text = shown(study)
    if lang == "ko":
        words = (
            "오류",
            "population: 2017년 값이 통째로 2배로",
            f"5행 ({CODES[0]} 2017)",
            "나눈다고 계획에",
            "시·군·구 패널",
        )
    else:
        words = ("fault", "all values of 2017 seem to be entered at 2 times", f"Row 5 ({CODES[0]} 2017)", "divided by 2", "Panel of municipalities")  # fmt: skip
    for word in words:
        assert word in text


def test_the_page_says_when_nothing_was_found(tmp_path, shown):
    assert "찾은 것이 없다." in shown(small_study.small_study(tmp_path))
