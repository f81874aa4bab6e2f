"""From the codes of one date to those of another with stated weights, and what is carried along them.

Where a code was renamed, recoded or merged, its weight is one and nothing need be known. Where its land went to several
codes, a weight must come from somewhere: a table that names them, the sizes (area, population, …) of units that lie wholly
on one side, or, if asked for, the declared part that is followed. Never from silence.

What is carried along a crosswalk: `carrying`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import RefusalError, ValueProblem
from evalkit.ingest.lineage import Date, mapped, no_such_code
from evalkit.ingest.split_weights import SplitWeights, UnitSizes
from evalkit.ingest.territory import Pieces, Scale, land_during, land_on, names_during

Rule = Literal["ask", "follow"] | SplitWeights | UnitSizes

SAME, JOINED, FOLLOWED = "그대로", "합쳐짐", "정해 둔 부분을 따름"


@dataclass(frozen=True, slots=True, eq=False)
class Crosswalk:
    """Weights from the codes of one date to those of another.

    Attributes
    ----------
    frame : ``source, source_name, target, target_name, weight, basis``; weights of a source sum to one
    source_date, target_date, level : what it was made for
    """

    frame: pd.DataFrame
    source_date: Date
    target_date: Date
    level: Scale

    @property
    def crossing(self) -> tuple[str, ...]:
        """Sources whose land went to several targets."""
        basis = self.frame["basis"]
        return tuple(self.frame.loc[~basis.isin([SAME, JOINED]), "source"].unique())


def crosswalk(
    source_date: Date,
    target_date: Date = "2018-12-31",
    *,
    level: Scale = "district",
    weights: Rule = "ask",
    codes: Iterable[Any] | None = None,
) -> Crosswalk:
    """Weights from every code in use on some day of `source_date` to those in use on the last day of `target_date`.

    Parameters
    ----------
    source_date, target_date : a year, "YYYY-MM" or a day
    level : "district" (일반구 apart), "city" (cities whole) or "province" (two digits)
    weights : of sources that were divided. "ask": refuse, naming them; "follow": all to the declared part, and say so;
        `SplitWeights`: a table of the evaluator; `UnitSizes`: by area, population, … of units on one side of the border
    codes : only these sources are needed; a division of another does not matter then

    Raises
    ------
    ValueProblem : a code was not in use
    RefusalError : a divided source without a weight
    """
    sources, targets = land_during(source_date, level), land_on(target_date, level)
    wanted = sorted(sources) if codes is None else sorted({str(code) for code in codes})
    names = names_during(source_date, level), names_during(target_date, level)
    holder = {piece: code for code, pieces in targets.items() for piece in pieces}
    rows: list[tuple[str, str, str, str, float, str]] = []
    open_ones: list[tuple[str, list[str]]] = []
    if isinstance(weights, SplitWeights):
        _check_table(weights, sources, holder, source_date, target_date)
    for source in wanted:
        if source not in sources:
            raise unknown_code(source, source_date, level)
        shares = _shares(source, sources[source], targets, holder, weights)
        if shares is None:
            open_ones.append((source, list(dict.fromkeys(holder[p] for p in sources[source]))))
            continue
        rows += [
            (source, names[0].get(source, ""), target, names[1].get(target, ""), weight, basis)
            for target, weight, basis in shares
        ]
    if open_ones:
        raise _asking(open_ones, names, weights)
    columns = ["source", "source_name", "target", "target_name", "weight", "basis"]
    frame = pd.DataFrame(rows, columns=columns).astype({c: "str" for c in columns if c != "weight"})
    return Crosswalk(frame.astype({"weight": "float64"}), source_date, target_date, level)


def _shares(
    source: str, pieces: Pieces, targets: Mapping[str, Pieces], holder: Mapping[int, str], rule: Rule
) -> list[tuple[str, float, str]] | None:
    """(target, weight, basis) of one source; None where a weight is missing."""
    reached = list(dict.fromkeys(holder[piece] for piece in pieces))
    if len(reached) == 1:
        same = set(targets[reached[0]]) == set(pieces)
        return [(reached[0], 1.0, SAME if same else JOINED)]
    if rule == "ask":
        return None
    if rule == "follow":
        return [(reached[0], 1.0, FOLLOWED)]
    shares = (
        rule.of(source)
        if isinstance(rule, SplitWeights)
        else rule.shares({target: set(pieces) & set(targets[target]) for target in reached})
    )
    if shares is None:
        return None
    return [(target, shares[target], f"몫: {rule.name}") for target in sorted(shares) if shares[target] > 0]


def unknown_code(code: str, date: Date, level: Scale) -> ValueProblem:
    """Why a code cannot be a source of a crosswalk."""
    if level == "province":
        return ValueProblem(
            f"시·도 코드 {code} 은(는) {date} 에 쓰지 않던 코드임",
            remedy="행정안전부 두 자리 코드로 적을 것",
        )
    return no_such_code(code, date, level)


def _check_table(
    table: SplitWeights,
    sources: Mapping[str, Pieces],
    holder: Mapping[int, str],
    source_date: Date,
    target_date: Date,
) -> None:
    """Every row of a table of weights must name land that really went that way."""
    for source, shares in table.rows.items():
        if source not in sources:
            raise ValueProblem(
                f"몫 표 {table.name} 의 옛 코드 {source} 은(는) {source_date} 에 쓰지 않던 코드임",
                remedy="기준 시점이나 코드를 고칠 것",
            )
        reached = {holder[piece] for piece in sources[source]}
        for target in shares:
            if target not in reached:
                raise ValueProblem(
                    f"몫 표 {table.name} 에서 {source} 의 땅은 {target_date} 에 {target} 에 들지 않음",
                    remedy=f"새 코드를 {', '.join(sorted(reached))} 가운데서 적을 것",
                )


def _asking(
    open_ones: list[tuple[str, list[str]]], names: tuple[dict[str, str], dict[str, str]], rule: Rule
) -> RefusalError:
    said = "; ".join(
        f"{source} {names[0].get(source, '')} → " + "·".join(f"{t} {names[1].get(t, '')}" for t in targets)
        for source, targets in open_ones[:3]
    )
    more = f" 밖에 {len(open_ones) - 3}곳" if len(open_ones) > 3 else ""
    why = (
        ""
        if isinstance(rule, str)
        else f" ({rule.name} 표로는 정할 수 없음: 경계의 한쪽에 온전히 든 단위가 없음)"
    )
    return RefusalError(
        f"땅이 여럿으로 나뉜 지역의 몫을 알 수 없음: {said}{more}{why}",
        remedy="몫 표(옛 코드, 새 코드, 몫)나 인구·면적 표를 주거나, weights='follow' 로 정해 둔 부분을 따른다고 밝힐 것",
    )


def to_frozen(
    codes: Iterable[Any],
    date: Date,
    base: Date = "2018-12-31",
    *,
    level: Scale = "district",
    divided: Literal["ask", "follow"] = "ask",
) -> NDArray[np.str_]:
    """The one code of `base` for each code of `date`: as `regions.to_base`, to any frozen year  # (n,)

    Parameters
    ----------
    divided : what a code does whose land lies in several codes of `base`: stop, or go with the declared part

    Raises
    ------
    ValueProblem : a code was not in use at `date`
    RefusalError : a divided code
    """
    values = np.asarray(codes if isinstance(codes, Sequence | np.ndarray) else list(codes)).astype(str)
    table = crosswalk(date, base, level=level, weights=divided, codes=np.unique(values)).frame
    found = dict(zip(table["source"], table["target"], strict=True))
    return mapped(values, lambda code: found[code])
