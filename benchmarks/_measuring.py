"""Medians, peak memory and the staggered panel that the benchmarks share."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from statistics import median

import numpy as np

from evalkit.panel import Panel

SIZES = (250, 20_000, 500_000)


def staggered(units: int, periods: int = 10, seed: int = 1) -> Panel:
    """A balanced panel with cohorts 3, 5, 7 and never treated units, 17 regions, one fixed and one varying covariate."""
    rng = np.random.default_rng(seed)
    adoption = rng.choice([3.0, 5.0, 7.0, np.inf], units, p=[0.15, 0.2, 0.15, 0.5])
    t = np.arange(1, periods + 1)
    noise = rng.standard_normal((units, periods)).cumsum(axis=1) * 0.5
    y = rng.standard_normal((units, 1)) + 0.1 * t + (t >= adoption[:, None]) + noise
    mean = np.exp(0.3 * rng.standard_normal((units, 1)) + 0.02 * t + 0.2 * (t >= adoption[:, None]))
    return Panel(
        np.arange(units),
        t,
        {
            "y": y,
            "hole": np.where(rng.random((units, periods)) < 0.05, np.nan, y),
            "count": rng.poisson(mean).astype(float),
            "z": rng.standard_normal((units, periods)),
        },
        {"adoption": adoption, "region": rng.integers(0, 17, units), "x": rng.standard_normal(units)},
    )


def seconds_of(call: Callable[[], object]) -> float:
    """One run."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def timed(calls: list[Callable[[], object]], repeat: int) -> list[float]:
    """Median seconds of each, run by turns after a warm run, so that a busy machine is as unfair to all."""
    for call in calls:
        call()
    rounds = [[seconds_of(call) for call in calls] for _ in range(repeat)]
    return [median(column) for column in zip(*rounds, strict=True)]


def peak_of(call: Callable[[], object]) -> float:
    """Megabytes that a call adds at most (numpy's buffers are seen)."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return peak


HEADER = (
    f"{'units':>8} {'case':<44} {'seconds':>9} {'yardstick':>24} {'theirs':>9} {'ratio':>7} {'peak MB':>8}"
)


def line(units: int, case: str, seconds: float, yardstick: str, theirs: float, peak: float) -> str:
    """One line of the table; ratio is theirs over ours, so more is better."""
    return f"{units:>8,} {case:<44} {seconds:>9.4f} {yardstick:>24} {theirs:>9.4f} {theirs / seconds:>7.1f} {peak:>8.0f}"
