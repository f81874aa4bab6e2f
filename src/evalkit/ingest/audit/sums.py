"""Sums that do not hold: a total column that is not its parts, a row that is the sum of the rows after it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.audit import thresholds as at
from evalkit.ingest.audit.finding import Finding
from evalkit.ingest.audit.series import Floats
from evalkit.ingest.audit.subject import Subject
from evalkit.ingest.audit.words import RULES, listed, said

_TOTAL = re.compile(r"(?:합|소|총|누)?계|전국(?:계)?|전체|합산|total|sum|all", re.I)


_LONGEST_TOTAL = 12  # letters, blanks between them included


# -- columns -------------------------------------------------------------------------------------------------


def column_sums(subject: Subject) -> Iterator[Finding]:
    """Totals among the columns, declared or found, and the rows in which they differ from their parts."""
    names = [
        n for n, kind in subject.kinds.items() if kind in ("count", "money", "level") and n in subject.working
    ]
    found = {
        total: tuple(parts) for total, parts in subject.sums.items() if {total, *parts} <= set(subject.values)
    }
    for total, parts in _identities(subject, names):
        found.setdefault(total, parts)
    for total, parts in found.items():
        x = subject.values[total]
        y = np.sum([subject.values[p] for p in parts], axis=0)
        known = np.isfinite(x) & np.isfinite(y)
        told = np.any([subject.told(name) for name in (total, *parts)], axis=0)
        wrong = np.flatnonzero(known & ~told & ~_same(x, y, len(parts)))
        declared = total in subject.sums
        if not len(wrong) or (not declared and len(wrong) > (1 - at.SUM_SHARE) * known.sum()):
            continue
        yield Finding(
            check="sums", severity="fault", sentence=said("sums", total=total, parts=" + ".join(parts), n=len(wrong)),
            rows=subject.of_rows(wrong, total, [float(v) for v in y[wrong]]), total=len(wrong),
            rule=RULES["sums"], score=1.0 if declared else 0.9, variable=total,
        )  # fmt: skip


def twins(subject: Subject) -> Iterator[Finding]:
    """Two columns that hold the same numbers in nearly every row, and the rows in which they do not."""
    names = [
        n for n, kind in subject.kinds.items() if kind in ("count", "money", "level") and n in subject.working
    ]
    for first, second in combinations(names[: at.SUM_COLUMNS], 2):
        x, y = subject.values[first], subject.values[second]
        known = np.isfinite(x) & np.isfinite(y) & (x > 2)
        wrong = np.flatnonzero(known & (x != y))
        if known.sum() < 30 or not 0 < len(wrong) <= (1 - at.TWIN_SHARE) * known.sum():
            continue
        yield Finding(
            check="twins", severity="suspicion", sentence=said("twins", first=first, second=second, n=len(wrong)),
            rows=subject.of_rows(wrong, second, [float(v) for v in x[wrong]]), total=len(wrong), rule=RULES["sums"],
            score=0.7, variable=second,
        )  # fmt: skip


def _same(x: Floats, y: Floats, parts: int) -> NDArray[np.bool_]:
    """Equal up to the rounding of each part."""
    with np.errstate(invalid="ignore"):
        whole = (x == np.round(x)) & (y == np.round(y))
        near = np.abs(x - y) <= np.where(whole, 0.0, 1e-6 * np.abs(x))
        # figures rounded one by one differ from their rounded sum by less than one unit a part
        out: NDArray[np.bool_] = near | (whole & (np.abs(x - y) < (parts - 1)) & (np.abs(x) > 1000 * parts))
        return out


def _identities(subject: Subject, names: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Columns that are the sum of two or three others in most rows of a sample."""
    if not 3 <= len(names) <= at.SUM_COLUMNS:
        return
    n = len(subject.rows)
    pick = np.unique(np.linspace(0, n - 1, min(n, 4 * at.SUM_SAMPLE)).astype(np.int64))
    table = np.stack([subject.values[name][pick] for name in names], axis=1)  # (m, V)
    sizes = 3 if len(names) <= 14 else 2
    taken: set[int] = set()
    for parts in sorted(
        (c for k in range(2, sizes + 1) for c in combinations(range(len(names)), k)), key=len
    ):
        y = table[:, parts].sum(axis=1)
        for total in range(len(names)):
            if total in parts or total in taken:
                continue
            x = table[:, total]
            known = np.isfinite(x) & np.isfinite(y) & (np.abs(x) > 2)
            if known.sum() < min(20, n // 2) or known.sum() < 5:
                continue
            # every part must matter: a column of zeros is a part of anything
            filled = all((table[known, p] != 0).mean() > 0.5 for p in parts)
            if filled and _same(x[known], y[known], len(parts)).mean() >= at.SUM_SAMPLE_SHARE:
                taken.add(total)
                yield names[total], tuple(names[p] for p in parts)


# -- rows ----------------------------------------------------------------------------------------------------


def _is_total(label: str) -> bool:
    """Whether a label says «합계», «소 계», «전국», «total»; a long one does not."""
    return len(label) <= _LONGEST_TOTAL and bool(_TOTAL.fullmatch(re.sub(r"\s", "", label)))


def row_totals(subject: Subject) -> Iterator[Finding]:
    """Rows that are totals by their name or that equal the sum of the rows after (or before) them, in every period."""
    sizes = [n for n in subject.working if subject.kinds[n] in ("count", "money", "level")]
    labels = subject.units.astype(str)
    if len(labels) < 2:
        return
    by_name = np.array([_is_total(label) for label in labels], dtype=bool)
    for texts in subject.texts.values():
        first = np.full(len(labels), "", dtype=object)
        known = np.flatnonzero(subject.unit_codes >= 0)[::-1]
        first[subject.unit_codes[known]] = texts[known]
        by_name |= np.array([_is_total(str(text)) for text in first], dtype=bool)
    named = np.flatnonzero(by_name)
    if len(named) and len(named) < 0.2 * len(labels) + 1:
        yield _rows_finding(
            subject, named, "total_row", "fault" if sizes else "hint", [labels[i] for i in named], sizes, None
        )
    if not sizes or len(labels) > at.SUM_UNITS or subject.sensitive:
        return
    hits = _sum_of_neighbours(subject, sizes, by_name)
    if hits:
        names = [f"{labels[i]} ({abs(k)})" for i, k in hits]
        units = np.array([i for i, _ in hits])
        yield _rows_finding(subject, units, "counted_twice", "fault", names, sizes, "sum")


def _sum_of_neighbours(subject: Subject, sizes: list[str], skip: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Units equal to the sum of the k units after them (k > 0) or before them, with enough digits that agree."""
    cube = np.stack([subject.wide(subject.values[name]) for name in sizes], axis=2)  # (N, T, V)
    n, periods = cube.shape[:2]
    cube = cube.reshape(n, -1)
    filled, there = np.nan_to_num(cube), np.isfinite(cube)
    total = np.vstack([np.zeros((1, cube.shape[1])), np.cumsum(filled, axis=0)])
    count = np.vstack([np.zeros((1, cube.shape[1]), dtype=np.int64), np.cumsum(there, axis=0)])
    tries = float(np.log10(max(n * at.MOST_PARTS * 2, 1)))
    hits: dict[int, int] = {}
    for k in range(2, min(at.MOST_PARTS, n - 1) + 1):
        start = np.arange(n - k)
        for sign in (1, -1):
            own = start if sign > 0 else start + k
            low = start + 1 if sign > 0 else start
            parts = total[low + k] - total[low]
            all_there = (count[low + k] - count[low] == k) & there[own]
            agree = all_there & (np.abs(filled[own] - parts) <= 1e-9 * np.abs(parts)) & (parts > 0)
            usable = all_there & (parts > 0)
            # a number that stays as it was is no further evidence
            shaped = np.where(all_there, parts, -1.0).reshape(len(own), periods, -1)
            fresh = np.concatenate(
                [np.ones_like(shaped[:, :1], dtype=bool), shaped[:, 1:] != shaped[:, :-1]], axis=1
            )
            new = agree & fresh.reshape(len(own), -1)
            digits = np.where(new, np.log10(np.maximum(parts, 1)), 0.0).sum(axis=1)
            # most cells must agree: single ones may hold another fault
            hit = (digits > at.SUM_EVIDENCE + tries) & (
                agree.sum(axis=1) >= 0.8 * np.maximum(usable.sum(axis=1), 1)
            )
            for i in own[hit]:
                if not skip[i] and int(i) not in hits:
                    hits[int(i)] = sign * k
    return sorted(hits.items())


def _rows_finding(
    subject: Subject,
    units: NDArray[np.int64],
    check: str,
    severity: str,
    names: list[str],
    sizes: list[str],
    way: str | None,
) -> Finding:
    rows = np.flatnonzero(np.isin(subject.unit_codes, units))
    shown = names if not subject.sensitive else [subject.unit_label(int(i)) for i in units]
    key = f"{check}_{way}" if way else check
    for name in subject.working:
        subject.working[name][units] = np.nan
    return Finding(
        check=check, severity="fault" if severity == "fault" else "hint", sentence=said(key, names=listed(shown)),
        rows=subject.of_rows(rows, sizes[0] if sizes else ""), total=len(rows), rule=RULES[check], score=0.95,
    )  # fmt: skip
