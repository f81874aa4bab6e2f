"""Never-supported firms around zones: who comes near a zone within a phase, in which ring, and who is far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import DesignError
from evalkit.panel import Panel
from evalkit.study.effect import Effect
from evalkit.study.plan import Plan
from evalkit.study.sample import scaled_values

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BANDS: tuple[tuple[str, int, int], ...] = (
    ("ring_0_5", 0, 5),
    ("ring_5_10", 5, 10),
    ("ring_10_20", 10, 20),
)
NEAR, EXPOSED = "near_outcome", "exposed_since"
FEWEST = 3


@dataclass(frozen=True, slots=True)
class Band:
    """A ring: its variables, bounds in km (above, up to], and never-supported firms there before its zone went to work."""

    variables: tuple[str, ...]
    low: int
    high: int
    firms: int

    @property
    def name(self) -> str:
        """Such as «ring_5_10»."""
        return f"ring_{self.low}_{self.high}"

    @property
    def label(self) -> str:
        """Such as «5–10»."""
        return f"{self.low}–{self.high}"


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """Never-supported firms near zones and far from them.

    Attributes
    ----------
    panel : their panel, with the outcome as `NEAR` and the start of exposure as `EXPOSED`
    since : first year near a zone, +inf for those that are far  # (N,)
    band : index into `BANDS` in that year, −1 for far firms  # (N,)
    place : cluster  # (N,)
    far : beyond every ring  # (N,)
    before : firms left out because a zone of an earlier phase was near already
    first : first year in which zones of the phase reach anybody
    far_there : far firms at risk in the year before
    """

    panel: Panel
    since: Floats
    band: NDArray[np.int64]
    place: NDArray[Any]
    far: Bools
    before: int
    first: int
    far_there: int


def ring_groups(band: NDArray[np.int64], place: NDArray[Any]) -> list[tuple[int, ...]]:
    """Rings that hold firms; one with too few firms or clusters joins the ring beyond it, the last the one before.

    Without one cluster such a ring could not be estimated at all. The rule reads no outcome.
    """
    groups: list[tuple[int, ...]] = [(j,) for j in range(len(BANDS)) if (band == j).any()]

    def thin(group: tuple[int, ...]) -> bool:
        mask = np.isin(band, group)
        return bool(mask.sum() < FEWEST or len(np.unique(place[mask])) < FEWEST)

    while len(groups) > 1 and any(thin(group) for group in groups):
        at = next(k for k, group in enumerate(groups) if thin(group))
        other = at + 1 if at + 1 < len(groups) else at - 1
        low, high = sorted((at, other))
        groups[low : high + 1] = [groups[low] + groups[high]]
    return [group for group in groups if np.isin(band, group).sum() >= FEWEST]


def _there_before(panel: Panel, since: Floats, at_risk: str | None, values: Floats) -> Bools:
    """Firms at risk in the year before their exposure; a firm that had closed is displaced by nobody  # (N,)"""
    base = panel.periods[None, :] == (since - 1)[:, None]
    there = np.isfinite(values) if at_risk is None else np.nan_to_num(panel.values(at_risk)) > 0
    return np.asarray(np.any(base & there, axis=1))


def firms_around(plan: Plan, panel: Panel, effect: Effect) -> Around:
    """Never-supported firms outside the capital region: who comes near a zone within the phase, and who is far.

    Raises
    ------
    DesignError : the panel has no rings, or nobody comes near a zone within the phase
    """
    missing = [name for name, _, _ in BANDS if name not in panel.varying]
    if missing or "ring" not in panel.fixed:
        raise DesignError(
            f"고리 변수 {(missing or ['ring'])[0]} 이(가) 패널에 없음",
            where=(plan.id,),
            remedy="지구와 시군구의 거리표(zone_distances)를 계획의 sources 에 둘 것",
        )
    lo, hi = plan.phases[effect.phase].cohorts
    never = ~np.isfinite(np.asarray(panel.constant(plan.design.adoption), dtype=np.float64))
    if "capital_region" in panel.fixed:
        never &= panel.constant("capital_region").astype(str) != "1"
    exposure: Bools = np.stack([np.nan_to_num(panel.values(name)) > 0 for name, _, _ in BANDS])  # (J, N, T)
    near: Bools = np.any(exposure, axis=0)
    since = np.where(np.any(near, axis=1), panel.periods[near.argmax(axis=1)].astype(np.float64), np.inf)
    at = near.argmax(axis=1)
    band = np.where(np.any(near, axis=1), exposure[:, np.arange(len(at)), at].argmax(axis=0), -1)
    asked = plan.outcomes[effect.outcome]
    values = scaled_values(panel, asked.variable, asked.scale)
    inside = never & (since >= lo) & (since <= hi)
    at_risk = effect.sample.design.at_risk
    inside &= _there_before(panel, since, at_risk, values)
    window = plan.phases[effect.phase].periods
    far = never & (panel.constant("ring").astype(str) != "1")
    keep, cluster = inside | far, effect.sample.design.cluster
    ready = panel.with_derived((asked.variable,), **{NEAR: values}).with_fixed(
        **{EXPOSED: np.where(inside, since, np.inf)}
    )
    chosen = ready.select(keep, [int(t) for t in panel.periods if window[0] <= t <= window[1]])
    if not inside.any():
        raise DesignError(
            f"{lo}–{hi}년에 지구에서 20km 안에 들게 된 미지원 기업이 없음",
            where=(plan.id, f"phases.{effect.phase}"),
            remedy="단계의 cohorts 와 지구의 지정 연도를 확인할 것",
        )
    first = int(since[inside].min())
    return Around(
        panel=chosen,
        since=np.where(inside, since, np.inf)[keep],
        band=np.where(inside, band, -1)[keep],
        place=panel.constant(cluster)[keep] if cluster else np.arange(int(keep.sum())),
        far=far[keep],
        before=int((never & (since < lo)).sum()),
        first=first,
        far_there=int((far & _there_before(panel, np.full(len(far), float(first)), at_risk, values)).sum()),
    )
