"""Treatments that switch on and off, repeat, or change dose: effects since the first switch.

What it estimates: a unit's event is the first change of its treatment, in period F, from the value D that it had in the
first period. The effect ℓ periods in (ℓ = 1 is the period of the switch) compares the change of the outcome from
F − 1 to F − 1 + ℓ with that of units that had the same first treatment and have not changed it by F − 1 + ℓ; decreases
count with the opposite sign:

    DID_ℓ = Σ_g ω_g S_g DID_{g,ℓ} / Σ_g ω_g     over the switchers with somebody to compare with.

It is the effect of the whole path since the first switch (later switches included: ``detail["paths"]`` shows them),
against having kept the first treatment. Normalised, it is divided by the mean of Σ_{k<ℓ} |D_{F+k} − D| and is an
average of effects of one unit of dose. The average total effect is Σ_ℓ N_ℓ DID_ℓ over the dose received: benefit per
unit of dose. Placebos compare the ℓ periods before F − 1 the same way.

de Chaisemartin & D'Haultfœuille (2024), Difference-in-differences estimators of intertemporal treatment effects,
Review of Economics and Statistics (equations of DID_{g,ℓ}, δ_ℓ and the average total effect; appendices on
covariates and on comparisons within groups).

Checked against R DIDmultiplegtDYN 2.1.2 (tests/reference/test_switching.py: coefficients to the 5 decimals that the
package keeps, standard errors to 1e-6) and live against diff_diff 3.13. Without covariates and with an absorbing
treatment it is the event study of group-time effects (tests/properties/test_switching_properties.py).

Variance ("dCDH"): given the paths, as in the reference: changes centred at the mean of the switchers with the same
(D, F, D_F), and of the comparison units of the same period, each times √(n/(n−1)) with n clusters in that group. It is
conservative, and normal. ``influence`` is the derivative of the estimate in the units' weights (shares of the
cohorts estimated), so `evalkit.inference` gives other errors than ``covariance``: of sampling units with their paths.

Where it differs, and why: event times count from 0 as everywhere in this kit, placebo ℓ is event time −1 − ℓ; with
``same_switchers`` the placebos keep to the same switchers
too; a normalised placebo is divided by the dose of all its periods (2.1.2 counts only those whose placebo change is
observed); in a cohort of one cluster the change is centred at switchers and comparison units together, and n counts
clusters, as the reference does from July 2025 on (in 2.1.2 such a switcher adds nothing to the variance, and n counts
units); with ``trends_linear`` one comparison group serves all periods up to a horizon (the reference lets it shrink
period by period); with covariates the variance adds the derivative through their slopes. The reference's covariances
between horizons agree with ours where no cluster is given. Missing treatments: see `read_paths`.

``detail``
    treatment : its name
    joint_effects, joint_placebos, equal_effects : {statistic, df, p_value} (Wald, χ²); p_value None where no test
    paths : list of event_time, path [D, D_F, …], switchers, share; path [] holds the rest beyond the 20 most frequent
    n_observations : switchers and comparison units over all events of a term, as the reference counts N  # (k,)
    dose : mean dose behind each term (normalised or average effect), else empty  # (k,)
    slopes : {names, baselines, values} of covariates; dropped : counts of units and cells left out; notes : sentences
"""

from __future__ import annotations

from typing import Literal

from evalkit.design import Design
from evalkit.estimate import Estimate
from evalkit.estimators._switching_fit import Options, fit, settle
from evalkit.estimators._switching_paths import Switchers
from evalkit.estimators._switching_result import tell
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Crossing = Literal["drop", "keep"]

CARDS = (
    MethodCard(
        function="switching_effects",
        name="켜지고 꺼지는 지원의 효과",
        english="intertemporal effects of a switching treatment (DID_ℓ)",
        group="staggered",
        question="끊겼다 다시 받거나 규모가 바뀌는 지원에서, 처음 바뀐 뒤 해마다 효과가 얼마인가?",
        assumptions=(
            "처음 지원 수준이 같은 단위끼리는, 수준이 그대로였다면 추세가 같았다.",
            "앞으로의 지원이 그 전의 결과를 바꾸지 않는다(예상 효과 없음).",
            "효과는 처음 바뀐 뒤의 지원 경로 전체의 것이다: 뒤의 변화가 섞인다.",
        ),
        returns="event_time; 경로를 주어진 것으로 본 분산(dCDH), 영향함수, 군집을 뺀 추정치",
        reference="de Chaisemartin & D'Haultfœuille (2024)",
        oracle=(
            "R DIDmultiplegtDYN 2.1.2, diff_diff 3.13: tests/reference/test_switching.py",
            "집단-시점 효과와의 항등식: tests/properties/test_switching_properties.py",
        ),
        differs="경과 기간은 0부터 센다. 홀로 바뀐 단위의 분산과 나눈 위약 효과의 분모는 원 꾸러미의 2.1.2 판과 다르다(그 판은 작게 잡는다).",
        refuses="비율의 평행추세(link=ratios): 포아송 회귀를 쓴다.",
    ),
    MethodCard(
        function="switching_average",
        name="지원 한 단위의 평균 총효과",
        english="average total effect per unit of dose",
        group="doses",
        question="지원을 한 단위 더 주었을 때 그 뒤로 쌓인 효과는 모두 얼마인가?",
        assumptions=(
            "처음 지원 수준이 같은 단위끼리는, 수준이 그대로였다면 추세가 같았다.",
            "앞으로의 지원이 그 전의 결과를 바꾸지 않는다(예상 효과 없음).",
        ),
        returns="term; 경로를 주어진 것으로 본 분산(dCDH), 영향함수, 군집을 뺀 추정치",
        reference="de Chaisemartin & D'Haultfœuille (2024)",
        oracle=("R DIDmultiplegtDYN 2.1.2: tests/reference/test_switching.py",),
    ),
)


def switching_effects(
    panel: Panel,
    design: Design,
    *,
    treatment: str,
    horizons: int | None = None,
    placebos: int | None = None,
    normalized: bool = False,
    same_switchers: bool = False,
    switchers: Switchers = None,
    within: str | None = None,
    trends_linear: bool = False,
    crossing: Crossing = "drop",
) -> Estimate:
    """Effects by periods since the first change of the treatment, and placebos before it.

    Parameters
    ----------
    panel : balanced or not, without a missing period
    design : outcome, comparison ("not_yet", or "never": units that never change), anticipation, cluster and a fixed
        weight are read; varying covariates enter by their changes; ``adoption`` is not used, ``base`` is always "universal"
    treatment : name of the varying treatment: 0/1, a number of programmes, or a dose
    horizons : how many effects; None = all that the data hold
    placebos : how many placebos, at most as many as effects; None = all that the data hold
    normalized : divide by the mean dose accumulated since the switch: effects of one unit of dose
    same_switchers : only switchers seen at every horizon, so that all effects are of the same units
    switchers : "in" only increases, "out" only decreases, None both (decreases with the opposite sign)
    within : name of a fixed variable: compare only units that share its value. With the first treated period of
        phase 1 it gives the effect of phase 3 among units with the same history
    trends_linear : units may have linear trends of their own: changes are measured from the line through the base
        period and the one before it (placebos then start at event time −3)
    crossing : "drop" leaves out cells after a treatment has been both above and below its first value; "keep"

    Returns
    -------
    Estimate with terms "event_time": 0, 1, … effects, −2, −3, … placebos (−1 is the base). Shapes: k terms.

    Raises
    ------
    DesignError : nobody's treatment changes, nobody to compare with, a period missing, a horizon out of reach
    RefusalError : link other than levels, units at risk
    DataError : infinite values, negative weights

    Examples
    --------
    >>> import numpy as np
    >>> panel = Panel(np.arange(4), np.array([1, 2]), {"y": np.array([[0, 3.0], [0, 5.0], [1, 2.0], [0, 1.0]]),
    ...               "d": np.array([[0, 1.0], [0, 1.0], [0, 0], [0, 0]])})
    >>> switching_effects(panel, Design("y"), treatment="d").values
    array([3.])
    """
    options = Options(
        treatment, horizons, placebos, normalized, same_switchers, switchers, within, trends_linear, crossing
    )
    work = settle(panel, design, options)
    found = fit(work, design, options, average=False)
    return tell(panel, design, options, work, found, average=False)


def switching_average(
    panel: Panel,
    design: Design,
    *,
    treatment: str,
    horizons: int | None = None,
    same_switchers: bool = False,
    switchers: Switchers = None,
    within: str | None = None,
    crossing: Crossing = "drop",
) -> Estimate:
    """Total effect over all horizons per unit of dose: what one more unit of the treatment brought.

    With a 0/1 treatment that stays, it is the mean effect over the treated units and periods that can be compared.

    Parameters
    ----------
    panel, design, treatment, horizons, same_switchers, switchers, within, crossing : as in `switching_effects`

    Returns
    -------
    Estimate with one term ("term": "average_total"); ``detail["dose"]`` is the mean dose of a switcher and horizon

    Raises
    ------
    DesignError, RefusalError, DataError : as in `switching_effects`, or a total dose of zero
    """
    options = Options(treatment, horizons, 0, False, same_switchers, switchers, within, False, crossing)
    work = settle(panel, design, options)
    return tell(panel, design, options, work, fit(work, design, options, average=True), average=True)
