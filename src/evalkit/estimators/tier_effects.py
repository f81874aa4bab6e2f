"""Effects of each tier of a treatment, saturated in cohort and tier, and what separates the tiers.

What it estimates: for each tier d, cohort g and period t, ATT(d|d; g, t): the mean effect of tier d on the units that
chose (or got) tier d, from their change since the base period against the change of units not treated. It is
group-time effects (Callaway and Sant'Anna 2021) with (cohort, tier) in place of the cohort; with one tier the numbers
are the same. Callaway, Goodman-Bacon and Sant'Anna (2024), Difference-in-differences with a continuous treatment,
section 3 for discrete doses.

A difference between tiers is  effect of the dose + selection: ATT(2|2) − ATT(1|1) = [ATT(2|2) − ATT(1|2)] +
[ATT(1|2) − ATT(1|1)], where the second bracket is that units of tier 2 might have gained more from tier 1 as well. Only
strong parallel trends (the same mean path at every dose, for every group) makes it the effect of the higher tier;
`tier_contrasts` says so in its terms.

Units of all tiers of the same cohort are never a comparison; units of later cohorts, of any tier, are (comparison
"not_yet").

Checked against: fixest 0.14.2 on the S6 panel, tier × year dummies with unit effects (points 1e-8; errors 1e-6 after
its factor), group-time effects when there is one tier (tests/reference/test_tier_effects.py).

``detail``: tier (name), tiers (labels), units_by_tier, caution (contrasts only), and the keys of every method over
groups: periods, covariates, failed, dropped, max_propensity, trimmed, missing, notes.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd

from evalkit.arrays.doubly_robust import Method
from evalkit.design import Design
from evalkit.errors import DesignError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._group_cells import (
    GroupCell,
    chosen_rows,
    estimate_of_rows,
    nothing_left,
    run_cells,
)
from evalkit.estimators._group_sample import (
    Floats,
    GroupSample,
    Missing,
    build_groups,
    check_options,
    fixed_labels,
    starting_periods,
    wants_replicates,
)
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Level = Literal["cell", "event_time", "overall"]

CARDS = (
    MethodCard(
        function="tier_effects",
        name="발전단계별 효과",
        english="saturated cohort × tier effects",
        group="doses",
        question="각 발전단계(등급)의 지원은 그 등급을 받은 단위에 얼마의 효과를 냈는가?",
        assumptions=(
            "기준 기간의 공변량이 같으면 각 등급의 단위와 비교 단위는 지원이 없었다면 추세가 같았다.",
            "지원 전에는 효과가 없다.",
            "등급은 지원을 시작할 때 정해지고 바뀌지 않는다.",
        ),
        returns="tier, cohort, period (또는 tier, event_time · tier); 영향함수(IF), 군집을 뺀 추정치",
        reference="Callaway, Goodman-Bacon & Sant'Anna (2024); Callaway & Sant'Anna (2021)",
        oracle=(
            "R fixest 0.14.2, 등급이 하나면 집단-시점 효과와 같음: tests/reference/test_tier_effects.py",
        ),
        refuses="비율의 평행추세(link=ratios).",
    ),
    MethodCard(
        function="tier_contrasts",
        name="발전단계 사이의 차이",
        english="contrasts across tiers",
        group="doses",
        question="등급마다 추정한 효과는 서로 얼마나 다른가(등급을 바꾼 효과가 아니다)?",
        assumptions=(
            "각 등급의 효과에 필요한 가정이 모두 성립한다.",
            "차이를 등급을 올린 효과로 읽으려면 강한 평행추세가 더 필요하다: 모든 등급의 단위가 같은 등급을 받았다면 같은 길을 걸었다.",
        ),
        returns="contrast, event_time (또는 contrast); 공분산은 두 등급의 비교 단위를 함께 쓴 것까지 담는다",
        reference="Callaway, Goodman-Bacon & Sant'Anna (2024)",
        oracle=("등급별 효과의 선형결합, R fixest 0.14.2: tests/reference/test_tier_effects.py",),
        differs="항의 이름과 detail 에 인과 효과가 아니라고 적는다.",
    ),
)

CAUTION = "등급 사이의 차이에는 등급의 효과와 어떤 단위가 그 등급을 골랐는지가 섞여 있다: 강한 평행추세 없이는 등급을 올린 효과가 아니다."
LABEL = "not causal across tiers without strong parallel trends"


def tier_effects(
    panel: Panel,
    design: Design,
    *,
    tier: str,
    level: Level = "cell",
    horizon: int | None = None,
    method: Method = "dr_improved",
    missing: Missing = "drop",
    replicates: bool | None = None,
) -> Estimate:
    """Effects of each tier on the units of that tier.

    Parameters
    ----------
    panel : a treated unit without a tier is left out and counted
    design : as in group-time effects
    tier : fixed variable, numbers or words; not read for units that are never treated  # (N,)
    level : "cell" (tier, cohort, period), "event_time" (tier, event_time: mean over the tier's cohorts by their
        treated units) or "overall" (tier: mean over all treated unit-periods from the start on)
    horizon : event times up to this one only
    method, missing, replicates : as in group-time effects ("rows" is not offered)

    Returns
    -------
    Estimate
        normal inference from the influence function ("IF"); at level "cell" a cell that cannot be estimated is NaN

    Raises
    ------
    DesignError : no unit with a tier, no clean period, no comparison units, one cluster
    RefusalError : link "ratios"
    DataError : negative weights or infinite values

    Examples
    --------
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 3.], [0, 5.], [1, 2.], [0, 1.]])},
    ...               {"adoption": np.array([2, 2, np.nan, np.nan]), "tier": np.array([1, 2, np.nan, np.nan])})
    >>> tier_effects(panel, Design("y", base="varying"), tier="tier").values.tolist()
    [2.0, 4.0]
    """
    check_options(design, method, missing)
    _known(level)
    sample, labels, dropped, notes = _sample(panel, design, tier, missing)
    terms, cells, skipped = _cells(sample, design, labels, level, horizon)
    want = wants_replicates(replicates, design, len(sample.labels))
    rows = run_cells(sample, cells, method, len(terms), average=level != "cell", replicates=want)
    nothing_left(rows, design.outcome, "지원받지 않은 단위를 더하거나 비교집단을 not_yet 으로 넓힐 것")
    kept = np.isfinite(rows.values) if level != "cell" else np.ones(len(terms), dtype=bool)
    codes, sizes = sample.keys[:, 1], sample.sizes()
    treated = np.isfinite(sample.keys[:, 0])
    units = {str(label): int(sizes[treated & (codes == k)].sum()) for k, label in enumerate(labels)}
    detail: dict[str, Any] = {
        "tier": tier,
        "tiers": [str(label) for label in labels],
        "units_by_tier": units,
        "missing": missing,
        "dropped": dropped,
        "notes": [*notes, *skipped],
    }
    label = f"tier_effects/{method}/{level}" + ("" if horizon is None else f"[horizon={horizon}]")
    return estimate_of_rows(panel, design, sample, chosen_rows(rows, kept), terms[kept], label, detail)


def tier_contrasts(
    panel: Panel,
    design: Design,
    *,
    tier: str,
    level: Literal["event_time", "overall"] = "event_time",
    horizon: int | None = None,
    method: Method = "dr_improved",
    missing: Missing = "drop",
    replicates: bool | None = None,
) -> Estimate:
    """Differences between the effects of tiers, higher less lower, labelled as what they are.

    Parameters
    ----------
    panel, design, tier, horizon, method, missing, replicates : as in `tier_effects`
    level : "event_time" or "overall"

    Returns
    -------
    Estimate
        terms (contrast, event_time) or (contrast); contrast reads "2 − 1 (not causal across tiers without strong
        parallel trends)"; ``detail["caution"]`` and the first note say it in Korean. The covariance holds the
        comparison units that the tiers share

    Raises
    ------
    DesignError : fewer than two tiers, and as `tier_effects`
    """
    if level not in ("event_time", "overall"):
        raise DesignError(
            f"등급 사이의 차이는 {level!r} 수준에서 구하지 않음",
            remedy='level="event_time" 이나 "overall" 로 둘 것',
        )
    effects = tier_effects(
        panel,
        design,
        tier=tier,
        level=level,
        horizon=horizon,
        method=method,
        missing=missing,
        replicates=replicates,
    )
    place = {term: i for i, term in enumerate(effects.terms)}
    tiers = list(dict.fromkeys(term[0] for term in effects.terms))
    if len(tiers) < 2:
        raise DesignError(
            f"효과를 추정한 등급이 {len(tiers)}개뿐이라 견줄 것이 없음",
            where=(f"등급 변수 {tier}",),
            remedy="등급이 둘 이상인 변수를 고르거나 tier_effects 로 효과만 볼 것",
        )
    found = []
    for low, high in combinations(tiers, 2):
        for term in (t for t in effects.terms if t[0] == high and (low, *t[1:]) in place):
            name = f"{high} − {low} ({LABEL})"
            found.append(((name, *term[1:]), place[term], place[(low, *term[1:])]))
    weights = np.zeros((len(found), len(effects)))
    for row, (_, plus, minus) in enumerate(found):
        weights[row, plus], weights[row, minus] = 1.0, -1.0
    names = ["contrast", *effects.terms.names[1:]]
    terms = pd.MultiIndex.from_arrays(
        [list(c) for c in zip(*(f[0] for f in found), strict=True)], names=names
    )
    out = effects.combine(weights, terms, method=f"tier_contrasts/{method}/{level}/descriptive")
    per_term = ("max_propensity", "trimmed")
    detail = {key: value for key, value in effects.detail.items() if key not in per_term}
    return replace(out, detail={**detail, "caution": CAUTION, "notes": [CAUTION, *effects.detail["notes"]]})


def _known(level: str) -> None:
    if level not in get_args(Level):
        raise DesignError(f"결과의 수준 {level!r} 을(를) 모름", remedy=nearest(level, get_args(Level)))


def _sample(
    panel: Panel, design: Design, tier: str, missing: Missing
) -> tuple[GroupSample, list[Any], dict[str, int], list[str]]:
    """The sample with groups (cohort, tier code), the tiers' labels, and who was left out before."""
    adoption = starting_periods(panel, design.adoption, design)
    if not np.isfinite(adoption).any():
        raise DesignError(
            "지원받은 단위가 하나도 없음",
            where=(f"도입 {design.adoption}",),
            remedy="도입 시점이 자료의 기간 안에 있는지 확인할 것",
        )
    codes, labels = fixed_labels(panel, tier)
    codes = np.where(np.isfinite(adoption), codes, 0.0)
    without = int(np.isnan(codes).sum())
    notes = [f"지원받았으나 {tier} 이(가) 빈 단위 {without}개는 어느 등급인지 몰라 제외"] if without else []
    if without == int(np.isfinite(adoption).sum()):
        raise DesignError(
            f"지원받은 단위에 {tier} 이(가) 적힌 것이 없음",
            where=(f"등급 변수 {tier}",),
            remedy="등급 변수의 이름을 확인하거나 group_time_effects 를 쓸 것",
        )
    keys: Floats = np.column_stack([adoption, codes])
    return build_groups(panel, design, keys, missing), labels, {"missing_tier": without}, notes


def _cells(
    sample: GroupSample, design: Design, labels: list[Any], level: Level, horizon: int | None
) -> tuple[pd.MultiIndex, list[GroupCell], list[str]]:
    """Every tier, cohort and period with its base and comparison; sentences on cohorts without a clean period."""
    cohort, code = sample.keys.T
    periods, ahead = sample.periods, design.anticipation
    never, open_ = np.isinf(cohort), design.comparison == "not_yet"
    found, notes = [], []
    for k, g in sorted((int(c), float(a)) for a, c in sample.keys if np.isfinite(a)):
        before = sample.before(g, ahead)
        own = (cohort == g) & (code == k)
        (span,) = sample.spans(own)
        if before is None:
            notes.append(
                f"첫 기간 {periods[0]} 에 이미 지원받은 코호트 {g:g} 의 등급 {labels[k]} 단위 {span[1] - span[0]}개는"
                " 기준 기간이 없어 제외"
            )
            continue
        for t in range(0 if design.base == "universal" else 1, len(periods)):
            event = int(periods[t] - g)
            if (horizon is not None and event > horizon) or (level == "overall" and event < 0):
                continue
            base = before if design.base == "universal" or periods[t] >= g else t - 1
            late = open_ & (cohort > periods[max(t, base)] + ahead)
            controls = sample.spans((never | late) & (cohort != g))
            head: dict[str, tuple[Any, ...]] = {
                "cell": (labels[k], int(g), int(periods[t])),
                "event_time": (labels[k], event),
                "overall": (labels[k],),
            }
            where = (("tier", str(labels[k])), ("cohort", int(g)), ("period", int(periods[t])))
            found.append(((k, head[level]), span, controls, base, t, where))
    keys = sorted({f[0] for f in found})
    place = {key: i for i, key in enumerate(keys)}
    cells = [GroupCell(s, ((1.0, c),), b, t, place[key], where) for key, s, c, b, t, where in found]
    names = {
        "cell": ["tier", "cohort", "period"],
        "event_time": ["tier", "event_time"],
        "overall": ["tier"],
    }[level]
    columns = [list(c) for c in zip(*(label for _, label in keys), strict=True)] or [[] for _ in names]
    return pd.MultiIndex.from_arrays(columns, names=names), cells, notes


__all__ = ["tier_contrasts", "tier_effects"]
