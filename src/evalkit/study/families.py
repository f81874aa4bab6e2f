"""Results read together: families of outcomes that share an error rate, and evaluations repeated over the years."""

from __future__ import annotations

import numpy as np

from evalkit.errors import EvalkitError
from evalkit.estimate import Estimate
from evalkit.inference import FamilyTests, family_test, plan_looks, repeated_interval, take_look
from evalkit.interval_set import IntervalSet
from evalkit.study.study import Study


def family_tests(study: Study, phase: int) -> FamilyTests | None:
    """The plan's families of outcomes in a phase, tested together; None where no family has two results.

    Outcomes that cannot be answered, are read as description, or have too few clusters for a p-value, are not tested: a
    family holds what is left of it.

    Raises
    ------
    RefusalError : fewer than five clusters on a side of one of them, where flipping signs does not keep the level
    """
    estimates: dict[str, Estimate] = {}
    members: dict[str, list[str]] = {}
    for name, outcome in study.plan.outcomes.items():
        if phase not in study.plan.phases_of(name):
            continue
        try:
            found = study.effect(name, phase)
        except EvalkitError:
            continue
        if found.description or not found.headline.p_value_allowed:
            continue
        estimates[name] = found.average
        members.setdefault(outcome.family, []).append(name)
    shared = {family: names for family, names in members.items() if len(names) > 1}
    if not shared:
        return None
    used = {name: estimates[name] for names in shared.values() for name in names}
    counts = [study.effect(name, phase).counts for name in used]
    return family_test(used, shared, counts=min(counts, key=lambda found: found.fewest))


def look_of(study: Study) -> int | None:
    """The planned evaluation that these data are: the last planned year that is observed; None where none is."""
    looks = study.plan.inference.looks
    if looks is None:
        return None
    last = max(int(study.panel(o.panel).periods.max()) for o in study.plan.outcomes.values())
    taken = [year for year in looks.years if year <= last]
    return taken[-1] if taken else None


def repeated(study: Study, outcome: str, phase: int) -> IntervalSet | None:
    """The interval of a result that shares its error with the evaluations before and after; None without planned looks.

    The boundary is that of the covariance that stands behind the lead; earlier planned looks count as taken.
    """
    year, looks = look_of(study), study.plan.inference.looks
    if year is None or looks is None:
        return None
    found = study.effect(outcome, phase)
    if found.description or not np.isfinite(found.average.std_errors[0]):
        return None
    plan = plan_looks(looks.years, alpha=1 - study.plan.inference.level, spending=looks.spending)
    for planned in looks.years:
        if planned <= year:
            plan = take_look(plan, planned)
    return repeated_interval(found.average, plan)
