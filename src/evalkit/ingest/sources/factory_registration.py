"""공장등록 현황 (한국산업단지공단 Factory-On, or a local office): registered plants with their exact address and 단지명.

The national file has some forty columns; local offices publish a few of them under headers of their own. A plant's address
and industrial complex tell in which zone it stands; persons are those of the registration, not of a month.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import PlanError, ValueProblem
from evalkit.ingest.files import RawFile
from evalkit.ingest.identifiers import hash_text
from evalkit.ingest.linking.keys import with_link_columns
from evalkit.ingest.packed import naming_the_zip, raw_files
from evalkit.ingest.reading import read_table
from evalkit.ingest.regions import Date
from evalkit.ingest.sources.fields import FIRM_ID, FIRM_NAME, changed, file_year
from evalkit.ingest.sources.plant_regions import with_plant_regions
from evalkit.ingest.table import ColumnSpec, Repair, Table, TableSpec

_NO_DATE = ("0001-01-01", "00010101", "00000000", "1900-01-01")
_REVISIONS = tuple((text, str(n)) for n in (8, 9, 10, 11) for text in (str(n), f"{n}차", f"제{n}차", f"{n}.0", f"KSIC{n}", f"{n}차 개정"))  # fmt: skip

SPEC = TableSpec(
    name="factory_registration",
    title="공장등록",
    row_meaning="등록된 공장 하나 (한 기업이 여러 공장을 가질 수 있음)",
    columns=(
        changed(FIRM_NAME, aliases=("회사명", "업체명", "상호명", "상호", "기업명", "사업장명", "공장명", "회사이름")),
        changed(FIRM_ID, required=False, nullable=True, with_head=True),
        ColumnSpec("factory_key", ("공장관리번호", "관리번호"), "text", "공장관리번호를 열쇠로 암호화한 공장 식별자", required=False),
        ColumnSpec("region", ("공장대표주소(도로명)", "공장대표주소 도로명", "소재지도로명주소", "도로명주소", "공장주소", "소재지", "공장대표주소", "주소"), "region", "공장 시·군·구 (2018년 기준 코드)"),
        ColumnSpec("written_address", ("주소 그대로",), "text", "공장 주소(쓴 그대로)", required=False),
        ColumnSpec("lot_address", ("공장대표주소(지번)", "공장대표주소 지번", "소재지지번주소", "지번주소"), "text", "지번 주소", required=False),
        ColumnSpec("sido", ("시도", "시도명", "광역시도"), "text", "시·도", required=False),
        ColumnSpec("sigungu", ("시군구", "시군구명"), "text", "시·군·구", required=False),
        ColumnSpec("complex", ("단지명", "산업단지명", "산단명"), "text", "산업단지", required=False),
        ColumnSpec("complex_building", ("지식산업센터명",), "text", "지식산업센터", required=False),
        ColumnSpec("office", ("관리기관", "관리기관명"), "text", "관리기관", required=False),
        ColumnSpec("plant_type", ("공장구분",), "text", "공장 구분", required=False),
        ColumnSpec("founding_type", ("설립구분",), "text", "설립 구분", required=False),
        ColumnSpec("tenancy", ("입주형태",), "text", "입주 형태", required=False),
        ColumnSpec("tenure", ("보유구분",), "text", "자가·임대", required=False),
        ColumnSpec("size", ("공장규모", "기업규모"), "text", "규모", required=False),
        ColumnSpec("approved", ("최초승인일", "승인일", "최초승인일자"), "date", "최초 승인일", required=False, null_values=_NO_DATE),
        ColumnSpec("joined", ("최초등록일", "최초등록일자", "공장등록일", "공장등록일자"), "date", "최초 등록일", required=False, null_values=_NO_DATE),
        ColumnSpec("registration", ("등록구분",), "text", "등록 구분", required=False),
        ColumnSpec("registered", ("등록일", "등록일자"), "date", "지금 등록의 날", required=False, null_values=_NO_DATE),
        *(
            ColumnSpec(name, aliases, "integer", meaning, unit="명", minimum=0, maximum=1_000_000, required=False)
            for name, aliases, meaning in (
                ("employees_men", ("종업원(남)", "종업원 남", "남자종업원", "남종업원수", "종업원수(남)", "남"), "남자 종업원"),
                ("employees_women", ("종업원(여)", "종업원 여", "여자종업원", "여종업원수", "종업원수(여)", "여"), "여자 종업원"),
                ("employees_foreign", ("종업원(외국인)", "종업원 외국인", "외국인종업원", "종업원수(외국인)", "외국인"), "외국인 종업원"),
                ("employees", ("종업원(합계)", "종업원 합계", "종업원수", "종업원", "종업원수(합계)", "종업원 계", "합계"), "종업원 합계"),
            )
        ),
        ColumnSpec("main_industry", ("대표업종", "대표업종코드"), "text", "대표 업종 코드", required=False),
        ColumnSpec("industries", ("업종코드", "업종번호", "표준산업분류코드"), "text", "업종 코드(여럿일 수 있음)", required=False),
        ColumnSpec("industry_name", ("업종명", "대표업종명", "업종"), "text", "업종 이름", required=False),
        ColumnSpec("ksic_revision", ("차수", "업종차수", "KSIC차수"), "category", "한국표준산업분류 차수", categories=_REVISIONS, required=False),
        ColumnSpec("product", ("생산품", "생산제품", "주생산품", "생산품목"), "text", "생산품", required=False),
        ColumnSpec("material", ("원자재", "원료", "주원자재"), "text", "원자재", required=False),
        ColumnSpec("land_use", ("용도지역",), "text", "용도지역", required=False),
        ColumnSpec("land_class", ("지목",), "text", "지목", required=False),
        ColumnSpec("site_area", ("용지면적", "부지면적"), "number", "용지 면적", unit="㎡", minimum=0, required=False),
        ColumnSpec("production_area", ("제조시설면적",), "number", "제조시설 면적", unit="㎡", minimum=0, required=False),
        ColumnSpec("auxiliary_area", ("부대시설면적",), "number", "부대시설 면적", unit="㎡", minimum=0, required=False),
        ColumnSpec("building_area", ("건축면적",), "number", "건축 면적", unit="㎡", minimum=0, required=False),
        ColumnSpec("head_office_region", ("법인주소", "본사주소", "본점주소"), "region", "법인의 시·군·구 (2018년 기준 코드)", required=False),
        ColumnSpec("parcels", ("필지수",), "integer", "필지 수", unit="필지", minimum=0, required=False),
    ),
)  # fmt: skip

_PARTS = ("employees_men", "employees_women", "employees_foreign")
CAUTIONS = (
    "종업원은 등록할 때 적은 수라 그 뒤의 인원과 다를 수 있음",
    "등록을 지우지 않은 문 닫은 공장이 남아 있을 수 있음",
    "등록 의무는 공장건축면적 500㎡ 이상인 공장에 있어 작은 공장은 빠질 수 있음",
)


def read(
    path: str | Path,
    *,
    key: bytes = b"",
    year: Date | None = None,
    conflict: Literal["total", "sum", "missing", "error"] = "total",
    keep_address: Literal["no", "yes"] = "no",
    province: str = "",
    **options: Any,
) -> list[Table]:
    """One file, or a ZIP of several.

    Parameters
    ----------
    key : secret of the hashes
    year : when the names of 시·군·구 were in use, "YYYY-MM" or a year; else the date in the file's name
    conflict : where 합계 differs from both 남 + 여 and 남 + 여 + 외국인: the total stands, the sum of the three does, the cell is
        missing, or stop; each is counted. A blank total is the sum of its parts
    keep_address : "yes" keeps ``written_address``, for whoever looks parcels of a zone up in it; it tells who the firm is
    province : the 시·도 of a local file whose addresses begin with the 시·군·구; it is put before them (counted)
    options : of `read_table`; ``invalid_region`` is "missing" unless told

    Returns
    -------
    One table a file; frame: `keys.LINK_COLUMNS` (``joined`` is 최초등록일, ``place_kind`` "plant" where the name says nothing
    else), ``factory_key, complex, employees, employees_men/_women/_foreign, industry`` (five digits of 대표업종, else of the first
    of 업종코드), ``industries`` (all, joined by «|»), ``ksic_revision`` (8–11), the other columns as declared, ``source_row``. The
    plant's 시·군·구 is that of its 도로명 address, else of its 지번 address, else of 시도 and 시군구.

    Raises
    ------
    ValueProblem : no key, no date, totals that differ (`conflict` "error"), or as `read_table`
    """
    path = Path(path)
    if conflict not in ("total", "sum", "missing", "error"):
        raise PlanError(
            f"옵션 conflict 에 쓸 수 없는 값 {conflict!r}",
            remedy="total, sum, missing, error 가운데 하나를 적을 것",
        )
    if not key:
        raise ValueProblem("공장 이름을 암호화할 열쇠가 없음", where=(path.name,), remedy="key 에 평가자만 아는 열쇠를 줄 것")  # fmt: skip
    tables = []
    for raw in raw_files(path):
        with naming_the_zip(path, raw):
            tables.append(_one(raw, key, year, conflict, keep_address == "yes", province, options))
    return tables


def _one(
    raw: RawFile,
    key: bytes,
    year: Date | None,
    conflict: str,
    keep_address: bool,
    province: str,
    options: dict[str, Any],
) -> Table:
    path = raw.path
    when = year if year is not None else file_year(path, None)
    options = {"invalid_region": "missing", **options}
    filled: RawFile = raw
    repairs: tuple[Repair, ...] = ()
    if "mapping" not in options:
        filled, repairs = with_plant_regions(raw, SPEC, when, province, options.get("sheet"))
    table = read_table(filled, SPEC, key=key, year=when, **options)
    table = table.with_frame(table.frame, repairs=repairs)
    frame, more = _persons(table, conflict)
    frame, codes = _industries(table, frame)
    frame["factory_key"] = pd.Series(_hashed(frame["factory_key"], key), dtype="str")
    if not keep_address:
        frame = frame.drop(columns=["written_address"])
    frame = frame.drop(columns=["lot_address", "sido", "sigungu", "main_industry"])
    frame = with_link_columns(frame, names="firm_name", key=key, joined="joined", default_place="plant")
    return table.with_frame(frame, repairs=(*more, *codes), cautions=CAUTIONS)


def _hashed(numbers: pd.Series[Any], key: bytes) -> NDArray[np.object_]:
    return np.array(
        [None if pd.isna(text) else hash_text(f"factory|{text}", key) for text in numbers], dtype=object
    )


def _persons(table: Table, conflict: str) -> tuple[pd.DataFrame, tuple[Repair, ...]]:
    """The total held against its parts: foreigners may or may not be among men and women, both add up."""
    frame = table.frame.copy()
    parts = frame[list(_PARTS)].to_numpy(dtype=np.float64)
    total = frame["employees"].to_numpy(dtype=np.float64)
    known = np.isfinite(parts[:, :2]).all(axis=1)
    foreign = np.nan_to_num(parts[:, 2])
    pair = parts[:, :2].sum(axis=1)
    blank = known & np.isnan(total)
    wrong = known & np.isfinite(total) & (total != pair) & (total != pair + foreign)
    repairs = []
    if blank.any():
        repairs.append(_repair(table, blank, "종업원 합계가 비어 남·여·외국인을 더함", "", f"{(pair + foreign)[blank][0]:g}"))  # fmt: skip
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        row = int(frame["source_row"].iloc[first])
        shown = f"남 {parts[first, 0]:g}, 여 {parts[first, 1]:g}, 외국인 {foreign[first]:g}, 합계 {total[first]:g}"
        if conflict == "error":
            raise ValueProblem(
                f"종업원 합계가 남·여·외국인의 합과 다름 ({shown}; 모두 {int(wrong.sum())}행)",
                where=table.where(row, "종업원(합계)"),
                remedy="원본을 고치거나, 계획에서 이 자료의 options 에 conflict: total·sum·missing 가운데 하나를 적을 것",
            )
        words = {"total": "합계를 씀", "sum": "남·여·외국인의 합을 씀", "missing": "빈 값으로 둠"}
        repairs.append(
            _repair(
                table,
                wrong,
                f"종업원 합계가 남·여·외국인의 합과 다름: {words[conflict]}",
                shown,
                words[conflict],
            )
        )
    total = np.where(blank, pair + foreign, total)
    if conflict != "total":
        total = np.where(wrong, pair + foreign if conflict == "sum" else np.nan, total)
    frame["employees"] = total
    return frame, tuple(repairs)


def _repair(table: Table, hit: NDArray[np.bool_], kind: str, before: str, after: str) -> Repair:
    row = int(table.frame["source_row"].to_numpy()[hit][0])
    return Repair(table.file, table.sheet, row, "종업원(합계)", kind, before, after, int(hit.sum()))


def _industries(table: Table, frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[Repair, ...]]:
    """One industry a plant: that named as main, else the first; all of them beside it."""
    main = frame["main_industry"].map(_codes, na_action="ignore")
    every = frame["industries"].map(_codes, na_action="ignore")
    chosen = np.array(
        [
            (m[0] if isinstance(m, list) and m else None) or (e[0] if isinstance(e, list) and e else None)
            for m, e in zip(main, every, strict=True)
        ],
        dtype=object,
    )
    several = np.array([isinstance(e, list) and len(e) > 1 for e in every], dtype=bool)
    joined = ["|".join(e) if isinstance(e, list) and e else None for e in every]
    out = frame.assign(
        industry=pd.Series(chosen, dtype="str", index=frame.index),
        industries=pd.Series(joined, dtype="str", index=frame.index),
        ksic_revision=pd.to_numeric(frame["ksic_revision"]),
    )
    if not several.any():
        return out, ()
    row = int(frame["source_row"].to_numpy()[several][0])
    first = np.flatnonzero(several)[0]
    kind = "업종이 여럿임: 대표업종(없으면 첫 업종)을 씀"
    return out, (
        Repair(table.file, table.sheet, row, "업종코드", kind, str(joined[first]), str(chosen[first]), int(several.sum())),
    )  # fmt: skip


def _codes(text: str) -> list[str]:
    """KSIC codes in a cell: «26110, 26121», «C26110», «26110.0»."""
    return re.findall(r"(?<!\d)\d{2,5}(?!\d)", re.sub(r"\.0+(?!\d)", "", text))
