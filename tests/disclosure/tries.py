"""A hundred tries to get a firm's number out of a finished run: each a name, a family, and what it finds.

A try returns numbers (guesses at a firm's value), intervals (low, high) for a firm's value, or texts that it could read.
`won` says whether one of them is a firm's number: within one part in a million for a guess, closer than 10 % for an
interval, and any of its usual spellings for a text.
"""

from __future__ import annotations

import base64
import csv
import html
import io
import itertools
import json
import re
import urllib.parse
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from attackers import feasible_interval
from planted_run import IDENTIFIERS, PROVINCES, Run

from evalkit.present.tabulation import Tabulation

PAYLOAD = "application/vnd.evalkit+json"
Found = Iterable[Any]


@dataclass(frozen=True)
class Try:
    """One try."""

    family: str
    name: str
    attack: Callable[[Run], Found]


TRIES: list[Try] = []


def attempt(family: str, name: str) -> Callable[[Callable[[Run], Found]], Callable[[Run], Found]]:
    """Put a function on the list."""

    def keep(attack: Callable[[Run], Found]) -> Callable[[Run], Found]:
        TRIES.append(Try(family, name, attack))
        return attack

    return keep


def won(run: Run, found: Found) -> list[str]:
    """Names of the firms whose numbers were got, and identifiers that could be read."""
    values = np.array(list(run.secrets.values()))
    names = list(run.secrets)
    hits: set[str] = set()
    guesses: list[float] = []
    for item in found:
        if isinstance(item, tuple):
            low, high = item[1], item[2]
            truth = run.secrets[item[0]]
            if high - low < 0.1 * truth:
                hits.add(item[0])
        elif isinstance(item, str):
            item = _HASH.sub(" ", item)  # digits inside a hash are nobody's number
            hits |= {name for name in names if _spelt(run.secrets[name], item)}
            hits |= {"식별자" for word in IDENTIFIERS if word in item}
        elif item is not None and np.isfinite(item):
            guesses.append(float(item))
    for start in range(0, len(guesses), 100_000):
        part = np.array(guesses[start : start + 100_000])
        near = np.abs(part[:, None] - values[None, :]) <= 1e-6 * values[None, :]
        hits |= {names[k] for k in np.flatnonzero(near.any(axis=0))}
    return sorted(hits)


_HASH = re.compile(r"(?<![0-9a-z])(?=[0-9]*[a-f])[0-9a-f]{16,}(?![0-9a-z])")


def _spelt(value: float, text: str) -> bool:
    forms = {
        repr(value), f"{value:.4f}", f"{value:.3f}", f"{value:.2f}", f"{value:.1f}", f"{value:,.4f}", f"{value:,.1f}",
        f"{value:.0f}", f"{value:,.0f}", f"{value / 100:.2f}", f"{value / 100:,.2f}", f"{value:e}"[:8], value.hex(),
    }  # fmt: skip
    return any(re.search(rf"(?<![\d.]){re.escape(form)}(?!\d)", text) for form in forms if form in text)


# -- what a reader has ----------------------------------------------------------------------------------


def files(run: Run, suffix: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(run.out.parent.rglob("*")):
        if path.is_file() and path.name.endswith(suffix):
            yield path.name, path.read_bytes()


def texts(run: Run, suffix: str) -> Iterator[str]:
    for _, data in files(run, suffix):
        yield data.decode("utf-8-sig", "replace")


def payloads(run: Run) -> Iterator[dict[str, Any]]:
    for text in texts(run, ".ipynb"):
        for cell in json.loads(text)["cells"]:
            for output in cell.get("outputs", ()):
                if PAYLOAD in output.get("data", {}):
                    yield output["data"][PAYLOAD]


def tables(run: Run) -> list[tuple[Tabulation, dict[tuple[int, int], str]]]:
    found = []
    for payload in payloads(run):
        if payload.get("table"):
            hidden = {(r, c): rule for r, c, rule, _ in payload.get("hidden", ())}
            found.append((Tabulation.from_json(payload["table"]), hidden))
    return found


def table(run: Run, name: str, title: str = "") -> tuple[Tabulation, dict[tuple[int, int], str]]:
    return next((t, h) for t, h in tables(run) if t.name == name and title in t.title)


def numbers(run: Run) -> list[float]:
    """Every number of every CSV, once."""
    found: dict[float, None] = {}
    for text in texts(run, ".csv"):
        for row in csv.reader(io.StringIO(text)):
            for cell in row:
                try:
                    found[float(cell.replace(",", ""))] = None
                except ValueError:
                    continue
    return list(found)


def shown(t: Tabulation) -> dict[tuple[int, int], float]:
    return {
        (r, c): float(v)
        for r in range(len(t.rows))
        for c in range(t.stub, len(t.columns))
        if isinstance(v := t.value(r, c), int | float)
    }


# -- 1 reading every file ---------------------------------------------------------------------------------

for _suffix in (".html", ".csv", ".ipynb", ".json", ".jsonl", ".svg", ".log", ".yml"):
    attempt("파일 읽기", f"모든 *{_suffix} 파일에서 값과 식별자를 찾는다")(
        lambda run, s=_suffix: texts(run, s)
    )


@attempt("파일 읽기", "엑셀의 모든 XML (숨긴 시트, 문자열 표, 속성, 주석)을 푼다")
def _(run: Run) -> Found:
    for _, data in files(run, ".xlsx"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name
                yield archive.read(name).decode("utf-8", "replace")


@attempt("파일 읽기", "엑셀 칸의 수를 그대로 읽는다 (표시 형식이 아니라 저장된 값)")
def _(run: Run) -> Found:
    for _, data in files(run, ".xlsx"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                if "sheet" in name:
                    yield from map(float, re.findall(rb"<v>(-?[\d.eE+-]+)</v>", archive.read(name)))


@attempt("파일 읽기", "페이지에 묻힌 CSV (data: 주소)를 푼다")
def _(run: Run) -> Found:
    for text in texts(run, ".html"):
        for code in re.findall(r"data:text/csv[^,]*;base64,([A-Za-z0-9+/=]+)", text):
            yield base64.b64decode(code).decode("utf-8-sig")


@attempt("파일 읽기", "페이지에 묻힌 그림(SVG)을 푼다")
def _(run: Run) -> Found:
    for text in texts(run, ".html"):
        for code in re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", text):
            yield base64.b64decode(code).decode()


@attempt("파일 읽기", "페이지의 모든 속성 값 (alt, title, data-, aria-)")
def _(run: Run) -> Found:
    for text in texts(run, ".html"):
        yield from (html.unescape(v) for v in re.findall(r'\s[\w-]+="([^"]{1,400})"', text))


@attempt("파일 읽기", "페이지의 주석과 숨은 요소")
def _(run: Run) -> Found:
    for text in texts(run, ".html"):
        yield from re.findall(r"<!--.*?-->", text, flags=re.DOTALL)
        yield from re.findall(r"<details.*?</details>", text, flags=re.DOTALL)


@attempt("파일 읽기", "SVG 의 주석·제목·메타데이터")
def _(run: Run) -> Found:
    for text in texts(run, ".svg"):
        yield from re.findall(
            r"<!--.*?-->|<title>.*?</title>|<desc>.*?</desc>|<metadata>.*?</metadata>", text, re.DOTALL
        )


@attempt("파일 읽기", "파일과 폴더의 이름")
def _(run: Run) -> Found:
    return [p.relative_to(run.project.root).as_posix() for p in run.out.parent.rglob("*")]


@attempt("파일 읽기", "파일의 크기 (값의 자릿수)")
def _(run: Run) -> Found:
    return [float(p.stat().st_size) for p in run.out.parent.rglob("*") if p.is_file()]


@attempt("파일 읽기", "만들다 만 폴더와 임시 파일")
def _(run: Run) -> Found:
    for path in run.out.parent.rglob(".*"):
        if path.is_file():
            yield path.read_bytes().decode("utf-8", "replace")


@attempt("파일 읽기", "주소로 바꿔 적은 글 (%EA…)")
def _(run: Run) -> Found:
    return [urllib.parse.unquote(text) for text in texts(run, ".html")]


@attempt("파일 읽기", "run.json 의 매개변수·문장·시간")
def _(run: Run) -> Found:
    return [json.dumps(run.project.run(), ensure_ascii=False)]


@attempt("파일 읽기", "첫 쪽(index.html)의 결론 문장")
def _(run: Run) -> Found:
    return [(run.out / "index.html").read_text(encoding="utf-8")]


@attempt("파일 읽기", "화면에 찍힌 말 (진행, 오류)")
def _(run: Run) -> Found:
    return [run.terminal]


@attempt("파일 읽기", "실패 문장 (명령이 돌려준 것)")
def _(run: Run) -> Found:
    return [sentence for _, sentence in run.outcome.failed]


@attempt("파일 읽기", "가린 칸의 목록(disclosure.csv)의 모든 칸")
def _(run: Run) -> Found:
    text = (run.out / "disclosure.csv").read_text(encoding="utf-8-sig")
    yield text
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            yield from (float(v) for v in re.findall(r"\d+\.?\d*", cell))


@attempt("파일 읽기", "남겨 둔 공책의 출력 (기업 수, 기여, 개수)")
def _(run: Run) -> Found:
    for payload in payloads(run):
        model = payload.get("table") or {}
        assert not model.get("counts")
        assert "contributions" not in model
        assert "withheld" not in model
        yield json.dumps(payload, ensure_ascii=False)


@attempt("파일 읽기", "남겨 둔 공책의 소스와 메타데이터")
def _(run: Run) -> Found:
    for text in texts(run, ".ipynb"):
        nb = json.loads(text)
        yield json.dumps([[c["source"], c["metadata"]] for c in nb["cells"]], ensure_ascii=False)


@attempt("파일 읽기", "거절된 페이지에 남은 것")
def _(run: Run) -> Found:
    for name in ("again", "bars", "personal"):
        text = (run.out / f"{name}.html").read_text(encoding="utf-8")
        assert not list((run.out / "tables").glob(f"{name}__*"))
        assert not list((run.out / "figures").glob(f"{name}__*"))
        assert not (run.out / "notebooks" / f"{name}.ipynb").exists()
        yield text


@attempt("파일 읽기", "실패한 페이지와 그 기록에 남은 오류 문장의 값")
def _(run: Run) -> Found:
    yield (run.out / "broken.html").read_text(encoding="utf-8")
    yield (run.out / "logs" / "broken.log").read_text(encoding="utf-8")


# -- 2 sums within a table ------------------------------------------------------------------------------


def _by_place(run: Run, phase: int) -> tuple[Tabulation, dict[tuple[int, int], str], int]:
    t, hidden = table(run, "sales", f"{phase}단계")
    return t, hidden, [row[0] for row in t.rows].index("제주")


for _phase in (1, 3):

    @attempt("합계", f"{_phase}단계: 행의 합계에서 보이는 칸을 뺀다")
    def _(run: Run, phase: int = _phase) -> Found:
        t, *_ = _by_place(run, phase)
        for r in range(len(t.rows)):
            line = [v if isinstance(v := t.value(r, c), float) else 0.0 for c in (1, 2, 3)]
            yield from (line[2] - line[0], line[2] - line[1], line[0] + line[1])

    @attempt("합계", f"{_phase}단계: 열의 합계에서 보이는 칸을 뺀다")
    def _(run: Run, phase: int = _phase) -> Found:
        t, *_ = _by_place(run, phase)
        for c in (1, 2, 3):
            line = [v if isinstance(v := t.value(r, c), float) else 0.0 for r in range(len(t.rows))]
            yield line[-1] - sum(line[:-1])

    @attempt("합계", f"{_phase}단계: 한 칸만 남은 합계를 거듭 푼다")
    def _(run: Run, phase: int = _phase) -> Found:
        t, hidden, _ = _by_place(run, phase)
        known = shown(t)
        lines = [[(len(t.rows) - 1, c), *((r, c) for r in range(len(t.rows) - 1))] for c in (1, 2, 3)]
        lines += [[(r, 3), (r, 1), (r, 2)] for r in range(len(t.rows))]
        for _ in range(10):
            for line in lines:
                missing = [at for at in line if at not in known]
                if len(missing) == 1:
                    total = known.get(line[0])
                    rest = sum(known[at] for at in line[1:] if at in known)
                    known[missing[0]] = rest if missing[0] == line[0] else (total or 0.0) - rest
        return [known[at] for at in hidden if at in known]

    @attempt("합계", f"{_phase}단계: 영공간으로 정해지는 칸을 찾는다")
    def _(run: Run, phase: int = _phase) -> Found:
        t, hidden, _ = _by_place(run, phase)
        for at in hidden:
            low, high = feasible_interval(t, list(hidden), at, signed=True)
            if high - low < 1e-3:
                yield low

    for _group, _column in (("서비스", 1), ("제조", 2)):

        @attempt("합계", f"{_phase}단계 제주 {_group}: 0 이상이라는 것을 더해 구간을 좁힌다")
        def _(run: Run, phase: int = _phase, group: str = _group, column: int = _column) -> Found:
            t, hidden, r = _by_place(run, phase)
            low, high = feasible_interval(t, list(hidden), (r, column))
            firms = len(run.cells[f"{phase}.{group}"])
            for k in range(firms):  # another firm of the cell takes its own number off
                others = sum(v for j, v in enumerate(run.cells[f"{phase}.{group}"]) if j != k)
                yield (f"제주 {phase} {group} {k}", max(0.0, low - others), high - others)

    @attempt("합계", f"{_phase}단계 울산: 둘째로 큰 기업이 제 값을 빼고 큰 기업을 맞힌다")
    def _(run: Run, phase: int = _phase) -> Found:
        t, hidden, _ = _by_place(run, phase)
        r = [row[0] for row in t.rows].index("울산")
        for column in (2, 3):
            low, high = (
                feasible_interval(t, list(hidden), (r, column)) if (r, column) in hidden else (0.0, np.inf)
            )
            yield (f"울산 {phase} 큰 기업", low - 60_000.0 * 24, high)

    @attempt("합계", f"{_phase}단계: 반올림한 글에서 되짚는다")
    def _(run: Run, phase: int = _phase) -> Found:
        t, *_ = _by_place(run, phase)
        lines = [
            [float(x.replace(",", "")) if (x := t.text(r, c)) != "*" else 0.0 for c in (1, 2, 3)]
            for r in range(len(t.rows))
        ]
        for line in lines:
            yield from (line[2] - line[0], line[2] - line[1])
        for c in range(3):
            yield lines[-1][c] - sum(line[c] for line in lines[:-1])


# -- 3 two tables -----------------------------------------------------------------------------------------


def _pairs(run: Run, make: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    values = np.array(numbers(run))
    with np.errstate(all="ignore"):
        return np.unique(make(values[:, None], values[None, :]).ravel())


for _name, _make in {
    "공개된 모든 수의 차": lambda a, b: a - b,
    "공개된 모든 수의 합": lambda a, b: a + b,
    "공개된 모든 수의 곱 (평균 × 기업 수, 몫 × 전체)": lambda a, b: a * b,
    "공개된 모든 수의 비": lambda a, b: a / b,
    "퍼센트 × 전체": lambda a, b: a * b / 100,
    "천 곳당 비율 × 기업 수": lambda a, b: a * b / 1000,
    "억원과 백만원을 오간 차": lambda a, b: 100 * a - b,
    "증가율에서 되짚은 앞 값": lambda a, b: b / (1 + a),
    "1 에서 뺀 몫 × 전체": lambda a, b: (1 - a) * b,
    "두 배를 뺀 나머지": lambda a, b: a - 2 * b,
    "로그를 되돌린 값": lambda a, b: np.exp(a) + 0 * b,
    "제곱근과 제곱": lambda a, b: np.sqrt(np.abs(a * b)),
}.items():
    attempt("두 수의 셈", _name)(lambda run, make=_make: _pairs(run, make))


@attempt("두 수의 셈", "합계에서 두 칸을 뺀다 (모든 세 수)")
def _(run: Run) -> Found:
    values = np.array(sorted(v for v in numbers(run) if v > 100))
    return (values[:, None, None] - values[None, :, None] - values[None, None, :]).ravel()


@attempt("두 표", "시·도 합계 표와 시·도 × 업종 표를 함께 푼다")
def _(run: Run) -> Found:
    for phase in (1, 3):
        t, hidden, r = _by_place(run, phase)
        means = next(
            x
            for x, _ in tables(run)
            if x.name == "means" and any(k.startswith(f"sales.{phase}.") for k in x.keys.values())
        )
        known = {
            key: means.value(*at) for at, key in means.keys.items() if isinstance(means.value(*at), float)
        }
        left = [at for at in hidden if t.keys[at] not in known]
        filled = t.with_cells({at: known[t.keys[at]] for at in hidden if t.keys[at] in known}, {}, ())
        for column, group in ((1, "서비스"), (2, "제조")):
            low, high = feasible_interval(filled, left, (r, column))
            for k, own in enumerate(run.cells[f"{phase}.{group}"]):
                others = sum(run.cells[f"{phase}.{group}"]) - own
                yield (f"제주 {phase} {group} {k}", max(0.0, low - others), high - others)


@attempt("두 표", "평균 × 기업 수로 합계를 되살려 전체에서 뺀다")
def _(run: Run) -> Found:
    for t, _ in tables(run):
        if t.name == "means":
            made = []
            for r in range(len(t.rows)):
                n, s, m = (t.value(r, c) for c in (1, 2, 3))
                made.append(
                    s
                    if isinstance(s, float)
                    else n * m
                    if isinstance(n, int) and isinstance(m, float)
                    else None
                )  # type: ignore[operator]
            gap = (made[-1] or 0.0) - sum(v or 0.0 for v in made[:-1])
            yield gap
            yield from (gap - (v or 0.0) for v in made)


@attempt("두 표", "몫 × 전체로 가린 합계를 되살린다")
def _(run: Run) -> Found:
    for t, _ in tables(run):
        if t.name == "means":
            whole = t.value(len(t.rows) - 1, 2)
            shares = [t.value(r, 4) for r in range(len(t.rows))]
            yield from (w * whole for w in shares if isinstance(w, float) and isinstance(whole, float))
            yield (1 - sum(w for w in shares[:-1] if isinstance(w, float))) * (
                whole if isinstance(whole, float) else np.nan
            )


@attempt("두 표", "기업 수를 알아내어 (표 firms) 한 곳뿐인 칸을 찾는다")
def _(run: Run) -> Found:
    t, hidden = table(run, "firms")
    assert hidden
    for at in hidden:
        if hidden[at] == "threshold":
            low, high = feasible_interval(t, list(hidden), at)
            assert high - low >= 1
    return []


@attempt("두 표", "거절된 쪽(again)의 합계를 다른 쪽에서 뺀다")
def _(run: Run) -> Found:
    assert run.project.run()["jobs"]["again"]["state"] == "refused"
    return texts(run, "again.html")


@attempt("두 표", "1단계와 3단계의 같은 칸을 견준다 (for_each 로 나눈 쪽)")
def _(run: Run) -> Found:
    first, last = (shown(_by_place(run, phase)[0]) for phase in (1, 3))
    for at in set(first) & set(last):
        yield from (first[at] - last[at], last[at] - first[at], first[at] + last[at])


@attempt("두 표", "분포 표의 최소·최대를 합계와 견준다")
def _(run: Run) -> Found:
    for t, _ in tables(run):
        if t.name == "spread":
            yield from shown(t).values()
            for r in range(len(t.rows)):
                assert t.text(r, 1) == t.text(r, 3) == "*"


@attempt("두 표", "기업이 7곳 이상인 시·도의 중앙값 (열 곳이 안 되면 가린다)")
def _(run: Run) -> Found:
    for t, _ in tables(run):
        if t.name == "spread":
            yield from (v for v in (t.value(r, 2) for r in range(len(t.rows))) if isinstance(v, float))


@attempt("두 표", "그림의 자료와 표를 견준다")
def _(run: Run) -> Found:
    drawn = [v for t, _ in tables(run) if t.name.startswith("by_province") for v in shown(t).values()]
    sums = [v for t, _ in tables(run) if t.name in ("sales", "means") for v in shown(t).values()]
    for a, b in itertools.product(drawn, sums):
        yield from (b - a, a * 7 - b, a * 8 - b, a * 9 - b)


def _in(run: Run, folder: str) -> list[tuple[str, dict[str, Any]]]:
    """Released tables of the notebooks right under a folder of the run: (page, description)."""
    found = []
    for path in sorted((run.out / folder / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            payloads_ = [o.get("data", {}).get(PAYLOAD) for o in cell.get("outputs", ())]
            found += [(path.stem, x) for x in payloads_ if x and x["kind"] == "table"]
    return found


@attempt("두 표", "한국어 쪽에서 가린 칸을 영어 쪽에서 읽는다 (거꾸로도)")
def _(run: Run) -> Found:
    korean, english = (
        {(page, x["name"], x["table"]["title"][-3:]): x["table"]["rows"] for page, x in _in(run, folder)}
        for folder in ("", "en")
    )
    common = set(korean) & set(english)
    assert len(common) >= 5
    for key in common:
        for mine, other in zip(korean[key], english[key], strict=True):
            pairs = list(zip(mine, other, strict=True))
            yield from (b for a, b in pairs if a is None and isinstance(b, int | float))
            yield from (a for a, b in pairs if b is None and isinstance(a, int | float))


@attempt("두 표", "두 단계를 합한 표에서 한 단계를 뺀다")
def _(run: Run) -> Found:
    union, _ = table(run, "union")
    whole = shown(union)
    for phase in (1, 3):
        part = shown(_by_place(run, phase)[0])
        yield from (whole[at] - part[at] for at in set(whole) & set(part))


@attempt("두 표", "두 단계의 합과 두 단계의 표를 한 벌의 식으로 푼다")
def _(run: Run) -> Found:
    union, hidden = table(run, "union")
    parts = {phase: _by_place(run, phase) for phase in (1, 3)}
    for phase, (t, gone, r) in parts.items():
        other = shown(parts[4 - phase][0])
        for c, group in ((1, "서비스"), (2, "제조")):
            low, high = feasible_interval(t, list(gone), (r, c))
            if (r, c) not in hidden and (value := union.value(r, c)) is not None:
                high = min(high, float(value) - other.get((r, c), 0.0))  # type: ignore[arg-type]
                low = max(low, float(value) - other[r, c]) if (r, c) in other else low  # type: ignore[arg-type]
            for k, own in enumerate(run.cells[f"{phase}.{group}"]):
                others = sum(run.cells[f"{phase}.{group}"]) - own
                yield (f"제주 {phase} {group} {k}", max(0.0, low - others), high - others)


def _of_provinces(run: Run) -> list[tuple[Tabulation, dict[tuple[int, int], str]]]:
    return [(t, h) for t, h in tables(run) if t.name == "province" and not t.title.startswith("None")]


@attempt("지역별 쪽", "여섯 지역 쪽의 합을 전국 쪽의 합계에서 뺀다")
def _(run: Run) -> Found:
    t, *_ = _by_place(run, 1)
    pages = _of_provinces(run)
    assert len(pages) == 4  # two were stopped
    for row, column in ((0, 1), (1, 2), (2, 3)):
        values = [float(v) if isinstance(v := p.value(row, 1), float) else 0.0 for p, _ in pages]
        whole = t.value(len(t.rows) - 1, column)
        if isinstance(whole, float):
            yield whole - sum(values)
            yield from (whole - sum(values) - v for v in values)


@attempt("지역별 쪽", "전국 쪽에서 가린 칸을 그 지역 쪽에서 찾는다")
def _(run: Run) -> Found:
    known = {key: p.value(*at) for p, _ in _of_provinces(run) for at, key in p.keys.items()}
    for phase in (1, 3):
        t, hidden, _ = _by_place(run, phase)
        yield from (v for at in hidden if isinstance(v := known.get(t.keys[at]), float))


@attempt("지역별 쪽", "지역 쪽이 보이는 칸을 전국 쪽의 식에 넣어 푼다")
def _(run: Run) -> Found:
    known = {
        key: v
        for p, _ in _of_provinces(run)
        for at, key in p.keys.items()
        if isinstance(v := p.value(*at), float)
    }
    t, hidden, r = _by_place(run, 1)
    filled = t.with_cells({at: known[t.keys[at]] for at in hidden if t.keys[at] in known}, {}, ())
    left = [at for at in hidden if t.keys[at] not in known]
    for c, group in ((1, "서비스"), (2, "제조")):
        assert (r, c) in left
        low, high = feasible_interval(filled, left, (r, c))
        for k, own in enumerate(run.cells[f"1.{group}"]):
            others = sum(run.cells[f"1.{group}"]) - own
            yield (f"제주 1 {group} {k}", max(0.0, low - others), high - others)


@attempt("지역별 쪽", "거절된 지역 쪽에 남은 것과, 남은 지역 쪽의 모든 수")
def _(run: Run) -> Found:
    for name in ("province_4", "province_5"):
        yield from texts(run, f"{name}.html")
        assert not (run.out / "notebooks" / f"{name}.ipynb").exists()
    for p, _ in _of_provinces(run):
        yield from shown(p).values()


# -- the exported files ---------------------------------------------------------------------------------

_SHEET = re.compile(r"<(?:v|t|w:t|hp:t)[^>]*>([^<]*)<")


def _exported(run: Run, suffix: str) -> Iterator[str]:
    found = sorted((run.out.parent / "exported").rglob(f"*{suffix}"))
    assert found, suffix
    for path in found:
        if suffix == ".csv":
            yield path.read_text(encoding="utf-8-sig")
            continue
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield archive.read(name).decode("utf-8", "replace")


for _form in (".xlsx", ".docx", ".hwpx", ".csv"):

    @attempt("내보낸 파일", f"*{_form} 을(를) 풀어 모든 글을 읽는다")
    def _(run: Run, form: str = _form) -> Found:
        return _exported(run, form)

    @attempt("내보낸 파일", f"*{_form} 의 모든 수와 그 차를 시도한다")
    def _(run: Run, form: str = _form) -> Found:
        texts_ = list(_exported(run, form))
        words = texts_ if form == ".csv" else [w for text in texts_ for w in _SHEET.findall(text)]
        found = {float(v.replace(",", "")) for w in words for v in re.findall(r"\d[\d,]*\.?\d*", w)}
        values = np.array(sorted(v for v in found if 1e3 < v < 1e10))
        assert len(values) > 20
        yield from values
        yield from (values[:, None] - values[None, :]).ravel()


@attempt("기록", "감사 기록(audit.jsonl)의 모든 수와 글")
def _(run: Run) -> Found:
    found = list(run.project.root.rglob("audit.jsonl"))
    assert found
    for path in found:
        text = path.read_text(encoding="utf-8")
        yield text
        yield from (float(v) for v in re.findall(r"(?<![\da-f])\d+\.?\d*(?![\da-f])", text))


@attempt("기록", "수만 모은 파일(results/*.json)의 모든 수와 그 차")
def _(run: Run) -> Found:
    found = list(run.out.rglob("results/**/*.json")) + list(run.out.glob("*.json"))
    assert found
    values = []
    for path in found:
        text = path.read_text(encoding="utf-8")
        yield text
        values += [float(v) for v in re.findall(r"(?<![\w.])\d+\.?\d*(?![\w.])", text)]
    kept = np.array(sorted({v for v in values if 1e3 < v < 1e10}))
    yield from (kept[:, None] - kept[None, :]).ravel()


# -- 4 pictures ----------------------------------------------------------------------------------------


@attempt("그림", "SVG 좌표를 축의 눈금으로 되돌린다")
def _(run: Run) -> Found:
    for text in texts(run, ".svg"):
        coordinates = [
            float(v) for v in re.findall(r"-?\d+\.?\d*", " ".join(re.findall(r'\sd="([^"]*)"', text)))
        ]
        spots = np.array(sorted(set(coordinates))[:400])
        for slope in (100.0, 250.0, 500.0, 1000.0):
            yield from spots * slope


@attempt("그림", "그려진 점의 수로 가린 시·도를 안다")
def _(run: Run) -> Found:
    for t, _ in tables(run):
        if t.name.startswith("by_province"):
            assert "제주" not in {str(row[0]) for row in t.rows}
    return []


@attempt("그림", "대체 글에 적힌 가장 큰 값과 작은 값")
def _(run: Run) -> Found:
    for payload in payloads(run):
        if payload["kind"] == "figure":
            yield payload["alt"]
            yield from (float(v.replace(",", "")) for v in re.findall(r"\d[\d,]*\.?\d*", payload["alt"]))


@attempt("그림", "그림 제목과 주")
def _(run: Run) -> Found:
    return [f"{p['title']} {p.get('note', '')}" for p in payloads(run) if p["kind"] == "figure"]


@attempt("그림", "기업마다 막대 하나인 그림을 청한다")
def _(run: Run) -> Found:
    assert run.project.run()["jobs"]["bars"]["state"] == "refused"
    return texts(run, "bars.html")


# -- 5 asking again with other words -------------------------------------------------------------------


@attempt(
    "다시 청하기", "매개변수 min_firms=1 을 받아 스스로 느슨한 Release 를 만드는 공책 (감사가 쪽을 거절한다)"
)
def _(run: Run) -> Found:
    assert run.project.run()["jobs"]["lax"]["state"] == "refused"
    assert not list((run.out / "tables").glob("lax__*"))
    assert not (run.out / "notebooks" / "lax.ipynb").exists()
    yield (run.out / "lax.html").read_text(encoding="utf-8")
    yield from texts(run, "lax.log")


@attempt("다시 청하기", "가린 칸의 규칙 이름으로 값의 범위를 안다 (1 또는 2, 3 이상)")
def _(run: Run) -> Found:
    from attackers import whole_number_solutions

    t, hidden = table(run, "firms")
    solutions = whole_number_solutions(t, hidden, 14, 3)
    for at, rule in hidden.items():
        if rule == "threshold":
            assert len({s[at] for s in solutions}) > 1
    return []


@attempt("다시 청하기", "자료가 어긋난 곳(deviations)과 입력의 크기")
def _(run: Run) -> Found:
    record = run.project.run()
    yield json.dumps([record.get("deviations"), record.get("inputs")], ensure_ascii=False)


@attempt("다시 청하기", "해시로 값을 맞혀 본다 (파일의 SHA-256 과 값의 SHA-256)")
def _(run: Run) -> Found:
    import hashlib

    text = " ".join(texts(run, ".json"))
    for name, value in run.secrets.items():
        for form in (repr(value), f"{value:.0f}", f"{value:,.0f}", name):
            if hashlib.sha256(form.encode()).hexdigest() in text:
                yield repr(value)


@attempt("다시 청하기", "렌더링 시간으로 값을 안다")
def _(run: Run) -> Found:
    return [float(v) for v in re.findall(r"\d+\.\d+", json.dumps(run.project.run().get("timing", {})))]


for _place in PROVINCES:

    @attempt("다시 청하기", f"{_place}: 공개된 수만으로 두 업종의 몫을 모두 대입해 본다")
    def _(run: Run, place: str = _place) -> Found:
        for phase in (1, 3):
            t, _hidden, _ = _by_place(run, phase)
            r = [row[0] for row in t.rows].index(place)
            for c in (1, 2, 3):
                value = t.value(r, c)
                if isinstance(value, float):
                    yield from (value / n for n in range(1, 25))
