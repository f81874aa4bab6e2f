"""How much each cluster weighs in an estimate: leverage, partial leverage, effective number of clusters, deletions.

With A_c = X_c'X_c, B = (ΣA_c)⁻¹ and w = Br/(r'Br) for a term r:

    leverage            tr(A_cB), sums to the number of parameters (unit effects taken out beforehand not counted)
    partial leverage    r'BA_cBr / r'Br, sums to 1: the share of cluster c in the variation of the term
    effective clusters  G*(ρ) = G/(1 + Γ), Γ = mean squared relative deviation of γ_c(ρ) = r'B X_c'[(1−ρ)I + ρ11']X_c Br
    deletion range      smallest and largest estimate without one cluster

MacKinnon, Nielsen & Webb 2023 (J. Econometrics 232), section 5; Carter, Schnepel & Steigerwald 2017 (ReStat 99). Unit
effects absorb what the errors of a cluster share: X_c'1 = 0, so that G*(ρ) = G*(0) for every ρ < 1 and G*(1) does not
exist. Checked against dense matrices: tests/reference/test_cluster_covariances.py.

An estimate without moments by cluster (group-time effects, imputation) has no leverage; the share of each cluster in its CR0
variance, and the number of clusters that these shares amount to, come from its influence functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.cluster import cluster_sums
from evalkit.errors import DesignError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.fitted import labels_of, places
from evalkit.inference.moments import hypotheses
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="cluster_diagnostics",
        name="군집별 지렛대와 유효 군집 수",
        english="cluster leverage, partial leverage, effective number of clusters, leave-one-cluster-out range",
        group="clusters",
        question="추정값과 표준오차가 몇 개 군집에 매달려 있는가?",
        assumptions=("같은 군집 안의 오차는 서로 얼마든지 연관될 수 있고, 군집 사이에는 무관하다.",),
        returns="ClusterDiagnostics (군집·항마다)",
        reference="Carter, Schnepel & Steigerwald (2017); MacKinnon, Nielsen & Webb (2023)",
        oracle=("행렬을 그대로 적은 계산: tests/reference/test_cluster_covariances.py",),
        differs="단위 효과를 뺀 추정에서는 G*(ρ)가 ρ<1 이면 G*(0)과 같고 G*(1)은 없다.",
    ),
)


@dataclass(frozen=True, slots=True)
class ClusterDiagnostics:
    """Clusters of an estimate, one by one.

    Attributes
    ----------
    clusters, terms : labels  # (C,), (k,)
    sizes : units in each cluster  # (C,)
    leverage : tr(A_cB), or None without moments  # (C,)
    partial_leverage : columns sum to 1, or None  # (C, k)
    share : of each cluster in Σ S_cS_c', columns sum to 1, or None without influence functions  # (C, k)
    rho, effective : effective number of clusters at each ρ, or None; NaN where it does not exist  # (r,), (r, k)
    effective_share : 1/Σ share², clusters that the variance comes from  # (k,)
    low, high : smallest and largest estimate without one cluster; NaN without replicates  # (k,)
    low_without, high_without : which cluster that is; "" without replicates  # (k,)
    undefined : clusters without which the term cannot be estimated  # (k,) tuples
    variation : coefficient of variation of "sizes", "leverage", and per term "partial_leverage", "replicates"
    notes : "no_moments" (no leverage: not a regression as fitted), "no_replicates", "moulton_absorbed" (G*(ρ) = G*(0))
    """

    clusters: tuple[str, ...]
    terms: tuple[str, ...]
    sizes: NDArray[np.int64]
    leverage: Floats | None
    partial_leverage: Floats | None
    share: Floats | None
    rho: Floats
    effective: Floats | None
    effective_share: Floats
    low: Floats
    high: Floats
    low_without: tuple[str, ...]
    high_without: tuple[str, ...]
    undefined: tuple[tuple[str, ...], ...]
    variation: dict[str, Floats]
    notes: tuple[str, ...]


def cluster_diagnostics(est: Estimate, rho: Sequence[float] = (0.0, 1.0)) -> ClusterDiagnostics:
    """Leverage, partial leverage, effective number of clusters and deletions of each term.

    Parameters
    ----------
    est : any estimate; leverage needs a least-squares fit with its terms as fitted or selected
    rho : correlations of errors inside a cluster at which the effective number of clusters is wanted

    Raises
    ------
    UsageError : a correlation outside 0–1
    DesignError : no term with an estimate
    """
    at_rho = np.asarray(tuple(rho), dtype=np.float64)
    if not ((at_rho >= 0) & (at_rho <= 1)).all():
        raise UsageError(
            f"군집 안 상관 {tuple(rho)} 이(가) 0과 1 사이가 아님", remedy="0, 0.5, 1 처럼 적을 것"
        )
    if np.isnan(est.values).all():
        raise DesignError("추정된 항이 없어 군집을 진단할 수 없음", remedy="추정 결과를 먼저 확인할 것")
    notes = []
    sizes = np.bincount(est.cluster, minlength=est.n_clusters)
    variation = {"sizes": _variation(sizes.astype(np.float64)[:, None])}
    leverage = partial = effective = None
    if "gram" in est.detail and places(est) is not None:
        leverage, partial, effective, absorbed = _from_moments(est, at_rho)
        variation |= {"leverage": _variation(leverage[:, None]), "partial_leverage": _variation(partial)}
        notes += ["moulton_absorbed"] if absorbed else []
    else:
        notes.append("no_moments")
    share = _shares(est)
    with np.errstate(divide="ignore", invalid="ignore"):
        effective_share = np.full(len(est), np.nan) if share is None else 1 / np.square(share).sum(axis=0)
    if est.replicates is None:
        notes.append("no_replicates")
    else:
        variation["replicates"] = _variation(est.replicates)
    labels = tuple(str(label) for label in est.cluster_labels)
    low, high, low_at, high_at, undefined = _deletions(est, labels)
    return ClusterDiagnostics(
        clusters=labels,
        terms=tuple(labels_of(est)),
        sizes=sizes,
        leverage=leverage,
        partial_leverage=partial,
        share=share,
        rho=at_rho,
        effective=effective,
        effective_share=effective_share,
        low=low,
        high=high,
        low_without=low_at,
        high_without=high_at,
        undefined=undefined,
        variation=variation,
        notes=tuple(notes),
    )


def _variation(columns: Floats) -> Floats:
    """Standard deviation over |mean| of each column, NaN left out  # (k,)"""
    out = np.full(columns.shape[1], np.nan)
    for j, column in enumerate(columns.T):
        known = column[np.isfinite(column)]
        if len(known) > 1 and known.mean() != 0:
            out[j] = known.std(ddof=1) / abs(known.mean())
    return out


def _from_moments(est: Estimate, rho: Floats) -> tuple[Floats, Floats, Floats, bool]:
    """Leverage (C,), partial leverage (C, k), effective clusters (r, k), and whether unit effects absorb ρ."""
    known = np.flatnonzero(~np.isnan(est.values))
    asked = hypotheses(est, known, method="군집 진단")
    bread = np.linalg.inv(asked.gram.sum(axis=0))
    leverage: Floats = np.einsum("cpq,qp->c", asked.gram, bread)
    across = bread @ asked.rows.T  # Br  (P, m)
    alone = np.einsum("pm,cpq,qm->cm", across, asked.gram, across, optimize=True)  # γ_c(0)
    partial = np.full((est.n_clusters, len(est)), np.nan)
    partial[:, known] = alone / np.einsum("mp,pm->m", asked.rows, across)
    totals = est.detail.get("cluster_totals")
    together = np.zeros_like(alone) if totals is None else np.square(np.asarray(totals) @ across)  # γ_c(1)
    effective = np.full((len(rho), len(est)), np.nan)
    for i, r in enumerate(rho):
        if totals is None and r == 1:
            continue
        gamma = (1 - r) * alone + r * together
        mean = gamma.mean(axis=0)
        effective[i, known] = len(gamma) / (1 + np.square(gamma / mean - 1).mean(axis=0))
    return leverage, partial, effective, totals is None


def _shares(est: Estimate) -> Floats | None:
    if est.influence is None:
        return None
    squares = np.square(cluster_sums(est.influence, est.cluster, est.n_clusters))
    with np.errstate(divide="ignore", invalid="ignore"):
        out: Floats = squares / squares.sum(axis=0)
    return out


def _deletions(
    est: Estimate, labels: tuple[str, ...]
) -> tuple[Floats, Floats, tuple[str, ...], tuple[str, ...], tuple[tuple[str, ...], ...]]:
    k = len(est)
    low, high = np.full(k, np.nan), np.full(k, np.nan)
    low_at, high_at, undefined = [""] * k, [""] * k, [()] * k  # type: tuple[list[str], list[str], list[tuple[str, ...]]]
    if est.replicates is not None:
        for j, column in enumerate(est.replicates.T):
            lost = np.isnan(column)
            if np.isnan(est.values[j]) or lost.all():
                continue
            least, most = int(np.nanargmin(column)), int(np.nanargmax(column))
            low[j], high[j], low_at[j], high_at[j] = column[least], column[most], labels[least], labels[most]
            undefined[j] = tuple(labels[c] for c in np.flatnonzero(lost))
    return low, high, tuple(low_at), tuple(high_at), tuple(undefined)
