"""`audit_frame`: all checks on one long table, in the order in which one fault would hide another."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import SchemaError, nearest
from evalkit.ingest.audit.claims import claims
from evalkit.ingest.audit.digits import digits
from evalkit.ingest.audit.finding import Finding, Severity, in_order
from evalkit.ingest.audit.impossible import impossible
from evalkit.ingest.audit.kinds import ColumnKind, is_sensitive, kind_of
from evalkit.ingest.audit.moved import shifted, swapped
from evalkit.ingest.audit.outliers import outliers
from evalkit.ingest.audit.periods import one_period, read_periods
from evalkit.ingest.audit.places import cities_twice, names_and_codes
from evalkit.ingest.audit.presence import duplicates, missing_periods, missing_values, units_over_time
from evalkit.ingest.audit.scaled import scaled
from evalkit.ingest.audit.series import Series, describe_all
from evalkit.ingest.audit.steps import breaks, stale
from evalkit.ingest.audit.subject import Breaks, Subject, numbers
from evalkit.ingest.audit.sums import column_sums, row_totals, twins
from evalkit.ingest.audit.words import RULES, said

_Check = Callable[[Subject], Iterator[Finding]]
_SeriesCheck = Callable[[Subject, dict[str, Series]], Iterator[Finding]]

# which rows there are, then what columns are, then periods, blocks of rows and single cells: each on what is left
_FIRST: tuple[_Check, ...] = (duplicates, cities_twice, row_totals, names_and_codes, claims, scaled, stale)
_MOVED: tuple[_SeriesCheck, ...] = (shifted, swapped, breaks)
_THEN: tuple[_Check, ...] = (column_sums, twins)
_LAST: tuple[_Check, ...] = (impossible, missing_periods, units_over_time, missing_values, digits)


def audit_frame(
    frame: pd.DataFrame,
    unit: str | None,
    period: str | None,
    values: Sequence[str],
    *,
    kinds: Mapping[str, ColumnKind] | None = None,
    measures: Mapping[str, str] | None = None,
    groups: Sequence[str] = (),
    names: Sequence[str] = (),
    dates: Sequence[str] = (),
    sums: Mapping[str, Sequence[str]] | None = None,
    breaks: Breaks | None = None,
    once: bool = True,
    repeats: Severity = "fault",
    sensitive: bool | None = None,
    today: dt.date | None = None,
) -> tuple[Finding, ...]:
    """Look for faults in a long table: one row a unit and period.

    Parameters
    ----------
    frame : is not changed; ``source_row`` (the row number that Excel shows) and ``source_file`` are used where present
    unit, period : columns that say which unit and when; None where the table is about one unit, or one time
    values : numeric columns
    kinds : what a column claims to be, where its name does not say so; see `kinds.ColumnKind`
    measures : unit of measure of a column («명», «원», «%»), by which its kind is read too
    groups : columns that group units (시·도, treated or not), for missing and copied values
    names : columns with names of the units
    dates : columns of dates
    sums : a total and its parts, where they are known; others are looked for
    breaks : known changes of definition: column -> (first year of the new definition, why)
    once : whether units can be followed over periods; False for tables with several rows a unit, whose cells alone are
        looked at
    repeats : how grave it is that a unit stands twice in a period
    sensitive : whether units are firms or persons, of whom no value and only masked names may be shown; None = by the name
        of the unit column
    today : the day after which dates lie ahead; None = the computer's

    Returns
    -------
    Findings, faults first; the same table gives the same findings (but for dates that have come meanwhile).

    Raises
    ------
    SchemaError : a column is not there
    """
    for column in (unit, period, *values, *groups, *names, *dates):
        if column is not None and column not in frame.columns:
            raise SchemaError(
                f"열 {column!r} 이(가) 표에 없음", remedy=nearest(column, map(str, frame.columns))
            )
    subject = _subject(
        frame, unit, period, values, kinds or {}, measures or {}, groups, names, dates, sums or {}, breaks or {}, once, repeats,
        sensitive, today,
    )  # fmt: skip
    return run_checks(subject)


def _subject(
    frame: pd.DataFrame, unit: str | None, period: str | None, values: Sequence[str], kinds: Mapping[str, ColumnKind],
    measures: Mapping[str, str], groups: Sequence[str], names: Sequence[str], dates: Sequence[str],
    sums: Mapping[str, Sequence[str]], breaks: Breaks, once: bool, repeats: Severity, sensitive: bool | None, today: dt.date | None,
) -> Subject:  # fmt: skip
    n = len(frame)
    if unit is None:
        codes, labels = np.zeros(n, dtype=np.int64), np.array([""], dtype=object)
    else:
        codes, found = pd.factorize(frame[unit], use_na_sentinel=True)
        labels = np.asarray(found, dtype=object)
    when = read_periods(frame[period]) if period is not None and n else None
    columns = {name: numbers(frame[name]) for name in values}
    rows = (
        frame["source_row"].to_numpy(np.int64) if "source_row" in frame else np.arange(n, dtype=np.int64) + 2
    )
    subject = Subject(
        rows=rows,
        unit_codes=codes.astype(np.int64),
        units=labels,
        periods=when or one_period(n),
        values=columns,
        kinds={
            name: kinds.get(name) or kind_of(name, x, measures.get(name, "")) for name, x in columns.items()
        },
        texts={name: frame[name].to_numpy(dtype=object) for name in names},
        dates={name: frame[name].to_numpy(dtype="datetime64[s]") for name in dates},
        groups={name: _labels(frame[name]) for name in groups},
        once=once and not (unit is None and period is None),
        repeats=repeats,
        sensitive=is_sensitive(unit) if sensitive is None else sensitive,
        unit_name=unit or "",
        today=today or dt.date.today(),
        breaks=breaks,
        sums=sums,
        files=frame["source_file"].to_numpy(dtype=object) if "source_file" in frame else None,
    )
    subject.spread()
    return subject


def _labels(column: pd.Series[Any]) -> NDArray[Any]:
    return column.map(lambda v: "" if v is None or v != v else str(v)).to_numpy(dtype=object)


def run_checks(subject: Subject) -> tuple[Finding, ...]:
    """All checks on a subject; its working values are used up."""
    found: list[Finding] = []
    # absurd numbers (1e300, ∞) are missing or far off; what is computed from them is compared, and fails the comparison
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if subject.left_out:
            kept = len(subject.units)
            found.append(
                Finding(
                    "too_large",
                    "hint",
                    said("too_large", n=kept),
                    (),
                    subject.left_out,
                    RULES["too_large"],
                    1.0,
                )
            )
        for check in _FIRST:
            found += check(subject)
        for moved in _MOVED:
            found += moved(subject, describe_all(subject.working, subject.kinds))
        for check in _THEN:
            found += check(subject)
        found += outliers(subject, describe_all(subject.working, subject.kinds))
        for check in _LAST:
            found += check(subject)
    return in_order(found)
