"""Which rows are there: units twice, periods and units that are missing, units that come and go, missing values by group."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.audit import thresholds as at
from evalkit.ingest.audit.finding import Finding
from evalkit.ingest.audit.periods import label_of
from evalkit.ingest.audit.subject import Subject
from evalkit.ingest.audit.words import RULES, listed, said, share_words


def duplicates(subject: Subject) -> Iterator[Finding]:
    """Rows that share unit and period."""
    if not subject.once:
        return
    known = np.flatnonzero((subject.unit_codes >= 0) & (subject.periods.codes >= 0))
    cell = subject.unit_codes[known] * len(subject.periods.ordinals) + subject.periods.codes[known]
    counts = np.bincount(cell) if len(cell) else np.zeros(0, dtype=np.int64)
    again = counts[cell] > 1
    if not again.any():
        return
    places, cells = known[again], cell[again]
    table = np.stack([subject.values[name][places] for name in subject.values], axis=1) if subject.values else np.zeros((len(places), 0))  # fmt: skip
    frame = pd.DataFrame(np.nan_to_num(table, nan=-9e99))
    differs = frame.groupby(cells).nunique().gt(1).any(axis=1)
    plain = not subject.values
    for key, wanted in (
        ("duplicates_differ", True),
        ("duplicates_plain" if plain else "duplicates_same", False),
    ):
        labels = differs.index[differs.to_numpy() == wanted]
        if not len(labels):
            continue
        inside = places[np.isin(cells, labels)]
        order = np.lexsort((inside, cell[np.searchsorted(known, inside)]))
        yield Finding(
            check="duplicates", severity="suspicion" if plain and subject.repeats == "fault" else subject.repeats, sentence=said(key, n=len(labels)),
            rows=subject.of_rows(inside[order]), total=len(inside), rule=RULES[key], score=1.0,
        )  # fmt: skip


def missing_periods(subject: Subject) -> Iterator[Finding]:
    """Periods left out of a regular series; periods in which one column is empty while others are not."""
    ordinals = subject.periods.ordinals
    if subject.periods.step == "other" or len(ordinals) < 4:
        return
    gone = _between(ordinals)
    if len(gone):
        names = [label_of(int(o), subject.periods.step) for o in gone]
        yield Finding(
            check="missing_period", severity="suspicion", sentence=said("missing_period", names=listed(names)), rows=(),
            total=len(gone), rule=RULES["missing_period"], score=0.9,
        )  # fmt: skip
    if not subject.once:
        return
    any_value = np.zeros(len(ordinals), dtype=bool)
    filled = {name: np.isfinite(subject.wide(values)).any(axis=0) for name, values in subject.values.items()}
    for there in filled.values():
        any_value |= there
    for name, there in filled.items():
        if there.sum() < 4:
            continue
        own = _between(ordinals[there])
        inside = np.flatnonzero(np.isin(ordinals, own) & any_value & ~there)
        if len(inside):
            names = [subject.periods.label(int(t)) for t in inside]
            units = np.flatnonzero(subject.cell[:, inside[0]] >= 0)
            yield Finding(
                check="missing_period", severity="suspicion",
                sentence=said("missing_period_of", variable=name, names=listed(names)),
                rows=subject.of_cells(units, np.full(len(units), inside[0]), name), total=len(inside),
                rule=RULES["missing_period"], score=0.8, variable=name,
            )  # fmt: skip


def _between(ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ordinals missing from a series whose usual step is the most frequent one."""
    gaps = np.diff(ordinals)
    if not len(gaps):
        return np.zeros(0, dtype=np.int64)
    steps, counts = np.unique(gaps, return_counts=True)
    step = int(steps[np.argmax(counts)])
    if counts.max() < 0.6 * len(gaps):
        return np.zeros(0, dtype=np.int64)
    whole = np.arange(ordinals[0], ordinals[-1] + 1, step)
    return np.setdiff1d(whole, ordinals)


def units_over_time(subject: Subject) -> Iterator[Finding]:
    """Units that leave and come back, and a step at which many units come or go."""
    there = subject.cell >= 0
    n, t = there.shape
    if not subject.once or not subject.values or t < 3 or n < at.LEAST_UNITS:
        return  # a list of units need not have them in every period
    first, last = there.argmax(axis=1), t - 1 - there[:, ::-1].argmax(axis=1)
    position = np.arange(t)
    inside = (position > first[:, None]) & (position < last[:, None])
    # a period that is missing for everybody is not the units' gap
    gap = np.flatnonzero((inside & ~there).any(axis=1))
    if len(gap):
        before = [int(np.flatnonzero(inside[i] & ~there[i])[0]) - 1 for i in gap]
        yield Finding(
            check="gap", severity="hint" if subject.sensitive or len(gap) > 0.1 * n else "suspicion",
            sentence=said("gap", n=len(gap)), rows=subject.of_cells(gap, before, ""), total=len(gap), rule=RULES["gap"],
            score=0.6,
        )  # fmt: skip
    yield from _churn(subject, there)


def _churn(subject: Subject, there: NDArray[np.bool_]) -> Iterator[Finding]:
    entered = (~there[:, :-1] & there[:, 1:]).sum(axis=0)
    left = (there[:, :-1] & ~there[:, 1:]).sum(axis=0)
    size = np.maximum(np.minimum(there[:, :-1].sum(axis=0), there[:, 1:].sum(axis=0)), 1)
    for counts, word in ((entered, "entered"), (left, "left")):
        share = counts / size
        for k in range(len(share)):
            usual = float(np.median(np.delete(share, k))) if len(share) > 1 else 0.0
            if share[k] < max(at.CHURN_SHARE, at.CHURN_TIMES * usual) or counts[k] < 5:
                continue
            if word == "left" and entered[k] / size[k] >= max(at.CHURN_SHARE, at.CHURN_TIMES * usual):
                continue  # told with those that came
            changed = np.flatnonzero(there[:, k] != there[:, k + 1])
            at_period = np.where(there[changed, k + 1], k + 1, k)
            sentence = said(
                "churn", period=subject.periods.words(k + 1), entered=int(entered[k]), left=int(left[k])
            )
            yield Finding(
                check="churn", severity="suspicion", sentence=sentence, rows=subject.of_cells(changed, at_period, ""),
                total=len(changed), rule=RULES["churn"], score=min(0.95, 0.5 + float(share[k])),
            )  # fmt: skip


# -- missing values --------------------------------------------------------------------------------------------


def missing_values(subject: Subject) -> Iterator[Finding]:
    """Missing values that differ between groups, or that gather in a period."""
    if not subject.once:
        return
    there = subject.cell >= 0
    for name, values in subject.values.items():
        empty = there & ~np.isfinite(subject.wide(values))
        rows = there.sum(axis=0)
        share = empty.sum(axis=0) / np.maximum(rows, 1)
        used = np.flatnonzero((share < 1.0) & (rows > 0))  # a period without any value is not a missing value
        if not len(used) or not empty[:, used].any():
            continue
        for group in subject.groups:
            yield from _by_group(subject, name, group, empty[:, used], there[:, used], used)
        usual = float(np.median(share[used]))
        holes = [int(t) for t in used if share[t] > max(0.2, usual + 0.2) and rows[t] >= at.LEAST_UNITS]
        if holes and len(used) > 2:
            units, k = np.nonzero(empty[:, holes])
            names = [f"{subject.periods.label(t)} {share_words(share[t])}" for t in holes]
            yield Finding(
                check="missing_by_period", severity="hint", sentence=said("missing_by_period", variable=name, names=listed(names)),
                rows=subject.of_cells(units, np.array(holes)[k], name), total=len(units), rule=RULES["missing_by_period"],
                score=0.6, variable=name,
            )  # fmt: skip


def _by_group(
    subject: Subject,
    name: str,
    group: str,
    empty: NDArray[np.bool_],
    there: NDArray[np.bool_],
    used: NDArray[np.int64],
) -> Iterator[Finding]:
    """Share missing of each unit, compared between groups: units and not rows are independent."""
    labels = subject.group_of(group).astype(str)
    seen = (there.sum(axis=1) > 0) & (labels != "")
    share = empty.sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    names, codes = np.unique(labels[seen], return_inverse=True)
    counts = np.bincount(codes)
    large = counts >= at.FEWEST_GROUP
    if large.sum() < 2 or len(names) > 60:
        return
    keep = large[codes]
    p, means = _anova(share[seen][keep], codes[keep], len(names))
    high, low = (
        int(np.nanargmax(np.where(large, means, np.nan))),
        int(np.nanargmin(np.where(large, means, np.nan))),
    )
    if not p < at.MISSING_P or means[high] - means[low] < at.MISSING_GAP:
        return
    units, k = np.nonzero(empty & (labels == names[high])[:, None])
    sentence = said(
        "missing_by_group", variable=name, group=group, high=names[high], high_share=share_words(means[high]), low=names[low],
        low_share=share_words(means[low]), p="< 0.001" if p < 0.001 else f"= {p:.3f}",
    )  # fmt: skip
    yield Finding(
        check="missing_by_group", severity="suspicion", sentence=sentence, rows=subject.of_cells(units, used[k], name),
        total=int(empty.sum()), rule=RULES["missing_by_group"], score=min(0.95, 0.5 + float(means[high] - means[low])),
        variable=name,
    )  # fmt: skip


def _anova(
    share: NDArray[np.float64], codes: NDArray[np.int64], groups: int
) -> tuple[float, NDArray[np.float64]]:
    """p-value of equal group means (one-way analysis of variance, Fisher), and the means  # (groups,)"""
    n = np.bincount(codes, minlength=groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.bincount(codes, weights=share, minlength=groups) / n
    k = int((n > 0).sum())
    between = float(np.nansum(n * (means - share.mean()) ** 2))
    within = float(((share - means[codes]) ** 2).sum())
    if k < 2 or len(share) <= k or between <= 0:
        return 1.0, means
    if within <= 1e-12:
        return 0.0, means
    from scipy.stats import f as f_distribution

    ratio = (between / (k - 1)) / (within / (len(share) - k))
    return float(f_distribution.sf(ratio, k - 1, len(share) - k)), means
