"""A table comes back from the store as it was read; what changed is read again, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evalkit import simulate
from evalkit.ingest import READERS, Table, read_source
from evalkit.ingest.store import TableStore

KEY = b"a key of the tests"
PATTERNS = {
    "performance_survey": "성과조사/*.xlsx",
    "employment_insurance": "고용보험/*2019*.csv",
    "national_pension": "국민연금/*2019*.csv",
    "firm_financials": "재무/*.csv",
    "deflator": "물가/*.csv",
}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    simulate.write(simulate.world(seed=5, firms=300), folder / "raw", folder / "truth")
    return folder / "raw"


def same(first: list[Table], second: list[Table]) -> None:
    assert len(first) == len(second) > 0
    for one, other in zip(first, second, strict=True):
        pd.testing.assert_frame_equal(one.frame, other.frame)
        assert one.spec == other.spec
        assert (one.source, one.sha256, one.sheet) == (other.source, other.sha256, other.sheet)
        assert one.repairs == other.repairs
        assert one.flow == other.flow
        assert dict(one.notes) == dict(other.notes)


@pytest.mark.parametrize("source", PATTERNS)
def test_a_kept_table_is_the_table_that_was_read(source: str, raw: Path, tmp_path: Path) -> None:
    files = sorted(raw.glob(PATTERNS[source]))
    plain = read_source(source, files, key=KEY)
    first = TableStore(tmp_path, code="c")
    same(read_source(source, files, key=KEY, store=first), plain)
    assert first.read == [f.name for f in files]
    again = TableStore(tmp_path, code="c")
    same(read_source(source, files, key=KEY, store=again), plain)
    assert again.read == []
    assert again.kept == [f.name for f in files]


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    path = tmp_path / "raw" / "물가.csv"
    path.parent.mkdir()
    path.write_text("연도,지수\n2019,99.5\n2020,100\n", encoding="utf-8")
    return path


def read(path: Path, folder: Path, *, code: str = "c", key: bytes = KEY, **options: Any) -> TableStore:
    store = TableStore(folder, code=code)
    read_source("deflator", path, key=key, options=options, store=store)
    return store


def test_only_what_changed_is_read_again(prices: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    assert read(prices, folder).read == [prices.name]
    assert read(prices, folder).read == []
    assert read(prices, folder, code="newer").read == [prices.name]
    assert read(prices, folder, key=b"another").read == [prices.name]
    assert read(prices, folder, cut_last_row="keep").read == [prices.name]
    prices.write_text("연도,지수\n2019,99.5\n2020,100\n2021,102.5\n", encoding="utf-8")
    assert read(prices, folder).read == [prices.name]
    assert read(prices, folder).read == []


def test_a_damaged_entry_is_read_again(prices: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    read(prices, folder)
    (entry,) = folder.glob("*.npz")
    whole = entry.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 5):
        entry.write_bytes(whole[:cut])
        assert read(prices, folder).read == [prices.name], cut
    assert read(prices, folder).read == []


def test_entries_that_a_run_does_not_use_are_removed(prices: Path, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    read(prices, folder, code="old")
    store = read(prices, folder, code="new")
    assert len(list(folder.glob("*.npz"))) == 2
    store.forget_others()
    assert len(list(folder.glob("*.npz"))) == 1
    assert read(prices, folder, code="new").read == []


def test_no_business_number_lies_in_the_store(raw: Path, tmp_path: Path) -> None:
    """What is kept is compressed; unpacked, no number of the workbook stands in it."""
    files = sorted(raw.glob(PATTERNS["employment_insurance"]))
    read_source("employment_insurance", files, key=KEY, store=TableStore(tmp_path, code="c"))
    text = pd.read_csv(files[0], dtype=str, sep=None, engine="python", encoding_errors="replace")
    digits = text.iloc[:, 2].str.replace("-", "")
    numbers = set(digits[digits.str.fullmatch(r"\d{10}").fillna(False)])
    assert len(numbers) > 100
    (entry,) = tmp_path.glob("*.npz")
    with np.load(entry) as kept:
        held = " ".join(kept[name].tobytes().decode("utf-8", "ignore") for name in kept.files)
    assert not [number for number in numbers if number in held]
    assert KEY.decode() not in held


def test_every_reader_can_be_kept() -> None:
    assert set(PATTERNS) <= set(READERS)
