"""What the disclosure rules cost: suppression of tables of the sizes that pages show and larger, and the audit over a run.

    python benchmarks/disclosure.py

Tables are drawn at random: lognormal values of a Poisson number of firms in each inner cell, with both margins, under the
usual rules (three firms, two firms at most 90 %, p = 10 %). Every table has withheld cells, more than real ones have.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from evalkit.present.tabulation import Tabulation
from evalkit.release import Release, Rules, suppress
from evalkit.release.run_audit import Published, audit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "disclosure"))
from tables import two_way

TABLES = 12
SIZES = ((14, 3, 12), (14, 6, 8), (17, 10, 8), (40, 10, 8))


def drawn(rows: int, columns: int, firms: float, seed: int, what: str) -> Tabulation:
    """One table: rows × columns of cells with so many firms on average."""
    rng = np.random.default_rng(seed)

    def cell() -> list[float]:
        return [float(round(v, 2)) for v in rng.lognormal(3, 1.5, rng.poisson(firms))]

    return two_way([[cell() for _ in range(columns)] for _ in range(rows)], what=what)


def one_run(pages: int) -> list[Published]:
    """Pages with a table each, as published; every second repeats the quantities of the one before."""
    found = []
    for page in range(pages):
        table = drawn(14, 3, 6, page // 2, "count")
        keys = {
            (r, c): f"firms.{page // 2}.{r}.{c}"
            for r in range(len(table.rows))
            for c in range(1, len(table.columns))
        }
        named = Tabulation(
            table.name, "", table.columns, table.rows, counts=table.counts, keys=keys, totals=table.totals
        )
        entry = Published.read(f"page{page}", Release(3).table(named).payload)
        if entry is not None:
            found.append(entry)
    return found


def main() -> None:
    """Print the table."""
    print("| table (inner cells) | holds | median ms | slowest ms | cells withheld |")
    print("|---|---|--:|--:|--:|")
    suppress(drawn(4, 3, 5, 0, "amount"), Rules())
    for rows, columns, firms in SIZES:
        for what in ("amount", "count"):
            times, gone = [], []
            for seed in range(TABLES):
                table = drawn(rows, columns, firms, seed, what)
                begin = time.process_time()
                hidden = suppress(table, Rules())
                times.append(1000 * (time.process_time() - begin))
                gone.append(len(hidden))
            print(
                f"| {rows}×{columns} | {what}s | {median(times):.0f} | {max(times):.0f} | {np.mean(gone):.1f} |"
            )
    run = one_run(84)
    begin = time.process_time()
    found = audit(run, [f"page{k}" for k in range(84)], Rules())
    print(
        f"\nAudit of a run of 84 pages that share their tables in pairs: "
        f"{1000 * (time.process_time() - begin):.0f} ms, {len(found)} pages stopped"
    )


if __name__ == "__main__":
    main()
