"""Every number that the cluster report prints, beside its truth in a drawn world: one registered function a number.

A function takes a `Case` (a world and the study of the committed plan on that world's own panels) and returns what the page
would print and what is true. Add one with ``@number("its name", "unit")``; `tests/helpers/reported_recovery.py` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from evalkit import simulate
from evalkit.estimate import Estimate
from evalkit.interval_set import IntervalSet
from evalkit.simulate import truth_firms as firms
from evalkit.simulate import truth_places as places
from evalkit.simulate.direct import study_flows, study_panels
from evalkit.simulate.effects import ZONE_START
from evalkit.simulate.parameters import FIRST_YEAR
from evalkit.study import Study
from evalkit.study.inputs import Inputs
from evalkit.study.outcomes import cells, sales, shares
from evalkit.study.plan import Plan, load_plan

PROJECT = Path(__file__).resolve().parents[2]
PLAN = PROJECT / "plans" / "nic_phase1_vs_phase3.yml"
LEVEL = 0.95
BANDS = {"ring_0_5": (0, 5), "ring_5_10": (5, 10), "ring_10_20": (10, 20)}


@dataclass(frozen=True)
class Found:
    """A printed number, its interval (a set where it need not be one piece) and the truth."""

    estimate: float
    truth: float
    low: float = float("nan")
    high: float = float("nan")
    values: IntervalSet | None = None

    @property
    def covers(self) -> bool:
        """Whether the printed interval or set holds the truth."""
        if self.values is not None:
            return any(low <= self.truth <= high for low, high in self.values.pieces)
        return bool(self.low <= self.truth <= self.high)

    @property
    def width(self) -> float:
        """Of the interval; infinite where it has no end."""
        return self.values.length if self.values is not None else self.high - self.low


class Case:
    """A world and the committed plan on its panels, without the detour over files (shown to be equal elsewhere)."""

    def __init__(self, seed: int, size: int = 4000, plan: Plan | None = None) -> None:
        self.world = simulate.world(seed, firms=size)
        self.plan = load_plan(PLAN) if plan is None else plan
        options = self.plan.units.options
        panels = study_panels(self.world, industry_groups=options["industry_groups"])
        self.study = Study(self.plan, PLAN, PROJECT, Inputs("", (), True, PROJECT), "ko")
        audit = {"panels": {}, "tables": [], "price_base_year": options["price_base_year"]}
        self.study.__dict__["audit"] = audit  # nothing was read: no file says how
        self.study._panels.update(panels)
        self.study._flows["relocation"] = study_flows(self.world)

    def ring_effect(self, phase: int, band: str) -> list[float]:
        """True effect on never-supported firms first near a zone in the phase, at 0, 1, 2 years, given there the year before."""
        w, start = self.world, ZONE_START[phase]
        never = (w.support.phase == 0) & ~w.geography.capital[w.firms.home]
        low, high = BANDS[band]
        km = w.distance_km(phase)
        mine = never & (km <= high) & ((km > low) | (low == 0)) & w.alive[:, start - 1 - FIRST_YEAR]
        if phase == 3:
            mine &= w.distance_km(1) > self.plan.units.options["ring_km"]
        gap, chance = places.spillover(w), np.nan_to_num(w.expected["survival"][1])
        at = start - FIRST_YEAR
        lived = chance[mine, at - 1]
        return [float((gap[mine, at + e] / lived).mean()) for e in range(self.plan.horizon + 1)]


@dataclass(frozen=True)
class Number:
    """A registered number; `late` ones take longer and are drawn after the others."""

    name: str
    unit: str
    made: Callable[[Case], Found]
    late: bool = False


NUMBERS: dict[str, Number] = {}


def number(name: str, unit: str, made: Callable[[Case], Found], *, late: bool = False) -> None:
    """Register a number; a name stands once."""
    assert name not in NUMBERS, name
    NUMBERS[name] = Number(name, unit, made, late)


def first_row(estimate: Estimate, truth: float, at: int = 0) -> Found:
    """One term with its interval at the plan's level."""
    row = estimate.table(LEVEL).iloc[at]
    return Found(float(row["estimate"]), truth, float(row["conf_low"]), float(row["conf_high"]))


def led(case: Case, phase: int, outcome: str, estimate: Estimate, truth: float, at: int = 0) -> Found:
    """The same, with the inference that the plan's rule gives on a page of one effect."""
    row = cells.rows(case.plan, estimate, case.study.effect(outcome, phase).counts).iloc[at]
    return Found(float(row["estimate"]), truth, float(row["conf_low"]), float(row["conf_high"]))


# -- the leading design ---------------------------------------------------------------------------------

UNITS = {"jobs": "명/기업", "sales": "백만원/기업", "survival": "%p", "relocation": "건/시군구·년"}
SCALE = {"survival": 100.0}


def truth_of(case: Case, outcome: str, phase: int) -> float:
    """Effect of a phase in the unit of the page."""
    return case.world.truth.att(outcome, phase) * SCALE.get(outcome, 1.0)


def headline_of(case: Case, outcome: str, phase: int) -> Found:
    """The effect that the page of an outcome and phase leads with."""
    row = case.study.effect(outcome, phase).row(LEVEL)
    return Found(row["estimate"], truth_of(case, outcome, phase), row["conf_low"], row["conf_high"])


def difference_of(case: Case, outcome: str) -> Found:
    """Phase 3 less phase 1."""
    truth = truth_of(case, outcome, 3) - truth_of(case, outcome, 1)
    return first_row(case.study.compare(outcome).averages, truth, 2)


for outcome_, unit_ in UNITS.items():
    for phase_ in (1, 2, 3):
        if outcome_ == "relocation" and phase_ == 2:
            continue
        number(
            f"{outcome_}: {phase_}단계 효과",
            unit_,
            partial(headline_of, outcome=outcome_, phase=phase_),
            late=phase_ == 2,
        )
    number(f"{outcome_}: 3단계 − 1단계", unit_, partial(difference_of, outcome=outcome_))


# -- second designs ---------------------------------------------------------------------------------------


def opinion_row(case: Case, name: str, term: str, truth: float) -> Found:
    """A row of a second design by its term."""
    row = next(r for r in case.study.opinion(name).rows if r.term == term)
    return Found(row.estimate, truth, row.low, row.high)


def tier_of(case: Case, outcome: str) -> Found:
    """Tier 2 less tier 1 in phase 3."""
    truth = firms.tier_contrast(case.world, outcome) * SCALE.get(outcome, 1.0)
    return opinion_row(case, f"tiers_{outcome}", "contrast", truth)


def gravity_of(case: Case, phase: int) -> Found:
    """Rise of flows into zones, in per cent of what flows without zones."""
    g, p = case.world.geography, case.world.parameters
    drawn, base = p.move_rate_zones / len(g.zones[1]), p.move_rate / int((~g.capital).sum())
    return opinion_row(case, f"gravity_relocation_{phase}", "exact", 100 * drawn / base)


def dose_of(case: Case, phase: int) -> Found:
    """The mean effect of the design with amounts of support: every firm over the years 0–2 that its cohort has.

    The leading design averages the years plainly, each over the cohorts that have it; in phase 3, whose last cohorts have no
    later years, the two are different averages.
    """
    table = case.world.truth.effects.query("outcome == 'jobs' and phase == @phase and 0 <= event_time <= 2")
    by_cohort = table.groupby("cohort").agg(effect=("att", "mean"), units=("units", "first"))
    truth = float(np.average(by_cohort["effect"], weights=by_cohort["units"]))
    return opinion_row(case, f"dose_jobs_{phase}", "effect", truth)


for outcome_ in ("jobs", "sales", "survival"):
    number(
        f"{outcome_}: 2유형 − 1유형 지역(3단계)",
        UNITS[outcome_],
        partial(tier_of, outcome=outcome_),
        late=outcome_ != "jobs",
    )
for phase_ in (1, 3):
    number(f"relocation: 중력모형 {phase_}단계", "%", partial(gravity_of, phase=phase_))
    number(f"jobs: 지원액 설계 {phase_}단계", "명/기업", partial(dose_of, phase=phase_))


# -- net effect and value -----------------------------------------------------------------------------------


def total_truth(case: Case, phase: int, term: str) -> float:
    """Persons a year, mean of 0–2 years, of the units that the page counts."""
    value = case.study.value(phase)
    direct = value.jobs.n_treated * case.world.truth.att("jobs", phase)
    spilled = sum(
        band.units * float(np.mean(case.ring_effect(phase, band.name)))
        for band in value.paths.bands
        if band.units
    )
    return {"direct": direct, "spillover": spilled, "net": direct + spilled}[term]


def total_of(case: Case, phase: int, term: str) -> Found:
    """Direct, spilled over and net."""
    totals = case.study.value(phase).totals
    at = [str(t[-1] if isinstance(t, tuple) else t) for t in totals.terms].index(term)
    return first_row(totals, total_truth(case, phase, term), at)


def cost_of(case: Case, phase: int, net: bool) -> Found:
    """억원 a job of the year, a Fieller set that may have no end."""
    rows = [r for r in case.study.value(phase).rows if r.quantity == "jobs" and r.net is net]
    row = rows[0]
    if isinstance(row.found, Exception):
        raise row.found
    truth = row.cost.eok / total_truth(case, phase, "net" if net else "direct")
    return Found(row.cost.eok / row.found.total[0], truth, values=row.found.cost_each)


for phase_ in (1, 3):
    for term_, label_ in (("direct", "직접 순효과"), ("spillover", "전치"), ("net", "지역 순효과")):
        number(f"jobs: {label_} {phase_}단계", "명", partial(total_of, phase=phase_, term=term_))
for net_ in (False, True):  # what phase 3 costs is not published
    label_ = "지역 순효과" if net_ else "직접 순효과"
    number(f"비용: {label_} 일자리 하나 1단계", "억원/명", partial(cost_of, phase=1, net=net_))


# -- paths and composition ------------------------------------------------------------------------------------


def path_of(case: Case, outcome: str, name: str) -> Found:
    """A path through phases 1 and 3, over the years that the page averages."""
    found = case.study.comparing(outcome).paths.effects[name]
    if isinstance(found, Exception):
        raise found
    truth = firms.path_effect(case.world, outcome, name, times=found.window)  # type: ignore[arg-type]
    row = found.row(LEVEL)
    scale = SCALE.get(outcome, 1.0)
    return Found(row["estimate"], truth * scale, row["conf_low"], row["conf_high"])


def split_part(case: Case, part: str) -> Found:
    """Composition or effect in the difference of the phases, cells of industry groups and halves of size."""
    split = case.study.comparing("jobs").split
    w = case.world
    group = case.study.panel().constant("sector_group").astype(str)
    truth = firms.composition_split(w, "jobs", group)
    return first_row(
        split.estimate,
        {"composition": truth.composition, "effect": truth.effect}[part],
        _at(split.estimate, part),
    )


def _at(estimate: Estimate, term: str) -> int:
    return [str(t) for t in estimate.terms.get_level_values(-1)].index(term)


for name_ in ("E1", "E1_persist", "E3_new", "E3_add", "E_cum"):
    number(f"jobs: {name_}", "명/기업", partial(path_of, outcome="jobs", name=name_), late=True)
for part_, label_ in (("composition", "구성"), ("effect", "효과")):
    number(f"jobs: 차이의 {label_} 부분", "명/기업", partial(split_part, part=part_), late=True)


# -- outcomes in full -----------------------------------------------------------------------------------------


def staff_of(case: Case, variable: str, phase: int) -> Found:
    """Effect on hires, separations, regular or young staff."""
    effect = case.study.effect("jobs", phase)
    average = cells.measure(case.plan, effect, variable).average
    return led(case, phase, "jobs", average, firms.effect(case.world, variable, phase))


def share_of(case: Case, variable: str, phase: int) -> Found:
    """Effect on the share of regular or young staff, in percentage points."""
    effect = case.study.effect("jobs", phase)
    parts = [cells.measure(case.plan, effect, name) for name in (variable, "outcome")]
    change = shares.share_change(*parts).share
    truth = firms.share(case.world, variable, phase)  # type: ignore[arg-type]
    return led(case, phase, "jobs", change, truth, _at(change, "change"))


def sales_percent(case: Case, phase: int) -> Found:
    """Sales in per cent of the counterfactual mean."""
    effect = case.study.effect("sales", phase)
    found = cells.percent(cells.measure(case.plan, effect, "outcome"))
    assert found is not None
    return led(case, phase, "sales", found, firms.percent(case.world, "sales", phase))


def selling_of(case: Case, phase: int) -> Found:
    """Effect on the share of firms with any sales, in percentage points."""
    effect = case.study.effect("sales", phase)
    values = effect.sample.panel.values("outcome")
    positive = np.where(np.isfinite(values), 100.0 * (values > 0), np.nan)
    average = cells.measure(case.plan, sales._with(effect, "positive", positive), "positive").average
    return led(case, phase, "sales", average, 100 * firms.effect(case.world, "selling", phase))


for phase_ in (1, 3):
    for variable_, label_ in (
        ("hires", "취득"),
        ("separations", "상실"),
        ("regular", "정규직"),
        ("youth", "청년"),
    ):
        number(
            f"jobs: {label_} {phase_}단계",
            "명/기업",
            partial(staff_of, variable=variable_, phase=phase_),
            late=True,
        )
    for variable_, label_ in (("regular", "정규직"), ("youth", "청년")):
        number(
            f"jobs: {label_} 비율 {phase_}단계",
            "%p",
            partial(share_of, variable=variable_, phase=phase_),
            late=True,
        )
    number(f"sales: 반사실 평균 대비 {phase_}단계", "%", partial(sales_percent, phase=phase_), late=True)
    number(f"sales: 매출이 있는 기업 {phase_}단계", "%p", partial(selling_of, phase=phase_), late=True)


# -- borders, transport, the page of spillovers ---------------------------------------------------------------


def border_of(case: Case, name: str) -> Found:
    """Arrivals a year by class of the redrawn border; those that left are held against those that stayed: nothing changed."""
    found = case.study.borders("relocation")
    effect = found.effects[name]
    if isinstance(effect, Exception):
        raise effect
    start = found.start if name == "stable" else found.switch
    table = places.borders(case.world)
    rows = table[(table["border"] == name) & table["year"].isin([start + e for e in effect.window])]
    return first_row(effect.average, 0.0 if name == "left" else float(rows["drawn"].mean()))


def carried_of(case: Case) -> Found:
    """The effect of phase 1 in the firms of phase 3."""
    table = case.study.comparing("jobs").moved.table
    group = case.study.panel().constant("sector_group").astype(str)
    return first_row(table, firms.transported(case.world, "jobs", group), _at(table, "transported"))


def spilled_of(case: Case, phase: int, term: str) -> Found:
    """Totals as the page of spillovers prints them; the truth is of firms alive when the zones went to work."""
    found = case.study.spillovers("jobs", phase)
    effect = case.study.effect("jobs", phase)
    w, at = case.world, ZONE_START[phase] - 1 - FIRST_YEAR
    never = (w.support.phase == 0) & ~w.geography.capital[w.firms.home] & w.alive[:, at]
    if phase == 3:
        never &= w.distance_km(1) > case.plan.units.options["ring_km"]
    km = w.distance_km(phase)
    direct = effect.n_treated * w.truth.att("jobs", phase)
    spilled = 0.0
    for name, (low, high) in BANDS.items():
        count = int((never & (km <= high) & ((km > low) | (low == 0))).sum())
        spilled += count * float(np.mean(case.ring_effect(phase, name))) if count else 0.0
    truth = {"direct": direct, "spillover": spilled, "net": direct + spilled}[term]
    row = cells.rows(case.plan, found.net, found.counts).iloc[_at(found.net, term)]
    return Found(float(row["estimate"]), truth, float(row["conf_low"]), float(row["conf_high"]))


for border_ in ("stable", "entered", "left"):
    number(f"relocation: 경계 {border_}", UNITS["relocation"], partial(border_of, name=border_), late=True)
number("jobs: 1단계 효과를 3단계 기업으로 옮긴 값", "명/기업", carried_of, late=True)
for phase_ in (1, 3):
    for term_, label_ in (("spillover", "전치"), ("net", "순효과")):
        number(
            f"jobs: 파급 쪽 {label_} {phase_}단계",
            "명",
            partial(spilled_of, phase=phase_, term=term_),
            late=True,
        )
