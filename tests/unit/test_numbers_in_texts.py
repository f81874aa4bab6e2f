"""Numbers of firms typed where words belong: masked while reading, in messages, in what is kept; persons stop the audit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evalkit.errors import DisclosureError, EvalkitError, SchemaError, ValueProblem
from evalkit.ingest import ColumnSpec, TableSpec, leaks, read_table
from evalkit.ingest.audit import audit_file
from evalkit.ingest.identifiers import corporate_check_digit, texts_without_numbers, without_numbers
from evalkit.ingest.store import TableStore
from evalkit.ingest.table import Repair

FIRM, PLAIN = "124-81-00998", "1248100998"
CORPORATE = "110111123456" + str(corporate_check_digit("110111123456"))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"(주)한빛 {FIRM}", "(주)한빛 124-**-*****"),
        (f"한빛{PLAIN}명", "한빛124-**-*****명"),
        ("한빛 124 – 81 – 00998", "한빛 124-**-*****"),
        ("한빛 １２４－８１－００９９８", "한빛 124-**-*****"),
        (f"한빛 {PLAIN}.0", "한빛 124-**-*****.0"),
        (f"법인 {CORPORATE[:6]}-{CORPORATE[6:]}", "법인 110***-*******"),
        (f"법인 {CORPORATE}", "법인 110***-*******"),
        ("124-81-00997", "124-81-00997"),
        (f"9{PLAIN}", f"9{PLAIN}"),
        (f"{PLAIN}7", f"{PLAIN}7"),
        (f"{PLAIN}.25", f"{PLAIN}.25"),
        ("2019-12-31 031-124-8100", "2019-12-31 031-124-8100"),
    ],
)
def test_a_number_inside_a_text_is_masked(text: str, masked: str) -> None:
    assert without_numbers(text) == masked


def test_projects_with_ten_digits_keep_their_numbers() -> None:
    projects = np.array([f"17110{k:05d}" for k in range(200)], dtype=object)
    assert any(without_numbers(text) != text for text in projects)  # by chance
    assert texts_without_numbers(projects) is projects or (texts_without_numbers(projects) == projects).all()
    among = np.array([*projects, f"한빛 {PLAIN}", FIRM], dtype=object)
    assert texts_without_numbers(among)[-2:].tolist() == ["한빛 124-**-*****", "124-**-*****"]
    assert texts_without_numbers(np.array([PLAIN], dtype=object)).tolist() == ["124-**-*****"]
    assert texts_without_numbers(np.array([PLAIN, FIRM], dtype=object), codes=True).tolist() == [
        PLAIN,
        "124-**-*****",
    ]


SPEC = TableSpec(
    "firms",
    "기업",
    "기업 하나",
    (
        ColumnSpec("firm_name", ("기업명",), "name", "이름"),
        ColumnSpec("project", ("과제명",), "text", "과제"),
        ColumnSpec("size", ("규모",), "category", "규모", categories=(("중소", "small"),), required=False),
        ColumnSpec("staff", ("종업원수",), "integer", "종업원", unit="명", required=False),
        ColumnSpec("year", ("연도",), "year", "연도", required=False),
        ColumnSpec("region", ("소재지",), "region", "지역", required=False),
        ColumnSpec("day", ("지원일",), "date", "날", required=False),
    ),
)


def test_names_with_numbers_are_read_masked_and_told(tmp_path) -> None:
    path = tmp_path / "기업.csv"
    path.write_text(
        f"기업명,과제명,{FIRM} 메모\n(주)한빛 {FIRM},가 {PLAIN},x\n나라,법인 {CORPORATE},y\n",
        encoding="utf-8",
    )
    table = read_table(path, SPEC)
    assert table.frame["firm_name"].tolist() == ["(주)한빛 124-**-*****", "나라"]
    told = [(r.column, r.row, r.count) for r in table.repairs if r.kind == "글 속의 사업자등록번호를 가림"]
    assert told == [("기업명", 2, 1), ("과제명", 2, 2)]
    seen = f"{table.frame} {table.repairs} {dict(table.notes)}"
    assert not leaks.search(seen, [FIRM, CORPORATE])
    store = TableStore(tmp_path / "kept", code="c")
    store.tables("firms", path, {}, b"k", lambda file: [read_table(file, SPEC)])
    assert not leaks.search_folder(tmp_path / "kept", [FIRM, CORPORATE])
    assert not leaks.search_folder(tmp_path / "kept")


@pytest.mark.parametrize("header", ["규모", "종업원수", "연도", "소재지", "지원일"])
@pytest.mark.parametrize("text", [FIRM, f"{PLAIN}명명", f"사업자 {FIRM} 번지", f"사업자 {PLAIN} 번지"])
def test_no_message_shows_a_number(tmp_path, header: str, text: str) -> None:
    path = tmp_path / f"기업 {FIRM}.csv"
    path.write_text(f"기업명,과제명,{header}\n가,나,{text}\n", encoding="utf-8")
    with pytest.raises(ValueProblem) as caught:
        read_table(path, SPEC, year=2018)
    assert not leaks.search(f"{caught.value} {caught.value.where} {caught.value.problem}", [FIRM])


def test_headers_and_repairs_show_no_number(tmp_path) -> None:
    path = tmp_path / "기업.csv"
    path.write_text(f"기업명,과제 {PLAIN},연도,규모\n가,나,2018,중소\n", encoding="utf-8")
    with pytest.raises(SchemaError) as caught:
        read_table(path, SPEC)
    assert not leaks.search(str(caught.value), [FIRM])
    assert Repair("f", "", 1, f"열 {PLAIN}", "k", FIRM, f"{PLAIN}.0").before == "124-**-*****"


def test_every_error_masks_numbers_by_their_form() -> None:
    error = EvalkitError(
        "값 124-81-00999", where=("기업 124-81-00999.xlsx",), remedy="900101-1234567 을 지울 것"
    )
    assert str(error) == "[기업 124-**-*****.xlsx] 값 124-**-*****. → 900***-******* 을 지울 것."


def test_the_search_opens_what_the_store_writes(tmp_path) -> None:
    words = np.frombuffer(f'["가 {FIRM}", "나"]'.encode(), dtype=np.uint8)
    np.savez_compressed(tmp_path / "a.npz", **{"0.0.words": words})
    assert [(leak.kind, leak.count) for leak in leaks.search_folder(tmp_path)] == [(leaks.BUSINESS, 1)]
    assert leaks.search_folder(tmp_path, [FIRM])


def test_the_store_refuses_a_number_among_words(tmp_path) -> None:
    path = tmp_path / "기업.csv"
    path.write_text("기업명,과제명\n가,나\n", encoding="utf-8")
    table = read_table(path, SPEC)
    table = table.with_frame(pd.DataFrame({"firm_name": pd.Series([f"가 {FIRM}"], dtype="str")}))
    store = TableStore(tmp_path / "kept", code="c")
    with pytest.raises(DisclosureError, match="열 firm_name") as caught:
        store.tables("firms", path, {}, b"k", lambda _: [table])
    assert "124" not in str(caught.value)
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("number", ["900101-1234568", "900101-1234567"])
def test_the_audit_refuses_persons(tmp_path, number: str) -> None:
    path = tmp_path / "기업.csv"
    rows = "\n".join(f"{k}번,2019,{k * 3},{number if k == 7 else ''}" for k in range(1, 30))
    path.write_text(f"기업명,연도,매출액,주민등록번호\n{rows}\n", encoding="utf-8")
    with pytest.raises(DisclosureError, match="8행 > 열 주민등록번호") as caught:
        audit_file(path)
    assert "900101" not in str(caught.value)
