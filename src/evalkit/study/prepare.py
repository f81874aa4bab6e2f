"""Raw files to panels, once: what was read is hashed, and nothing is done again while nothing changed.

`fingerprint` is light (no pandas) because the command line asks it before deciding whether anything must run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from evalkit.errors import DataError, FileError
from evalkit.study.plan import Plan

Progress = Callable[[str], None]
_TABLES = {".csv", ".tsv", ".xls", ".xlsx", ".xlsm", ".xlsb", ".ods", ".zip"}
_PACKAGE = Path(__file__).resolve().parents[1]
# parts of the package whose code or facts enter what is prepared
MADE_BY = ("errors.py", "ingest", "panel.py", "programmes", "simulate", "strict_yaml.py", "study")


@dataclass(frozen=True, slots=True)
class InputFile:
    """A raw file: path relative to the data folder, hash and size in bytes."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a plan reads.

    Attributes
    ----------
    digest : hash of all inputs together
    files : the raw files in order of path; empty before a simulated world has been written
    simulated : True when no evaluator's file was found and the plan names a world
    folder : where the raw files lie
    """

    digest: str
    files: tuple[InputFile, ...]
    simulated: bool
    folder: Path


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where the panels and the audit of a plan lie."""

    folder: Path
    inputs: Inputs
    changed: bool


def project_root(plan_path: Path) -> Path:
    """The nearest folder above the plan that holds ``notebooks``; else the plan's own folder."""
    plan_path = plan_path.resolve()
    for folder in plan_path.parents:
        if (folder / "notebooks").is_dir():
            return folder
    return plan_path.parent


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def code_sha256(*parts: str) -> str:
    """Hash of the package's files below the named parts (all of it without parts)."""
    digest = hashlib.sha256()
    roots = [_PACKAGE / part for part in parts] or [_PACKAGE]
    files = sorted(
        file
        for root in roots
        for file in ([root] if root.is_file() else root.rglob("*"))
        if file.is_file() and file.suffix in {".py", ".csv", ".yml", ".json", ".j2", ".css"}
    )
    for file in files:
        digest.update(file.relative_to(_PACKAGE).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _data_folder(plan_path: Path, plan: Plan, data: Path | None) -> Path:
    if data is not None:
        if not data.is_dir():
            raise FileError(
                f"자료 폴더 {str(data)!r} 이(가) 없음", remedy="--data 로 자료가 있는 폴더를 적을 것"
            )
        return data.resolve()
    return (plan_path.resolve().parent / plan.data.folder).resolve()


def matching(folder: Path, pattern: str) -> list[Path]:
    """Files that a pattern of the plan means, in order of name; a name that came from a Mac (NFD) is the same name."""
    level = [folder]
    for part in PurePosixPath(pattern).parts:
        level = [
            child
            for parent in level
            if parent.is_dir()
            for child in parent.iterdir()
            if fnmatchcase(_composed(child.name), _composed(part))
        ]
    return sorted(f for f in level if f.is_file() and not f.name.startswith(("~$", ".")))


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _found(folder: Path, plan: Plan) -> dict[str, list[Path]]:
    """Files of each source, temporary files of Excel left out."""
    return {name: matching(folder, source.files) for name, source in plan.data.sources.items()}


def _refuse_unread(folder: Path, plan: Plan, found: dict[str, list[Path]]) -> None:
    """A table in a source's folder that no pattern reads would be left out in silence: 성과조사 saved as CSV."""
    read = {file for group in found.values() for file in group}
    for source in plan.data.sources.values():
        parent = PurePosixPath(source.files).parent
        if not parent.parts:
            continue
        for file in matching(folder, f"{parent}/*"):
            if file not in read and file.suffix.lower() in _TABLES:
                raise FileError(
                    f"계획의 무늬 {source.files!r} 에 맞지 않아 읽지 않는 파일임",
                    where=(parent.as_posix(), file.name),
                    remedy="그 꼴로 다시 저장하거나, 쓰지 않을 파일이면 다른 곳으로 옮길 것",
                )


def fingerprint(plan_path: str | Path, plan: Plan, data: str | Path | None = None) -> Inputs:
    """Which files the plan reads, with their hashes; decides whether the simulated world is used.

    Raises
    ------
    FileError : the data folder named by hand is missing; a required source has no file while others have
    """
    plan_path = Path(plan_path)
    folder = _data_folder(plan_path, plan, Path(data) if data else None)
    found = _found(folder, plan)
    simulation = plan.data.simulate
    if not any(found.values()):
        if simulation is None or data:
            first = next(iter(plan.data.sources.values()))
            raise FileError(
                f"자료 폴더에 계획이 읽을 파일이 하나도 없음 (예: {first.files})",
                where=(plan_path.name, folder.name),
                remedy="data/raw/README.md 의 자리에 파일을 두거나 --data 로 폴더를 적을 것",
            )
        digest = hashlib.sha256(("simulated " + simulation.model_dump_json()).encode()).hexdigest()
        return Inputs(
            digest,
            _listed(_world_folder(plan_path, plan) / "raw"),
            True,
            _world_folder(plan_path, plan) / "raw",
        )
    _refuse_unread(folder, plan, found)
    missing = [name for name, files in found.items() if not files and plan.data.sources[name].required]
    if missing:
        raise FileError(
            f"꼭 필요한 자료 {missing[0]!r} 의 파일이 없음 (무늬: {plan.data.sources[missing[0]].files})",
            where=(plan_path.name, folder.name),
            remedy="파일을 그 자리에 둘 것",
        )
    files = tuple(
        InputFile(file.relative_to(folder).as_posix(), sha256_of(file), file.stat().st_size)
        for file in sorted({file for group in found.values() for file in group})
    )
    lines = "\n".join(f"{file.sha256} {file.path}" for file in files)
    return Inputs(hashlib.sha256(lines.encode()).hexdigest(), files, False, folder)


def _listed(folder: Path) -> tuple[InputFile, ...]:
    """Files of a written world, from the list kept beside it."""
    listing = folder.parent / "files.json"
    if not listing.is_file():
        return ()
    return tuple(InputFile(**entry) for entry in json.loads(listing.read_text(encoding="utf-8")))


def _world_folder(plan_path: Path, plan: Plan) -> Path:
    simulation = plan.data.simulate
    assert simulation is not None
    name = f"{simulation.world}-{simulation.seed}-{simulation.firms}"
    return project_root(plan_path) / "data" / "processed" / "simulated" / name


def _write_world(plan_path: Path, plan: Plan, progress: Progress | None) -> None:
    """The simulated raw files, written aside and moved when complete; the truth lies apart from them."""
    from evalkit import simulate

    simulation = plan.data.simulate
    assert simulation is not None
    folder = _world_folder(plan_path, plan)
    stamp = hashlib.sha256(
        (simulation.model_dump_json() + code_sha256("simulate", "ingest/regions.py")).encode()
    ).hexdigest()
    marker = folder / "stamp"
    if marker.is_file() and marker.read_text() == stamp:
        return
    if progress:
        progress("모의 세계를 씀")
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".writing-"))
    try:
        world = simulate.world(seed=simulation.seed, firms=simulation.firms)
        simulate.write(world, aside / "raw", aside / "truth")
        files = [
            asdict(
                InputFile(file.relative_to(aside / "raw").as_posix(), sha256_of(file), file.stat().st_size)
            )
            for file in sorted((aside / "raw").rglob("*"))
            if file.is_file()
        ]
        (aside / "files.json").write_text(json.dumps(files, ensure_ascii=False, indent=1), encoding="utf-8")
        (aside / "stamp").write_text(stamp)
        _put(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put(aside: Path, folder: Path) -> None:
    """A finished folder in the place of an earlier one, whatever other runs put there meanwhile.

    The earlier folder is moved away, not emptied in place: a reader never sees a half-empty one. Where another run was
    quicker with the same stamp its folder stays.
    """
    stamp = (aside / "stamp").read_text()
    for _ in range(50):
        with contextlib.suppress(OSError):
            if (folder / "stamp").read_text() == stamp:
                return
        gone = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".replaced-"))
        try:
            with contextlib.suppress(FileNotFoundError):
                folder.replace(gone / "earlier")
            with contextlib.suppress(OSError):
                aside.replace(folder)
                return
        finally:
            shutil.rmtree(gone, ignore_errors=True)
    raise FileError(
        "다른 실행이 같은 폴더를 쓰고 있어 자료를 둘 수 없음",
        where=(folder.name,),
        remedy="다른 실행이 끝난 뒤 다시 할 것",
    )


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


def prepare(
    plan_path: str | Path, plan: Plan, data: str | Path | None = None, progress: Progress | None = None
) -> Prepared:
    """Read every source of the plan, build its panels and write them with the audit; idempotent.

    Nothing is written until everything could be read: a fault in an input leaves the earlier panels as they were.
    """
    plan_path = Path(plan_path)
    root = project_root(plan_path)
    inputs = fingerprint(plan_path, plan, data)
    if inputs.simulated:
        _write_world(plan_path, plan, progress)
        inputs = fingerprint(plan_path, plan, data)
    folder = root / "data" / "processed" / _folder_name(plan, data)
    asked = json.dumps(
        {"data": plan.data.model_dump(mode="json"), "units": plan.units.model_dump(mode="json")},
        sort_keys=True,
    )
    code = code_sha256(*MADE_BY)
    key = identifier_key(root, simulated=inputs.simulated)
    hashed = hashlib.sha256(b"stamp" + key).hexdigest()
    stamp = hashlib.sha256(f"{inputs.digest}\n{asked}\n{code}\n{hashed}".encode()).hexdigest()
    marker = folder / "stamp"
    if marker.is_file() and marker.read_text() == stamp:
        return Prepared(folder, inputs, changed=False)

    from evalkit.study.build import build

    panels, audit = build(plan, inputs, key=key, progress=progress)
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".preparing-"))
    try:
        for name, panel in panels.items():
            panel.save(aside / f"{name}.npz")
        write_json(aside / "audit.json", audit)
        (aside / "stamp").write_text(stamp)
        _put(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Prepared(folder, inputs, changed=True)


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
