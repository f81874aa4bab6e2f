"""Tiers of support against each other, with the exact permutation of the tier labels over provinces.

A tier belongs to a province, so that its labels are what could have fallen otherwise: every split of the provinces into
groups of the same sizes is gone through, and the difference is computed again for each. With outcome regression the effect on
a supported firm does not depend on which tier its province is in, so that one estimate a province and cohort is enough for
all splits. An interval holds the constant differences that the permutation does not reject.

In earlier phases all provinces got the same money: the same contrast there is a placebo. Provinces chose their tier, and
other programmes overlap with it; the difference is no effect of the tier (`evalkit.estimators.tier_effects`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit import programmes
from evalkit.arrays.acceptance import covered, of_coefficient
from evalkit.arrays.permutations import TIE, all_assignments, as_large, p_value
from evalkit.checks.check import Check
from evalkit.errors import DesignError, EvalkitError
from evalkit.estimate import Estimate
from evalkit.estimators.tier_effects import tier_contrasts, tier_effects
from evalkit.inference.reassignment import least_rejected
from evalkit.interval_set import IntervalSet
from evalkit.study.opinions.question import Question, require, treated_flags
from evalkit.study.opinions.result import Opinion, OpinionRow
from evalkit.study.plan_opinions import TiersOptions
from evalkit.study.sample import AnalysisSample

Floats = NDArray[np.float64]
TIER = "tier_used"


def tiers(question: Question) -> Opinion:
    """Higher less lower tier in the phase; the same in earlier phases as placebo."""
    asked = cast(TiersOptions, question.asked.options)
    require(question.study.panel(question.of.panel), asked.tier)
    sample = with_tier(question.sample(), asked.tier)
    provinces = province_effects(sample, question.horizon)
    found = permuted(provinces, question.level)
    contrast = tier_contrasts(
        sample.panel,
        sample.design,
        tier=TIER,
        level="overall",
        horizon=question.horizon,
        method="dr_improved" if sample.design.covariates else "reg",
        missing="pairs",
    )
    if len(contrast) != 1:
        raise DesignError(
            f"등급이 {len(contrast) + 1}개 이상이라 한 줄로 견줄 수 없음", remedy="두 등급의 변수를 고를 것"
        )
    lead = question.led(contrast, _smaller_tier(contrast, sample))
    high, low = int(provinces.units[provinces.high].sum()), int(provinces.units[~provinces.high].sum())
    rows = [
        _row("contrast", found, high, low),
        *question.rows(lead, [("contrast_jackknife", {}, high, low)]),
    ]
    checks = []
    for phase in asked.placebo_phases:
        row, check = _placebo(question, asked.tier, phase)
        rows += row
        checks.append(check)
    overlap = _phi(provinces) if asked.concurrent == "rise" else None
    return question.answer(
        rows,
        estimate=lead.estimate,
        lead=lead,
        sets={"RI-β": found},
        checks=tuple(checks),
        facts={
            "treated": high,
            "comparison": low,
            "base": sample.baseline,
            "high": ", ".join(provinces.names[provinces.high]),
            "low": ", ".join(provinces.names[~provinces.high]),
            "count": found.draws,
            "smallest_p": found.smallest_p,
            "phi": float("nan") if overlap is None else overlap,
        },
    )


@dataclass(frozen=True, slots=True)
class ProvinceEffects:
    """Mean effect on the supported units of each province over event times 0..horizon.

    Attributes
    ----------
    names : of the provinces  # (P,)
    effect : mean over its unit-periods  # (P,)
    weight : unit-periods behind it  # (P,)
    units : supported units  # (P,)
    high : whether the province is in the higher tier  # (P,)
    """

    names: NDArray[np.str_]
    effect: Floats
    weight: Floats
    units: NDArray[np.int64]
    high: NDArray[np.bool_]

    def contrast(self, high: NDArray[np.bool_], effect: Floats | None = None) -> Floats:
        """Mean of the provinces labelled high less that of the others, by unit-periods, for each labelling  # (B,)"""
        value = self.effect if effect is None else effect
        up, down = high.astype(float), (~high).astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            means = [(side @ (self.weight * value)) / (side @ self.weight) for side in (up, down)]
        return np.asarray(means[0] - means[1])


def with_tier(sample: AnalysisSample, name: str) -> AnalysisSample:
    """The sample with the two tiers of its supported units; units of no tier ("0", "") are not told apart.

    Raises
    ------
    DesignError : not two tiers among the supported units
    """
    raw = np.char.strip(sample.panel.constant(name).astype(str))
    tier = np.where(np.isin(raw, ("", "0", "0.0", "nan")), "", np.char.replace(raw, ".0", ""))
    found = np.unique(tier[sample.treated & (tier != "")])
    if len(found) != 2:
        raise DesignError(
            f"지원받은 단위의 등급이 {len(found)}가지임 ({', '.join(found) or '없음'})",
            where=(f"등급 변수 {name}",),
            remedy="두 등급이 모두 있는 단계와 등급 변수를 고를 것",
        )
    numbers = np.where(tier == "", np.nan, np.where(tier == found[1], 2.0, 1.0))
    return replace(sample, panel=sample.panel.with_fixed(**{TIER: numbers}))


def _smaller_tier(contrast: Estimate, sample: AnalysisSample) -> NDArray[np.bool_]:
    """Supported units of the tier in fewer clusters: their difference is known no better than that tier  # (N,)"""
    place = pd.Index(sample.panel.units).get_indexer(pd.Index(contrast.units))
    tier = np.asarray(sample.panel.constant(TIER), dtype=float)[place]
    sides = [treated_flags(contrast, sample) & (tier == level) for level in (1.0, 2.0)]
    return min(sides, key=lambda side: len(np.unique(contrast.cluster[side])))


def province_effects(sample: AnalysisSample, horizon: int, province: str = "sido") -> ProvinceEffects:
    """Effects by province: tier effects with the province in the place of the tier, by outcome regression."""
    by_province = tier_effects(
        sample.panel,
        sample.design,
        tier=province,
        level="overall",
        horizon=horizon,
        method="reg",
        missing="pairs",
        replicates=False,
    )
    names = np.array([str(label[0]) for label in by_province.terms])
    where = sample.panel.constant(province).astype(str)
    adoption = np.asarray(sample.panel.constant(sample.design.adoption), dtype=float)
    event = sample.panel.periods[None, :] - adoption[:, None]
    seen = np.isfinite(sample.panel.values(sample.design.outcome)) & (event >= 0) & (event <= horizon)
    tier = np.asarray(sample.panel.constant(TIER), dtype=float)
    weight, units, high = [], [], []
    for name in names:
        inside = (where == name) & sample.treated
        weight.append(float(seen[inside].sum()))
        units.append(int(inside.sum()))
        levels = np.unique(tier[inside])
        if len(levels) != 1 or not np.isfinite(levels[0]):
            raise DesignError(
                f"{name} 의 지원받은 단위에 등급이 둘 이상이거나 비어 있음",
                remedy="등급은 시·도마다 하나여야 함",
            )
        high.append(levels[0] == 2.0)
    return ProvinceEffects(
        names, np.asarray(by_province.values), np.array(weight), np.array(units), np.array(high)
    )


def permuted(provinces: ProvinceEffects, level: float) -> IntervalSet:
    """The exact permutation test of the contrast, and the constant differences that it does not reject.

    Of n provinces with k in the higher tier all C(n, k) labellings are listed. A difference κ is tested by taking κ from the
    effects of the provinces that are in the higher tier; the statistic of labelling a is then c_a − κ h_a, with h_a the
    contrast of the true labels under a, against c − κ of the true one.
    """
    codes = provinces.high.astype(np.int64)
    labels = all_assignments(codes, np.zeros(len(codes), dtype=np.int64)) == 1  # (B, P)
    statistic = provinces.contrast(labels)
    own = float(provinces.contrast(provinces.high[None])[0])
    h = provinces.contrast(labels, provinces.high.astype(float))
    same = (labels == provinces.high).all(axis=1)
    b = np.where(same, 0.0, statistic - own * h)
    h = np.where(same, 1.0, h)
    mirror = (np.abs(np.abs(h) - 1.0) < TIE) & (np.abs(b) < TIE * max(1.0, abs(own)))
    starts, ends = of_coefficient(b, h, same | mirror)
    pieces = covered(starts, ends, least_rejected(len(b), level))
    smallest = float((same | mirror).mean())
    return IntervalSet(
        estimate=own,
        pieces=tuple((own + low, own + high) for low, high in pieces),
        level=level,
        p_value=p_value(as_large(own, statistic), exact=True),
        method="RI-β",
        smallest_p=smallest,
        exact=True,
        draws=len(b),
        notes=("no_rejection_possible",) if smallest > 1 - level else (),
        detail={"placebos": statistic},
    )


def _row(code: str, found: IntervalSet, high: int, low: int, **values: str) -> OpinionRow:
    return OpinionRow(
        code,
        found.estimate,
        found.low,
        found.high,
        found.p_value,
        treated=high,
        comparison=low,
        by=found.method,
        values=values,
    )


def _placebo(question: Question, tier: str, phase: int) -> tuple[list[OpinionRow], Check]:
    """The same contrast in a phase in which all provinces had the same money."""
    try:
        sample = with_tier(question.sample(phase=phase), tier)
        provinces = province_effects(sample, question.horizon)
        found = permuted(provinces, question.level)
    except EvalkitError as error:
        return [], Check(
            "tier_placebo", "unknown", "no_answer", detail={"phase": phase, "why": error.problem}
        )
    high, low = int(provinces.units[provinces.high].sum()), int(provinces.units[~provinces.high].sum())
    verdict = "fail" if found.p_value <= 1 - question.level else "pass"
    check = Check(
        "tier_placebo",
        "fail" if verdict == "fail" else "pass",
        "differed_before" if verdict == "fail" else "no_difference_found",
        found.estimate,
        found.p_value,
        {"phase": phase},
    )
    return [_row("placebo", found, high, low, phase=str(phase))], check


def _phi(provinces: ProvinceEffects) -> float | None:
    """Correlation (φ) of the tier with the RISE pilot over the provinces; None where the pilot is not known of them."""
    pilot = {t.province for t in programmes.treatments() if t.programmes.get("rise_pilot")}
    other = np.isin(provinces.names, list(pilot)).astype(float)
    mine = provinces.high.astype(float)
    if not set(provinces.names) <= set(programmes.provinces()) or other.std() == 0 or mine.std() == 0:
        return None
    return float(np.corrcoef(mine, other)[0, 1])
