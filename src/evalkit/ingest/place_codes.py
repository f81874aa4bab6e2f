"""A column of region codes or addresses to the codes of 2018, each read with the date at which it was written."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import ValueProblem
from evalkit.ingest.addresses import address_head, base_of_address, parse_address
from evalkit.ingest.columns import Options, Source
from evalkit.ingest.regions import Date, base_of_code, is_approximate, retired_base

_CODE = re.compile(r"(\d{5})(?:\d{5})?(?:\.0+)?")


def read_regions(source: Source, when: NDArray[Any] | Date, options: Options) -> NDArray[np.object_]:
    """2018 codes; None where missing or, if the options say so, where unreadable  # (n,)

    A cell is a code of five digits, a 법정동 code of ten (its first five are the 시·군·구), or an address.
    """
    n, level = len(source.codes), source.spec.region_level
    dates = when if isinstance(when, np.ndarray) else np.full(n, 0)
    labels, era = np.unique(dates, return_inverse=True)
    pairs, inverse = np.unique(source.codes * len(labels) + era, return_inverse=True)
    values = np.full(len(pairs), None, dtype=object)
    moved, told, wide, followed = (np.zeros(len(pairs), dtype=bool) for _ in range(4))
    faults: dict[int, ValueProblem] = {}
    heads: dict[tuple[str, Any], tuple[str | ValueProblem, bool]] = {}
    for index, pair in enumerate(pairs):
        text_index = int(pair) // len(labels)
        if source.missing[text_index]:
            continue
        text = str(source.texts[text_index])
        date: Date = when if not isinstance(when, np.ndarray) else int(labels[int(pair) % len(labels)])
        found = _CODE.fullmatch(text)
        head = found.group(1) if found else address_head(text)
        if (head, date) not in heads:
            heads[head, date] = _one(head, date, level, bool(found))
        known, wide[index] = heads[head, date]
        if isinstance(known, ValueProblem):
            past = (
                retired_base(head, date, level=level)
                if found and options.invalid_region == "follow"
                else None
            )
            if past is None:
                faults[index] = known
            else:
                values[index], followed[index] = past, True
            continue
        values[index] = known
        told[index] = found is None
        moved[index] = found is not None and known != head
    _report_faults(source, faults, inverse, options)
    out = values[inverse]
    texts = source.spread(source.texts)
    for kind, hit in (
        ("주소에서 지역 코드를 정함", told),
        ("지역 코드를 2018년 기준으로 바꿈", moved),
        ("이미 없어진 지역 코드를 그 뒤의 지역으로 읽음", followed),
        ("경계가 2018년과 어긋난 지역: 정해 둔 지역을 따름", wide),
    ):
        source.log.note_rows(kind, source.label, hit[inverse], source.rows, texts, out)
    return out


def _one(text: str, date: Date, level: Any, is_code: bool) -> tuple[str | ValueProblem, bool]:
    """2018 code of a code or an address, or why there is none; and whether its border crosses those of 2018."""
    try:
        base = (base_of_code if is_code else base_of_address)(text, date, level=level)
        code = text if is_code else parse_address(text, date, level=level)
    except ValueProblem as problem:
        return problem, False
    return base, bool(is_approximate([code], date, level=level)[0])


def _report_faults(
    source: Source, faults: dict[int, ValueProblem], inverse: NDArray[np.int64], options: Options
) -> None:
    """Stop at the first unreadable place, or log all as missing."""
    bad = np.isin(inverse, list(faults)) if faults else np.zeros(len(inverse), dtype=bool)
    if options.invalid_region == "error":
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            fault = faults[int(inverse[first])]
            raise source.log.error(
                fault.problem,
                source.label,
                int(source.rows[first]),
                fault.remedy,
                others=int(bad.sum()) - 1,
            )
        missing = source.spread(source.missing)
        if not source.spec.nullable and missing.any():
            row = int(source.rows[np.flatnonzero(missing)[0]])
            raise source.log.error("지역이 비어 있음", source.label, row, "시·도와 시·군·구를 적을 것")
    source.log.note_rows(
        "읽을 수 없는 지역을 빈 값으로 둠",
        source.label,
        bad,
        source.rows,
        source.spread(source.texts),
        "빈 값",
    )
