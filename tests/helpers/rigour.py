"""The rigour table: how often methods reject, cover and miss in worlds whose truth is known.

A world is a function ``draw(rng) -> {method: {measure: number}}``; replication i uses the generator seeded with
(seed, i), so that any row can be drawn again and the number of processes does not matter. A measure is a rate (0/1, or
NaN where the method gave no answer) unless its name is in `MEANS` or `MEDIANS`. Rows are kept one file a study in
tests/recovery/rigour/*.json when EVALKIT_RIGOUR_TABLE is set, and docs/rigour.md is written from these files; a quick
test holds the page to them.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

Measures = Mapping[str, Mapping[str, float]]
Draw = Callable[[np.random.Generator], Measures]
Claims = Mapping[tuple[str, str], tuple[float, float]]

PROJECT = Path(__file__).resolve().parents[2]
KEPT = PROJECT / "tests" / "recovery" / "rigour"
PAGE = PROJECT / "docs" / "rigour.md"
MEANS = {"bias"}
MEDIANS = {"width"}
REPLICATIONS = 2000


@dataclass(frozen=True)
class Row:
    """One number of the table. Rates are in per cent; `error` is the Monte Carlo error in the same unit."""

    study: str
    world: str
    method: str
    measure: str
    value: float
    error: float
    replications: int
    failed: int
    seed: int
    claim: tuple[float, float] | None

    @property
    def kept(self) -> bool:
        """Whether the claim holds; True where nothing is claimed."""
        return self.claim is None or self.claim[0] <= self.value <= self.claim[1]


def _one(job: tuple[Draw, int, int, int]) -> list[Measures]:
    draw, seed, first, last = job
    return [draw(np.random.default_rng([seed, i])) for i in range(first, last)]


def replicate(draw: Draw, replications: int, seed: int) -> list[Measures]:
    """All replications, over the cores of the machine where it can fork; `draw` must be defined in a module."""
    cores = min(int(os.environ.get("EVALKIT_RIGOUR_CORES", os.cpu_count() or 1)), 8)
    step = 50
    jobs = [(draw, seed, i, min(i + step, replications)) for i in range(0, replications, step)]
    if cores < 2 or "fork" not in multiprocessing.get_all_start_methods():
        return [out for job in jobs for out in _one(job)]
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        return [out for part in pool.imap(_one, jobs) for out in part]


def run(
    study: str,
    world: str,
    draw: Draw,
    *,
    seed: int,
    replications: int = REPLICATIONS,
    claims: Claims | None = None,
) -> dict[tuple[str, str], Row]:
    """Draw a world many times and make its rows, by (method, measure).

    Parameters
    ----------
    study : such as "M1"; world : a few English words
    draw : called with a generator; returns every method and measure each time
    claims : (method, measure) -> lowest and highest value, in per cent, that the method is said to keep here
    """
    found = replicate(draw, replications, seed)
    rows = {}
    for method, measures in found[0].items():
        for measure in measures:
            values = np.array([out[method][measure] for out in found], dtype=np.float64)
            rows[method, measure] = _row(study, world, method, measure, values, seed, claims or {})
    keep(study, world, rows)
    return rows


def _row(
    study: str, world: str, method: str, measure: str, values: np.ndarray, seed: int, claims: Claims
) -> Row:
    known = values[np.isfinite(values)]
    n = len(known)
    if n == 0:
        value = error = float("nan")
    elif measure in MEDIANS:
        value = float(np.median(known))
        error = float(1.2533 * known.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    elif measure in MEANS:
        value = float(known.mean())
        error = float(known.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    else:
        value = float(100 * known.mean())
        error = float(np.sqrt(max(value * (100 - value), 0.0) / n))
    return Row(
        study,
        world,
        method,
        measure,
        value,
        error,
        len(values),
        len(values) - n,
        seed,
        claims.get((method, measure)),
    )


def judge(rows: Mapping[tuple[str, str], Row]) -> None:
    """Every claim holds."""
    broken = [row for row in rows.values() if not row.kept]
    assert not broken, "\n".join(
        f"{r.study} {r.world}: {r.method} {r.measure} {r.value:.2f} ({r.error:.2f}) outside {r.claim}"
        for r in broken
    )


# -- the page ---------------------------------------------------------------------------------------------------------


def keep(study: str, world: str, rows: Mapping[tuple[str, str], Row]) -> None:
    """Put the rows of one world into the study's file, in place of what it held for that world."""
    if not os.environ.get("EVALKIT_RIGOUR_TABLE"):
        return
    KEPT.mkdir(parents=True, exist_ok=True)
    path = KEPT / f"{study}.json"
    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    held[world] = [_plain(row) for row in rows.values()]
    text = json.dumps(held, ensure_ascii=False, indent=1, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")


def _plain(row: Row) -> dict[str, object]:
    out = asdict(row)
    for name in ("value", "error"):
        out[name] = None if np.isnan(out[name]) else round(float(out[name]), 6)
    return out


TITLES = {
    "M1": "a few treated provinces",
    "real": "placebo programmes on the residuals of real municipalities",
    "M2": "a few treated provinces that are noisier or quieter than the others",
    "M3": "staggered adoption in 14 provinces",
    "M4": "Poisson regression of provinces",
    "M5": "doubly robust estimators, nuisance models right and wrong",
    "M6": "heterogeneous and growing effects: group-time effects, averages, uniform bands",
    "M9": "clusters of very unequal size",
    "M10": "early cohorts with growing effects: where the two-way regression turns the sign",
    "M11": "parallel trends violated: pre-tests and sensitivity intervals",
    "M17": "many outcomes",
    "M18": "municipalities that move with their neighbours",
    "M20": "ratios with a denominator near zero",
    "power": "power foretold on pre-period data and power found",
    "curve": "the joint test of a specification curve",
}
HEAD = """# The rigour table

How often each method rejects a true null, how often its interval covers, and how far it misses, in worlds whose truth is known.
Replication i of a row is drawn by the generator seeded with (seed, i); the command under each title draws its rows again.
In brackets the Monte Carlo error. Rates are in per cent of 5 % tests and 95 % intervals; *width* is the median length of the
interval, *bias* the mean miss. A number in bold is claimed: the run fails if it leaves the range in square brackets.
"auto" is what the kit prints by default (`inference: auto`): where it claims nothing, the page says that the rule was not shown to
keep its level there.

This page is written from tests/recovery/rigour/ by

    python3 run.py rigour

"""


def page(titles: Mapping[str, str] = TITLES, head: str = HEAD) -> str:
    """docs/rigour.md from the kept files; studies in the order of `titles`."""
    parts = [head.rstrip(), ""]
    for study, title in titles.items():
        path = KEPT / f"{study}.json"
        if not path.is_file():
            continue
        held = json.loads(path.read_text(encoding="utf-8"))
        parts += [f"## {study} · {title}", "", f"`python3 run.py rigour -k {study}_`", ""]
        for world in sorted(held):
            parts += _world(world, held[world])
    return "\n".join(parts).rstrip() + "\n"


def _world(world: str, rows: list[dict[str, object]]) -> list[str]:
    measures = list(dict.fromkeys(str(row["measure"]) for row in rows))
    methods = list(dict.fromkeys(str(row["method"]) for row in rows))
    cell = {(row["method"], row["measure"]): row for row in rows}
    first = rows[0]
    out = [f"**{world}** — {first['replications']} replications, seed {first['seed']}", ""]
    out += ["| method | " + " | ".join(measures) + " |", "|---|" + "---:|" * len(measures)]
    for method in methods:
        cells = [_cell(cell.get((method, measure))) for measure in measures]
        out.append(f"| {method.replace('|', chr(92) + '|')} | " + " | ".join(cells) + " |")
    return [*out, ""]


def _cell(row: dict[str, object] | None) -> str:
    if row is None or row["value"] is None:
        return "–"
    value, error = float(row["value"]), row["error"]  # type: ignore[arg-type]
    digits = 3 if row["measure"] in MEANS | MEDIANS else 1
    text = f"{value:.{digits}f}" + ("" if error is None else f" ({float(error):.{digits}f})")  # type: ignore[arg-type]
    if row["claim"] is not None:
        low, high = row["claim"]  # type: ignore[misc]
        text = f"**{text}** [{low:g}–{high:g}]"
    return text + (f" ·{row['failed']} no answer" if row["failed"] else "")
