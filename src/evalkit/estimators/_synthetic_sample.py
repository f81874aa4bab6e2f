"""Units behind a synthetic comparison: donors never treated, cohorts with enough clean periods, nothing missing.

Donors and treated units stand in the order of their labels, so that seeded draws do not depend on the order of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.two_way import demean, projection
from evalkit.design import Design
from evalkit.errors import DataError, DesignError
from evalkit.estimators.cohort_sample import adoption_codes
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

SHOWN = 10  # names of units that a sentence lists at most


@dataclass(frozen=True, slots=True)
class Cohort:
    """Units that adopt in one period: positions of rows and of periods in the sample."""

    adoption: int
    treated: Positions  # rows
    pre: Positions  # clean periods before adoption, anticipation left out
    post: Positions


@dataclass(frozen=True, slots=True)
class SyntheticSample:
    """Balanced outcomes of the units used.

    outcome : less what the covariates explain  # (n, T)
    donors : rows of the never treated  # (J,)
    cohorts : in order of adoption
    cluster : codes over the clusters that are left  # (n,)
    position : of each row in the panel  # (n,)
    slopes : coefficient of each covariate
    dropped : counts of units by reason; notes : Korean sentences
    """

    outcome: Floats
    units: NDArray[np.generic]
    periods: NDArray[np.int64]
    donors: Positions
    cohorts: tuple[Cohort, ...]
    cluster: Positions
    cluster_labels: NDArray[np.generic]
    position: Positions
    slopes: dict[str, float] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def treated_counts(self) -> Positions:
        """Treated units of each cohort  # (A,)"""
        return np.array([len(cohort.treated) for cohort in self.cohorts], dtype=np.int64)


def draw(panel: Panel, design: Design, *, single: bool = False) -> SyntheticSample:
    """The sample of a design.

    Parameters
    ----------
    single : only one adoption date is allowed

    Raises
    ------
    DesignError : no donor, no cohort with two clean periods, several adoption dates where one is allowed, options of
        the design that the method does not read (weight, at_risk, ratios)
    DataError : infinite values
    """
    _refuse_options(design)
    codes = adoption_codes(panel, design.adoption)
    outcome = panel.values(design.outcome)
    varying = tuple(name for name in design.covariates if name in panel.varying)
    fixed = tuple(name for name in design.covariates if name not in panel.varying)
    notes: list[str] = []
    if fixed:
        for name in fixed:
            panel.constant(name)
        notes.append(f"고정 공변량 {', '.join(fixed)} 은(는) 시간에 따라 바뀌지 않아 쓰지 않았다.")
    layers = [outcome, *(panel.values(name) for name in varying)]
    _refuse_infinite(panel, (design.outcome, *varying))
    seen = ~np.isnan(np.sum(layers, axis=0))
    columns = np.flatnonzero(seen.any(axis=0))
    if len(columns) < 3:
        raise DesignError(
            f"결과 변수 {design.outcome} 이(가) 관측된 기간이 {len(columns)}개뿐임",
            remedy="지원 전 두 기간과 지원 후 한 기간이 있는 자료를 넣을 것",
        )
    periods = panel.periods[columns]
    if len(np.unique(np.diff(periods))) > 1:
        notes.append("기간 사이의 간격이 고르지 않다. 잡음의 크기는 이어진 관측의 차이로 재었다.")
    dropped: dict[str, int] = {}
    codes = _usable(codes, seen[:, columns], panel, periods, design, dropped, notes)
    rows = np.flatnonzero(~np.isnan(codes))
    rows = rows[np.argsort(panel.units[rows], kind="stable")]
    sample_codes = codes[rows]
    donors = np.flatnonzero(np.isposinf(sample_codes))
    _require(donors, sample_codes, design, panel, single)
    clean = np.unique(sample_codes[np.isfinite(sample_codes)])
    cohorts = tuple(_cohort(int(g), sample_codes, periods, design.anticipation) for g in clean)
    y, slopes = _without_covariates(
        [layer[np.ix_(rows, columns)] for layer in layers], varying, sample_codes, periods, design
    )
    if design.cluster is None:
        cluster, labels = np.arange(len(rows)), panel.units[rows]
    else:
        codes_, names = panel.clusters(design.cluster)
        present, cluster = np.unique(codes_[rows], return_inverse=True)
        labels = names[present]
    return SyntheticSample(
        outcome=y,
        units=panel.units[rows],
        periods=periods,
        donors=donors,
        cohorts=cohorts,
        cluster=cluster.astype(np.int64),
        cluster_labels=labels,
        position=rows,
        slopes=slopes,
        dropped=dropped,
        notes=tuple(notes),
    )


def _refuse_options(design: Design) -> None:
    if design.link != "levels":
        raise DesignError(
            "합성 비교집단은 수준(levels)의 결과만 다룸",
            remedy="link 를 levels 로 두고, 비율로 보려면 로그 결과를 그 이름으로 쓸 것",
        )
    if design.weight is not None:
        raise DesignError(
            f"합성 비교집단은 단위 가중치 {design.weight} 을(를) 다루지 않음",
            remedy="가중 평균한 지역 단위로 묶은 뒤 가중치 없이 추정할 것",
        )
    if design.at_risk is not None:
        raise DesignError(
            f"합성 비교집단은 at_risk {design.at_risk} 을(를) 다루지 않음",
            remedy="표본을 미리 고르고 at_risk 를 비울 것",
        )


def _refuse_infinite(panel: Panel, names: tuple[str, ...]) -> None:
    for name in names:
        infinite = np.isinf(panel.values(name))
        if infinite.any():
            at = np.argwhere(infinite)[0]
            raise DataError(
                f"변수 {name} 에 무한대 값이 있음",
                where=(f"단위 {panel.units[at[0]]}", f"{panel.periods[at[1]]}"),
                remedy="0으로 나눈 값이나 log(0)을 먼저 고칠 것",
            )


def _listed(names: NDArray[np.generic]) -> str:
    shown = ", ".join(str(name) for name in names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} 외 {len(names) - SHOWN}개"


def _usable(
    codes: Floats,
    seen: NDArray[np.bool_],
    panel: Panel,
    periods: NDArray[np.int64],
    design: Design,
    dropped: dict[str, int],
    notes: list[str],
) -> Floats:
    """Codes with NaN for units that leave; each reason is counted and told."""
    ahead, first, last = design.anticipation, periods[0], periods[-1]
    codes = np.where(codes > last + ahead, np.inf, codes)
    finite = np.isfinite(codes)
    clean = (periods[None, :] < codes[:, None] - ahead).sum(axis=1)
    reasons = {
        "incomplete": (~seen.all(axis=1), "관측이 빠진 기간이 있어"),
        "already_treated": (finite & (codes - ahead <= first), f"첫 기간 {first} 에 이미 지원받아"),
        "short_history": (finite & (codes - ahead > first) & (clean < 2), "지원 전 기간이 둘보다 적어"),
        "no_post_period": (finite & (codes > last), "지원 뒤의 기간이 없어"),
    }
    gone = np.zeros(len(codes), dtype=bool)
    for reason, (hit, why) in reasons.items():
        hit = hit & ~gone
        gone |= hit
        dropped[reason] = int(hit.sum())
        if hit.any():
            notes.append(f"{why} 뺀 단위 {int(hit.sum())}개: {_listed(panel.units[hit])}.")
    finite_left = finite & ~gone
    if finite.any() and not finite_left.any():
        reason = max(
            ("already_treated", "short_history", "incomplete", "no_post_period"), key=dropped.__getitem__
        )
        cohort = f"{np.nanmin(np.where(finite, codes, np.nan)):g}"
        raise DesignError(
            f"코호트 {cohort} 부터의 지원 단위가 모두 빠짐 ({reasons[reason][1]} {dropped[reason]}개)",
            where=(f"결과 {design.outcome}", f"자료 {first}…{last}"),
            remedy="지원 전 두 기간 이상이 빠짐없이 관측된 자료를 넣거나 anticipation 을 줄일 것",
        )
    return np.where(gone, np.nan, codes)


def _require(donors: Positions, codes: Floats, design: Design, panel: Panel, single: bool) -> None:
    cohorts = np.unique(codes[np.isfinite(codes)])
    if not len(cohorts):
        raise DesignError(
            "지원받은 단위가 하나도 없음", remedy=f"변수 {design.adoption} 과(와) 자료의 기간을 확인할 것"
        )
    if len(donors) < 2:
        everyone = "끝까지 지원받지 않은 단위가 없음" if not len(donors) else "지원받지 않은 단위가 하나뿐임"
        raise DesignError(
            f"합성할 비교 단위가 모자람: {everyone}",
            where=(f"코호트 {', '.join(f'{g:g}' for g in cohorts)}",),
            remedy="지원받지 않은 단위를 더하거나 마지막 코호트의 지원 전까지로 기간을 자를 것",
        )
    if single and len(cohorts) > 1:
        raise DesignError(
            f"도입 시점이 {len(cohorts)}개임: {', '.join(f'{g:g}' for g in cohorts)}",
            remedy="코호트를 하나씩 골라 추정하거나 synthetic_did_effects 를 쓸 것",
        )
    labels = panel.clusters(design.cluster)[1]
    if len(labels) < 2:
        raise DesignError(f"군집 {design.cluster} 이(가) 하나뿐임", remedy="더 잘게 나뉜 군집 변수를 쓸 것")


def _cohort(adoption: int, codes: Floats, periods: NDArray[np.int64], ahead: int) -> Cohort:
    return Cohort(
        adoption,
        np.flatnonzero(codes == adoption),
        np.flatnonzero(periods < adoption - ahead),
        np.flatnonzero(periods >= adoption),
    )


def _without_covariates(
    layers: list[Floats], names: tuple[str, ...], codes: Floats, periods: NDArray[np.int64], design: Design
) -> tuple[Floats, dict[str, float]]:
    """Outcome less x'β, β from untreated cells with unit and period effects ("projected")."""
    y = np.ascontiguousarray(layers[0])
    if not names:
        return y, {}
    clean = (periods[None, :] < codes[:, None] - design.anticipation).astype(np.float64)
    effects = projection(clean)
    x = np.stack([demean(layer, effects).ravel() for layer in layers[1:]], axis=1)
    for j, name in enumerate(names):
        others = x[:, :j]
        left = x[:, j] - (others @ np.linalg.lstsq(others, x[:, j], rcond=None)[0] if j else 0.0)
        spread = np.abs(layers[j + 1] - layers[j + 1].mean()).max()
        if not np.abs(left).max() > 1e-9 * max(spread, np.finfo(float).tiny):
            raise DesignError(
                f"공변량 {name} 이(가) 지원받지 않은 칸에서 단위·기간 효과나 앞의 공변량으로 다 설명됨",
                where=(f"결과 {design.outcome}",),
                remedy=f"공변량에서 {name} 을(를) 뺄 것",
            )
    slopes = np.linalg.lstsq(x, demean(y, effects).ravel(), rcond=None)[0]
    y = y - np.tensordot(slopes, np.stack(layers[1:]), axes=1)
    return y, {name: float(b) for name, b in zip(names, slopes, strict=True)}
