"""Further tries: what stands around the numbers of a finished run, and two runs or two plans taken from one another."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from planted_run import GONE, Run
from tries import Found, attempt, files, numbers, payloads, shown, tables, texts

from evalkit.release.run_audit import Published
from evalkit.report.between import Pair, compare, form, released
from evalkit.report.store import read_run

_OFFICE = (".xlsx", ".docx", ".hwpx")
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*\.?\d*")


def _plain(words: str) -> Iterator[float]:
    for found in _NUMBER.findall(words):
        bare = found.replace(",", "")
        if bare not in ("", "-"):
            yield float(bare)


def _archives(run: Run) -> Iterator[tuple[str, zipfile.ZipFile]]:
    for suffix in _OFFICE:
        for name, data in files(run, suffix):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                yield name, archive
    for path in sorted((run.out.parent / "exported").rglob("*")):
        if path.suffix in _OFFICE:
            with zipfile.ZipFile(path) as archive:
                yield path.name, archive


@attempt("곁에 있는 것", "문서의 속성(지은이, 제목, 설명, 사용자 속성)")
def _(run: Run) -> Found:
    for _, archive in _archives(run):
        for name in archive.namelist():
            if re.search(r"docProps|content\.hpf|settings|version|meta", name, re.IGNORECASE):
                yield archive.read(name).decode("utf-8", "replace")


@attempt("곁에 있는 것", "엑셀의 숨긴 시트, 이름 정의, 메모, 바깥 연결")
def _(run: Run) -> Found:
    for name, archive in _archives(run):
        if name.endswith(".xlsx"):
            book = archive.read("xl/workbook.xml").decode()
            assert 'state="hidden"' not in book
            assert 'state="veryHidden"' not in book
            assert not any(re.search("comments|externalLink|pivot", part) for part in archive.namelist())
            yield from re.findall(r"<definedName[^>]*>([^<]*)<", book)


@attempt("곁에 있는 것", "묶음 파일(zip)의 주석, 덧붙은 자료, 날짜, 압축 뒤 크기")
def _(run: Run) -> Found:
    for _, archive in _archives(run):
        yield archive.comment.decode("utf-8", "replace")
        for info in archive.infolist():
            yield info.comment.decode("utf-8", "replace")
            yield info.extra.decode("latin-1")
            yield from (float(info.file_size), float(info.compress_size), float(info.CRC))


@attempt("곁에 있는 것", "공책의 메타데이터(걸린 시간, 순서, 매개변수)의 모든 수")
def _(run: Run) -> Found:
    for text in texts(run, ".ipynb"):
        nb = json.loads(text)
        words = json.dumps([nb["metadata"], [cell["metadata"] for cell in nb["cells"]]])
        yield words
        yield from _plain(words)


@attempt("곁에 있는 것", "페이지의 id, class, style 의 수 (막대의 너비, 이어지는 번호)")
def _(run: Run) -> Found:
    for text in texts(run, ".html"):
        for value in re.findall(r'\s(?:id|class|style|width|height|href)="([^"]{1,200})"', text):
            yield from _plain(value)


@attempt("곁에 있는 것", "내려받는 주소(data:)와 파일 이름에 적힌 수")
def _(run: Run) -> Found:
    for text in texts(run, ".html"):
        yield from re.findall(r'download="([^"]*)"', text)


@attempt("곁에 있는 것", "표의 행이 값의 순서로 놓여 가린 칸의 등수를 안다")
def _(run: Run) -> Found:
    for t, hidden in tables(run):
        names = [str(row[0]) for row in t.rows if str(row[0]) not in ("계", "전체")]
        if hidden and len(names) > 2 and t.name in ("sales", "means", "firms", "union"):
            assert names == sorted(names)
    return []


@attempt("곁에 있는 것", "가린 칸의 표시가 자릿수만큼 길다")
def _(run: Run) -> Found:
    for payload in payloads(run):
        marks = (payload.get("table") or {}).get("marks", [])
        assert all(mark in ("*", "†", "‡") or len(mark) < 3 for _, _, mark in marks)
    return []


@attempt("그림", "축의 처음과 끝, 눈금의 값")
def _(run: Run) -> Found:
    for text in texts(run, ".svg"):
        for comment in re.findall(r"<!--(.*?)-->", text, re.DOTALL):
            yield comment
            yield from _plain(comment)


@attempt("그림", "SVG 의 id 와 묶음의 이름, 차례")
def _(run: Run) -> Found:
    for text in texts(run, ".svg"):
        yield from re.findall(r'\s(?:id|xlink:href|clip-path)="([^"]*)"', text)


@attempt("그림", "점의 자리를 두 눈금 사이에서 재어 값을 되돌린다")
def _(run: Run) -> Found:
    """Ticks of the axis have a place and a label each: two of them turn every other place into a value."""
    for text in texts(run, ".svg"):
        ticks = [
            (float(x), next(_plain(label), np.nan))
            for x, label in re.findall(
                r'<use[^>]*x="([\d.]+)"[^>]*/>\s*</g>\s*<g[^>]*>\s*<!--\s*([^>]*?)\s*-->', text
            )
        ]
        places = np.array(sorted({float(v) for v in re.findall(r'(?:x|M|L)[="\s]+(\d+\.\d+)', text)}))
        for (x0, v0), (x1, v1) in pairwise(ticks):
            if x1 != x0 and np.isfinite(v0) and np.isfinite(v1):
                yield from v0 + (places - x0) * (v1 - v0) / (x1 - x0)


@attempt("두 수의 셈", "두 평균을 기업 수(1–30)로 되돌려 서로 뺀다")
def _(run: Run) -> Found:
    values = np.array([v for v in numbers(run) if 1e3 < v < 1e7])
    sizes = np.arange(1, 31)
    sums = (values[:, None] * sizes).ravel()
    for one in range(0, len(sums), 200):
        yield from np.unique((sums[one : one + 200, None] - values[None, :]).ravel())[:200_000]


# -- two runs, two plans ---------------------------------------------------------------------------------


def pair_of(run: Run, other: Path) -> Pair:
    """The first run beside another, as the output checker sees them."""
    return compare(run.out, other)


def left_to_read(run: Run, other: Path, *, checked: bool = True) -> tuple[list[Published], list[Published]]:
    """Tables of both runs; of the later one those that the check does not put before the checker."""
    risky = {(risk.report, risk.table) for risk in pair_of(run, other).risks} if checked else set()
    before, after = (list(released(folder, read_run(folder))) for folder in (run.out, other))
    return before, [entry for entry in after if (entry.report, entry.table.name) not in risky]


def taken_apart(before: list[Published], after: list[Published]) -> Iterator[Any]:
    """Every number of the one less every number of the other, and means by firms of their page."""
    old, new = (
        np.array(sorted({v for entry in side for v in shown(entry.table).values()}))
        for side in (before, after)
    )
    if len(old) and len(new):
        yield from (old[:, None] - new[None, :]).ravel()


@attempt(
    "두 실행",
    "표본이 한 기업만 다른 앞 실행에서 뒤 실행을 뺀다 (release-check 가 걸러 낸 표는 서명되지 않아 나가지 않는다)",
)
def _(run: Run) -> Found:
    assert pair_of(run, run.later).risks
    yield from taken_apart(*left_to_read(run, run.later))


@attempt("두 실행", "서명할 목록(release-check --csv)의 글과 수")
def _(run: Run) -> Found:
    text = form([pair_of(run, run.later), pair_of(run, run.second)])
    assert "difference" in text
    yield text
    yield from _plain(text)


@attempt("두 실행", "같은 자료를 읽은 두 계획의 표를 서로 뺀다 (한 계획은 한 기업을 뺐다)")
def _(run: Run) -> Found:
    assert pair_of(run, run.second).risks
    yield from taken_apart(*left_to_read(run, run.second))


def told_without_the_check(run: Run) -> dict[str, Found]:
    """What the same subtractions find where nothing is put before the checker."""
    return {
        GONE + name: taken_apart(*left_to_read(run, other, checked=False))
        for name, other in (("run", run.later), ("plan", run.second))
    }
