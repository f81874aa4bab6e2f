"""Effects on target industries where every province may be treated, each in industries of its own.

What it estimates. Cells are province p × industry k; T_pk = 1 where k is a target of p, from year g on. With the changes
since the base year (the last one before g, anticipation taken off), for each cohort g and year t

    S_pkt − S_pk,base = λ_p + μ_k + β_gt T_pk + ε_pk                                                    (weights w_pk)

over the cells of cohort g and those that are never a target. λ_p takes out what happens to a province as a whole, μ_k what
happens to an industry everywhere: the same industry in other provinces, and other industries of the same province, are the
comparison at once, and no untreated province is needed. By the theorem of Frisch, Waugh and Lovell β is

    β_gt = Σ w T̃ Δ / Σ w T̃²,   T̃ = T less its weighted projection on province and industry dummies,

so that each cell carries the weight w T̃ / Σ w T̃² in *every* year: the weights do not depend on the outcome, sum to one
over targets and to zero within each province and each industry. With one target a province and all cells seen this is the
signed mean of differences of differences, (target − others) at home less (the same industry − others) elsewhere.

β is relative. What a target industry draws from other industries of its province lowers the comparison, and counts in full
as effect; the total of a province has to be looked at beside it.

S, the scale, is declared: "level" (mean change in the unit of the outcome), "log" (100·(e^β − 1) is a per cent; needs every
value above zero) or "growth" (S_t − S_base over the mean of the two, Davis and Haltiwanger; from −2, exit, to 2, entry; a
cell that is zero in both years has no growth and is left out of that year).

Falck, Heblich and Kipar (2010), Industrial innovation: direct evidence from a cluster-oriented policy, RSUE 40: changes of
targeted industries against the same industries elsewhere. Frisch–Waugh–Lovell: Lovell (1963), JASA 58.

Checked against: least squares with all dummies (cell, province × year, industry × year) in statsmodels and pyfixest, and
the 8 means of two provinces and two industries by hand: tests/reference/test_target_industries.py.

``detail``: province, industry, scale, cohort and weight (N,) of the target cells, which `evalkit.aggregate` reads (terms
cohort, period), comparison_weight (N,) of the first cohort's last year, failed (cells with the reason), dropped, notes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import sandwich
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._target_cells import (
    Floats,
    Ints,
    Scale,
    TargetCells,
    change_since,
    check_design,
    cohorts_of,
    projected_out,
    read_cells,
    residual_targets,
)
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Masks = NDArray[np.bool_]

SAME_TARGETS = "모든 시·도의 대상 산업이 같거나 견줄 칸이 모자라 대상 산업의 변화를 산업 전체나 시·도 전체의 변화와 가를 수 없음"

CARDS = (
    MethodCard(
        function="target_industry_effects",
        name="시·도 × 대상 산업 삼중차분",
        english="province × target industry triple differences",
        group="triple",
        question="대상 산업은, 같은 시·도의 다른 산업과 다른 시·도의 같은 산업에 함께 견주어 얼마나 더 변했는가?",
        assumptions=(
            "지원이 없었다면 대상 산업과 다른 산업의 차이는 시·도 사이에서 같은 추세였다.",
            "대상 산업의 지원은 같은 시·도의 다른 산업도, 다른 시·도의 같은 산업도 바꾸지 않는다(옮겨 온 사람은 효과로 셈해진다).",
            "지원 전에는(anticipation 기간을 빼고) 효과가 없다.",
        ),
        returns="cohort, period; 칸(시·도 × 산업)별 영향함수(IF), 시·도를 하나씩 뺀 추정치. `evalkit.aggregate` 로 평균한다",
        reference="Falck, Heblich & Kipar (2010)",
        oracle=(
            "모든 더미를 넣은 최소제곱(statsmodels, pyfixest), 8칸 공식: tests/reference/test_target_industries.py",
            "몬테카를로: tests/recovery/test_target_industries_recovery.py",
        ),
        refuses="모든 시·도의 대상 산업이 같은 자료. 0 이 있는 값의 로그. 비율의 평행추세(link=ratios).",
    ),
)


def target_industry_effects(
    panel: Panel,
    design: Design,
    *,
    province: str = "sido",
    industry: str = "sector",
    scale: Scale = "level",
    replicates: bool | None = None,
) -> Estimate:
    """Effects on the target industries of each cohort in each period.

    Parameters
    ----------
    panel : units are cells of province × industry, each once  # (N, T)
    design : ``adoption`` = first year in which the cell is a target (+inf = it is none); ``weight`` a fixed variable, such
        as jobs before the start; base "universal"; no covariates; ``cluster`` is the province unless it is named
    province, industry : fixed variables
    scale : "level", "log" or "growth": see the module
    replicates : whether each cluster is left out and everything found again; None = yes, where they are not the units

    Returns
    -------
    Estimate
        terms (cohort, period); a cell that fails is NaN ("IF")

    Raises
    ------
    DesignError : every province has the same targets, no clean period, no target, a cell twice, covariates or at_risk
    RefusalError : the logarithm of a value that is not above zero, link "ratios"
    DataError : infinite values, weights that are negative or missing

    Examples
    --------
    >>> y = np.array([[0, 9.], [0, 4.], [0, 3.], [0, 1.]])
    >>> fixed = {"adoption": np.array([2, np.inf, np.inf, np.inf]), "sido": np.array(["a", "a", "b", "b"]),
    ...          "sector": np.array(["x", "y", "x", "y"])}
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": y}, fixed)
    >>> target_industry_effects(panel, Design("y")).select([1]).values
    array([3.])
    """
    check_design(design, scale)
    cells = read_cells(panel, design, province, industry, scale)
    by = province if design.cluster is None else design.cluster
    cluster, labels = panel.clusters(by)
    want = len(labels) < len(panel.units) if replicates is None else replicates
    found = _Found(cells, cluster, len(labels) if want else 0)
    cohorts, notes = cohorts_of(cells, design.anticipation)
    for g, base in cohorts:
        for t in range(len(cells.periods)):
            found.add(g, base, t)
    if not np.isfinite(found.values).any():
        raise DesignError(
            "대상 산업의 효과를 추정할 수 있는 해가 하나도 없음",
            where=(f"결과 {design.outcome}",),
            remedy=found.failed[0]["reason"] if found.failed else "기간과 대상 산업의 목록을 확인할 것",
        )
    about = {"province": province, "industry": industry, "scale": scale, "notes": notes}
    used = np.isin(cells.start, [g for g, _ in cohorts])
    return _estimate(panel, {**design.to_dict(), "cluster": by}, found, labels, about, used)


def _estimate(
    panel: Panel,
    design: dict[str, Any],
    found: _Found,
    labels: NDArray[Any],
    about: dict[str, Any],
    used: Masks,
) -> Estimate:
    """The Estimate of everything that was found; `used` marks cells of cohorts with a base year."""
    cells, influence, values = found.cells, np.column_stack(found.influence), np.array(found.values)
    terms = pd.MultiIndex.from_tuples(found.terms, names=["cohort", "period"])
    return Estimate(
        terms=terms,
        values=values,
        covariance=_covariance(influence, values, found.cluster, len(labels)),
        influence=influence,
        cluster=found.cluster,
        cluster_labels=labels,
        replicates=np.column_stack(found.replicates) if found.clusters else None,
        dof=np.full(len(terms), np.inf),
        n_treated=np.array(found.n_treated),
        n_comparison=np.array(found.n_comparison),
        method=f"target_industries/{about['scale']}",
        inference="IF",
        units=panel.units,
        design=design,
        detail={
            **about,
            "periods": cells.periods,
            "cohort": np.where(used, cells.start, np.nan),
            "weight": np.where(used, cells.weight, 0.0),
            "comparison_weight": found.leverage,
            "failed": found.failed,
            "dropped": {},
        },
    )


# -- one cohort and year -------------------------------------------------------------------------------


class _Levers:
    """Weights w T̃ / Σ w T̃² of the cells seen in one year; found once for each pattern of cells."""

    def __init__(self, cells: TargetCells) -> None:
        self.cells = cells
        self.known: dict[tuple[float, bytes], tuple[Floats, str]] = {}

    def of(self, g: float, seen: Masks) -> tuple[Floats, str]:
        """The weights  # (n seen,), or a sentence why there are none"""
        key = (g, seen.tobytes())
        if key not in self.known:
            self.known[key] = self._made(g, seen)
        return self.known[key]

    def _made(self, g: float, seen: Masks) -> tuple[Floats, str]:
        cells = self.cells
        target = (cells.start[seen] == g).astype(np.float64)
        if not target.any():
            return np.zeros(0), "대상 산업의 값이 있는 칸이 없음"
        w = cells.weight[seen]
        left = residual_targets(target, cells.province[seen], cells.industry[seen], w)
        if not left.any():
            return np.zeros(0), SAME_TARGETS
        return w * left / float(w @ left**2), ""


class _Found:
    """What was estimated, term after term."""

    def __init__(self, cells: TargetCells, cluster: Ints, clusters: int) -> None:
        self.cells, self.cluster, self.clusters = cells, cluster, clusters
        self.levers = _Levers(cells)
        self.terms: list[tuple[int, int]] = []
        self.values: list[float] = []
        self.influence: list[Floats] = []
        self.replicates: list[Floats] = []
        self.n_treated: list[int] = []
        self.n_comparison: list[int] = []
        self.failed: list[dict[str, Any]] = []
        self.leverage = np.zeros(len(cells.y))

    def add(self, g: float, base: int, t: int) -> None:
        """One cohort and year; the base year is 0 by construction."""
        cells = self.cells
        change = change_since(cells, base, t)
        seen = ((cells.start == g) | np.isinf(cells.start)) & np.isfinite(change) & (cells.weight > 0)
        lever, why = self.levers.of(g, seen)
        beta = np.nan if why else float(lever @ change[seen])
        psi = np.full(len(seen), np.nan if why else 0.0)
        if why:
            self.failed.append({"cohort": int(g), "period": int(cells.periods[t]), "reason": why})
        else:
            target = (cells.start[seen] == g).astype(np.float64)
            place = (cells.province[seen], cells.industry[seen], cells.weight[seen])
            psi[seen] = len(seen) * lever * projected_out(change[seen] - beta * target, *place)
            self.leverage = np.zeros(len(seen))
            self.leverage[seen] = lever
        self.terms.append((int(g), int(cells.periods[t])))
        self.values.append(beta)
        self.influence.append(psi)
        self.replicates.append(np.array([self._without(c, g, seen, change) for c in range(self.clusters)]))
        self.n_treated.append(int((seen & (cells.start == g)).sum()))
        self.n_comparison.append(int((seen & np.isinf(cells.start)).sum()))

    def _without(self, c: int, g: float, seen: Masks, change: Floats) -> float:
        kept = seen & (self.cluster != c)
        lever, why = self.levers.of(g, kept)
        return np.nan if why else float(lever @ change[kept])


def _covariance(influence: Floats, values: Floats, cluster: Ints, clusters: int) -> Floats:
    """Sandwich; NaN in rows and columns of what was not estimated."""
    covariance = sandwich(np.nan_to_num(influence), cluster, clusters)
    lost = np.isnan(values)
    covariance[lost, :] = np.nan
    covariance[:, lost] = np.nan
    return covariance


__all__ = ["target_industry_effects"]
