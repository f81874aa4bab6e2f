"""What the statistics services say when they cannot answer, each documented code as a sentence with the way out.

Codes of KOSIS: development guide of kosis.kr/openapi; of ECOS: ecos.bok.or.kr/api. A code that neither documents passes the
service's own message on, cleaned and shortened: text from outside is only text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from evalkit.errors import DataError, UsageError

Again = Literal["", "soon", "rate"]
_SHOWN = 120

KOSIS_LIMIT = 40_000
"""Cells that KOSIS gives in one answer."""


class ServiceRefusal(UsageError):
    """What was asked cannot be answered as it stands: the key, a parameter, a permission.

    Attributes
    ----------
    code : the service's own code, or a word of this package ("key", "address", …)
    """

    def __init__(
        self, problem: str, *, where: Iterable[object] = (), remedy: str = "", code: str = ""
    ) -> None:
        super().__init__(problem, where=where, remedy=remedy)
        self.code = code


class ServiceFailure(DataError):
    """The service did not give what was asked.

    Attributes
    ----------
    code : as `ServiceRefusal.code`
    again : whether asking again may help: "" (no), "soon", or "rate" (after the window of the rate limit)
    wait : seconds that the service asked to wait, or 0
    """

    def __init__(
        self,
        problem: str,
        *,
        where: Iterable[object] = (),
        remedy: str = "",
        code: str = "",
        again: Again = "",
        wait: float = 0.0,
    ) -> None:
        super().__init__(problem, where=where, remedy=remedy)
        self.code = code
        self.again: Again = again
        self.wait = wait

    def tried(self, times: int) -> ServiceFailure:
        """The same failure after `times` tries."""
        if times <= 1:
            return self
        return ServiceFailure(
            f"{self.problem} ({times}번 물음)",
            where=self.where,
            remedy=self.remedy,
            code=self.code,
            again=self.again,
            wait=self.wait,
        )


@dataclass(frozen=True, slots=True)
class _Fault:
    problem: str
    remedy: str
    asked_wrongly: bool = False
    again: Again = ""


_NEW_KEY = {
    "kosis": "kosis.kr/openapi 에서 키를 확인하거나 새로 받아 evalkit fetch key set kosis 로 넣을 것",
    "ecos": "ecos.bok.or.kr/api 에서 키를 확인하거나 새로 받아 evalkit fetch key set ecos 로 넣을 것",
}
_LATER = "잠시 뒤에 다시 하고, 계속되면 서비스의 공지를 볼 것"

KOSIS_FAULTS: dict[str, _Fault] = {
    "10": _Fault("인증키가 빠졌음", _NEW_KEY["kosis"], True),
    "11": _Fault("인증키의 사용 기간이 끝났음", _NEW_KEY["kosis"], True),
    "20": _Fault(
        "꼭 필요한 값이 빠졌음",
        "기관(--org), 통계표(--table), 항목(--items), 주기와 기간(--period, --from, --to)을 모두 적을 것",
        True,
    ),
    "20(objL)": _Fault(
        "분류의 수가 통계표보다 적음",
        "evalkit fetch meta 로 분류의 수를 보고 --axes ALL,ALL 처럼 모두 적을 것",
        True,
    ),
    "21": _Fault(
        "쓸 수 없는 값이 있음 (분류가 통계표보다 많거나, 항목·주기·기간이 없는 것)",
        "evalkit fetch meta 로 항목·분류·수록 기간을 보고 고칠 것",
        True,
    ),
    "30": _Fault(
        "그 조건에 맞는 자료가 없음",
        "evalkit fetch meta --kind PRD 로 수록 기간을 보고, 기관과 통계표 번호를 확인할 것",
    ),
    "31": _Fault(
        f"한 번에 받을 수 있는 {KOSIS_LIMIT:,}칸을 넘음",
        "기간이나 항목·분류를 나누어 받을 것",
    ),
    "40": _Fault("1분에 부를 수 있는 횟수를 넘음", "1분 뒤에 다시 할 것", again="rate"),
    "41": _Fault("한 번에 받을 수 있는 행의 수를 넘음", "기간이나 항목·분류를 줄일 것"),
    "42": _Fault("이 사용자는 이용이 제한되어 있음", "kosis.kr 고객센터에 제한된 까닭을 물을 것", True),
    "50": _Fault("KOSIS 서버의 오류임", _LATER, again="soon"),
}  # fmt: skip

ECOS_FAULTS: dict[str, _Fault] = {
    "INFO-100": _Fault("인증키가 유효하지 않음", _NEW_KEY["ecos"], True),
    "INFO-200": _Fault(
        "그 조건에 맞는 자료가 없음", "evalkit fetch items ecos 로 항목 코드와 수록 기간을 볼 것"
    ),
    "ERROR-100": _Fault("꼭 필요한 값이 빠졌음", "통계표(--stat), 주기와 기간을 모두 적을 것", True),
    "ERROR-101": _Fault(
        "주기와 날짜의 꼴이 맞지 않음", "연 2024, 반년 2024S1, 분기 2024Q1, 월 202401, 일 20240115 로 적을 것", True
    ),
    "ERROR-200": _Fault("파일 형식이 빠졌거나 틀림", "이 프로그램의 잘못이니 알려 줄 것", True),
    "ERROR-300": _Fault("받을 행의 수가 빠졌음", "이 프로그램의 잘못이니 알려 줄 것", True),
    "ERROR-301": _Fault("받을 행의 수가 정수가 아님", "이 프로그램의 잘못이니 알려 줄 것", True),
    "ERROR-400": _Fault("검색 범위가 너무 넓어 60초 안에 끝나지 않음", "기간이나 항목을 줄일 것"),
    "ERROR-500": _Fault("ECOS 서버의 오류이거나 없는 서비스임", _LATER, again="soon"),
    "ERROR-600": _Fault("ECOS 데이터베이스에 이어지지 않음", _LATER, again="soon"),
    "ERROR-601": _Fault("ECOS 데이터베이스의 오류임", _LATER, again="soon"),
    "ERROR-602": _Fault("너무 자주 불러 이용이 제한됨", "몇 분 뒤에 다시 할 것", again="rate"),
}  # fmt: skip

TITLES = {"kosis": "KOSIS", "ecos": "ECOS"}
_TABLES = {"kosis": KOSIS_FAULTS, "ecos": ECOS_FAULTS}


def shown(text: object, length: int = _SHOWN) -> str:
    """Text from outside as one harmless line: no control or invisible characters, no markup, not too long.

    >>> shown("<b>a\\x1b[31m\\nb")
    '‹b›a[31m b'
    """
    folded = unicodedata.normalize("NFC", str(text)[: 4 * length])
    plain = "".join(" " if char.isspace() else char if char.isprintable() else "" for char in folded)
    plain = re.sub(r" +", " ", plain).strip().replace("<", "‹").replace(">", "›")
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def fault(
    source: str, code: str, message: str = "", *, where: Iterable[object] = ()
) -> ServiceRefusal | ServiceFailure:
    """The error of a code of a service.

    Parameters
    ----------
    source : "kosis" or "ecos"
    code : as the service gave it
    message : the service's own words; a code 20 of KOSIS whose message names «objL» means too few axes
    where : what was asked
    """
    place = (TITLES[source], *where)
    known = _TABLES[source].get(code)
    if source == "kosis" and code == "20" and "objl" in message.lower():
        known = KOSIS_FAULTS["20(objL)"]
    if known is None:
        told = shown(message)
        words = f": {told}" if told else ""
        return ServiceFailure(
            f"알려지지 않은 응답 {shown(code, 20)}{words}",
            where=place,
            remedy="서비스의 개발 안내에서 이 번호를 찾아볼 것",
            code=code,
        )
    problem = f"{known.problem} (응답 {code})"
    if known.asked_wrongly:
        return ServiceRefusal(problem, where=place, remedy=known.remedy, code=code)
    return ServiceFailure(problem, where=place, remedy=known.remedy, code=code, again=known.again)
