"""The smallest detectable effect with serially correlated errors, in closed form.

With J clusters, J1 of them treated, m periods before and r after, the difference in differences of means has variance

    (1/J1 + 1/J0) · [σ_B²/m + σ_A²/r + (m−1)/m ψ_B + (r−1)/r ψ_A − 2 ψ_X],

ψ the mean covariance of two periods before, two after, one before and one after: Burlig, Preonas & Woerman (2020),
Panel data and experimental design, Journal of Development Economics 144, eq. 2 (there with σ_B = σ_A, P(1−P)J =
1/(1/J1 + 1/J0)). The effect found with probability κ is (t_κ + t_{1−α/2}) standard errors.

The parts are estimated on residuals of cluster means from cluster and period effects, over every window of m + r
periods before adoption. Small samples: the bracket is c'Ωc with c = −1/m before and 1/r after, which sums to zero; so
taking out the cluster's own mean changes nothing, whatever the number of periods (c'MΩMc = c'Ωc), if the two variances
are kept apart; taking out the period means of J clusters leaves (J − 1)/J of it. The one correction is J/(J − 1).
(Burlig et al. pool σ² over all periods, for which residuals need further corrections.)

Checked in tests/reference/test_power_simulation.py: the parts against dense matrices, unbiasedness and the power
reached by simulation with AR(1) errors, and diff_diff 3.13 (``PowerAnalysis``) with equal correlations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from evalkit.arrays.power_draws import cluster_means
from evalkit.checks._power_setting import Asked, Setting, setting_of
from evalkit.design import Design
from evalkit.errors import DesignError, UsageError
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
PARTS = ("sigma2_before", "sigma2_after", "psi_before", "psi_after", "psi_cross")

CARDS = (
    MethodCard(
        function="serial_mde",
        name="계열상관을 반영한 최소 탐지 효과(해석식)",
        english="serial-correlation-robust minimum detectable effect",
        group="before",
        question="지원 전 기간이 짧아 모의할 수 없을 때, 찾아낼 수 있는 가장 작은 효과는 얼마쯤인가?",
        assumptions=(
            "군집끼리 독립이고 변동의 크기와 계열상관이 두 집단에서 같다.",
            "지원 전의 변동이 지원 뒤에도 이어진다.",
        ),
        returns="SerialMde: 최소 탐지 효과(단위와 %), 표준오차, 분산과 공분산의 조각",
        reference="Burlig, Preonas & Woerman (2020)",
        oracle=("밀집 행렬, 모의, diff_diff 3.13: tests/reference/test_power_simulation.py",),
        differs="전후의 분산을 따로 두어 작은 표본의 보정이 J/(J−1) 하나로 정확하다.",
    ),
)


@dataclass(frozen=True, slots=True)
class SerialMde:
    """What `serial_mde` gives.

    smallest : smallest detectable effect, in the unit of the outcome; percent : of `counterfactual_mean`
    std_error : of the difference in differences; dof : J − 2
    sigma2_before, sigma2_after, psi_before, psi_after, psi_cross : parts of the bracket, corrected; ψ of one period is 0
    inflation : standard error over that of errors without serial correlation and the same variances
    clusters, treated, before, after, windows : what it rests on; power, level : asked
    """

    smallest: float
    percent: float
    counterfactual_mean: float
    std_error: float
    dof: float
    sigma2_before: float
    sigma2_after: float
    psi_before: float
    psi_after: float
    psi_cross: float
    inflation: float
    clusters: int
    treated: int
    before: int
    after: int
    windows: int
    power: float
    level: float


def serial_variance(
    sigma2: tuple[float, float], psi: tuple[float, float, float], before: int, after: int
) -> float:
    """The bracket: variance of one cluster's mean after less mean before.

    Parameters
    ----------
    sigma2 : variance of a period before, after
    psi : mean covariance of two periods before, two after, one of each
    """
    m, r = before, after
    return sigma2[0] / m + sigma2[1] / r + (m - 1) / m * psi[0] + (r - 1) / r * psi[1] - 2 * psi[2]


def serial_mde(
    panel: Panel,
    design: Design,
    *,
    before: int | None = None,
    after: int,
    power: float = 0.8,
    level: float = 0.95,
) -> SerialMde:
    """The smallest effect that a difference in differences of cluster means finds with a given probability.

    Parameters
    ----------
    panel : periods before the first adoption only: see `before_adoption`
    design : adoption, cluster, weight, anticipation; covariates are not used, all adoptions are taken to be at once
    before, after : periods of the comparison; before None = half of what is left after ``after``
    power, level : wanted power and confidence level

    Returns
    -------
    SerialMde

    Raises
    ------
    RefusalError : outcomes from adoption on
    DesignError : fewer periods before adoption than before + after, fewer than four clusters, a missing outcome, or a
        cluster with treated and untreated units

    Examples
    --------
    >>> y = np.random.default_rng(1).normal(size=(40, 6))
    >>> panel = Panel(np.arange(40), np.arange(2012, 2018), {"y": y}, {"adoption": np.repeat([2018.0, np.inf], 20)})
    >>> 0.5 < serial_mde(panel, Design("y"), before=2, after=2).smallest < 1.5
    True
    """
    for label, value in (("신뢰수준", level), ("목표 검정력", power)):
        if not 0 < value < 1:
            raise UsageError(f"{label} {value!r} 이(가) 0과 1 사이가 아님", remedy="0.95, 0.8 처럼 적을 것")
    setting = setting_of(panel, design, Asked(after, before))
    means, treated = _cluster_paths(design, setting)
    clusters = len(means)
    m, r = setting.before, setting.after
    starts = range(setting.n_windows)
    parts = np.array([_parts(means[:, s : s + setting.length], m, setting.gap, r) for s in starts])
    parts = parts.mean(axis=0) * (clusters / (clusters - 1))
    bracket = max(serial_variance((parts[0], parts[1]), (parts[2], parts[3], parts[4]), m, r), 0.0)
    error = float(np.sqrt(bracket * (1 / treated + 1 / (clusters - treated))))
    dof = clusters - 2
    smallest = float((stdtrit(dof, power) + stdtrit(dof, 0.5 + level / 2)) * error)
    plain = float(parts[0] / m + parts[1] / r)
    return SerialMde(
        smallest=smallest,
        percent=100 * smallest / abs(setting.mean) if setting.mean != 0 else float("nan"),
        counterfactual_mean=setting.mean,
        std_error=error,
        dof=float(dof),
        **dict(zip(PARTS, map(float, parts), strict=True)),
        inflation=float(np.sqrt(bracket / plain)) if plain > 0 else float("nan"),
        clusters=clusters,
        treated=treated,
        before=m,
        after=r,
        windows=setting.n_windows,
        power=power,
        level=level,
    )


def _cluster_paths(design: Design, setting: Setting) -> tuple[Floats, int]:
    """Mean of each cluster in each period  # (C, T); and the number of treated clusters"""
    panel = setting.panel
    cluster = panel.clusters(design.cluster)[0]
    size = np.bincount(cluster, setting.weight).astype(np.float64)
    y = panel.values(design.outcome)
    if np.isnan(y).any():
        at = np.argwhere(np.isnan(y))[0]
        raise DesignError(
            f"결과 {design.outcome} 에 빈 칸이 있음",
            where=(f"단위 {panel.units[at[0]]}", f"{panel.periods[at[1]]}"),
            remedy="빈 칸이 없는 단위만 남길 것",
        )
    if len(setting.actual) != len(size):
        raise DesignError(
            "한 군집 안에 지원받은 단위와 받지 않은 단위가 섞여 있음",
            where=(f"군집 {design.cluster}",),
            remedy="배정된 단위를 군집으로 두거나 simulated_power 를 쓸 것",
        )
    if len(size) < 4:
        raise DesignError(f"군집이 {len(size)}개라 자유도가 모자람", remedy="더 잘게 나뉜 군집을 쓸 것")
    return cluster_means(y, setting.weight, cluster, size), int(
        np.isfinite(setting.offset)[setting.actual].sum()
    )


def _parts(y: Floats, before: int, gap: int, after: int) -> Floats:
    """σ_B², σ_A², ψ_B, ψ_A, ψ_X of residuals (C, m + gap + r) from cluster and period means; ψ of one period is 0."""
    y = np.concatenate([y[:, :before], y[:, before + gap :]], axis=1)
    left = y - y.mean(axis=0)
    left = left - left.mean(axis=1, keepdims=True)
    omega = left.T @ left / len(left)
    b, a = slice(None, before), slice(before, None)

    def split(block: Floats, n: int) -> tuple[float, float]:
        own = float(np.trace(block)) / n
        return own, (float(block.sum()) - own * n) / (n * (n - 1)) if n > 1 else 0.0

    (sigma_b, psi_b), (sigma_a, psi_a) = split(omega[b, b], before), split(omega[a, a], after)
    return np.array([sigma_b, sigma_a, psi_b, psi_a, float(omega[b, a].mean())])
