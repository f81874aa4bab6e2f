"""Single values far from the years around them that come back: typing errors, a unit of measure of one row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.audit import thresholds as at
from evalkit.ingest.audit.finding import SHOWN, Finding
from evalkit.ingest.audit.series import Floats, Series
from evalkit.ingest.audit.subject import Subject
from evalkit.ingest.audit.words import RULES, number_words, said

_TEN = float(np.log(10.0))
_UNIT_ERROR = 3  # powers of ten of 원 against 천원; smaller ones are slips of one digit
_MANY = 3  # cells of one period at the same multiple are no accident


def outliers(subject: Subject, series: dict[str, Series]) -> Iterator[Finding]:
    """Values that leave the level of their unit and return to it; those near a power of ten apart."""
    for name, one in series.items():
        if len(one.columns) < 3:
            continue
        jump, distance = _spikes(one)
        least = max(at.OUTLIER_Z, at.TAIL_SPAN * _tail(distance))
        hit = (distance > least) & ((np.abs(jump) > at.OUTLIER_STEP) if one.logs else True)
        if one.logs:  # a thousand times is beyond any tail
            hit |= (distance > at.OUTLIER_Z) & (np.abs(jump) > (_UNIT_ERROR - 0.5) * _TEN)
        if not hit.any():
            continue
        power = np.where(hit & one.logs, np.round(jump / _TEN), 0.0)
        power[np.abs(jump - power * _TEN) > at.FACTOR_TOLERANCE] = 0.0
        # a factor of ten or so happens to firms that really change; their unit of measure does not
        for factor in np.unique(power[power != 0]):
            yield from _of_factor(subject, name, one, power == factor, 10.0**factor, jump)
        plain = hit & (power == 0)
        if plain.any():
            units, k = np.nonzero(plain)
            yield _finding(
                subject,
                name,
                one,
                units,
                k,
                jump,
                "outlier",
                said("outlier", variable=name, n=len(units)),
                0.6,
            )


def _spikes(series: Series) -> tuple[Floats, Floats]:
    """Distance of each value from the periods on both sides, and the same in noise; NaN at the ends  # (N, P) each

    A value counts by the smaller of its distances from either side, so that a level that shifts is no spike.
    """
    level = series.level
    jump = np.full(level.shape, np.nan)
    before, after = level[:, 1:-1] - level[:, :-2], level[:, 1:-1] - level[:, 2:]
    with np.errstate(invalid="ignore"):
        same = np.sign(before) == np.sign(after)
        smaller = np.where(np.abs(before) < np.abs(after), before, after)
        # beside a missing period, or where the level does not come back, nothing is said
        back = np.abs(before - after) < 0.5 * np.abs(smaller)
        jump[:, 1:-1] = np.where(same & back, smaller, 0.0)
        jump[:, 1:-1][np.isnan(before) | np.isnan(after)] = np.nan
    distance = np.abs(jump) / series.noise[:, None]
    # the highest of neighbouring spikes of a unit is the fault; the others are its shadow
    return jump, np.nan_to_num(distance)


def _tail(distance: Floats) -> float:
    """Where the panel's own distances thin out: the few faults lie beyond."""
    known = distance[distance > 0]
    return float(np.quantile(known, at.TAIL_SHARE)) if len(known) >= 400 else 0.0


def _of_factor(
    subject: Subject, name: str, series: Series, hit: NDArray[np.bool_], factor: float, jump: Floats
) -> Iterator[Finding]:
    words = number_words(factor) if factor >= 1 else f"1/{number_words(1 / factor)}"
    large = abs(np.log10(factor)) >= _UNIT_ERROR
    for k in np.flatnonzero(hit.sum(axis=0) >= _MANY):
        units = np.flatnonzero(hit[:, k])
        sentence = said("scaled_units", variable=name, period=subject.periods.words(int(series.columns[k])), factor=words, n=len(units))  # fmt: skip
        where = np.full(len(units), k)
        yield _finding(
            subject, name, series, units, where, jump, "scaled_period", sentence, 0.95 if large else 0.7,
            rule=RULES["scaled"].format(factor=words),
        )  # fmt: skip
        hit[:, k] = False
    if hit.any():
        units, places = np.nonzero(hit)
        sentence = said("outlier_factor", variable=name, factor=words, n=len(units))
        yield _finding(subject, name, series, units, places, jump, "outlier", sentence, 0.75)


def _finding(
    subject: Subject, name: str, series: Series, units: NDArray[np.int64], k: NDArray[np.int64], jump: Floats, check: str,
    sentence: str, score: float, *, rule: str = RULES["outlier"],
) -> Finding:  # fmt: skip
    order = np.argsort(-np.abs(jump[units, k]), kind="stable")
    units, k = units[order], k[order]
    expected = series.raw(series.level[units, k] - jump[units, k], k)
    periods = series.columns[k]
    rows = subject.of_cells(units[:SHOWN], periods[:SHOWN], name, expected)
    subject.working[name][units, periods] = np.nan
    return Finding(
        check=check, severity="fault" if score > 0.9 else "suspicion", sentence=sentence, rows=rows, total=len(units),
        rule=rule, score=score, variable=name,
    )  # fmt: skip
