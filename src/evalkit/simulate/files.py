"""Write a world as the folder an evaluator receives, and its truth into a folder of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from evalkit.errors import UsageError
from evalkit.simulate import registers
from evalkit.simulate.economy import World
from evalkit.simulate.identity import identify
from evalkit.simulate.parameters import PHASE_YEARS, YEARS
from evalkit.simulate.reported import report_phase
from evalkit.simulate.truth import OUTCOMES, RELOCATION, UNITS, Truth
from evalkit.simulate.workbook import workbook_bytes

_WORKBOOKS = {
    phase: f"성과조사_{phase}단계_{first}-{last}.xlsx" for phase, (first, last) in PHASE_YEARS.items()
}
NOTICE = "모의자료_안내.txt"


@dataclass(frozen=True, slots=True)
class Files:
    """What was written: the raw folder, the truth folder, and every file in order."""

    raw: Path
    truth: Path
    paths: tuple[Path, ...]


def write(world: World, raw_folder: str | Path, truth_folder: str | Path) -> Files:
    """Write the raw files and, elsewhere, the truth; the same world gives the same bytes.

    Parameters
    ----------
    raw_folder : receives 성과조사/, 고용보험/, 고용보험DB/, 국민연금/, 재무/, 지정고시/, 물가/ and a notice
    truth_folder : receives truth.json and effects.csv; it must not lie within `raw_folder`

    Raises
    ------
    UsageError : the truth would lie where the readers look
    """
    raw, truth = Path(raw_folder), Path(truth_folder)
    if truth.resolve().is_relative_to(raw.resolve()):
        raise UsageError(
            "참값 폴더가 원자료 폴더 안에 있음", where=(truth.name,), remedy="원자료 폴더 밖의 폴더를 줄 것"
        )
    contents = _raw_files(world)
    paths = [_save(raw / folder / name, content) for folder, name, content in contents]
    paths += [_save(truth / name, content) for name, content in _truth_files(world)]
    return Files(raw, truth, tuple(paths))


def _raw_files(world: World) -> list[tuple[str, str, bytes]]:
    who = identify(world)
    files = [
        ("성과조사", _WORKBOOKS[phase], workbook_bytes(world, who, report_phase(world, phase)))
        for phase in PHASE_YEARS
    ]
    years = [int(year) for year in YEARS]
    files += [("고용보험", *registers.insurance_file(world, who, year)) for year in years]
    files += [("국민연금", *registers.pension_file(world, who, year)) for year in years if year >= 2015]
    files.append(("고용보험DB", *registers.composition_file(world, who)))
    files.append(("재무", *registers.accounts_file(world, who)))
    files += [("지정고시", *file) for file in registers.zone_files(world)]
    files.append(("물가", *registers.price_file(world)))
    notice = (
        "이 폴더의 파일은 evalkit 이 만든 모의 자료입니다. 기업, 번호, 주소, 실적은 모두 지어낸 것이며 실제와 무관합니다.\n"
        f"씨앗 {world.seed}, 기업 {world.parameters.firms}개. 1·2단계 총량만 발표 수치에 맞추었고, 3단계는 모두 모의값입니다.\n"
    )
    return [*files, ("", NOTICE, notice.encode())]


def _truth_files(world: World) -> list[tuple[str, bytes]]:
    table = world.truth.effects.to_csv(index=False, float_format="%.10g", lineterminator="\n")
    summary = json.dumps(truth_summary(world), ensure_ascii=False, indent=1)
    return [("truth.json", (summary + "\n").encode()), ("effects.csv", table.encode())]


def truth_summary(world: World) -> dict[str, Any]:
    """The truth as plain values: averages by phase and outcome, rings, relocation, and the parameters."""
    truth = world.truth
    return {
        "seed": world.seed,
        "units": UNITS,
        "phases": {
            str(phase): {
                "units": truth.units(phase),
                "years": list(PHASE_YEARS[phase]),
                "att": {name: _averages(truth, name, phase) for name in OUTCOMES},
                "total_in_last_year": {
                    name: truth.total(name, phase, PHASE_YEARS[phase][1]) for name in OUTCOMES
                },
            }
            for phase in PHASE_YEARS
        },
        "relocation": {str(phase): _averages(truth, RELOCATION, phase) for phase in (1, 3)},
        "ring": truth.ring.to_dict(orient="records"),
        "relocated_from_capital": {str(year): count for year, count in truth.relocated.items()},
        "parameters": asdict(world.parameters),
    }


def _averages(truth: Truth, outcome: str, phase: int) -> dict[str, float]:
    return {
        "event_times_0_2": truth.att(outcome, phase),
        "event_times_0_2_balanced": truth.att_balanced(outcome, phase),
        **{f"event_time_{e}": truth.att(outcome, phase, event_time=e) for e in range(3)},
    }


def _save(path: Path, content: bytes) -> Path:
    """Written under a temporary name, then moved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(content)
    draft.replace(path)
    return path
