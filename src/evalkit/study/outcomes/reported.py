"""What a programme published about jobs of a phase, as quoted, and what follows from it by arithmetic alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evalkit.programmes import Fact
from evalkit.study.plan import Plan
from evalkit.study.programme_files import published_outcomes
from evalkit.study.programme_of import outcomes_of


@dataclass(frozen=True, slots=True)
class Part:
    """A published share of the published jobs.

    Attributes
    ----------
    name : "regular" or "youth"
    share : the fact, in per cent
    persons : the only whole number of persons that rounds to this share of the total; None where there is none or several
    """

    name: str
    share: Fact
    persons: int | None


@dataclass(frozen=True, slots=True)
class Reported:
    """Published jobs of a phase: gross, by self-report."""

    jobs: Fact
    parts: tuple[Part, ...]


def reported_jobs(programme: str | Plan, phase: int) -> Reported | None:
    """Published jobs and their parts; None where the programme or phase published none.

    Examples
    --------
    >>> [part.persons for part in reported_jobs("NIC", 1).parts]
    [566, 454]
    """
    outcomes = _outcomes(programme, phase)
    if "jobs" not in outcomes:
        return None
    jobs = outcomes["jobs"]
    parts = tuple(
        Part(name, outcomes[f"{name}_share"], whole_number(jobs.number, outcomes[f"{name}_share"].number))
        for name in ("regular", "youth")
        if f"{name}_share" in outcomes
    )
    return Reported(jobs, parts)


def reported_sales(programme: str | Plan, phase: int) -> Fact | None:
    """Published 사업화 매출 of a phase; None where none was published."""
    return _outcomes(programme, phase).get("commercialisation_sales")


def _outcomes(programme: str | Plan, phase: int) -> Mapping[str, Fact]:
    if isinstance(programme, Plan):
        return outcomes_of(programme, phase)
    return published_outcomes(programme, phase)


def whole_number(total: float, share: float) -> int | None:
    """The only whole number that is `share` per cent of `total` to one decimal; None where there is none or several.

    >>> whole_number(649, 87.2), whole_number(649, 87.25), whole_number(5000, 50.0)
    (566, None, None)
    """
    near = round(total * share / 100)
    fits = [
        n for n in range(near - 60, near + 61) if n >= 0 and abs(round(100 * n / total, 1) - share) < 1e-9
    ]
    return fits[0] if len(fits) == 1 else None
