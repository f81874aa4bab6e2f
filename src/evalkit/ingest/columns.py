"""Whole columns of text to typed arrays, read once per distinct text.

Every reading that is not the plain one (a comma taken away, «-» taken as zero, 천원 brought to 백만원) is logged with its
count; a text that cannot be read is an error with file, sheet, row and column.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import nearest
from evalkit.ingest import units
from evalkit.ingest.cells import DASHES, UNKNOWN, parse_date, parse_number, parse_year
from evalkit.ingest.identifiers import hash_text as hash_text
from evalkit.ingest.identifiers import texts_without_numbers
from evalkit.ingest.log import Log
from evalkit.ingest.table import ColumnSpec

Texts = NDArray[np.object_]
_LARGEST_COUNT = 2.0**53  # beyond it a number no longer tells one from the next
_ERROR_CELL = re.compile(r"#(?:N/A|REF!|DIV/0!|VALUE!|NAME\?|NUM!|NULL!|오류|수식)")


@dataclass(frozen=True, slots=True)
class Options:
    """How strictly a file is read.

    Attributes
    ----------
    key : secret under which identifiers are hashed
    invalid_identifier : what a 사업자등록번호 with a wrong check digit does: stop, or stay as a row that links to nothing
    invalid_region : what an address without 시·도 and 시·군·구, or a code not in use, does: stop, be missing, or ("follow")
        be followed to the unit that it became, where it was a code once, and be missing where it never was
    units : unit of a money column whose file does not say it, by column name
    """

    key: bytes = b""
    invalid_identifier: Literal["error", "unlinked"] = "error"
    invalid_region: Literal["error", "missing", "follow"] = "error"
    units: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One column of the file: its distinct texts, which row has which, and where it stood."""

    spec: ColumnSpec
    label: str
    unit: str
    rows: NDArray[np.int64]  # (n,) Excel row numbers
    codes: NDArray[np.int64]  # (n,) -> distinct
    texts: Texts  # (u,) stripped
    missing: NDArray[np.bool_]  # (u,)
    log: Log

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values of the distinct texts to the rows  # (u,) -> (n,)"""
        return values[self.codes]

    def note(
        self, kind: str, hit: NDArray[np.bool_], after: NDArray[Any] | str, *, hide: bool = False
    ) -> None:
        """Log a repair of the distinct texts in `hit`, counted over rows."""
        if hit.any():
            result = after if isinstance(after, str) else self.spread(after)
            self.log.note_rows(
                kind, self.label, self.spread(hit), self.rows, self.spread(self.texts), result, hide=hide
            )

    def fail(self, bad: NDArray[np.bool_], say: Callable[[str], tuple[str, str]]) -> None:
        """Raise for the first row whose text is in `bad`; `say` gives problem and remedy for that text."""
        if not bad.any():
            return
        places = np.flatnonzero(self.spread(bad))
        text = str(self.texts[self.codes[places[0]]])
        problem, remedy = say(text)
        raise self.log.error(problem, self.label, int(self.rows[places[0]]), remedy, others=len(places) - 1)


def open_column(
    spec: ColumnSpec, label: str, unit: str, values: Texts, rows: NDArray[np.int64], log: Log
) -> Source:
    """Find the distinct texts and which of them are missing; raises for a missing cell that may not be."""
    codes, distinct = pd.factorize(values)
    raw = np.asarray(distinct, dtype=object)
    texts = np.array([unicodedata.normalize("NFC", text).strip() for text in raw], dtype=object)
    blank = np.array([not text for text in texts], dtype=bool)
    dash = np.array([text.lower() in DASHES or text in spec.null_values for text in texts], dtype=bool)
    if spec.kind in ("text", "name", "category"):
        known = {alias for alias, _ in spec.categories}
        dash &= np.array(
            [text in spec.null_values or not any(map(str.isalnum, text)) for text in texts], dtype=bool
        )
        dash &= np.array([text not in known for text in texts], dtype=bool)
    written = texts
    if spec.kind in ("text", "name", "code"):
        texts = texts_without_numbers(texts, codes=spec.kind == "code")
    source = Source(spec, label, unit, rows, np.asarray(codes), texts, blank | dash, log)
    if texts is not written:
        source.note("글 속의 사업자등록번호를 가림", texts != written, texts, hide=True)
    errors = np.array([bool(_ERROR_CELL.fullmatch(text)) for text in texts], dtype=bool)
    source.fail(errors, _error_cell)
    zero = {"missing": "빈 값", "zero": "0", "above": "빈 값"}
    unknown = _unknown(texts)
    source.note(f"'-'·'해당없음' 등을 {zero[spec.dash]}(으)로 읽음", dash & ~unknown, zero[spec.dash])
    source.note("'미상'·'N/A' 등을 빈 값(으)로 읽음", dash & unknown, "빈 값")
    if spec.blank == "zero":
        source.note("빈 칸을 0(으)로 읽음", blank, "0")
    as_zero = (dash & ~unknown & (spec.dash == "zero")) | (blank & (spec.blank == "zero"))
    if not spec.nullable:
        source.fail(
            source.missing & ~as_zero,
            lambda text: (
                f"값이 없음{f' (적힌 값: {text!r})' if text else ''}",
                f"{spec.aliases[0]} 을(를) 채울 것",
            ),
        )
    return source


def _unknown(texts: Texts) -> NDArray[np.bool_]:
    return np.array([text.lower() in UNKNOWN for text in texts], dtype=bool)


def _error_cell(text: str) -> tuple[str, str]:
    if text == "#수식":
        return "수식의 계산 결과가 저장되어 있지 않음", "엑셀에서 파일을 열어 저장한 뒤 다시 읽을 것"
    return f"엑셀 오류 값 {text} 이(가) 있음", "원본의 수식이나 참조를 고칠 것"


# -- numbers ------------------------------------------------------------------------------------------


def read_numbers(source: Source, options: Options) -> NDArray[np.float64]:
    """Numbers in the declared unit  # (n,)"""
    spec = source.spec
    values, cell_units = _numbers(source)
    given = _column_unit(source, options)
    if not spec.unit:
        source.fail(
            np.array([bool(text) for text in cell_units], dtype=bool),
            lambda text: (f"단위가 없는 열에 단위가 붙은 값 {text!r}", "숫자만 남길 것"),
        )
    if given and spec.unit:
        values = _converted(source, values, cell_units, given)
    empty = source.missing
    blank = np.array([not text for text in source.texts], dtype=bool)
    zero = (empty & ~blank & ~_unknown(source.texts) & (spec.dash == "zero")) | (
        blank & (spec.blank == "zero")
    )
    values[empty] = np.nan
    values[zero] = 0.0
    bad = np.zeros(len(values), dtype=bool)
    if spec.kind == "integer":
        bad = np.isfinite(values) & (np.round(values) != values)
        source.fail(bad, lambda text: (f"정수가 아닌 값 {text!r}", f"{spec.meaning} 값을 정수로 고칠 것"))
        bad = np.abs(values) > _LARGEST_COUNT
        source.fail(bad, lambda text: (f"값 {text[:40]!r} 이(가) 너무 큼", "값이나 단위를 확인할 것"))
    if spec.minimum is not None:
        bad = values < spec.minimum
        source.fail(
            bad, lambda text: (f"값 {text!r} 이(가) {spec.minimum:g} 보다 작음", "값이나 단위를 확인할 것")
        )
    if spec.maximum is not None:
        bad = values > spec.maximum
        source.fail(
            bad, lambda text: (f"값 {text!r} 이(가) {spec.maximum:g} 보다 큼", "값이나 단위를 확인할 것")
        )
    return np.asarray(source.spread(values), dtype=np.float64)


def _numbers(source: Source) -> tuple[NDArray[np.float64], list[str]]:
    """Value of each distinct text in its own unit, and the unit written in the cell."""
    spec = source.spec
    plain = pd.Series(source.texts, dtype="str").str.fullmatch(r"-?[0-9]+(?:\.[0-9]+)?").to_numpy(dtype=bool)
    values = np.full(len(source.texts), np.nan)
    values[plain] = source.texts[plain].astype(np.float64)
    found_units = [""] * len(values)
    unread = np.isinf(values)  # more digits than a number can have
    notes: dict[str, NDArray[np.bool_]] = {}
    for index in np.flatnonzero(~plain & ~source.missing):
        number = parse_number(source.texts[index])
        if number is None:
            unread[index] = True
            continue
        values[index] = number.value
        found_units[index] = number.unit
        for kind in number.repairs:
            notes.setdefault(kind, np.zeros(len(values), dtype=bool))[index] = True
    source.fail(
        unread,
        lambda text: (
            f"수로 읽을 수 없는 값 {text!r}",
            "숫자만 남기거나, 값이 없으면 '-' 또는 빈 칸으로 둘 것" if spec.nullable else "숫자만 남길 것",
        ),
    )
    for kind, hit in notes.items():
        source.note(kind, hit, values)
    return values, found_units


def _column_unit(source: Source, options: Options) -> str:
    """The unit that the column's numbers stand in; money must have one."""
    spec = source.spec
    told = dict(options.units).get(spec.name, "")
    given = source.unit or told
    if spec.kind != "money":
        return given if units.dimension(given) == units.dimension(spec.unit) else spec.unit
    if not given:
        raise source.log.error(
            f"금액 열의 단위를 알 수 없음 (기준 단위: {spec.unit})",
            source.label,
            source.log.header_row,
            "머리글에 '(천원)' 을 붙이거나 표 위에 '(단위: 백만원)' 을 적을 것",
        )
    if units.factor(given, spec.unit) is None:
        raise source.log.error(
            f"모르는 금액 단위 {given!r}",
            source.label,
            source.log.header_row,
            "원·천원·백만원·억원 가운데 하나로 적을 것",
        )
    return given


def _converted(
    source: Source, values: NDArray[np.float64], cell_units: list[str], given: str
) -> NDArray[np.float64]:
    wanted = source.spec.unit
    in_unit = np.array([text or given for text in cell_units], dtype=object)
    factors = {unit: units.factor(unit, wanted) for unit in dict.fromkeys(in_unit.tolist())}
    wrong = np.array([factors[text] is None for text in in_unit], dtype=bool)
    source.fail(
        wrong,
        lambda text: (
            f"값 {text!r} 의 단위가 이 열의 단위 {wanted} 와 맞지 않음",
            "값이나 머리글의 단위를 고칠 것",
        ),
    )
    for unit, factor in factors.items():
        if factor is None or factor == 1:
            continue
        hit = (in_unit == unit) & np.isfinite(values)
        # one rounding only: 1,234천원 is exactly the double nearest to 1.234
        with np.errstate(over="ignore"):
            values = np.where(hit, values * factor.numerator / factor.denominator, values)
        source.fail(
            hit & np.isinf(values),
            lambda text: (f"값 {text[:40]!r} 이(가) 너무 큼", "값이나 단위를 확인할 것"),
        )
        source.note(f"단위 환산 {unit} → {wanted}", hit, values)
    return values


# -- dates --------------------------------------------------------------------------------------------


def read_dates(source: Source) -> NDArray[np.datetime64]:
    """Days as ``datetime64[s]``; NaT where missing  # (n,)"""
    values = np.full(len(source.texts), np.datetime64("NaT"), dtype="datetime64[s]")
    unread = np.zeros(len(values), dtype=bool)
    notes: dict[str, NDArray[np.bool_]] = {}
    for index in np.flatnonzero(~source.missing):
        found = parse_date(source.texts[index], source.spec.month_day)
        if found is None:
            unread[index] = True
            continue
        values[index] = np.datetime64(
            found[0].replace(day=1) if source.spec.kind == "month" else found[0], "s"
        )
        if found[1] and source.spec.kind != "month":
            notes.setdefault(found[1], np.zeros(len(values), dtype=bool))[index] = True
    source.fail(
        unread,
        lambda text: (
            f"읽을 수 없는 날짜 {text!r}",
            "2023-11-02 처럼 적" + ("거나, 모르면 빈 칸으로 둘 것" if source.spec.nullable else "을 것"),
        ),
    )
    for kind, hit in notes.items():
        source.note(kind, hit, values)
    return source.spread(values)


def read_years(source: Source) -> NDArray[np.float64]:
    """Years; NaN where missing  # (n,)"""
    values = np.full(len(source.texts), np.nan)
    unread = np.zeros(len(values), dtype=bool)
    notes: dict[str, NDArray[np.bool_]] = {}
    for index in np.flatnonzero(~source.missing):
        found = parse_year(source.texts[index])
        if found is None:
            unread[index] = True
            continue
        values[index] = found[0]
        if found[1]:
            notes.setdefault(found[1], np.zeros(len(values), dtype=bool))[index] = True
    source.fail(unread, lambda text: (f"읽을 수 없는 연도 {text!r}", "2023 처럼 네 자리로 적을 것"))
    for kind, hit in notes.items():
        source.note(kind, hit, values)
    return np.asarray(source.spread(values), dtype=np.float64)


# -- text, codes, identifiers ---------------------------------------------------------------------------


def read_texts(source: Source) -> NDArray[np.object_]:
    """Text with blanks joined; None where missing  # (n,)"""
    joined = np.array([re.sub(r"\s+", " ", text) for text in source.texts], dtype=object)
    source.note("줄바꿈·겹친 빈칸 정리", (joined != source.texts) & ~source.missing, joined)
    joined[source.missing] = None
    return source.spread(joined)


def read_codes(source: Source) -> NDArray[np.object_]:
    """Codes as text with the zeros on the left put back; None where missing  # (n,)"""
    width = source.spec.digits
    bare = np.array([re.sub(r"\.0+$", "", text) for text in source.texts], dtype=object)
    if width:
        whole = np.array([text.zfill(width) if text.isdigit() else text for text in bare], dtype=object)
        bad = np.array([len(text) != width for text in whole], dtype=bool) & ~source.missing
        source.fail(bad, lambda text: (f"코드 {text!r} 이(가) {width}자리가 아님", "원본의 코드를 확인할 것"))
        source.note("코드의 앞자리 0 되살림", (whole != bare) & ~source.missing, whole)
    else:
        whole = bare.copy()
    source.note("코드의 소수점 뺌", (bare != source.texts) & ~source.missing, bare)
    whole[source.missing] = None
    return source.spread(whole)


def read_categories(source: Source) -> NDArray[np.object_]:
    """Declared values; None where missing  # (n,)"""
    table = {_bare(alias): value for alias, value in source.spec.categories}
    values = np.array([table.get(_bare(text)) for text in source.texts], dtype=object)
    unknown = np.array([value is None for value in values], dtype=bool) & ~source.missing
    names = [alias for alias, _ in source.spec.categories]
    source.fail(
        unknown,
        lambda text: (
            f"모르는 구분 {text!r}",
            f"정해진 말로 적거나 열 대응 파일의 그 열에 categories 로 뜻을 적을 것 ({nearest(text, names)})",
        ),
    )
    values[source.missing] = None
    return source.spread(values)


def _bare(text: str) -> str:
    return re.sub(r"[\s·&()_/\-]+", "", unicodedata.normalize("NFKC", text)).lower()
