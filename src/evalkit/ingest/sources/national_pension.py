"""국민연금 가입 사업장 내역 (국민연금공단, monthly): 22 columns; only six digits of the 사업자등록번호, so names link.

Cautions (they travel with the table as notes): people of 60 and over are not counted, 신규취득·상실 include returns and
suspensions of payment and so are not hires and quits, the monthly premium is capped, the 업종코드 has six digits and is not
a KSIC code, and addresses stop at the road name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import ValueProblem
from evalkit.ingest.columns import hash_text
from evalkit.ingest.reading import read_table
from evalkit.ingest.sources.fields import normalised_names
from evalkit.ingest.table import ColumnSpec, Table, TableSpec

_NO_DATE = ("0001-01-01", "00010101", "1-01-01")

SPEC = TableSpec(
    name="national_pension",
    title="국민연금 가입 사업장",
    row_meaning="한 달에 국민연금에 가입한 사업장 하나",
    columns=(
        ColumnSpec("month", ("자료생성년월", "DATA_CRT_YM"), "month", "자료 생성 연월", nullable=False),
        ColumnSpec("firm_name", ("사업장명", "WKPL_NM"), "name", "사업장 이름", nullable=False),
        ColumnSpec(
            "number_head",
            ("사업자등록번호", "BZOWR_RGST_NO"),
            "code",
            "사업자등록번호 앞 여섯 자리",
            digits=6,
        ),
        ColumnSpec(
            "status",
            ("사업장가입상태코드 1 등록 2 탈퇴", "사업장가입상태코드"),
            "category",
            "가입 상태",
            categories=(("1", "joined"), ("2", "left")),
            required=False,
        ),
        ColumnSpec(
            "region",
            ("고객법정동주소코드", "법정동주소코드", "법정동코드"),
            "region",
            "사업장 시·군·구 (2018년 기준 코드)",
            region_date="month",
        ),
        ColumnSpec(
            "entity",
            ("사업장형태구분코드 1 법인 2 개인", "사업장형태구분코드"),
            "category",
            "법인·개인",
            categories=(("1", "corporation"), ("2", "individual")),
            required=False,
        ),
        ColumnSpec(
            "industry", ("사업장업종코드",), "code", "국민연금 업종코드(6자리, KSIC 아님)", required=False
        ),
        ColumnSpec("industry_name", ("사업장업종코드명",), "text", "업종 이름", required=False),
        ColumnSpec("joined", ("적용일자",), "date", "가입일", required=False, null_values=_NO_DATE),
        ColumnSpec("left", ("탈퇴일자",), "date", "탈퇴일", required=False, null_values=_NO_DATE),
        ColumnSpec(
            "members", ("가입자수", "JNNGP_CNT"), "integer", "가입자 수", unit="명", minimum=0, nullable=False
        ),
        ColumnSpec(
            "premium",
            ("당월고지금액", "CRRMM_NTC_AMT"),
            "number",
            "당월 고지금액(공개 파일의 단위는 원)",
            unit="원",
            minimum=0,
        ),
        ColumnSpec(
            "acquired",
            ("신규취득자수", "NW_ACQZR_CNT"),
            "integer",
            "신규 취득자 수",
            unit="명",
            minimum=0,
            required=False,
        ),
        ColumnSpec(
            "lost",
            ("상실가입자수", "LSS_JNNGP_CNT"),
            "integer",
            "상실 가입자 수",
            unit="명",
            minimum=0,
            required=False,
        ),
    ),
)

CAUTIONS = (
    "60세 이상은 가입자에서 빠짐",
    "신규취득·상실에는 납부재개·납부예외가 들어 있어 채용·퇴직과 다름",
    "고지금액에는 기준소득월액 상한이 있음",
    "사업자등록번호는 앞 여섯 자리뿐이라 이름·지역과 함께 연결함",
)


def read(path: str | Path, *, key: bytes = b"", **options: Any) -> list[Table]:
    """One monthly file.

    Frame: ``month, name_key, region, members, premium, industry, joined, left, status, entity, acquired, lost, source_row``;
    `name_key` is a keyed hash of the normalised name, the six digits and the region. Names stay behind.
    """
    if not key:
        raise ValueProblem(
            "사업장 이름을 암호화할 열쇠가 없음",
            where=(Path(path).name,),
            remedy="key 에 평가자만 아는 열쇠를 줄 것",
        )
    options.setdefault("invalid_region", "follow")  # registers keep codes that went out of use years ago
    table = read_table(path, SPEC, key=key, **options)
    frame = table.frame
    text = pd.Series(normalised_names(frame["firm_name"]), dtype="object")
    text = (
        text
        + "|"
        + frame["number_head"].astype("object").fillna("")
        + "|"
        + frame["region"].astype("object").fillna("")
    )
    codes, distinct = pd.factorize(text)
    hashed = np.array([hash_text(label, key) for label in distinct], dtype=object)
    frame = frame.drop(columns=["firm_name", "number_head"])
    frame.insert(1, "name_key", pd.Series(hashed[codes], dtype="str"))
    return [table.with_frame(frame, cautions=CAUTIONS)]


def is_header_of_pension_file(labels: list[str]) -> bool:
    """Whether a list of headers is that of the public file, leading blanks or dots notwithstanding."""
    bare = {re.sub(r"[\W_]+", "", label) for label in labels}
    return {"자료생성년월", "사업장명", "가입자수", "당월고지금액"} <= bare
