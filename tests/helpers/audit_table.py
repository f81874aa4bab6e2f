"""The benchmark of planted faults as rows and as a page: what is measured, what is claimed, how it is written."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import planted_faults

PROJECT = Path(__file__).resolve().parents[2]
KEPT = PROJECT / "tests" / "recovery" / "planted_faults.json"
PAGE = PROJECT / "docs" / "data_audit.md"
SEED = 20260301
PANELS = 50  # with one fault, of each fault and kind of panel
MORE = {"swap": 150, "shift": 150}  # of which many cannot be told, so that enough can
CLEAN = 300  # of each kind of panel
RECALL = 0.95
FALSE_FAULTS = 0.02
KINDS = {"regions": "regions × years", "firms": "firms × years"}
HEAD = """# What the data audit finds

`evalkit audit` on panels with one planted fault each, and on clean ones. Panels are simulated: regions × years (60–229 시·군·구,
5–18 years, nine columns) and firms × years (200–2,500 firms, 4–10 years, five columns), with skewed sizes, growth, common shocks
of 8–35 % that come back in part or wholly, unequal exposure to them, real level shifts, entry and exit, heavy tails (Student's t
with three degrees of freedom for firms), rounding and missing values. Panel number *i* of a fault is drawn by the generator
seeded with ({seed}, fault, kind, *i*); the thresholds of the audit were set on other seeds.

A fault is *found* when a finding of the right check and column, a fault or a suspicion, shows rows of which at least half are
those that were planted; *as a fault* when the finding says that the numbers are wrong. *Can be told*: the panel holds enough to
tell the fault (below). Recall is the share found of those that can be told, in per cent, with its Monte Carlo error in brackets;
the last column is the share found of the others. The run fails where recall of all together is below 95 %, where that of one row
lies below 95 % by more than twice its error, or where more than 2 % of clean panels carry a fault.

    EVALKIT_AUDIT_TABLE=1 python3 run.py rigour -k planted_faults

## Planted faults

| fault | panels | can be told | recall | as a fault | found of the others |
|---|---|---:|---:|---:|---:|
"""
LIMITS = """
## What cannot be told

- **Two units swapped, a block shifted**: where the values lie closer together than ten times the yearly change of the units (for
  firms, whose sales change by 10–40 % a year, that is most pairs), or where a unit is not there in the years beside the fault.
- **A definition that changes**: where the series' own common steps reach 60 % of the break, where a shock of a quarter of its size
  stands within two years of it, or where fewer than five steps are known. It is never more than a suspicion: a lasting shock
  looks the same.
- **Copied values**: where values often stay as they are anyway (small firms), or where the group is small.
- **A value with a digit too many or few**: where it lies within fifteen yearly changes of its unit, or the years beside it are missing.
- **Missing values by group**: where no two groups have eight units.
- **A period missing**: where fewer than four are left.
- **A level that is a growth rate**: where fewer than 3 % of the rates are negative.
- **Names**: where the two units bear the same name.
- Beyond these: a fault that all years share (a column doubled throughout, a definition that is wrong from the first year) leaves no
  trace in the file itself; only another source shows it.

## Clean panels

| panels | number | with a fault | faults a panel | suspicions a panel | suspicions |
|---|---:|---:|---:|---:|---|
"""


def _seeded(*parts: int) -> np.random.Generator:
    return np.random.default_rng([SEED, *parts])


def _planted(case: tuple[str, str]) -> dict[str, object]:
    fault, kind = case
    place = list(planted_faults.FAULTS).index(fault)
    n = MORE.get(fault, PANELS)
    able = found = as_fault = others = beside = 0
    for i in range(n):
        _, planted, findings = planted_faults.corrupted(_seeded(place, kind == "firms", i), kind, fault)
        telling = [f for f in findings if planted_faults.tells(f, planted)]
        beside += sum(f.severity == "fault" and f not in telling for f in findings)
        if planted.identifiable:
            able += 1
            found += bool(telling)
            as_fault += any(f.severity == "fault" for f in telling)
        else:
            others += bool(telling)
    return {
        "fault": fault, "kind": kind, "panels": n, "identifiable": able, "found": found, "as_fault": as_fault,
        "others_found": others, "faults_beside": beside,
    }  # fmt: skip


def _clean(kind: str) -> dict[str, object]:
    with_fault = faults = suspicions = 0
    checks: dict[str, int] = {}
    for i in range(CLEAN):
        _, findings = planted_faults.clean(_seeded(999, kind == "firms", i), kind)
        mine = sum(f.severity == "fault" for f in findings)
        with_fault += mine > 0
        faults += mine
        for finding in findings:
            if finding.severity == "suspicion":
                suspicions += 1
                checks[finding.check] = checks.get(finding.check, 0) + 1
    return {
        "fault": kind, "kind": "clean", "panels": CLEAN, "with_fault": with_fault, "faults": faults, "suspicions": suspicions,
        "checks": dict(sorted(checks.items())),
    }  # fmt: skip


def _job(case: tuple[str, str]) -> dict[str, object]:
    return _clean(case[0]) if case[1] == "clean" else _planted(case)


def measure(cases: Sequence[tuple[str, str]]) -> list[dict[str, object]]:
    """Every case and both kinds of clean panels, over the cores of the machine where it can fork."""
    jobs = [*cases, *((kind, "clean") for kind in KINDS)]
    cores = min(int(os.environ.get("EVALKIT_RIGOUR_CORES", os.cpu_count() or 1)), 8)
    if cores < 2 or "fork" not in multiprocessing.get_all_start_methods():
        return [_job(case) for case in jobs]
    with multiprocessing.get_context("fork").Pool(cores) as pool:
        return pool.map(_job, jobs, chunksize=1)


def keep(rows: Iterable[dict[str, object]]) -> None:
    """Write the rows and the page."""
    KEPT.write_text(
        json.dumps({"seed": SEED, "rows": list(rows)}, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
    )
    PAGE.write_text(page(), encoding="utf-8")


def kept() -> list[dict[str, object]]:
    """The rows as they were kept."""
    told = json.loads(KEPT.read_text(encoding="utf-8"))
    assert told["seed"] == SEED
    return list(told["rows"])


def error(share: float, n: int) -> float:
    """Monte Carlo error of a share; with all or none found, that of half a panel."""
    share = min(max(share, 0.5 / n), 1 - 0.5 / n)
    return float(np.sqrt(share * (1 - share) / n))


def holds(row: dict[str, object]) -> bool:
    """Whether the recall of one row is what is claimed, within twice its error."""
    n = int(row["identifiable"])
    return n == 0 or row["found"] / n >= RECALL - 2 * error(RECALL, n)


def page() -> str:
    """docs/data_audit.md from the kept rows."""
    rows = kept()
    lines = []
    for row in (r for r in rows if r["kind"] != "clean"):
        able, n = row["identifiable"], row["panels"]
        words = planted_faults.FAULTS[row["fault"]][0]
        lines.append(
            f"| {words} | {KINDS[row['kind']]} | {able} of {n} | {_share(row['found'], able)} | {_share(row['as_fault'], able)} | "
            f"{_plain_share(row['others_found'], n - able)} |"
        )
    planted = [r for r in rows if r["kind"] != "clean"]
    able, found = (sum(r[key] for r in planted) for key in ("identifiable", "found"))
    lines.append(
        f"| **all** | | {able} of {sum(r['panels'] for r in planted)} | **{100 * found / able:.1f} ({100 * error(found / able, able):.1f})** | | |"
    )
    beside = sum(r["faults_beside"] for r in planted)
    after = (
        f"\nFaults told beside the planted one: {beside} in {sum(r['panels'] for r in planted)} panels. Most of them are consequences"
        " of it (a total that no longer is the sum of its parts).\n"
    )
    clean = []
    for row in (r for r in rows if r["kind"] == "clean"):
        checks = ", ".join(f"{name} {count}" for name, count in row["checks"].items()) or "–"
        clean.append(
            f"| {KINDS[row['fault']]} | {row['panels']} | {_share(row['with_fault'], row['panels'])} | "
            f"{row['faults'] / row['panels']:.3f} | {row['suspicions'] / row['panels']:.2f} | {checks} |"
        )
    return HEAD.format(seed=SEED) + "\n".join(lines) + "\n" + after + LIMITS + "\n".join(clean) + "\n"


def _share(count: int, n: int) -> str:
    return f"{100 * count / n:.0f} ({100 * error(count / n, n):.1f})" if n else "–"


def _plain_share(count: int, n: int) -> str:
    return f"{100 * count / n:.0f}" if n else "–"
