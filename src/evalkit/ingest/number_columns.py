"""Columns of 사업자등록번호, whole or cut to six digits: hashed while they are read, so that no number goes further."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.cells import WIDE
from evalkit.ingest.columns import Options, Source
from evalkit.ingest.identifiers import (
    entity_kind,
    hash_head,
    hash_text,
    is_destroyed,
    mask,
    normalise_number,
    valid_business_numbers,
)


def read_business_numbers(source: Source, options: Options) -> NDArray[np.object_]:
    """Keyed hashes of 사업자등록번호; a number that links to nothing is ``u-`` and a hash of its own  # (n,)"""
    texts = source.texts
    numbers = np.array([normalise_number(text) for text in texts], dtype=object)
    good = valid_business_numbers(numbers) & ~source.missing
    bad = ~good & ~source.missing
    if options.invalid_identifier == "error":
        source.fail(bad, _wrong_number)
    hashes = np.array([hash_text(text, options.key) for text in numbers], dtype=object)
    hashes[bad] = ["u-" + hash_text(text, options.key) for text in numbers[bad]]
    lost = good & np.array([len(re.sub(r"\D", "", re.sub(r"\.0+$", "", t))) < 10 for t in texts], dtype=bool)
    source.note("사업자등록번호의 앞자리 0 되살림", lost, numbers, hide=True)
    floated = good & np.array([t.endswith(".0") for t in texts], dtype=bool)
    source.note("소수로 바뀐 사업자등록번호 되돌림", floated, numbers, hide=True)
    wide = good & np.array([unicodedata.normalize("NFKC", t) != t for t in texts], dtype=bool)
    source.note(WIDE, wide, numbers, hide=True)
    gone = bad & np.array([is_destroyed(t) for t in texts], dtype=bool)
    source.note(
        "지수로 바뀌어 되살릴 수 없는 사업자등록번호: 연결하지 않는 행으로 둠", gone, "연결 안 함", hide=True
    )
    source.note(
        "검증번호가 틀린 사업자등록번호: 연결하지 않는 행으로 둠", bad & ~gone, "연결 안 함", hide=True
    )
    values = source.spread(hashes)
    missing = source.spread(source.missing)
    if missing.any() and options.invalid_identifier == "unlinked":
        for place in np.flatnonzero(missing):
            own = f"{source.log.file}|{source.log.sheet}|{source.rows[place]}"
            values[place] = "u-" + hash_text(own, options.key)
        source.note("사업자등록번호가 빈 행: 연결하지 않는 행으로 둠", source.missing, "연결 안 함")
    else:
        values[missing] = None
    return values


def _wrong_number(text: str) -> tuple[str, str]:
    if is_destroyed(text):
        return (
            f"사업자등록번호 {mask(text)} 이(가) 지수로 바뀌어 번호를 되살릴 수 없음",
            "원본에서 그 열을 '텍스트' 로 바꾸어 다시 저장할 것 (연결하지 않을 행으로 두려면 invalid_identifier: unlinked)",
        )
    letters = sorted(set(re.findall(r"[A-Za-z]", text)))
    mixed = f" (숫자가 아닌 글자 {', '.join(letters)} 이(가) 섞임)" if letters else ""
    return (
        f"사업자등록번호 {mask(text)} 의 자릿수나 검증번호가 틀림{mixed}",
        "원본을 확인해 고치거나, 연결하지 않을 행으로 두려면 "
        "계획에서 이 자료의 options 에 invalid_identifier: unlinked 를 적을 것",
    )


def read_number_heads(source: Source, options: Options) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """What the first six digits of a 사업자등록번호 tell: their keyed hashes, and what holds the number  # (n,), (n,)

    Whole numbers are ten digits in any spelling; a published head is six, alone or with stars for the other four
    (``126811****``). Hashes are None where there are no six digits; what holds the number is then "unknown".
    """
    heads = np.array([_head(text) for text in source.texts], dtype=object)
    bad = np.array([head is None for head in heads], dtype=bool) & ~source.missing
    if source.spec.kind == "number_head":
        source.fail(
            bad,
            lambda text: (
                f"사업자등록번호 앞 여섯 자리로 읽을 수 없는 값 {mask(text)}",
                "여섯 자리(또는 열 자리)로 고치거나, 모르면 빈 칸으로 둘 것",
            ),
        )
    known = ~bad & ~source.missing
    hashes = np.array(
        [hash_head(head, options.key) if good else None for head, good in zip(heads, known, strict=True)],
        dtype=object,
    )
    kinds = np.array(
        [entity_kind(head) if good else "unknown" for head, good in zip(heads, known, strict=True)],
        dtype=object,
    )
    return source.spread(hashes), source.spread(kinds)


def read_whole_numbers(source: Source, options: Options) -> NDArray[np.object_]:
    """Keyed hashes of the numbers of a "number_head" column that are whole and right after all; else None  # (n,)"""
    numbers = np.array([normalise_number(text) for text in source.texts], dtype=object)
    good = valid_business_numbers(numbers) & ~source.missing
    hashes = [
        hash_text(text, options.key) if whole else None for text, whole in zip(numbers, good, strict=True)
    ]
    return source.spread(np.array(hashes, dtype=object))


def _head(text: str) -> str | None:
    """The first six digits of a number as written; None where they cannot be told."""
    bare = re.sub(r"[\s\-‐–—−.·]", "", re.sub(r"\.0+$", "", unicodedata.normalize("NFKC", text).strip()))
    if re.fullmatch(r"\d{6}[*xX●○]{0,4}", bare):
        return bare[:6]
    if re.fullmatch(r"\d{5}", bare):  # a spreadsheet took the first zero away
        return bare.zfill(6)
    whole = normalise_number(text)
    return whole[:6] if re.fullmatch(r"[0-9]{10}", whole) else None
