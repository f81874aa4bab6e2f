"""The keys of the statistics services: from the environment, else from the keyring of the system; shown nowhere."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from evalkit.errors import UsageError
from evalkit.ingest.statistics.faults import TITLES, ServiceRefusal
from evalkit.ingest.statistics.redaction import Redactor

VARIABLES = {"kosis": "EVALKIT_KOSIS_KEY", "ecos": "EVALKIT_ECOS_KEY"}
"""Environment variable of each service."""

WHERE_TO_GET = {
    "kosis": "kosis.kr/openapi 에 가입해 활용신청을 하면 받음",
    "ecos": "ecos.bok.or.kr/api 에 가입해 인증키를 신청하면 받음",
}
_RING = "evalkit"
_SHORTEST, _LONGEST = 8, 200


class ApiKey:
    """A key that does not show itself: neither in `repr`, `str` or a format, nor in a pickle.

    Parameters
    ----------
    source : "kosis" or "ecos"
    value : the key
    origin : where it was found, in words
    """

    __slots__ = ("_value", "origin", "source")

    def __init__(self, source: str, value: str, origin: str) -> None:
        self.source = source
        self.origin = origin
        self._value = _checked(source, value, origin)

    def __repr__(self) -> str:
        return f"ApiKey({self.source}, {self.origin})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not written down")

    def reveal(self) -> str:
        """The key itself; only the transport asks for it."""
        return self._value

    def redactor(self) -> Redactor:
        """What takes this key out of texts."""
        return Redactor(self._value)


def _checked(source: str, value: str, origin: str) -> str:
    """A key without blanks at its ends; the value is not repeated in the error."""
    text = value.strip()
    if (
        not _SHORTEST <= len(text) <= _LONGEST
        or not text.isascii()
        or not text.isprintable()
        or set(text) & set(" \"'<>\\")
    ):
        raise ServiceRefusal(
            f"{TITLES[source]} 인증키의 꼴이 아님 (글자 {len(text)}개)",
            where=(origin,),
            remedy="받은 키를 빈칸과 따옴표 없이 그대로 다시 넣을 것",
            code="key",
        )
    return text


def _service(source: str) -> str:
    if source not in VARIABLES:
        raise UsageError(f"모르는 서비스 {source!r}", remedy=f"쓸 수 있는 이름: {', '.join(VARIABLES)}")
    return source


def _from_ring(source: str) -> str | None:
    """The key in the keyring of the system; None where there is no keyring, or none that can be opened."""
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(_RING, _service(source))
    except (KeyringError, RuntimeError, OSError):
        return None


def find_key(source: str) -> ApiKey:
    """The key of a service.

    Raises
    ------
    ServiceRefusal : there is none, or it has not the form of a key; says where to get one, never the key
    """
    variable = VARIABLES[_service(source)]
    given = os.environ.get(variable, "")
    if given.strip():
        return ApiKey(source, given, f"환경변수 {variable}")
    kept = _from_ring(source)
    if kept and kept.strip():
        return ApiKey(source, kept, "시스템 keyring")
    raise ServiceRefusal(
        f"{TITLES[source]} 인증키가 없음",
        remedy=f"{WHERE_TO_GET[source]}; 받은 키는 evalkit fetch key set {source} 또는 환경변수 {variable} 에 둘 것",
        code="key",
    )


def key_origin(source: str) -> str:
    """Where the key of a service is, in words; an empty string where there is none. The key is not shown."""
    variable = VARIABLES[_service(source)]
    if os.environ.get(variable, "").strip():
        return f"환경변수 {variable}"
    return "시스템 keyring" if _from_ring(source) else ""


def _ring() -> Any:
    """The keyring, if it keeps what it is given and keeps it encrypted."""
    import keyring

    backend = keyring.get_keyring()
    kind = f"{type(backend).__module__}.{type(backend).__name__}"
    if "plaintext" in kind.lower():
        raise UsageError(
            f"이 컴퓨터의 keyring({type(backend).__name__})은 키를 암호화하지 않고 파일에 적음",
            remedy="환경변수에 둘 것 (EVALKIT_KOSIS_KEY, EVALKIT_ECOS_KEY)",
        )
    return keyring


def store_key(source: str, value: str) -> None:
    """Put a key into the keyring of the system.

    Raises
    ------
    UsageError : the computer has no keyring, or it did not keep the key; the environment variable is named instead
    """
    from keyring.errors import KeyringError

    key = ApiKey(_service(source), value, "입력")
    variable = VARIABLES[source]
    ring = _ring()
    kept = False
    try:
        ring.set_password(_RING, source, key.reveal())
        kept = ring.get_password(_RING, source) == key.reveal()
    except (KeyringError, RuntimeError, OSError):
        kept = False
    if not kept:
        raise UsageError(
            "이 컴퓨터에는 키를 보관할 keyring 이 없거나 잠겨 있음",
            remedy=f"환경변수 {variable} 에 키를 둘 것",
        )


def delete_key(source: str) -> bool:
    """Remove a key from the keyring; False where none was there."""
    from keyring.errors import KeyringError

    if not _from_ring(source):
        return False
    try:
        _ring().delete_password(_RING, source)
    except (KeyringError, RuntimeError, OSError):
        return False
    return True
