"""The sample behind group-time effects: units in order of cohort, so that every comparison is a few slices.

Who is left out, and which periods and cohorts take part, follows the R package did 2.5.1 (read from its results and
its news file): rows with a missing value leave first; without never treated units the periods from the last adoption
on are cut; cohorts already treated (anticipation counted) in the first period leave; in a balanced panel, units that
miss a period that is left leave last.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.propensity import SINGULAR, gram
from evalkit.design import Design
from evalkit.errors import DataError, DesignError, nearest
from evalkit.panel import Panel

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class CohortSample:
    """Used units sorted by cohort (never treated last), then by cluster.

    order : positions of the n used units in the panel  # (n,)
    cohorts : codes, +inf = never treated  # (G,)
    starts : cohort j holds units starts[j]..starts[j+1]-1  # (G+1,)
    targets : positions in `cohorts` whose effects are wanted
    periods : labels  # (T,)
    y : outcomes less a constant of the unit (panel) or of the sample (rows)  # (T, n)
    observed : None when every unit is seen in every period  # (T, n)
    x : covariates, standardised, the first ones; one layer, or one a period  # (1 or T, p, n)
    w : weights, one layer or one a period  # (1 or T, n)
    cluster : codes of the panel's clusters  # (n,)
    cohort_of, share : of all N units of the panel; NaN and 0 where unused. share is the weight in cohort shares
    """

    order: NDArray[np.int64]
    cohorts: Floats
    starts: NDArray[np.int64]
    targets: NDArray[np.int64]
    periods: NDArray[np.int64]
    y: Floats
    observed: NDArray[np.bool_] | None
    x: Floats
    w: Floats
    cluster: NDArray[np.int64]
    cohort_of: Floats
    share: Floats
    columns: tuple[str, ...]
    dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def adoption_codes(panel: Panel, name: str) -> Floats:
    """First treated periods as floats, +inf = never treated.

    Raises
    ------
    DesignError : a code is not a whole positive period
    """
    raw = panel.constant(name)
    if raw.dtype.kind not in "iufb":
        raise DesignError(
            f"도입 시점 변수 {name} 이(가) 숫자가 아님 (예: {str(raw[0])!r})",
            remedy="처음 지원받은 기간을 숫자로, 지원받지 않은 단위는 빈 값으로 적을 것",
        )
    codes = raw.astype(np.float64)
    codes = np.where(np.isnan(codes), np.inf, codes)
    wrong = (codes <= 0) | (np.isfinite(codes) & (codes != np.floor(codes)))
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise DesignError(
            f"도입 시점 변수 {name} 의 값 {codes[at]:g} 은(는) 기간이 아님 (같은 문제 {int(wrong.sum())}개 단위)",
            where=(f"단위 {panel.units[at]}",),
            remedy=(
                "지원받지 않은 단위는 0 이 아니라 빈 값(무한대)으로 적을 것"
                if codes[at] == 0
                else "처음 지원받은 기간을 양의 정수로, 지원받지 않은 단위는 빈 값(무한대)으로 적을 것"
            ),
        )
    return np.asarray(codes)


def not_outcome(design: Design) -> None:
    """Refuse the outcome among covariates that enter as they are, period by period: it explains itself.

    Raises
    ------
    DesignError : the outcome is a covariate
    """
    if design.outcome in design.covariates:
        raise DesignError(
            f"결과 {design.outcome} 이(가) 공변량에도 있음: 스스로를 남김없이 설명함",
            remedy="공변량에서 뺄 것(지원 전 수준으로 맞추려면 group_time_effects 를 쓸 것)",
        )


def gap_notes(periods: NDArray[np.int64]) -> tuple[str, ...]:
    """A sentence on periods that are missing between others, where steps are not all alike."""
    steps = np.diff(periods)
    if not len(steps) or (steps == steps.min()).all():
        return ()
    wide = np.flatnonzero(steps > steps.min())
    places = ", ".join(f"{periods[i]}–{periods[i + 1]}" for i in wide[:5])
    return (
        f"기간 사이가 빈 곳이 있음({places}{', …' if len(wide) > 5 else ''}): 기준 기간이 비면 그 앞의 기간과 견주고,"
        " 평균에는 있는 기간만 들어감",
    )


def covariate_layers(panel: Panel, names: tuple[str, ...]) -> tuple[list[tuple[str, Floats]], bool]:
    """Covariates as (name, (N,) or (N, T)); strings become dummies without the first level; whether any varies."""
    layers: list[tuple[str, Floats]] = []
    for name in names:
        if name in panel.varying:
            layers.append((name, panel.values(name)))
        elif name in panel.fixed:
            raw = panel.constant(name)
            if raw.dtype.kind in "iufb":
                layers.append((name, raw.astype(np.float64)))
                continue
            text = raw.astype(str)
            levels = [level for level in np.unique(text) if level]
            layers += [
                (f"{name}={level}", np.where(text == "", np.nan, text == level)) for level in levels[1:]
            ]
        else:
            raise DesignError(
                f"공변량 {name!r} 이(가) 패널에 없음",
                remedy=nearest(name, [*panel.varying, *panel.fixed]),
            )
    return layers, any(values.ndim == 2 for _, values in layers)


def weight_layers(panel: Panel, name: str | None) -> Floats:
    """(N, 1) or (N, T)"""
    if name is None:
        return np.ones((len(panel.units), 1))
    if name in panel.varying:
        weights = panel.values(name)
    elif name in panel.fixed:
        raw = panel.constant(name)
        if raw.dtype.kind not in "iufb":
            raise DesignError(f"가중치 {name} 이(가) 숫자가 아님", remedy="숫자 변수를 고를 것")
        weights = raw.astype(np.float64)[:, None]
    else:
        raise DesignError(
            f"가중치 {name!r} 이(가) 패널에 없음", remedy=nearest(name, [*panel.varying, *panel.fixed])
        )
    if (weights < 0).any() or np.isinf(weights).any():
        at, t = np.argwhere((weights < 0) | np.isinf(weights))[0]
        raise DataError(
            f"가중치 {name} 에 음수나 무한대가 있음",
            where=(f"단위 {panel.units[at]}", *([f"{panel.periods[t]}"] if weights.shape[1] > 1 else [])),
            remedy="0 이상의 유한한 수로 적을 것",
        )
    return weights


def seen_rows(
    panel: Panel, design: Design, weights: Floats, layers: list[tuple[str, Floats]]
) -> NDArray[np.bool_]:
    """Rows without a missing value  # (N, T)"""
    outcome = panel.values(design.outcome)
    seen = ~np.isnan(outcome)
    if np.isinf(outcome).any():
        at = np.argwhere(np.isinf(outcome))[0]
        raise DataError(
            f"결과 변수 {design.outcome} 에 무한대가 있음",
            where=(f"단위 {panel.units[at[0]]}", f"{panel.periods[at[1]]}"),
            remedy="0 의 로그처럼 정의되지 않는 값은 변환을 바꾸거나 빈 값으로 둘 것",
        )
    for name, values in [*layers, (design.weight or "", weights)]:
        missing = np.isnan(values)
        if np.isinf(values).any():
            at = np.argwhere(np.isinf(values))[0]
            raise DataError(
                f"공변량 {name} 에 무한대가 있음",
                where=(f"단위 {panel.units[at[0]]}", *(f"{panel.periods[t]}" for t in at[1:])),
                remedy="변환을 바꾸거나 빈 값으로 둘 것",
            )
        if missing.any():
            seen &= ~(missing if values.ndim == 2 else missing[:, None])
    return seen


def _cohorts_and_periods(
    codes: Floats, seen: NDArray[np.bool_], labels: NDArray[np.int64], design: Design, notes: list[str]
) -> tuple[Floats, NDArray[np.int64], float]:
    """Codes with NaN for units that leave, positions of the periods used, and the last code that is a target."""
    used = seen.any(axis=1)
    columns = np.flatnonzero(seen.any(axis=0))
    if not len(columns):
        raise DesignError(f"결과 변수 {design.outcome} 의 관측값이 없음", remedy="변수와 기간을 확인할 것")
    ahead = design.anticipation
    codes = np.where(codes > labels[columns[-1]] + ahead, np.inf, codes)
    codes = np.where(used, codes, np.nan)
    last_target = np.inf
    if not np.isposinf(codes).any():
        last = float(np.nanmax(codes))
        columns = columns[labels[columns] < last - ahead]
        if design.comparison == "never":
            codes = np.where(codes == last, np.inf, codes)
            notes.append(f"지원받지 않은 단위가 없어 마지막 코호트 {last:g} 을(를) 비교집단으로 씀")
        else:
            last_target = last
            notes.append(f"지원받지 않은 단위가 없어 마지막 코호트 {last:g} 은(는) 비교집단으로만 씀")
        notes.append(f"{last - ahead:g} 이후의 기간은 비교할 단위가 없어 쓰지 않음")
        if len(columns) < 2:
            raise DesignError(
                f"지원받지 않은 단위가 없고 모든 단위가 {last:g} 까지 지원받아 비교할 기간이 남지 않음",
                where=(f"결과 {design.outcome}",),
                remedy="지원받지 않은 단위를 더하거나 더 이른 기간의 자료를 넣을 것",
            )
    if len(columns) < 2:
        raise DesignError(
            f"결과 변수 {design.outcome} 이(가) 관측된 기간이 {len(columns)}개뿐임",
            remedy="둘 이상의 기간이 있는 자료를 넣을 것",
        )
    return codes, columns, last_target


def _drop_already_treated(
    codes: Floats, first: int, design: Design, dropped: dict[str, int], notes: list[str]
) -> Floats:
    early = np.isfinite(codes) & (codes <= first + design.anticipation)
    dropped["already_treated"] = int(early.sum())
    finite = codes[np.isfinite(codes)]
    if len(finite) and early.sum() == len(finite):
        cohort = f"{finite.min():g}"
        raise DesignError(
            f"코호트 {cohort} 이전의 깨끗한 기간이 없음 (자료의 첫 기간 {first}, 예상 효과 {design.anticipation}기간)",
            where=(f"결과 {design.outcome}",),
            remedy=f"{first} 이전의 자료를 더하거나, 결과 변수를 바꾸거나, anticipation 을 줄일 것",
        )
    if early.any():
        names = ", ".join(f"{code:g}" for code in np.unique(codes[early]))
        notes.append(
            f"첫 기간 {first} 에 이미 지원받은 코호트 {names} 의 단위 {int(early.sum())}개는 기준 기간이 없어 제외"
        )
    return np.where(early, np.nan, codes)


def covariate_stack(
    layers: list[tuple[str, Floats]], order: NDArray[np.int64], columns: NDArray[np.int64], varies: bool
) -> Floats:
    """Covariates (1 or T, p, n), the first ones."""
    depth = len(columns) if varies else 1
    x = np.ones((depth, len(layers) + 1, len(order)))
    for j, (_, values) in enumerate(layers, start=1):
        x[:, j] = values[order][:, columns].T if values.ndim == 2 else values[order]
    return x


def standardise(x: Floats, seen: NDArray[np.bool_] | None, names: tuple[str, ...], outcome: str) -> None:
    """Centre and scale the covariates in place; refuse those that the others determine.

    Every estimator is unchanged by this (the design has an intercept), and the tolerance becomes relative.
    """
    mask = np.ones((1, x.shape[2]), dtype=bool) if seen is None else seen
    count = float(np.broadcast_to(mask, (x.shape[0] if seen is None else len(mask), x.shape[2])).sum())
    for j, name in enumerate(names, start=1):
        column = np.broadcast_to(x[:, j], (max(len(x), len(mask)), x.shape[2]))
        kept = column if seen is None else np.where(mask, column, 0.0)
        mean = kept.sum() / count
        spread = np.sqrt((np.where(mask, column - mean, 0.0) ** 2).sum() / count)
        if not spread > 1e-9 * max(1.0, abs(mean)):
            raise DesignError(
                f"공변량 {name} 이(가) 모든 단위에서 같은 값임",
                where=(f"결과 {outcome}",),
                remedy=f"공변량에서 {name} 을(를) 뺄 것",
            )
        x[:, j] = np.where(mask if len(x) > 1 else True, (x[:, j] - mean) / spread, 0.0)
    p = x.shape[1]
    layers = [
        gram(layer, np.ones(x.shape[2]) if len(x) == 1 else mask[i % len(mask)]) for i, layer in enumerate(x)
    ]
    matrix = np.asarray(sum(layers)) / max(1.0, float(sum(layer[0, 0] for layer in layers)))
    for j in range(1, p):
        inner = matrix[:j, :j]
        left = matrix[j, j] - matrix[j, :j] @ np.linalg.solve(inner, matrix[:j, j])
        if left < SINGULAR * 10 * matrix[j, j]:
            raise DesignError(
                f"공변량 {names[j - 1]} 이(가) 앞의 공변량들로 완전히 설명됨 (다중공선성)",
                where=(f"결과 {outcome}",),
                remedy=f"공변량에서 {names[j - 1]} 을(를) 뺄 것",
            )


def _complete(
    codes: Floats, seen: NDArray[np.bool_], unbalanced: bool, design: Design, dropped: dict[str, int]
) -> Floats:
    """Codes with NaN for units that miss a period (panel), or every period (rows)."""
    stays = ~np.isnan(codes)
    enough = seen.any(axis=1) if unbalanced else seen.all(axis=1)
    dropped["incomplete"] = int((stays & ~enough).sum())
    if not (stays & enough).any():
        raise DesignError(
            "모든 기간이 관측된 단위가 없음",
            where=(f"결과 {design.outcome}",),
            remedy='missing="pairs" 로 계산하거나 기간을 줄일 것',
        )
    return np.where(stays & enough, codes, np.nan)


def _targets(cohorts: Floats, last_target: float, design: Design) -> NDArray[np.int64]:
    targets = np.flatnonzero(np.isfinite(cohorts) & (cohorts < last_target))
    if not len(targets):
        raise DesignError(
            "효과를 추정할 수 있는 코호트가 없음",
            where=(f"결과 {design.outcome}",),
            remedy="지원받은 단위와 지원 전 기간이 자료에 있는지, 다른 시점에 지원받은 단위가 있는지 확인할 것",
        )
    if len(cohorts) == 1:
        raise DesignError(
            "비교할 단위가 없음", where=(f"결과 {design.outcome}",), remedy="지원받지 않은 단위를 더할 것"
        )
    return targets


def outcome_layers(
    outcome: Floats,
    w: Floats,
    order: NDArray[np.int64],
    columns: NDArray[np.int64],
    rows: NDArray[np.bool_] | None,
) -> tuple[Floats, Floats]:
    """Outcomes (T, n) less a constant, and the weight of each unit in cohort shares (n,)."""
    chosen = outcome[order]
    y = np.ascontiguousarray((chosen if len(columns) == outcome.shape[1] else chosen[:, columns]).T)
    if rows is None:
        y -= y[0].copy()
        return y, w[0]
    held = np.where(rows, np.broadcast_to(w, rows.shape), 0.0)
    return np.where(rows, y - y[rows].mean(), 0.0), held.sum(axis=0) / rows.sum(axis=0)


def build_sample(panel: Panel, design: Design, *, unbalanced: bool) -> CohortSample:
    """The sample of a design, units in order of cohort.

    Raises
    ------
    DesignError : no clean period, no comparison units, a code or covariate that cannot be used
    DataError : negative weights, infinite values
    """
    codes = adoption_codes(panel, design.adoption)
    layers, x_varies = covariate_layers(panel, design.covariates)
    weights = weight_layers(panel, design.weight)
    cluster = panel.clusters(design.cluster)[0]
    seen = seen_rows(panel, design, weights, layers)
    notes: list[str] = []
    dropped = {"unobserved": int((~seen.any(axis=1)).sum())}
    codes, columns, last_target = _cohorts_and_periods(codes, seen, panel.periods, design, notes)
    codes = _drop_already_treated(codes, int(panel.periods[columns[0]]), design, dropped, notes)
    seen = seen[:, columns] if len(columns) < seen.shape[1] else seen
    codes = _complete(codes, seen, unbalanced, design, dropped)
    members = np.flatnonzero(~np.isnan(codes))
    cohorts, of = np.unique(codes[members], return_inverse=True)
    targets = _targets(cohorts, last_target, design)
    key = of.astype(np.int64)
    if design.cluster is not None:
        key = key * (int(cluster.max()) + 1) + cluster[members]
    # short codes are sorted by radix
    order = members[np.argsort(key.astype(np.int16) if key.max() < 2**15 else key, kind="stable")]
    rows = np.ascontiguousarray(seen[order].T) if unbalanced else None
    names = tuple(name for name, _ in layers)
    x = covariate_stack(layers, order, columns, x_varies)
    standardise(x, rows, names, design.outcome)
    w = np.ascontiguousarray((weights[order][:, columns] if weights.shape[1] > 1 else weights[order]).T)
    y, unit_share = outcome_layers(panel.values(design.outcome), w, order, columns, rows)
    share = np.zeros(len(panel.units))
    share[order] = unit_share
    return CohortSample(
        order=order,
        cohorts=cohorts,
        starts=np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(cohorts)))]),
        targets=targets,
        periods=panel.periods[columns],
        y=y,
        observed=rows,
        x=x,
        w=w,
        cluster=cluster[order],
        cohort_of=codes,
        share=share,
        columns=names,
        dropped=dropped,
        notes=tuple(notes),
    )
