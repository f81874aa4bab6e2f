"""One province in one phase and outcome: what can be said of its supported firms, beside the other provinces.

Nothing is drawn or worded here. Whatever a province cannot give (no unsupported firm far enough, too few supported ones) is kept
as the error that says why, so that its page stands with the reason in the place of the number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from evalkit import aggregate
from evalkit.arrays.equal_effects import EqualEffects, equal_effects
from evalkit.checks.attrition import attrition
from evalkit.checks.balance import balance
from evalkit.checks.grade import maryland
from evalkit.checks.pre_trends import pre_trends
from evalkit.errors import DesignError, EvalkitError, ParameterError, nearest
from evalkit.estimate import Estimate
from evalkit.inference import ClusterCounts, Headline, cluster_counts, headline
from evalkit.panel import Panel
from evalkit.study.effect import (
    Effect,
    balance_of,
    band_of,
    leading_average,
    mean_paths,
    smallest_effect,
    treated_mean,
)
from evalkit.study.effect_checks import few_clusters, spillovers
from evalkit.study.plan import Plan
from evalkit.study.plan_base import PROVINCES
from evalkit.study.regional_effect import (
    PROVINCE,
    Within,
    province_cells,
    provinces_of_sample,
    within_province,
)
from evalkit.study.sample import AnalysisSample, draw_sample

if TYPE_CHECKING:
    from evalkit.study.study import Study

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """The provinces side by side, each by the comparison inside it.

    Attributes
    ----------
    rows : by province with an effect, in the order of the official list: estimate, std_error, dof, conf_low, conf_high (its own
        interval), all_low, all_high (simultaneous over the provinces), shrunk, n (supported firms)
    refused : provinces without one -> the reason
    chance : what equal effects would look like; None with fewer than two provinces
    """

    rows: pd.DataFrame
    refused: dict[str, DesignError]
    chance: EqualEffects | None

    @property
    def names(self) -> tuple[str, ...]:
        """All provinces with supported firms in the sample."""
        return (*map(str, self.rows.index), *self.refused)

    def row(self, region: str) -> dict[str, float]:
        """One province's row."""
        return {str(name): float(values[region]) for name, values in self.rows.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Municipalities of a province by their distance to the nearest zone of the phase.

    Attributes
    ----------
    rows : code, km, zone (whether one stands there), since (first year at work; NaN without a zone)
    """

    rows: pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class Regional:
    """One province's report.

    Attributes
    ----------
    effect : of its supported firms against unsupported firms of the province; or why there is none
    against_all : the same firms against unsupported firms of all provinces; the rule gives it no interval
    beside : all provinces
    national : the plan's own effect of the phase on all supported firms: estimate, conf_low, conf_high, n
    supported : first year of support -> firms of the province, before anything is left out of the sample
    used : supported and unsupported firms of the province in the sample
    places : municipalities and zones; None where the plan's data do not say
    """

    outcome: str
    phase: int
    region: str
    effect: Effect | DesignError
    against_all: Headline | DesignError
    beside: Beside
    national: dict[str, float]
    supported: dict[int, int]
    used: tuple[int, int]
    places: Places | None


def regional(study: Study, outcome: str, phase: int, region: str) -> Regional:
    """What can be said of one province.

    Raises
    ------
    ParameterError : there is no such province
    DesignError : the outcome is not one of firms that were chosen one by one, or the plan only describes it; or no province
        can be estimated
    """
    plan, panel = study.plan, study.panel(study.outcome(outcome).panel)
    if region not in PROVINCES:
        raise ParameterError(
            f"시·도 {region!r} 을(를) 모름", where=("region",), remedy=nearest(region, PROVINCES)
        )
    _require_firms_of_places(plan, panel, outcome)
    sample = draw_sample(plan, panel, outcome, phase)
    home = provinces_of_sample(sample)
    regions = [name for name in PROVINCES if (sample.treated & (home == name)).any()]
    cells = province_cells(plan, sample, phase, regions)
    found = _every_province(plan, sample, phase, regions, cells)
    mine = found.get(region) or _nobody(region)
    return Regional(
        outcome=outcome,
        phase=phase,
        region=region,
        effect=mine
        if isinstance(mine, DesignError)
        else _as_effect(plan, panel, mine, outcome, phase, region),
        against_all=_against_all(plan, sample, phase, region),
        beside=_side_by_side(found, plan.inference.level),
        national=_national(plan, sample, phase),
        supported=_supported(plan, panel, outcome, phase, region),
        used=(
            int((sample.treated & (home == region)).sum()),
            int((sample.comparison & (home == region)).sum()),
        ),
        places=_places(study, phase, region),
    )


def _require_firms_of_places(plan: Plan, panel: Panel, outcome: str) -> None:
    asked = plan.outcomes[outcome]
    if plan.units.builder != "firms" or asked.panel != "units" or PROVINCE not in panel.fixed:
        raise DesignError(
            f"결과 {outcome} 은(는) 기업마다 잰 것이 아니어서 시·도 하나로 나누어 볼 수 없음",
            where=(plan.id, f"outcomes.{outcome}"),
            remedy="기업 패널(units)의 결과를 고를 것",
        )
    if asked.reading == "description":
        raise DesignError(
            f"결과 {outcome} 은(는) 서술로만 읽기로 계획되어 시·도의 효과를 내지 않음",
            where=(plan.id, f"outcomes.{outcome}"),
            remedy="reading: effect 인 결과를 고를 것",
        )


def _every_province(
    plan: Plan, sample: AnalysisSample, phase: int, regions: list[str], cells: dict[str, Estimate]
) -> dict[str, Within | DesignError]:
    found: dict[str, Within | DesignError] = {}
    for name in regions:
        try:
            found[name] = within_province(plan, sample, phase, name, cells[name])
        except DesignError as error:
            found[name] = error
    return found


def _nobody(region: str) -> DesignError:
    return DesignError(
        f"{region}에는 이 단계에 처음 지원받아 견줄 수 있는 기업이 없음",
        remedy="여러 시·도를 묶은 결과를 볼 것",
    )


def _side_by_side(found: dict[str, Within | DesignError], level: float) -> Beside:
    refused = {name: part for name, part in found.items() if isinstance(part, DesignError)}
    known = {
        name: part
        for name, part in found.items()
        if isinstance(part, Within) and float(part.average.std_errors[0]) > 0
    }
    rows = pd.DataFrame(
        [
            {**part.average.table(level).iloc[0].to_dict(), "dof": float(part.average.dof[0])}
            for part in known.values()
        ],
        index=pd.Index(list(known), name=PROVINCE),
        columns=["estimate", "std_error", "dof", "conf_low", "conf_high"],
    )
    rows["n"] = [int(part.average.n_treated[0]) for part in known.values()]
    if len(rows) < 2:
        return Beside(rows.assign(all_low=np.nan, all_high=np.nan, shrunk=rows["estimate"]), refused, None)
    influence = np.column_stack([np.asarray(part.average.influence)[:, 0] for part in known.values()])
    values, errors, dof = (rows[c].to_numpy(dtype=np.float64) for c in ("estimate", "std_error", "dof"))
    chance = equal_effects(values, errors, dof, np.atleast_2d(np.corrcoef(influence, rowvar=False)), level)
    half = chance.critical * errors
    return Beside(
        rows.assign(all_low=values - half, all_high=values + half, shrunk=chance.shrunk), refused, chance
    )


def wider_by_place(beside: Beside, region: str, level: float) -> dict[str, float]:
    """A province's interval with the spread between provinces in its error: what hits one place as a whole is in it.

    The spread is known from as many provinces as there are, so that its degrees of freedom are theirs where fewer.
    """
    row = beside.row(region)
    tau = 0.0 if beside.chance is None else beside.chance.tau
    error = float(np.hypot(row["std_error"], tau))
    dof = min(float(row["dof"]), float(max(len(beside.rows) - 1, 1)))
    half = float(stdtrit(dof, 0.5 + level / 2)) * error
    value = float(row["estimate"])
    return {
        "estimate": value,
        "conf_low": value - half,
        "conf_high": value + half,
        "p_value": float(2 * stdtr(dof, -abs(value) / error)),
    }


def _as_effect(plan: Plan, panel: Panel, found: Within, outcome: str, phase: int, region: str) -> Effect:
    """In the form in which pages read effects; the sample is the province's own firms."""
    home = np.asarray(panel.constant(PROVINCE)).astype(str)
    own = draw_sample(plan, panel.select(home == region), outcome, phase)
    lo, hi = plan.phases[phase].cohorts
    level, size = plan.inference.level, float(found.average.values[0])
    table = balance_of(own)
    checks = (
        pre_trends(found.event, effect=size, level=level, high_power=False),
        few_clusters(found.counts, found.headline),
        attrition(own.panel, own.design, horizon=max(found.horizon)),
        spillovers(plan),
        balance(table),
    )
    return Effect(
        outcome=outcome,
        phase=phase,
        sample=own,
        cells=found.cells,
        plain=found.event,
        event=found.event,
        band=band_of(found.event, level),
        average=found.average,
        headline=found.headline,
        by_cohort=found.average,
        counts=found.counts,
        checks=checks,
        grade=maryland(checks, design_class="difference_in_differences"),
        balance=table,
        mde=smallest_effect(found.headline, level),
        two_way=None,
        paths=mean_paths(own),
        counterfactual_mean=treated_mean(own, found.horizon, lo, hi) - size,
        horizon=found.horizon,
        description=False,
        scale=plan.outcomes[outcome].scale,
        companion_errors=None,
    )


def _against_all(plan: Plan, sample: AnalysisSample, phase: int, region: str) -> Headline | DesignError:
    """The province's supported firms against all unsupported ones, in the plan's clusters: one of them is treated."""
    try:
        cells = province_cells(plan, sample, phase, [region], intercepts=False).get(region)
        if cells is None:
            return _nobody(region)
        event = aggregate.event_study(cells)
        times = np.asarray(event.terms.get_level_values("event_time"), dtype=int)
        post = times[np.isfinite(event.values) & (times >= 0) & (times <= plan.horizon)]
        average = aggregate.average(event, post)
    except DesignError as error:
        return error
    own = provinces_of_sample(sample) == region
    kept = (own & sample.treated) | sample.comparison
    return headline(*_clustered(plan, sample, average, kept), rule=plan.inference.rule)


def _clustered(
    plan: Plan, sample: AnalysisSample, average: Estimate, kept: NDArray[np.bool_]
) -> tuple[Estimate, ClusterCounts]:
    """An average over firms in the plan's clusters, on the firms that it compares, and how many clusters each side has."""
    codes, labels = sample.panel.clusters(plan.inference.cluster)
    present, cluster = np.unique(codes[kept], return_inverse=True)
    part = replace(
        average,
        influence=np.asarray(average.influence)[kept],
        cluster=cluster,
        cluster_labels=np.asarray(labels)[present],
        replicates=None,
        units=average.units[kept],
        detail={},
    )
    return part, cluster_counts(part, sample.treated[kept])


def _national(plan: Plan, sample: AnalysisSample, phase: int) -> dict[str, float]:
    lead, n = leading_average(plan, sample, phase)
    row = lead.first(plan.inference.level)
    if not lead.p_value_allowed:
        row.update(conf_low=float("nan"), conf_high=float("nan"))
    return {**row, "n": float(n)}


def _supported(plan: Plan, panel: Panel, outcome: str, phase: int, region: str) -> dict[int, int]:
    name = plan.outcomes[outcome].adoption or plan.design.adoption
    adoption = np.asarray(panel.constant(name), dtype=np.float64)
    lo, hi = plan.phases[phase].cohorts
    home = np.asarray(panel.constant(PROVINCE)).astype(str)
    mine = adoption[(home == region) & (adoption >= lo) & (adoption <= hi)]
    years, counts = np.unique(mine.astype(int), return_counts=True)
    return {int(year): int(count) for year, count in zip(years, counts, strict=True)}


def _places(study: Study, phase: int, region: str) -> Places | None:
    """From the panel of municipalities, where the plan has one with distances to the zones of the phase."""
    if "regions" not in study.plan.units.groups:
        return None
    try:
        panel = study.panel("regions")
    except EvalkitError:
        return None
    name = next((f"km_phase{p}" for p in (phase, phase - 1) if f"km_phase{p}" in panel.fixed), None)
    if name is None or PROVINCE not in panel.fixed:
        return None
    own = np.asarray(panel.constant(PROVINCE)).astype(str) == region
    km = np.asarray(panel.constant(name), dtype=np.float64)
    known = own & np.isfinite(km)
    if not known.any():
        return None
    zone = panel.constant(f"zone_{name.removeprefix('km_')}").astype(str) == "1"
    since = np.asarray(panel.constant("adoption"), dtype=np.float64)
    rows = pd.DataFrame(
        {
            "code": panel.units[known].astype(str),
            "km": km[known],
            "zone": zone[known],
            "since": np.where(zone & np.isfinite(since), since, np.nan)[known],
        }
    )
    return Places(rows.sort_values(["km", "code"], kind="stable").reset_index(drop=True))
