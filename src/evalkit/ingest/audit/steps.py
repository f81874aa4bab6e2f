"""What happens to nearly all units from one period to the next: a definition that changes, values that are copied."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evalkit.ingest.audit import thresholds as at
from evalkit.ingest.audit.finding import Finding
from evalkit.ingest.audit.series import Floats, Series
from evalkit.ingest.audit.subject import Subject
from evalkit.ingest.audit.words import RULES, said, share_words

# -- breaks ----------------------------------------------------------------------------------------------------


def breaks(subject: Subject, series: dict[str, Series]) -> Iterator[Finding]:
    """Steps that nearly all units take together, beyond the series' own variation, and that do not come back."""
    for name, one in series.items():
        declared = dict(subject.breaks.get(name, ()))
        if not one.logs:
            continue
        for k in range(len(one.steps)):
            t = int(one.columns[k + 1])
            reason = _declared_here(subject, declared, int(one.columns[k]), t)
            step, share, score = _break_at(one, k, bool(reason))
            if score == 0.0:
                continue
            changes = one.y[:, k + 1] - one.y[:, k]
            far = np.flatnonzero(np.isfinite(changes))
            far = far[np.argsort(-np.abs(changes[far]), kind="stable")]
            key = "break_declared" if reason else "break_found"
            words = said(
                key, variable=name, period=subject.periods.words(t), percent=_percent(float(one.steps[k])), reason=reason
            ) if reason else said(key, variable=name, period=subject.periods.words(t), percent=_percent(float(one.steps[k])))  # fmt: skip
            expected = np.exp(one.y[far, k] + (one.steps[k] - step))
            yield Finding(
                check="break", severity="suspicion", sentence=words,
                rows=subject.of_cells(far, np.full(len(far), t), name, expected), total=len(far), rule=RULES["break"],
                score=1.0 if reason else min(0.9, score * share), variable=name,
            )  # fmt: skip


def _declared_here(subject: Subject, declared: dict[int, str], before: int, after: int) -> str:
    """The reason of a declared break between two periods."""
    if subject.periods.step == "other":
        return ""
    per_year = {"year": 1, "quarter": 4, "month": 12}[subject.periods.step]
    low, high = (int(subject.periods.ordinals[t]) // per_year for t in (before, after))
    return next((reason for year, reason in sorted(declared.items()) if low < year <= high), "")


def _break_at(series: Series, k: int, declared: bool) -> tuple[float, float, float]:
    """Step beyond the usual one, the share of units that take it, and how sure it is (0 = no break)."""
    others = np.delete(series.steps, k)
    usual = float(np.median(others)) if len(others) else 0.0
    step = float(series.steps[k]) - usual
    changes = series.y[:, k + 1] - series.y[:, k]
    changes = changes[np.isfinite(changes)]
    if len(changes) < at.LEAST_UNITS:
        return step, 0.0, 0.0
    share = float(((changes - usual) * np.sign(step) > 0.25 * abs(step)).mean())
    if declared:
        return step, share, 1.0 if abs(step) > at.BREAK_DECLARED else 0.0
    if len(others) < 2 or share < at.BREAK_SHARE:
        return step, share, 0.0
    own = max(
        float(np.median(np.abs(others - usual))) * at.MAD_TO_SD,
        float(np.abs(others - usual).max()) / at.BREAK_OWN,
    )
    if abs(step) < max(at.BREAK_STEP, at.BREAK_OWN * own * (1.0 if len(others) > 3 else 1.5)):
        return step, share, 0.0
    after = np.cumsum(series.steps[k + 1 : k + 3] - usual) / step
    before = np.cumsum((series.steps[max(k - 2, 0) : k] - usual)[::-1]) / step
    if (after < -at.BREAK_RETURN).any() or (before < -at.BREAK_RETURN).any():
        return step, share, 0.0
    return step, share, 0.9 if len(after) else 0.6


def _percent(step: float) -> str:
    change = 100 * np.expm1(step)
    return f"{change:+.0f} %"


# -- copies ------------------------------------------------------------------------------------------------------


def stale(subject: Subject) -> Iterator[Finding]:
    """Periods in which many units, or all units of a group, have just the value of the period before."""
    for name, values in subject.working.items():
        used = np.flatnonzero(np.isfinite(values).sum(axis=0) >= at.LEAST_UNITS)
        if len(used) < 2:
            continue
        x = values[:, used]
        both, equal = _equal(x)
        n = both.sum(axis=0)
        share = equal.sum(axis=0) / np.maximum(n, 1)
        for k in range(len(used) - 1):
            others = np.delete(share, k)
            usual = float(np.median(others)) if len(others) else 0.0
            if usual > at.STALE_BASE or n[k] < at.LEAST_UNITS:
                continue
            t = int(used[k + 1])
            many = share[k] >= max(at.STALE_SHARE, 3 * usual)
            if many:
                score = 1.0 if len(others) else 0.7
                yield _stale_finding(subject, name, t, np.flatnonzero(equal[:, k]), "", share[k], score)
            else:
                yield from _stale_groups(subject, name, t, both[:, k], equal[:, k], max(usual, 0.01))


def _equal(x: Floats) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pairs of neighbouring periods that can be compared, and those that are equal  # (N, P-1) each"""
    before, after = x[:, :-1], x[:, 1:]
    with np.errstate(invalid="ignore"):
        large = (np.abs(after) >= at.STALE_LEAST) | (after != np.round(after))
        return np.isfinite(before) & np.isfinite(after) & large, (before == after) & large


def _stale_groups(
    subject: Subject, name: str, t: int, both: NDArray[np.bool_], equal: NDArray[np.bool_], usual: float
) -> Iterator[Finding]:
    for group in subject.groups:
        labels = subject.group_of(group)
        for label in np.unique(labels[equal]):
            inside = (labels == label) & both
            n, same = int(inside.sum()), int((inside & equal).sum())
            if n >= at.STALE_GROUP and same == n and usual**n < at.STALE_GROUP_CHANCE:
                yield _stale_finding(subject, name, t, np.flatnonzero(inside), str(label), 1.0, 0.95)


def _stale_finding(
    subject: Subject, name: str, t: int, units: NDArray[np.int64], group: str, share: float, score: float
) -> Finding:
    period = subject.periods.words(t)
    sentence = (
        said("stale_group", variable=name, period=period, group=group, n=len(units))
        if group
        else said("stale", variable=name, period=period, n=len(units), share=share_words(share))
    )
    rows = subject.of_cells(units, np.full(len(units), t), name)
    subject.working[name][units, t] = np.nan
    return Finding(
        check="stale", severity="fault" if score > 0.75 else "suspicion", sentence=sentence, rows=rows, total=len(units),
        rule=RULES["stale"], score=score, variable=name,
    )  # fmt: skip
