"""Columns that are not what they say: an index that is a rate, a level that is a growth rate, an index of another base."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from evalkit.ingest.audit import thresholds as at
from evalkit.ingest.audit.finding import Finding
from evalkit.ingest.audit.kinds import base_year, kind_by_name
from evalkit.ingest.audit.series import Floats, middle
from evalkit.ingest.audit.subject import Subject
from evalkit.ingest.audit.words import RULES, listed, number_words, said


def claims(subject: Subject) -> Iterator[Finding]:
    """Columns whose values contradict their name; such a column is not looked at as what it claims to be."""
    bases: dict[str, int] = {}
    for name in list(subject.working):
        values, kind = subject.working[name], subject.kinds[name]
        known = values[np.isfinite(values)]
        if len(known) < at.LEAST_UNITS:
            continue
        rate = _is_rate(values, known)
        centre = number_words(float(np.median(known)))
        if kind == "index" and (rate or _below_any_base(name, known)):
            yield _finding(subject, name, "rate_as_index", centre)
        elif kind in ("count", "money", "level") and rate and _said_level(subject, name, known):
            yield _finding(subject, name, "rate_as_level", centre)
        elif kind == "growth" and _is_level(values, known):
            yield _finding(subject, name, "level_as_rate", centre)
        elif kind == "index":
            year = base_year(name)
            if year is not None:
                bases[name] = year
            yield from _base(subject, name, year, values)
    if len(set(bases.values())) > 1:
        yield Finding(
            check="index_base", severity="hint",
            sentence=said("index_bases", names=listed([f"{n} ({y})" for n, y in bases.items()])), rows=(), total=len(bases),
            rule=RULES["index_base"], score=0.9,
        )  # fmt: skip


def _is_rate(values: Floats, known: Floats) -> bool:
    """Small fractional numbers that jump about from period to period, around zero or a few per cent."""
    if values.shape[1] < 3:
        return bool((known < 0).mean() > at.FEW and np.median(np.abs(known)) < at.RATE_SIZE)
    size = float(np.median(np.abs(known)))
    if not 0 < size < at.RATE_SIZE or (known != np.round(known)).mean() < at.FRACTIONS:
        return False
    changes = np.abs(np.diff(values, axis=1))
    changes = changes[np.isfinite(changes)]
    if not len(changes):
        return False
    wild = float(np.median(changes)) / size > at.RATE_VOLATILITY
    # a size differs between units far more than it moves within one
    between = float(np.nanstd(middle(values, 1)))
    within = float(np.median(changes))
    return wild and (between < 3 * within or (known < 0).mean() > at.FEW)


def _below_any_base(name: str, known: Floats) -> bool:
    """Whether an index whose name gives a base year stays far below 100 and away from 1."""
    centre = float(np.median(known))
    return base_year(name) is not None and abs(centre) < at.RATE_LARGEST and abs(centre - 1) > at.RATE_NOT_ONE


def _said_level(subject: Subject, name: str, known: Floats) -> bool:
    """Whether the name itself says that it is a size, or negative values exclude it."""
    return kind_by_name(name) in ("count", "money") and bool((known < 0).mean() > at.FEW)


def _is_level(values: Floats, known: Floats) -> bool:
    """Large positive values that hardly move from period to period."""
    if (known < 0).any() or float(np.median(known)) < 2 * at.RATE_SIZE or values.shape[1] < 2:
        return False
    changes = np.abs(np.diff(values, axis=1))
    changes = changes[np.isfinite(changes)]
    return bool(len(changes)) and float(np.median(changes)) / float(np.median(known)) < at.RATE_VOLATILITY


def _base(subject: Subject, name: str, year: int | None, values: Floats) -> Iterator[Finding]:
    """The year that the name gives must stand at 100 (or 1)."""
    if year is None or subject.periods.step == "other":
        return
    per_year = {"year": 1, "quarter": 4, "month": 12}[subject.periods.step]
    inside = np.flatnonzero(subject.periods.ordinals // per_year == year)
    cells = values[:, inside]
    known = cells[np.isfinite(cells)]
    if not len(known) or len(inside) < per_year:
        return
    centre = float(np.median(middle(cells, 1)[np.isfinite(middle(cells, 1))]))
    if abs(centre - 100) <= at.INDEX_BASE or abs(centre - 1) <= at.INDEX_BASE / 100:
        return
    units = np.flatnonzero(np.isfinite(cells[:, 0]))
    yield Finding(
        check="index_base", severity="suspicion",
        sentence=said("index_base", variable=name, period=f"{year}년", middle=number_words(centre)),
        rows=subject.of_cells(units, np.full(len(units), inside[0]), name, np.full(len(units), 100.0)), total=len(known),
        rule=RULES["index_base"], score=0.9, variable=name,
    )  # fmt: skip


def _finding(subject: Subject, name: str, check: str, centre: str) -> Finding:
    units, periods = np.nonzero(np.isfinite(subject.working[name]))
    rows = subject.of_cells(units, periods, name)
    if check != "level_as_rate":
        subject.kinds[name] = "growth"
    return Finding(
        check=check, severity="fault" if check != "level_as_rate" else "suspicion",
        sentence=said(check, variable=name, middle=centre), rows=rows, total=len(units), rule=RULES[check], score=0.9,
        variable=name,
    )  # fmt: skip
