"""Values that stand in another unit's row: two units swapped, a block of rows shifted by one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.audit import thresholds as at
from evalkit.ingest.audit.finding import SHOWN, Finding, Row
from evalkit.ingest.audit.series import Floats, Series, describe_all, runs
from evalkit.ingest.audit.subject import Subject
from evalkit.ingest.audit.words import RULES, listed, said


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two units that fit each other's place: how badly (sum of two squared distances) and how wide the exchange is."""

    variable: str
    units: tuple[int, int]
    periods: tuple[int, int]
    misfit: float
    near: bool
    at_end: bool
    gap: float


def _windows(series: Series, longest: int) -> Iterator[tuple[int, int]]:
    """First and last position of the runs of periods that may hold a passing exchange."""
    p = len(series.columns)
    for length in range(1, longest + 1):
        if length > 1 and p < 2 * length + 1:
            return
        for first in range(p - length + 1):
            if p == 2 and first == 0:
                continue  # both periods say the same
            yield first, first + length - 1


def _standing(series: Series, first: int, last: int) -> tuple[Floats, Floats, Floats]:
    """Where units stand in a window, where their own years put them, and how far that is in noise  # (N,) each

    In a period in which all units are thrown about (a common shock that hits them unequally) noise counts as larger.
    """
    stands = series.level[:, first : last + 1].mean(axis=1)  # NaN where one period is missing
    expected = series.expected(first, last)
    distance = np.abs(stands - expected) / series.noise
    known = distance[np.isfinite(distance)]
    unrest = at.MAD_TO_SD * float(np.median(known)) if len(known) else 1.0
    return stands, expected, distance / max(unrest, 1.0)


# -- a block shifted by one row ------------------------------------------------------------------------------


def shifted(subject: Subject, series: dict[str, Series]) -> Iterator[Finding]:
    """Runs of units, in the order of the file or of their labels, that hold the value of the unit before (or after) them.

    Periods with others on both sides come first: what is wrong there would make the period beside it look shifted too.
    """
    orders = [np.arange(len(subject.units))]
    by_label = np.argsort(subject.units.astype(str), kind="stable")
    if (by_label != orders[0]).any():
        orders.append(by_label)
    for ends in (False, True):
        found: dict[tuple[int, tuple[int, ...]], list[str]] = {}
        ways: dict[tuple[int, tuple[int, ...]], NDArray[np.int64]] = {}
        for name, one in series.items():
            last = len(one.columns) - 1
            for k in range(last + 1) if last > 1 else ():
                if (k in (0, last)) is ends:
                    for run, source in _blocks(one, k, k, orders):
                        key = (int(one.columns[k]), tuple(run.tolist()))
                        found.setdefault(key, []).append(name)
                        ways[key] = source
        for (t, units), names in _widest(found):
            yield _shift_finding(subject, series, t, np.array(units), ways[t, units], names)
        if found and not ends:
            series = describe_all(subject.working, subject.kinds)


def _blocks(
    series: Series, first: int, last: int, orders: list[NDArray[np.int64]]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Units of each shifted block, and the units whose values they hold."""
    stands, expected, own = _standing(series, first, last)
    if (own > at.SPIKE_Z).sum() < at.SHIFT_STRONG:
        return
    here = np.isfinite(stands)
    for whole in orders:
        order = whole[here[whole]]  # a unit without a value in this period is no row of its file
        for step in (1, -1):
            source = np.roll(order, step)
            noise = np.maximum(series.noise[order], series.noise[source])
            with np.errstate(invalid="ignore"):
                misfit = np.abs(stands[order] - expected[source]) / noise
                fits = (misfit < at.FIT_Z) | ((misfit < 2 * at.FIT_Z) & (misfit < at.CLOSER * own[order]))
            fits[0 if step == 1 else -1] = False  # nothing stands beyond the edge
            strong = fits & (own[order] > at.SPIKE_Z)
            before = np.concatenate([[0], np.cumsum(strong)])  # strong ones above each row
            for a, b in runs(fits, at_least=at.SHIFT_STRONG):
                if before[b + 1] - before[a] < at.SHIFT_STRONG:
                    continue
                while a <= b and not strong[a]:
                    a += 1
                while b >= a and not strong[b]:
                    b -= 1
                n = int(strong[a : b + 1].sum())
                if n >= at.SHIFT_STRONG and n >= at.SHIFT_SHARE * (b - a + 1):
                    yield order[a : b + 1], source[a : b + 1]


def _widest(
    found: dict[tuple[int, tuple[int, ...]], list[str]],
) -> list[tuple[tuple[int, tuple[int, ...]], list[str]]]:
    """One entry a block: variables whose runs overlap in one period are told together, by the longest run."""
    out: list[tuple[tuple[int, tuple[int, ...]], list[str]]] = []
    for key, names in sorted(found.items(), key=lambda item: (item[0][0], -len(item[0][1]))):
        for (t, run), told in out:
            if t == key[0] and set(run) & set(key[1]):
                told.extend(name for name in names if name not in told)
                break
        else:
            out.append((key, list(dict.fromkeys(names))))
    return out


def _shift_finding(
    subject: Subject,
    series: dict[str, Series],
    t: int,
    run: NDArray[np.int64],
    source: NDArray[np.int64],
    names: list[str],
) -> Finding:
    rows: list[Row] = []
    for name in names:
        one = series[name]
        k = int(np.flatnonzero(one.columns == t)[0])
        _, expected, own = _standing(one, k, k)
        # the units at both ends of the block hold values that are nobody's, or the last one's
        ends = np.union1d(run, source)
        wrong = ends[(own[ends] > at.FIT_Z) | np.isin(ends, run)]
        want = one.raw(expected[wrong], np.full(len(wrong), k))
        rows += subject.of_cells(wrong, np.full(len(wrong), t), name, want)
        subject.working[name][wrong, t] = np.nan
    sentence = said(
        "shifted", variable=listed(names, 3), period=subject.periods.words(t), n=len(run),
        first=subject.unit_label(int(run[0])), second=subject.unit_label(int(run[-1])),
    )  # fmt: skip
    return Finding(
        check="shifted", severity="fault", sentence=sentence, rows=tuple(rows[:SHOWN]), total=len(rows), rule=RULES["shifted"],
        score=min(1.0, 0.8 + 0.05 * len(run)), variable=names[0],
    )  # fmt: skip


# -- two units swapped ---------------------------------------------------------------------------------------


def swapped(subject: Subject, series: dict[str, Series]) -> Iterator[Finding]:
    """Two units that hold each other's values for up to three periods.

    Among many values that jump, some fit each other's place by accident. How many is known from the number of pairs looked
    at, the noise, and the range of levels and jumps; only pairs that are too exact for that are told, or pairs that several
    columns show. Rows that stand together or belong to one small group are exchanged more often and counted by themselves.
    """
    near = _neighbourhood(subject)
    pairs: dict[tuple[tuple[int, int], tuple[int, int]], list[_Pair]] = {}
    density = {True: 0.0, False: 0.0}  # accidents to be expected per unit of misfit, near and far
    for name, one in series.items():
        for first, last in _windows(one, at.LONGEST_SWAP):
            found, dense = _pairs(name, one, first, last, near)
            for pair in found:
                pairs.setdefault((pair.units, pair.periods), []).append(pair)
            for key in dense:
                density[key] += dense[key]
    told: set[tuple[int, int]] = set()
    for (units, periods), group in sorted(pairs.items(), key=_plainness):
        accident = min(density[p.near] * max(p.misfit, 1.0) for p in group)
        close, lasting = group[0].near, periods[1] > periods[0]
        several = len(group) >= (2 if close else 3)
        rare = accident <= (at.CHANCE_NEAR if close else at.CHANCE_FAR) and (close or not lasting)
        if units in told or not (rare or several):
            continue
        # at an end nothing shows the way back: only a wide exchange is more than a suspicion
        weak = all(p.at_end for p in group) and (len(group) == 1 or max(p.gap for p in group) < 2 * at.SWAP_Z)
        told.add(units)
        yield _swap_finding(
            subject,
            series,
            units,
            periods,
            [p.variable for p in group],
            0.7 if weak else 1 - min(accident, 0.2),
        )


def _plainness(item: tuple[tuple[tuple[int, int], tuple[int, int]], list[_Pair]]) -> tuple[float, ...]:
    """Order in which explanations of one exchange are taken: seen from both sides, most columns, shortest, closest."""
    (_, periods), group = item
    ends = sum(p.at_end for p in group) > len(group) / 2
    return (ends, -len(group), periods[1] - periods[0], min(p.misfit for p in group))


def _neighbourhood(subject: Subject) -> NDArray[np.int64]:
    """Small groups of each unit, as codes; −1 where a unit is in none  # (N, G)"""
    columns = []
    for name in subject.groups:
        labels, codes, counts = np.unique(
            subject.group_of(name).astype(str), return_inverse=True, return_counts=True
        )
        small = (counts <= at.SMALL_GROUP) & (labels != "")
        columns.append(np.where(small[codes], codes, -1))
    return np.stack(columns, axis=1) if columns else np.zeros((len(subject.units), 0), dtype=np.int64)


def _pairs(
    name: str, series: Series, first: int, last: int, groups: NDArray[np.int64]
) -> tuple[list[_Pair], dict[bool, float]]:
    """Pairs that fit, and the density of accidents among all pairs of this window."""
    nothing = {True: 0.0, False: 0.0}
    stands, expected, own = _standing(series, first, last)
    at_end = first == 0 or last == len(series.columns) - 1
    candidates = np.flatnonzero((own > at.SWAP_Z) & (at_end | _comes_back(series, first, last)))
    if len(candidates) < 2:
        return [], nothing
    if len(candidates) > at.SWAP_CANDIDATES:
        candidates = candidates[np.argsort(-own[candidates], kind="stable")[: at.SWAP_CANDIDATES]]
    a, b, noise = stands[candidates], expected[candidates], series.noise[candidates]
    fit = np.abs(a[:, None] - b[None, :]) / np.maximum(noise[:, None], noise[None, :])
    np.fill_diagonal(fit, np.inf)
    both = np.maximum(fit, fit.T)
    best = both.argmin(axis=1)
    near = (np.abs(candidates[:, None] - candidates[None, :]) <= 2) | (
        (groups[candidates][:, None] == groups[candidates][None, :]) & (groups[candidates][:, None] >= 0)
    ).any(axis=2)
    levels = expected[np.isfinite(expected)]
    room = _width(levels) * 2 * float(np.abs(a - b).max())
    one = np.pi * float(np.median(noise)) ** 2 / max(room, 1e-12)
    upper = np.triu(np.ones_like(near), 1)
    density = {True: one * float((near & upper).sum()), False: one * float(upper.sum())}
    found = []
    for i in range(len(candidates)):
        j = int(best[i])
        jump = float(min(own[candidates[i]], own[candidates[j]]))
        close = at.FIT_Z if not near[i, j] else max(at.FIT_Z, min(2 * at.FIT_Z, at.CLOSER * jump))
        if i < j and best[j] == i and both[i, j] < close:
            units = (int(candidates[i]), int(candidates[j]))
            found.append(
                _Pair(
                    name, (min(units), max(units)), (int(series.columns[first]), int(series.columns[last])),
                    float(fit[i, j] ** 2 + fit[j, i] ** 2), bool(near[i, j]), at_end,
                    jump,
                )
            )  # fmt: skip
    return found, density


def _comes_back(series: Series, first: int, last: int) -> NDArray[np.bool_]:
    """Whether a unit stands after the window where it stood before  # (N,)"""
    before, after = series.level[:, first - 1], series.level[:, (last + 1) % series.level.shape[1]]
    stands = series.level[:, first : last + 1].mean(axis=1)
    with np.errstate(invalid="ignore"):
        apart = np.abs(after - before) > at.RETURN * np.abs(stands - (before + after) / 2)
    return np.asarray(~apart)


def _width(values: Floats) -> float:
    low, high = np.quantile(values, [0.02, 0.98])
    return float(high - low)


def _swap_finding(
    subject: Subject,
    series: dict[str, Series],
    units: tuple[int, int],
    periods: tuple[int, int],
    names: list[str],
    score: float,
) -> Finding:
    rows: list[Row] = []
    total = 0
    for name in names:
        one = series[name]
        inside = [k for k, t in enumerate(one.columns) if periods[0] <= t <= periods[1]]
        expected = one.expected(inside[0], inside[-1])
        for k in inside:
            t = int(one.columns[k])
            want = one.raw(expected[list(units)], [k, k])
            rows += subject.of_cells(units, (t, t), name, want)
            total += 2
            subject.working[name][list(units), t] = subject.working[name][list(units[::-1]), t]
    words = subject.periods.words(periods[0])
    if periods[1] != periods[0]:
        words = f"{words}–{subject.periods.words(periods[1])}"
    sentence = said(
        "swapped", variable=listed(names, 3), period=words,
        first=subject.unit_label(units[0]), second=subject.unit_label(units[1]),
    )  # fmt: skip
    return Finding(
        check="swapped", severity="fault" if score > 0.75 else "suspicion", sentence=sentence, rows=tuple(rows[:SHOWN]),
        total=total, rule=RULES["swapped"], score=score, variable=names[0],
    )  # fmt: skip
