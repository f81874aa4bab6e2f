"""What a phase did to firms around its zones, band by band, beside what it did to those it supported: one joint estimate.

The direct effect is the plan's own. Each band is estimated by the same estimator, with firms first near a zone in the phase in
the place of the supported ones and the same comparison firms, far from every zone. Both share their comparison, so their
errors are stacked over the union of units and clusters (`evalkit.appraisal.phases.stack`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit import aggregate
from evalkit.appraisal.phases import stack
from evalkit.errors import DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.inference import ClusterCounts, cluster_counts
from evalkit.panel import Panel
from evalkit.study.effect import Effect
from evalkit.study.fitting import planned_fit
from evalkit.study.plan import Plan
from evalkit.study.sample import draw_sample

# clusters that a band must lie in: with fewer, leaving one out can leave no band
FEWEST = 3
_BAND = re.compile(r"ring_(\d+(?:\.\d+)?)_(\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Band:
    """One band: its name, its ends in km, how many firms were first near a zone in the phase, and why it is left out."""

    name: str
    km: tuple[float, float]
    units: int
    problem: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Direct effect and band effects by event time, with their joint covariance.

    Attributes
    ----------
    joint : terms (kind, ring, event_time), kind "direct" or "ring"
    counts : units that each term stands for: all of its group  # (k,)
    seen : units seen at each term's event time  # (k,)
    bands : every band of the panel, those without an estimate with the reason
    missing : why there are no rings: "absent" (the panel has no bands), "not_asked", "contaminated" (firms near a zone stand in
        the comparison of the direct effect, so that its error and theirs would be counted together), "not_estimated"; "" = there are
    clusters : of the part with the fewest on one side: it decides which inference leads
    """

    joint: Estimate
    counts: NDArray[np.float64]
    seen: NDArray[np.float64]
    bands: tuple[Band, ...]
    clusters: ClusterCounts
    missing: str = ""

    @property
    def event_times(self) -> NDArray[np.int64]:
        """Event time of each term."""
        return np.asarray(self.joint.terms.get_level_values("event_time"), dtype=np.int64)

    @property
    def direct(self) -> NDArray[np.bool_]:
        """Which terms are the direct effect."""
        return np.asarray(self.joint.terms.get_level_values("kind") == "direct")

    @property
    def has_rings(self) -> bool:
        """Whether any band could be estimated."""
        return not bool(self.direct.all())


def band_names(panel: Panel) -> tuple[tuple[str, tuple[float, float]], ...]:
    """Names and ends of the bands that the panel has, the nearest first."""
    found = [(name, m) for name in panel.varying if (m := _BAND.fullmatch(name))]
    return tuple(sorted(((name, (float(m[1]), float(m[2]))) for name, m in found), key=lambda pair: pair[1]))


def first_near(panel: Panel) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """When each unit was first in any band (+inf = never), and which band that was (−1 = none)  # (N,), (N,)"""
    bands = band_names(panel)
    inside = np.stack([panel.values(name) == 1 for name, _ in bands])  # (bands, N, T)
    any_band: NDArray[np.bool_] = np.asarray(inside.any(axis=0), dtype=bool)
    at = any_band.argmax(axis=1)
    ever = any_band.any(axis=1)
    year = np.where(ever, panel.periods[at].astype(np.float64), np.inf)
    which = np.where(ever, inside[:, np.arange(len(at)), at].argmax(axis=0), -1)
    return year, which.astype(np.int64)


def paths_of(plan: Plan, panel: Panel, effect: Effect, *, rings: bool = True) -> Paths:
    """The direct effect of a phase and, where the panel has bands and the plan asks for them, the effect on each.

    Bands in which nobody was first near a zone in the phase, or that cannot be estimated, stand with the reason.
    """
    direct = _post(effect.plain)
    parts: dict[int, Estimate] = {0: direct}
    counts = [np.full(len(direct), float(effect.n_treated))]
    clusters = [effect.counts]
    bands: list[Band] = []
    missing = "not_estimated"
    named = band_names(panel)
    if not rings or not named:
        missing, named = "absent" if rings else "not_asked", ()
    else:
        near, which = first_near(panel)
        if _near_units_compared(panel, effect, near):
            missing, named = "contaminated", ()
        else:
            named, which = _without_thin(plan, panel, effect, named, near, which)
    for at, (name, km) in enumerate(named):
        try:
            plain, treated, found = _band_effect(plan, panel, effect, near, which == at)
        except EvalkitError as error:
            bands.append(Band(name, km, 0, error.problem))
            continue
        parts[len(parts)] = plain
        counts.append(np.full(len(plain), float(treated)))
        clusters.append(found)
        bands.append(Band(name, km, treated))
    labels = ["", *(band.name for band in bands if not band.problem)]
    joint = stack(parts, level="part")
    part = np.asarray(joint.terms.get_level_values("part"), dtype=int)
    terms = pd.MultiIndex.from_arrays(
        [
            np.where(part == 0, "direct", "ring"),
            [labels[p] for p in part],
            np.asarray(joint.terms.get_level_values("event_time"), dtype=int),
        ],
        names=["kind", "ring", "event_time"],
    )
    return Paths(
        joint=replace(joint, terms=terms, method="net_paths", detail={}),
        counts=np.concatenate(counts),
        seen=np.asarray(joint.n_treated, dtype=np.float64),
        bands=tuple(bands),
        clusters=min(clusters, key=lambda c: c.fewest),
        missing="" if len(parts) > 1 else missing,
    )


def _without_thin(
    plan: Plan,
    panel: Panel,
    effect: Effect,
    named: tuple[tuple[str, tuple[float, float]], ...],
    near: NDArray[np.float64],
    which: NDArray[np.int64],
) -> tuple[tuple[tuple[str, tuple[float, float]], ...], NDArray[np.int64]]:
    """Bands and each unit's band, with a band in too few clusters joined to the next one that holds firms.

    Without one cluster such a band could not be estimated, and the joint estimate would have no error. Reads no outcome.
    """
    mine = _first_near_in_phase(plan, panel, effect, near)
    cluster = effect.sample.design.cluster
    place = panel.units.astype(str) if cluster is None else panel.constant(cluster).astype(str)
    out, bands = which.copy(), list(named)
    held = [at for at in range(len(bands)) if (mine & (out == at)).any()]
    while len(held) > 1:
        thin = [at for at in held if len(np.unique(place[mine & (out == at)])) < FEWEST]
        if not thin:
            break
        k = held.index(thin[0])
        low, high = sorted((thin[0], held[k + 1] if k + 1 < len(held) else held[k - 1]))
        ends = (bands[low][1][0], bands[high][1][1])
        bands[high] = (f"ring_{ends[0]:g}_{ends[1]:g}", ends)
        out[out == low] = high
        held.remove(low)
    joined = set(range(len(bands))) - set(held)
    gone = [at for at in joined if (which == at).any() and not (out == at).any()]
    kept = [at for at in range(len(bands)) if at not in gone]
    place_of = {at: k for k, at in enumerate(kept)}
    return tuple(bands[at] for at in kept), np.array(
        [place_of.get(int(at), -1) for at in out], dtype=np.int64
    )


def _first_near_in_phase(
    plan: Plan, panel: Panel, effect: Effect, near: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Never-supported units first near a zone within the phase  # (N,)"""
    lo, hi = plan.phases[effect.phase].cohorts
    name = plan.outcomes[effect.outcome].adoption or plan.design.adoption
    never = ~np.isfinite(np.asarray(panel.constant(name), dtype=np.float64))
    return np.asarray(never & (near >= lo) & (near <= hi))


def _near_units_compared(panel: Panel, effect: Effect, near: NDArray[np.float64]) -> bool:
    """Whether the direct effect compares with units that were near a zone in its years."""
    sample = effect.sample
    compared = np.isin(panel.units, sample.panel.units[sample.comparison])
    return bool((compared & (near <= float(sample.panel.periods[-1]))).any())


def _band_effect(
    plan: Plan, panel: Panel, effect: Effect, near: NDArray[np.float64], inside: NDArray[np.bool_]
) -> tuple[Estimate, int, ClusterCounts]:
    """Event study of never-supported firms first near a zone in the phase, against those never near one."""
    number, outcome = effect.phase, plan.outcomes[effect.outcome]
    lo, hi = plan.phases[number].cohorts
    adoption = np.asarray(panel.constant(outcome.adoption or plan.design.adoption), dtype=np.float64)
    never = ~np.isfinite(adoption)
    mine = _first_near_in_phase(plan, panel, effect, near) & inside
    if not mine.any():
        raise DesignError(
            f"{number}단계({lo}–{hi}년)에 지구가 처음 가까이 들어선 지원받지 않은 기업이 없음",
            remedy="지구 거리와 단계의 연도를 확인할 것",
        )
    clean = never & ~np.isfinite(near)
    kept = mine | clean
    shifted = panel.with_fixed(
        **{outcome.adoption or plan.design.adoption: np.where(mine, near, np.inf)}
    ).select(kept)
    sample = draw_sample(plan, shifted, effect.outcome, number)
    cells = aggregate.select_cohorts(planned_fit(plan, number).cells(sample.panel, sample.design), lo, hi)
    plain = _post(aggregate.event_study(cells))
    return plain, int(sample.treated.sum()), cluster_counts(cells, sample.treated)


def _post(event: Estimate) -> Estimate:
    """Terms from event time 0 on that could be estimated."""
    times = np.asarray(event.terms.get_level_values("event_time"), dtype=int)
    return event.select((times >= 0) & np.isfinite(event.values))
