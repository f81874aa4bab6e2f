"""Weights for land that was divided: a table of the evaluator, or the sizes of units that lie wholly on one side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from evalkit import strict_yaml
from evalkit.errors import DataError, FileError, UsageError, ValueProblem
from evalkit.ingest.files import read_raw
from evalkit.ingest.headers import normal
from evalkit.ingest.lineage import Date
from evalkit.ingest.territory import Scale, land_on

TOLERANCE = 1e-6
"""How far the weights of a source may lie from one; they are then divided by their sum."""

_SOURCE = ("옛코드", "출발코드", "source", "old", "from")
_TARGET = ("새코드", "도착코드", "target", "new", "to")
_WEIGHT = ("몫", "가중치", "비중", "weight", "share")


@dataclass(frozen=True, slots=True, eq=False)
class SplitWeights:
    """Shares of divided codes, source -> target -> weight; those of a source sum to one.

    Raises
    ------
    DataError : a weight that is negative or no number, or weights that do not sum to one
    """

    name: str
    rows: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        checked = {}
        for source, shares in self.rows.items():
            for target, weight in shares.items():
                if (
                    isinstance(weight, bool)
                    or not isinstance(weight, int | float)
                    or not 0 <= weight <= 1 + TOLERANCE
                ):
                    raise DataError(
                        f"몫 {weight!r} 이(가) 0과 1 사이의 수가 아님",
                        where=(self.name, f"{source} → {target}"),
                        remedy="30%는 0.3 으로 적을 것",
                    )
            total = math.fsum(shares.values())
            if abs(total - 1) > TOLERANCE:
                raise DataError(
                    f"{source} 의 몫의 합이 {total:.6g} 이고 1 이 아님",
                    where=(self.name,),
                    remedy="빠진 새 코드가 없는지 보고 합이 1 이 되게 할 것",
                )
            checked[str(source)] = MappingProxyType({str(t): float(w) / total for t, w in shares.items()})
        object.__setattr__(self, "rows", MappingProxyType(checked))

    def of(self, source: str) -> Mapping[str, float] | None:
        """Weights of one source, or None where the table does not speak of it."""
        return self.rows.get(source)


@dataclass(frozen=True, slots=True, eq=False)
class UnitSizes:
    """Sizes (area, population, workers, …) of the units of one date, from which divided land gets its weights.

    A part of a divided code is known where it is made of whole units: 화성시 (2025) is divided by the sizes of its four 구
    of 2026. A border that crosses the units themselves is not known from them.
    """

    name: str
    date: Date
    level: Scale
    values: Mapping[str, float]

    def __post_init__(self) -> None:
        land = land_on(self.date, self.level)
        for code, size in self.values.items():
            if str(code) not in land:
                raise ValueProblem(
                    f"{self.name} 표의 지역 {code} 은(는) {self.date} 에 쓰지 않던 코드임",
                    remedy="표의 기준 시점이나 코드를 고칠 것",
                )
            if not math.isfinite(size) or size < 0:
                raise ValueProblem(
                    f"{self.name} 표의 {code} 값 {size!r} 이(가) 0 이상의 수가 아님", remedy="값을 고칠 것"
                )
        object.__setattr__(
            self, "values", MappingProxyType({str(c): float(v) for c, v in self.values.items()})
        )

    def shares(self, parts: Mapping[str, set[int]]) -> dict[str, float] | None:
        """Weights of the parts of one code, by target; None where a part is not made of whole units."""
        land = land_on(self.date, self.level)
        sizes: dict[str, float] = {}
        for target, pieces in parts.items():
            inside = [code for code in self.values if set(land[code]) <= pieces]
            if {piece for code in inside for piece in land[code]} != pieces:
                return None
            sizes[target] = math.fsum(self.values[code] for code in inside)
        total = math.fsum(sizes.values())
        return {target: size / total for target, size in sizes.items()} if total > 0 else None


def read_weights(path: str | Path) -> SplitWeights:
    """A table of weights: CSV or Excel with 옛 코드, 새 코드, 몫, or YAML ``{old: {new: weight}}``.

    Raises
    ------
    FileError : not such a table
    DataError : a weight is no number, a pair stands twice, or weights do not sum to one
    """
    path = Path(path)
    if path.suffix.lower() in (".yml", ".yaml"):
        return SplitWeights(path.name, _from_yaml(path))
    page = read_raw(path).sheets[0]
    heads = [normal(str(cell)) for cell in page.cells[0]]
    at = []
    for words in (_SOURCE, _TARGET, _WEIGHT):
        known = {normal(word) for word in words}
        found = [k for k, head in enumerate(heads) if head in known]
        if len(found) != 1:
            raise FileError(
                f"몫 표에 열 {words[0]!r} 이(가) 하나가 아님",
                where=(path.name,),
                remedy="첫 줄에 '옛 코드, 새 코드, 몫' 을 적을 것",
            )
        at.append(found[0])
    rows: dict[str, dict[str, float]] = {}
    for number, cells in enumerate(page.cells[1:], start=2):
        source, target, text = (
            str(cells[k]).strip().removesuffix(".0") if k != at[2] else str(cells[k]).strip() for k in at
        )
        if not (source or target or text):
            continue
        try:
            weight = float(text)
        except ValueError:
            raise DataError(
                f"몫 {text!r} 을(를) 수로 읽을 수 없음",
                where=(path.name, f"{number}행"),
                remedy="30%는 0.3 으로 적을 것",
            ) from None
        if target in rows.setdefault(source, {}):
            raise DataError(
                f"{source} → {target} 이(가) 두 번 있음",
                where=(path.name, f"{number}행"),
                remedy="하나만 남길 것",
            )
        rows[source][target] = weight
    return SplitWeights(path.name, rows)


def _from_yaml(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = strict_yaml.load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise FileError(
            f"몫 표를 읽을 수 없음 ({type(problem).__name__})",
            where=(path.name,),
            remedy="YAML 파일인지 확인할 것",
        ) from None
    except UsageError as problem:
        raise DataError(problem.problem, where=(path.name, *problem.where), remedy=problem.remedy) from None
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise FileError(
            "몫 표의 꼴이 아님", where=(path.name,), remedy="'옛 코드: {새 코드: 몫, …}' 꼴로 적을 것"
        )
    return {str(source): {str(t): w for t, w in shares.items()} for source, shares in content.items()}
