"""The Estimate of a switching treatment: terms, tests and paths."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from evalkit.arrays.cluster import sandwich
from evalkit.arrays.event_comparisons import clusters_by_side, units_behind
from evalkit.design import Design
from evalkit.errors import DesignError
from evalkit.estimate import Estimate
from evalkit.estimators._event_sheet import unsorted
from evalkit.estimators._one_sided import Sides, doubts, without_error
from evalkit.estimators._switching_fit import Found, Options, Work
from evalkit.estimators._switching_paths import path_table
from evalkit.panel import Panel


def _wald(estimate: Estimate, chosen: NDArray[np.bool_], *, equal: bool = False) -> dict[str, Any]:
    """Wald test that the chosen terms are 0, or all the same."""
    at = np.flatnonzero(chosen & np.isfinite(estimate.values))
    q = len(at) - int(equal)
    if q < 1:
        return {"statistic": None, "df": max(q, 0), "p_value": None}
    r = np.eye(len(at)) if not equal else np.eye(len(at))[1:] - np.eye(len(at))[:1]
    gap = r @ estimate.values[at]
    covariance = r @ estimate.covariance[np.ix_(at, at)] @ r.T
    size = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    if not (size > 0).all():
        return {"statistic": None, "df": q, "p_value": None}
    scaled = covariance / size[:, None] / size[None, :]
    rank = int(np.linalg.matrix_rank(scaled, tol=1e-9, hermitian=True))
    statistic = float(gap / size @ np.linalg.pinv(scaled, rcond=1e-9, hermitian=True) @ (gap / size))
    return {"statistic": statistic, "df": rank, "p_value": float(chdtrc(rank, statistic))}


def tell(
    panel: Panel, design: Design, options: Options, work: Work, found: Found, *, average: bool
) -> Estimate:
    """The Estimate; terms without a comparison are left out and noted."""
    n, clusters = len(panel.units), len(work.sheet.labels)
    keep = np.flatnonzero(np.isfinite(found.values))
    if not len(keep):
        raise DesignError(
            f"추정할 수 있는 효과가 하나도 없음 (처치 {options.treatment})",
            where=(f"결과 {design.outcome}",),
            remedy="비교 단위와 결과가 관측된 기간을 더하거나, 더해진 지원의 합이 0 이 아닌지 확인할 것",
        )
    ahead = design.anticipation
    labels = [h - 1 if h > 0 else h - 1 - ahead for h in work.plan.terms]
    notes = [*work.sheet.notes, *work.paths.notes]
    if found.slopes is not None and found.slopes.lost:
        notes.append(
            f"처음 수준 {', '.join(found.slopes.lost)} 에서는 공변량의 기울기를 구할 수 없어 그 단위들을 뺐다."
        )
    if average:
        terms = pd.MultiIndex.from_arrays([["average_total"]], names=["term"])
    else:
        terms = pd.MultiIndex.from_arrays([[labels[k] for k in keep]], names=["event_time"])
        gone = [str(labels[k]) for k in range(len(labels)) if k not in keep]
        if gone:
            notes.append(f"경과 기간 {', '.join(gone)} 은(는) 비교할 단위가 없어 뺐다.")
    events = work.plan.events
    if average:
        events = replace(events, term=np.zeros(len(events), dtype=np.int64))
    counted = (work.rows, events, len(found.values), found.alive)
    behind = units_behind(*counted)[:, keep]
    sides = Sides(*(s[keep] for s in clusters_by_side(*counted, clusters)))
    given = unsorted(found.psi_given[keep] * n, work.rows_at, n)
    covariance = without_error(sandwich(given, work.sheet.cluster, clusters), sides.alone)
    notes += doubts(sides, terms, found.values[keep], covariance, design.cluster)
    slopes = found.slopes
    estimate = Estimate(
        terms=terms,
        values=found.values[keep],
        covariance=covariance,
        influence=unsorted(found.psi[keep] * n, work.rows_at, n),
        cluster=work.sheet.cluster,
        cluster_labels=work.sheet.labels,
        replicates=None if found.replicates is None else found.replicates[:, keep],
        dof=np.full(len(keep), np.inf),
        n_treated=behind[0],
        n_comparison=behind[1],
        method=f"switching/{'average' if average else 'normalized' if options.normalized else 'effects'}",
        inference="dCDH",
        units=panel.units,
        design=replace(design, base="universal").to_dict(),
        detail={
            "treatment": options.treatment,
            "paths": path_table(work.paths, work.rows_at, work.rows, work.plan, found.alive),
            "n_observations": found.n_observations[keep],
            "dose": found.dose[keep] if np.isfinite(found.dose[keep]).all() else np.zeros(0),
            "slopes": {}
            if slopes is None
            else {
                "names": list(work.covariates),
                "baselines": [float(v) for v in np.unique(work.order.values)],
                "values": slopes.values.tolist(),
            },
            "dropped": {**work.sheet.dropped, **work.paths.dropped},
            "notes": notes,
        },
    )
    return estimate if average else _tested(estimate)


def _tested(estimate: Estimate) -> Estimate:
    times = np.asarray(estimate.terms.get_level_values(0))
    return replace(
        estimate,
        detail={
            **estimate.detail,
            "joint_effects": _wald(estimate, times >= 0),
            "joint_placebos": _wald(estimate, times < 0),
            "equal_effects": _wald(estimate, times >= 0, equal=True),
        },
    )
