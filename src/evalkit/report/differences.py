"""Which numbers moved between two finished runs, and which ingredient can have moved them: ``evalkit diff``.

Read from ``results/`` and ``run.json`` alone, so that a copy of an earlier folder is enough. A table's cells are told apart
by the names of table, row and column, never by their place, except between two languages. A number that moved on a page all
of whose ingredients are the same is called not reproducible.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from evalkit.errors import FileError
from evalkit.report.changes import file_changes, key_changes, part_changes, row_changes, value_changes
from evalkit.report.provenance import REASONS
from evalkit.report.results import rounded
from evalkit.report.store import is_intact, read_run

SCHEMA = 1
Place = Literal["headline", "table", "figure", "text"]
_ORDER: tuple[Place, ...] = ("headline", "table", "figure", "text")
_MOVING = ("notebook", "parameters", "inputs", "plan", "frozen", "code", "environment")
SEED = "씨앗"


@dataclass(frozen=True, slots=True)
class Movement:
    """One thing that differs.

    Attributes
    ----------
    page, place, name, row, column : where it stands
    before, after : number, text, interval [low, high], or None (not there, or suppressed)
    absolute, relative : change of a number; None for what is no number, or relative to zero
    crosses_zero : a number changed its sign, or an interval began or ceased to hold zero
    """

    page: str
    place: Place
    name: str
    row: str
    column: str
    before: Any
    after: Any
    absolute: float | None = None
    relative: float | None = None
    crosses_zero: bool = False

    @property
    def rank(self) -> tuple[Any, ...]:
        """Headlines first, then what crosses zero, then tables before figures, large changes before small ones."""
        size = math.inf if self.relative is None else abs(self.relative)
        return (
            self.place != "headline",
            not self.crosses_zero,
            _ORDER.index(self.place),
            -size,
            self.page,
            self.name,
        )


@dataclass(frozen=True, slots=True)
class Ingredient:
    """An ingredient that differs: its Korean name, what of it, and the pages that it went into."""

    name: str
    word: str
    details: tuple[str, ...]
    pages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """What can have moved the numbers of some pages: one ingredient, or several that cannot be told apart.

    Attributes
    ----------
    words : Korean names of the ingredients; empty = none, the run was not reproduced
    movements : how many things moved on these pages
    """

    words: tuple[str, ...]
    pages: tuple[str, ...]
    movements: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Two runs, compared.

    Attributes
    ----------
    causes : of all that moved, page by page
    altered : results that are not what their run wrote, each with the run it stands in; nothing is told of their cause
    unexplained : pages whose numbers moved although nothing that moves numbers differs
    gone, come : pages that stand in one run only
    states : page → how it ended in either run, where that differs
    """

    ingredients: tuple[Ingredient, ...]
    movements: tuple[Movement, ...]
    unexplained: tuple[str, ...]
    gone: tuple[str, ...]
    come: tuple[str, ...]
    states: Mapping[str, tuple[str, str]]
    causes: tuple[Cause, ...] = ()
    altered: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"schema": SCHEMA, **asdict(self)}


def compare(before: Path, after: Path, tolerance: float = 0.0) -> Difference:
    """What moved between two report folders.

    Parameters
    ----------
    tolerance : relative change of a number up to which it counts as the same; 0 = ten significant digits

    Raises
    ------
    FileError : a folder holds no finished run, or its results are not there
    """
    old, new = _record(before), _record(after)
    jobs_old, jobs_new = old["jobs"], new["jobs"]
    both = [name for name in jobs_new if name in jobs_old]
    same_lang = old.get("lang") == new.get("lang")
    movements: list[Movement] = []
    causes: dict[tuple[str, ...], dict[str, int]] = {}
    for page in both:
        found = list(_page(page, _results(before, page), _results(after, page), tolerance, same_lang))
        movements += found
        if found:
            causes.setdefault(causes_of(old, new, page), {})[page] = len(found)
    altered = [*_altered(before, old, both, "앞"), *_altered(after, new, both, "뒤")]
    return Difference(
        tuple(_ingredients(old, new, both)),
        tuple(sorted(movements, key=lambda m: m.rank)),
        tuple(causes.get((), ())),
        tuple(name for name in jobs_old if name not in jobs_new),
        tuple(name for name in jobs_new if name not in jobs_old),
        {
            n: (jobs_old[n]["state"], jobs_new[n]["state"])
            for n in both
            if jobs_old[n]["state"] != jobs_new[n]["state"]
        },
        tuple(Cause(words, tuple(pages), sum(pages.values())) for words, pages in causes.items()),
        tuple(altered),
    )


def _record(folder: Path) -> dict[str, Any]:
    record = read_run(folder)
    if not record:
        raise FileError(
            "끝난 실행의 기록(run.json)이 없음",
            where=(folder.name,),
            remedy="evalkit report 가 만든 한 계획의 폴더를 적을 것",
        )
    return record


def _results(folder: Path, page: str) -> dict[str, Any]:
    path = folder / "results" / f"{page}.json"
    if not path.is_file():  # refused, or ended before anything was shown
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FileError(
            "결과 파일을 읽을 수 없음", where=(folder.name, path.name), remedy="다시 만들 것"
        ) from error
    return found if isinstance(found, dict) else {}


def _altered(folder: Path, record: Mapping[str, Any], pages: Sequence[str], run: str) -> Iterator[str]:
    """Results whose bytes are not those that the run wrote."""
    for page in pages:
        name = f"results/{page}.json"
        files = record["jobs"][page]["files"]
        if name in files and not is_intact(folder, {name: files[name]}):
            yield f"{run} {page}"


# -- why --------------------------------------------------------------------------------------


def causes_of(old: Mapping[str, Any], new: Mapping[str, Any], page: str) -> tuple[str, ...]:
    """Korean names of what can have moved the numbers of a page.

    What follows from another ingredient is not named beside it: a simulated world from its seed, the plan or the code,
    and the hash of a plan in which nothing but a seed changed.
    """
    then, now = old["jobs"][page]["made_of"], new["jobs"][page]["made_of"]
    found = {name for name in _MOVING if then.get(name) != now.get(name)}
    keys = key_changes(_content(old), _content(new))
    seeded = [key for key, _, _ in keys if _is_seed(key)]
    if "plan" in found and seeded and len(seeded) == len(keys):
        found.remove("plan")
    before, after = (run["jobs"][page].get("parameters", {}) for run in (old, new))
    given = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    if given and all(_is_seed(name) for name in given):
        found.discard("parameters")
        seeded += given
    seeds = bool(seeded) or old.get("seed") != new.get("seed")
    if old.get("simulated") and new.get("simulated") and (seeds or found & {"plan", "code"}):
        found.discard("inputs")
    words = [REASONS[name] for name in _MOVING if name in found]
    return (*words, SEED) if seeds else tuple(words)


def _is_seed(key: str) -> bool:
    return "seed" in key.rpartition(".")[2]


def _ingredients(
    old: Mapping[str, Any], new: Mapping[str, Any], pages: Sequence[str]
) -> Iterator[Ingredient]:
    """Every ingredient that differs on some page that both runs have, and what of it."""
    keys = key_changes(_content(old), _content(new))
    told = [f"{key}: {a} → {b}" for key, a, b in keys if not _is_seed(key)]
    code = (old.get("code") or {}, new.get("code") or {})
    files = file_changes(old.get("inputs", ()), new.get("inputs", ()))
    frozen = [str((run.get("frozen") or {}).get("date", "(없음)")) for run in (old, new)]
    lock = [] if code[0].get("lock") == code[1].get("lock") else ["requirements.lock"]
    commits = [str(part.get("commit", ""))[:12] for part in code]
    details: dict[str, list[str]] = {
        "inputs": files + row_changes(old.get("tables", ()), new.get("tables", ())),
        "plan": told,
        "frozen": [f"{frozen[0]} → {frozen[1]}"],
        "code": part_changes(code[0].get("parts", {}), code[1].get("parts", {}))
        + ([f"{commits[0]} → {commits[1]}"] if commits[0] != commits[1] else []),
        "environment": value_changes(old.get("versions", {}), new.get("versions", {})) + lock,
        "lang": [f"{old.get('lang')} → {new.get('lang')}"],
    }
    seeds = [f"{key}: {a} → {b}" for key, a, b in keys if _is_seed(key)]
    if old.get("seed") != new.get("seed") and not seeds:
        seeds = [f"{old.get('seed')} → {new.get('seed')}"]
    if seeds:
        yield Ingredient("seed", SEED, tuple(seeds), tuple(pages))
    for name, word in REASONS.items():
        other = [
            page
            for page in pages
            if old["jobs"][page]["made_of"].get(name) != new["jobs"][page]["made_of"].get(name)
        ]
        if not other or (name == "plan" and keys and not told):
            continue
        more = details.get(name, [])
        if name == "parameters":
            more = [line for page in other for line in _parameters(old, new, page)]
        elif name == "inputs" and old.get("simulated") and new.get("simulated"):
            more = ["모의 자료를 다시 만듦", *more]
        elif name == "notebook":
            more = sorted({str(new["jobs"][page].get("notebook", page)) for page in other})
        yield Ingredient(name, word, tuple(more), tuple(other))


def _content(run: Mapping[str, Any]) -> Mapping[str, Any]:
    content: Mapping[str, Any] = (run.get("plan") or {}).get("content") or {}
    return content


def _parameters(old: Mapping[str, Any], new: Mapping[str, Any], page: str) -> list[str]:
    before, after = (run["jobs"][page].get("parameters", {}) for run in (old, new))
    return [f"{page} {line}" for line in value_changes(before, after)]


# -- what moved -------------------------------------------------------------------------------


def _page(
    page: str, old: Mapping[str, Any], new: Mapping[str, Any], tolerance: float, same_lang: bool
) -> Iterator[Movement]:
    if same_lang:
        yield from _headlines(page, old.get("headlines", ()), new.get("headlines", ()))
    for place, group in (("table", "tables"), ("figure", "figures")):
        before, after = ({t["name"]: t for t in run.get(group, ())} for run in (old, new))
        for name in [*after, *(n for n in before if n not in after)]:
            at = (page, place, name)
            if name not in before or name not in after:
                titles = [t["title"] if t else None for t in (before.get(name), after.get(name))]
                yield Movement(page, place, name, "", "", *titles)  # type: ignore[arg-type]
            else:
                yield from _table(at, before[name], after[name], tolerance, same_lang)
    if same_lang:
        texts = [[str(item["text"]) for item in run.get("texts", ())] for run in (old, new)]
        for then, now in _aligned(*texts):
            yield Movement(page, "text", "", "", "", then, now)


def _headlines(page: str, old: Sequence[Any], new: Sequence[Any]) -> Iterator[Movement]:
    """Value, sentence and grade of each answer, by its label."""
    before, after = ({f"{h['label']} #{k}": h for k, h in _numbered(run)} for run in (old, new))
    for key in [*after, *(k for k in before if k not in after)]:
        label = key.rpartition(" #")[0]
        for part in ("value", "sentence", "grade"):
            then, now = ((run.get(key) or {}).get(part) for run in (before, after))
            if then != now:
                yield Movement(page, "headline", label, "", part, then, now)


def _numbered(headlines: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    seen: dict[str, int] = {}
    for item in headlines:
        seen[item["label"]] = seen.get(item["label"], 0) + 1
        yield seen[item["label"]], item


def _table(
    at: tuple[str, Any, str],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    tolerance: float,
    same_lang: bool,
) -> Iterator[Movement]:
    """Cell by cell, by the names of row and column."""
    before, after = _cells(old, same_lang), _cells(new, same_lang)
    for key in [*after, *(k for k in before if k not in after)]:
        then, now = before.get(key), after.get(key)
        if then != now:
            found = _moved(at, key, then, now, tolerance)
            if found is not None:
                yield found


def _cells(table: Mapping[str, Any], same_lang: bool) -> dict[tuple[str, str], Any]:
    """(row, column) → value; in another language rows go by their place, and words are left out."""
    marks = {(r, c): mark for r, c, mark in table.get("marks", ())}
    found: dict[tuple[str, str], Any] = {}
    for r, row in enumerate(table["rows"]):
        name = row["key"] if same_lang else str(r + 1)
        for c, cell in enumerate(row["cells"]):
            value = cell["value"] if isinstance(cell, Mapping) and "value" in cell else cell
            if value is None:
                value = marks.get((r, c))
            if c < int(table["stub"]) or (isinstance(value, str) and not same_lang):
                continue
            found[name, table["columns"][c]["key"]] = value
    return found


def _moved(
    at: tuple[str, Any, str], key: tuple[str, str], then: Any, now: Any, tolerance: float
) -> Movement | None:
    """A movement beyond the tolerance, with its size."""
    before, after = _numbers(then), _numbers(now)
    if before and len(before) == len(after):
        pairs = list(zip(before, after, strict=True))
        if all(_close(a, b, tolerance) for a, b in pairs):
            return None
        crosses = _crosses(before, after)
        if len(pairs) == 1:
            (a, b) = pairs[0]
            if math.isfinite(a) and math.isfinite(b):
                absolute = float(rounded(b - a))  # type: ignore[arg-type]
                relative = (b - a) / abs(a) if a else None
                return Movement(*at, *key, then, now, absolute, relative, crosses)
        return Movement(*at, *key, then, now, crosses_zero=crosses)
    return Movement(*at, *key, then, now)


def _numbers(value: Any) -> list[float]:
    """A number, or the two of an interval; none for text and nothing."""
    if isinstance(value, list):
        return [n for part in value for n in _numbers(part)]
    if isinstance(value, Mapping):
        return [math.inf * int(value["infinite"])]
    return [float(value)] if isinstance(value, int | float) else []


def _close(a: float, b: float, tolerance: float) -> bool:
    return a == b or (math.isfinite(a) and math.isfinite(b) and abs(b - a) <= tolerance * max(abs(a), abs(b)))


def _crosses(before: Sequence[float], after: Sequence[float]) -> bool:
    if len(before) == 1:
        return (before[0] > 0) != (after[0] > 0) or (before[0] < 0) != (after[0] < 0)
    return (min(before) <= 0 <= max(before)) != (min(after) <= 0 <= max(after))


def _aligned(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    """Texts that differ, each beside the one in its place."""
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        for k in range(max(b - a, d - c)):
            yield (old[a + k] if a + k < b else None, new[c + k] if c + k < d else None)
