"""Tables as values, their builders and their writers."""

from __future__ import annotations

import csv
import io
import json
import math
import zipfile
from dataclasses import dataclass
from html.parser import HTMLParser

import numpy as np
import openpyxl
import pandas as pd
import pytest

from evalkit.errors import UsageError
from evalkit.estimate import Estimate
from evalkit.present.ledgers import flow_table, from_frame, provenance_table, repairs_table, target_table
from evalkit.present.tables import balance_table, effects_table, estimates_table, event_study_table
from evalkit.present.tabulation import Column, Entry, Tabulation, Total, clean_text
from evalkit.present.writers.html import html_table
from evalkit.present.writers.spreadsheets import csv_bytes, safe_text, xlsx_bytes


def estimate_of(values: list[float], names: dict[str, list[object]], treated: int = 20) -> Estimate:
    """An Estimate with unit standard errors and normal intervals."""
    k = len(values)
    return Estimate(
        terms=pd.MultiIndex.from_arrays(list(names.values()), names=list(names)),
        values=np.array(values),
        covariance=np.eye(k),
        influence=None,
        cluster=np.arange(14),
        cluster_labels=np.arange(14),
        replicates=None,
        dof=np.inf,
        n_treated=np.full(k, treated),
        n_comparison=np.full(k, 100),
        method="test",
        inference="CV3",
        units=np.arange(14),
    )


def small() -> Tabulation:
    return Tabulation(
        name="jobs",
        title="시·도별 고용",
        columns=(
            Column("sido", "시·도"),
            Column("n", "지원 기업", "integer", "개사"),
            Column("sales", "매출", "number", "억원", 1, "성과"),
            Column("ci", "95% 신뢰구간", "interval", "", 1, "성과"),
            Column("share", "비중", "percent", "", 1),
        ),
        rows=(
            ("부산", 1200, -3.14, (-4.0, 2.5), 0.385),
            ("=HYPERLINK(1)", 2, None, None, math.nan),
        ),
        notes=("자료: <성과조사>",),
        marks={(0, 2): "†"},
    )


class Reader(HTMLParser):
    """Cells of a table, headers with their scope, and the caption."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[tuple[str, dict[str, str | None], str]] = []
        self.stack: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag in ("td", "th", "caption", "p"):
            self.cells.append((tag, dict(attrs), ""))
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.stack and self.stack[-1] == tag:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        if self.stack:
            tag, attrs, text = self.cells[-1]
            self.cells[-1] = (tag, attrs, text + data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


# -- the value --------------------------------------------------------------------------------------


def test_cells_are_written_by_their_column() -> None:
    table = small()
    shown = [[table.text(r, c) for c in range(5)] for r in range(2)]
    assert shown == [
        ["부산", "1,200", "−3.1†", "[−4.0, 2.5]", "38.5%"],
        ["=HYPERLINK(1)", "2", "–", "–", "–"],
    ]


def test_an_entry_is_written_its_own_way() -> None:
    table = Tabulation(
        "t",
        "",
        (Column("a", "가", "integer"), Column("b", "나", "integer")),
        ((Entry(0.0004, "p_value"), Entry(12.34, "number", 1, "명")), (2018, 3.0)),
    )
    assert table.text(0, 0) == "< 0.001"
    assert table.text(0, 1) == "12.3명"
    years = Tabulation("t", "", (Column("y", "연도", "year"),), ((2018,),))
    assert years.text(0, 0) == "2018"


def test_json_gives_the_same_table_back() -> None:
    table = Tabulation(
        name="all",
        title="가",
        columns=(Column("a", "가"), Column("b", "나", "number"), Column("c", "다", "interval")),
        rows=(
            ("x", math.inf, (-math.inf, 2.0)),
            ("계", Entry(3, "integer", 0, "명"), Entry((1.0, 2.0), "interval")),
        ),
        counts=(2, None),
        totals=(Total("row", 1, (0,)),),
        roles=("body", "total"),
        marks={(1, 1): "‡"},
        lang="en",
    )
    text = json.dumps(table.to_json(), allow_nan=False)
    assert Tabulation.from_json(json.loads(text)) == table


def test_counts_may_be_given_once_a_row() -> None:
    table = Tabulation(
        "t", "", (Column("a", "가"), Column("b", "나")), (("x", 1), ("y", 2)), counts=(5, np.int64(2))
    )  # type: ignore[arg-type]
    assert table.counts == ((5, 5), (2, 2))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "../x"}, "파일 이름"),
        ({"rows": (("부산",),)}, "칸 수"),
        ({"stub": 9}, "행 머리"),
        ({"counts": (1,)}, "기업 수의 행 수"),
        ({"roles": ("body",)}, "행 역할"),
        ({"totals": (Total("row", 7, (0,)),)}, "없는 행"),
        ({"lang": "fr"}, "언어"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(change: dict[str, object], problem: str) -> None:
    values = {name: getattr(small(), name) for name in ("name", "title", "columns", "rows", "stub")}
    with pytest.raises(UsageError, match=problem):
        Tabulation(**{**values, **change})  # type: ignore[arg-type]


def test_the_callers_frame_is_not_touched() -> None:
    frame = pd.DataFrame({"a": ["x"], "n": [5], "v": [1.5]})
    before = frame.copy()
    table = from_frame(frame, "t", "제목", counts="n")
    assert table.rows == (("x", 5, 1.5),)
    assert table.counts == ((5, 5, 5),)
    pd.testing.assert_frame_equal(frame, before)


# -- HTML -------------------------------------------------------------------------------------------


def test_html_has_caption_scopes_and_escaped_text() -> None:
    html = html_table(small())
    reader = read(html)
    scopes = [(attrs.get("scope"), text) for tag, attrs, text in reader.cells if tag == "th"]
    assert ("colgroup", "성과") in scopes
    assert ("col", "매출 (억원)") in scopes
    assert ("row", "=HYPERLINK(1)") in scopes
    assert all(scope for scope, _ in scopes)
    assert reader.cells[0][0] == "caption"
    assert reader.cells[0][2] == "시·도별 고용"
    assert "<성과조사>" not in html
    assert ("p", {}, "자료: <성과조사>") in reader.cells
    assert "script" not in reader.tags
    grouped = [attrs["colspan"] for tag, attrs, text in reader.cells if text == "성과"]
    assert grouped == ["2"]
    assert html.count("<colgroup span=") == 4


def test_headings_and_totals_are_marked_and_an_empty_table_says_so() -> None:
    table = Tabulation(
        "t",
        "",
        (Column("a", ""), Column("b", "값", "integer")),
        (("1단계", None), ("계", 3)),
        roles=("heading", "total"),
    )
    html = html_table(table)
    assert '<th scope="rowgroup" colspan="2">1단계</th>' in html
    assert '<tr class="total">' in html
    assert "<thead><tr><td></td>" in html  # an empty header heads nothing
    assert "해당하는 행이 없다" in html_table(Tabulation("t", "", (Column("a", "가"),), ()))


# -- CSV and Excel ----------------------------------------------------------------------------------


def test_csv_opens_in_korean_excel_with_numbers_as_numbers() -> None:
    content = csv_bytes(small())
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert rows[0] == [
        "시·도",
        "지원 기업 (개사)",
        "성과 · 매출 (억원)",
        "성과 · 매출 (억원) 표시",
        "성과 · 95% 신뢰구간 하한",
        "성과 · 95% 신뢰구간 상한",
        "비중",
    ]
    assert rows[1] == ["부산", "1200", "-3.14", "†", "-4", "2.5", "0.385"]
    assert rows[2] == ["'=HYPERLINK(1)", "2", "", "", "", "", ""]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "＝"])
def test_a_text_that_a_spreadsheet_would_run_is_quoted(start: str) -> None:
    assert safe_text(f"{start}1+1") == f"'{start}1+1"


def test_the_workbook_has_a_cover_numbers_and_no_formula() -> None:
    book = openpyxl.load_workbook(
        io.BytesIO(xlsx_bytes([small(), small()], title="=보고서", cover=[("계획", "@sha")]))
    )
    assert book.sheetnames == ["표지", "jobs", "jobs_2"]
    assert book["표지"]["A1"].value == "=보고서"
    sheet = book["jobs"]
    assert sheet["A4"].value == "부산"
    assert sheet["B4"].value == 1200
    assert sheet["C4"].value == -3.14
    assert sheet["B4"].number_format == "#,##0"
    assert sheet["C4"].number_format == '#,##0.0"†"'  # the mark is seen and the cell stays a number
    assert sheet["F4"].number_format == "0.0%"
    assert sheet["A5"].value == "=HYPERLINK(1)"
    assert sheet["A5"].quotePrefix
    assert sheet["A7"].value == "자료: <성과조사>"
    assert sheet.freeze_panes == "B4"
    assert {cell.data_type for s in book for line in s.iter_rows() for cell in line} <= {"s", "n"}


def test_the_same_tables_give_the_same_workbook() -> None:
    first, second = (xlsx_bytes([small()], title="가") for _ in range(2))
    assert first == second
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        core = archive.read("docProps/core.xml").decode()
    assert core.count("2000-01-01T00:00:00Z") == 2


def test_control_characters_do_not_stop_a_writer() -> None:
    bad = "가\x00나\x0b\ud800\ufffe"
    assert clean_text(bad) == "가�나���"
    table = Tabulation("t", bad, (Column("a", bad),), ((bad,),))
    assert "가�나" in html_table(table)
    assert csv_bytes(table)
    sheet = openpyxl.load_workbook(io.BytesIO(xlsx_bytes([table], title=bad)))["t"]
    assert sheet["A4"].value == "가�나���"


# -- builders ---------------------------------------------------------------------------------------


def test_the_event_study_table_shows_base_interval_band_and_counts() -> None:
    estimate = estimate_of([0.1, 1.5, 2.5], {"event_time": [-2, 0, 1]})
    band = np.array([[-3.0, 3.0], [-1.5, 4.5], [-0.5, 5.5]])
    table = event_study_table(estimate, band=band, unit="명", title="가")
    assert [row[0] for row in table.rows] == [-2, -1, 0, 1]
    keys = [column.key for column in table.columns]
    assert keys == ["event_time", "estimate", "interval", "band", "p_value", "n_treated", "n_comparison"]
    # 1.959964 is the 97.5 % point of the normal distribution
    assert table.text(2, 2) == "[−0.5, 3.5]"
    assert table.text(3, 3) == "[−0.5, 5.5]"
    assert table.rows[1][1] == 0.0
    assert table.text(1, 2) == "–"
    assert table.counts == ((20,) * 7, (None,) * 7, (20,) * 7, (20,) * 7)
    assert any("기준 시점" in note for note in table.notes)
    assert any("95%" in note for note in table.notes)
    assert event_study_table(estimate, firms=False).counts is None
    assert "90% 신뢰구간" in [c.label for c in event_study_table(estimate, level=0.9).columns]


def test_the_event_study_table_takes_frames_in_any_order_and_refuses_what_has_no_event_time() -> None:
    frame = pd.DataFrame(
        {
            "event_time": [1, -2, 0],
            "estimate": [2.5, 0.1, 1.5],
            "conf_low": [1.0, -1, 0],
            "conf_high": [4.0, 1, 3],
        }
    )
    band = frame.rename(columns={"conf_low": "band_low", "conf_high": "band_high"})
    table = event_study_table(frame, band=band)
    assert [row[:2] for row in table.rows] == [(-2, 0.1), (-1, 0.0), (0, 1.5), (1, 2.5)]
    with pytest.raises(UsageError, match="event_time"):
        event_study_table(frame.drop(columns="event_time").set_index(pd.Index(["a", "b", "c"])))
    with pytest.raises(UsageError, match="두 번"):
        event_study_table(pd.concat([frame, frame]))
    with pytest.raises(UsageError, match="conf_low"):
        event_study_table(frame.drop(columns="conf_low"))
    with pytest.raises(UsageError, match="크기"):
        event_study_table(frame, band=np.zeros((2, 2)))


def test_effects_by_cohort() -> None:
    table = effects_table(estimate_of([1.0, 2.0], {"cohort": [2018, 2019]}), unit="명")
    assert table.stub == 1
    assert [table.text(r, 0) for r in range(2)] == ["2018", "2019"]
    assert table.columns[0].label == "최초 지원 연도"
    named = effects_table(estimate_of([1.0], {"quantity": ["average"]}), labels={"average": "평균"})
    assert named.text(0, 0) == "평균"


def test_estimates_stand_side_by_side() -> None:
    one, two = estimate_of([1.5], {"term": ["a"]}), estimate_of([2.5], {"term": ["a"]}, treated=2)
    table = estimates_table({"고용": one, "매출": two}, units={"고용": "명", "매출": "억원"})
    assert [table.text(r, 1) for r in range(7)] == ["1.5", "[−0.5, 3.5]", "0.134", "20", "100", "14", "CV3"]
    assert table.columns[2].header == "매출 (억원)"
    assert table.counts is not None
    assert table.counts[0] == (None, 20, 2)
    assert table.counts[5] == (None, None, None)  # the number of clusters is no firm's
    grid = list(csv.reader(io.StringIO(csv_bytes(table).decode("utf-8-sig"))))
    assert [line[0] for line in grid[1:4]] == ["추정값", "95% 신뢰구간 하한", "95% 신뢰구간 상한"]
    assert float(grid[2][1]) == pytest.approx(1.5 - 1.959963984540054)
    with pytest.raises(UsageError, match="항이 2개"):
        estimates_table({"고용": estimate_of([1.0, 2.0], {"term": ["a", "b"]})})


def test_the_balance_table_marks_large_differences() -> None:
    frame = pd.DataFrame(
        {
            "mean_treated": [20.1, 3.0],
            "mean_comparison": [22.3, 3.0],
            "smd": [-0.12, 0.02],
            "variance_ratio": [1.1, 0.9],
            "n_treated": [2, 100],
            "n_comparison": [900, 900],
        },
        index=["jobs", "age"],
    )
    table = balance_table(frame, labels={"jobs": "고용"})
    assert [table.text(0, c) for c in range(5)] == ["고용", "20.1", "22.3", "−0.120†", "1.10"]
    assert table.text(1, 3) == "0.020"
    assert table.counts is not None
    assert table.counts[0] == (None, 2, 900, 2, 2, 2, 900)


def test_accounts_are_kept_in_fixed_layouts() -> None:
    flow = flow_table(
        [{"step": "읽은 행", "left": 10}, {"step": "표본", "left": 7, "dropped": 3, "reason": "휴업"}]
    )
    assert flow.rows == (("읽은 행", None, 10, ""), ("표본", 3, 7, "휴업"))
    assert flow.counts is None

    @dataclass
    class Repair:
        file: str = "a.xlsx"
        sheet: str = "총괄"
        row: int = 0
        column: str = "매출"
        kind: str = "unit"
        before: str = "천원"
        after: str = "백만원"
        count: int = 12

    repairs = repairs_table([Repair()], kinds={"unit": "단위 환산"})
    assert repairs.rows[0] == ("a.xlsx", "총괄", "매출", "단위 환산", 12, None, "천원 → 백만원")
    assert repairs_table([]).rows == ()
    targets = target_table(
        [{"indicator": "고용", "unit": "명", "target": 700, "actual": 649.5, "achievement": 0.927}]
    )
    assert [targets.text(0, c) for c in range(5)] == ["고용", "명", "700", "649.5", "92.7%"]
    facts = provenance_table({"계획": "abc", "빈칸": None})
    assert facts.rows == (("계획", "abc"), ("빈칸", ""))


def test_a_frame_needs_its_columns() -> None:
    frame = pd.DataFrame({"year": [2018, 2019], "v": [1.5, 2.0]})
    assert from_frame(frame, "t", "", counts=None).text(0, 0) == "2018"
    with pytest.raises(UsageError, match="열 w"):
        from_frame(frame, "t", "", counts=None, columns=[Column("w", "가")])
    with pytest.raises(UsageError, match="기업 수 열"):
        from_frame(frame, "t", "", counts="n")


def test_rows_under_a_heading_are_a_group_and_a_group_of_one_column_is_a_column() -> None:
    columns = (Column("a", "이름"), Column("b", "값", "number", group="하나"), Column("c", "값", group="둘"))
    rows = (("묶음 1", None, None), ("가", 1.0, "x"), ("묶음 2", None, None), ("나", 2.0, "y"))
    html = html_table(Tabulation("t", "표", columns, rows, roles=("heading", "body", "heading", "body")))
    assert [part.count("<tr") for part in html.split("<tbody>")[1:]] == [2, 2]
    assert html.count("<tbody>") == html.count("</tbody>") == 2
    assert '<th scope="col">하나</th>' in html
    assert "colgroup span" in html
    assert 'scope="colgroup"' not in html
    assert 'class="long"' not in html
    many = Tabulation("t", "표", columns[:2], tuple((f"{k}", float(k)) for k in range(15)))
    assert '<table class="long">' in html_table(many)
