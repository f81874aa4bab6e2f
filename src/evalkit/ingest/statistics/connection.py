"""One connection to a statistics service: retries, rate limit, deadline, and a key that nobody sees.

The request that httpx knows, logs and puts into its exceptions has a placeholder where the key belongs; `_KeyTransport` puts
the key in at the last moment and takes it out of whatever comes back. Redirects are not followed, so nothing is ever
asked of another host.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn, TypeVar
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from pyrate_limiter import InMemoryBucket, Limiter, Rate, SingleBucketFactory
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from evalkit.ingest.statistics.faults import TITLES, ServiceFailure, ServiceRefusal, shown
from evalkit.ingest.statistics.keys import ApiKey
from evalkit.ingest.statistics.redaction import Redactor, quiet_logs

T = TypeVar("T")
PLACEHOLDER = "__KEY__"
BASES = {"kosis": "https://kosis.kr/openapi", "ecos": "https://ecos.bok.or.kr/api"}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_LATER = "인터넷과 프록시 설정을 확인하고 잠시 뒤에 다시 할 것"


@dataclass(frozen=True, slots=True)
class Limits:
    """How a service may be asked; seconds and bytes.

    Attributes
    ----------
    calls, seconds : at most so many calls in any window of so many seconds (below what the service allows)
    attempts : how often one question is asked before giving up
    wait : first pause before asking again, doubled each time
    rate_wait : pause after the service said that it was asked too often
    timeout : for one answer to begin or go on
    deadline : for everything asked through one connection
    most_bytes : largest answer
    """

    calls: int
    seconds: float
    attempts: int = 5
    wait: float = 1.0
    rate_wait: float = 61.0
    timeout: float = 30.0
    deadline: float = 1800.0
    most_bytes: int = 256 * 2**20


# KOSIS allows 200 calls a minute, ECOS 300 in 180 seconds
LIMITS = {"kosis": Limits(180, 60.0), "ecos": Limits(270, 180.0, rate_wait=181.0)}


@cache
def _limiter(base: str, calls: int, seconds: float) -> Limiter:
    """One limiter a service and process, whoever asks."""
    bucket = InMemoryBucket([Rate(calls, max(1, math.ceil(seconds * 1000)))])
    return Limiter(SingleBucketFactory(bucket, schedule_leak=False))


class _KeyTransport(httpx.BaseTransport):
    """Puts the key where the placeholder stands, and hands back answers and errors without it."""

    def __init__(self, inner: httpx.BaseTransport, key: ApiKey, hide: Redactor) -> None:
        self._inner = inner
        self._key = key
        self._hide = hide

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        outcome = _handed_on(self._inner, request, self._key)
        if isinstance(outcome, tuple):
            kind, told = outcome
            raise kind(self._hide.text(told))
        headers = [
            (self._hide.content(name)[0], self._hide.content(value)[0]) for name, value in outcome.headers.raw
        ]
        return httpx.Response(
            outcome.status_code, headers=headers, stream=outcome.stream, extensions=outcome.extensions
        )

    def close(self) -> None:
        self._inner.close()


def _handed_on(
    inner: httpx.BaseTransport, request: httpx.Request, key: ApiKey
) -> httpx.Response | tuple[type[httpx.TransportError], str]:
    """The answer, or kind and words of the error: the exception itself, whose frames know the key, ends here."""
    raw = request.url.raw_path.decode("ascii").replace(PLACEHOLDER, quote(key.reveal(), safe=""))
    real = httpx.Request(
        request.method,
        request.url.copy_with(raw_path=raw.encode("ascii")),
        headers=request.headers,
        extensions=request.extensions,
    )
    try:
        return inner.handle_request(real)
    except httpx.TransportError as error:
        return type(error), str(error)
    except (OSError, ssl.SSLError, ValueError) as error:
        return httpx.ConnectError, f"{type(error).__name__}: {error}"


class Connection:
    """A connection to KOSIS or ECOS; a context manager.

    Parameters
    ----------
    source : "kosis" or "ecos"
    key : see `keys.find_key`
    base_url : another address of the service; https, except on this computer
    limits : see `Limits`
    progress : told in words when the connection waits or asks again
    sleep, clock : replaced in tests

    Raises
    ------
    ServiceRefusal : an address that may not be asked
    """

    def __init__(
        self,
        source: str,
        key: ApiKey,
        *,
        base_url: str = "",
        limits: Limits | None = None,
        progress: Callable[[str], None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source
        self.base_url = _checked_base(source, base_url or BASES[source])
        self.limits = limits or LIMITS[source]
        self._hide = key.redactor()
        self._key = key
        self._progress = progress or (lambda words: None)
        self._sleep, self._clock = sleep, clock
        self._ends = clock() + self.limits.deadline
        self._limiter = _limiter(self.base_url, self.limits.calls, self.limits.seconds)
        self._stack = ExitStack()
        self._client: httpx.Client | None = None

    def __repr__(self) -> str:
        return f"Connection({self.source}, {self.base_url})"

    def __enter__(self) -> Connection:
        self._stack.enter_context(quiet_logs(self._hide))
        proxy = _proxy_for(self.base_url)
        inner = _transport(proxy, self.source)
        self._client = self._stack.enter_context(
            httpx.Client(
                transport=_KeyTransport(inner, self._key, self._hide),
                follow_redirects=False,
                trust_env=False,  # proxies and certificates of the environment are read above
                headers={"User-Agent": "evalkit", "Accept": "application/json"},
            )
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._client = None
        self._stack.close()

    @property
    def hide(self) -> Redactor:
        """What takes the key out of texts and bytes."""
        return self._hide

    def get(self, target: str, read: Callable[[bytes], T], *, where: tuple[str, ...] = ()) -> tuple[bytes, T]:
        """Ask once, or again where that may help.

        Parameters
        ----------
        target : path and query after the base address, quoted, with `PLACEHOLDER` once, where the key belongs
        read : bytes to a value; raises `ServiceFailure` with ``again`` where the question is to be asked again
        where : what is asked, for errors

        Returns
        -------
        the bytes of the answer (without the key, should it stand in them) and the value

        Raises
        ------
        ServiceRefusal, ServiceFailure : in one sentence, without the key
        """
        if target.count(PLACEHOLDER) != 1 or self._hide.text(target) != target:
            raise ServiceRefusal(
                "질의에 인증키가 들어 있음",
                where=(TITLES[self.source],),
                remedy="키는 환경변수나 keyring 에만 두고 질의에는 적지 말 것",
                code="key",
            )
        retrying = Retrying(
            stop=lambda state: stop_after_attempt(self.limits.attempts)(state) or self._too_late(state),
            wait=self._pause,
            retry=retry_if_exception(lambda error: isinstance(error, ServiceFailure) and bool(error.again)),
            sleep=self._sleep,
            before_sleep=self._tell,
            retry_error_callback=_give_up,
        )
        answer: tuple[bytes, T] = retrying(self._once, target, read, where)
        return answer

    # -- waiting ----------------------------------------------------------------------------------------

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        assert isinstance(error, ServiceFailure)
        if error.again == "rate":
            return max(error.wait, self.limits.rate_wait)
        return float(max(error.wait, self.limits.wait * 2 ** (state.attempt_number - 1)))

    def _too_late(self, state: RetryCallState) -> bool:
        return self._clock() + state.upcoming_sleep >= self._ends

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ServiceFailure):
            pause = state.upcoming_sleep
            self._progress(f"{TITLES[self.source]}: {error.problem}; {pause:.0f}초 뒤에 다시 물음")

    def _remaining(self, where: tuple[str, ...]) -> float:
        left = self._ends - self._clock()
        if left <= 0:
            raise self._late(where)
        return left

    def _late(self, where: tuple[str, ...]) -> ServiceFailure:
        return ServiceFailure(
            f"정해 둔 {self.limits.deadline:g}초 안에 끝나지 않음",
            where=(TITLES[self.source], *where),
            remedy="기간이나 항목을 줄이거나 --deadline 을 늘릴 것",
            code="deadline",
        )

    # -- one question -----------------------------------------------------------------------------------

    def _once(self, target: str, read: Callable[[bytes], T], where: tuple[str, ...]) -> tuple[bytes, T]:
        if not self._limiter.try_acquire(self.source, blocking=False):
            self._progress(f"{TITLES[self.source]}: 호출 한도를 지키려고 기다림")
            if not self._limiter.try_acquire(self.source, timeout=self._remaining(where)):
                raise self._late(where)
        outcome = self._asked(target, where)
        if isinstance(outcome, ServiceFailure):  # raised here, without the frames of the transport
            raise outcome
        return outcome, read(outcome)

    def _asked(self, target: str, where: tuple[str, ...]) -> bytes | ServiceFailure:
        """The bytes of the answer without the key, or why there are none."""
        assert self._client is not None, "used as a context manager"
        place = (TITLES[self.source], *where)
        seconds = min(self.limits.timeout, self._remaining(where))
        try:
            with self._client.stream("GET", f"{self.base_url}/{target}", timeout=seconds) as response:
                if response.status_code != 200:
                    return self._status(response, place)
                return self._body(response, where)
        except httpx.TimeoutException:
            told, code = f"{seconds:g}초 안에 응답이 없음", "timeout"
        except (httpx.TransportError, httpx.DecodingError) as error:
            words = shown(self._hide.text(str(error)), 80)
            told, code = f"연결이 되지 않거나 도중에 끊김 ({type(error).__name__}: {words})", "connection"
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                return ServiceFailure(
                    "서버의 인증서를 믿을 수 없음",
                    where=place,
                    remedy="기관의 인증서를 SSL_CERT_FILE 에 적거나 전산 담당자에게 물을 것 (검증은 끄지 않음)",
                    code="certificate",
                )
        return ServiceFailure(told, where=place, remedy=_LATER, code=code, again="soon")

    def _body(self, response: httpx.Response, where: tuple[str, ...]) -> bytes | ServiceFailure:
        parts, size = [], 0
        for part in response.iter_bytes():  # as they come: waiting for more would hide the deadline
            parts.append(part)
            size += len(part)
            if size > self.limits.most_bytes:
                return ServiceFailure(
                    f"응답이 {self.limits.most_bytes / 2**20:g} MB 를 넘음",
                    where=(TITLES[self.source], *where),
                    remedy="기간이나 항목을 나누어 받을 것",
                    code="size",
                )
            if self._clock() > self._ends:
                return self._late(where)
        return self._hide.content(b"".join(parts))[0]

    def _status(self, response: httpx.Response, place: tuple[str, ...]) -> ServiceFailure:
        """An HTTP status other than 200 as a sentence."""
        status = response.status_code
        if 300 <= status < 400:
            told = urlsplit(self._hide.text(response.headers.get("location", ""))).hostname
            aim = f" ({shown(told, 60)})" if told else ""
            return ServiceFailure(
                f"다른 주소{aim}로 돌리려 함 (HTTP {status}): 따라가지 않음",
                where=place,
                remedy="서비스의 주소가 바뀌었는지, 중간의 서버가 가로채지 않는지 확인할 것",
                code="redirect",
            )
        if status == 429:
            wait = response.headers.get("retry-after", "")
            return ServiceFailure(
                "너무 자주 물어 서버가 거절함 (HTTP 429)",
                where=place,
                remedy="몇 분 뒤에 다시 할 것",
                code="429",
                again="rate",
                wait=float(wait) if wait.isdigit() and len(wait) < 6 else 0.0,
            )
        if status >= 500:
            return ServiceFailure(
                f"서버의 오류임 (HTTP {status})", where=place, remedy=_LATER, code=str(status), again="soon"
            )
        remedy = {
            401: "인증키와 이용 권한을 확인할 것",
            403: "인증키와 이용 권한, 접속을 막는 중간 서버가 있는지 확인할 것",
            404: "서비스의 주소가 바뀌었는지 개발 안내를 볼 것",
        }.get(status, "질의와 서비스의 개발 안내를 확인할 것")
        return ServiceFailure(
            f"서버가 요청을 거절함 (HTTP {status})", where=place, remedy=remedy, code=str(status)
        )


def _give_up(state: RetryCallState) -> NoReturn:
    error = state.outcome.exception() if state.outcome else None
    assert isinstance(error, ServiceFailure)
    raise error.tried(state.attempt_number) from None


def _checked_base(source: str, base_url: str) -> str:
    """An address without user, query or fragment; https, except on this computer."""
    parts = urlsplit(base_url.rstrip("/"))
    local = parts.hostname in _LOOPBACK
    plain = not (parts.username or parts.password or parts.query or parts.fragment)
    if not parts.hostname or not plain or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise ServiceRefusal(
            "물을 수 없는 주소임",
            where=(TITLES[source], shown(parts.hostname or "주소 없음", 60)),
            remedy="https:// 로 시작하는 서비스의 주소를 적을 것 (http 는 이 컴퓨터 안에서만)",
            code="address",
        )
    return base_url.rstrip("/")


def _proxy_for(base_url: str) -> str | None:
    """The proxy that the environment names for an address; none for this computer itself."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    proxies = getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    return (found if "://" in found else f"http://{found}") if found else None


def _transport(proxy: str | None, source: str) -> httpx.BaseTransport:
    """The transport of httpx: certificates verified, with those that the environment names."""
    settings: dict[str, Any] = {"verify": True, "trust_env": True, "limits": httpx.Limits(max_connections=2)}
    try:
        return httpx.HTTPTransport(proxy=proxy, **settings)
    except (ValueError, ImportError, OSError) as error:
        told = shown(type(error).__name__, 40)
    raise ServiceRefusal(
        f"환경의 프록시나 인증서 설정을 쓸 수 없음 ({told})",
        where=(TITLES[source],),
        remedy="HTTPS_PROXY, SSL_CERT_FILE 환경변수를 고칠 것",
        code="proxy",
    )
