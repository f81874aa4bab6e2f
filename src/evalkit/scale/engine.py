"""Where an expression runs: embedded DuckDB by default, PySpark for those who outgrow one machine.

An expression is written once, in Ibis; an `Engine` executes it. Both are optional: they are imported when an engine is
opened, and what is missing is one sentence.
"""

from __future__ import annotations

import importlib
import itertools
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from evalkit.errors import DataError, EvalkitError, FileError, UsageError, nearest

NAMES = ("duckdb", "spark")
_NUMBERS = itertools.count(1)
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([GM])i?B?", re.IGNORECASE)


@dataclass(slots=True)
class Engine:
    """A connection that executes expressions; close it, or use it in a ``with`` block.

    Attributes
    ----------
    name : "duckdb" or "spark"
    backend : the Ibis connection
    folder : for temporary files; removed on closing
    memory : the limit as told, for messages
    threads : cores used
    """

    name: str
    backend: Any
    folder: Path
    memory: str
    threads: int
    _session: Any = field(default=None, repr=False)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back memory and temporary files."""
        try:
            if self._session is not None:
                self._session.stop()
            elif self.name == "duckdb":
                self.backend.disconnect()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def parquet(self, paths: list[Path], *, hive: bool = False) -> Any:
        """A table over Parquet files, nothing read yet."""
        with self.reading(paths[0].name):
            if self.name == "duckdb":
                return self.backend.read_parquet([str(p) for p in paths], hive_partitioning=hive)
            reader = self.backend._session.read
            if hive:
                root = Path(os.path.commonpath([p.parent for p in paths]))
                while "=" in root.name:
                    root = root.parent
                reader = reader.option("basePath", str(root))
            name = f"files_{next(_NUMBERS)}"
            reader.parquet(*(str(p) for p in paths)).createOrReplaceTempView(name)
            return self.backend.table(name)

    def listed(self, frame: pd.DataFrame) -> Any:
        """A table over a small frame in memory."""
        ibis = _part("ibis", "scale")
        with _their_warnings():
            return ibis.memtable(frame)

    def frame(self, expression: Any, label: str = "") -> pd.DataFrame:
        """The rows of an expression, executed; name an order in the expression where order matters.

        Raises
        ------
        DataError : not within the memory limit
        FileError : a file breaks off, or is damaged, or changed while it was read
        """
        with self.reading(label):
            found: pd.DataFrame = self.backend.execute(expression)
        return found

    def stored(self, expression: Any, label: str = "") -> Any:
        """A table that holds the rows of an expression until the engine is closed."""
        with self.reading(label):
            if self.name != "duckdb":
                return expression.cache()
            return self.backend.create_table(f"stored_{next(_NUMBERS)}", expression, temp=True)

    @contextmanager
    def kept(self, expression: Any, label: str = "") -> Iterator[Any]:
        """A table that holds the rows of an expression until the block ends, spilling where memory is short."""
        if self.name != "duckdb":
            with self.reading(label):
                held = expression.cache()
            try:
                yield held
            finally:
                held.release()
            return
        name = f"kept_{next(_NUMBERS)}"
        with self.reading(label):
            table = self.backend.create_table(name, expression, temp=True)
        try:
            yield table
        finally:
            self.backend.con.execute(f"DROP TABLE {name}")

    @contextmanager
    def reading(self, label: str) -> Iterator[None]:
        """The engine's own errors as sentences; what it says may quote data, so it is not repeated."""
        try:
            with _their_warnings():
                yield
        except EvalkitError:
            raise
        except Exception as error:
            kind = type(error).__name__
            where = (label,) if label else ()
            if "OutOfMemory" in kind:
                raise DataError(
                    f"메모리 {self.memory} 안에서 셈을 마치지 못함",
                    where=where,
                    remedy="open_engine 의 memory 를 늘리거나 기간을 나누어 셈할 것",
                ) from error
            if not type(error).__module__.startswith(("duckdb", "_duckdb", "pyspark", "py4j", "pyarrow")):
                raise
            raise FileError(
                f"파일을 끝까지 읽지 못함: 잘렸거나 깨졌거나 읽는 동안 바뀜 ({kind})",
                where=where,
                remedy="원본 파일을 다시 받아 SHA256 을 맞춰 볼 것",
            ) from error


@contextmanager
def _their_warnings() -> Iterator[None]:
    """What engines and Ibis warn one another of concerns neither the analyst nor this package."""
    with warnings.catch_warnings():
        for told in ("fetch_arrow_table", "The 'future.infer_string' option", "PySpark does not yet"):
            warnings.filterwarnings("ignore", message=told)
        yield


def open_engine(
    name: str = "duckdb", *, memory: str = "4GB", threads: int | None = None, folder: str | Path | None = None
) -> Engine:
    """Open an engine.

    Parameters
    ----------
    name : "duckdb" (in this process) or "spark" (PySpark on this machine; needs Java)
    memory : limit such as "4GB"; beyond it sums go through temporary files
    threads : None = every core
    folder : where temporary files may lie; None = the system's

    Raises
    ------
    UsageError : an unknown engine, a limit that is no size, or parts that are not installed
    """
    if name not in NAMES:
        raise UsageError(f"셈 엔진 {name!r} 을(를) 모름", remedy=nearest(name, NAMES))
    size = _MEMORY.fullmatch(memory.strip())
    if size is None or float(size.group(1)) <= 0:
        raise UsageError(f"메모리 한도 {memory!r} 을(를) 읽을 수 없음", remedy="4GB 처럼 적을 것")
    count = threads if threads is not None else os.cpu_count() or 1
    if count < 1:
        raise UsageError(f"스레드 수 {threads} 은(는) 1 이상이 아님", remedy="2 처럼 적을 것")
    limit = f"{size.group(1)}{size.group(2).upper()}"
    ibis = _part("ibis", "scale")
    _part("pyarrow", "scale")
    if name == "duckdb":
        _part("duckdb", "scale")
        place = Path(tempfile.mkdtemp(prefix="evalkit-", dir=folder))
        try:
            backend = ibis.duckdb.connect(
                threads=count,
                memory_limit=f"{limit}B",
                temp_directory=str(place / "spill"),
                preserve_insertion_order=False,
            )
        except Exception:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return Engine("duckdb", backend, place, f"{limit}B", count)
    return _spark(ibis, limit, count, folder)


def _spark(ibis: Any, limit: str, threads: int, folder: str | Path | None) -> Engine:
    with _their_warnings():
        sql = _part("pyspark.sql", "spark")
    if (
        shutil.which("java") is None
        and not (Path(os.environ.get("JAVA_HOME", "")) / "bin" / "java").is_file()
    ):
        raise UsageError(
            "스파크를 돌릴 자바가 없음", remedy="Java 17 이상을 설치하거나 엔진을 duckdb 로 둘 것"
        )
    place = Path(tempfile.mkdtemp(prefix="evalkit-", dir=folder))
    running = sql.SparkSession.getActiveSession()
    try:
        session = running or (
            sql.SparkSession.builder.master(f"local[{threads}]")
            .appName("evalkit")
            .config("spark.driver.memory", limit.lower())
            .config("spark.local.dir", str(place))
            .config("spark.sql.shuffle.partitions", str(2 * threads))
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.sql.warehouse.dir", str(place / "warehouse"))
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .getOrCreate()
        )
        session.sparkContext.setLogLevel("OFF")
        with _their_warnings():
            backend = ibis.pyspark.connect(session)
    except Exception:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return Engine("spark", backend, place, f"{limit}B", threads, None if running is not None else session)


def _part(module: str, extra: str) -> Any:
    """A module of an optional part.

    Raises
    ------
    UsageError : it is not installed
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        also = " (Java 17 이상도 있어야 함)" if extra == "spark" else ""
        raise UsageError(
            f"큰 파일을 다루는 부품 {module.partition('.')[0]} 이(가) 설치되어 있지 않음",
            remedy=f'pip install "evalkit[{extra}]" 로 설치할 것{also}',
        ) from error
