"""Which files a plan reads, with their hashes. Light (no pandas): asked before deciding whether anything must run."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from evalkit.errors import FileError
from evalkit.ingest.workbook.location import mapping_files
from evalkit.study import raw_sums
from evalkit.study.plan import Plan
from evalkit.study.plan_data import Source
from evalkit.study.raw_sums import sha256_of

_TABLES = {".csv", ".tsv", ".xls", ".xlsx", ".xlsm", ".xlsb", ".ods", ".zip"}
_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class InputFile:
    """A raw file: path relative to the data folder, hash, size in bytes, and how it stands in SHA256SUMS ("" = no list)."""

    path: str
    sha256: str
    bytes: int
    sealed: str = ""


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


def project_root(plan_path: Path) -> Path:
    """The nearest folder above the plan that holds ``notebooks``; else the plan's own folder."""
    plan_path = plan_path.resolve()
    for folder in plan_path.parents:
        if (folder / "notebooks").is_dir():
            return folder
    return plan_path.parent


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
    """Which files the plan reads, with their hashes, its own fact file among them; decides whether the simulated world is used.

    Raises
    ------
    FileError : the data folder named by hand or the fact file is missing; a required source has no file while others
        have; nothing is found at all, unless the plan watches indicators, whose published values need no file
    """
    inputs = _data_files(Path(plan_path), plan, data)
    if plan.facts is None:
        return inputs
    path = Path(plan_path).parent / plan.facts
    if not path.is_file():
        raise FileError(
            f"사실 파일 {plan.facts!r} 이(가) 없음",
            where=(Path(plan_path).name, "facts"),
            remedy="계획 파일이 있는 폴더에서 본 경로를 적을 것",
        )
    own = InputFile(f"facts:{path.name}", sha256_of(path), path.stat().st_size)
    digest = hashlib.sha256(f"{inputs.digest} {own.sha256}".encode()).hexdigest()
    return Inputs(digest, (*inputs.files, own), inputs.simulated, inputs.folder)


def _data_files(plan_path: Path, plan: Plan, data: str | Path | None) -> Inputs:
    """The files of the plan's sources, or the simulated world in their place."""
    folder = _data_folder(plan_path, plan, Path(data) if data else None)
    found = _found(folder, plan)
    simulation = plan.data.simulate
    if not any(found.values()):
        if plan.units.builder == "indicators" and not data and not _required(plan):
            return Inputs(hashlib.sha256(b"published values alone").hexdigest(), (), False, folder)
        if simulation is None or data:
            first = next(iter(plan.data.sources.values()))
            own = folder / "README.md"
            guide = f"{folder.name}/README.md" if own.is_file() else "data/raw/README.md"
            raise FileError(
                f"자료 폴더에 계획이 읽을 파일이 하나도 없음 (예: {first.files})",
                where=(plan_path.name, f"자료 폴더 {folder.name}"),
                remedy=f"{guide} 의 자리에 파일을 두거나 --data 로 폴더를 적을 것",
            )
        digest = hashlib.sha256(("simulated " + simulation.model_dump_json()).encode()).hexdigest()
        return Inputs(
            digest,
            _listed(world_folder(plan_path, plan) / "raw"),
            True,
            world_folder(plan_path, plan) / "raw",
        )
    _refuse_unread(folder, plan, found)
    missing = [name for name, files in found.items() if not files and plan.data.sources[name].required]
    if missing:
        raise _absent(plan_path, plan, folder, missing)
    files = _hashed(folder, sorted({file for group in found.values() for file in group}))
    _refuse_missing(folder, plan)
    files += _mappings(plan_path, plan, found)
    lines = "\n".join(f"{file.sha256} {file.path}" for file in files)
    return Inputs(hashlib.sha256(lines.encode()).hexdigest(), files, False, folder)


def _absent(plan_path: Path, plan: Plan, folder: Path, missing: list[str]) -> FileError:
    """Every source without a file at once; and the file, where it lies in another folder."""
    wanted = ", ".join(f"{name} → {plan.data.sources[name].files}" for name in missing)
    pattern = PurePosixPath(plan.data.sources[missing[0]].files)
    elsewhere = [p for p in matching(folder, pattern.name) if p.is_file()] if len(pattern.parts) > 1 else []
    hint = f" (자료 폴더 바로 아래에 {elsewhere[0].name} 이(가) 있음)" if elsewhere else ""
    return FileError(
        f"꼭 필요한 자료의 파일이 없음: {wanted}{hint}",
        where=(plan_path.name, f"자료 폴더 {folder.name}"),
        remedy="파일을 화살표 뒤의 폴더에 그 꼴의 이름으로 둘 것",
    )


def _required(plan: Plan) -> bool:
    return any(source.required for source in plan.data.sources.values())


def _hashed(folder: Path, paths: list[Path]) -> tuple[InputFile, ...]:
    """Raw files with their hashes, held against the list of what was received."""
    files = []
    for file in paths:
        digest = sha256_of(file)
        standing = raw_sums.standing_of(file, folder, digest)
        path = file.relative_to(folder).as_posix()
        if standing == "changed":
            raw_sums.refuse(path, standing)
        files.append(InputFile(path, digest, file.stat().st_size, standing))
    return tuple(files)


def _refuse_missing(folder: Path, plan: Plan) -> None:
    """A file that was received, that the plan reads, and that is gone."""
    for source in plan.data.sources.values():
        pattern = PurePosixPath(source.files)
        if len(pattern.parts) != 2:
            continue
        top, name = pattern.parts
        for name_listed in raw_sums.listed(folder / top) if (folder / top).is_dir() else {}:
            if fnmatchcase(name_listed, _composed(name)) and not matching(folder, f"{top}/{name_listed}"):
                raw_sums.refuse(f"{top}/{name_listed}", "missing")


def source_options(plan_path: Path, source: Source) -> dict[str, Any]:
    """Options of a source as its reader takes them: a mapping file is named from the folder of the plan."""
    options = dict(source.options)
    if "mapping" in options:
        options["mapping"] = str((plan_path.resolve().parent / str(options["mapping"])).resolve())
    return options


def check_mapping_paths(plan_path: Path, plan: Plan) -> None:
    """The mapping files and folders that a plan names are there; no data are looked at.

    Raises
    ------
    FileError : one is missing
    """
    for name, source in plan.data.sources.items():
        if "mapping" in source.options and not Path(source_options(plan_path, source)["mapping"]).exists():
            raise FileError(
                f"열 대응 파일 {str(source.options['mapping'])!r} 이(가) 없음",
                where=(plan_path.name, "data", "sources", name, "options", "mapping"),
                remedy="계획 파일이 있는 폴더에서 본 경로를 적거나 evalkit ingest guess 로 만들 것",
            )


def _mappings(plan_path: Path, plan: Plan, found: Mapping[str, list[Path]]) -> tuple[InputFile, ...]:
    """Mapping files that the plan names: what they say enters the panels like the raw files themselves.

    Raises
    ------
    FileError : a mapping file is missing, or is for none of the files
    """
    named: dict[str, Path] = {}
    every = [file for group in found.values() for file in group]
    for name, source in plan.data.sources.items():
        if "mapping" in source.options and found[name]:
            mapping = source_options(plan_path, source)["mapping"]
            for file in mapping_files(mapping, found[name], every):
                named[os.path.relpath(file, plan_path.resolve().parent).replace(os.sep, "/")] = file
    return tuple(
        InputFile(f"mapping:{name}", sha256_of(file), file.stat().st_size)
        for name, file in sorted(named.items())
    )


def _listed(folder: Path) -> tuple[InputFile, ...]:
    """Files of a written world, from the list kept beside it."""
    listing = folder.parent / "files.json"
    if not listing.is_file():
        return ()
    return tuple(InputFile(**entry) for entry in json.loads(listing.read_text(encoding="utf-8")))


def world_folder(plan_path: Path, plan: Plan) -> Path:
    """Where the files of the plan's simulated world lie."""
    simulation = plan.data.simulate
    assert simulation is not None
    name = f"{simulation.world}-{simulation.seed}-{simulation.firms}"
    return project_root(plan_path) / "data" / "processed" / "simulated" / name
