"""A list of supported firms: the sheet 과제현황 of 성과조사 where a file has nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evalkit.ingest.linking.keys import with_link_columns
from evalkit.ingest.reading import read_table
from evalkit.ingest.sources.performance_survey import PROJECTS
from evalkit.ingest.table import Table


def read_supported(path: str | Path, *, key: bytes, **options: Any) -> Table:
    """One file; frame `keys.LINK_COLUMNS` (``joined`` is missing), the columns of `performance_survey.PROJECTS` and the names.

    Raises
    ------
    SchemaError, ValueProblem : as `read_table`
    """
    table = read_table(path, PROJECTS, key=key, **options)
    frame = with_link_columns(table.frame, names="firm_name", key=key, keep_names=True)
    return table.with_frame(frame)
