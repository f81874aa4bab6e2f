"""Whether the prepared panels hold what the plan asks of them: every name, and a clean period for every cohort.

A word that no panel knows would otherwise be passed over in silence (an exclusion that excludes nobody) or surface as a
row in a report that still ends well. Read from the files' directories, so that hardly an array is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import DesignError, PlanError, nearest
from evalkit.study.plan import Exclusion, Outcome, Plan


class _Stored:
    """Names of a stored panel; arrays only when asked for."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self.varying = sorted(
                n.removeprefix("varying/") for n in stored.files if n.startswith("varying/")
            )
            self.fixed = sorted(n.removeprefix("fixed/") for n in stored.files if n.startswith("fixed/"))
        self.path = path

    def array(self, name: str) -> NDArray[Any]:
        with np.load(self.path, allow_pickle=False) as stored:
            return np.asarray(stored[name])


def check_asked(plan: Plan, folder: Path, where: str = "") -> None:
    """Refuse a plan that names what its panels do not hold.

    Parameters
    ----------
    folder : where the prepared panels lie
    where : name of the plan's file, for the message

    Raises
    ------
    PlanError : a panel, variable, cluster, covariate or exclusion that is not there; the message names the nearest
    DesignError : a cohort without a clean period before it
    """
    place = where or plan.id
    panels = {path.stem: _Stored(path) for path in sorted(folder.glob("*.npz"))}
    for name, outcome in plan.outcomes.items():
        _known(outcome.panel, panels, "패널", (place, "outcomes", name, "panel"))
        _outcome(plan, panels[outcome.panel], name, outcome, place)
    used = {outcome.panel for outcome in plan.outcomes.values()}
    asked = [panels[name] for name in sorted(used)]
    if plan.design.at_risk is not None:
        names = sorted({v for panel in asked for v in panel.varying})
        _known(plan.design.at_risk, names, "변수", (place, "design", "at_risk"))
    for number, rule in enumerate(plan.units.exclude, start=1):
        _exclusion(rule, asked, (place, "units.exclude", f"{number}번째"))
    _robustness(plan, asked, panels, place)


def _known(name: str, names: Iterable[str], what: str, where: tuple[str, ...]) -> None:
    known = list(names)
    if name not in known:
        raise PlanError(f"{what} {name!r} 이(가) 자료에 없음", where=where, remedy=nearest(name, known))


def _outcome(plan: Plan, panel: _Stored, name: str, outcome: Outcome, place: str) -> None:
    at = (place, "outcomes", name)
    _known(outcome.variable, panel.varying, "변수", (*at, "variable"))
    adoption = outcome.adoption or plan.design.adoption
    _known(
        adoption,
        panel.fixed,
        "변수",
        (*at, "adoption") if outcome.adoption else (place, "design", "adoption"),
    )
    covariates = plan.design.covariates if outcome.covariates is None else outcome.covariates
    for covariate in covariates:
        _known(covariate, [*panel.varying, *panel.fixed], "통제변수", (*at, "covariates"))
    _known(plan.inference.cluster, panel.fixed, "군집 변수", (place, "inference", "cluster"))
    if plan.inference.companion_cluster:
        _known(
            plan.inference.companion_cluster,
            panel.fixed,
            "군집 변수",
            (place, "inference", "companion_cluster"),
        )
    if outcome.reading == "effect":
        for phase in plan.phases_of(name):
            _clean_period(plan, panel, name, phase, place)


def _clean_period(plan: Plan, panel: _Stored, name: str, number: int, place: str) -> None:
    """The last period before the phase's first cohort must be one that can be used."""
    outcome, phase = plan.outcomes[name], plan.phases[number]
    lo, hi = phase.periods
    if outcome.periods is not None:
        lo, hi = max(lo, outcome.periods[0]), min(hi, outcome.periods[1])
    periods = panel.array("periods")
    observed = np.isfinite(panel.array(f"varying/{outcome.variable}")).any(axis=0)
    usable = periods[observed & (periods >= lo) & (periods <= hi)]
    baseline = phase.cohorts[0] - 1 - plan.design.anticipation
    if baseline not in usable:
        span = f"{usable[0]}–{usable[-1]}" if len(usable) else "없음"
        raise DesignError(
            f"{phase.cohorts[0]}년 코호트에 지원 전의 깨끗한 기간({baseline}년)이 없음 (쓸 수 있는 해: {span})",
            where=(place, "outcomes", name, f"{number}단계"),
            remedy="periods 를 앞으로 넓히거나, 넓힐 자료가 없으면 reading: description 으로 바꾸거나 이 단계를 phases 에서 뺄 것",
        )


def _robustness(plan: Plan, asked: list[_Stored], panels: dict[str, _Stored], place: str) -> None:
    """Names under `inference.strata` and `robustness`: in one of the panels at least, in the named one for an outcome."""
    fixed = sorted({v for panel in asked for v in panel.fixed})
    every = sorted({v for panel in asked for v in (*panel.varying, *panel.fixed)})
    planned, placebos = plan.robustness, plan.robustness.placebos
    if plan.inference.strata is not None:
        _known(plan.inference.strata, fixed, "변수", (place, "inference", "strata"))
    if plan.inference.size is not None:
        _known(plan.inference.size, fixed, "변수", (place, "inference", "size"))
    for name in planned.leave_out:
        _known(name, fixed, "변수", (place, "robustness", "leave_out"))
    for name in planned.benchmarks:
        _known(name, every, "통제변수", (place, "robustness", "benchmarks"))
    for label, covariates in planned.specifications.covariates.items():
        for name in covariates.variables:
            _known(name, every, "통제변수", (place, "robustness", "specifications", "covariates", label))
    for key, outcome in placebos.outcomes.items():
        at = (place, "robustness", "placebos", "outcomes", key)
        _known(outcome.panel, panels, "패널", (*at, "panel"))
        _known(outcome.variable, panels[outcome.panel].varying, "변수", (*at, "variable"))
    if placebos.industry is not None:
        here = (place, "robustness", "placebos")
        _known(placebos.industry, fixed, "변수", (*here, "industry"))
        words = sorted(
            {
                str(word)
                for panel in asked
                if placebos.industry in panel.fixed
                for word in np.unique(panel.array(f"fixed/{placebos.industry}").astype(str))
            }
        )
        for word in placebos.untargeted:
            _known(word, words, f"{placebos.industry} 의 값", (*here, "untargeted"))


def _exclusion(rule: Exclusion, panels: list[_Stored], where: tuple[str, ...]) -> None:
    """A rule must find its variable, of the right kind and, where it names a word, with that word."""
    holders = [panel for panel in panels if rule.variable in panel.fixed]
    if not holders:
        _known(
            rule.variable, sorted({v for panel in panels for v in panel.fixed}), "변수", (*where, "variable")
        )
    values = [panel.array(f"fixed/{rule.variable}") for panel in holders]
    if rule.equals is None:
        if any(not _numeric(array) for array in values):
            raise PlanError(
                f"변수 {rule.variable!r} 은(는) 글자라 크기를 견줄 수 없음",
                where=where,
                remedy="at_most, at_least 대신 equals 를 쓸 것",
            )
        return
    words = sorted({str(word) for array in values for word in np.unique(array.astype(str))})
    # a flag that marks nobody is a fact about the data; a word that nothing carries is a slip of the pen
    if rule.equals not in words and not set(words) <= {"0", "1"}:
        raise PlanError(
            f"변수 {rule.variable!r} 에 값 {rule.equals!r} 이(가) 없어 아무도 빠지지 않음",
            where=where,
            remedy=nearest(rule.equals, words) if len(words) <= 30 else "자료에 적힌 값을 확인할 것",
        )


def _numeric(values: NDArray[Any]) -> bool:
    try:
        values.astype(np.float64)
    except ValueError:
        return False
    return True
