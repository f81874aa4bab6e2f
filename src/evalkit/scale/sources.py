"""Large files as tables that are not read yet: Parquet files and folders, and delimited text brought to Parquet first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evalkit.errors import DataError, FileError, SchemaError, nearest
from evalkit.ingest.table import FlowStep, Repair
from evalkit.scale.delimited import convert
from evalkit.scale.engine import Engine

_KINDS = {"수": ("is_integer", "is_floating", "is_decimal", "is_boolean"), "글": ("is_string",)}


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A table of an engine, and what was done to get it.

    Attributes
    ----------
    engine : executes it
    table : Ibis expression
    label : the name of the file or folder, for messages
    repairs, flow : as of `evalkit.ingest.table.Table`
    """

    engine: Engine
    table: Any
    label: str
    repairs: tuple[Repair, ...] = ()
    flow: tuple[FlowStep, ...] = ()

    def require(self, names: Sequence[str]) -> None:
        """Columns that there must be.

        Raises
        ------
        SchemaError : one is missing
        """
        for name in names:
            if name not in self.table.columns:
                raise SchemaError(
                    f"열 {name!r} 이(가) 없음", where=(self.label,), remedy=nearest(name, self.table.columns)
                )

    def frame(self, expression: Any) -> pd.DataFrame:
        """The rows of an expression over this table."""
        return self.engine.frame(expression, self.label)


def open_source(engine: Engine, path: str | Path | Sequence[str | Path]) -> Source:
    """A Parquet file, a folder of them (``year=2018/…`` folders become columns), or delimited text.

    Text (UTF-8, CP949, UTF-16; comma, tab, semicolon or bar) is brought to Parquet in the engine's folder, block by
    block; its columns stay text until a use says that they are numbers.

    Raises
    ------
    FileError : missing, empty, cut, damaged
    SchemaError : files whose columns differ, no rows
    """
    given = [Path(p) for p in ([path] if isinstance(path, str | Path) else path)]
    if not given:
        raise FileError("파일이 하나도 주어지지 않음", remedy="파일이나 폴더를 적을 것")
    label = given[0].name if len(given) == 1 else f"{given[0].name} 등 {len(given)}개"
    files = sorted({file for item in given for file in _files(item)})
    suffixes = {"parquet" if file.suffix.lower() in {".parquet", ".pq"} else "text" for file in files}
    if len(suffixes) > 1:
        raise FileError(
            "Parquet 파일과 글자 파일이 섞여 있음", where=(label,), remedy="한 가지 형식만 넣을 것"
        )
    if suffixes == {"text"}:
        made = [convert(file, engine.folder / f"text-{k}.parquet") for k, file in enumerate(files)]
        repairs = tuple(repair for one in made for repair in one.repairs)
        paths = [one.path for one in made]
        rows = _checked(paths, [file.name for file in files])
        table = engine.parquet(paths)
    else:
        repairs, rows = (), _checked(files, [file.name for file in files])
        hive = any("=" in part for file in files for part in file.parent.parts[-2:])
        table = engine.parquet(files, hive=hive)
    return Source(engine, table, label, repairs, (FlowStep("읽은 행", rows),))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.suffix.lower() in {".parquet", ".pq"})
        if not found:
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in {".csv", ".txt", ".tsv"})
        if not found:
            raise FileError(
                "폴더에 Parquet 이나 CSV 파일이 없음", where=(path.name,), remedy="폴더를 확인할 것"
            )
        return found
    if not path.is_file():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise FileError("파일이 없음", where=(path.name,), remedy=nearest(path.name, near))
    return [path]


def _checked(files: list[Path], names: list[str]) -> int:
    """Rows of Parquet files whose feet and columns are sound.

    Raises
    ------
    FileError : empty or cut; SchemaError : columns that differ, or no rows at all
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 0
    first: dict[str, str] = {}
    for file, name in zip(files, names, strict=True):
        if file.stat().st_size == 0:
            raise FileError("빈 파일임 (0바이트)", where=(name,), remedy="원본 파일을 다시 받을 것")
        try:
            with pq.ParquetFile(file) as opened:
                rows += opened.metadata.num_rows
                kinds = {field.name: _kind(pa, field.type) for field in opened.schema_arrow}
        except (pa.ArrowInvalid, OSError) as error:
            raise FileError(
                "Parquet 파일이 아니거나 끝이 잘림", where=(name,), remedy="원본 파일을 다시 받을 것"
            ) from error
        first = first or kinds
        for column in sorted(set(first) ^ set(kinds)):
            raise SchemaError(
                f"열 {column!r} 이(가) 어떤 파일에는 있고 어떤 파일에는 없음",
                where=(name,),
                remedy=f"{names[0]} 와 같은 열을 갖추거나 따로 읽을 것",
            )
        for column, kind in kinds.items():
            if first[column] != kind and "없음" not in (first[column], kind):
                raise SchemaError(
                    f"열 {column!r} 이(가) {names[0]} 에서는 {first[column]}, 여기서는 {kind} 임",
                    where=(name,),
                    remedy="한 종류로 고쳐 다시 쓸 것",
                )
    if rows == 0:
        raise SchemaError(
            "머리글만 있고 행이 하나도 없음", where=(names[0],), remedy="원본 파일을 다시 받을 것"
        )
    return rows


def _kind(pa: Any, kind: Any) -> str:
    """Kind of an Arrow type in one word."""
    types = pa.types
    if types.is_null(kind):
        return "없음"
    if types.is_dictionary(kind):
        return _kind(pa, kind.value_type)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind):
        return "수"
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "글"
    return str(kind)


def with_programme(
    source: Source, supported: pd.DataFrame, *, unit: str, adoption: str = "adoption"
) -> Source:
    """A national file with the first supported period of each unit, from the programme's own list.

    Parameters
    ----------
    supported : columns `unit` and `adoption`, each unit once
    unit, adoption : names of both columns; `unit` is a column of the file too

    Raises
    ------
    SchemaError : a column is missing, or `adoption` stands in the file already
    DataError : a unit stands twice, its adoption is missing, or no unit of the list is in the file
    """
    source.require([unit])
    for name in (unit, adoption):
        if name not in supported.columns:
            raise SchemaError(
                f"열 {name!r} 이(가) 지원 명단에 없음", remedy=nearest(name, map(str, supported.columns))
            )
    if adoption in source.table.columns:
        raise SchemaError(
            f"열 {adoption!r} 이(가) 파일에 이미 있음",
            where=(source.label,),
            remedy="명단의 열 이름을 바꾸거나 파일의 열을 그대로 쓸 것",
        )
    dates = pd.to_numeric(supported[adoption], errors="coerce").to_numpy(dtype=np.float64)
    if supported[unit].isna().any() or not np.isfinite(dates).all():
        raise DataError(
            "지원 명단에 식별자나 처음 지원받은 기간이 빈 행이 있음", remedy="빈 행을 채우거나 뺄 것"
        )
    if supported[unit].duplicated().any():
        raise DataError(
            f"지원 명단에 같은 단위가 두 번 이상 있음 ({int(supported[unit].duplicated().sum())}건)",
            remedy="단위마다 처음 지원받은 기간 하나만 남길 것",
        )
    listed = pd.DataFrame({unit: supported[unit].to_numpy(), adoption: dates})
    table = source.table
    kind = table[unit].type()
    listed[unit] = listed[unit].astype("str" if kind.is_string() else "int64")
    firms = source.engine.listed(listed)
    joined = table.left_join(firms, unit)
    joined = joined.select(*table.columns, adoption)
    present = table.semi_join(firms, unit)
    found = int(np.asarray(source.frame(present.aggregate(n=present[unit].nunique()))["n"])[0])
    if found == 0:
        raise DataError(
            f"지원 명단의 단위 {len(listed)}개가 파일에 하나도 없음",
            where=(source.label,),
            remedy="식별자의 암호화 열쇠와 열 이름이 같은지 확인할 것",
        )
    steps = (
        FlowStep("지원 명단의 단위", len(listed)),
        FlowStep("파일에서 찾지 못한 단위", found - len(listed)),
    )
    return replace(source, table=joined, flow=(*source.flow, *steps))
