"""Balance of two or more groups: means, differences with clustered errors, and tests of all groups and all variables.

A difference of means is the coefficient of a group's indicator in a regression on the reference group, stratum effects
taken out where strata are named (a lottery within strata is balanced only within them). Errors are heteroskedasticity-robust
(HC1) or clustered (CV1 with t(G − 1)). The joint test regresses the indicator of a group on all variables at once.

A p-value here describes a table, it decides nothing: with few clusters it is too small, and a large sample finds any
difference. The normalised difference, which does not grow with the sample, stands beside it (Imbens & Rubin 2015, 14).

Checked against statsmodels (OLS with HC1 and clustered covariance, F tests): tests/unit/test_group_balance.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtrc, stdtr

from evalkit.errors import DataError
from evalkit.method_card import MethodCard

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

CARDS = (
    MethodCard(
        function="group_balance",
        name="여러 집단의 균형",
        english="balance of two or more groups",
        group="before",
        question="지원 전에 집단들은 변수마다 얼마나 다르고, 그 차이가 우연으로 볼 만한가?",
        assumptions=("변수를 지원 전에 쟀다.", "군집을 적으면 군집이 서로 무관하고 많다."),
        returns="GroupBalance: 집단마다 평균·표준편차·수, 기준 집단과의 차이·오차·p값·정규화 차이, 집단 전체와 변수 전체의 F 검정",
        reference="Imbens & Rubin (2015), 14장",
        oracle=("statsmodels: tests/unit/test_group_balance.py",),
        refuses="한쪽 집단이 빈 것; 군집이 하나뿐인 것.",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class GroupBalance:
    """What `group_balance` gives.

    Attributes
    ----------
    groups : the reference first
    summary : by (variable, group): mean, sd, std_error, n, clusters
    differences : by (variable, group but the reference): difference, std_error, dof, p_value, normalised
    equality : by variable: f, dof1, dof2, p_value of no difference between any groups
    joint : by group but the reference: f, dof1, dof2, p_value of no difference in any variable, n
    """

    groups: tuple[str, ...]
    summary: pd.DataFrame
    differences: pd.DataFrame
    equality: pd.DataFrame
    joint: pd.DataFrame


def group_balance(
    variables: Mapping[str, ArrayLike],
    groups: ArrayLike,
    *,
    reference: str,
    cluster: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    order: Sequence[str] | None = None,
) -> GroupBalance:
    """Means of groups and their differences from one of them.

    Parameters
    ----------
    variables : name -> values before the treatment, NaN = missing  # (N,)
    groups : label of each unit's group; "" = in none  # (N,)
    reference : the group that the others are compared with
    cluster : label of each unit's cluster; None = units are independent  # (N,)
    strata : label of each unit's stratum, whose effects are taken out of differences  # (N,)
    weights : finite, >= 0  # (N,)
    order : the groups shown, in order; None = the reference, then the others as they first appear

    Raises
    ------
    DataError : an unknown or empty group, lengths that differ, weights that are none, one cluster
    """
    labels = np.asarray(groups).astype(str)
    n = len(labels)
    columns = {name: np.asarray(values, dtype=np.float64) for name, values in variables.items()}
    wrong = [name for name, values in columns.items() if values.shape != (n,)]
    if wrong:
        raise DataError(f"변수 {wrong[0]!r} 의 길이가 단위 {n}개와 다름", remedy="단위마다 값 하나를 줄 것")
    weight = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if weight.shape != (n,) or not (np.isfinite(weight) & (weight >= 0)).all():
        raise DataError("무게가 단위마다 0 이상 유한한 값이 아님", remedy="무게를 확인할 것")
    shown = _order(labels, reference, order)
    member = _codes(labels, shown)
    blocks = np.arange(n) if cluster is None else pd.factorize(np.asarray(cluster))[0].astype(np.int64)
    levels = None if strata is None else pd.factorize(np.asarray(strata))[0].astype(np.int64)
    clustered = cluster is not None
    summaries, differences, equality = [], [], []
    for name, values in columns.items():
        use = np.isfinite(values) & (member >= 0) & (weight > 0)
        part = _Part(values[use], member[use], blocks[use], weight[use], clustered)
        summaries += [{"variable": name, "group": g, **part.moments(k)} for k, g in enumerate(shown)]
        fitted = part.regress(None if levels is None else levels[use], len(shown))
        differences += [
            {"variable": name, "group": g, **fitted.term(k), "normalised": part.normalised(k)}
            for k, g in enumerate(shown)
            if k
        ]
        equality.append({"variable": name, **fitted.all_zero()})
    joint = [
        {"group": g, **_joint(columns, member, k, blocks, levels, weight, clustered)}
        for k, g in enumerate(shown)
        if k
    ]
    return GroupBalance(
        tuple(shown),
        pd.DataFrame(summaries).set_index(["variable", "group"]),
        pd.DataFrame(differences).set_index(["variable", "group"]),
        pd.DataFrame(equality).set_index("variable"),
        pd.DataFrame(joint).set_index("group"),
    )


def _order(labels: NDArray[np.str_], reference: str, order: Sequence[str] | None) -> list[str]:
    known = [label for label in dict.fromkeys(labels.tolist()) if label]
    shown = list(order) if order is not None else [reference, *(g for g in known if g != reference)]
    if reference in shown:
        shown = [reference, *(g for g in shown if g != reference)]
    missing = [g for g in (reference, *shown) if g not in known]
    if missing or len(shown) < 2:
        what = f"집단 {missing[0]!r} 에 단위가 없음" if missing else "견줄 집단이 하나뿐임"
        raise DataError(what, remedy=f"집단: {', '.join(known) or '없음'}")
    return shown


def _codes(labels: NDArray[np.str_], shown: Sequence[str]) -> Codes:
    place = {group: k for k, group in enumerate(shown)}
    return np.array([place.get(str(label), -1) for label in labels], dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """Coefficients of the tested columns with their covariance."""

    values: Floats
    covariance: Floats
    dof: float

    def term(self, k: int) -> dict[str, float]:
        error = float(np.sqrt(self.covariance[k - 1, k - 1]))
        value = float(self.values[k - 1])
        p_value = 2 * float(stdtr(self.dof, -abs(value) / error)) if error > 0 else np.nan
        return {"difference": value, "std_error": error or np.nan, "dof": self.dof, "p_value": p_value}

    def all_zero(self) -> dict[str, float]:
        """F test of all tested coefficients; those that the others explain do not count."""
        values, rank = _quadratic(self.values, self.covariance)
        if rank == 0 or self.dof <= 0:
            return {"f": np.nan, "dof1": float(rank), "dof2": self.dof, "p_value": np.nan}
        f = values / rank
        return {
            "f": f,
            "dof1": float(rank),
            "dof2": self.dof,
            "p_value": float(fdtrc(rank, self.dof, f)),
        }


def _quadratic(values: Floats, covariance: Floats) -> tuple[float, int]:
    """b' V⁻¹ b over the directions in which V is not zero, and their number."""
    scale = np.sqrt(np.clip(np.diag(covariance), 0, None))
    keep = scale > 0
    if not keep.any():
        return 0.0, 0
    correlation = covariance[np.ix_(keep, keep)] / np.outer(scale[keep], scale[keep])
    size, basis = np.linalg.eigh(correlation)
    real = size > 1e-10 * size.max()
    turned = basis[:, real].T @ (values[keep] / scale[keep])
    return float(np.sum(turned**2 / size[real])), int(real.sum())


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """One variable over the units that have it."""

    values: Floats
    member: Codes
    blocks: Codes
    weight: Floats
    clustered: bool

    def moments(self, k: int) -> dict[str, float]:
        at = self.member == k
        x, w = self.values[at], self.weight[at]
        n, clusters = len(x), len(np.unique(self.blocks[at]))
        if n == 0:
            return {"mean": np.nan, "sd": np.nan, "std_error": np.nan, "n": 0, "clusters": 0}
        mean = float(np.average(x, weights=w))
        # weights are read as frequencies of equal total: the usual divisor where all are equal
        sd = float(np.sqrt(np.sum(w * (x - mean) ** 2) / w.sum() * n / (n - 1))) if n > 1 else np.nan
        fitted = _fit(x, np.ones((n, 1)), w, self.blocks[at], 1, self.clustered)
        error = float(np.sqrt(fitted.covariance[0, 0])) if n > 1 else np.nan
        return {"mean": mean, "sd": sd, "std_error": error, "n": n, "clusters": clusters}

    def normalised(self, k: int) -> float:
        """Difference of means over the root of the mean variance."""
        a, b = self.moments(k), self.moments(0)
        spread = np.sqrt((a["sd"] ** 2 + b["sd"] ** 2) / 2)
        return float((a["mean"] - b["mean"]) / spread) if spread > 0 else np.nan

    def regress(self, levels: Codes | None, groups: int) -> _Fitted:
        """The variable on the indicators of the groups but the first, and a constant or the strata."""
        tested = np.stack([self.member == k for k in range(1, groups)], axis=1).astype(np.float64)
        return _fit(
            self.values,
            np.hstack([tested, _base(levels, len(self.values))]),
            self.weight,
            self.blocks,
            groups - 1,
            self.clustered,
        )


def _base(levels: Codes | None, n: int) -> Floats:
    if levels is None:
        return np.ones((n, 1))
    return np.asarray(levels[:, None] == np.unique(levels)[None, :], dtype=np.float64)


def _fit(y: Floats, x: Floats, weight: Floats, blocks: Codes, tested: int, clustered: bool) -> _Fitted:
    """Weighted least squares; the first `tested` coefficients with HC1 or CV1 covariance."""
    root = np.sqrt(weight)
    design, outcome = x * root[:, None], y * root
    bread = np.linalg.pinv(design.T @ design, rcond=1e-12, hermitian=True)
    beta = bread @ (design.T @ outcome)
    scores = design * (outcome - design @ beta)[:, None]
    n, k = len(y), int(np.linalg.matrix_rank(design)) if len(y) else 0
    if clustered:
        _, code = np.unique(blocks, return_inverse=True)
        count = int(code.max()) + 1 if n else 0
        sums = np.zeros((count, scores.shape[1]))
        np.add.at(sums, code, scores)
        factor = count / (count - 1) * (n - 1) / (n - k) if count > 1 and n > k else np.nan
        meat, dof = sums.T @ sums * factor, float(count - 1)
    else:
        meat, dof = scores.T @ scores * (n / (n - k) if n > k else np.nan), float(n - k)
    covariance = bread @ meat @ bread
    return _Fitted(beta[:tested], covariance[:tested, :tested], dof)


def _joint(
    columns: Mapping[str, Floats],
    member: Codes,
    group: int,
    blocks: Codes,
    levels: Codes | None,
    weight: Floats,
    clustered: bool,
) -> dict[str, float]:
    """The indicator of a group on all variables, among it and the reference; units with every variable."""
    matrix = np.stack(list(columns.values()), axis=1)
    use = np.isfinite(matrix).all(axis=1) & np.isin(member, (0, group)) & (weight > 0)
    count = int(use.sum())
    if count == 0:
        return {"f": np.nan, "dof1": 0.0, "dof2": 0.0, "p_value": np.nan, "n": 0}
    part = matrix[use]
    spread = part.std(axis=0)
    scaled = (part - part.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    x = np.hstack([scaled, _base(None if levels is None else levels[use], count)])
    indicator = (member[use] == group).astype(np.float64)
    fitted = _fit(indicator, x, weight[use], blocks[use], part.shape[1], clustered)
    return {**fitted.all_zero(), "n": count}
