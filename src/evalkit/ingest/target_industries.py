"""대표산업 of each cluster as industry codes.

The names (부산 해양 ICT 융합, 대구 지능형 의료기기, …) are published facts. Which codes of 한국표준산업분류 they mean is nowhere
published: the prefixes here are our reading, marked so, and a table of the evaluator takes their place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import FileError, ValueProblem, nearest
from evalkit.ingest.files import read_raw
from evalkit.ingest.headers import normal
from evalkit.ingest.industries import codes_of, sections
from evalkit.ingest.lineage import facts

READING = "reading"
"""Basis of the prefixes that the kit brings: no source says so."""


@dataclass(frozen=True, slots=True, eq=False)
class TargetIndustries:
    """Prefixes of KSIC 10 by province.

    Attributes
    ----------
    prefixes : short name of the province -> prefixes
    names : short name of the province -> 대표산업 as published
    basis : "reading", or the file that the prefixes are from
    """

    prefixes: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    basis: str

    def member(self, codes: Iterable[Any], provinces: Iterable[Any]) -> NDArray[np.int8]:
        """Whether each code (KSIC 10) is in the target industry of its province: 1, 0, or −1 where it cannot be told  # (n,)

        A code that is shorter than a prefix that it begins cannot be told, nor can a missing one.

        Raises
        ------
        ValueProblem : a province without a target industry
        """
        digits = codes_of(list(codes)).tolist()
        out = []
        for code, province in zip(digits, provinces, strict=True):
            if str(province) not in self.prefixes:
                raise ValueProblem(
                    f"시·도 {province!r} 의 대표산업이 없음", remedy=nearest(str(province), self.prefixes)
                )
            own = self.prefixes[str(province)]
            if code and any(code.startswith(prefix) for prefix in own):
                out.append(1)
            elif not code or any(prefix.startswith(code) for prefix in own):
                out.append(-1)
            else:
                out.append(0)
        return np.array(out, dtype=np.int8)

    def table(self) -> pd.DataFrame:
        """Korean table of what is counted as the target industry, and by whom."""
        basis = "우리의 해석(근거 문서 없음)" if self.basis == READING else self.basis
        rows = [(p, self.names.get(p, ""), ", ".join(codes), basis) for p, codes in self.prefixes.items()]
        return pd.DataFrame(rows, columns=["시도", "대표산업", "산업분류(10차) 앞자리", "근거"])


def target_industries(path: str | Path | None = None) -> TargetIndustries:
    """The kit's reading, or a table of the evaluator (columns 시도, 대표산업, 업종코드; one prefix a row, or several with commas).

    Raises
    ------
    FileError : the table lacks a column or has no rows
    ValueProblem : a prefix that is no code of KSIC 10
    """
    if path is None:
        rows = [(r["province"], r["industry"], r["prefix"]) for r in facts("target_industries.csv")]
        return _made(rows, READING)
    path = Path(path)
    cells = read_raw(path).sheets[0].cells
    heads = [normal(str(cell)) for cell in cells[0]]
    at = []
    for words in (
        ("시도", "시·도", "province"),
        ("대표산업", "industry"),
        ("업종코드", "산업분류", "앞자리", "prefix"),
    ):
        found = [k for k, head in enumerate(heads) if head in {normal(word) for word in words}]
        if len(found) != 1:
            raise FileError(
                f"대표산업 표에 열 {words[0]!r} 이(가) 하나가 아님",
                where=(path.name,),
                remedy="첫 줄에 '시도, 대표산업, 업종코드' 를 적을 것",
            )
        at.append(found[0])
    rows = [
        (str(row[at[0]]).strip(), str(row[at[1]]).strip(), prefix)
        for row in cells[1:]
        for prefix in re.split(r"[,\s·/;]+", str(row[at[2]]).strip())
        if prefix
    ]
    if not rows:
        raise FileError("대표산업 표에 행이 없음", where=(path.name,), remedy="시도마다 업종코드를 적을 것")
    return _made(rows, path.name)


def _made(rows: list[tuple[str, str, str]], basis: str) -> TargetIndustries:
    prefixes: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    divisions = sections(10)
    for province, industry, prefix in rows:
        if not re.fullmatch(r"\d{2,5}", prefix) or prefix[:2] not in divisions:
            raise ValueProblem(
                f"업종코드 {prefix!r} 은(는) 산업분류 10차 코드의 앞자리가 아님",
                where=(basis, province),
                remedy="26, 271 처럼 두 자리 이상으로 적을 것",
            )
        prefixes.setdefault(province, []).append(prefix)
        names[province] = industry
    return TargetIndustries(
        MappingProxyType({p: tuple(dict.fromkeys(codes)) for p, codes in prefixes.items()}),
        MappingProxyType(names),
        basis,
    )
