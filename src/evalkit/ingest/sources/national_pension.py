"""국민연금 가입 사업장 내역 (국민연금공단, monthly): 22 columns; only six digits of the 사업자등록번호, so names link.

Three spellings of the header are known: Korean (leading blanks, or dots for blanks), the older English one (DATA_CRT_YM …)
and the fields of the open API (dataCrtYm …). Cautions travel with the table as notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from evalkit.errors import FileError, ValueProblem, nearest
from evalkit.ingest.files import RawFile
from evalkit.ingest.linking.keys import LINK_COLUMNS, with_link_columns
from evalkit.ingest.packed import naming_the_zip, raw_files
from evalkit.ingest.reading import read_table
from evalkit.ingest.sources.exact_repeats import without_exact_repeats
from evalkit.ingest.sources.fields import sorted_paths
from evalkit.ingest.sources.pension_regions import with_region_codes
from evalkit.ingest.table import ColumnSpec, Repair, Table, TableSpec

_NO_DATE = ("0001-01-01", "00010101", "1-01-01", "10101", "10101.0", "00000000", "0")

SPEC = TableSpec(
    name="national_pension",
    title="국민연금 가입 사업장",
    row_meaning="한 달에 국민연금에 가입한 사업장 하나",
    columns=(
        ColumnSpec("month", ("자료생성년월", "자료생성연월", "DATA_CRT_YM"), "month", "자료 생성 연월", nullable=False),
        ColumnSpec("firm_name", ("사업장명", "WKPL_NM"), "name", "사업장 이름", nullable=False),
        ColumnSpec("head_key", ("사업자등록번호", "BZOWR_RGST_NO"), "number_head", "사업자등록번호 앞 여섯 자리를 열쇠로 암호화한 값", with_head=True),
        ColumnSpec("status", ("사업장가입상태코드 1 등록 2 탈퇴", "사업장가입상태코드", "WKPL_JNNG_STCD"), "category", "가입 상태", categories=(("1", "joined"), ("2", "left"), ("1.0", "joined"), ("2.0", "left"), ("등록", "joined"), ("탈퇴", "left")), required=False),
        ColumnSpec("region", ("고객법정동주소코드", "법정동주소코드", "법정동코드", "CUST_LDONG_ADDR_CD", "LDONG_ADDR_CD"), "region", "사업장 시·군·구 (2018년 기준 코드)", region_date="month"),
        ColumnSpec("entity", ("사업장형태구분코드 1 법인 2 개인", "사업장형태구분코드", "WKPL_STYL_DVCD"), "category", "법인·개인", categories=(("1", "corporation"), ("2", "individual"), ("1.0", "corporation"), ("2.0", "individual"), ("법인", "corporation"), ("개인", "individual")), required=False),
        ColumnSpec("industry", ("사업장업종코드", "WKPL_INTP_CD"), "code", "국민연금 업종코드(6자리, KSIC 아님)", required=False),
        ColumnSpec("industry_name", ("사업장업종코드명", "VLDT_VL_KRN_NM"), "text", "업종 이름", required=False),
        ColumnSpec("joined", ("적용일자", "ADPT_DT"), "date", "가입일", required=False, null_values=_NO_DATE),
        ColumnSpec("reregistered", ("재등록일자", "RRGST_DT"), "date", "탈퇴했다가 다시 등록한 날", required=False, null_values=_NO_DATE),
        ColumnSpec("left", ("탈퇴일자", "SCSN_DT"), "date", "탈퇴일", required=False, null_values=_NO_DATE),
        ColumnSpec("members", ("가입자수", "JNNGP_CNT"), "integer", "가입자 수", unit="명", minimum=0, nullable=False),
        ColumnSpec("premium", ("당월고지금액", "CRRMM_NTC_AMT"), "number", "당월 고지금액(공개 파일의 단위는 원)", unit="원", minimum=0, required=False),
        ColumnSpec("acquired", ("신규취득자수", "NW_ACQZR_CNT"), "integer", "신규 취득자 수", unit="명", minimum=0, required=False),
        ColumnSpec("lost", ("상실가입자수", "LSS_JNNGP_CNT"), "integer", "상실 가입자 수", unit="명", minimum=0, required=False),
    ),
)  # fmt: skip

CAUTIONS = (
    "60세 이상은 가입자에서 빠짐",
    "신규취득·상실에는 납부재개·납부예외가 들어 있어 채용·퇴직과 다름",
    "고지금액에는 기준소득월액 상한이 있음",
    "사업자등록번호는 앞 여섯 자리뿐이라 이름·지역과 함께 연결함",
    "개인 사업장과 가입자 3명 미만 법인은 공개되지 않는 달이 있음: 파일에서 사라진 것이 폐업은 아님",
    "주소는 도로 이름까지라 필지를 정할 수 없음",
)


def read(
    path: str | Path, *, key: bytes = b"", repeats: Literal["drop", "keep", "error"] = "drop", **options: Any
) -> list[Table]:
    """One monthly file, or a ZIP of several.

    Parameters
    ----------
    key : secret under which names and digits are hashed
    repeats : what rows that say the same in every cell do: only the first is used (the flow says so), all are, or stop
    options : of `read_table`; ``invalid_region`` is "follow" unless told, for registers keep codes long out of use. A code
        that cannot be read is taken from the three partial codes, else from the address (logged)

    Returns
    -------
    One table a month; frame: `keys.LINK_COLUMNS`, ``month, members, premium, industry, industry_name, status, entity,
    reregistered, left, acquired, lost, source_row``. Names stay behind. ``notes["same_keys"]``: rows that share name, six
    digits, region and joining day with another (they may be one workplace or twins; none is dropped).

    Raises
    ------
    ValueProblem : no key, or as `read_table`
    FileError : as `packed.raw_files`
    """
    path = Path(path)
    if not key:
        raise ValueProblem(
            "사업장 이름을 암호화할 열쇠가 없음",
            where=(path.name,),
            remedy="key 에 평가자만 아는 열쇠를 줄 것",
        )
    tables = []
    for raw in raw_files(path):
        with naming_the_zip(path, raw):
            tables.append(_one(raw, key, repeats, options))
    return tables


def _one(raw: RawFile, key: bytes, repeats: str, options: dict[str, Any]) -> Table:
    options = {"invalid_region": "follow", **options}
    completed: RawFile = raw
    repairs: tuple[Repair, ...] = ()
    if "mapping" not in options:  # a mapping says itself which column is the region
        completed, repairs = with_region_codes(raw, SPEC, options.get("sheet"))
    table = read_table(completed, SPEC, key=key, **options)
    table = table.with_frame(table.frame, repairs=repairs)
    table = without_exact_repeats(table, raw, repeats)
    frame = with_link_columns(table.frame, names="firm_name", key=key, joined="joined")
    shared = frame.duplicated(["name_key", "head_key", "region", "joined", "status"], keep=False)
    return table.with_frame(frame, cautions=CAUTIONS, same_keys=int(shared.sum()))


def read_months(
    paths: str | Path | Iterable[str | Path],
    *,
    key: bytes,
    columns: Sequence[str] | None = None,
    **options: Any,
) -> Iterator[Table]:
    """Monthly files one after another, so that only one is in memory at a time.

    Parameters
    ----------
    paths : files, read in the order of their names
    key : secret of the hashes
    columns : the columns of the frame to keep; all without it
    options : as `read`

    Raises
    ------
    FileError : two files are the same, or hold the same month
    UsageError : a column that the frame does not have
    """
    seen: dict[str, str] = {}
    for path in sorted_paths(paths):
        for table in read(path, key=key, **options):
            months = [str(month)[:7] for month in table.frame["month"].unique()]
            for mark in (table.sha256, *months):
                if mark in seen:
                    same = "내용이 똑같은 파일임" if mark == table.sha256 else f"같은 달({mark})의 파일임"
                    raise FileError(
                        f"{seen[mark]} 와(과) {same}", where=(table.file,), remedy="둘 가운데 하나를 지울 것"
                    )
                seen[mark] = table.file
            yield table if columns is None else _narrow(table, columns)


def _narrow(table: Table, columns: Sequence[str]) -> Table:
    for name in columns:
        if name not in table.frame:
            raise ValueProblem(
                f"국민연금 표에 열 {name!r} 이(가) 없음",
                where=table.where(),
                remedy=nearest(name, table.frame.columns),
            )
    return table.with_frame(table.frame[list(columns)])


def is_header_of_pension_file(labels: list[str]) -> bool:
    """Whether a list of headers is that of the public file, leading blanks or dots notwithstanding."""
    bare = {re.sub(r"[\W_]+", "", label).lower() for label in labels}
    return {"자료생성년월", "사업장명", "가입자수"} <= bare or {"datacrtym", "wkplnm", "jnngpcnt"} <= bare


__all__ = [
    "CAUTIONS",
    "LINK_COLUMNS",
    "SPEC",
    "is_header_of_pension_file",
    "read",
    "read_months",
]
