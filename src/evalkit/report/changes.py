"""Which ingredients differ between two descriptions of a run, in Korean clauses: files, keys of the plan, parts of the code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evalkit.report.frozen import leaves

_SHOWN = 5
_ABSENT = "(없음)"


def listed(items: Iterable[str], shown: int = _SHOWN) -> str:
    """Some of the items, and how many more there are."""
    names = list(items)
    more = f" 외 {len(names) - shown}" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def file_changes(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[str]:
    """Files (path, sha256, bytes) that changed, went or came."""
    old, new = ({str(f["path"]): f for f in files} for files in (before, after))
    found = []
    for path in sorted(old.keys() | new.keys()):
        if path not in new:
            found.append(f"{path} 없어짐")
        elif path not in old:
            found.append(f"{path} 새로 생김")
        elif old[path]["sha256"] != new[path]["sha256"]:
            found.append(f"{path} 바뀜 ({int(old[path]['bytes']):,} → {int(new[path]['bytes']):,}바이트)")
    return found


def row_changes(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> list[str]:
    """Tables (source, file, sheet, rows) of which another number of rows was read."""

    def counted(tables: Iterable[Mapping[str, Any]]) -> dict[str, int]:
        return {
            " ".join(t[k] for k in ("file", "sheet", "source") if t.get(k)): int(t["rows"]) for t in tables
        }

    old, new = counted(before), counted(after)
    return [
        f"{name} {old[name]:,} → {new[name]:,}행"
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name]
    ]


def key_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Keys of two plans that differ: key, value before, value after."""
    old, new = dict(leaves(dict(before))), dict(leaves(dict(after)))
    return [
        (key, old.get(key, _ABSENT), new.get(key, _ABSENT))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def value_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names whose short values differ (package versions)."""
    return [
        f"{name} {before.get(name, _ABSENT)} → {after.get(name, _ABSENT)}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def part_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Parts of the package whose hashes differ."""
    return [str(name) for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
