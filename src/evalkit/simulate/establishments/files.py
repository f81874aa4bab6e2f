"""Write a world of establishments as the folder an evaluator receives, and its truth into a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from evalkit.errors import UsageError
from evalkit.simulate.establishments.model import EstablishmentWorld
from evalkit.simulate.establishments.names import Names
from evalkit.simulate.establishments.pension import pension_bytes
from evalkit.simulate.establishments.registers import (
    factory_bytes,
    insurance_bytes,
    supported_bytes,
    zip_bytes,
)
from evalkit.simulate.files import NOTICE, Files

_FOLDERS = {
    "national_pension": "국민연금",
    "employment_insurance": "고용보험",
    "factory_registration": "공장등록",
    "performance_survey": "성과조사",
}
_WRITERS = {
    "national_pension": pension_bytes,
    "employment_insurance": insurance_bytes,
    "factory_registration": factory_bytes,
    "performance_survey": supported_bytes,
}
TRUTH_TABLES = ("establishments", "monthly", "moves", "relocations", "renames", "registrations", "links")


def write_establishments(
    world: EstablishmentWorld, raw_folder: str | Path, truth_folder: str | Path
) -> Files:
    """Write the raw files and, elsewhere, the truth; the same world gives the same bytes.

    Parameters
    ----------
    raw_folder : receives 국민연금/, 고용보험/ (from three Decembers on, the first two in one ZIP), 공장등록/, 성과조사/ and a
        notice
    truth_folder : receives the tables of the truth as CSV; it must not lie within `raw_folder`

    Raises
    ------
    UsageError : the truth would lie where the readers look
    """
    raw, truth = Path(raw_folder), Path(truth_folder)
    if truth.resolve().is_relative_to(raw.resolve()):
        raise UsageError(
            "참값 폴더가 원자료 폴더 안에 있음", where=(truth.name,), remedy="원자료 폴더 밖의 폴더를 줄 것"
        )
    paths = [_save(raw / folder / name, content) for folder, name, content in _raw_files(world)]
    for name in TRUTH_TABLES:
        table: pd.DataFrame = getattr(world.truth, name)
        content = table.to_csv(index=False, date_format="%Y-%m-%d", lineterminator="\n").encode()
        paths.append(_save(truth / f"{name}.csv", content))
    return Files(raw, truth, tuple(paths))


def _raw_files(world: EstablishmentWorld) -> Iterator[tuple[str, str, bytes]]:
    names = Names(world.firms, world.places, world.codes)
    ends = [rows for rows in world.files if rows.source == "employment_insurance"]
    years = sorted({rows.period for rows in ends})
    together = years[:2] if len(years) >= 3 else []
    packed = []
    for index, rows in enumerate(world.files):
        content = _WRITERS[rows.source](world, rows, names, index)
        if rows in ends and rows.period in together:
            year = str(world.months[rows.period])[:4]
            packed.append((f"고용산재보험 가입 현황/{year}년/{rows.name}", content))
            continue
        yield _FOLDERS[rows.source], rows.name, content
    if packed:
        first, last = (str(world.months[at])[:4] for at in (together[0], together[-1]))
        name = f"근로복지공단_고용산재보험 가입 현황_{first}-{last}.zip"
        yield _FOLDERS["employment_insurance"], name, zip_bytes(packed)
    notice = (
        "이 폴더의 파일은 evalkit 이 만든 모의 자료입니다. 기업, 번호, 주소, 인원은 모두 지어낸 것이며 실제와 무관합니다.\n"
        f"씨앗 {world.seed}, 기업 {len(world.firms.corporation)}개, {world.months[0]} 부터 {len(world.months)}개월.\n"
    )
    yield "", NOTICE, notice.encode()


def _save(path: Path, content: bytes) -> Path:
    """Written under a temporary name, then moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(content)
    draft.replace(path)
    return path
