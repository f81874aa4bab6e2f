"""A plan fixed before outcomes are read: its hash and date, and what changed since.

``plans/<id>.frozen.json`` lies beside the plan and is committed with it. A second freeze does not erase the first:
earlier ones stay in ``history``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evalkit.errors import FileError, UsageError
from evalkit.study.plan import Plan

_ABSENT = "(없음)"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One key that differs from the frozen plan; values as short text."""

    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Frozen:
    """A frozen plan as read from its file."""

    sha256: str
    date: str
    plan: dict[str, Any]
    history: tuple[dict[str, str], ...]
    file_sha256: str


def frozen_path(plan_path: Path, plan: Plan) -> Path:
    """Where the frozen copy of a plan lies."""
    return plan_path.resolve().parent / f"{plan.id}.frozen.json"


def read_frozen(plan_path: Path, plan: Plan) -> Frozen | None:
    """The frozen plan, or None when it was never frozen.

    Raises
    ------
    FileError : the file was altered by hand: its content no longer has the hash that it names
    """
    path = frozen_path(plan_path, plan)
    if not path.is_file():
        return None
    remedy = "판본 관리에서 되살리거나 `evalkit plan freeze --again` 으로 다시 고정할 것"
    try:
        raw = path.read_bytes()
        entry = json.loads(raw)
        content = json.dumps(entry["plan"], ensure_ascii=False, sort_keys=True)
        if hashlib.sha256(content.encode()).hexdigest() != entry["sha256"]:
            raise FileError("고정한 계획의 내용이 적힌 해시와 다름", where=(path.name,), remedy=remedy)
        return Frozen(
            entry["sha256"],
            entry["date"],
            entry["plan"],
            tuple(entry.get("history", ())),
            hashlib.sha256(raw).hexdigest(),
        )
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        raise FileError("고정한 계획을 읽을 수 없음", where=(path.name,), remedy=remedy) from None


def today() -> str:
    """Date in UTC; ``SOURCE_DATE_EPOCH`` overrides the clock."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return moment.date().isoformat()


def freeze(plan_path: Path, plan: Plan, *, again: bool = False) -> Path:
    """Write the plan's canonical content with its hash and date.

    Raises
    ------
    UsageError : the plan was frozen before with other content and ``again`` was not asked for
    """
    path = frozen_path(plan_path, plan)
    history: list[dict[str, str]] = []
    if path.is_file():
        earlier = None
        try:
            earlier = read_frozen(plan_path, plan)
        except FileError:
            if not again:
                raise
        if earlier is not None:
            if earlier.sha256 == plan.sha256() or not deviations(earlier, plan):
                return path
            if not again:
                raise UsageError(
                    f"이 계획은 {earlier.date} 에 이미 고정되었고 그 뒤 {len(deviations(earlier, plan))}곳이 바뀜",
                    where=(path.name,),
                    remedy="바뀐 점은 보고서에 적히니 그대로 두거나, 다시 고정하려면 --again 을 붙일 것",
                )
            history = [*earlier.history, {"date": earlier.date, "sha256": earlier.sha256}]
    content = {
        "id": plan.id,
        "date": today(),
        "sha256": plan.sha256(),
        "history": history,
        "plan": json.loads(plan.canonical()),
    }
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(
        json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n",
        encoding="utf-8",
        newline="\n",
    )
    temporary.replace(path)
    return path


def deviations(frozen: Frozen, plan: Plan) -> tuple[Deviation, ...]:
    """Keys whose values differ from the frozen plan, in order of key.

    A key that the kit did not know when the plan was frozen counts with its default: nobody changed the plan.
    """
    before = dict(leaves(_with_defaults(frozen.plan)))
    after = dict(leaves(json.loads(plan.canonical())))
    return tuple(
        Deviation(key, before.get(key, _ABSENT), after.get(key, _ABSENT))
        for key in sorted(before.keys() | after.keys())
        if before.get(key, _ABSENT) != after.get(key, _ABSENT)
    )


def _with_defaults(content: dict[str, Any]) -> dict[str, Any]:
    """A frozen plan as today's kit reads it; as it stands where the kit no longer reads it."""
    try:
        filled: dict[str, Any] = json.loads(Plan.model_validate(content).canonical())
    except ValueError:
        return content
    return filled


def leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys of a plan and short values; lists of plain values are one leaf."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from leaves(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, inner in enumerate(value, start=1):
            yield from leaves(inner, f"{prefix}[{index}]")
    else:
        yield prefix, json.dumps(value, ensure_ascii=False)


def as_rows(found: tuple[Deviation, ...]) -> list[dict[str, str]]:
    """Deviations as plain rows for run.json and the page."""
    return [asdict(item) for item in found]
