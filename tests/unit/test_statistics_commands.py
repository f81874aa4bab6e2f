"""`evalkit fetch …` at the terminal, against a server of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from statistics_server import (
    ECOS_KEY,
    KOSIS_KEY,
    EcosTable,
    KosisTable,
    StatisticsServer,
    consumer_prices,
    number,
    population,
)

from evalkit.cli import cli
from evalkit.ingest.statistics.catalogue import catalogue, markdown


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatisticsServer]:
    monkeypatch.setenv("EVALKIT_KOSIS_KEY", KOSIS_KEY)
    monkeypatch.setenv("EVALKIT_ECOS_KEY", ECOS_KEY)
    with StatisticsServer(kosis={"DT_1B040A3": population()}, ecos={"901Y009": consumer_prices()}) as running:
        yield running


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["fetch", *words])


def asked(server: StatisticsServer, service: str, *words: str, out: Path | None = None) -> Result:
    """A command to a service at the address of our server."""
    kept = ["--out", str(out)] if out else []
    return run(
        service,
        *words,
        *kept,
        "--base-url",
        f"{server.base}/{'ecos' if service in ('ecos', 'items', 'tables') else 'kosis'}",
    )


POPULATION = ("--org", "101", "--table", "DT_1B040A3", "--from", "2015", "--to", "2024")
PRICES = ("--stat", "901Y009", "--item", "0", "--from", "2010", "--to", "2024")


def test_kosis_is_fetched_replayed_and_its_revision_told(server: StatisticsServer, tmp_path: Path) -> None:
    done = asked(server, "kosis", *POPULATION, "--items", "T20", "--axes", "11+26", out=tmp_path)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert Path(lines[0]).parent == tmp_path / "kosis"
    assert lines[1] == "20칸 (응답 1개, 빈 응답 0개)"
    assert lines[2].startswith("출처: 국가데이터처, 「행정구역(시군구)별, 성별 인구수」")
    assert "objL1=11+26" in server.asked[1]
    count = len(server.asked)
    again = asked(
        server, "kosis", *POPULATION, "--items", "T20", "--axes", "11+26", "--offline", out=tmp_path
    )
    assert again.stdout.splitlines()[0] == lines[0]
    assert "받아 둔 것임" in again.stdout
    assert len(server.asked) == count
    table = server.kosis["DT_1B040A3"]
    table.value = lambda cell: "1" if cell == ("T20", "11", "2024") else number(cell)
    later = asked(server, "kosis", *POPULATION, "--items", "T20", "--axes", "11+26", out=tmp_path)
    assert "1칸이 바뀌고 0칸이 늘고 0칸이 없어짐 (같은 칸 19)" in later.stdout
    assert f"T20 11 A 2024: {number(('T20', '11', '2024'))} → 1" in later.stdout
    diff = run("diff", lines[0], later.stdout.splitlines()[0])
    assert diff.exit_code == 0
    assert "1칸이 바뀌고" in diff.stdout


def test_ecos_is_fetched(server: StatisticsServer, tmp_path: Path) -> None:
    done = asked(server, "ecos", *PRICES, out=tmp_path)
    assert done.exit_code == 0, done.output
    assert "15칸 (응답 1개, 빈 응답 0개)" in done.stdout
    record = json.loads(Path(done.stdout.splitlines()[0]).read_text(encoding="utf-8"))
    assert record["query"]["period"] == "Y"


def test_a_series_of_the_catalogue_is_fetched_by_its_name(server: StatisticsServer, tmp_path: Path) -> None:
    done = run(
        "catalogue", "cpi", "--to", "2024", "--out", str(tmp_path), "--base-url", f"{server.base}/ecos"
    )
    assert done.exit_code == 0, done.output
    assert "15칸" in done.stdout
    assert done.stderr == ""


def test_a_table_with_another_title_than_expected_is_told(server: StatisticsServer, tmp_path: Path) -> None:
    server.ecos["901Y009"] = EcosTable("901Y009", "수출물가지수", "A", consumer_prices().rows)
    done = run(
        "catalogue", "cpi", "--to", "2024", "--out", str(tmp_path), "--base-url", f"{server.base}/ecos"
    )
    assert done.exit_code == 0
    assert "통계표 이름 「수출물가지수」에 '소비자물가' 이(가) 없음" in done.stderr
    server.kosis["DT_2BD1103"] = KosisTable(
        "101",
        "DT_2BD1103",
        "시도별 생존율",
        {"T": ("생존율", "%")},
        [("시도별", {"11": "서울"})],
        ["2020"],
        number,
    )
    unsure = run(
        "catalogue",
        "survival_region",
        "--from",
        "2020",
        "--to",
        "2020",
        "--out",
        str(tmp_path),
        "--base-url",
        f"{server.base}/kosis",
    )
    assert "아직 확인하지 못한 계열" in unsure.stderr


def test_the_catalogue_is_listed_shown_and_printed(server: StatisticsServer) -> None:
    listing = run("series")
    assert listing.exit_code == 0
    assert len(listing.stdout.splitlines()) == len(catalogue())
    one = run("series", "grdp_municipality")
    assert "찾을 말: 시군구 지역내총생산" in one.stdout
    assert run("series", "--markdown").stdout == markdown()
    wrong = run("series", "grpd")
    assert wrong.exit_code == 2
    assert "비슷한 이름: grdp" in wrong.stderr
    unknown = run("catalogue", "rnd")
    assert unknown.exit_code == 2
    assert "evalkit fetch search" in unknown.stderr


def test_descriptions_lists_and_searches_are_printed_as_plain_text(server: StatisticsServer) -> None:
    table = server.kosis["DT_1B040A3"]
    table.items["T20"] = ("총인구수<br>\x1b[31m(A)", "명")
    meta = asked(server, "meta", "--org", "101", "--table", "DT_1B040A3")
    assert meta.exit_code == 0, meta.output
    assert "총인구수‹br›[31m(A)" in meta.stdout
    assert "\x1b" not in meta.stdout
    assert "2015" in asked(server, "meta", "--org", "101", "--table", "DT_1B040A3", "--kind", "prd").stdout
    assert "DT_1B040A3" in asked(server, "search", "인구수").stdout
    assert "A_1  인구" in asked(server, "list").stdout
    assert "총지수" in asked(server, "items", "901Y009").stdout
    assert "소비자물가지수" in asked(server, "tables").stdout


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("kosis", "--org", "101"), 2, "통계표 번호"),
        (("kosis", *POPULATION, "--axes", "ALL,ALL"), 2, "분류는 1개"),
        (("kosis", *POPULATION, "--newest", "3"), 2, "기간이 없거나"),
        (("kosis", "--org", "101", "--table", "DT_NONE", "--from", "2015"), 3, "자료가 없음"),
        (("ecos", "--stat", "901Y009", "--item", "Z", "--from", "2015"), 3, "자료가 없음"),
        (("ecos", *PRICES, "--offline"), 3, "받아 둔 자료가 없음"),
        (("items", "999Y999"), 3, "자료가 없음"),
    ],
)  # fmt: skip
def test_errors_are_one_sentence_with_the_exit_code_of_their_kind(
    server: StatisticsServer, tmp_path: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    done = asked(server, *words, out=None if words[0] == "items" else tmp_path)
    assert done.exit_code == code, done.output
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.rglob("*.json"))


def test_waiting_is_told(server: StatisticsServer, tmp_path: Path) -> None:
    server.bad.append("500")
    done = asked(server, "ecos", *PRICES, out=tmp_path)
    assert done.exit_code == 0
    assert "서버의 오류임 (HTTP 500); 1초 뒤에 다시 물음" in done.stderr


def test_a_deadline_of_the_user_holds(server: StatisticsServer, tmp_path: Path) -> None:
    server.bad.extend(["500"] * 5)
    done = asked(server, "ecos", *PRICES, "--deadline", "1", out=tmp_path)
    assert done.exit_code == 3
    assert len(server.asked) == 1


def test_without_a_key_nothing_is_asked(
    server: StatisticsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVALKIT_ECOS_KEY")
    monkeypatch.setattr("evalkit.ingest.statistics.keys._from_ring", lambda source: None)
    done = asked(server, "ecos", *PRICES, out=tmp_path)
    assert done.exit_code == 2
    assert "ECOS 인증키가 없음" in done.stderr
    assert "ecos.bok.or.kr/api" in done.stderr
    assert server.asked == []
