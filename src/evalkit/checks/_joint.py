"""Several estimates read together: their joint covariance, a Wald test, and Holm where there is none.

Each estimate keeps its own standard error; the correlations between them come from the influence functions summed by
cluster (or, where all are CV3, from the estimates without each cluster), clusters matched by their labels. Holm (1979) needs
no correlations and stands in where the clusters are too few for the Wald test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.arrays.cluster import cluster_sums
from evalkit.checks.check import Check
from evalkit.design import Design
from evalkit.errors import EvalkitError, UsageError
from evalkit.estimate import COLUMNS, Estimate
from evalkit.inference.joint import wald
from evalkit.inference.refit import Fit, only_term
from evalkit.panel import Panel

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Placebo:
    """A family of placebo estimates.

    Attributes
    ----------
    kind : "time", "outcome", "exposure" or "industry"
    table : one row a placebo: estimate, std_error, conf_low, conf_high, p_value, p_holm, and what the kind adds
    estimate : the actual estimate
    p_value : joint, that every placebo effect is zero; NaN where nothing could be tested
    combined : "wald", "holm", or "" where nothing could be tested
    failed : label -> sentence, of placebos that could not be estimated
    check : verdict
    detail : plain values
    """

    kind: str
    table: pd.DataFrame
    estimate: float
    p_value: float
    combined: str
    failed: Mapping[str, str]
    check: Check
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fits:
    """What was estimated and what could not be: labels -> one-term estimates, labels -> sentence."""

    done: dict[Any, Estimate] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def attempt(self, label: Any, fit: Fit, panel: Panel, design: Design) -> None:
        """Estimate and keep; a refusal is kept as its sentence."""
        try:
            found = fit(panel, design)
        except EvalkitError as problem:
            self.failed[str(label)] = problem.sentence()
            return
        if not np.isfinite(only_term(found)):
            self.failed[str(label)] = "추정치가 없음."
            return
        self.done[label] = found


def stacked(estimates: Sequence[Estimate]) -> Estimate | None:
    """One-term estimates as terms of one, with correlations; None where they are not known."""
    jackknife = all(e.inference == "CV3" and e.replicates is not None for e in estimates)
    if not jackknife and any(e.influence is None for e in estimates):
        return None
    labels = sorted({str(label) for e in estimates for label in e.cluster_labels})
    place = {label: at for at, label in enumerate(labels)}
    scores = np.zeros((len(labels), len(estimates)))
    for k, e in enumerate(estimates):
        at = [place[str(label)] for label in e.cluster_labels]
        if jackknife:
            assert e.replicates is not None
            scores[at, k] = e.replicates[:, 0] - e.values[0]
        else:
            assert e.influence is not None
            scores[at, k] = cluster_sums(e.influence, e.cluster, e.n_clusters)[:, 0] / e.n_units
    gram = scores.T @ scores
    size = np.sqrt(np.diag(gram))
    errors = np.array([e.std_errors[0] for e in estimates])
    if not (np.isfinite(size) & (size > 0)).all() or not np.isfinite(errors).all():
        return None
    turned = gram / size[:, None] / size[None, :] * errors[:, None] * errors[None, :]
    first = estimates[0]
    return Estimate(
        terms=pd.MultiIndex.from_arrays([range(len(estimates))], names=["term"]),
        values=np.array([e.values[0] for e in estimates]),
        covariance=turned,
        influence=None,
        cluster=np.arange(len(labels)),
        cluster_labels=np.array(labels),
        replicates=None,
        dof=np.full(len(estimates), min(float(e.dof[0]) for e in estimates)),
        n_treated=np.array([e.n_treated[0] for e in estimates]),
        n_comparison=np.array([e.n_comparison[0] for e in estimates]),
        method="stacked",
        inference=first.inference,
        units=np.array(labels),
        design=first.design,
    )


def holm(p_values: Floats) -> Floats:
    """Holm's step-down p-values; NaN stays NaN and is not counted."""
    known = np.flatnonzero(np.isfinite(p_values))
    out = np.full(len(p_values), np.nan)
    order = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return out


def together(estimates: Sequence[Estimate], p_values: Floats, *, how: str = "auto") -> tuple[float, str]:
    """Joint p-value that all are zero and how it was made: "wald", "holm" or "".

    Parameters
    ----------
    how : "auto" (Wald where the clusters allow it, else Holm), "wald" or "holm"

    Raises
    ------
    UsageError : another way
    """
    if how not in ("auto", "wald", "holm"):
        raise UsageError(f"결합 검정 {how!r} 은(는) 없음", remedy="auto, wald 또는 holm 으로 적을 것")
    if how != "holm" and len(estimates):
        stack = stacked(estimates)
        if stack is not None and (stack.std_errors > 0).all():
            found = wald(stack).p_value
            if np.isfinite(found):
                return float(found), "wald"
    if how == "wald" or not np.isfinite(p_values).any():
        return float("nan"), ""
    return float(np.nanmin(holm(p_values))), "holm"


def table_of(done: Mapping[Any, Estimate], level: float, name: str) -> pd.DataFrame:
    """One row an estimate, with Holm's p-values."""
    if not done:
        columns: dict[str, Any] = {column: np.array([], dtype=float) for column in (*COLUMNS, "p_holm")}
        return pd.DataFrame(columns, index=pd.Index([], name=name))
    rows = [e.table(level).iloc[0] for e in done.values()]
    frame = pd.DataFrame(rows, index=pd.Index(list(done), name=name))
    frame["p_holm"] = holm(frame["p_value"].to_numpy(dtype=np.float64))
    return frame


def placebo_check(
    name: str, fits: Fits, table: pd.DataFrame, p_value: float, *, level: float, actual: Estimate | None
) -> Check:
    """Verdict on a family of placebos.

    "fail" where they are not zero together; "warn" where the actual effect (None = in another unit of measure) is
    significant and every placebo interval is so wide that it holds it too, or where some could not be estimated; "unknown"
    where none could be tested.
    """
    detail: dict[str, Any] = {
        "placebos": len(fits.done),
        "failed": len(fits.failed),
        "largest": float(table["estimate"].abs().max()) if len(table) else None,
    }
    known = table[table["p_value"].notna()]
    if not len(known) or not np.isfinite(p_value):
        return Check(
            name, "unknown", "nothing_estimated" if not len(fits.done) else "no_error", detail=detail
        )
    largest = float((known["estimate"] / known["std_error"]).abs().max())
    if p_value < 1 - level:
        return Check(name, "fail", "placebo_effect_found", largest, p_value, detail)
    if actual is not None and actual.table(level)["p_value"].iloc[0] < 1 - level:
        effect = only_term(actual)
        held = (known["conf_low"] <= effect) & (effect <= known["conf_high"])
        detail["holding_the_effect"] = int(held.sum())
        if held.all():
            return Check(name, "warn", "placebos_too_wide", largest, p_value, detail)
    if fits.failed:
        return Check(name, "warn", "some_not_estimated", largest, p_value, detail)
    return Check(name, "pass", "no_placebo_effect", largest, p_value, detail)
