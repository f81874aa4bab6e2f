"""Overlap: is there enough comparable comparison, and how much of the treated had to be given up?

After balancing: the effective number of comparison units (Σ w)²/Σ w² (Kish 1965), the largest weight, the share of
units trimmed or left without a match, and how far the propensities of the two groups cover one another (Crump, Hotz,
Imbens & Mitnik 2009: few units outside 0.1–0.9).

The verdict is "fail" where more than 10 % are trimmed, or where the effective number is below 30 % of the comparison
units **and** below the number of treated units; a large pool of which only a part is comparable (below 30 %, yet as
many as the treated) is a "warn".

``detail``: ess, ess_share, largest_share, trimmed, n_treated, n_comparison, unmatched, and with a propensity:
treated_beyond (share of treated above every comparison propensity), extreme (share of all outside 0.1–0.9),
propensity_treated, propensity_comparison (lowest, quartiles, highest)

Checked by hand: tests/unit/test_overlap.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from evalkit.balancing import Balancing
from evalkit.checks.check import Check, Verdict
from evalkit.method_card import MethodCard

FEW_EFFECTIVE = 0.30
MUCH_TRIMMED = 0.10
HEAVY = 0.10

CARDS = (
    MethodCard(
        function="overlap",
        name="겹침 점검",
        english="overlap diagnostics",
        group="before",
        question="견줄 만한 비교 단위가 충분하고, 견줄 수 없어 버린 지원 단위가 적은가?",
        assumptions=("균형을 맞춘 공변량이 지원 전에 정해졌다.",),
        returns="Check: 유효 표본 크기와 그 비율, 가장 큰 무게, 잘린 비율, 성향점수의 범위",
        reference="Kish (1965); Crump, Hotz, Imbens & Mitnik (2009)",
        oracle=("손 계산: tests/unit/test_overlap.py",),
        differs="유효 표본이 비교 단위의 30 %보다 적어도 지원 단위 수보다 많으면 '실패'가 아니라 '주의'로 둔다.",
    ),
)


def overlap(balancing: Balancing) -> Check:
    """Overlap of treated and comparison units under balancing weights.

    Returns
    -------
    Check "overlap"; the statistic is the effective share. ``reason``: "overlap_good", "few_effective",
        "few_effective_large_pool", "much_trimmed", "heavy_unit" (one unit carries more than 10 % of the comparison)
    """
    treated, comparison = balancing.treated, balancing.comparison
    ess, share, trimmed = balancing.ess, balancing.ess_share, balancing.trimmed
    kept = int((balancing.weights[treated] > 0).sum())
    verdict: Verdict = "pass"
    reason = "overlap_good"
    if trimmed > MUCH_TRIMMED:
        verdict, reason = "fail", "much_trimmed"
    elif share < FEW_EFFECTIVE:
        wide = ess >= kept and balancing.method != "matching"
        verdict, reason = ("warn", "few_effective_large_pool") if wide else ("fail", "few_effective")
    elif balancing.largest_share > max(HEAVY, 2 / max(int(comparison.sum()), 1)):
        verdict, reason = "warn", "heavy_unit"
    detail: dict[str, Any] = {
        "ess": ess,
        "ess_share": share,
        "largest_share": balancing.largest_share,
        "trimmed": trimmed,
        "n_treated": int(treated.sum()),
        "n_comparison": int(comparison.sum()),
        "unmatched": list(balancing.dropped.get("unmatched", ())),
    }
    if np.isfinite(balancing.propensity[treated]).any():
        p1, p0 = balancing.propensity[treated], balancing.propensity[comparison]
        both = np.concatenate([p1, p0])
        detail |= {
            "treated_beyond": float((p1 > p0.max()).mean()),
            "extreme": float(((both < 0.1) | (both > 0.9)).mean()),
            "propensity_treated": np.quantile(p1, (0, 0.25, 0.5, 0.75, 1)).tolist(),
            "propensity_comparison": np.quantile(p0, (0, 0.25, 0.5, 0.75, 1)).tolist(),
        }
    return Check("overlap", verdict, reason, statistic=share, detail=detail)
