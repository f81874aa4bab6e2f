"""Two quick looks at a two-way fit: are treated cells weighted negatively, and does the effect differ with the weight?

With D̃ and Ỹ the treatment and outcome after unit effects, period effects and covariates, the coefficient weighs each
cell by D̃ / Σ D̃²: a treated cell with D̃ < 0 counts against its own effect. If effects are the same everywhere, the
slope of Ỹ on D̃ is the same among treated and untreated cells; the test is that of the interaction in

    Ỹ = a + b D̃ + c D + d D̃ D.

Jakiela (2021), Simple diagnostics for two-way fixed effects, arXiv 2103.13229, sections 3 and 4.

Checked against statsmodels and by hand (tests/reference/test_jakiela.py). Differences: errors are clustered as the
design says (CV1, t(G−1)); the paper's application has its own.

``detail``: beta, n_treated, n_negative, share_negative, slope_treated, slope_untreated, difference, std_error, dof
"""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from evalkit.checks._residualised import residualise
from evalkit.checks.check import Check
from evalkit.design import Design
from evalkit.errors import DataError
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

CARDS = (
    MethodCard(
        function="jakiela",
        name="이원고정효과의 간단한 진단",
        english="simple diagnostics for two-way fixed effects (Jakiela)",
        group="diagnostics",
        question="지원받은 칸이 음수의 무게를 받는가, 무게에 따라 효과가 다른가?",
        assumptions=("지원이 없었다면 모든 단위의 추세가 같았다(평행추세).", "처치는 0 과 1 이다."),
        returns="Check: 음수 무게를 받는 지원 칸의 비율, 기울기 차이의 검정(CV1)",
        reference="Jakiela (2021)",
        oracle=("statsmodels 와 손계산: tests/reference/test_jakiela.py",),
        refuses="규모가 있는 처치: two_way_weights 를 쓴다.",
    ),
)


def jakiela(panel: Panel, design: Design, *, treatment: str | None = None, level: float = 0.95) -> Check:
    """Share of treated cells with a negative weight, and the test that effects do not differ with the weight.

    Parameters
    ----------
    panel, design, treatment : as in `two_way_weights`; the treatment is 0 or 1
    level : 1 − level is the size at which the test fails

    Returns
    -------
    Check "jakiela": "fail" where slopes differ, "warn" where only weights are negative, "pass" otherwise, "unknown"
        where a slope cannot be estimated; the statistic is the share of treated cells with a negative weight

    Raises
    ------
    DataError : a treatment other than 0 and 1
    DesignError : nothing of the treatment is left, one cluster
    """
    fit = residualise(panel, design, treatment)
    used = fit.used
    d, left, y, w = (
        values[used] for values in (fit.treatment, fit.treatment_left, fit.outcome_left, fit.weights)
    )
    if not np.isin(d, (0.0, 1.0)).all():
        raise DataError(
            f"처치 {treatment} 의 값 {d[~np.isin(d, (0.0, 1.0))][0]:g} 이(가) 0 이나 1 이 아님",
            remedy="규모가 있는 처치는 two_way_weights 로 진단할 것",
        )
    negative = (left < 0) & (d == 1)
    share = float(negative.sum() / max((d == 1).sum(), 1))
    x = np.column_stack([np.ones_like(d), left, d, left * d])
    gram = (x * w[:, None]).T @ x
    detail = {
        "beta": fit.coefficient,
        "n_treated": int((d == 1).sum()),
        "n_negative": int(negative.sum()),
        "share_negative": share,
    }
    size = np.sqrt(np.diag(gram))
    scaled = gram / np.where(size > 0, size, 1.0)[:, None] / np.where(size > 0, size, 1.0)[None, :]
    if np.linalg.eigvalsh(scaled)[0] < 1e-12:
        return Check("jakiela", "unknown", "no_variation", statistic=share, detail=detail)
    bread = np.linalg.inv(gram)
    slopes = bread @ ((x * w[:, None]).T @ y)
    groups = len(fit.sample.cluster_labels)
    scores = x * (w * (y - x @ slopes))[:, None]
    cluster = np.repeat(fit.sample.cluster, used.sum(axis=1))
    sums = np.stack([np.bincount(cluster, column, minlength=groups) for column in scores.T], axis=1)
    factor = groups / (groups - 1) * (len(y) - 1) / max(len(y) - 4, 1)
    error = float(np.sqrt(factor * (bread @ sums.T @ sums @ bread)[3, 3]))
    detail |= {
        "slope_untreated": float(slopes[1]),
        "slope_treated": float(slopes[1] + slopes[3]),
        "difference": float(slopes[3]),
        "std_error": error,
        "dof": groups - 1,
    }
    p_value = float(2 * stdtr(groups - 1, -abs(slopes[3]) / error)) if error > 0 else None
    if p_value is None:
        return Check("jakiela", "unknown", "no_error", statistic=share, detail=detail)
    differs = p_value < 1 - level
    return Check(
        "jakiela",
        "fail" if differs else "warn" if share > 0 else "pass",
        "slopes_differ" if differs else "negative_weights" if share > 0 else "no_sign",
        statistic=share,
        p_value=p_value,
        detail=detail,
    )
