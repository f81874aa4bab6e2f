"""Who was supported against what support did: the difference of two phases' effects split after Kitagawa and Oaxaca.

With cells k (industry group × size), shares w_pk of the treated of phase p, and effects τ_pk within cells,

    Δ = Σ_k w_3k τ_3k − Σ_k w_1k τ_1k = Σ_k (w_3k − w_1k) τ̄_k + Σ_k w̄_k (τ_3k − τ_1k)

(Kitagawa 1955; Oaxaca 1973, with the mean of both orderings: Reimers 1983). The orderings themselves, (w_3 − w_1) τ_1 + w_3 (τ_3 − τ_1)
and (w_3 − w_1) τ_3 + w_1 (τ_3 − τ_1), stand beside it. Effects within cells are those of `arrays.stratum_effects`: comparison units
of the same cell, adjusted by least squares. Shares are estimated too: the influence of a treated unit of phase p on w_pk is
(1{k} − w_pk)/n_p. Every part is a sum of products, so its influence follows by the product rule, over the union of the units of
both phases; leaving out a province recomputes shares and effects of both phases.

Cells that are too thin in one of the phases are joined: first the sizes of an industry group, then industry groups.

Checked against brute force over units and a jackknife by hand: tests/reference/test_composition.py; worlds whose phases differ in
composition by construction: tests/recovery/test_comparison_recovery.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.stratum_effects import Stretch, counted, delete_clusters, shares, stratum_effects
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.inference import cluster_counts, headline
from evalkit.inference.choice import Rule
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]
Cell = tuple[str, ...]
ALL = "*"

# part -> weights of (w_1, w_3) and of (τ_1, τ_3) in Σ_k (…)_k (…)_k
PARTS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "first": ((1.0, 0.0), (1.0, 0.0)),
    "last": ((0.0, 1.0), (0.0, 1.0)),
    "composition": ((-1.0, 1.0), (0.5, 0.5)),
    "effect": ((0.5, 0.5), (-1.0, 1.0)),
    "composition_first": ((-1.0, 1.0), (1.0, 0.0)),
    "effect_last": ((0.0, 1.0), (-1.0, 1.0)),
    "composition_last": ((-1.0, 1.0), (0.0, 1.0)),
    "effect_first": ((1.0, 0.0), (-1.0, 1.0)),
}

CARDS = (
    MethodCard(
        function="split_difference",
        name="두 단계 차이의 구성·효과 분해",
        english="Kitagawa–Oaxaca decomposition of two effects on the treated",
        group="phases",
        question="두 단계의 효과가 다른 것은 지원받은 기업이 달라서인가, 같은 기업에서도 효과가 달라서인가?",
        assumptions=(
            "칸(업종 묶음 × 규모) 안에서 지원이 없었다면 지원 기업과 비교 기업의 변화가 통제변수로 같아진다.",
            "칸을 정하는 변수는 지원 전에 정해졌다.",
        ),
        returns="part (first, last, total, composition, effect, 두 순서); 칸별 몫과 효과; 합친 단위의 영향함수, 군집을 뺀 추정치",
        reference="Kitagawa (1955); Oaxaca (1973); Reimers (1983)",
        oracle=(
            "단위를 하나씩 센 계산과 손으로 한 잭나이프: tests/reference/test_composition.py",
            "구성이 다르게 만든 세계: tests/recovery/test_comparison_recovery.py",
        ),
        refuses="합치고도 지원·비교 단위가 모자란 칸뿐인 자료.",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class PhaseUnits:
    """Units of one phase and what splits them.

    Attributes
    ----------
    phase : number of the phase
    units : labels  # (N,)
    cluster : labels of the clusters  # (N,)
    cells : industry group and size (or any facts from before treatment), one tuple a unit; () takes no part  # N
    y, at_risk, periods, cohort, x, anticipation : as in `evalkit.arrays.stratum_effects.Stretch`
    """

    phase: int
    units: NDArray[np.str_]
    cluster: NDArray[np.str_]
    cells: Sequence[Cell]
    y: Floats
    at_risk: NDArray[np.bool_]
    periods: NDArray[np.int64]
    cohort: Floats
    x: Floats
    anticipation: int = 0

    def stretch(self, place: dict[Cell, int], labels: pd.Index) -> Stretch:
        """As arrays, cells by number and clusters by position in `labels`."""
        return Stretch(
            self.y,
            self.at_risk,
            self.periods,
            self.cohort,
            np.array([place.get(cell, -1) for cell in self.cells], dtype=np.int64),
            self.x,
            labels.get_indexer(pd.Index(self.cluster)).astype(np.int64),
            self.anticipation,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The difference of two phases, split.

    Attributes
    ----------
    phases : earlier, later
    estimate : terms (part): first, last, total, composition, effect, and both orderings
    cells : one row a cell: cell, n_first, n_last (treated), share_first, share_last, effect_first, effect_last, composition,
        effect (what the cell adds to the two parts)
    within : effects by phase and cell, their difference: terms (quantity, cell)
    joined : cells that were too thin, and what they were joined to
    horizon : event times averaged
    reasons : why this inference leads, or why none does
    """

    phases: tuple[int, int]
    estimate: Estimate
    cells: pd.DataFrame
    within: Estimate
    joined: dict[Cell, Cell]
    horizon: tuple[int, ...]
    reasons: tuple[str, ...]


def join_thin_cells(
    first: PhaseUnits, last: PhaseUnits, *, treated: int = 6, clusters: int = 3, comparison: int = 12
) -> dict[Cell, Cell]:
    """Which cell each cell counts as, so that none is too thin in either phase.

    Thin: fewer treated units, clusters with treated units, or comparison units than asked in one of the phases. A thin cell is
    joined with the other sizes of its industry group (its last part becomes ``*``), thin industry groups with one another.

    Returns
    -------
    dict : cell -> cell it counts as (itself where it is not thin)

    Raises
    ------
    DesignError : even all cells together are too thin
    """
    sides = (first, last)
    known = sorted({cell for side in sides for cell in side.cells if cell})
    of = {cell: cell for cell in known}

    def thin(target: Cell) -> bool:
        for side in sides:
            inside = np.array([bool(c) and of[c] == target for c in side.cells])
            is_treated = inside & np.isfinite(side.cohort)
            if (
                is_treated.sum() < treated
                or len(np.unique(side.cluster[is_treated])) < clusters
                or (inside & np.isinf(side.cohort)).sum() < comparison
            ):
                return True
        return False

    for depth in range(max((len(cell) for cell in known), default=0) - 1, -1, -1):
        weak = {target[:depth] for target in set(of.values()) if thin(target)}
        if depth:
            of.update({c: (*c[:depth], *[ALL] * (len(c) - depth)) for c in known if c[:depth] in weak})
            continue
        while any(thin(target) for target in set(of.values())):
            targets = sorted(set(of.values()))
            if len(targets) < 2:
                raise DesignError(
                    "업종과 규모를 모두 합쳐도 지원 단위나 비교 단위가 모자라 구성과 효과를 나눌 수 없음",
                    remedy="비교 단위를 더하거나 두 단계의 차이만 볼 것",
                )
            every = tuple([ALL] * len(known[0]))
            sizes = {t: sum(of[c] == t for s in sides for c in s.cells if c) for t in targets if t != every}
            loose = {t for t in sizes if thin(t)} or {min(sizes, key=lambda t: (sizes[t], t))}
            of.update({c: every for c in known if of[c] in loose})
    return of


def split_difference(
    first: PhaseUnits,
    last: PhaseUnits,
    *,
    horizon: Sequence[int],
    joined: dict[Cell, Cell] | None = None,
    rule: Rule = "auto",
) -> Split:
    """Split the difference of two phases' effects into composition and effect.

    Parameters
    ----------
    first, last : the units of both phases; one unit may stand in both, in one cluster
    horizon : event times averaged, such as (0, 1, 2)
    joined : which cell counts as which; None = `join_thin_cells`
    rule : of inference, as in `evalkit.inference.headline`

    Raises
    ------
    DesignError : all cells are too thin; a cell without an estimate; a unit in two clusters
    """
    of = join_thin_cells(first, last) if joined is None else joined
    sides = tuple(_recoded(side, of) for side in (first, last))
    cells = sorted({cell for side in sides for cell in side.cells if cell})
    place = {cell: k for k, cell in enumerate(cells)}
    labels = pd.Index(np.unique(np.concatenate([side.cluster for side in sides])))
    units = pd.Index(np.unique(np.concatenate([side.units for side in sides])))
    cluster = _clusters(sides, units, labels)
    pieces = [_pieces(side, place, labels, units, tuple(horizon)) for side in sides]
    values, influence, replicates = ([piece[i] for piece in pieces] for i in range(3))
    stretches = [side.stretch(place, labels) for side in sides]
    _all_known(cells, values, sides)
    counts = [int(counted(s).sum()) for s in stretches]
    estimate = _estimate(
        {name: _product(values, influence, replicates, *weights) for name, weights in PARTS.items()},
        "part", units, cluster, labels, max(counts),
    )  # fmt: skip
    estimate = _with_total(estimate)
    treated = [np.isin(units, side.units[np.isfinite(side.cohort)]) for side in sides]
    fewest = min((cluster_counts(estimate, mask) for mask in treated), key=lambda c: c.fewest)
    lead = headline(estimate, fewest, rule=rule)
    within = headline(
        _within(cells, values, influence, replicates, units, cluster, labels), fewest, rule=rule
    )
    return Split(
        phases=(first.phase, last.phase),
        estimate=lead.estimate,
        cells=_table(cells, values, stretches),
        within=within.estimate,
        joined={a: b for a, b in of.items() if a != b},
        horizon=tuple(horizon),
        reasons=lead.reasons,
    )


# a phase as numbers: (shares, effects), each (K,), (n, K) in sum form, or (C, K)
Pair = tuple[Floats, Floats]


def _recoded(side: PhaseUnits, of: dict[Cell, Cell]) -> PhaseUnits:
    return PhaseUnits(
        side.phase, side.units, side.cluster, [of[cell] if cell else () for cell in side.cells],
        side.y, side.at_risk, side.periods, side.cohort, side.x, side.anticipation,
    )  # fmt: skip


def _clusters(sides: Sequence[PhaseUnits], units: pd.Index, labels: pd.Index) -> NDArray[np.int64]:
    cluster = np.full(len(units), -1, dtype=np.int64)
    for side in sides:
        at, code = units.get_indexer(pd.Index(side.units)), labels.get_indexer(pd.Index(side.cluster))
        clash = (cluster[at] >= 0) & (cluster[at] != code)
        if clash.any():
            raise DesignError(
                f"단위 {int(clash.sum())}개의 군집이 단계마다 다름",
                remedy="군집을 기준 시점의 값으로 고정할 것",
            )
        cluster[at] = code
    return cluster


def _pieces(
    side: PhaseUnits, place: dict[Cell, int], labels: pd.Index, units: pd.Index, times: tuple[int, ...]
) -> tuple[Pair, Pair, Pair]:
    """Values, influence over the union of units, and replicates, of shares and of effects."""
    stretch, k = side.stretch(place, labels), len(place)
    at = units.get_indexer(pd.Index(side.units))
    found, (share, share_influence) = stratum_effects(stretch, k, times), shares(stretch, k)
    wide = [np.zeros((len(units), k)) for _ in range(2)]
    wide[0][at], wide[1][at] = share_influence, found.influence
    without = np.stack([shares(stretch.without(c), k)[0] for c in range(len(labels))])
    return (
        (share, found.values),
        (wide[0], wide[1]),
        (without, delete_clusters(stretch, k, times, len(labels))),
    )


def _all_known(cells: list[Cell], values: Sequence[Pair], sides: Sequence[PhaseUnits]) -> None:
    for (_, effects), side in zip(values, sides, strict=True):
        lost = np.flatnonzero(np.isnan(effects))
        if len(lost):
            raise DesignError(
                f"{side.phase}단계에서 칸 {' · '.join(cells[int(lost[0])])} 의 효과를 추정할 수 없음 (모두 {len(lost)}칸)",
                remedy="칸을 더 합치거나 평균하는 경과 연수를 줄일 것",
            )


Three = tuple[float, Floats, Floats]


def _product(
    values: Sequence[Pair],
    influence: Sequence[Pair],
    replicates: Sequence[Pair],
    of_shares: tuple[float, float],
    of_effects: tuple[float, float],
) -> Three:
    """Σ_k A_k B_k with A and B combinations over phases: value, influence by the product rule (n,), replicates (C,)."""

    def mix(pairs: Sequence[Pair], which: int, weights: tuple[float, float]) -> Floats:
        return np.asarray(sum(w * pair[which] for w, pair in zip(weights, pairs, strict=True)))

    a, b = mix(values, 0, of_shares), mix(values, 1, of_effects)
    psi = mix(influence, 0, of_shares) @ b + mix(influence, 1, of_effects) @ a
    again = (mix(replicates, 0, of_shares) * mix(replicates, 1, of_effects)).sum(axis=1)
    return float(a @ b), psi, again


def _estimate(
    parts: dict[str, Three],
    level: str,
    units: pd.Index,
    cluster: NDArray[np.int64],
    labels: pd.Index,
    treated: int,
) -> Estimate:
    psi = np.stack([three[1] for three in parts.values()], axis=1) * len(units)
    return Estimate(
        terms=pd.MultiIndex.from_arrays([list(parts)], names=[level]),
        values=np.array([three[0] for three in parts.values()]),
        covariance=sandwich(psi, cluster, len(labels)),
        influence=psi,
        cluster=cluster,
        cluster_labels=labels.to_numpy(),
        replicates=np.stack([three[2] for three in parts.values()], axis=1),
        dof=np.full(len(parts), np.inf),
        n_treated=np.full(len(parts), treated),
        n_comparison=np.full(len(parts), len(units) - treated),
        method="composition",
        inference="IF",
        units=units.to_numpy(),
    )


def _with_total(estimate: Estimate) -> Estimate:
    """With the difference itself behind the two phases' effects."""
    names = list(PARTS)
    order = [*names[:2], "total", *names[2:]]
    rows = np.zeros((len(order), len(names)))
    for r, name in enumerate(order):
        if name == "total":
            rows[r, :2] = -1.0, 1.0
        else:
            rows[r, names.index(name)] = 1.0
    return estimate.combine(rows, pd.MultiIndex.from_arrays([order], names=["part"]))


def _within(
    cells: list[Cell],
    values: Sequence[Pair],
    influence: Sequence[Pair],
    replicates: Sequence[Pair],
    units: pd.Index,
    cluster: NDArray[np.int64],
    labels: pd.Index,
) -> Estimate:
    """Effects by phase and cell, and their differences."""
    parts: dict[str, Three] = {}
    for name, weights in (("first", (1.0, 0.0)), ("last", (0.0, 1.0)), ("difference", (-1.0, 1.0))):
        for k in range(len(cells)):
            one, two, three = (
                sum(w * pair[1][..., k] for w, pair in zip(weights, pairs, strict=True))
                for pairs in (values, influence, replicates)
            )
            parts[f"{name}|{k}"] = (float(one), np.asarray(two), np.asarray(three))
    found = _estimate(parts, "term", units, cluster, labels, 0)
    names = [key.split("|") for key in parts]
    terms = pd.MultiIndex.from_arrays(
        [[a for a, _ in names], [" · ".join(cells[int(k)]) for _, k in names]], names=["quantity", "cell"]
    )
    return found.combine(np.eye(len(parts)), terms)


def _table(cells: list[Cell], values: Sequence[Pair], stretches: Sequence[Stretch]) -> pd.DataFrame:
    (w1, t1), (w3, t3) = values
    sizes = [np.bincount(s.stratum[counted(s) & (s.stratum >= 0)], minlength=len(cells)) for s in stretches]
    return pd.DataFrame(
        {
            "cell": cells,
            "n_first": sizes[0],
            "n_last": sizes[1],
            "share_first": w1,
            "share_last": w3,
            "effect_first": t1,
            "effect_last": t3,
            "composition": (w3 - w1) * (t1 + t3) / 2,
            "effect": (w1 + w3) / 2 * (t3 - t1),
        }
    )
