"""Uniform bands over event times with few treated clusters.

`evalkit.inference.few_treated` for several terms at once: the residual paths of comparison clusters go through the weights of
all terms together, each draw is divided by standard errors of its own, and the band is θ̂ ∓ c·se with c a quantile of the
largest |ratio|. Comparison residuals hold no effect, so no null need be imposed and every event time may have its own.

Ferman & Pinto 2019; Alvarez & Ferman 2023 for bands over event times. Where it differs: draws are studentised
(`evalkit.arrays.studentised_paths`). Checked against an explicit loop: tests/reference/test_few_treated.py; coverage:
tests/recovery/test_rigour_M3.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from evalkit.arrays.residual_paths import TIE
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.inference._few_treated_draws import (
    SEED,
    Options,
    Rule,
    Variance,
    facts,
    needed,
    remarks,
    sizes_differ,
    studentised_of,
)
from evalkit.inference._few_treated_paths import Paths, paths_of
from evalkit.inference.estimator_weights import EstimatorWeights
from evalkit.inference.refit import Fit
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

CARDS = (
    MethodCard(
        function="few_treated_band",
        name="지원받은 시도가 몇 안 될 때의 동시신뢰대",
        english="uniform band for few treated clusters",
        group="few_treated",
        question="지원 전후의 모든 경과 기간을 함께 볼 때 효과의 띠는 어디까지인가?",
        assumptions=(
            "지원이 없었다면 평행추세였고, 시도마다의 오차는 서로 독립이며 크기에 따른 분산 말고는 분포가 같다.",
            "비교 시도의 잔차가 지원받은 시도의 오차를 대신할 수 있다.",
        ),
        returns="항마다 표준오차와 동시신뢰대, 모든 항이 0이라는 결합 p 값",
        reference="Ferman & Pinto (2019); Alvarez & Ferman (2023)",
        oracle=("명시적 반복 계산: tests/reference/test_few_treated.py",),
        differs="추출마다 제 표준오차로 나눈다: 나누지 않으면 비교 시도가 10여 개일 때 참인 가설을 8–15 % 기각한다.",
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class FewTreatedBand:
    """A uniform band over terms.

    Attributes
    ----------
    terms, values : labels and estimates  # (K,)
    std_errors : NaN where a term has no weights (the base period)  # (K,)
    low, high : values ∓ critical · std_errors  # (K,)
    critical : quantile of the largest |ratio| over the terms
    p_value : that all terms are 0 together; draws : used; level; notes : codes
    detail : law (a, b of the variance), q by cluster, labels, donors, p_values of single terms
    """

    terms: pd.MultiIndex
    values: Floats
    std_errors: Floats
    low: Floats
    high: Floats
    critical: float
    level: float
    p_value: float
    draws: int
    notes: tuple[str, ...]
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", MappingProxyType(dict(self.detail)))

    def table(self) -> pd.DataFrame:
        """One row a term: estimate, std_error, conf_low, conf_high (of the band), p_value (of the term alone)."""
        columns = {
            "estimate": self.values,
            "std_error": self.std_errors,
            "conf_low": self.low,
            "conf_high": self.high,
            "p_value": self.detail["p_values"],
        }
        return pd.DataFrame(columns, index=self.terms)


def few_treated_band(
    panel: Panel,
    design: Design,
    fit: Fit,
    *,
    terms: ArrayLike | None = None,
    size: str | None = None,
    variance: Variance = "size",
    rule: Rule = "exact",
    draws: int = 9_999,
    seed: int = SEED,
    level: float = 0.95,
    weights: EstimatorWeights | None = None,
) -> FewTreatedBand:
    """Uniform band over the terms of a linear estimate (an event study) with few treated clusters.

    Parameters
    ----------
    panel, design, size, variance, rule, draws, seed, level, weights : as in `ferman_pinto`
    fit : returns several terms, such as ``lambda p, d: event_study(group_time_effects(p, d))``
    terms : mask or positions of the terms in the band; all by default

    Returns
    -------
    FewTreatedBand; donors are the comparison clusters, each draw is studentised

    Raises
    ------
    DesignError : fewer than three comparison clusters, no term with weights; others as in `ferman_pinto`

    Examples
    --------
    >>> from evalkit.estimators.two_way import two_way_event_study
    >>> y = np.random.default_rng(1).normal(size=(14, 5))
    >>> panel = Panel(np.arange(14), np.arange(5), {"y": y}, {"adoption": np.array([3.0, 3.0, *[np.inf] * 12])})
    >>> found = few_treated_band(panel, Design("y"), two_way_event_study, draws=999)
    >>> list(found.terms.get_level_values(0)), found.critical > 2
    ([-3, -2, 0, 1], True)
    """
    options = Options(variance, None, rule, draws, seed, level)
    paths = paths_of(panel, design, fit, size, weights)
    every = np.arange(len(paths.values))
    at = every if terms is None else every[np.asarray(terms)]
    moving = np.flatnonzero((paths.weights[at] != 0).any(axis=(1, 2)))
    if not len(moving):
        raise DesignError("가중치가 있는 항이 없어 신뢰대를 만들 수 없음", remedy="다른 항을 고를 것")
    return _band(paths, at, moving, options)


def _band(paths: Paths, at: Codes, moving: Codes, options: Options) -> FewTreatedBand:
    by_size, notes = sizes_differ(paths, options.variance)
    found, donors = studentised_of(paths, at[moving], by_size, options)
    values, errors = paths.values[at], np.full(len(at), np.nan)
    errors[moving] = found.errors
    ratios = np.abs(found.ratios)
    largest = np.sort(ratios.max(axis=1))[::-1]
    need = needed(options.level, options.draws)
    critical = float(largest[need - 1]) if need else math.inf
    observed = np.abs(values[moving]) / found.errors * (1 - TIE)
    own = np.full(len(at), np.nan)
    own[moving] = (1 + (ratios >= observed).sum(axis=0)) / (options.draws + 1)
    if len(moving) >= len(paths.labels):
        notes.append("more_terms_than_clusters")
    return FewTreatedBand(
        terms=pd.MultiIndex.from_tuples([paths.terms[k] for k in at.tolist()], names=paths.levels),
        values=values,
        std_errors=errors,
        low=values - critical * errors,
        high=values + critical * errors,
        critical=critical,
        level=options.level,
        p_value=float((1 + (largest >= observed.max()).sum()) / (options.draws + 1)),
        draws=options.draws,
        notes=(*remarks(paths, len(donors)), *notes),
        detail={**facts(paths, found.law, found.q, donors, options.rule), "p_values": own},
    )
