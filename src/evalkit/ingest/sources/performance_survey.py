"""성과조사 workbook of one phase: sheets 과제현황, 성과, 기업유치.

What firms report of themselves. The same firm stands in each of its 과제 rows with the same firm-level sales and jobs, so
`deduplicate_firm_totals` must come before any sum; 사업화매출 exists for supported firms only and is a gross indicator; an
MOU is not a relocation. 성과조사 follows R&D for five years and 비R&D for two after support ends.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from evalkit.errors import SchemaError, ValueProblem
from evalkit.ingest.files import RawFile, read_raw
from evalkit.ingest.headers import find_header, normal
from evalkit.ingest.linking.keys import with_link_columns
from evalkit.ingest.reading import read_table
from evalkit.ingest.sheets import choose_sheet
from evalkit.ingest.sources.fields import FIRM_ID, FIRM_NAME, INDUSTRY, PHASE, changed
from evalkit.ingest.table import ColumnSpec, FlowStep, Repair, Table, TableSpec
from evalkit.ingest.workbook.location import mapping_for

TRACKS = (
    ("R&D", "rnd"), ("연구개발", "rnd"), ("RND", "rnd"), ("알앤디", "rnd"),
    ("비R&D", "non_rnd"), ("비RND", "non_rnd"), ("비연구개발", "non_rnd"), ("기업지원", "non_rnd"),
)  # fmt: skip
ROLES = (("주관", "lead"), ("주관기업", "lead"), ("주관기관", "lead"), ("참여", "partner"), ("참여기업", "partner"), ("참여기관", "partner"), ("공동", "partner"), ("위탁", "partner"))  # fmt: skip
KINDS = (
    ("본사이전", "headquarters"), ("본사", "headquarters"), ("이전", "headquarters"), ("지사", "branch"), ("지점", "branch"), ("지사설립", "branch"),
    ("연구소", "laboratory"), ("연구소설립", "laboratory"), ("연구소이전", "laboratory"), ("R&D센터", "laboratory"), ("공장", "plant"), ("공장설립", "plant"), ("공장이전", "plant"), ("공장신설", "plant"),
    ("MOU", "mou"), ("MOU체결", "mou"), ("업무협약", "mou"), ("투자협약", "mou"), ("협약", "mou"),
)  # fmt: skip

_PHASE = changed(PHASE, required=False, nullable=True)
_PROJECT = ColumnSpec(
    "project_id", ("과제번호", "과제코드", "과제 ID", "관리번호"), "text", "과제 번호", nullable=False
)
_SIDO = ColumnSpec(
    "sido", ("시도", "시·도", "지역", "광역시도", "사업지역"), "text", "사업 시·도", required=False
)

PROJECTS = TableSpec(
    name="performance_projects",
    title="과제현황",
    row_meaning="한 과제에 든 한 기업",
    sheets=("과제현황", "과제 현황", "과제목록", "지원과제", "과제"),
    key=("project_id", "firm_id"),
    columns=(
        _PHASE,
        _PROJECT,
        ColumnSpec("project_name", ("과제명", "사업명", "과제 이름"), "text", "과제 이름", required=False),
        ColumnSpec("track", ("사업구분", "사업유형", "R&D구분", "R&D/비R&D", "유형", "지원유형", "트랙", "구분"), "category", "R&D 또는 비R&D", categories=TRACKS, nullable=False),
        ColumnSpec("programme_line", ("세부프로그램", "세부사업", "내역사업", "프로그램"), "text", "세부 프로그램", required=False),
        _SIDO,
        changed(FIRM_NAME, nullable=False),
        changed(FIRM_ID, with_head=True),
        ColumnSpec("role", ("역할", "참여형태", "참여구분", "주관/참여", "주관참여", "참여유형"), "category", "주관 또는 참여", categories=ROLES, required=False),
        changed(INDUSTRY),
        ColumnSpec("region", ("본사소재지", "본사주소", "소재지", "기업소재지", "주소", "시군구코드"), "region", "본사 시·군·구 (2018년 기준 코드)", required=False, region_date="agreement_start"),
        ColumnSpec("agreement_start", ("협약시작일", "협약기간 시작", "협약기간 시작일", "시작일", "협약 시작", "협약일", "협약체결일", "협약기간 부터"), "date", "협약 시작일", nullable=False),
        ColumnSpec("agreement_end", ("협약종료일", "협약기간 종료", "협약기간 종료일", "종료일", "협약 종료", "협약기간 까지"), "date", "협약 종료일", required=False, month_day="last"),
        ColumnSpec("national_grant_krw", ("국비", "정부출연금", "국비지원금", "정부지원금", "지원금 국비", "사업비 국비", "국비 지원액"), "money", "국비(정부출연금)", unit="원", minimum=0, dash="zero"),
        ColumnSpec("local_grant_krw", ("지방비", "사업비 지방비", "지원금 지방비"), "money", "지방비", unit="원", minimum=0, dash="zero", required=False),
        ColumnSpec("private_krw", ("민간부담금", "사업비 민간부담금", "민간", "사업비 민간"), "money", "민간부담금", unit="원", minimum=0, dash="zero", required=False),
    ),
)  # fmt: skip

OUTCOMES = TableSpec(
    name="performance_outcomes",
    title="성과",
    row_meaning="한 과제에 든 한 기업이 스스로 적은 성과 (같은 기업의 값이 과제마다 되풀이됨)",
    sheets=("성과", "성과조사", "성과현황", "실적"),
    columns=(
        _PHASE,
        _PROJECT,
        changed(FIRM_NAME, nullable=False),
        FIRM_ID,
        ColumnSpec("year", ("성과연도", "조사연도", "실적연도", "기준연도", "연도", "성과년도"), "year", "성과가 난 해", required=False),
        ColumnSpec("commercial_sales_million_krw", ("사업화매출", "사업화매출액", "사업화 매출액 계", "사업화매출 계", "사업화매출액 합계"), "money", "사업화매출(총량 지표, 효과가 아님)", unit="백만원", minimum=0, dash="zero", required=False),
        ColumnSpec("new_jobs", ("신규고용", "신규고용 계", "신규고용인원", "신규고용 합계", "신규일자리", "신규고용(계)", "고용 신규"), "integer", "신규고용(스스로 적은 수)", unit="명", minimum=0, dash="zero", required=False),
        ColumnSpec("new_regular_jobs", ("정규직", "신규고용 정규직", "신규정규직", "정규직 신규고용", "신규고용 중 정규직"), "integer", "신규고용 가운데 정규직", unit="명", minimum=0, dash="zero", required=False),
        ColumnSpec("new_youth_jobs", ("청년", "신규고용 청년", "신규청년", "청년 신규고용", "신규고용 중 청년", "청년고용"), "integer", "신규고용 가운데 청년", unit="명", minimum=0, dash="zero", required=False),
        ColumnSpec("patents", ("특허", "특허출원", "특허 출원", "특허출원 건수"), "integer", "특허 출원", unit="건", minimum=0, dash="zero", required=False),
        ColumnSpec("papers", ("논문", "논문게재", "논문 게재"), "integer", "논문 게재", unit="건", minimum=0, dash="zero", required=False),
    ),
)  # fmt: skip

_SALES = ("매출액", "총매출액", "총 매출액", "기업 총매출액", "전체매출액", "총매출", "연간매출액")
_STAFF = (
    "종업원수",
    "상시종업원수",
    "상시근로자수",
    "종업원",
    "고용인원",
    "총고용",
    "근로자수",
    "상시근로자",
    "총종업원수",
)
FIRM_YEARS = TableSpec(
    name="performance_firm_years",
    title="성과(기업 총량)",
    row_meaning="한 과제에 든 한 기업의 한 해 (같은 기업의 값이 과제마다 되풀이됨)",
    sheets=OUTCOMES.sheets,
    columns=(
        _PHASE,
        _PROJECT,
        FIRM_ID,
        ColumnSpec("year", ("성과연도", "조사연도", "실적연도", "기준연도", "연도", "성과년도"), "year", "해", required=False),
        ColumnSpec("total_sales_million_krw", _SALES, "money", "총매출액(명목)", unit="백만원", minimum=0, by_year=True, required=False),
        ColumnSpec("employees", _STAFF, "integer", "종업원 수", unit="명", minimum=0, by_year=True, required=False),
    ),
)  # fmt: skip

ATTRACTED = TableSpec(
    name="performance_attracted",
    title="기업유치",
    row_meaning="유치했다고 적은 한 건",
    sheets=("기업유치", "유치", "유치현황", "기업유치현황", "기업유치 실적"),
    columns=(
        _PHASE,
        _SIDO,
        changed(FIRM_NAME, nullable=False),
        changed(FIRM_ID, nullable=True, required=False, with_head=True),
        ColumnSpec("kind", ("유치구분", "유치유형", "구분", "유형", "이전유형"), "category", "유치 구분(본사·지사·연구소·공장·MOU)", categories=KINDS, nullable=False),
        ColumnSpec("from_region", ("이전전소재지", "이전 전 소재지", "이전전 주소", "이전전", "종전소재지", "기존소재지", "기존 소재지", "소재지 이전 전", "이전 전"), "region", "이전하기 전 시·군·구 (2018년 기준 코드)", region_date="date"),
        ColumnSpec("to_region", ("이전후소재지", "이전 후 소재지", "이전후 주소", "이전후", "신규소재지", "유치소재지", "유치지역", "소재지 이전 후", "이전 후"), "region", "이전한 뒤 시·군·구 (2018년 기준 코드)", region_date="date"),
        ColumnSpec("date", ("이전일", "유치일", "유치일자", "이전일자", "유치시점", "이전시점", "일자", "유치년월"), "date", "유치(이전)한 날", nullable=False),
    ),
)  # fmt: skip

SPECS = (PROJECTS, OUTCOMES, FIRM_YEARS, ATTRACTED)


def phase_in_name(path: Path) -> int | None:
    """The phase that a file name speaks of: ``성과조사_1단계.xlsx`` or ``phase1`` → 1."""
    found = re.search(
        r"([123])\s*(?:단계|차|기)(?!\d)|phase[_\- ]?([123])",
        unicodedata.normalize("NFC", path.stem),
        re.IGNORECASE,
    )
    return int(found.group(1) or found.group(2)) if found else None


def read(
    path: str | Path,
    *,
    key: bytes = b"",
    phase: int | None = None,
    mapping: str | Path | None = None,
    **options: Any,
) -> list[Table]:
    """The tables of one workbook: projects, outcomes, firm years (where the sheet has them), attracted firms.

    The phase is a column of the sheet, else `phase`, else the one in the file's name. Projects and attracted firms carry
    `keys.LINK_COLUMNS` (``joined`` is missing; an attracted firm has ``from_region`` and ``to_region`` for ``region``).

    Parameters
    ----------
    mapping : a mapping file, or a folder of them; the tables of a workbook that one is for are those that it names, any
        other workbook is read by the declarations

    Raises
    ------
    SchemaError, ValueProblem : as `read_table`; also when the phase is nowhere to be found
    UsageError : the mapping file is at fault
    """
    raw = read_raw(path)
    told = phase if phase is not None else phase_in_name(Path(path))
    own = mapping_for(mapping, raw.path) if mapping is not None else None
    if own is not None:
        from evalkit.ingest.workbook.mapped import read_mapped

        names = [spec.name for spec in SPECS]
        mapped = read_mapped(raw, own, key=key, only=names, **options)
        return [_finished(table, told, key) for table in mapped]
    specs = [PROJECTS, OUTCOMES]
    if _has_yearly(raw):
        specs.append(FIRM_YEARS)
    if any(normal(s) in normal(page.name) for page in raw.sheets for s in ATTRACTED.sheets):
        specs.append(ATTRACTED)
    options.pop("year", None)
    tables = [_finished(read_table(raw, spec, key=key, **options), told, key) for spec in specs]
    _require_outcomes(tables[1], alone=FIRM_YEARS not in specs)
    return tables


def _finished(table: Table, phase: int | None, key: bytes) -> Table:
    """With its phase and, where firms are listed, the keys that link to registers; the names stay for the pages."""
    table = _with_phase(table, phase)
    if table.spec.name not in (PROJECTS.name, ATTRACTED.name):
        return table
    frame = with_link_columns(table.frame, names="firm_name", key=key, keep_names=True)
    return table.with_frame(frame)


def _require_outcomes(table: Table, *, alone: bool) -> None:
    """The sheet read as 성과 must hold an outcome: the only sheet of a workbook may be another one."""
    values = [c for c in OUTCOMES.columns if c.kind in ("money", "integer")]
    if alone and all(table.frame[c.name].isna().all() for c in values):
        raise SchemaError(
            "성과 표에 성과가 하나도 없음",
            where=table.where(),
            remedy="과제현황·성과·기업유치 시트가 모두 든 통합문서를 둘 것 "
            f"(성과 열: {', '.join(c.aliases[0] for c in values)})",
        )


def _has_yearly(raw: RawFile) -> bool:
    page = choose_sheet(raw, OUTCOMES)
    try:
        found = find_header(page, FIRM_YEARS, raw.path.name)
    except SchemaError:
        return False
    return any(match.column.by_year for match in found.matches)


def _with_phase(table: Table, phase: int | None) -> Table:
    frame = table.frame.copy()
    if frame["phase"].isna().all():
        if phase is None:
            raise ValueProblem(
                "몇 단계 자료인지 알 수 없음",
                where=table.where(),
                remedy="'단계' 열을 두거나 파일 이름에 '1단계' 처럼 적을 것",
            )
        frame["phase"] = np.int64(phase)
        return table.with_frame(frame)
    blank = frame["phase"].isna()
    if blank.any():
        row = int(frame.loc[blank, "source_row"].iloc[0])
        raise ValueProblem(
            "단계가 비어 있음",
            where=table.where(row, "단계"),
            remedy="1단계·2단계·3단계 가운데 하나를 적을 것",
        )
    frame["phase"] = frame["phase"].astype("int64")
    return table.with_frame(frame)


def deduplicate_firm_totals(
    table: Table, *, conflict: Literal["error", "largest", "missing", "once"] = "error"
) -> Table:
    """Firm-level values counted once per phase, firm and year, however many 과제 rows repeat them.

    Parameters
    ----------
    table : performance_outcomes or performance_firm_years
    conflict : rows of one firm (and year) with different values: stop, keep the largest, leave the value missing, or add
        the different values up ("once": equal ones count once)

    Returns
    -------
    Table : one row per ``phase, firm_id, year``; the flow and the repairs say how many rows were repeats. Where one row of
        a firm has a value and another is blank, the value stands.

    Raises
    ------
    ValueProblem : two rows of one firm differ, and `conflict` is "error"
    """
    frame = table.frame
    values = [
        c.name for c in table.spec.columns if c.kind in ("money", "integer", "number") and c.name in frame
    ]
    by = ["phase", "firm_id", *(["year"] if "year" in frame and frame["year"].notna().any() else [])]
    groups = frame.groupby(by, sort=True, dropna=False)
    low, high = groups[values].min(), groups[values].max()
    differ = ((high - low).abs() > 1e-9 * high.abs().clip(lower=1)).to_numpy()
    repairs: list[Repair] = []
    if differ.any():
        place_, column = np.argwhere(differ)[0]
        name = values[int(column)]
        rows = _rows_of(frame, by, low.index[int(place_)], name)
        spec = table.spec.column(name)
        shown = ", ".join(f"{int(r)}행 {v:g}" for r, v in rows[:2])
        if conflict == "error":
            raise ValueProblem(
                f"한 기업의 {spec.meaning} 값이 과제 행마다 다름 ({shown}; 모두 {int(differ.any(axis=1).sum())}개 기업·연도)",
                where=table.where(int(rows[1][0]), spec.aliases[0]),
                remedy="원본을 확인해 같은 값으로 고칠 것",
            )
        after = {"largest": "가장 큰 값", "missing": "빈 값", "once": "서로 다른 값의 합"}[conflict]
        repairs.append(
            Repair(table.file, table.sheet, int(rows[1][0]), spec.aliases[0], f"과제 행마다 다른 기업 값: {after}(으)로 둠", shown, after, int(differ.sum()))
        )  # fmt: skip
        if conflict == "missing":
            high = high.mask(differ)
        elif conflict == "once":
            high = high.mask(differ, groups[values].agg(_sum_of_distinct))
    first = groups[["source_row", *(c for c in ("firm_name",) if c in frame)]].first()
    out = first.join(high).reset_index()
    out = out[[*by, *values, *(c for c in ("firm_name",) if c in frame), "source_row"]]
    repeats = len(frame) - len(out)
    if not repeats:
        return table.with_frame(out, repairs=tuple(repairs))
    row = int(frame.loc[frame.duplicated(by), "source_row"].iloc[0])
    again = "같은 기업이 여러 과제 행에 되풀이됨: 한 번만 셈"
    repairs.append(Repair(table.file, table.sheet, row, "과제번호", again, "", "", repeats))
    flow = (
        FlowStep("같은 기업이 여러 과제에 되풀이된 행", -repeats),
        FlowStep("기업(·연도) 행", len(out)),
    )
    return table.with_frame(out, flow=flow, repairs=tuple(repairs))


def deduplicate_attracted(table: Table) -> Table:
    """Attracted firms reported by more than one body counted once: same firm, kind, month and destination.

    Returns
    -------
    Table : the first row of each; the flow and the repairs say how many were repeats
    """
    frame = table.frame
    who = frame["firm_id"].where(frame["firm_id"].notna(), frame["firm_name"])
    keys = pd.DataFrame(
        {
            "who": who,
            "kind": frame["kind"],
            "to": frame["to_region"],
            "month": frame["date"].dt.strftime("%Y-%m"),
        }
    )
    again = keys.duplicated()
    if not again.any():
        return table
    row, count = int(frame.loc[again, "source_row"].iloc[0]), int(again.sum())
    out = frame[~again].reset_index(drop=True)
    return table.with_frame(
        out,
        flow=(FlowStep("두 번 적힌 유치 건", -count, f"{row}행"), FlowStep("유치 건", len(out))),
        repairs=(
            Repair(
                table.file, table.sheet, row, "기업명", "같은 유치 건이 되풀이됨: 한 번만 셈", "", "", count
            ),
        ),
    )


def _sum_of_distinct(values: pd.Series) -> float:
    """The sum of the different values, those that agree to twelve digits counted once."""
    return float(sum({float(f"{value:.12g}") for value in values.dropna()}))


def _rows_of(frame: pd.DataFrame, by: list[str], label: Any, name: str) -> list[tuple[float, float]]:
    """Rows of one group with the smallest and the largest value of a column."""
    labels = label if isinstance(label, tuple) else (label,)
    hit = np.ones(len(frame), dtype=bool)
    for column, value in zip(by, labels, strict=True):
        hit &= (frame[column] == value).to_numpy(dtype=bool)
    part = frame.loc[hit, ["source_row", name]].dropna().sort_values(name)
    ends = part.iloc[[0, -1]].sort_values("source_row")
    return list(zip(ends["source_row"].tolist(), ends[name].tolist(), strict=True))
