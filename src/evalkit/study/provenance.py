"""Where processed data came from: inputs and their hashes, repairs, code, options; what a new build would change, and why.

``provenance.json`` lies beside the panels of a plan. Light (no pandas): `evalkit build --check` answers at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.errors import FileError
from evalkit.study.raw_sums import sha256_of

NAME = "provenance.json"


@dataclass(frozen=True, slots=True)
class Making:
    """What a build rests on; two that are equal give the same bytes.

    Attributes
    ----------
    inputs : path from the data folder -> (sha256, bytes, standing in SHA256SUMS)
    asked : hash of the plan's data and units
    code : hash of the code that reads and joins
    version : of evalkit
    hash_key : fingerprint of the key that hashes identifiers, never the key
    """

    inputs: Mapping[str, tuple[str, int, str]]
    asked: str
    code: str
    version: str
    hash_key: str


def write(folder: Path, making: Making, tables: Sequence[Mapping[str, Any]], stamp: str) -> None:
    """Write the record of everything that stands in a folder of processed data (made under a temporary name)."""
    outputs = {
        file.relative_to(folder).as_posix(): sha256_of(file)
        for file in sorted(folder.rglob("*"))
        if file.suffix in (".npz", ".json")
    }
    record = {
        "stamp": stamp,
        "made_by": {"version": making.version, "code_sha256": making.code},
        "plan_data_sha256": making.asked,
        "hash_key": making.hash_key,
        "inputs": [
            {"path": path, "sha256": digest, "bytes": size, "sealed": standing}
            for path, (digest, size, standing) in sorted(making.inputs.items())
        ],
        "tables": [
            {
                **{name: table[name] for name in ("source", "spec", "file", "sheet", "sha256", "rows")},
                "repairs": sum(int(repair["count"]) for repair in table["repairs"]),
            }
            for table in tables
        ],
        "outputs": outputs,
    }
    text = json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False)
    (folder / NAME).write_text(text + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any] | None:
    """The record of a folder; None where there is none or it cannot be read."""
    try:
        record = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def changes(record: Mapping[str, Any] | None, now: Making) -> list[str]:
    """Why what lies there is not what a build would make now, in Korean; empty when it is."""
    if record is None:
        return ["아직 만들지 않음"]
    before = {str(item["path"]): str(item["sha256"]) for item in record.get("inputs", ())}
    found = []
    for path in sorted({*before, *now.inputs}):
        if path not in now.inputs:
            found.append(f"없어진 파일: {path}")
        elif path not in before:
            found.append(f"새 파일: {path}")
        elif before[path] != now.inputs[path][0]:
            found.append(f"내용이 바뀐 파일: {path}")
    made_by = record.get("made_by", {})
    if made_by.get("code_sha256") != now.code:
        found.append(f"읽고 잇는 코드가 바뀜 (판 {made_by.get('version', '?')} → {now.version})")
    if record.get("plan_data_sha256") != now.asked:
        found.append("계획의 자료·단위 부분이 바뀜")
    if record.get("hash_key") != now.hash_key:
        found.append("식별자 암호화 열쇠가 바뀜")
    return found


def verify(folder: Path) -> list[str]:
    """Outputs that are not what the record says, each a Korean sentence; empty when all are.

    Raises
    ------
    FileError : there is no record
    """
    record = read(folder)
    if record is None:
        raise FileError("만든 기록이 없음", where=(folder.name, NAME), remedy="evalkit build 로 다시 만들 것")
    found = []
    for name, digest in sorted(record.get("outputs", {}).items()):
        path = folder / name
        if not path.is_file():
            found.append(f"{name}: 없어짐")
        elif sha256_of(path) != digest:
            found.append(f"{name}: 만든 뒤에 바뀜")
    return found
