"""Bytes of an answer to plain values, and the error that a service wrote into it.

Both services answer HTTP 200 with an error inside. KOSIS writes keys without quotation marks when ``jsonVD=Y`` is missing, and
ECOS answers some errors as XML though JSON was asked for; both are understood, so that the error itself is told.
"""

from __future__ import annotations

import json
import re
from typing import Any

from evalkit.ingest.statistics.faults import TITLES, ServiceFailure, fault

_UNQUOTED = re.compile(r"\s*\[?\s*\{\s*[A-Za-z_]\w*\s*:")
_BARE_ERROR = re.compile(r"""\berr(?:Code)?\s*:\s*["'](\w{1,8})["']""")
_BARE_MESSAGE = re.compile(r"""\berrMsg\s*:\s*["']([^"']*)["']""")
_XML_CODE = re.compile(r"<(?:CODE|err|errCode)>\s*(?:<!\[CDATA\[)?\s*([\w-]{1,12})", re.IGNORECASE)
_XML_MESSAGE = re.compile(r"<(?:MESSAGE|errMsg)>\s*(?:<!\[CDATA\[)?\s*([^<\]]*)", re.IGNORECASE)
_LATER = "잠시 뒤에 다시 하고, 계속되면 브라우저로 서비스의 공지를 볼 것"


def read_reply(content: bytes, source: str, *, where: tuple[str, ...] = ()) -> Any:
    """The JSON value of an answer.

    Raises
    ------
    ServiceRefusal, ServiceFailure : the error that stands in the answer, or why it is no JSON
    """
    place = (TITLES[source], *where)
    if not content.strip():
        raise ServiceFailure("응답이 비어 있음", where=place, remedy=_LATER, code="empty", again="soon")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _charset(content, place) from None
    head = text.lstrip()[:300].lower()
    if head.startswith(("<!doctype", "<html")) or "<html" in head:
        raise ServiceFailure(
            "자료 대신 웹 문서(HTML)가 옴: 점검 중이거나 중간의 서버가 막은 것",
            where=place,
            remedy=_LATER,
            code="html",
        )
    if head.startswith("<"):
        raise _xml(text, source, where)
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _not_json(text, source, where) from None
    _raise_error(value, source, where)
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _charset(content: bytes, place: tuple[str, ...]) -> ServiceFailure:
    try:
        content.decode("cp949")
        guess = " (CP949로 보임)"
    except UnicodeDecodeError:
        guess = ""
    return ServiceFailure(
        f"응답의 글자 부호가 UTF-8이 아님{guess}",
        where=place,
        remedy="중간의 서버(프록시)가 글자를 바꾸지 않는지 확인하고 다시 할 것",
        code="charset",
    )


def _xml(text: str, source: str, where: tuple[str, ...]) -> Exception:
    code = _XML_CODE.search(text[:4000])
    if code:
        message = _XML_MESSAGE.search(text[:4000])
        return fault(source, code.group(1), message.group(1) if message else "", where=where)
    return ServiceFailure(
        "JSON 대신 XML이 옴",
        where=(TITLES[source], *where),
        remedy="format=json 으로 물었는지 확인할 것",
        code="xml",
    )


def _not_json(text: str, source: str, where: tuple[str, ...]) -> Exception:
    place = (TITLES[source], *where)
    if _UNQUOTED.match(text):
        code = _BARE_ERROR.search(text[:2000])
        if code:
            message = _BARE_MESSAGE.search(text[:2000])
            return fault(source, code.group(1), message.group(1) if message else "", where=where)
        return ServiceFailure(
            "열쇠에 따옴표가 없는 응답임 (jsonVD=Y 없이 물은 것)",
            where=place,
            remedy="등록한 주소에 jsonVD=Y 를 더할 것",
            code="unquoted",
        )
    if text.lstrip()[:1] in ("{", "["):
        return ServiceFailure(
            f"응답이 도중에 끊겼거나 깨짐 ({len(text):,}자)",
            where=place,
            remedy=_LATER,
            code="cut",
            again="soon",
        )
    return ServiceFailure("JSON이 아닌 응답이 옴", where=place, remedy=_LATER, code="other")


def _raise_error(value: Any, source: str, where: tuple[str, ...]) -> None:
    """Raise what a service wrote in place of data."""
    if not isinstance(value, dict):
        return
    if source == "kosis":
        code = value.get("err", value.get("errCode"))
        if code is not None:
            raise fault(source, str(code), str(value.get("errMsg", "")), where=where)
        return
    result = value.get("RESULT")
    if isinstance(result, dict) and str(result.get("CODE", "")) != "INFO-000":
        raise fault(source, str(result.get("CODE", "")), str(result.get("MESSAGE", "")), where=where)


def records(value: Any, source: str, *, where: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """A list of objects, as KOSIS gives rows.

    Raises
    ------
    ServiceFailure : something else
    """
    if isinstance(value, list) and all(isinstance(row, dict) for row in value):
        return value
    raise ServiceFailure(
        "응답이 행의 목록이 아님",
        where=(TITLES[source], *where),
        remedy="서비스의 응답 꼴이 바뀌었는지 개발 안내를 볼 것",
        code="form",
    )
