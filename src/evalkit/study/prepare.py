"""Raw files to panels, once: nothing is done again while nothing changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from evalkit.errors import DataError
from evalkit.study import provenance
from evalkit.study.inputs import Inputs, code_sha256, fingerprint, project_root, source_options
from evalkit.study.plan import Plan
from evalkit.study.worlds import Progress, put, write_world

FLOWS = "flows"
"""Folder of the flows beside the panels."""
READ_BY = ("errors.py", "ingest", "strict_yaml.py")
MADE_BY = (
    "appraisal",
    "breaks.py",
    "building",
    "errors.py",
    "flows.py",
    "ingest",
    "panel.py",
    "amounts.py",
    "plain_text.py",
    "programmes",
    "sample.py",
    "simulate",
    "strict_yaml.py",
    "study",
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where the panels and the audit of a plan lie; why they were made again, which files were read, which tables kept."""

    folder: Path
    inputs: Inputs
    changed: bool
    why: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def identifier_key(root: Path, *, simulated: bool) -> bytes:
    """Key of the keyed hash that stands in for business numbers.

    From ``EVALKIT_HASH_KEY``; else made once and kept with the processed data, which never leave the machine.
    """
    if simulated:
        return b"evalkit simulated world"
    given = os.environ.get("EVALKIT_HASH_KEY")
    if given:
        return given.encode()
    path = root / "data" / "processed" / "identifier.key"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".key-")
        with os.fdopen(handle, "wb") as stream:
            stream.write(os.urandom(32))
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass  # another run was quicker: its key holds
        except OSError:  # a disk without links
            shutil.copyfile(temporary, path)
        Path(temporary).unlink()
    return path.read_bytes()


def standing(
    plan_path: str | Path, plan: Plan, data: str | Path | None = None
) -> tuple[Path, Inputs, provenance.Making, str]:
    """The folder of a plan's processed data, its inputs, what a build would rest on, and the stamp that it would leave."""
    plan_path = Path(plan_path)
    root = project_root(plan_path)
    inputs = fingerprint(plan_path, plan, data)
    parts_asked = {"data": plan.data.model_dump(mode="json"), "units": plan.units.model_dump(mode="json")}
    if plan.monitoring is not None:  # values of the plan stand in the panel
        parts_asked["monitoring"] = plan.monitoring.model_dump(mode="json")
    asked = json.dumps(parts_asked, sort_keys=True)
    key = identifier_key(root, simulated=inputs.simulated)
    making = provenance.Making(
        inputs={file.path: (file.sha256, file.bytes, file.sealed) for file in inputs.files},
        asked=hashlib.sha256(asked.encode()).hexdigest(),
        code=code_sha256(*MADE_BY),
        version=version("evalkit"),
        hash_key=hashlib.sha256(b"stamp" + key).hexdigest()[:16],
    )
    parts = (inputs.digest, making.asked, making.code, making.hash_key)
    stamp = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return root / "data" / "processed" / _folder_name(plan, data), inputs, making, stamp


def prepare(
    plan_path: str | Path,
    plan: Plan,
    data: str | Path | None = None,
    progress: Progress | None = None,
    *,
    force: bool = False,
) -> Prepared:
    """Read every source of the plan, build its panels and write them with the audit; idempotent.

    Nothing is written until everything could be read: a fault in an input leaves the earlier panels as they were. Files
    that did not change are not read again: their tables are kept beside the panels. Panels that are not those that were
    made are made again.
    """
    plan_path = Path(plan_path)
    if fingerprint(plan_path, plan, data).simulated:
        write_world(plan_path, plan, progress)
    folder, inputs, making, stamp = standing(plan_path, plan, data)
    marker = folder / "stamp"
    record = provenance.read(folder)
    touched = (
        [] if record is None else provenance.verify(folder)
    )  # a panel that somebody wrote is never shown
    if not force and not touched and marker.is_file() and marker.read_text() == stamp:
        return Prepared(folder, inputs, changed=False)
    why = provenance.changes(record, making) or touched or ["다시 만들도록 함"]

    from evalkit.flows import Flows
    from evalkit.ingest.store import TableStore
    from evalkit.study.build import build

    store = TableStore(
        folder.with_name(f"{folder.name}.tables"), code=code_sha256(*READ_BY) if not force else stamp
    )
    key = identifier_key(project_root(plan_path), simulated=inputs.simulated)
    options = {name: source_options(plan_path, source) for name, source in plan.data.sources.items()}
    panels, audit = build(plan, inputs, key=key, options=options, store=store, progress=progress)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".preparing-"))
    try:
        (aside / FLOWS).mkdir()
        for name, made in panels.items():
            made.save((aside / FLOWS if isinstance(made, Flows) else aside) / f"{name}.npz")
        write_json(aside / "audit.json", audit)
        provenance.write(aside, making, audit["tables"], stamp)
        (aside / "stamp").write_text(stamp)
        if force or touched:
            marker.unlink(missing_ok=True)  # what lies there has the same stamp, and is not to stay for it
        put(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    store.forget_others()
    return Prepared(folder, inputs, True, tuple(why), tuple(store.read), tuple(store.kept))


def _folder_name(plan: Plan, data: str | Path | None) -> str:
    """The plan's name; with data named by hand a folder of its own, so that two runs on different data do not mix."""
    if data is None:
        return plan.id
    return f"{plan.id}@{hashlib.sha256(str(Path(data).resolve()).encode()).hexdigest()[:8]}"


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Sorted, readable JSON without NaN."""
    path.write_text(
        json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False), encoding="utf-8"
    )


def require_panel(panels: Mapping[str, Any], name: str) -> Any:
    """A built panel by name."""
    if name not in panels:
        raise DataError(f"패널 {name!r} 이(가) 만들어지지 않음", remedy=f"만들어진 패널: {', '.join(panels)}")
    return panels[name]
