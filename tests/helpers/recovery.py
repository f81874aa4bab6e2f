"""Monte Carlo of one estimator in one world: bias against its own error, coverage, and a row of the table.

A case draws a world from a generator and returns (estimate, standard error, truth), and optionally the critical value
to use in place of 1.96. ``holds`` says whether the world keeps the method's assumption: where it does, the bias must be
within 4 Monte Carlo errors and coverage as declared; where it does not, the bias must be plainly there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Draw = Callable[[np.random.Generator], tuple[float, ...]]


@dataclass(frozen=True)
class Case:
    """method and world in a few English words; draws as many as give an error of the rate that the test can use."""

    method: str
    world: str
    draw: Draw
    holds: bool = True
    draws: int = 200
    seed: int = 20260101
    coverage: tuple[float, float] | None = (0.90, 0.99)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    method: str
    world: str
    holds: bool
    draws: int
    seed: int
    truth: float
    bias: float
    bias_error: float
    spread: float
    std_error: float
    cover: float
    failed: int

    def line(self) -> str:
        """As Markdown."""
        kept = "유지" if self.holds else "위배"
        error, cover = (
            (f"{self.std_error:.3f}", f"{100 * self.cover:.1f}") if self.std_error > 0 else ("–", "–")
        )
        method, world = (words.replace("|", "\\|") for words in (self.method, self.world))
        return (
            f"| {method} | {world} | {kept} | {self.draws} | {self.seed} | {self.truth:.3f} | {self.bias:+.3f}"
            f" ({self.bias_error:.3f}) | {self.spread:.3f} | {error} | {cover} | {self.failed} |"
        )


HEADER = (
    "| method | world | assumption | draws | seed | truth | bias (its error) | sd | mean s.e. | coverage % | failed |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)
ROWS: list[Row] = []


def run(case: Case) -> Row:
    """Draw the worlds of a case; a draw that cannot be estimated is counted, never hidden."""
    from evalkit.errors import EvalkitError

    found, failed = [], 0
    for i in range(case.draws):
        try:
            out = case.draw(np.random.default_rng([case.seed, i]))
        except EvalkitError:
            failed += 1
            continue
        found.append((*out, 1.959963984540054)[:4])
    table = np.array(found, dtype=float)
    miss = table[:, 0] - table[:, 2]
    row = Row(
        case.method,
        case.world,
        case.holds,
        case.draws,
        case.seed,
        float(table[:, 2].mean()),
        float(miss.mean()),
        float(miss.std(ddof=1) / np.sqrt(len(miss))),
        float(miss.std(ddof=1)),
        float(np.nanmean(table[:, 1])) if np.isfinite(table[:, 1]).any() else float("nan"),
        float((np.abs(miss) <= table[:, 3] * table[:, 1]).mean()),
        failed,
    )
    ROWS.append(row)
    return row


def judge(case: Case, row: Row) -> None:
    """The assertions of a case."""
    assert row.failed <= 0.02 * row.draws, row
    if case.holds:
        assert abs(row.bias) <= 4 * row.bias_error, row
        if case.coverage is not None:
            low, high = case.coverage
            assert low <= row.cover <= high, row
    else:
        assert abs(row.bias) > 4 * row.bias_error, row
