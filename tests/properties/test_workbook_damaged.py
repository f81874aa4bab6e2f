"""Guesses of damaged files end in a sentence or in a mapping; what is proposed without a question reads as the declaration."""

from __future__ import annotations

from pathlib import Path

import damaged_files
import numpy as np
import pytest

from evalkit import simulate
from evalkit.errors import EvalkitError
from evalkit.ingest import read_source
from evalkit.ingest.table import Table
from evalkit.ingest.workbook.guessing import guess
from evalkit.ingest.workbook.mapping import mapping_faults
from evalkit.ingest.workbook.writing import mapping_text

CASES = [
    (name, kind)
    for name, pattern in damaged_files.SOURCES.items()
    for kind in (damaged_files.TEXT_KINDS if pattern.endswith("csv") else damaged_files.BOOK_KINDS)
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("damaged")
    simulate.write(simulate.world(seed=3, firms=200), folder / "raw", folder / "truth")
    return damaged_files.base_files(folder / "raw")


def read(name: str, path: Path, mapping: Path | None = None) -> dict[str, Table] | None:
    """Tables by name; None where the file is refused in a sentence."""
    options = {} if mapping is None else {"mapping": str(mapping)}
    try:
        tables = read_source(name, path, key=damaged_files.KEY, options=options)
    except EvalkitError:
        return None
    return {table.spec.name: table for table in tables}


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_damaged_file_is_guessed_or_refused(
    files: dict[str, Path], tmp_path: Path, name: str, kind: str
) -> None:
    source = files[name]
    rng = np.random.default_rng([17, CASES.index((name, kind))])
    damage = damaged_files.damage_text if source.suffix == ".csv" else damaged_files.damage_workbook
    content, _ = damage(kind, source.read_bytes(), rng)
    path = tmp_path / source.name
    path.write_bytes(content)
    try:
        found = guess(path)
    except EvalkitError:
        return
    mapping = tmp_path / "a.map.yml"
    mapping.write_text(mapping_text(found), encoding="utf-8")
    faults = mapping_faults(mapping)
    assert bool(faults) == (found.questions > 0 or not found.tables)
    declared, mapped = read(name, path), read(name, path, mapping)
    if found.questions or declared is None or mapped is None:
        return
    for table in set(declared) & set(mapped):
        assert declared[table].frame.equals(mapped[table].frame)
