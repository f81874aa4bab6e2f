"""What spreadsheets do to long codes, taken back where the digits are still there."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTHS = (2, 5, 7, 8, 10, 19)
"""Digits of a 시·도, a 시·군·구, a 읍·면·동 of 통계청, a 법정동 or 행정동, and a parcel."""

_MISSING = {"", "-", "nan", "none", "<na>", "null", "해당없음"}


def repair_codes(values: Iterable[Any]) -> tuple[NDArray[np.str_], dict[str, int], tuple[int, ...]]:
    """Codes as text without what spreadsheets did to them; kinds of repair with counts; positions that are lost.

    A number in scientific notation keeps only its written digits: ``4.16103E+09`` still says 41610, ``4.16E+09`` does not.
    """
    out: list[str] = []
    counts: dict[str, int] = {}
    lost: list[int] = []
    for place, value in enumerate(values):
        text = unicodedata.normalize("NFKC", "" if value is None else str(value)).strip()
        plain = text.lstrip("'").replace(" ", "").strip("\"'")
        if plain.lower() in _MISSING:
            out.append("")
            continue
        kinds = [] if plain == text else ["코드 앞뒤의 기호와 빈칸 뺌"]
        power = re.fullmatch(r"(\d)(?:\.(\d+))?[eE]\+?(\d+)", plain)
        if power:
            digits, width = power.group(1) + (power.group(2) or ""), int(power.group(3)) + 1
            if len(digits) < min(width, 5) or width not in WIDTHS:
                lost.append(place)
                out.append("")
                continue
            plain = digits[:width].ljust(width, "0")
            kinds.append(
                "지수로 바뀐 코드의 남은 자리로 읽음" if len(digits) < width else "지수로 바뀐 코드 되돌림"
            )
        if re.fullmatch(r"\d+\.0+", plain):
            plain = plain.split(".")[0]
            kinds.append("코드의 소수점 뺌")
        if re.fullmatch(r"\d{1,3}(,\d{3})+", plain):
            plain = plain.replace(",", "")
            kinds.append("코드의 쉼표 뺌")
        for kind in kinds:
            counts[kind] = counts.get(kind, 0) + 1
        out.append(plain)
    return np.array(out, dtype=np.str_), counts, tuple(lost)
