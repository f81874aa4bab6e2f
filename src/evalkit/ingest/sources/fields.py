"""Column declarations that several sources share, and what their readers do alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from evalkit.errors import ValueProblem
from evalkit.ingest.table import ColumnSpec, Table

PHASE_VALUES: tuple[tuple[str, str], ...] = tuple(
    (written, str(number))
    for number in (1, 2, 3)
    for written in (f"{number}단계", str(number), f"{number}차", f"{number}기")
)

PHASE = ColumnSpec(
    "phase",
    ("단계", "사업단계", "추진단계", "차수"),
    "category",
    "사업 단계(1–3)",
    categories=PHASE_VALUES,
    nullable=False,
)
FIRM_ID = ColumnSpec(
    "firm_id",
    ("사업자등록번호", "사업자번호", "사업자 등록번호", "BRN"),
    "business_number",
    "사업자등록번호를 열쇠로 암호화한 기업 식별자",
    nullable=False,
)
FIRM_NAME = ColumnSpec(
    "firm_name",
    (
        "기업명",
        "업체명",
        "회사명",
        "상호",
        "상호명",
        "수행기업",
        "수행기업명",
        "참여기업명",
        "기관명",
        "사업장명",
    ),
    "name",
    "기업 이름",
    nullable=False,
)
INDUSTRY = ColumnSpec(
    "industry",
    (
        "업종코드",
        "표준산업분류",
        "표준산업분류(10차)",
        "업종코드(KSIC)",
        "업종코드(10차)",
        "산업분류코드",
        "KSIC",
        "KSIC10",
    ),
    "code",
    "한국표준산업분류 코드",
    required=False,
)


def changed(column: ColumnSpec, **changes: Any) -> ColumnSpec:
    """A shared declaration with some attributes changed."""
    return replace(column, **changes)


def year_in_name(path: Path) -> int | None:
    """The last year that a file name speaks of: ``고용보험_20191231.csv`` → 2019, ``panel_2010_2024.csv`` → 2024."""
    stem = unicodedata.normalize("NFC", path.stem)
    found = re.findall(r"(?<!\d)((?:19|20)\d{2})(?:(?:0[1-9]|1[0-2])(?:[0-3]\d)?)?(?!\d)", stem)
    return int(found[-1]) if found else None


def file_year(path: Path, year: int | None) -> int:
    """The year of a file: as told, else from its name.

    Raises
    ------
    ValueProblem : neither says it
    """
    found = year_in_name(path) if year is None else int(year)
    if found is None:
        raise ValueProblem(
            "파일이 어느 해의 자료인지 알 수 없음",
            where=(path.name,),
            remedy="파일 이름을 '…_20231231' 처럼 고칠 것",
        )
    return found


def with_integer_phase(table: Table) -> Table:
    """The phase as an integer 1, 2, 3."""
    frame = table.frame.copy()
    frame["phase"] = frame["phase"].astype("int64")
    return table.with_frame(frame)


def sorted_paths(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    """A file, or several in the order of their names."""
    return [Path(paths)] if isinstance(paths, str | Path) else sorted(Path(path) for path in paths)
