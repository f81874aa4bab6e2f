"""The simulated world as raw files, and folders put in place whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from evalkit.errors import FileError
from evalkit.study.inputs import InputFile, code_sha256, world_folder
from evalkit.study.plan import Plan
from evalkit.study.plan_data import Simulation
from evalkit.study.raw_sums import sha256_of

Progress = Callable[[str], None]


def write_world(plan_path: Path, plan: Plan, progress: Progress | None) -> None:
    """The simulated raw files, written aside and moved when complete; the truth lies apart from them."""
    simulation = plan.data.simulate
    assert simulation is not None
    folder = world_folder(plan_path, plan)
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
        _draw(simulation, aside / "raw", aside / "truth")
        files = [
            asdict(
                InputFile(file.relative_to(aside / "raw").as_posix(), sha256_of(file), file.stat().st_size)
            )
            for file in sorted((aside / "raw").rglob("*"))
            if file.is_file()
        ]
        (aside / "files.json").write_text(json.dumps(files, ensure_ascii=False, indent=1), encoding="utf-8")
        (aside / "stamp").write_text(stamp)
        put(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _draw(simulation: Simulation, raw: Path, truth: Path) -> None:
    """The world of the plan's name; `firms` is a size only where firms are drawn."""
    if simulation.world == "swc2":
        from evalkit.simulate.industries_world import industries_world, write_industries

        write_industries(industries_world(simulation.seed), raw, truth)
    elif simulation.world == "hubs":
        from evalkit.simulate.hubs_world import hubs_world, write_hubs

        write_hubs(hubs_world(simulation.seed), raw, truth)
    else:
        from evalkit import simulate

        simulate.write(simulate.world(seed=simulation.seed, firms=simulation.firms), raw, truth)


def put(aside: Path, folder: Path) -> None:
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
