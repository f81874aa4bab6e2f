"""Bias and coverage of every number that the cluster report prints, over many worlds; stops and goes on where it stopped.

    OPENBLAS_NUM_THREADS=1 nice python tests/helpers/reported_recovery.py 200

Draws stand in data/processed/reported_recovery.jsonl (never committed); the table goes to tests/recovery/REPORTED.md.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from reported_numbers import NUMBERS, PLAN, Case, Number

from evalkit.errors import EvalkitError
from evalkit.study import effect
from evalkit.study.plan import load_plan

HERE = Path(__file__).resolve()
STORE = HERE.parents[2] / "data" / "processed" / "reported_recovery.jsonl"
TABLE = HERE.parents[1] / "recovery" / "REPORTED.md"
FIRST_SEED, SIZE = 1000, 4000
HEAD = """# Every reported number against the truth of the simulated world

Worlds drawn anew, {size} firms each, from seed {seed} on; panels straight from the arrays (tests/recovery/test_study_panels.py
shows that the files give the same); the committed plan plans/nic_phase1_vs_phase3.yml with its own inference at 95 %.

    OPENBLAS_NUM_THREADS=1 nice python tests/helpers/reported_recovery.py {most}

- bias: mean of estimate − truth, with its Monte Carlo error; for ratios (억원/명, 중력모형) the median of the finite ones, since their mean
  need not exist
- se: mean half width of the interval / 1.96; sd: standard deviation of estimate − truth (ratios: 1.4826 × median absolute deviation)
- no end: the estimate itself is infinite (no such flow before); its interval still has a lower end
- coverage: how often the printed interval or set holds the truth, with its Monte Carlo error; refused: no number was printed

| number | unit | worlds | truth | bias (error) | sd | se | coverage % (error) | refused |
|---|---|---:|---:|---:|---:|---:|---:|---:|
"""

NOTES = """
## What is off, and why

- E1_persist and E_cum: who was supported again is known only of firms that lived until then. Among firms supported in both phases
  nobody closed before the second support, among those that stand for no support many did, so that E_cum is too high by what
  survivors have more; E1_persist, whose firms include those that closed before they could be supported again, is too low. The
  pages describe both and do not read them as effects. E3_add is held against firms of phase 1 that were there at the same time.
- cost of a net job: the net total is near zero next to its error, so that the estimate of the ratio lies below the truth more often
  than above; the printed set is that of Fieller, often without end, and holds the truth as often as it says. Refused: the nearest
  band with neighbours lies in a single province, so that leaving it out leaves no band and no error.
- design with amounts, phase 3: an average over firms, not over years (the last cohorts have no later years); the truth beside it
  is that average, 0.2 persons below that of the leading design.
- gravity of phase 3: half of the worlds had no move into the added zones before; the estimate has no end.
- hires: the whole staff of a new firm counts as hired in its first year. Left in the comparison it raised the effect of phase 3 by
  0.17 persons; flows of a firm's first year are now missing.
"""


def done(store: Path) -> dict[tuple[int, str], dict[str, Any]]:
    """What was drawn before; a line cut off by a stop is left out."""
    rows: dict[tuple[int, str], dict[str, Any]] = {}
    if store.is_file():
        for line in store.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            rows[row["seed"], row["number"]] = row
    return rows


def draw(case: Case, asked: Number, seed: int) -> dict[str, Any]:
    """One number of one world; a refusal is counted, never hidden."""
    try:
        found = asked.made(case)
    except EvalkitError as error:
        return {"seed": seed, "number": asked.name, "refused": error.problem}
    known = found.values is not None or bool(np.isfinite(found.low) and np.isfinite(found.high))
    return {
        "seed": seed,
        "number": asked.name,
        "estimate": found.estimate,
        "truth": found.truth,
        "width": found.width if known else float("nan"),
        "covers": bool(found.covers) if known else None,
    }


def line(asked: Number, rows: list[dict[str, Any]]) -> str:
    """A row of the table."""
    drawn = [row for row in rows if "refused" not in row]
    refused = len(rows) - len(drawn)
    if len(drawn) < 2:
        return f"| {asked.name} | {asked.unit} | {len(drawn)} | – | – | – | – | – | {refused} |"
    miss = np.array([row["estimate"] - row["truth"] for row in drawn])
    endless = 1.0 - float(np.isfinite(miss).mean())
    miss = miss[np.isfinite(miss)]
    truth = float(np.mean([row["truth"] for row in drawn]))
    ratio = asked.unit == "억원/명" or asked.name.startswith("relocation: 중력모형")
    spread = 1.4826 * float(np.median(np.abs(miss - np.median(miss)))) if ratio else float(miss.std(ddof=1))
    bias = float(np.median(miss)) if ratio else float(miss.mean())
    error = spread * (1.2533 if ratio else 1.0) / np.sqrt(len(miss))
    centre = f"{bias:+.3f} ({error:.3f})"
    if endless > 0.05:  # the finite ones alone are chosen by their smallness
        centre = f"no end in {100 * endless:.0f} %"
    widths = np.array([row["width"] for row in drawn], dtype=float)
    se = float(np.nanmedian(widths) if ratio else np.nanmean(widths)) / 3.92
    covers = [bool(row["covers"]) for row in drawn if row["covers"] is not None]
    rate = float(np.mean(covers)) if covers else float("nan")
    noise = 100 * np.sqrt(max(rate * (1 - rate), 0.0) / max(1, len(covers)))
    return (
        f"| {asked.name} | {asked.unit} | {len(drawn)} | {truth:.3f} | {centre} | {spread:.3f} |"
        f" {se:.3f} | {100 * rate:.1f} ({noise:.1f}) | {refused} |"
    )


def table(rows: dict[tuple[int, str], dict[str, Any]], most: int) -> str:
    """The Markdown page of what was drawn."""
    by_number: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (seed, name), row in sorted(rows.items()):
        if FIRST_SEED <= seed < FIRST_SEED + most:
            by_number[name].append(row)
    lines = [line(asked, by_number[name]) for name, asked in NUMBERS.items() if by_number[name]]
    return HEAD.format(size=SIZE, seed=FIRST_SEED, most=most) + "\n".join(lines) + "\n" + NOTES


def main(most: int, start: int = 0) -> None:
    """Draw what is missing: the quick numbers of every world first; a second run may begin at a later world."""
    warnings.simplefilter("ignore")
    effect.effect_checks = lambda *_, **__: ()  # checks take half of the time and change no number
    rows, plan = done(STORE), load_plan(PLAN)
    STORE.parent.mkdir(parents=True, exist_ok=True)
    with STORE.open("a", encoding="utf-8", buffering=1) as out:
        for late in (False, True):
            for seed in range(FIRST_SEED + start, FIRST_SEED + most):
                missing = [n for n in NUMBERS.values() if n.late is late and (seed, n.name) not in rows]
                if not missing:
                    continue
                case = Case(seed, SIZE, plan)
                for asked in missing:
                    row = draw(case, asked, seed)
                    rows[seed, asked.name] = row
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")
                TABLE.write_text(table(done(STORE), most), encoding="utf-8")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:] or ("200",)))
