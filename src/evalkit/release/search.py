"""Search: identifiers that must not reach a report, in any text of a table, figure or sentence.

What is found is named by kind and place, never by value. A text is read as a person or a program would read it: digits of
any script and width, whatever is invisible between them, marks of Markdown and HTML, digits set apart by spaces, letters
that stand for digits (`evalkit.release.reading`). Digits of a hash are not searched; amounts in a numeric column are,
where the column as a whole looks like business numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from evalkit.errors import DisclosureError
from evalkit.ingest.identifiers import is_business_number, is_corporate_number
from evalkit.ingest.personal import is_resident_number
from evalkit.present.canvas import Drawing
from evalkit.present.tabulation import Tabulation
from evalkit.release.reading import readings

_DASH = r"[\-‐‑‒–—−]"
_HASH = re.compile(r"(?<![0-9A-Za-z])(?=[0-9a-f]*[a-f])[0-9a-f]{12,}(?![0-9A-Za-z])")
_START = r"(?<!\d)(?<!\d[.,])"
_HYPHENATED = re.compile(rf"{_START}\d{{3}}\s?{_DASH}\s?\d{{2}}\s?{_DASH}\s?\d{{5}}(?!\d)")
_SET_APART = re.compile(rf"{_START}\d{{3}}\s?[ ./·]\s?\d{{2}}\s?[ ./·]\s?\d{{5}}(?!\d|,\d)")
_TEN = re.compile(rf"{_START}\d{{10}}(?!\d|,\d)")
_THIRTEEN = re.compile(rf"{_START}\d{{6}}\s{{0,2}}(?:{_DASH}|[./·_])?\s{{0,2}}\d{{7}}(?!\d|,\d)")
_MASKED = re.compile(rf"(?<!\d)\d{{6}}\s?{_DASH}\s?[1-8][*xX●○•#]{{6}}")
_EMAIL = re.compile(r"(?<![\w.+\-])[A-Za-z0-9][\w.+\-]{0,63}\s?@\s?[\w\-]{1,63}(?:\.[A-Za-z]{2,24}){1,5}")
_MOBILE = re.compile(
    rf"(?<![\d.,])(?:\+?82[\s\-]?0?|0)1[016789][\s.]?{_DASH}?\s?\d{{3,4}}[\s.]?{_DASH}?\s?\d{{4}}(?!\d)"
)
_AREA = r"0(?:2|3[1-3]|4[1-4]|5[1-5]|6[1-4]|70|80|50\d)"
_LANDLINE = re.compile(
    rf"(?<![\d.,])(?:{_AREA}\s?(?:{_DASH}|\.)|\({_AREA}\)|{_AREA}\))\s?\d{{3,4}}\s?(?:{_DASH}|\.)\s?\d{{4}}(?!\d)"
)
_SVG_TEXT = re.compile(r">([^<>]+)<")
_SVG_NAME = re.compile(r'\s(?:id|class|aria-[\w\-]+|data-[\w\-]+|title|[\w]+:label)="([^"]*[^"\s][^"]*)"')
_HEADERS = frozenset(
    [
        "사업자등록번호",
        "사업자번호",
        "법인등록번호",
        "법인번호",
        "주민등록번호",
        "기업명",
        "업체명",
        "회사명",
        "상호",
        "상호명",
        "사업장명",
        "대표자",
        "대표자명",
        "성명",
        "담당자",
        "담당자명",
        "주소",
        "본사주소",
        "사업장주소",
        "전화번호",
        "휴대전화",
        "연락처",
        "이메일",
        "firm_name",
        "company_name",
        "business_number",
        "business_no",
        "brn",
        "biz_no",
        "corporate_number",
        "corp_no",
        "resident_number",
        "address",
        "phone",
        "email",
    ]
)


def identifier_in(text: str) -> str | None:
    """Kind of the first identifier in a text, or None.

    >>> identifier_in("담당 010-1234-5678"), identifier_in("매출 1,446억원")
    ('전화번호', None)
    """
    for reading in readings(text):
        kind = _kind_in(_HASH.sub(" ", reading))
        if kind is not None:
            return kind
    return None


def _kind_in(text: str) -> str | None:
    if _MASKED.search(text):
        return "주민등록번호"
    if _HYPHENATED.search(text):
        return "사업자등록번호"
    if any(is_business_number(match.group()) for match in _TEN.finditer(text)):
        return "사업자등록번호"
    if any(is_business_number(re.sub(r"\D", "", m.group())) for m in _SET_APART.finditer(text)):
        return "사업자등록번호"
    if _THIRTEEN.search(text):
        return "법인등록번호 또는 주민등록번호"
    if _MOBILE.search(text) or _LANDLINE.search(text):
        return "전화번호"
    return "전자우편 주소" if "@" in text and _EMAIL.search(text) else None


def safe_words(text: str) -> str:
    """A text for a place, a title or a log; nothing of it where it holds an identifier.

    >>> safe_words("담당 010-1234-5678"), safe_words("고용")
    ('■■■', '고용')
    """
    return "■■■" if identifier_in(text) is not None else text


def refuse_identifiers(texts: Iterable[tuple[tuple[str, ...], str]]) -> None:
    """Raise at the first identifier.

    Parameters
    ----------
    texts : (place, text)

    Raises
    ------
    DisclosureError : names the kind and the place
    """
    for place, text in texts:
        kind = identifier_in(text)
        if kind is not None:
            raise DisclosureError(
                f"{kind} 꼴의 글자가 있음",
                where=tuple(safe_words(part) for part in place),
                remedy="식별자를 빼고 다시 만들 것 (값은 적지 않음)",
            )


def search_table(table: Tabulation, what: str = "표") -> None:
    """Refuse identifiers, and columns that hold them by their name, anywhere in a table."""
    refuse_identifiers([((what, "이름"), table.name)])
    head = f"{what} {table.name}"
    for column in table.columns:
        for name in (column.key, column.label):
            if re.sub(r"[\s()\[\]]", "", name).lower() in _HEADERS and table.rows:
                raise DisclosureError(
                    f"식별 정보의 열 {column.label!r} 이(가) 있음",
                    where=(head,),
                    remedy="이 열을 빼거나 집단별로 모은 표를 만들 것",
                )
    refuse_identifiers(_table_texts(table, head))
    for c, column in enumerate(table.columns):
        _refuse_number_column(table, c, (head, column.header or column.key))


def _table_texts(table: Tabulation, head: str) -> Iterator[tuple[tuple[str, ...], str]]:
    yield (head, "제목"), table.title
    for k, note in enumerate(table.notes):
        yield (head, f"주 {k + 1}"), note
    for column in table.columns:
        yield (head, "열 이름"), f"{column.group} {column.header}"
        yield (head, "열 이름"), column.key
    for key in (*table.keys.values(), *(key for i in table.identities for key in (i.total, *i.parts))):
        yield (head, "수량의 이름"), key
    for mark in table.marks.values():
        yield (head, "표시"), mark
    for r, row in enumerate(table.rows):
        for c in range(len(row)):
            value = table.value(r, c)
            if isinstance(value, str):
                yield (head, f"{r + 1}행", table.columns[c].header or table.columns[c].key), value
        words = [value for c in range(len(row)) if isinstance(value := table.value(r, c), str)]
        if len(words) > 1 and sum(any(sign.isdigit() for sign in word) for word in words) > 1:
            yield (
                (head, f"{r + 1}행"),
                "-".join(word.strip() for word in words),
            )  # one number in several cells


def _refuse_number_column(table: Tabulation, column: int, place: tuple[str, ...]) -> None:
    """Ten or thirteen digits in every long cell, each with a right check digit, are no amounts.

    One amount of ten digits passes the check by chance once in ten; three do once in a thousand, and a column with a
    unit says what it counts.
    """
    values = [table.value(r, column) for r in range(len(table.rows))]
    whole = [f"{v:.0f}" for v in values if isinstance(v, int | float) and float(v).is_integer()]
    long = [digits for digits in whole if len(digits) in (10, 13)]
    fits = [
        is_business_number(d) if len(d) == 10 else is_corporate_number(d) or is_resident_number(d)
        for d in long
    ]
    if long and all(fits) and (len(long) >= 3 or not table.columns[column].unit):
        raise DisclosureError(
            "사업자등록번호나 법인등록번호로 읽히는 수의 열이 있음",
            where=place,
            remedy="이 열을 뺄 것; 금액이면 열의 단위를 적을 것",
        )


def search_drawing(drawing: Drawing) -> None:
    """Refuse identifiers anywhere in a figure: words drawn, title, alternative text, note, values."""
    refuse_identifiers([(("그림", "이름"), drawing.name)])
    head = f"그림 {drawing.name}"
    texts = [("제목", drawing.title), ("대체 글", drawing.alt), ("주", drawing.note)]
    texts += [("그림 속 글", word) for word in drawing.words]
    # matplotlib leaves every text of the picture in a comment beside its glyphs
    texts += [
        ("그림 속 글", comment) for comment in re.findall(r"<!--(.*?)-->", drawing.svg, flags=re.DOTALL)
    ]
    texts += [("그림 속 글", text) for text in _SVG_TEXT.findall(drawing.svg) if text.strip()]
    texts += [("그림 속 이름", value) for value in _SVG_NAME.findall(drawing.svg)]
    refuse_identifiers(((head, part), text) for part, text in dict.fromkeys(texts))
    search_table(drawing.data, "그림")
