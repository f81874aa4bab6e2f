"""One amount over several rows belongs to nobody: filled down it would count as often as there are rows."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pytest

from evalkit.errors import DisclosureError, ValueProblem
from evalkit.ingest import read_table
from evalkit.ingest.sources.performance_survey import OUTCOMES

HEAD = ["과제번호", "기업명", "사업자등록번호", "신규고용", "사업화매출액(백만원)"]


def book(folder: Path, *merges: str) -> Path:
    sheet = (workbook := openpyxl.Workbook()).active
    assert sheet is not None
    sheet.title = "성과"
    sheet.append(HEAD)
    for row in (
        ["P1", "가온", "124-81-00998", 3, 100],
        ["P1", "나래", "116-82-00276", 4, 200],
        ["P2", "다솜", "124-81-00998", 5, 300],
    ):
        sheet.append(row)
    for span in merges:
        top = span.split(":")[0]
        for cells in sheet[span]:
            for cell in cells:
                if cell.coordinate != top:
                    cell.value = None
        sheet.merge_cells(span)
    path = folder / "성과조사_1단계.xlsx"
    workbook.save(path)
    return path


def test_an_amount_merged_over_rows_stops_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ValueProblem, match=r"수 한 칸이 2개 행\(2–3행\)") as caught:
        read_table(book(tmp_path, "E2:E3"), OUTCOMES, key=b"k")
    assert "2행" in caught.value.where
    assert "사업화매출액" in caught.value.where[-1]


def test_a_project_merged_over_its_rows_is_filled(tmp_path: Path) -> None:
    table = read_table(book(tmp_path, "A2:A3"), OUTCOMES, key=b"k")
    assert table.frame["project_id"].tolist() == ["P1", "P1", "P2"]
    assert table.frame["commercial_sales_million_krw"].tolist() == [100.0, 200.0, 300.0]


def test_a_firm_merged_with_its_own_total_keeps_it(tmp_path: Path) -> None:
    """One firm over two rows, name and amount merged alike: the amount is the firm's in both."""
    table = read_table(book(tmp_path, "B2:B3", "C2:C3", "E2:E3"), OUTCOMES, key=b"k")
    assert table.frame["commercial_sales_million_krw"].tolist() == [100.0, 100.0, 300.0]
    assert len(set(table.frame["firm_id"][:2])) == 1


def test_a_resident_number_on_a_sheet_that_nobody_reads_stops_the_file(tmp_path: Path) -> None:
    path = book(tmp_path)
    workbook = openpyxl.load_workbook(path)
    cover = workbook.create_sheet("표지", 0)
    cover["B3"] = "담당 900101-1234568"
    workbook.save(path)
    with pytest.raises(DisclosureError) as caught:
        read_table(path, OUTCOMES, key=b"k")
    assert "시트 표지" in caught.value.where
    assert "1234568" not in caught.value.sentence()
