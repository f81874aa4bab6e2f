"""Identifiers: 사업자등록번호 and 법인등록번호 are checked, hashed with a key, and never shown whole.

Check digits: 사업자등록번호 (10 digits) with weights 1,3,7,1,3,7,1,3,5 and the tens digit of 5 × the ninth digit;
법인등록번호 (13 digits) with weights 1,2,1,2,… over 12 digits. A number is kept only as HMAC-SHA256 under the evaluator's
own key, cut to 16 hexadecimal digits: without the key nobody can list all 10^10 numbers and undo it.

Digits 4–5 of a 사업자등록번호 say what holds it (국세청 사업자등록번호 체계): 01–79 a taxable and 90–99 an exempt individual,
81·86·87·88 the head office and 85 a branch of a corporation for profit, 82 a corporation not for profit, 83 the state, a
municipality or their union, 84 a foreign corporation (82–84 do not tell head office from branch); 80 and 89 are others.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import DataError, ValueProblem

ENTITY_KINDS: tuple[str, ...] = (
    "individual", "corporation_head_office", "corporation_branch", "non_profit", "public", "foreign", "unknown",
)  # fmt: skip
"""What may hold a number, by its digits 4–5; "unknown" is every other pair, and no number."""

_ENTITY_OF = {
    **{f"{pair:02d}": "individual" for pair in (*range(1, 80), *range(90, 100))},
    **dict.fromkeys(("81", "86", "87", "88"), "corporation_head_office"),
    "82": "non_profit", "83": "public", "84": "foreign", "85": "corporation_branch",
}  # fmt: skip

_POWER = re.compile(r"([1-9])[.,]([0-9]+)[eE]\+?([0-9]{1,2})")
_DASH = r"\s?[\-‐‑‒–—−－]\s?"
_INSIDE = re.compile(
    rf"(?<!\d)(?<!\d\.)(?:\d{{3}}(?:{_DASH}|[ .])\d{{2}}(?:{_DASH}|[ .])\d{{5}}|\d{{6}}{_DASH}\d{{7}}|\d{{13}}|\d{{10}})"
    r"(?!\d)(?!\.\d*[1-9])"
)
_ALONE = re.compile(r"[A-Za-z\-]*\d{10}(?:\d{3})?(?:\.0+)?")
_FEW = 3  # distinct texts from which chance (one in ten passes the check) is told from numbers of firms
_BUSINESS = np.array([1, 3, 7, 1, 3, 7, 1, 3, 5])
_CORPORATE = np.array([1, 2] * 6)


def _digits(numbers: NDArray[np.str_], count: int) -> NDArray[np.int64]:
    """Digits of equally long numbers  # (n, count)"""
    flat = np.array("".join(numbers.tolist()), dtype=f"U{max(1, len(numbers) * count)}").reshape(1)
    return flat.view("U1").reshape(-1, count).astype(np.int64) if len(numbers) else np.zeros((0, count), int)


def business_check_digit(first_nine: str) -> int:
    """The tenth digit of a 사업자등록번호.

    >>> business_check_digit("124810099")
    8
    """
    digits = _digits(np.array([_only_digits(first_nine, 9)]), 9)
    return int(_business_check(digits)[0])


def _business_check(digits: NDArray[np.int64]) -> NDArray[np.int64]:
    total = digits[:, :9] @ _BUSINESS + digits[:, 8] * 5 // 10
    return np.asarray((10 - total % 10) % 10)


def corporate_check_digit(first_twelve: str) -> int:
    """The thirteenth digit of a 법인등록번호."""
    digits = _digits(np.array([_only_digits(first_twelve, 12)]), 12)
    return int((10 - int((digits @ _CORPORATE)[0]) % 10) % 10)


def _only_digits(text: str, count: int) -> str:
    digits = re.sub(r"[\s\-]", "", str(text))
    if not re.fullmatch(rf"[0-9]{{{count}}}", digits):
        raise ValueProblem(
            f"번호 {mask(text)} 이(가) 숫자 {count}자리가 아님", remedy="원본 번호를 확인할 것"
        )
    return digits


def normalise_number(text: Any, count: int = 10) -> str:
    """Digits of a number as written: hyphens, blanks, a float's ``.0`` taken away, wide digits narrowed, zeros lost
    on the left put back.
    """
    if isinstance(text, str):
        plain = text.replace("-", "")
        if len(plain) == count and plain.isascii() and plain.isdigit():
            return plain
    if isinstance(text, float) and text.is_integer():
        text = int(text)
    folded = unicodedata.normalize("NFKC", str(text)).strip()
    power = _POWER.fullmatch(folded)
    if power and len(power.group(1) + power.group(2)) == int(power.group(3)) + 1 == count:
        return power.group(1) + power.group(2)
    digits = re.sub(r"[\s\-‐–—−.·]", "", re.sub(r"\.0+$", "", folded))
    return digits.zfill(count) if re.fullmatch(rf"[0-9]{{{count - 2},{count}}}", digits) else digits


def valid_business_numbers(numbers: Iterable[Any]) -> NDArray[np.bool_]:
    """Whether each is ten digits with the right check digit (as normalised text)  # (n,)"""
    array = np.asarray(list(numbers)).astype(str)
    good = np.array([len(text) == 10 and text.isascii() and text.isdigit() for text in array], dtype=np.bool_)
    if good.any():
        digits = _digits(array[good], 10)
        good[good] = (_business_check(digits) == digits[:, 9]) & (digits.sum(axis=1) > 0)
    return good


def is_business_number(text: Any) -> bool:
    """Whether a text, hyphens or not, is a 사업자등록번호 with the right check digit."""
    return bool(valid_business_numbers([normalise_number(text)])[0])


def is_corporate_number(text: Any) -> bool:
    """Whether a text, hyphen or not, is a 법인등록번호 with the right check digit."""
    digits = normalise_number(text, 13)
    return bool(re.fullmatch(r"[0-9]{13}", digits)) and corporate_check_digit(digits[:12]) == int(digits[12])


def without_numbers(text: str) -> str:
    """A text with every 사업자등록번호 and 법인등록번호 in it (right check digit, hyphens or not) masked.

    >>> without_numbers("(주)한빛 124-81-00998"), without_numbers("031-124-8100")
    ('(주)한빛 124-**-*****', '031-124-8100')
    """
    return _INSIDE.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    digits = unicodedata.normalize("NFKC", re.sub(r"\D", "", match.group()))
    right = is_business_number(digits) if len(digits) == 10 else is_corporate_number(digits)
    return mask(digits) if right else match.group()


def texts_without_numbers(texts: NDArray[np.object_], *, codes: bool = False) -> NDArray[np.object_]:
    """As `without_numbers` for the distinct texts of one column; the same array where nothing is masked  # (u,)

    Bare digits that are a whole cell may be a code or a project's number: one in ten of them passes the check by chance.
    They are left where three or more stand in the column and fewer than half pass.

    Parameters
    ----------
    codes : the column holds codes (of 법정동, of industries): cells of bare digits are left as they are
    """
    if not _INSIDE.search("\n".join(texts.tolist())):
        return texts
    hit = [k for k, text in enumerate(texts) if _INSIDE.search(text)]
    masked = {k: without_numbers(texts[k]) for k in hit}
    alone = [k for k in hit if _ALONE.fullmatch(texts[k])]
    if codes or (len(alone) >= _FEW and 2 * sum(masked[k] != texts[k] for k in alone) < len(alone)):
        for k in alone:
            del masked[k]
    out = texts.copy()
    for k, text in masked.items():
        out[k] = text
    return out


def hash_identifier(number: str, key: bytes) -> str:
    """HMAC-SHA256 of the text under `key`, the first 16 hexadecimal digits.

    Raises
    ------
    ValueProblem : the key is empty
    """
    if not key:
        raise ValueProblem("식별자 암호화 열쇠가 비어 있음", remedy="열쇠를 만들어 지정할 것")
    return hmac.new(key, str(number).encode(), hashlib.sha256).hexdigest()[:16]


def is_destroyed(text: Any) -> bool:
    """Whether a spreadsheet wrote a long number as ``1.10111E+12``: the digits that it left out cannot be brought back.

    >>> is_destroyed("1.10111E+12"), is_destroyed("1.248100998E+09"), is_destroyed("1248100998.0")
    (True, False, False)
    """
    power = _POWER.fullmatch(unicodedata.normalize("NFKC", str(text)).strip())
    return power is not None and len(power.group(2)) < int(power.group(3))


def number_states(values: Iterable[Any], count: int = 10) -> NDArray[np.str_]:
    """What became of each number in a file, in Korean: whole, repaired, or beyond repair  # (n,)

    Parameters
    ----------
    count : 10 for 사업자등록번호, 13 for 법인등록번호
    """
    out = []
    for value in values:
        text = unicodedata.normalize("NFKC", "" if value is None else str(value)).strip()
        if text.lower() in ("", "-", "nan", "none", "<na>"):
            out.append("비어 있음")
            continue
        if is_destroyed(text):
            out.append("지수로 바뀌어 되살릴 수 없음")
            continue
        digits = normalise_number(text, count)
        if not re.fullmatch(rf"[0-9]{{{count}}}", digits):
            out.append("자릿수가 틀림")
        elif not (is_business_number(digits) if count == 10 else is_corporate_number(digits)):
            out.append("검증번호가 틀림")
        elif _POWER.fullmatch(text):
            out.append("지수에서 되돌림")
        elif re.sub(r"\.0+$", "", text) != text:
            short = len(re.sub(r"\D", "", re.sub(r"\.0+$", "", text))) < count
            out.append("소수점 빼고 앞자리 0 되살림" if short else "소수점 뺌")
        else:
            out.append("앞자리 0 되살림" if len(re.sub(r"\D", "", text)) < count else "온전함")
    return np.array(out, dtype=np.str_)


def key_fingerprint(key: bytes) -> str:
    """What may be told of a key: eight hexadecimal digits by which two tables are known to be hashed under one key."""
    return hmac.digest(key, b"fingerprint of the key", "sha256").hex()[:8] if key else ""


def refuse_mixed_keys(fingerprints: Iterable[tuple[str, str]]) -> None:
    """Hashes under different keys never meet: refuse to link such tables.

    Parameters
    ----------
    fingerprints : (name of the table, fingerprint); an empty fingerprint is a table without identifiers

    Raises
    ------
    DataError : two tables and the way out
    """
    first: tuple[str, str] | None = None
    for name, fingerprint in fingerprints:
        if not fingerprint:
            continue
        if first is not None and fingerprint != first[1]:
            raise DataError(
                f"사업자등록번호가 다른 열쇠로 암호화되어 이을 수 없음: {first[0]} ({first[1]}), {name} ({fingerprint})",
                remedy="열쇠를 바꾸었으면 모든 원자료를 같은 열쇠(EVALKIT_HASH_KEY)로 다시 읽을 것",
            )
        first = first or (name, fingerprint)


def hash_text(text: str, key: bytes) -> str:
    """As `hash_identifier`, without looking at the key again (it was checked once)."""
    return hmac.digest(key, text.encode(), "sha256").hex()[:16]


def hash_head(head: str, key: bytes) -> str:
    """Keyed hash of the first six digits of a number; never the same as the hash of a whole number."""
    return hash_text(f"head|{head}", key)


def entity_kind(number: str) -> str:
    """What holds a number, by digits 4–5 of its first six or more digits: one of `ENTITY_KINDS`.

    >>> entity_kind("1248100998"), entity_kind("126885"), entity_kind("")
    ('corporation_head_office', 'corporation_head_office', 'unknown')
    """
    return _ENTITY_OF.get(number[3:5], "unknown") if number[:6].isdigit() and len(number) >= 6 else "unknown"


def mask(number: Any) -> str:
    """Only the first three characters are shown: ``123-**-*****``; other text has every digit starred after three."""
    text = str(number).strip()
    digits = re.sub(r"\D", "", text)
    if len(digits) == 10:
        return f"{digits[:3]}-**-*****"
    if len(digits) == 13:
        return f"{digits[:3]}***-*******"
    return text[:3] + re.sub(r"\S", "*", text[3:20])
