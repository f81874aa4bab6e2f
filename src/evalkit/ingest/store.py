"""Tables kept after reading, so that a file is read again only when it, the way it is read, or the reading code changed.

One entry a file: the frames as plain arrays, and beside them, as JSON, what the tables know of themselves (file, hash,
repairs, flow, notes, the code that read them). No pickles: an entry is data, never a program.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.leaks import refuse_leaks, search
from evalkit.ingest.table import FlowStep, Repair, Table
from evalkit.ingest.workbook.location import mapping_for

Reader = Callable[[Path], list[Table]]
_FORM = 2  # raise it when what is written below changes


class TableStore:
    """A folder of tables that were read before.

    Parameters
    ----------
    folder : where the entries lie; made when the first is written
    code : hash of the code that reads, part of every entry's name
    """

    def __init__(self, folder: str | Path, *, code: str) -> None:
        self.folder = Path(folder)
        self.code = code
        self.read: list[str] = []
        self.kept: list[str] = []
        self._used: set[str] = set()

    def tables(
        self, source: str, path: Path, options: Mapping[str, Any], key: bytes, reader: Reader
    ) -> list[Table]:
        """The tables of one file: from the store while nothing changed, else read, and kept.

        `options` and `key` are those that `reader` was bound to; they enter the name of the entry (the key as a hash).
        """
        name = self._name(source, path, options, key)
        self._used.add(name)
        entry = self.folder / f"{name}.npz"
        found = self._load(entry, path) if entry.is_file() else None
        if found is not None:
            self.kept.append(path.name)
            return found
        tables = reader(path)
        self.read.append(path.name)
        self._save(entry, path, tables)
        return tables

    def forget_others(self) -> None:
        """Remove the entries that this run did not use: files, options or code that are gone."""
        if not self.folder.is_dir():
            return
        for entry in self.folder.glob("*.npz"):
            if entry.stem not in self._used:
                with contextlib.suppress(OSError):
                    entry.unlink()

    def _name(self, source: str, path: Path, options: Mapping[str, Any], key: bytes) -> str:
        asked = json.dumps(dict(options), sort_keys=True, ensure_ascii=False, default=str)
        mapping = options.get("mapping")
        own = mapping_for(mapping, path) if mapping else None
        parts = [
            str(_FORM), source, path.name, file_sha256(path), asked, self.code,
            hashlib.sha256(b"store" + key).hexdigest(),
            file_sha256(own) if own else "",
        ]  # fmt: skip
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    def _save(self, entry: Path, path: Path, tables: list[Table]) -> None:
        """Written under a temporary name, then moved; a table that cannot be written plainly is not kept."""
        arrays: dict[str, NDArray[Any]] = {}
        told: list[dict[str, Any]] = []
        for place, table in enumerate(tables):
            try:
                facts = _facts(table, path, self.code)
                json.dumps(facts)
                arrays.update(_arrays(table.frame, f"{place}"))
            except (TypeError, ValueError):
                return
            facts["columns"] = [str(name) for name in table.frame.columns]
            told.append(facts)
        arrays["facts"] = np.frombuffer(
            json.dumps(told, ensure_ascii=False, sort_keys=True).encode(), dtype=np.uint8
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".table-", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
            Path(temporary).replace(entry)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def _load(self, entry: Path, path: Path) -> list[Table] | None:
        """The tables of an entry; None where it cannot be read, so that the file is read again."""
        try:
            with entry.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
                told = json.loads(kept["facts"].tobytes().decode())
                return [
                    _table(facts, _frame(kept, facts["columns"], str(place)), path)
                    for place, facts in enumerate(told)
                ]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, AttributeError, TypeError):
            return None


def file_sha256(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# -- frames to arrays and back -----------------------------------------------------------------------------


def _arrays(frame: pd.DataFrame, label: str) -> dict[str, NDArray[Any]]:
    """Numbers and dates as they are; words as codes into their distinct values, −1 where missing.

    Raises
    ------
    DisclosureError : a number of a firm or person stands among the words
    """
    arrays: dict[str, NDArray[Any]] = {}
    for place, name in enumerate(frame.columns):
        values = frame[name]
        if values.dtype.kind in "iufbM":
            arrays[f"{label}.{place}.values"] = values.to_numpy()
        elif isinstance(values.dtype, pd.StringDtype):
            codes, distinct = pd.factorize(values, use_na_sentinel=True)
            refuse_leaks(search("\n".join(map(str, distinct)), place=f"열 {name}"))
            arrays[f"{label}.{place}.codes"] = codes.astype(np.int32)
            words = json.dumps([str(word) for word in distinct], ensure_ascii=False)
            arrays[f"{label}.{place}.words"] = np.frombuffer(words.encode("utf-8", "surrogatepass"), np.uint8)
        else:
            raise TypeError(f"a column of kind {values.dtype}")
    return arrays


def _frame(kept: Any, columns: list[str], label: str) -> pd.DataFrame:
    out: dict[str, pd.Series[Any]] = {}
    for place, name in enumerate(columns):
        known = f"{label}.{place}.values"
        if known in kept:
            out[name] = pd.Series(kept[known])
            continue
        words = json.loads(kept[f"{label}.{place}.words"].tobytes().decode("utf-8", "surrogatepass"))
        lookup = np.array([*words, None], dtype=object)
        out[name] = pd.Series(lookup[kept[f"{label}.{place}.codes"]], dtype="str")
    return pd.DataFrame(out)


# -- what a table knows of itself ---------------------------------------------------------------------------


def _facts(table: Table, path: Path, code: str) -> dict[str, Any]:
    inside = table.source.is_relative_to(path) and table.source != path
    return {
        "spec": _plain(table.spec),
        "file": table.file,
        "member": table.source.relative_to(path).as_posix() if inside else "",  # of a ZIP
        "sha256": table.sha256,
        "sheet": table.sheet,
        "rows": len(table.frame),
        "repairs": [dataclasses.asdict(repair) for repair in table.repairs],
        "flow": [dataclasses.asdict(step) for step in table.flow],
        "notes": {name: _plain(value) for name, value in table.notes.items()},
        "code": code,
    }


def _table(facts: dict[str, Any], frame: pd.DataFrame, path: Path) -> Table:
    return Table(
        spec=_restored(facts["spec"]),
        frame=frame,
        source=path / facts["member"],
        sha256=facts["sha256"],
        sheet=facts["sheet"],
        repairs=tuple(Repair(**repair) for repair in facts["repairs"]),
        flow=tuple(FlowStep(**step) for step in facts["flow"]),
        notes={name: _restored(value) for name, value in facts["notes"].items()},
    )


def _plain(value: Any) -> Any:
    """A note as JSON: tuples and the kit's own small records keep their kind."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, tuple | list):
        return {"kind": type(value).__name__, "items": [_plain(item) for item in value]}
    if isinstance(value, Mapping):
        return {"kind": "mapping", "items": [[_plain(k), _plain(v)] for k, v in value.items()]}
    home = type(value).__module__
    if dataclasses.is_dataclass(value) and home.startswith("evalkit.ingest"):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": "record", "type": f"{home}:{type(value).__qualname__}", "fields": fields}
    raise TypeError(f"a note of kind {type(value)}")


def _restored(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value["kind"] in ("tuple", "list"):
        items = [_restored(item) for item in value["items"]]
        return tuple(items) if value["kind"] == "tuple" else items
    if value["kind"] == "mapping":
        return {_restored(k): _restored(v) for k, v in value["items"]}
    home, name = value["type"].split(":")
    if not home.startswith("evalkit.ingest"):
        raise ValueError(home)
    made = getattr(importlib.import_module(home), name)
    return made(**{field: _restored(item) for field, item in value["fields"].items()})
