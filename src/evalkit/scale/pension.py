"""Monthly 국민연금 files of any size to one table of workplaces and months.

Each file is read block by block (`evalkit.scale.pension_blocks`): names and the six digits of the business number become the
keyed hashes of `evalkit.ingest.linking.keys`, and only hashes and numbers are written to the engine's folder. Header
generations and aliases are those of `evalkit.ingest.sources.national_pension`, and so are the keys: tables of both readers meet.

A workplace is name, six digits, region and joining day, exactly alike; a firm that changes its name or moves is linked by
`evalkit.ingest.linking`, not here. Rows of one month that agree in everything used are one row copied (left out, counted);
other rows of one workplace and month are added up (counted).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from evalkit.errors import FileError, SchemaError, UsageError, ValueProblem
from evalkit.ingest.sources.national_pension import CAUTIONS
from evalkit.ingest.table import FlowStep, Repair
from evalkit.panel import Panel
from evalkit.scale.engine import Engine
from evalkit.scale.months import month_label, month_number
from evalkit.scale.panels import panel_of
from evalkit.scale.pension_blocks import (
    COUNTS,
    CutLastRow,
    Month,
    Workplaces,
    convert_month,
)
from evalkit.scale.sources import Source

__all__ = ["COUNTS", "month_label", "month_number", "open_pension", "pension_panel"]


def open_pension(
    engine: Engine,
    paths: str | Path | Sequence[str | Path],
    *,
    key: bytes,
    digits: int = 2,
    cut_last_row: CutLastRow = "error",
) -> Source:
    """Monthly files as one table, each workplace and month once.

    Parameters
    ----------
    paths : files (CSV in UTF-8, CP949 or UTF-16, any generation of headers), or a folder of them; one month each
    key : the evaluator's own
    digits : leading digits of the 업종코드 that are kept (it is not a KSIC code)
    cut_last_row : what a file that breaks off in its last row does: stop, or be read without that row (the flow says so)

    Returns
    -------
    Source with columns ``workplace`` (hash), ``month`` (`month_number`), ``name_key``, ``head_key``, ``entity_kind``,
    ``place_kind``, ``region`` (2018 code), ``sido`` (its first two digits), ``joined``, ``industry``, ``members``,
    ``premium``, ``acquired``, ``lost``; repairs and flow tell what was changed

    Raises
    ------
    ValueProblem : no key; a cell that cannot be read, with file, row and column
    SchemaError : a column missing, two months in one file, one month in two files
    FileError : missing, empty, damaged, undecodable
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not key:
        raise ValueProblem("사업장 이름을 암호화할 열쇠가 없음", remedy="key 에 평가자만 아는 열쇠를 줄 것")
    if not 1 <= digits <= 6:
        raise UsageError(f"업종코드 자릿수 {digits} 은(는) 1–6 이 아님", remedy="2 처럼 적을 것")
    files = _files([Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)])
    workplaces = Workplaces()

    def converted(numbered: tuple[int, Path]) -> Month:
        k, file = numbered
        return convert_month(file, engine.folder / f"pension-{k}.parquet", workplaces, digits, cut_last_row)

    names: dict[int, str] = {}
    months: list[Month] = []
    with ThreadPoolExecutor(min(engine.threads, len(files))) as pool:
        # results, and the first error, in the order of the files
        for file, one in zip(files, pool.map(converted, enumerate(files)), strict=True):
            if one.month in names:
                raise SchemaError(
                    f"같은 달({month_label(one.month)})의 파일이 둘임",
                    where=(file.name, names[one.month]),
                    remedy="정정본 하나만 남길 것",
                )
            names[one.month] = file.name
            months.append(one)
    of, hashed = workplaces.columns(key)
    kinds = [(name, pa.int64() if name == "number" else pa.string()) for name in hashed]
    pq.write_table(pa.table(hashed, schema=pa.schema(kinds)), engine.folder / "workplaces.parquet")
    pq.write_table(pa.table({"number": np.arange(len(of)), "of": of}), engine.folder / "spellings.parquet")
    label = files[0].name if len(files) == 1 else f"{files[0].name} 등 {len(files)}개"
    return _joined(engine, months, label)


def _joined(engine: Engine, months: list[Month], label: str) -> Source:
    """Months and workplaces as one table, each workplace and month once."""
    made = [one.made for one in months]
    listed, spellings = (
        engine.parquet([engine.folder / f"{name}.parquet"]) for name in ("workplaces", "spellings")
    )
    several = engine.parquet([one.path for one in made]).inner_join(spellings, "number")
    distinct = several.drop("number").rename(number="of").distinct()
    grouped = distinct.group_by("number", "month").aggregate(
        industry=distinct["industry"].min(),
        **{name: distinct[name].sum() for name in COUNTS},
        alike=distinct.count(),
    )
    single = engine.stored(grouped, label)
    counts = engine.frame(single.aggregate(n=single["alike"].sum(), u=single.count()), label).iloc[0]
    kept, found = int(counts["n"]), int(counts["u"])
    table = single.drop("alike").inner_join(listed, "number").drop("number")
    table = table.mutate(sido=table["region"].substr(0, 2))
    rows, cut, left = (
        sum(one.rows for one in made),
        sum(one.cut for one in months),
        sum(one.left for one in months),
    )
    repairs = [repair for one in made for repair in one.repairs]
    if kept > found:
        kind = "이름·번호·지역·가입일이 같은 한 달의 사업장을 더함"
        repairs.append(Repair(label, "", 0, "사업장명", kind, "", "", kept - found))
    flow = (
        FlowStep("읽은 행", rows + cut),
        *([FlowStep("도중에 끊긴 마지막 행", -cut)] if cut else []),
        *([FlowStep("탈퇴한 사업장의 행", -left)] if left else []),
        *([FlowStep("쓰는 칸이 모두 같은 행의 되풀이", kept + left - rows)] if kept + left < rows else []),
        *([FlowStep("같은 사업장으로 더한 행", found - kept)] if found < kept else []),
        FlowStep("사업장·월", found),
    )
    return Source(engine, table, label, tuple(repairs), flow)


def pension_panel(
    source: Source, *, varying: Sequence[str] = ("members",), labels: Sequence[str] = ("region",)
) -> Panel:
    """Workplaces × months in memory.

    Parameters
    ----------
    source : of `open_pension`
    varying : among members, premium, acquired, lost
    labels : fixed columns: region, sido, joined, and the keys

    Returns
    -------
    Panel whose periods are `month_number`; ``notes["months"]`` names them
    """
    panel = panel_of(source, unit="workplace", period="month", varying=varying, labels=labels, minimum=0.0)
    notes = {
        "source": source.label,
        "months": [month_label(int(p)) for p in panel.periods],
        "cautions": list(CAUTIONS),
    }
    return Panel(panel.units, panel.periods, panel.varying, panel.fixed, notes)


def _files(paths: list[Path]) -> list[Path]:
    out: list[Path] = []
    for path in paths:
        found = sorted(p for p in path.iterdir() if p.suffix.lower() == ".csv") if path.is_dir() else [path]
        if not found:
            raise FileError("폴더에 CSV 파일이 없음", where=(path.name,), remedy="폴더를 확인할 것")
        out += found
    if not out:
        raise FileError("파일이 하나도 주어지지 않음", remedy="파일이나 폴더를 적을 것")
    return out
