"""Samples that differ by one or two firms: what two pages show of both, taken apart, is a value of these firms.

A mean of 14 firms on one page and of 13 of them on another give the fourteenth firm's value. So a page withholds what it
shows of a variable where an earlier sample of the plan, whose page shows that variable too, has all but one or two of the
same firms. Earlier is earlier in the plan, not in time: every page works this out for itself, and is always made alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from evalkit.errors import EvalkitError
from evalkit.study.pages.quantities import ALL
from evalkit.study.pages.showing import of_firms
from evalkit.study.regional_effect import PROVINCE, fewest, provinces_of_sample
from evalkit.study.sample import AnalysisSample, draw_sample
from evalkit.study.study import Study

_FROZEN = "_fixed"


@dataclass(frozen=True, slots=True)
class Members:
    """Who is in a sample, and of which variables its page shows means."""

    outcome: str
    phase: int
    baseline: int
    covariates: frozenset[str]
    sides: tuple[frozenset[str], frozenset[str]]


def members_of(outcome: str, phase: int, sample: AnalysisSample) -> Members:
    """Of one sample."""
    units = sample.panel.units.astype(str)
    sides = frozenset(units[sample.treated].tolist()), frozenset(units[sample.comparison].tolist())
    return Members(outcome, phase, sample.baseline, frozenset(sample.design.covariates), sides)


@lru_cache(maxsize=4)
def samples_of(study: Study, panel_name: str, place: str) -> tuple[Members, ...]:
    """All samples of the plan on one panel, in its order; of a province where one is named."""
    panel = study.panel(panel_name)
    if place != ALL:
        panel = panel.select(np.asarray(panel.constant(PROVINCE)).astype(str) == place)
    found = []
    for outcome, asked in study.plan.outcomes.items():
        for phase in study.plan.phases_of(outcome) if asked.panel == panel_name else ():
            try:
                found.append(members_of(outcome, phase, draw_sample(study.plan, panel, outcome, phase)))
            except EvalkitError:
                continue  # its page has no numbers either
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Near:
    """Earlier samples that lack, or have, one or two firms of a sample: how many, and the sample."""

    baseline: int
    found: tuple[tuple[int, Members], ...]

    def firms(self, variable: str) -> int | None:
        """Firms that a mean of a variable would give away; None where it gives none away.

        A variable that never changes is the same in every base year; another is where the base year is.
        """
        stem = variable.partition("=")[0]
        telling = [
            count
            for count, other in self.found
            if stem in other.covariates and (stem.endswith(_FROZEN) or other.baseline == self.baseline)
        ]
        return min(telling, default=None)

    def of_outcome(self, outcome: str) -> bool:
        """Whether another phase of the same outcome is so near."""
        return any(other.outcome == outcome for _, other in self.found)


def near_samples(study: Study, sample: AnalysisSample, outcome: str, phase: int, place: str = ALL) -> Near:
    """Samples before this one in the plan from which it differs by fewer firms than may be shown, on a side."""
    least = study.plan.disclosure.min_firms
    if least < 2 or not of_firms(study, outcome):
        return Near(sample.baseline, ())
    own = members_of(outcome, phase, sample)
    found = []
    for other in samples_of(study, study.plan.outcomes[outcome].panel, place):
        if (other.outcome, other.phase) == (outcome, phase):
            break
        apart = [len(mine ^ theirs) for mine, theirs in zip(own.sides, other.sides, strict=True)]
        close = [count for count in apart if 0 < count < least]
        if close:
            found.append((min(close), other))
    return Near(own.baseline, tuple(found))


@lru_cache(maxsize=64)
def left_over(study: Study, outcome: str, phase: int, place: str) -> int | None:
    """Firms of provinces without a page's numbers, where they are too few and `place` has to keep its own for them.

    What all other provinces show, taken from what the country shows, would be the values of these firms. The province
    with the fewest firms of that side, of those that show any, keeps its means to itself.
    """
    least, fewest_shown = study.plan.disclosure.min_firms, fewest(study.plan)
    panel = study.panel(study.plan.outcomes[outcome].panel)
    sample = draw_sample(study.plan, panel, outcome, phase)
    homes, sides = provinces_of_sample(sample), (sample.treated, sample.comparison)
    names = np.unique(homes).tolist()
    sizes = {name: [int((side & (homes == name)).sum()) for side in sides] for name in names}
    shown = [name for name in names if min(sizes[name]) >= fewest_shown]
    for side in (0, 1):
        rest = sum(sizes[name][side] for name in names if name not in shown)
        if 0 < rest < least and shown and place == min(shown, key=lambda name: (sizes[name][side], name)):
            return rest
    return None
