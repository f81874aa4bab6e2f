"""Names of regions: a check of codes, and never a key by themselves.

중구, 동구, 서구, 남구, 북구, 강서구 and 고성군 stand in several 시·도. Names that do not fit their codes are listed: labels that
were swapped or shifted by a row while the codes are right, or the other way round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DataError, ValueProblem
from evalkit.ingest.addresses import parse_address
from evalkit.ingest.code_systems import same_name
from evalkit.ingest.lineage import Date, Level, no_such_code
from evalkit.ingest.regions import sido_short
from evalkit.ingest.territory import names_during


@cache
def repeated_names(date: Date = 2018, level: Level = "city") -> tuple[str, ...]:
    """Names that stand in more than one 시·도 at `date`.

    >>> "고성군" in repeated_names(2018)
    True
    """
    where: dict[str, set[str]] = {}
    for code, name in names_during(date, level).items():
        where.setdefault(name, set()).add(sido_short(code))
    return tuple(sorted(name for name, provinces in where.items() if len(provinces) > 1))


def name_conflicts(
    codes: Sequence[Any],
    names: Sequence[Any],
    date: Date,
    *,
    provinces: Sequence[Any] | None = None,
    level: Level = "district",
) -> pd.DataFrame:
    """Rows whose name contradicts their code; the code is what counts.

    Returns
    -------
    Columns ``row`` (position from 0), ``code``, ``given`` (name in the file), ``expected`` (name of the code), ``whose`` (codes
    of the same 시·도 that bear the given name: several rows with one another's names are swapped labels)

    Raises
    ------
    ValueProblem : a code was not in use at `date`
    """
    table = names_during(date, level)
    rows = []
    for row, (raw, given) in enumerate(zip(codes, names, strict=True)):
        code = str(raw)
        if code not in table:
            raise no_such_code(code, date, level)
        text = "" if given is None or given != given else str(given).strip()
        province = "" if provinces is None else str(provinces[row]).strip()
        wrong_sido = (
            bool(province)
            and sido_short(code) not in (province, province[:2])
            and not _is_sido(code, province)
        )
        if (not text or same_name(text, [table[code]])) and not wrong_sido:
            continue
        own = [c for c, name in table.items() if c[:2] == code[:2] and text and same_name(text, [name])]
        rows.append((row, code, f"{province} {text}".strip(), table[code], "|".join(sorted(own))))
    return pd.DataFrame(rows, columns=["row", "code", "given", "expected", "whose"])


def _is_sido(code: str, province: str) -> bool:
    from evalkit.ingest.lineage import sido_rows

    short = sido_short(code)
    return any(row["short"] == short and row["name"] == province for row in sido_rows())


@dataclass(frozen=True, slots=True, eq=False)
class NameJoin:
    """Codes found for names. `codes` is "" where no code was found; `problems` says why, row by row."""

    codes: NDArray[np.str_]
    problems: pd.DataFrame


def codes_of_names(
    provinces: Sequence[Any] | None, names: Sequence[Any], date: Date, *, level: Level = "district"
) -> NameJoin:
    """Codes, as of `date`, of 시·군·구 named together with their 시·도.

    Raises
    ------
    DataError : no 시·도 at all: names alone are never joined
    """
    if provinces is None:
        found = [str(name).strip() for name in names if str(name).strip() in repeated_names(date, level)]
        example = f" (예: {found[0]})" if found else ""
        raise DataError(
            f"시·군·구 이름만으로는 잇지 않음: 여러 시·도에 같은 이름이 있음{example}",
            remedy="시·도 열을 함께 주거나 코드 열을 쓸 것",
        )
    out: list[str] = []
    problems: list[tuple[int, str, str, str]] = []
    for row, (province, name) in enumerate(zip(provinces, names, strict=True)):
        sido, text = (("" if v is None or v != v else str(v).strip()) for v in (province, name))
        if not sido:
            out.append("")
            problems.append((row, sido, text, "시·도가 비어 있음"))
            continue
        try:
            code = parse_address(f"{sido} {text}", date, level=level)
        except ValueProblem as problem:
            out.append("")
            problems.append((row, sido, text, problem.problem))
            continue
        if not same_name(text, [names_during(date, level).get(code, "")]) and sido[:2] != "세종":
            problems.append(
                (row, sido, text, f"이름이 다른 {code} {names_during(date, level).get(code, '')} 로 읽음")
            )
        out.append(code)
    return NameJoin(
        np.array(out, dtype=np.str_), pd.DataFrame(problems, columns=["row", "sido", "name", "problem"])
    )
