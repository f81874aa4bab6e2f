"""One period written at a multiple: twice, half, a thousand times; a unit of measure that changes on the way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.audit import thresholds as at
from evalkit.ingest.audit.finding import Finding
from evalkit.ingest.audit.series import Floats, Series, describe, runs
from evalkit.ingest.audit.subject import Subject
from evalkit.ingest.audit.words import RULES, number_words, said

_TEN, _TWO = float(np.log(10.0)), float(np.log(2.0))


def scaled(subject: Subject) -> Iterator[Finding]:
    """Periods at a power of ten, at twice or at half of what the others say; the working values are brought back."""
    for name in list(subject.working):
        kind = subject.kinds[name]
        if kind in ("growth", "signed", "index"):
            continue
        yield from _powers(subject, name)
        yield from _twice(subject, name)


def _typical(steps: Floats) -> float:
    """The usual common step; 0 where two steps or fewer cannot say."""
    return float(np.median(steps)) if len(steps) > 2 else 0.0


def _powers(subject: Subject, name: str) -> Iterator[Finding]:
    kind = subject.kinds[name]
    series = describe(subject.working[name], "level" if kind == "share" else kind)
    if series is None or not series.logs:
        return
    jumps = series.steps - _typical(series.steps)
    power = np.where(np.abs(jumps) > at.POWER_STEP, np.round(jumps / _TEN), 0.0)
    power[np.abs(jumps - power * _TEN) > at.POWER_TOLERANCE] = 0.0
    changes = np.diff(series.y, axis=1)
    for t in np.flatnonzero(power):
        own = changes[np.isfinite(changes[:, t]), t]
        apart = max(at.POWER_TOLERANCE, 0.4 * abs(float(series.steps[t])))
        if (np.abs(own - series.steps[t]) < apart).mean() < at.BREAK_SHARE or len(own) < 3:
            power[t] = 0.0
    offset = np.concatenate([[0.0], np.cumsum(power)])
    if not offset.any():
        return
    labels, counts = np.unique(offset, return_counts=True)
    right = labels[np.argmax(counts)]
    for wrong in labels[labels != right]:
        for first, last in runs(offset == wrong):
            factor = 10.0 ** (wrong - right)
            at_edge = first == 0 or last == len(offset) - 1
            cells = series.columns[first : last + 1]
            kind_of_fault = (
                "unit_change" if (at_edge and last > first) or len(offset) == 2 else "scaled_period"
            )
            yield _finding(subject, name, kind_of_fault, cells, factor, "자릿수가 다름", 1.0)
            subject.working[name][:, cells] /= factor


def _twice(subject: Subject, name: str) -> Iterator[Finding]:
    """Twice: every value even. Half: fractions among whole numbers. Else only the ratio to the periods beside it."""
    values = subject.working[name]
    whole = np.isfinite(values) & (values == np.round(values)) & (np.abs(values) >= 1)
    known = np.isfinite(values) & (np.abs(values) >= 1)
    n = known.sum(axis=0)
    odd = (whole & (np.abs(values) % 2 == 1)).sum(axis=0)
    tens = (whole & (values % 10 == 0)).sum(axis=0)
    fractions = (known & ~whole).sum(axis=0)
    observed = n >= at.LEAST_UNITS
    whole_series = observed & (fractions <= at.FEW * n)
    even = whole_series & (odd == 0) & (tens < 0.9 * n)
    others_odd = whole_series & (odd >= 0.2 * n)
    is_sum_of_halves = observed & (fractions >= at.HALF_FRACTIONS * n) & (fractions <= 0.8 * n)
    series = describe(values, subject.kinds[name])
    explained: list[int] = []
    if others_odd.any() or observed.sum() == 1:
        for first, last in runs(even):
            yield from _even_run(subject, name, series, first, last, n, alone=not others_odd.any())
            explained += range(first, last + 1)
    if (whole_series.sum() >= 2) and is_sum_of_halves.sum() <= max(1, observed.sum() // 3):
        for first, last in runs(is_sum_of_halves):
            if series is not None and _agrees(series, first, last, -_TWO, at.DOUBLE_TOLERANCE):
                cells = np.arange(first, last + 1)
                yield _finding(subject, name, "scaled_period", cells, 0.5, "절반 가까운 값에 .5가 붙음", 1.0)
                subject.working[name][:, cells] *= 2
                explained += cells.tolist()
    if series is not None and series.logs:
        yield from _by_ratio(subject, name, series, explained)


def _even_run(
    subject: Subject,
    name: str,
    series: Series | None,
    first: int,
    last: int,
    n: NDArray[np.int64],
    *,
    alone: bool,
) -> Iterator[Finding]:
    cells = np.arange(first, last + 1)
    if not alone and series is not None and _agrees(series, first, last, _TWO, at.DOUBLE_TOLERANCE):
        yield _finding(subject, name, "scaled_period", cells, 2.0, "모든 값이 짝수", 1.0)
        subject.working[name][:, cells] /= 2
    elif n[first : last + 1].min() >= at.EVEN_VALUES:
        shown = np.flatnonzero(subject.cell[:, first] >= 0)
        count = int(n[first : last + 1].sum())
        yield Finding(
            check="all_even", severity="suspicion",
            sentence=said("all_even", variable=name, period=subject.periods.words(first), n=number_words(count)),
            rows=subject.of_cells(shown, np.full(len(shown), first), name), total=count,
            rule=RULES["all_even"], score=0.8, variable=name,
        )  # fmt: skip


def _jumps(series: Series, first: int, last: int) -> tuple[float, float] | None:
    """Common step into and out of a run of periods, beyond the usual step; NaN where the run touches an end."""
    inside = np.flatnonzero((series.columns >= first) & (series.columns <= last))
    if not len(inside) or not series.logs or len(inside) == len(series.columns):
        return None
    a, b = int(inside[0]), int(inside[-1])
    others = np.delete(series.steps, [k for k in (a - 1, b) if 0 <= k < len(series.steps)])
    usual = float(np.median(others)) if len(others) else 0.0
    into = float(series.steps[a - 1]) - usual if a > 0 else np.nan
    out = float(series.steps[b]) - usual if b < len(series.steps) else np.nan
    return into, out


def _agrees(series: Series, first: int, last: int, size: float, tolerance: float) -> bool:
    """Whether the level goes up by `size` into the run and down by it after."""
    jumps = _jumps(series, first, last)
    if jumps is None:
        return False
    into, out = jumps
    if len(series.steps) < 5:
        tolerance *= 1.4  # the usual step is hardly known
    ends = [abs(into - size)] if into == into else []
    ends += [abs(out + size)] if out == out else []
    return bool(ends) and max(ends) < tolerance


def _by_ratio(subject: Subject, name: str, series: Series, explained: list[int]) -> Iterator[Finding]:
    """A period at just twice or half the others and back, without the evidence of digits: a suspicion."""
    quiet = 3 * at.LEAST_NOISE
    for k in range(1, len(series.columns) - 1):
        t = int(series.columns[k])
        if t in explained or len(series.steps) < 4:
            continue
        for size in (_TWO, -_TWO):
            others = np.delete(series.steps, [k - 1, k])
            own = float(np.abs(others - np.median(others)).max())
            if _agrees(series, t, t, size, min(0.06, max(quiet, 2 * own))):
                factor = 2.0 if size > 0 else 0.5
                yield _finding(
                    subject,
                    name,
                    "scaled_period",
                    np.array([t]),
                    factor,
                    "앞뒤 기간과의 비가 거의 정확함",
                    0.7,
                )
                subject.working[name][:, t] /= factor


def _finding(
    subject: Subject,
    name: str,
    check: str,
    cells: NDArray[np.int64],
    factor: float,
    evidence: str,
    score: float,
) -> Finding:
    there = subject.cell[:, cells] >= 0
    units, places = np.nonzero(there & np.isfinite(subject.wide(subject.values[name])[:, cells]))
    expected = subject.working[name][units, cells[places]] / factor
    first, last = subject.periods.words(int(cells[0])), subject.periods.words(int(cells[-1]))
    period = first if len(cells) == 1 else f"{first}–{last}"
    words = number_words(factor) if factor >= 1 else f"1/{number_words(1 / factor)}"
    sentence = (
        said("unit_change", variable=name, period=first if int(cells[0]) > 0 else last, factor=words)
        if check == "unit_change"
        else said("scaled_period", variable=name, period=period, factor=words, evidence=evidence)
    )
    rule = RULES["unit_change"] if check == "unit_change" else RULES["scaled"].format(factor=words)
    return Finding(
        check=check, severity="fault" if score > 0.75 else "suspicion", sentence=sentence,
        rows=subject.of_cells(units, cells[places], name, expected), total=len(units), rule=rule, score=score, variable=name,
    )  # fmt: skip
