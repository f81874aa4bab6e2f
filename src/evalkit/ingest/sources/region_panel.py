"""시·군·구 × year panel: population, active businesses, 국민연금 members, trade, product.

Its known breaks are declared in `evalkit.ingest.breaks`; the faults that such collections have shown
are looked for by `evalkit.ingest.audit`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import ValueProblem
from evalkit.ingest.reading import read_table
from evalkit.ingest.regions import Date, city_of, sido_of, to_base
from evalkit.ingest.sources.fields import year_in_name
from evalkit.ingest.table import ColumnSpec, Repair, Table, TableSpec


def _count(name: str, meaning: str, *aliases: str, unit: str = "명") -> ColumnSpec:
    return ColumnSpec(
        name, (name, *aliases), "number", meaning, unit=unit, minimum=0, required=False, null_values=("nan",)
    )


SPEC = TableSpec(
    name="region_panel",
    title="시·군·구 패널",
    row_meaning="한 시·군·구의 한 해",
    key=("code", "year"),
    columns=(
        ColumnSpec("code", ("code", "시군구코드", "행정구역코드"), "code", "시·군·구 코드(파일의 기준 시점)", digits=5, nullable=False),
        ColumnSpec("sido", ("sido", "시도"), "text", "시·도 이름(파일의 기준 시점)", required=False),
        ColumnSpec("sigungu", ("sigungu", "시군구", "시군구명"), "text", "시·군·구 이름", required=False),
        ColumnSpec("year", ("year", "연도", "기준연도"), "year", "연도", nullable=False),
        _count("population", "주민등록 인구(12월 31일)", "인구", "주민등록인구"),
        _count("nts_biz_total", "국세청 가동사업자", "가동사업자", unit="개"),
        _count("nts_biz_corp", "국세청 가동 법인", "법인사업자", unit="개"),
        _count("nts_biz_indiv", "국세청 가동 개인사업자", "개인사업자", unit="개"),
        _count("nts_biz_general", "일반 과세자", "일반사업자", unit="개"),
        _count("nts_biz_simplified", "간이 과세자", "간이사업자", unit="개"),
        _count("nts_biz_exempt", "면세 사업자", "면세사업자", unit="개"),
        _count("nps_members", "국민연금 사업장 가입자", "국민연금가입자", "가입자수"),
        _count("nps_workplaces", "국민연금 사업장", "국민연금사업장", unit="개"),
        _count("nps_premium_krw", "국민연금 고지금액", "고지금액", unit="원"),
        ColumnSpec("nps_month", ("nps_month",), "text", "국민연금 자료의 달", required=False),
        _count("export_kusd", "수출", "수출액", unit="천달러"),
        _count("import_kusd", "수입", "수입액", unit="천달러"),
        _count("grdp_nominal_mkrw", "지역내총생산(명목)", unit="백만원"),
        _count("grdp_real2015_mkrw", "지역내총생산(2015년 가격)", unit="백만원"),
        _count("digital_firms", "디지털 기업(정보통신업 등 정한 업종의 사업장)", "디지털기업수", "디지털기업", unit="개"),
        _count("digital_jobs", "디지털 기업의 상시근로자", "디지털고용", "디지털종사자수"),
        _count("estab_census", "전국사업체조사 사업체(2010·2015·2020)", "사업체수", unit="개"),
    ),
)  # fmt: skip


def read(path: str | Path, *, key: bytes = b"", year: Date | None = None, **options: Any) -> list[Table]:
    """One panel; its codes are of one date for all years: `year`, else the last year in the file's name.

    Frame: ``region`` (2018, city level), ``sido_2018`` and the columns of the file.

    Raises
    ------
    ValueProblem : a code not in use at that date, a region × year twice, or a city beside its own districts
    """
    del key
    path = Path(path)
    at: Date | None = year_in_name(path) if year is None else year
    table = read_table(path, SPEC, **options)
    if at is None:
        at = int(table.frame["year"].max())
    frame = table.frame
    codes, distinct = pd.factorize(frame["code"].astype("object"))
    _no_city_beside_its_districts(table, [str(code) for code in distinct])
    base = np.array([_base(table, str(code), at) for code in distinct], dtype=object)
    region = base[codes]
    moved = region != frame["code"].to_numpy(dtype=object)
    repairs: tuple[Repair, ...] = ()
    if moved.any():
        first = int(np.flatnonzero(moved)[0])
        repairs = (
            Repair(
                table.file, table.sheet, int(frame["source_row"].iloc[first]), "code", "지역 코드를 2018년 기준으로 바꿈",
                str(frame["code"].iloc[first]), str(region[first]), int(moved.sum()),
            ),
        )  # fmt: skip
    frame = frame.copy()
    frame.insert(0, "region", pd.Series(region, dtype="str"))
    frame.insert(1, "sido_2018", pd.Series(sido_of(region), dtype="str"))
    return [table.with_frame(frame, repairs=repairs, code_date=str(at))]


def _base(table: Table, code: str, at: Date) -> str:
    """2018 code of one code, or an error at its first row."""
    try:
        return str(to_base([code], at, level="city")[0])
    except ValueProblem as problem:
        row = int(table.frame.loc[table.frame["code"] == code, "source_row"].iloc[0])
        raise ValueProblem(problem.problem, where=table.where(row, "code"), remedy=problem.remedy) from None


def _no_city_beside_its_districts(table: Table, codes: list[str]) -> None:
    """A city's own row and the rows of its 일반구 hold the same people twice."""
    double = sorted({city_of(code) for code in codes if city_of(code) != code} & set(codes))
    if double:
        row = int(table.frame.loc[table.frame["code"] == double[0], "source_row"].iloc[0])
        raise ValueProblem(
            f"시와 그 일반구의 행이 함께 있어 두 번 셈함: {', '.join(double)}",
            where=table.where(row, "code"),
            remedy="시 전체의 행이나 구의 행 가운데 한쪽만 남길 것",
        )
