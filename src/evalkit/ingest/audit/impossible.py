"""Values that cannot be: negative counts, shares beyond their bounds, fractions of people, dates to come."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.audit import thresholds as at
from evalkit.ingest.audit.finding import Finding, Severity
from evalkit.ingest.audit.kinds import counts_people, kind_by_name, plain
from evalkit.ingest.audit.series import Floats
from evalkit.ingest.audit.subject import Subject
from evalkit.ingest.audit.words import RULES, listed, said

_IN_ORDER = (
    ("joined", "left"),
    ("start", "end"),
    ("agreement_start", "agreement_end"),
    ("적용일자", "탈퇴일자"),
    ("협약시작일", "협약종료일"),
)
_PLANNED = re.compile(r"종료|만료|예정|마감|(?:^|_)(?:end|until|due|planned)(?:_|$)|_end$")


def impossible(subject: Subject) -> Iterator[Finding]:
    """All checks of single values."""
    for name in subject.working:
        # values that an earlier check explained are not told again
        values = np.where(subject.told(name), np.nan, subject.values[name])
        yield from _negative(subject, name, values)
        yield from _shares(subject, name, values)
        yield from _fractions(subject, name, values)
    yield from _dates(subject)
    yield from _to_come(subject)
    yield from _people(subject)


def _at(
    subject: Subject,
    check: str,
    severity: Severity,
    sentence: str,
    rule: str,
    hit: NDArray[np.bool_],
    name: str,
    score: float,
) -> Finding:
    places = np.flatnonzero(hit)
    return Finding(
        check=check, severity=severity, sentence=sentence, rows=subject.of_rows(places, name), total=len(places),
        rule=RULES[rule], score=score, variable=name,
    )  # fmt: skip


def _negative(subject: Subject, name: str, values: Floats) -> Iterator[Finding]:
    kind = subject.kinds[name]
    known = np.isfinite(values)
    hit = known & (values < 0)
    if not hit.any() or kind in ("growth", "share"):
        return
    share = hit.sum() / known.sum()
    certain = (kind == "count" and kind_by_name(name) == "count") or kind in ("index", "level", "money")
    if kind == "signed":
        # a column without a name that speaks, otherwise never below zero
        if kind_by_name(name) is None and share < at.FEW and known.sum() >= 50:
            sentence = said("negative_unusual", variable=name, n=int(hit.sum()))
            yield _at(subject, "negative", "suspicion", sentence, "impossible", hit, name, 0.6)
        return
    severity: Severity = "fault" if certain and kind != "money" else "suspicion"
    sentence = said("negative", variable=name, n=int(hit.sum()))
    yield _at(
        subject, "negative", severity, sentence, "impossible", hit, name, 1.0 if severity == "fault" else 0.7
    )


def _shares(subject: Subject, name: str, values: Floats) -> Iterator[Finding]:
    if subject.kinds[name] != "share":
        return
    known = values[np.isfinite(values)]
    if len(known) < at.LEAST_UNITS:
        return
    below = np.isfinite(values) & (values < 0)
    if below.any() and below.sum() <= at.FEW * len(known) + 1:
        yield _at(subject, "share_range", "fault", said("share_below", variable=name, n=int(below.sum())), "impossible", below, name, 0.95)  # fmt: skip
    for limit in (1.0, 100.0):
        above = np.isfinite(values) & (values > limit * (1 + 1e-9))
        n = int(above.sum())
        if n == 0:
            return  # within the smaller bound: nothing above the larger
        if n <= at.FEW * len(known) + 1:
            # bounded, or a ratio that seldom passes one: sure only when the others keep well clear of the bound
            far = bool((values[above] > 1.2 * limit).all() or np.quantile(known, 0.9) < 0.95 * limit)
            sentence = said("share_above", variable=name, limit=f"{limit:g}", n=n)
            yield _at(
                subject,
                "share_range",
                "fault" if far else "suspicion",
                sentence,
                "impossible",
                above,
                name,
                0.9,
            )
            return


def _fractions(subject: Subject, name: str, values: Floats) -> Iterator[Finding]:
    if subject.kinds[name] != "count":
        return
    known = np.isfinite(values)
    hit = known & (values != np.round(values))
    if hit.any() and hit.sum() <= at.FEW_FRACTIONS * known.sum():
        sentence = said("fractions", variable=name, n=int(hit.sum()))
        yield _at(subject, "fractions", "suspicion", sentence, "fractions", hit, name, 0.8)


def _dates(subject: Subject) -> Iterator[Finding]:
    today = np.datetime64(subject.today, "s")
    for name, dates in subject.dates.items():
        if _PLANNED.search(plain(name)):
            continue  # an agreement may end, and a visit be planned, in days to come
        hit = ~np.isnat(dates) & (dates > today)
        if hit.any():
            sentence = said("future", variable=name, n=int(hit.sum()))
            yield _at(subject, "future", "fault", sentence, "future", hit, name, 0.95)
    for first, second in _IN_ORDER:
        if first in subject.dates and second in subject.dates:
            a, b = subject.dates[first], subject.dates[second]
            hit = ~np.isnat(a) & ~np.isnat(b) & (a > b)
            if hit.any():
                sentence = said("date_order", first=first, second=second, n=int(hit.sum()))
                yield _at(subject, "date_order", "suspicion", sentence, "future", hit, first, 0.8)


def _to_come(subject: Subject) -> Iterator[Finding]:
    """Periods after today's."""
    step = subject.periods.step
    if step == "other":
        return
    now = {"year": subject.today.year, "month": subject.today.year * 12 + subject.today.month - 1}.get(
        step, subject.today.year * 4 + (subject.today.month - 1) // 3
    )
    late = np.flatnonzero(subject.periods.ordinals > now)
    if len(late):
        places = np.flatnonzero(np.isin(subject.periods.codes, late))
        names = [subject.periods.label(int(t)) for t in late]
        yield Finding(
            check="future", severity="fault", sentence=said("future_period", names=listed(names)),
            rows=subject.of_rows(places), total=len(places), rule=RULES["future"], score=0.9,
        )  # fmt: skip


def _people(subject: Subject) -> Iterator[Finding]:
    """More people at work than living: usual in a city centre, odd where it holds in single periods only."""
    living = [n for n in subject.working if counts_people(n) == "living"]
    working = [n for n in subject.working if counts_people(n) == "working" and subject.kinds[n] == "count"]
    for total in living[:1]:
        for name in working:
            x, y = subject.working[name], subject.working[total]
            known = np.isfinite(x) & np.isfinite(y)
            over = known & (x > y)
            if not over.any():
                continue
            share = over.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
            once = over & (share <= 0.34)[:, None] & (known.sum(axis=1) >= 3)[:, None] & (x > 1.1 * y)
            if once.any():
                units, periods = np.nonzero(once)
                yield Finding(
                    check="exceeds", severity="suspicion", sentence=said("exceeds_once", variable=name, total=total, n=len(units)),
                    rows=subject.of_cells(units, periods, name, y[units, periods]), total=len(units), rule=RULES["exceeds"],
                    score=0.8, variable=name,
                )  # fmt: skip
            always = np.flatnonzero(share > 0.34)
            if len(always):
                first = (subject.cell[always] >= 0).argmax(axis=1)
                yield Finding(
                    check="exceeds", severity="hint", sentence=said("exceeds_always", variable=name, total=total, n=len(always)),
                    rows=subject.of_cells(always, first, name), total=len(always), rule=RULES["exceeds"], score=0.5, variable=name,
                )  # fmt: skip
