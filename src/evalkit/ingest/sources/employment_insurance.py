"""고용·산재보험 가입 현황 (근로복지공단, year-end): the best public spine, one row per 사업장.

Files come as CSV in UTF-8 or CP949, with commas or tabs, with or without 사업자등록번호, alone or in a ZIP of several years;
one year may have been published twice, and then the later revision is used, or the one that the plan names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from evalkit.errors import FileError, SchemaError
from evalkit.ingest.files import RawFile, read_raw
from evalkit.ingest.linking.keys import with_link_columns
from evalkit.ingest.packed import is_packed, members, naming_the_zip, read_member
from evalkit.ingest.reading import read_table
from evalkit.ingest.sources.exact_repeats import without_exact_repeats
from evalkit.ingest.sources.fields import (
    FIRM_ID,
    FIRM_NAME,
    INDUSTRY,
    changed,
    file_year,
    sorted_paths,
    year_in_name,
)
from evalkit.ingest.table import ColumnSpec, FlowStep, Repair, Table, TableSpec

SPEC = TableSpec(
    name="employment_insurance",
    title="고용·산재보험 가입 사업장",
    row_meaning="연말에 고용보험에 가입한 사업장 하나 (한 기업이 여러 사업장을 가질 수 있음)",
    columns=(
        changed(FIRM_NAME, aliases=("사업장명", "saeopjangNm", *FIRM_NAME.aliases[:4])),
        changed(FIRM_ID, aliases=(*FIRM_ID.aliases, "saeopjaDrno"), with_head=True),
        ColumnSpec("region", ("사업장주소", "사업장 소재지", "소재지", "주소", "addr"), "region", "사업장 시·군·구 (2018년 기준 코드)", nullable=False),
        ColumnSpec("employees", ("고용보험상시근로자수", "고용보험 상시인원", "상시근로자수", "상시인원", "상시인원수", "sangsiInwonCnt"), "integer", "고용보험 상시근로자 수", unit="명", minimum=0, maximum=1_000_000, nullable=False, dash="zero"),
        changed(INDUSTRY, aliases=("고용업종코드", "고용보험업종코드", "gyEopjongCd", *INDUSTRY.aliases), digits=5),
        ColumnSpec("industry_name", ("업종명", "고용업종명", "고용보험업종명", "업종코드명", "gyEopjongNm"), "text", "업종 이름", required=False),
        ColumnSpec("joined", ("성립일자", "고용보험성립일자", "고용성립일자", "성립일", "seongripDt"), "date", "고용보험 성립일", required=False, null_values=("0001-01-01", "00010101", "00000000")),
        ColumnSpec("insurance", ("보험구분", "보험 구분", "opaBoheomFg"), "category", "산재 또는 고용", categories=(("1", "accident"), ("2", "employment"), ("산재", "accident"), ("고용", "employment"), ("산재보험", "accident"), ("고용보험", "employment")), required=False),
    ),
)  # fmt: skip

_REVISED = re.compile(r"수정|정정|보완|재공개|최종|개정|rev\.?(\d*)|final|(?<![a-z])v(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One data file, alone or in an archive, before it is read."""

    label: str
    year: int
    base: str  # its name without dates and words of a revision: files of one year with other names are parts of it
    order: tuple[int, ...]  # what its name says of which revision it is
    packed: tuple[int, ...]  # when it was put into its archive
    path: Path
    load: Callable[[], RawFile]


def read(
    path: str | Path,
    *,
    key: bytes = b"",
    year: int | None = None,
    revision: str = "",
    numbers: Literal["required", "optional"] = "required",
    repeats: Literal["drop", "keep", "error"] = "drop",
    use: Mapping[str, Sequence[str]] | None = None,
    **options: Any,
) -> list[Table]:
    """One year-end file, or a ZIP of one or several: one table a year (and part of a year), in order of year.

    Parameters
    ----------
    key : secret of the hashes
    year : of a single file whose name does not say it (…_20191231); a file in a ZIP may also lie in a folder of its year
    revision : a part of the name of the file to use where a year was published more than once; without it the later
        one is used (by its name: 수정, v2, a second date; else by when it was packed into its ZIP), and that is logged
    numbers : "optional" also reads files without 사업자등록번호; their rows then have no ``firm_id`` and link by name alone
    repeats : what rows that say the same in every cell do: only the first is used (the flow says so), all are, or stop
    use : what `choose` said of this file; without it the file is looked at alone
    options : of `read_table`

    Returns
    -------
    Frame: `keys.LINK_COLUMNS`, ``year, employees, industry, industry_name, source_row``; names stay behind, and rows of
    산재보험 where a file has both (counted).

    Raises
    ------
    FileError : as `choose`, or as `packed.read_member`
    SchemaError : no 사업자등록번호 in a file, and `numbers` is "required"
    """
    path = Path(path)
    if use is None:
        use = choose([path], year=year, revision=revision)[path]
    tables = []
    for entry in sorted(_entries(path, year), key=lambda entry: entry.year):
        if entry.label not in use:
            continue
        raw = entry.load()
        with naming_the_zip(path, raw):
            table = _one(raw, entry.year, key, numbers, repeats, options)
        left = tuple(use[entry.label])
        repairs = (_said(entry, left, revision),) if left else ()
        tables.append(table.with_frame(table.frame, repairs=repairs, revisions_left=left))
    return tables


def read_all(
    paths: str | Path | Iterable[str | Path], *, year: int | None = None, revision: str = "", **options: Any
) -> list[Table]:
    """Year-end files, each alone or in a ZIP, of which one a year is used; options as `read`."""
    files = sorted_paths(paths)
    chosen = choose(files, year=year, revision=revision)
    return [
        table
        for path in files
        if path in chosen
        for table in read(path, year=year, revision=revision, use=chosen[path], **options)
    ]


def choose(
    paths: Sequence[Path], *, year: int | None = None, revision: str = "", **_: Any
) -> dict[Path, dict[str, tuple[str, ...]]]:
    """Which files, and which members of ZIPs, are used: one of each name and year, whatever its date and revision.

    Files of one year whose names differ otherwise are parts of it (`refuse_repeats` stops where they hold the same rows).

    Returns
    -------
    By file (those of which nothing is used are not there), the labels used, each with the labels left for it

    Raises
    ------
    FileError : two files of a year, and neither name nor ZIP says which is later, or `revision` means none or several;
        a damaged ZIP
    """
    entries = [entry for path in paths for entry in _entries(path, year)]
    out: dict[Path, dict[str, tuple[str, ...]]] = {}
    for number, base in sorted({(entry.year, entry.base) for entry in entries}):
        same = [entry for entry in entries if (entry.year, entry.base) == (number, base)]
        used, left = _later(same, revision)
        out.setdefault(used.path, {})[used.label] = tuple(entry.label for entry in left)
    return out


def _said(entry: _Entry, left: tuple[str, ...], revision: str) -> Repair:
    why = "계획이 정한 것을 씀" if revision else "뒤의 것을 씀"
    kind = f"{entry.year}년 파일이 {len(left) + 1}개: {why}"
    return Repair(PurePosixPath(entry.label).name, "", 0, "", kind, ", ".join(left), entry.label, 1)


def _one(raw: RawFile, year: int, key: bytes, numbers: str, repeats: str, options: dict[str, Any]) -> Table:
    spec = SPEC.with_columns(firm_id={"required": False, "nullable": True}) if numbers == "optional" else SPEC
    try:
        table = read_table(raw, spec, key=key, year=year, **options)
    except SchemaError as error:
        if numbers == "optional" or "에 열 '사업자등록번호' 이(가) 없음" not in error.problem:
            raise
        raise SchemaError(
            "사업자등록번호가 없는 해의 파일임: 번호로는 기업을 이을 수 없음",
            where=error.where,
            remedy="이름·지역으로 잇는 분석이면 계획에서 이 자료의 options 에 numbers: optional 을 적을 것",
        ) from error
    table = _employment_only(without_exact_repeats(table, raw, repeats))
    frame = with_link_columns(table.frame, names="firm_name", key=key, joined="joined")
    frame.insert(1, "year", np.int64(year))
    return table.with_frame(frame.drop(columns="insurance"), year=year)


def _employment_only(table: Table) -> Table:
    """Without the rows of 산재보험, where a file has both."""
    other = (table.frame["insurance"] == "accident").to_numpy(dtype=bool)
    if not other.any():
        return table
    kept = table.frame[~other].reset_index(drop=True)
    steps = (FlowStep("산재보험 행", -int(other.sum())), FlowStep("고용보험 행", len(kept)))
    return table.with_frame(kept, flow=steps)


def _entries(path: Path, year: int | None) -> list[_Entry]:
    if not is_packed(path):
        order = _revision_order(path.name)
        return [
            _Entry(path.name, _year(path, year), _base(path.name), order, (), path, lambda: read_raw(path))
        ]
    inside = members(path)
    found = []
    for member in inside:
        parts = PurePosixPath(member.name)
        told = _year_end(parts.name) or next(
            (y for folder in reversed(parts.parts[:-1]) if (y := _year_end(folder))), None
        )
        if told is None:
            told = _year(path, year) if len(inside) == 1 else file_year(Path(member.name), year)
        found.append(
            _Entry(
                f"{path.name}/{member.name}", told, _base(parts.name), _revision_order(parts.name), member.packed, path,
                lambda member=member: read_member(path, member),  # type: ignore[misc]
            )
        )  # fmt: skip
    return found


def _year(path: Path, year: int | None) -> int:
    return int(year) if year is not None else (_year_end(path.name) or file_year(path, None))


def _year_end(name: str) -> int | None:
    """The year of a date 12-31 in a name, else the last year that it speaks of."""
    stem = unicodedata.normalize("NFC", name)
    ends = re.findall(r"(?<!\d)((?:19|20)\d{2})[.\-_]?12[.\-_]?31(?!\d)", stem)
    return int(ends[-1]) if ends else year_in_name(Path(name))


def _base(name: str) -> str:
    stem = unicodedata.normalize("NFKC", PurePosixPath(name).stem).lower()
    bare = _REVISED.sub("", re.sub(r"20\d{2}[.\-_]?\d{2}[.\-_]?\d{2}", "", stem))
    # «(1)» is what a browser writes behind a copy: a copy is no revision, and stays another file
    return re.sub(r"[^\w()]+|_|\(\s*\)", "", bare)


def _revision_order(name: str) -> tuple[int, ...]:
    """How late a revision is by its name: a further date, a word such as 수정, a number; () where it says nothing."""
    stem = unicodedata.normalize("NFC", PurePosixPath(name).stem)
    dates = [int(day) for day in re.findall(r"(?<!\d)(20\d{6})(?!\d)", stem) if not day.endswith("1231")]
    marks = list(_REVISED.finditer(re.sub(r"20\d{6}", "", stem)))
    numbers = [int(n) for mark in marks for n in mark.groups() if n]
    if not dates and not marks:
        return ()
    return (max(dates, default=0), len(marks), max(numbers, default=0))


def _later(same: list[_Entry], revision: str) -> tuple[_Entry, list[_Entry]]:
    """The file of a year that is used, and the others."""
    if len(same) == 1:
        return same[0], []
    listed = ", ".join(repr(entry.label) for entry in same)
    named = [entry for entry in same if revision and revision in unicodedata.normalize("NFC", entry.label)]
    if revision and len(named) != 1:
        raise FileError(
            f"{same[0].year}년 파일 가운데 이름에 {revision!r} 이(가) 든 것이 {len(named)}개임",
            where=(listed,),
            remedy="계획에서 이 자료의 options 의 revision 에 하나만 가리키는 이름을 적을 것",
        )
    ordered = sorted(same, key=lambda entry: (entry.order, entry.packed))
    last, before = ordered[-1], ordered[-2]
    if not revision and (last.order, last.packed) == (before.order, before.packed):
        raise FileError(
            f"{last.year}년 파일이 둘인데 어느 것이 뒤의 것인지 이름으로 알 수 없음",
            where=(listed,),
            remedy="쓰지 않을 파일을 치우거나, 계획에서 이 자료의 options 에 revision: 쓸 파일 이름의 한 부분 을 적을 것",
        )
    used = named[0] if revision else last
    return used, [entry for entry in ordered if entry is not used]
