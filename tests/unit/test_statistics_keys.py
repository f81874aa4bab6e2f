"""Keys: where they come from, and that they are seen nowhere: no log, no output, no traceback, no file."""

from __future__ import annotations

import gzip
import io
import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import keyring
import pytest
from click.testing import CliRunner
from keyring.backend import KeyringBackend
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringLocked, PasswordDeleteError
from statistics_server import (
    ECOS_KEY,
    ECOS_WORDS,
    KOSIS_KEY,
    KOSIS_WORDS,
    StatisticsServer,
    consumer_prices,
    population,
)

from evalkit.cli import cli
from evalkit.errors import EvalkitError, UsageError
from evalkit.ingest.statistics.connection import Connection, Limits
from evalkit.ingest.statistics.faults import ServiceRefusal
from evalkit.ingest.statistics.keys import ApiKey, delete_key, find_key, key_origin, store_key
from evalkit.ingest.statistics.obtaining import obtain
from evalkit.ingest.statistics.queries import EcosQuery, KosisQuery
from evalkit.ingest.statistics.redaction import HIDDEN, Redactor

QUICK = Limits(10_000, 1.0, attempts=2, wait=0.001, rate_wait=0.002, timeout=0.2, deadline=20.0)


class Ring(KeyringBackend):
    """A keyring in memory."""

    priority = 1  # type: ignore[assignment]

    def __init__(self, *, locked: bool = False, forgets: bool = False) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.locked, self.forgets = locked, forgets

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked("locked")
        if not self.forgets:
            self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise PasswordDeleteError("not there")
        del self.kept[service, username]


class PlaintextRing(Ring):
    """A keyring that writes what it is given plainly."""


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ring]:
    """A keyring in memory, and no key in the environment."""
    for name in ("EVALKIT_KOSIS_KEY", "EVALKIT_ECOS_KEY"):
        monkeypatch.delenv(name, raising=False)
    before = keyring.get_keyring()
    found = Ring()
    keyring.set_keyring(found)
    yield found
    keyring.set_keyring(before)


# -- where a key comes from -----------------------------------------------------------------------------


def test_the_environment_goes_before_the_keyring(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    store_key("kosis", KOSIS_KEY)
    assert find_key("kosis").reveal() == KOSIS_KEY
    assert key_origin("kosis") == "시스템 keyring"
    monkeypatch.setenv("EVALKIT_KOSIS_KEY", " OtherKey1234 \n")
    assert find_key("kosis").reveal() == "OtherKey1234"
    assert key_origin("kosis") == "환경변수 EVALKIT_KOSIS_KEY"
    assert delete_key("kosis")
    assert not delete_key("kosis")


@pytest.mark.parametrize("source", ["kosis", "ecos"])
def test_without_a_key_the_sentence_says_where_to_get_one(ring: Ring, source: str) -> None:
    with pytest.raises(ServiceRefusal, match="인증키가 없음") as told:
        find_key(source)
    sentence = told.value.sentence()
    assert {"kosis": "kosis.kr/openapi", "ecos": "ecos.bok.or.kr/api"}[source] in sentence
    assert f"evalkit fetch key set {source}" in sentence
    assert key_origin(source) == ""


def test_a_computer_without_a_keyring_is_an_ordinary_case(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.set_keyring(NoKeyring())
    assert key_origin("ecos") == ""
    with pytest.raises(ServiceRefusal, match="인증키가 없음"):
        find_key("ecos")
    with pytest.raises(UsageError, match="keyring 이 없거나 잠겨 있음") as told:
        store_key("ecos", ECOS_KEY)
    assert "EVALKIT_ECOS_KEY" in told.value.sentence()
    assert ECOS_KEY not in told.value.sentence()
    monkeypatch.setenv("EVALKIT_ECOS_KEY", ECOS_KEY)
    assert find_key("ecos").reveal() == ECOS_KEY


@pytest.mark.parametrize("backend", [Ring(locked=True), Ring(forgets=True)])
def test_a_keyring_that_does_not_keep_is_told(ring: Ring, backend: Ring) -> None:
    keyring.set_keyring(backend)
    with pytest.raises(UsageError, match="keyring 이 없거나 잠겨 있음"):
        store_key("kosis", KOSIS_KEY)
    assert key_origin("kosis") == ""


def test_a_keyring_that_writes_plainly_is_refused(ring: Ring) -> None:
    keyring.set_keyring(PlaintextRing())
    with pytest.raises(UsageError, match="암호화하지 않고"):
        store_key("kosis", KOSIS_KEY)


@pytest.mark.parametrize(
    "value",
    ["", "short", "with blank inside", "키키키키키키키키키키", "tab\tinside123", 'quo"ted12345', "x" * 300],
)
def test_what_is_no_key_is_refused_without_repeating_it(value: str) -> None:
    with pytest.raises(ServiceRefusal, match="인증키의 꼴이 아님") as told:
        ApiKey("kosis", value, "시험")
    assert not value or value not in told.value.sentence()


def test_an_unknown_service_has_no_key() -> None:
    with pytest.raises(UsageError, match="모르는 서비스"):
        find_key("sgis")


def test_a_key_does_not_show_itself() -> None:
    key = ApiKey("kosis", KOSIS_KEY, "시험")
    for text in (repr(key), str(key), f"{key}", f"{key!s:>60}", repr([key]), str(key.redactor())):
        assert KOSIS_KEY not in text
    with pytest.raises(TypeError, match="not written down"):
        pickle.dumps(key)


def test_a_key_is_taken_out_however_it_is_written() -> None:
    hide = Redactor(KOSIS_KEY)
    for way in (
        KOSIS_KEY,
        quote(KOSIS_KEY, safe=""),
        quote(KOSIS_KEY, safe="").lower(),
        KOSIS_KEY.rstrip("="),
    ):
        assert hide.text(f"a {way} b").startswith(f"a {HIDDEN}")
        assert KOSIS_KEY[:20] not in hide.text(f"a {way} b")
    assert hide.content(b"x" + KOSIS_KEY.encode()) == (b"x(hidden)", 1)
    assert hide.text("nothing to hide") == "nothing to hide"


# -- commands ---------------------------------------------------------------------------------------------


def test_the_commands_keep_show_and_delete_without_showing(ring: Ring) -> None:
    run = CliRunner()
    done = run.invoke(cli, ["fetch", "key", "set", "kosis"], input=f"{KOSIS_KEY}\n")
    assert done.exit_code == 0, done.output
    assert ring.kept == {("evalkit", "kosis"): KOSIS_KEY}
    shown = run.invoke(cli, ["fetch", "key", "show"])
    assert shown.output.splitlines() == ["kosis: 시스템 keyring", "ecos: 없음"]
    gone = run.invoke(cli, ["fetch", "key", "delete", "kosis"])
    assert "지움" in gone.output
    assert ring.kept == {}
    assert "keyring 에 없음" in run.invoke(cli, ["fetch", "key", "delete", "kosis"]).output
    assert KOSIS_KEY not in done.output + shown.output + gone.output


def test_on_a_terminal_the_key_is_asked_hidden(ring: Ring, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def prompt(words: str, *, hide_input: bool, err: bool) -> str:
        asked.append(hide_input)
        return ECOS_KEY

    monkeypatch.setattr("click.prompt", prompt)
    monkeypatch.setattr("sys.stdin", Terminal())
    from evalkit.cli.fetch import key_set

    assert key_set.callback is not None
    with cli.make_context("evalkit", ["fetch"]):
        key_set.callback(service="ecos")
    assert asked == [True]
    assert ring.kept == {("evalkit", "ecos"): ECOS_KEY}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# -- no leak ------------------------------------------------------------------------------------------------

SECRETS = [
    part for key in (KOSIS_KEY, ECOS_KEY) for part in {key, key.rstrip("="), quote(key, safe=""), key[4:20]}
]
BAD = [
    "", "reset", "timeout", "half", "bad gzip", "html", "empty", "cut", "redirect", "403", "404", "429", "500", "unquoted",
    "unquoted error", *(f"err:{code}" for code in [*KOSIS_WORDS, "99"]), *(f"code:{code}" for code in [*ECOS_WORDS, "ERROR-999"]),
]  # fmt: skip


def told_in_full(error: BaseException) -> str:
    """The whole traceback with every chained error and the values of every local variable of the kit and below."""
    found: list[str] = [str(error), repr(error), repr(vars(error))]
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        inner: TracebackType | None = one.__traceback__
        while inner is not None and inner.tb_frame.f_code.co_filename == __file__:
            inner = inner.tb_next  # this file's own variables hold the server, which was asked with the key
        shown = traceback.TracebackException(type(one), one, inner, capture_locals=True)
        found.append("".join(shown.format(chain=False)))
        waiting += [one.__cause__, one.__context__]
    return "\n".join(found)


def everything_in(folder: Path) -> str:
    """The content and the name of every file, packed ones unpacked."""
    texts = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        texts.append(f"{path} {(gzip.decompress(content) if path.suffix == '.gz' else content).decode()}")
    return "\n".join(texts)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that anything logs, at the finest level."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(level)
    root.removeHandler(handler)


def test_the_key_is_seen_nowhere_on_any_path(
    tmp_path: Path, logged: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    errors = 0
    with StatisticsServer(kosis={"DT_1B040A3": population()}, ecos={"901Y009": consumer_prices()}) as server:
        for mode in BAD:
            for source, secret in (("kosis", KOSIS_KEY), ("ecos", ECOS_KEY)):
                query = (
                    KosisQuery("101", "DT_1B040A3", first="2015", last="2016")
                    if source == "kosis"
                    else EcosQuery("901Y009", items=("0",), first="2010", last="2012")
                )
                server.bad.clear()
                server.bad.extend([mode] * 2 if mode else [])
                key = ApiKey(source, secret, "시험")
                link = Connection(
                    source, key, base_url=f"{server.base}/{source}", limits=QUICK, progress=said.append
                )
                try:
                    with link as connection:
                        obtain(query, tmp_path / "raw", connection=connection)
                except EvalkitError as error:
                    errors += 1
                    said.append(told_in_full(error))
                said.append(repr(link) + repr(vars(link)))
        sent = " ".join(server.asked)
    assert quote(KOSIS_KEY, safe="") in sent  # the service itself was given the key
    assert ECOS_KEY in sent
    assert errors > 40
    captured = capfd.readouterr()
    texts = {
        "log": logged.getvalue(),
        "stdout": captured.out,
        "stderr": captured.err,
        "said": "\n".join(said),
        "files": everything_in(tmp_path),
    }
    assert "HTTP Request: GET" in texts["log"]  # httpx did log, with a placeholder
    assert "Location" in texts["log"]
    assert "responses/" in texts["files"]
    for name, text in texts.items():
        for secret in SECRETS:
            assert secret.lower() not in text.lower(), f"the key stands in: {name}"


def test_a_key_that_data_echo_is_not_kept(tmp_path: Path) -> None:
    with StatisticsServer(ecos={"901Y009": consumer_prices()}) as server:
        server.tamper = lambda rows: [{**row, "UNIT_NAME": f"key={ECOS_KEY}"} for row in rows]
        key = ApiKey("ecos", ECOS_KEY, "시험")
        query = EcosQuery("901Y009", items=("0",), first="2010", last="2012")
        with Connection("ecos", key, base_url=f"{server.base}/ecos", limits=QUICK) as connection:
            obtain(query, tmp_path, connection=connection)
    text = everything_in(tmp_path)
    assert "key=(hidden)" in text
    assert ECOS_KEY not in text


def test_the_terminal_shows_no_key_even_with_debug(
    ring: Ring, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EVALKIT_ECOS_KEY", ECOS_KEY)
    with StatisticsServer(ecos={"901Y009": consumer_prices()}) as server:
        for debug in ([], ["--debug"]):
            server.bad.append("redirect")
            asked = [
                "fetch",
                "ecos",
                "--stat",
                "901Y009",
                "--item",
                "0",
                "--from",
                "2010",
                "--out",
                str(tmp_path),
            ]
            done = CliRunner().invoke(cli, [*debug, *asked, "--base-url", f"{server.base}/ecos"])
            assert done.exit_code != 0
            trace = "".join(traceback.format_exception(done.exception)) if done.exception else ""
            assert ECOS_KEY not in done.output + trace
