"""Does one cluster, industry or firm carry the result? The estimate without each of them.

By cluster the estimates stand in ``replicates`` (exact). By any other fixed variable, or by unit, the method is fitted again
without each group where they are few, exact; where they are many, the change is read from the influence functions,

    θ(−S) − θ̂ ≈ −Σ_{i∈S} ψ_i / (N − |S|),

exact for a mean and first-order elsewhere (Hampel 1974; Cook 1977), and the groups that it finds most influential are
fitted again. Checked against refits one by one and diff_diff 3.13 (live): tests/reference/test_influence.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import cluster_sums
from evalkit.checks.check import Check
from evalkit.checks.reassignment import require_level
from evalkit.design import Design
from evalkit.errors import DesignError, EvalkitError, UsageError
from evalkit.estimate import Estimate
from evalkit.inference.refit import Fit, only_term
from evalkit.method_card import MethodCard
from evalkit.panel import Panel

Floats = NDArray[np.float64]

CARDS = (
    MethodCard(
        function="leave_out",
        name="하나씩 빼기",
        english="leave one province, industry or firm out",
        group="robustness",
        question="시·도나 산업, 기업 하나가 결과를 좌우하는가?",
        assumptions=("하나를 빼도 같은 효과를 추정한다(하나만의 효과가 아니다).",),
        returns="LeaveOut: 뺀 것마다의 추정치와 구간, 구한 방법, Check",
        reference="Hampel (1974); Cook (1977)",
        oracle=("하나씩 빼고 다시 추정한 값, diff_diff 3.13: tests/reference/test_influence.py",),
        differs="수가 많으면 영향함수로 어림하고 영향이 큰 것만 다시 추정하며, 어느 쪽인지 표에 적는다.",
    ),
)


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """Estimates without one group at a time.

    Attributes
    ----------
    by : what was left out: the name of a fixed variable, or "unit"
    table : indexed by label: estimate, conf_low, conf_high (NaN where not refitted), change, units (in the group), how
        ("replicate", "refit" or "influence"); the largest change first
    estimate : of the whole sample, as it was given
    failed : label -> sentence, of groups without which nothing can be estimated
    check : verdict
    """

    by: str
    table: pd.DataFrame
    estimate: Estimate
    failed: Mapping[str, str]
    check: Check


def leave_one_out(estimate: Estimate, *, level: float = 0.95) -> Check:
    """The smallest and largest estimate when one cluster is left out, of an Estimate with one term.

    The verdict is "warn" where leaving out one cluster moves the estimate by more than its own standard error, "fail"
    where its sign turns although the full estimate is significant at `level`, and "unknown" where the estimate has no
    standard error to measure the move by.
    """
    if estimate.replicates is None:
        return Check("leave_one_out", "unknown", "no_replicates")
    return _judged(estimate, estimate.replicates[:, 0], estimate.cluster_labels, level)


def _judged(
    estimate: Estimate,
    values: Floats,
    labels: NDArray[Any],
    level: float,
    more: Mapping[str, Any] | None = None,
) -> Check:
    known = np.isfinite(values)
    if not known.any():
        return Check("leave_one_out", "unknown", "no_replicates", detail=dict(more or {}))
    full, error = float(estimate.values[0]), float(estimate.std_errors[0])
    low, high = int(np.nanargmin(values)), int(np.nanargmax(values))
    turned = bool((np.sign(values[known]) != np.sign(full)).any())
    row = estimate.table(level).iloc[0]
    significant = bool(row["conf_low"] > 0 or row["conf_high"] < 0)
    moved = float(np.nanmax(np.abs(values - full)))
    verdict = "fail" if turned and significant else "warn" if turned or moved > error else "pass"
    if not error > 0:
        verdict = "unknown"
    reason = {"fail": "sign_turns", "warn": "moves_much", "unknown": "moves_much", "pass": "stable"}[verdict]
    return Check(
        "leave_one_out",
        verdict,  # type: ignore[arg-type]
        reason,
        statistic=moved,
        detail={
            "lowest": float(values[low]),
            "lowest_without": str(labels[low]),
            "highest": float(values[high]),
            "highest_without": str(labels[high]),
            "undefined": int((~known).sum()),
            **(more or {}),
        },
    )


def leave_out(
    panel: Panel,
    design: Design,
    fit: Fit,
    *,
    by: str | None = None,
    refits: int = 60,
    level: float = 0.95,
) -> LeaveOut:
    """The estimate without each value of a fixed variable, or without each unit.

    Parameters
    ----------
    fit : one-term method
    by : fixed variable, such as province or industry; None = the design's cluster; "unit" = each unit of the panel
    refits : up to so many groups are all fitted again; of more, the most influential so many are, and the others are
        read from the influence functions. Clusters whose replicates the estimate keeps are never fitted again

    Raises
    ------
    UsageError : a negative number of refits
    DesignError : fewer than two groups, or too many to fit again and no influence functions
    """
    require_level(level)
    if refits < 0:
        raise UsageError(f"다시 추정할 수 {refits} 이(가) 음수임", remedy="0 이상의 정수로 적을 것")
    whole = fit(panel, design)
    value = only_term(whole)
    name = by or design.cluster
    codes, labels = panel.clusters(None if name in (None, "unit") else name)
    if len(labels) < 2:
        raise DesignError(
            f"변수 {name} 의 값이 {len(labels)}개뿐이라 하나를 빼면 남는 것이 없음",
            remedy="값이 둘 이상인 고정 변수를 by 에 적을 것",
        )
    values, how = _read(whole, design, name, panel, codes, labels)
    order = np.argsort(-np.abs(np.where(np.isfinite(values), values - value, np.inf)), kind="stable")
    exact = how[0] == "replicate"
    low, high = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    failed: dict[str, str] = {}
    if not exact:
        if len(labels) > refits and whole.influence is None:
            raise DesignError(
                f"{name} {len(labels)}개를 하나씩 빼고 다시 추정하기에는 많고, 영향함수가 없어 어림할 수도 없음",
                remedy=f"refits 를 {len(labels)} 이상으로 늘리거나 더 큰 묶음으로 뺄 것",
            )
        for c in order if len(labels) <= refits else order[:refits]:
            how[c] = "refit"
            try:
                row = fit(panel.select(codes != c), design).table(level).iloc[0]
            except EvalkitError as problem:
                values[c], failed[str(labels[c])] = np.nan, problem.sentence()
                continue
            values[c], low[c], high[c] = row["estimate"], row["conf_low"], row["conf_high"]
    counts = np.bincount(codes, minlength=len(labels))
    table = pd.DataFrame(
        {
            "estimate": values,
            "conf_low": low,
            "conf_high": high,
            "change": values - value,
            "units": counts,
            "how": how,
        },
        index=pd.Index([str(label) for label in labels], name=name or "unit"),
    )
    table = table.iloc[np.argsort(-table["change"].abs().fillna(np.inf).to_numpy(), kind="stable")]
    more = {"by": name or "unit", "refitted": int((how == "refit").sum()), "groups": len(labels)}
    check = _judged(whole, values, np.asarray(labels), level, more)
    return LeaveOut(name or "unit", table, whole, failed, check)


def _read(
    whole: Estimate, design: Design, name: str | None, panel: Panel, codes: NDArray[np.int64], labels: Any
) -> tuple[Floats, NDArray[Any]]:
    """What the estimate itself tells: replicates by cluster, or influence functions; NaN where it tells nothing."""
    own = design.cluster if name != "unit" else None
    if whole.replicates is not None and name in (design.cluster, None) and name == own:
        place = {str(label): at for at, label in enumerate(whole.cluster_labels)}
        values = np.array(
            [
                whole.replicates[place[str(label)], 0] if str(label) in place else whole.values[0]
                for label in labels
            ]
        )
        return values, np.full(len(labels), "replicate", dtype=object)
    how = np.full(len(labels), "influence", dtype=object)
    if whole.influence is None:
        return np.full(len(labels), np.nan), how
    at = np.full(len(panel.units), -1)
    place = {unit: i for i, unit in enumerate(whole.units.tolist())}
    at = np.array([place.get(unit, -1) for unit in panel.units.tolist()])
    rows = np.where(at[:, None] >= 0, whole.influence[np.maximum(at, 0)], 0.0)
    sums = cluster_sums(rows, codes, len(labels))[:, 0]
    sizes = np.bincount(codes[at >= 0], minlength=len(labels))
    return whole.values[0] - sums / np.maximum(whole.n_units - sizes, 1), how
