"""Asking a statistics service on good days and bad ones: every error its own sentence, retries where they help and only there."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from statistics_server import (
    ECOS_KEY,
    ECOS_WORDS,
    KOSIS_KEY,
    KOSIS_WORDS,
    StatisticsServer,
    consumer_prices,
    population,
)

from evalkit.errors import EvalkitError
from evalkit.ingest.statistics.connection import LIMITS, PLACEHOLDER, Connection, Limits
from evalkit.ingest.statistics.ecos import fetch_ecos
from evalkit.ingest.statistics.faults import (
    ECOS_FAULTS,
    KOSIS_FAULTS,
    ServiceFailure,
    ServiceRefusal,
    fault,
    shown,
)
from evalkit.ingest.statistics.fetched import Fetched
from evalkit.ingest.statistics.keys import ApiKey
from evalkit.ingest.statistics.kosis import fetch_kosis, kosis_meta
from evalkit.ingest.statistics.queries import EcosQuery, KosisQuery
from evalkit.ingest.statistics.replies import read_reply

QUICK = Limits(10_000, 1.0, attempts=3, wait=0.001, rate_wait=0.002, timeout=0.4, deadline=20.0)
POPULATION = KosisQuery("101", "DT_1B040A3", first="2015", last="2024")
PRICES = EcosQuery("901Y009", items=("0",), first="2010", last="2024")


@pytest.fixture
def server() -> Iterator[StatisticsServer]:
    with StatisticsServer(kosis={"DT_1B040A3": population()}, ecos={"901Y009": consumer_prices()}) as running:
        yield running


def kosis(server: StatisticsServer, **changes: Any) -> Connection:
    key = ApiKey("kosis", KOSIS_KEY, "시험")
    return Connection("kosis", key, base_url=f"{server.base}/kosis", **{"limits": QUICK, **changes})


def ecos(server: StatisticsServer, **changes: Any) -> Connection:
    key = ApiKey("ecos", ECOS_KEY, "시험")
    return Connection("ecos", key, base_url=f"{server.base}/ecos", **{"limits": QUICK, **changes})


def asked(server: StatisticsServer, *bad: str, **changes: Any) -> Fetched:
    """One question to ECOS after the given bad answers."""
    server.bad.extend(bad)
    with ecos(server, **changes) as connection:
        return fetch_ecos(connection, PRICES)


def meta(server: StatisticsServer, *bad: str, **changes: Any) -> list[dict[str, Any]]:
    """One question to KOSIS after the given bad answers."""
    server.bad.extend(bad)
    with kosis(server, **changes) as connection:
        return kosis_meta(connection, "101", "DT_1B040A3", "TBL")[1]


# -- every documented code ------------------------------------------------------------------------------


def test_every_documented_code_has_a_sentence_of_its_own() -> None:
    assert set(KOSIS_FAULTS) == {*KOSIS_WORDS, "20(objL)"}
    assert set(ECOS_FAULTS) == set(ECOS_WORDS)
    for table in (KOSIS_FAULTS, ECOS_FAULTS):
        problems = [known.problem for known in table.values()]
        assert len(set(problems)) == len(problems)
        assert all(known.remedy for known in table.values())


REFUSED_KOSIS = {"10", "11", "20", "21", "42"}


@pytest.mark.parametrize("code", sorted(KOSIS_WORDS))
def test_each_error_of_kosis_is_told_and_only_passing_ones_are_asked_again(
    server: StatisticsServer, code: str
) -> None:
    with pytest.raises(EvalkitError) as told:
        meta(server, *[f"err:{code}"] * 3)
    error = told.value
    assert isinstance(error, ServiceRefusal if code in REFUSED_KOSIS else ServiceFailure)
    assert error.code == code
    assert error.problem.startswith(KOSIS_FAULTS[code].problem)
    assert error.remedy == KOSIS_FAULTS[code].remedy.rstrip(". ")
    assert error.where[0] == "KOSIS"
    assert len(server.asked) == (3 if code in {"40", "50"} else 1)
    assert error.exit_code == (2 if code in REFUSED_KOSIS else 3)


@pytest.mark.parametrize("code", sorted(ECOS_WORDS))
def test_each_error_of_ecos_is_told_and_only_passing_ones_are_asked_again(
    server: StatisticsServer, code: str
) -> None:
    with pytest.raises(EvalkitError) as told:
        asked(server, *[f"code:{code}"] * 3)
    error = told.value
    assert isinstance(error, ServiceRefusal | ServiceFailure)
    assert error.code == code
    assert error.problem.startswith(ECOS_FAULTS[code].problem)
    assert len(server.asked) == (3 if code in {"ERROR-500", "ERROR-600", "ERROR-601", "ERROR-602"} else 1)


def test_too_few_axes_is_another_sentence_than_a_missing_value() -> None:
    missing = fault("kosis", "20", "필수요청변수값이 누락되었습니다.")
    axes = fault("kosis", "20", "필수요청변수값이 누락되었습니다.(objL)")
    assert "분류의 수" in axes.problem
    assert "분류의 수" not in missing.problem


def test_an_unknown_code_passes_its_words_on_as_harmless_text(server: StatisticsServer) -> None:
    words = "<script>alert(1)</script>\u202e\x1b[31m" + "가" * 500
    error = fault("kosis", "99", words)
    assert "‹script›" in error.problem
    assert not set("<>\x1b\u202e") & set(error.problem)
    assert len(error.problem) < 200
    with pytest.raises(ServiceFailure, match="알려지지 않은 응답 ERROR-999"):
        asked(server, "code:ERROR-999")


def test_shown_is_one_line_of_plain_letters() -> None:
    assert shown("가\n나\t<다>\x00\u200b") == "가 나 ‹다›"
    assert shown("a" * 500, 10) == "a" * 9 + "…"


# -- answers that are no answers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "words", "code", "times"),
    [
        ("html", "웹 문서", "html", 1),
        ("empty", "비어 있음", "empty", 3),
        ("cut", "끊겼거나 깨짐", "cut", 3),
        ("cp949", "CP949", "charset", 1),
        ("text:hello", "JSON이 아닌", "other", 1),
        ("text:<xml/>", "XML", "xml", 1),
        ("text:{\"x\": 1}", "행", "form", 1),
        ("text:[NaN]", "깨짐", "cut", 3),
        ("text:" + "[" * 100_000, "깨짐", "cut", 3),
        ("xml:INFO-100", "인증키가 유효하지", "INFO-100", 1),
        ("400", "HTTP 400", "400", 1),
        ("401", "HTTP 401", "401", 1),
        ("403", "HTTP 403", "403", 1),
        ("404", "HTTP 404", "404", 1),
        ("500", "HTTP 500", "500", 3),
        ("503", "HTTP 503", "503", 3),
        ("429", "HTTP 429", "429", 3),
        ("redirect", "elsewhere.example", "redirect", 1),
        ("reset", "끊김", "connection", 3),
        ("half", "끊김", "connection", 3),
        ("bad gzip", "끊김", "connection", 3),
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_a_sentence(
    server: StatisticsServer, mode: str, words: str, code: str, times: int
) -> None:
    with pytest.raises(EvalkitError, match=words) as told:
        asked(server, *[mode] * 3)
    error = told.value
    assert isinstance(error, ServiceFailure | ServiceRefusal)
    assert error.code == code
    assert error.remedy
    assert len(server.asked) == times
    assert (f"{times}번 물음" in error.problem) == (times > 1)


def test_keys_without_quotation_marks_are_named_and_an_error_in_them_is_read(
    server: StatisticsServer,
) -> None:
    with pytest.raises(ServiceFailure, match="jsonVD=Y"):
        meta(server, "unquoted")
    with pytest.raises(ServiceRefusal, match="꼭 필요한 값이 빠졌음"):
        meta(server, "unquoted error")


def test_no_answer_in_time(server: StatisticsServer) -> None:
    with pytest.raises(ServiceFailure, match="안에 응답이 없음") as told:
        asked(server, "timeout", "timeout", limits=Limits(9999, 1.0, attempts=2, wait=0.0, timeout=0.1))
    assert told.value.code == "timeout"


@pytest.mark.parametrize(
    "mode", ["timeout", "reset", "500", "empty", "cut", "half", "code:ERROR-600", "429:0"]
)
def test_a_passing_fault_is_asked_again_and_the_answer_is_whole(server: StatisticsServer, mode: str) -> None:
    said: list[str] = []
    fetched = asked(server, mode, progress=said.append)
    assert [row["DATA_VALUE"] for row in fetched.rows] == [f"{80 + 2 * i:.2f}" for i in range(15)]
    assert len(said) == 1
    assert "다시 물음" in said[0]


def test_a_packed_answer_is_unpacked(server: StatisticsServer) -> None:
    assert len(asked(server, "gzip").rows) == 15


def test_an_answer_larger_than_allowed_is_not_read_to_its_end(server: StatisticsServer) -> None:
    limits = Limits(9999, 1.0, most_bytes=2**20)
    with pytest.raises(ServiceFailure, match="1 MB 를 넘음"):
        asked(server, "bomb", limits=limits)
    assert len(server.asked) == 1


def test_a_body_that_drips_ends_with_the_deadline(server: StatisticsServer) -> None:
    with pytest.raises(ServiceFailure, match=r"0\.3초 안에 끝나지 않음"):
        asked(server, "slow", limits=Limits(9999, 1.0, timeout=5.0, deadline=0.3))


def test_a_pause_that_would_pass_the_deadline_is_not_made(server: StatisticsServer) -> None:
    slept: list[float] = []
    with pytest.raises(ServiceFailure, match="너무 자주 불러"):
        asked(
            server,
            "code:ERROR-602",
            limits=Limits(9999, 1.0, rate_wait=181.0, deadline=60.0),
            sleep=slept.append,
        )
    assert slept == []


def test_pauses_double_and_a_rate_error_waits_for_its_window(server: StatisticsServer) -> None:
    slept: list[float] = []
    limits = Limits(9999, 1.0, attempts=4, wait=1.0, rate_wait=61.0)
    asked(server, "500", "500", "code:ERROR-602", limits=limits, sleep=slept.append)
    assert slept == [1.0, 2.0, 61.0]
    slept.clear()
    asked(server, "429:90", limits=limits, sleep=slept.append)
    assert slept == [90.0]


# -- limits, addresses, proxies, certificates -----------------------------------------------------------


def test_the_rate_stays_below_what_the_services_allow() -> None:
    assert LIMITS["kosis"].calls / LIMITS["kosis"].seconds < 200 / 60
    assert LIMITS["ecos"].calls / LIMITS["ecos"].seconds < 300 / 180


def test_calls_beyond_the_rate_wait_or_end_with_the_deadline(server: StatisticsServer) -> None:
    said: list[str] = []
    limits = Limits(2, 0.4, deadline=20.0)
    with kosis(server, limits=limits, progress=said.append) as connection:
        for _ in range(3):
            kosis_meta(connection, "101", "DT_1B040A3", "TBL")
    assert len(server.asked) == 3
    assert said == ["KOSIS: 호출 한도를 지키려고 기다림"]
    with kosis(server, limits=Limits(1, 600.0, deadline=0.2)) as connection:
        kosis_meta(connection, "101", "DT_1B040A3", "TBL")
        with pytest.raises(ServiceFailure, match="안에 끝나지 않음"):
            kosis_meta(connection, "101", "DT_1B040A3", "TBL")
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    "base",
    ["http://kosis.kr/openapi", "ftp://kosis.kr", "kosis.kr", "https://me:pw@kosis.kr", "https://kosis.kr/?a=1", "https:///x"],
)  # fmt: skip
def test_an_address_that_may_not_be_asked(base: str) -> None:
    with pytest.raises(ServiceRefusal, match="물을 수 없는 주소") as told:
        Connection("kosis", ApiKey("kosis", KOSIS_KEY, "시험"), base_url=base)
    assert "pw" not in told.value.sentence()


def test_a_key_in_the_words_of_a_question_is_refused_before_it_is_sent(server: StatisticsServer) -> None:
    with kosis(server) as connection:
        for words in (KOSIS_KEY, PLACEHOLDER):
            with pytest.raises(ServiceRefusal, match="질의에 인증키가") as told:
                kosis_meta(connection, "101", words, "TBL")
            assert KOSIS_KEY not in told.value.sentence()
    assert server.asked == []


def test_the_proxy_of_the_environment_is_asked_and_its_password_not_told(
    server: StatisticsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = server.base.removeprefix("http://")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://user:s3cretpw@{address}")
    key = ApiKey("kosis", KOSIS_KEY, "시험")
    with (
        Connection("kosis", key, base_url="https://kosis.example/openapi", limits=QUICK) as connection,
        pytest.raises(ServiceFailure, match="ProxyError") as told,
    ):
        kosis_meta(connection, "101", "DT_1", "TBL")
    assert server.asked == ["CONNECT kosis.example:443"] * 3
    assert "s3cretpw" not in told.value.sentence()


def test_a_proxy_that_cannot_be_used_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "gopher://proxy.example:70")
    with (
        pytest.raises(ServiceRefusal, match="프록시"),
        Connection("kosis", ApiKey("kosis", KOSIS_KEY, "시험")),
    ):
        pass


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make a certificate with")
def test_a_certificate_that_nobody_signed_is_not_believed(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """The client does not go on: that is what is tested."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with Server(("127.0.0.1", 0), Handler) as plain:
        plain.socket = context.wrap_socket(plain.socket, server_side=True, do_handshake_on_connect=True)
        thread = threading.Thread(target=plain.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        base = f"https://localhost:{plain.server_address[1]}/openapi"
        key = ApiKey("kosis", KOSIS_KEY, "시험")
        with (
            Connection("kosis", key, base_url=base, limits=QUICK) as connection,
            pytest.raises(ServiceFailure, match="인증서를 믿을 수 없음"),
        ):
            kosis_meta(connection, "101", "DT_1", "TBL")
        plain.shutdown()
        thread.join()
    assert seen == []


def test_nobody_listens() -> None:
    key = ApiKey("ecos", ECOS_KEY, "시험")
    with (
        Connection("ecos", key, base_url="http://127.0.0.1:9", limits=QUICK) as connection,
        pytest.raises(ServiceFailure, match="연결이 되지 않거나"),
    ):
        fetch_ecos(connection, PRICES)


def test_a_wrong_key_is_told_by_the_service(server: StatisticsServer) -> None:
    wrong = Connection(
        "kosis", ApiKey("kosis", "anotherkey123456", "시험"), base_url=f"{server.base}/kosis", limits=QUICK
    )
    with wrong as connection, pytest.raises(ServiceRefusal, match="사용 기간이 끝났음"):
        fetch_kosis(connection, POPULATION)
    other = Connection(
        "ecos", ApiKey("ecos", "anotherkey123456", "시험"), base_url=f"{server.base}/ecos", limits=QUICK
    )
    with other as connection, pytest.raises(ServiceRefusal, match="인증키가 유효하지 않음"):
        fetch_ecos(connection, PRICES)


def test_a_byte_order_mark_is_no_fault() -> None:
    assert read_reply(b"\xef\xbb\xbf[]", "kosis") == []
    assert read_reply(b'{"RESULT": {"CODE": "INFO-000"}, "x": 1}', "ecos")["x"] == 1
