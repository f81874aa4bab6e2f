"""Duration difference-in-differences: an absorbing event (exit, relocation) through survival curves.

What it estimates: for a cohort g and each period t from adoption on, the effect on the share that has had the event,
ATT(g, t) = E[Y_t − Y_t(never) | g] = S⁰_gt − S_gt, Y = 1 from the event on. Parallel trends in the cumulative indicator
would force the hazards of those still there to drift apart; here a relation between the hazards carries over from the
periods before adoption. With R = −log S, D_t = R_t − R_1 and e_t the time since the first period,

    "cd" (common dynamics)        c = Σ_t α_t (D_gt − D_Ct)/e_t     R⁰_gt = R_g1 + D_Ct + e_t c
    "ph" (proportional hazards)   c = Σ_t α_t D_gt / D_Ct           R⁰_gt = R_g1 + c D_Ct

with equal α over the clean periods after the first, and S⁰ = exp(−R⁰) (Deaner and Ku 2026, equations 3.1–3.4 and
Theorem 1). Each cohort is compared with the units never treated, or not treated by t.

Checked against DurationDiD of diff-diff 3.13.0 (points; standard errors by bootstrap) in
tests/reference/test_duration_did.py. Where it differs: cohorts with dates of their own, weights, clusters, an analytic
influence function (delta method from group survival) and exact delete-one-cluster replicates, since counts of survivors
are additive. An imputed curve that falls (R⁰ decreasing) or exceeds 1 is not a survival curve: the value stands, as in
the peer, and ``detail["invalid"]`` and a note say so.

``detail``: ``hazard_relation`` c by term (k,); ``imputed_survival``, ``observed_survival`` (k,); ``invalid``, a list of
cohort, period and reason; ``failed``: likewise, NaN; ``survivors``: smallest number of survivors behind a term (k,); ``model``; ``cohort``,
``weight``, ``dropped``, ``notes`` as in group_time_effects, so that `evalkit.aggregate` averages the terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.errors import DesignError, nearest
from evalkit.estimate import Estimate
from evalkit.estimators._cell_means import Frame, assembled, by_cohort_sums, check_design, frame_of, without
from evalkit.estimators._spells import check_absorbing, survivors_only
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]
Model = Literal["cd", "ph"]
WHAT = "지속기간 이중차분"
FEW = 5  # survivors behind a term below which a note is made

CARDS = (
    MethodCard(
        function="duration_effects",
        name="지속기간 이중차분",
        english="duration difference-in-differences",
        group="rare",
        question="지원은 폐업이나 이전을 늦추었는가?",
        assumptions=(
            "지원이 없었다면 두 집단의 위험률은 차이가(cd) 또는 비가(ph) 지원 전과 같았다.",
            "사건은 한 번 나면 되돌아가지 않으며, 모집단은 첫 기간에 고정된다.",
            "지원 전에는 효과가 없다.",
        ),
        returns="cohort, period; 영향함수(IF), 군집을 뺀 추정치. `evalkit.aggregate` 로 평균한다",
        reference="Deaner & Ku (2026)",
        oracle=("diff-diff 3.13.0 DurationDiD: tests/reference/test_duration_did.py",),
        differs="도입 시점이 여럿인 코호트, 가중치, 군집, 해석적 영향함수를 더했다.",
        refuses="되돌아가는 사건, 지원 전 기간이 첫 기간뿐인 코호트.",
    ),
    MethodCard(
        function="duration_pre_test",
        name="지속기간 이중차분의 사전 검정",
        english="pre-test of duration difference-in-differences",
        group="rare",
        question="지원 전에 두 집단의 위험률 관계가 일정했는가?",
        assumptions=("지원 전에는 효과가 없다.",),
        returns="cohort, period; 모두 0 이면 관계가 일정했다. 결합 검정은 evalkit.inference 로 한다",
        reference="Deaner & Ku (2026)",
        oracle=("diff-diff 3.13.0 DurationDiD: tests/reference/test_duration_did.py",),
    ),
)


def duration_effects(
    panel: Panel, design: Design, *, model: Model = "cd", replicates: bool | None = None
) -> Estimate:
    """Effects on the share that has had the event, by cohort and period.

    Parameters
    ----------
    panel : the outcome is 0 before the event and 1 from it on; units with a missing period are left out
    design : no covariates; comparison, anticipation, cluster and a fixed weight are read (the base is the whole path)
    model : "cd" (the difference of hazards stays) or "ph" (their ratio stays)
    replicates : whether to leave out each cluster; None = when clusters are at most 400 and not the units

    Returns
    -------
    Estimate with terms (cohort, period), period from adoption on; positive = more events

    Raises
    ------
    DataError : the outcome is not 0/1 or goes back to 0
    DesignError : no cohort has a clean period beyond the first, or nowhere do units of both sides survive (a single
        such cell is NaN and told)

    Examples
    --------
    >>> panel = Panel(np.arange(8), np.array([1, 2, 3]),
    ...               {"y": np.array([[0, 1, 1], [0, 0, 0], [0, 0, 1], [0, 0, 1.], [0, 1, 1], [0, 0, 1]] + [[0, 0, 0]] * 2)},
    ...               {"adoption": np.array([3] * 4 + [np.inf] * 4)})
    >>> duration_effects(panel, Design("y")).values.round(6).tolist()
    [0.25]
    """
    return _estimate(panel, design, model, replicates, pre=False)


def duration_pre_test(
    panel: Panel, design: Design, *, model: Model = "cd", replicates: bool | None = None
) -> Estimate:
    """Contrasts of the hazard relation of each clean period with that of the last clean one; all 0 under the model.

    Parameters
    ----------
    panel, design, model, replicates : as in `duration_effects`

    Returns
    -------
    Estimate with terms (cohort, period), the clean periods between the first and the last

    Raises
    ------
    DesignError : no cohort has three clean periods
    """
    return _estimate(panel, design, model, replicates, pre=True)


@dataclass(frozen=True, slots=True)
class _Curve:
    """What one term needs: cohort position, comparison cohorts, clean periods after the first, its own period."""

    cohort: int
    others: NDArray[np.bool_]
    clean: NDArray[np.int64]
    period: int


def _estimate(panel: Panel, design: Design, model: Model, replicates: bool | None, *, pre: bool) -> Estimate:
    if model not in get_args(Model):
        raise DesignError(f"위험률의 관계 {model!r} 을(를) 모름", remedy=nearest(model, get_args(Model)))
    check_design(design, panel, WHAT)
    check_absorbing(panel, design.outcome)
    frame = frame_of(panel, design, "cell", replicates)
    alive = 1.0 - frame.take(panel.values(design.outcome))  # (T, n)
    notes: list[str] = []
    curves = _curves(frame, design, pre, notes)
    elapsed = (frame.sample.periods - frame.sample.periods[0]).astype(np.float64)
    weighted = alive * frame.weight
    sums = np.add.reduceat(weighted, frame.sample.starts[:-1], axis=1).T  # (G, T)
    gone = sums[:, :1] - sums > 0  # (G, T)
    alone = [c for c in curves if gone[c.others][:, c.clean].any() and not gone[c.cohort, c.clean].any()]
    notes += survivors_only({int(frame.sample.cohorts[c.cohort]) for c in alone}, "사건이 난")
    solve = _contrast if pre else _effect
    k, n = len(curves), alive.shape[1]
    values, psi, told, failed = np.empty(k), np.zeros((k, n)), [], []
    for row, curve in enumerate(curves):
        s1, s2, own, held = _survival(sums[None], frame.mass[None], curve)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = solve(s1, s2, elapsed, curve, model)
        told.append({key: value[0] for key, value in found.items()})
        sound = _sound(s1, s2, curve, model)[0]
        values[row] = found["value"][0] if sound else np.nan
        if sound:
            _write(psi[row], frame, alive, curve, (s1[0], s2[0]), (own[0], held[0]), found)
        else:
            failed.append(_failure(s1[0], s2[0], frame, curve))
    if np.isnan(values).all():
        raise DesignError(
            failed[0]["reason"],
            where=(f"코호트 {failed[0]['cohort']}", f"기간 {failed[0]['period']}"),
            remedy="기간을 줄이거나 단위를 더하거나, 지원 전 사건이 없으면 model=cd 로 둘 것",
        )
    left = None
    if frame.mass_of is not None:
        rest, mass = without(frame, sums, by_cohort_sums(frame, weighted))
        rest = np.where(rest > 1e-12 * mass[:, :, None], rest, 0.0)  # rounding of a difference is nobody
        left = np.empty((len(frame.labels), k))
        for row, curve in enumerate(curves):
            s1, s2, *_ = _survival(rest, mass, curve)
            with np.errstate(divide="ignore", invalid="ignore"):
                part = solve(s1, s2, elapsed, curve, model)["value"]
            left[:, row] = np.where(_sound(s1, s2, curve, model), part, np.nan)
    size = np.diff(frame.sample.starts)
    detail = {"failed": failed, **_detail(frame, alive, curves, told, model, pre, notes)}
    if failed:
        notes.append(f"생존 곡선을 이을 수 없어 추정하지 못한 칸이 {len(failed)}개 있다.")
    return assembled(
        panel,
        design,
        frame,
        _terms(frame, curves),
        values,
        psi,
        left,
        (np.array([size[c.cohort] for c in curves]), np.array([size[c.others].sum() for c in curves])),
        f"duration/{model}" + ("/pre_test" if pre else ""),
        detail,
        sides=frame.sides([[(c.cohort, c.others)] for c in curves]),
    )


def _curves(frame: Frame, design: Design, pre: bool, notes: list[str]) -> list[_Curve]:
    periods, cohorts = frame.sample.periods, frame.sample.cohorts
    out, short = [], set()
    for cell in frame.cells:
        g = cohorts[cell.cohort]
        clean = np.flatnonzero(periods + design.anticipation < g)[1:]
        after = periods[cell.period] >= g
        if len(clean) < (2 if pre else 1):
            short.add(int(g))
        elif not pre and after:
            out.append(_Curve(cell.cohort, frame.compared(cell), clean, cell.period))
        elif pre and cell.period in clean[:-1]:
            # units not treated by the last clean period
            last = periods[clean[-1]] + design.anticipation
            others = (cohorts > last) if design.comparison == "not_yet" else frame.compared(cell)
            others = others & (np.arange(len(cohorts)) != cell.cohort)
            out.append(_Curve(cell.cohort, others, clean, cell.period))
    if short:
        need = 3 if pre else 2
        notes.append(
            f"코호트 {', '.join(map(str, sorted(short)))} 은(는) 지원 전 기간이 {need}개보다 적어 제외하였다."
        )
    if not out:
        raise DesignError(
            f"지원 전 기간이 {3 if pre else 2}개 이상인 코호트가 없음",
            where=(f"자료의 첫 기간 {periods[0]}",),
            remedy="더 이른 자료를 더하거나 hazard_effects 를 쓸 것",
        )
    return out


def _survival(sums: Floats, mass: Floats, curve: _Curve) -> tuple[Floats, Floats, Floats, Floats]:
    """Survival of the cohort and of its comparison units (C, T), and their weights (C,)."""
    own, held = mass[:, curve.cohort], mass[:, curve.others].sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (
            sums[:, curve.cohort] / own[:, None],
            sums[:, curve.others].sum(axis=1) / held[:, None],
            own,
            held,
        )


def _effect(s1: Floats, s2: Floats, elapsed: Floats, curve: _Curve, model: Model) -> dict[str, Floats]:
    """ATT and its derivatives in s1 and s2 (C, T)."""
    r1, r2 = -np.log(s1), -np.log(s2)
    d1, d2 = r1 - r1[:, :1], r2 - r2[:, :1]
    t, fit = curve.period, curve.clean
    alpha = np.full(len(fit), 1 / len(fit))
    in_r1, in_r2 = np.zeros_like(r1), np.zeros_like(r2)  # derivatives of R0_t in R1, R2
    in_r1[:, 0] += 1
    if model == "cd":
        c = ((d1[:, fit] - d2[:, fit]) / elapsed[fit]) @ alpha
        scale = elapsed[t] * alpha / elapsed[fit]
        r0 = r1[:, 0] + d2[:, t] + elapsed[t] * c
        in_r1[:, fit] += scale
        in_r1[:, 0] -= scale.sum()
        in_r2[:, fit] -= scale
        in_r2[:, 0] += scale.sum() - 1
        in_r2[:, t] += 1
    else:
        ratio = d1[:, fit] / d2[:, fit]
        c = ratio @ alpha
        r0 = r1[:, 0] + c * d2[:, t]
        up = alpha / d2[:, fit] * d2[:, [t]]
        in_r1[:, fit] += up
        in_r1[:, 0] -= up.sum(axis=1)
        in_r2[:, fit] -= up * ratio
        in_r2[:, 0] += (up * ratio).sum(axis=1) - c
        in_r2[:, t] += c
    s0 = np.exp(-r0)
    # dS0 = −S0 dR0 and dR = −dS/S
    out1, out2 = s0[:, None] * in_r1 / s1, s0[:, None] * in_r2 / s2
    out1 = np.where(in_r1 == 0, 0.0, out1)
    out2 = np.where(in_r2 == 0, 0.0, out2)
    out1[:, t] -= 1
    return {"value": s0 - s1[:, t], "c": c, "s0": s0, "r0": r0, "in1": out1, "in2": out2, "s1": s1[:, t]}


def _contrast(s1: Floats, s2: Floats, elapsed: Floats, curve: _Curve, model: Model) -> dict[str, Floats]:
    """The hazard relation of one clean period less that of the last, and its derivatives (C, T)."""
    r1, r2 = -np.log(s1), -np.log(s2)
    d1, d2 = r1 - r1[:, :1], r2 - r2[:, :1]
    in_r1, in_r2 = np.zeros_like(r1), np.zeros_like(r2)
    value = np.zeros(len(s1))
    for t, sign in ((curve.period, 1.0), (int(curve.clean[-1]), -1.0)):
        if model == "cd":
            value += sign * (d1[:, t] - d2[:, t]) / elapsed[t]
            a, b = np.full(len(s1), sign / elapsed[t]), np.full(len(s1), -sign / elapsed[t])
        else:
            value += sign * d1[:, t] / d2[:, t]
            a, b = sign / d2[:, t], -sign * d1[:, t] / d2[:, t] ** 2
        in_r1[:, t] += a
        in_r1[:, 0] -= a
        in_r2[:, t] += b
        in_r2[:, 0] -= b
    return {
        "value": value,
        "in1": np.where(in_r1 == 0, 0.0, -in_r1 / s1),
        "in2": np.where(in_r2 == 0, 0.0, -in_r2 / s2),
    }


def _sound(s1: Floats, s2: Floats, curve: _Curve, model: Model) -> NDArray[np.bool_]:
    """Whether every survival that is logged is positive, and (ph) comparison units had events  # (C,)"""
    early = [0, *curve.clean]
    with np.errstate(invalid="ignore"):
        ok = (s1[:, early] > 0).all(axis=1) & (s2[:, [*early, curve.period]] > 0).all(axis=1)
        if model == "ph":
            ok &= (s2[:, curve.clean] < s2[:, :1]).all(axis=1)
    return np.asarray(ok)


def _failure(s1: Floats, s2: Floats, frame: Frame, curve: _Curve) -> dict[str, Any]:
    early = [0, *curve.clean]
    if not (s2[[*early, curve.period]] > 0).all():
        reason = "비교 단위가 모두 사건을 겪어 남은 단위가 없음"
    elif not (s1[early] > 0).all():
        reason = "지원 전에 지원 단위가 모두 사건을 겪음"
    else:
        reason = "지원 전에 비교 단위의 사건이 하나도 없어 위험률의 비를 정할 수 없음"
    sample = frame.sample
    g, t = int(sample.cohorts[curve.cohort]), int(sample.periods[curve.period])
    return {"cohort": g, "period": t, "reason": reason}


def _write(
    row: Floats,
    frame: Frame,
    alive: Floats,
    curve: _Curve,
    survival: tuple[Floats, Floats],
    weight: tuple[float, float],
    found: dict[str, Floats],
) -> None:
    """Influence of each unit (n,): Σ_t derivative_t · w (alive_t − S_t) / weight · N."""
    starts = frame.sample.starts
    sides = [(curve.cohort, 0, found["in1"][0])]
    sides += [(int(j), 1, found["in2"][0]) for j in np.flatnonzero(curve.others)]
    for j, side, slope in sides:
        part = slice(int(starts[j]), int(starts[j + 1]))
        used = np.flatnonzero(slope)
        gap = slope[used] @ alive[used, part] - slope[used] @ survival[side][used]
        row[part] = frame.weight[part] * gap * (frame.n_units / weight[side])


def _terms(frame: Frame, curves: list[_Curve]) -> pd.MultiIndex:
    pairs = [(int(frame.sample.cohorts[c.cohort]), int(frame.sample.periods[c.period])) for c in curves]
    return pd.MultiIndex.from_tuples(pairs, names=["cohort", "period"])


def _detail(
    frame: Frame,
    alive: Floats,
    curves: list[_Curve],
    told: list[dict[str, Any]],
    model: Model,
    pre: bool,
    notes: list[str],
) -> dict[str, Any]:
    detail: dict[str, Any] = {"model": model, "notes": notes}
    if pre:
        return detail
    counts = np.add.reduceat(alive, frame.sample.starts[:-1], axis=1).T
    fewest = np.array(
        [
            min(counts[c.cohort, c.clean].min(), counts[c.others].sum(axis=0)[[*c.clean, c.period]].min())
            for c in curves
        ]
    )
    invalid: list[dict[str, Any]] = []
    before: dict[int, float] = {}
    for curve, one in zip(curves, told, strict=True):
        g, t = int(frame.sample.cohorts[curve.cohort]), int(frame.sample.periods[curve.period])
        if one["r0"] < -1e-12:
            invalid.append({"cohort": g, "period": t, "reason": "반사실 생존율이 1 을 넘음"})
        elif one["r0"] < before.get(g, -np.inf) - 1e-12:
            invalid.append({"cohort": g, "period": t, "reason": "반사실 생존율이 다시 높아짐"})
        before[g] = one["r0"]
    if invalid:
        told_cells = ", ".join(f"코호트 {i['cohort']} 기간 {i['period']} ({i['reason']})" for i in invalid)
        notes.append(f"반사실 생존 곡선이 성립하지 않는 칸이 있어 이 모형을 믿기 어렵다: {told_cells}.")
    if (fewest < FEW).any():
        notes.append(f"생존 단위가 {FEW}개보다 적은 칸이 {int((fewest < FEW).sum())}개 있다.")
    return {
        **detail,
        "hazard_relation": np.array([one["c"] for one in told]),
        "imputed_survival": np.array([one["s0"] for one in told]),
        "observed_survival": np.array([one["s1"] for one in told]),
        "survivors": fewest,
        "invalid": invalid,
    }
