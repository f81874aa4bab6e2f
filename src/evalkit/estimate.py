"""Estimate: the one result type. Everything downstream reads only this.

The contract, influence functions and the delete-one-cluster jackknife in one object:

* ``influence`` holds one row a unit, uncentred and scaled so that ``values`` miss the truth by about its mean
  over the N units; hence  Var(values) ~ sum_c S_c S_c' / N², S_c the sum of the rows of cluster c.
* ``replicates`` holds, for each cluster, the estimate without that cluster (NaN where it is not defined).
* ``covariance`` and ``dof`` are one choice of inference; functions of `evalkit.inference` return a copy with another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from evalkit.errors import DataError

# a standard error below this share of its estimate is a rounding error (an exact fit): no data give such a ratio
EXACT = 1e-12
# relative size under which a variance is a rounding error
ROUNDING = 64 * np.finfo(np.float64).eps
COLUMNS = ("estimate", "std_error", "conf_low", "conf_high", "p_value")


def _freeze(values: ArrayLike | None, dtype: Any = np.float64) -> NDArray[Any] | None:
    if values is None:
        return None
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Labelled values with all that inference needs.

    Attributes
    ----------
    terms : MultiIndex of k labels; level names say what they are (cohort, period, event_time, term)
    values : (k,); NaN = not estimable
    covariance : (k, k)
    influence : (N, k) or None
    cluster : cluster code of each unit, 0..C-1  # (N,)
    cluster_labels : (C,)
    replicates : (C, k) or None
    dof : degrees of freedom of each term; +inf = normal  # (k,)
    n_treated, n_comparison : units behind each term  # (k,)
    method : short English name such as "group_time/dr"
    inference : how covariance and dof were made, such as "CV3"
    design : the design as plain values
    units : unit labels, so that results over different units can be joined  # (N,)
    detail : arrays and plain values that a later step of the same method needs (documented by the method)
    """

    terms: pd.MultiIndex
    values: NDArray[np.float64]
    covariance: NDArray[np.float64]
    influence: NDArray[np.float64] | None
    cluster: NDArray[np.int64]
    cluster_labels: NDArray[Any]
    replicates: NDArray[np.float64] | None
    dof: NDArray[np.float64]
    n_treated: NDArray[np.int64]
    n_comparison: NDArray[np.int64]
    method: str
    inference: str
    units: NDArray[Any]
    design: Mapping[str, Any] = field(default_factory=dict)
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        k, n, c = len(self.terms), len(self.cluster), len(self.cluster_labels)
        terms = self.terms
        if not isinstance(terms, pd.MultiIndex):
            terms = pd.MultiIndex.from_arrays([terms], names=[terms.name or "term"])
            object.__setattr__(self, "terms", terms)
        if terms.has_duplicates:
            raise DataError("추정 항의 이름이 겹침")
        set_ = object.__setattr__
        set_(self, "values", _freeze(self.values))
        set_(self, "covariance", _freeze(self.covariance))
        # influence may be large (N × k): it is made read-only in place of being copied
        if self.influence is not None:
            self.influence.flags.writeable = False
        set_(self, "replicates", _freeze(self.replicates))
        set_(self, "cluster", _freeze(self.cluster, np.int64))
        set_(self, "dof", _freeze(np.broadcast_to(np.asarray(self.dof, dtype=np.float64), (k,))))
        set_(self, "n_treated", _freeze(np.broadcast_to(self.n_treated, (k,)), np.int64))
        set_(self, "n_comparison", _freeze(np.broadcast_to(self.n_comparison, (k,)), np.int64))
        set_(self, "design", MappingProxyType(dict(self.design)))
        set_(self, "detail", MappingProxyType(dict(self.detail)))
        for name, shape in (
            ("values", (k,)),
            ("covariance", (k, k)),
            ("influence", (n, k)),
            ("replicates", (c, k)),
            ("units", (n,)),
        ):
            array = getattr(self, name)
            if array is not None and np.shape(array) != shape:
                raise DataError(f"Estimate.{name} 의 크기 {np.shape(array)} 이(가) {shape} 와 다름")

    # -- reading ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.terms)

    @property
    def n_units(self) -> int:
        """Number of units N."""
        return len(self.cluster)

    @property
    def n_clusters(self) -> int:
        """Number of clusters C."""
        return len(self.cluster_labels)

    @property
    def std_errors(self) -> NDArray[np.float64]:
        """Square roots of the diagonal of the covariance  # (k,)"""
        with np.errstate(invalid="ignore"):
            errors: NDArray[np.float64] = np.sqrt(np.diag(self.covariance))
        return errors

    def table(self, level: float = 0.95) -> pd.DataFrame:
        """Estimates with intervals at `level`, computed when asked so that a label cannot be wrong.

        Returns
        -------
        DataFrame indexed by the terms: estimate, std_error, conf_low, conf_high, p_value (two-sided, against 0)
        """
        if not 0 < level < 1:
            raise DataError(f"신뢰수준 {level!r} 은(는) 0과 1 사이가 아님", remedy="0.95 처럼 적을 것")
        errors = self.std_errors
        with np.errstate(invalid="ignore"):
            errors = np.where(errors > EXACT * np.abs(self.values), errors, np.nan)
        finite = np.isfinite(self.dof)
        safe = np.where(finite, self.dof, 1.0)
        tail = 1 - (1 - level) / 2
        critical = np.where(finite, stdtrit(safe, tail), ndtri(tail))
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.where(errors > 0, np.abs(self.values) / errors, np.nan)
            p_value = 2 * np.where(finite, stdtr(safe, -ratio), ndtr(-ratio))
            half = np.where(errors > 0, critical * errors, np.nan)
        return pd.DataFrame(
            {
                "estimate": self.values,
                "std_error": np.where(errors > 0, errors, np.nan),
                "conf_low": self.values - half,
                "conf_high": self.values + half,
                "p_value": p_value,
            },
            index=self.terms,
        )

    def select(self, keep: ArrayLike) -> Estimate:
        """Only some terms (boolean mask or positions), with their covariance, influence and replicates."""
        at = np.arange(len(self))[np.asarray(keep)]
        return replace(
            self,
            terms=self.terms[at],
            values=self.values[at],
            covariance=self.covariance[np.ix_(at, at)],
            influence=None if self.influence is None else self.influence[:, at],
            replicates=None if self.replicates is None else self.replicates[:, at],
            dof=self.dof[at],
            n_treated=self.n_treated[at],
            n_comparison=self.n_comparison[at],
        )

    def combine(
        self, weights: ArrayLike, terms: pd.MultiIndex | Sequence[Any], *, method: str | None = None
    ) -> Estimate:
        """Linear combinations with fixed weights (m, k): covariance, influence and replicates follow.

        ``dof`` of a combination is the smallest among the terms that enter it.
        """
        w = np.atleast_2d(np.asarray(weights, dtype=np.float64))  # (m, k)
        used = w != 0
        index = (
            terms
            if isinstance(terms, pd.MultiIndex)
            else pd.MultiIndex.from_arrays([list(terms)], names=["term"])
        )

        def times(rows: NDArray[np.float64]) -> NDArray[np.float64]:
            # a NaN term poisons only the combinations that use it
            clean = np.where(np.isnan(rows), 0.0, rows)
            out: NDArray[np.float64] = clean @ w.T
            out[(np.isnan(rows).astype(float) @ used.T.astype(float)) > 0] = np.nan
            return out

        unknown = np.isnan(self.covariance)
        covariance = w @ np.where(unknown, 0.0, self.covariance) @ w.T
        # a variance that is the rounding error of the larger ones that it is made of is 0, not a small number
        size = np.abs(w) @ np.sqrt(np.where(unknown, 0.0, self.covariance).diagonal().clip(0.0))
        gone = covariance.diagonal() <= ROUNDING * size**2
        covariance[gone, :] = covariance[:, gone] = 0.0
        lost = used.astype(float)
        covariance[(lost @ unknown.astype(float) @ lost.T) > 0] = np.nan
        return replace(
            self,
            terms=index,
            values=times(self.values[None, :])[0],
            covariance=covariance,
            influence=None if self.influence is None else times(self.influence),
            replicates=None if self.replicates is None else times(self.replicates),
            dof=np.array([self.dof[row].min(initial=np.inf) for row in used]),
            n_treated=np.array([self.n_treated[row].max(initial=0) for row in used]),
            n_comparison=np.array([self.n_comparison[row].max(initial=0) for row in used]),
            method=method or self.method,
        )

    # -- keeping ------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write one ``.npz`` (no pickles). Of ``detail``, arrays and JSON values are kept."""
        arrays: dict[str, NDArray[Any]] = {}
        for name in (
            "values",
            "covariance",
            "influence",
            "cluster",
            "cluster_labels",
            "replicates",
            "dof",
            "n_treated",
            "n_comparison",
            "units",
        ):
            array = getattr(self, name)
            if array is not None:
                array = np.asarray(array)
                arrays[name] = array.astype(str) if array.dtype.kind in "OT" else array
        plain: dict[str, Any] = {}
        for name, value in self.detail.items():
            if isinstance(value, np.ndarray):
                arrays[f"detail/{name}"] = value.astype(str) if value.dtype.kind in "OT" else value
            else:
                plain[name] = value
        head = {
            "names": list(self.terms.names),
            "terms": [[_plain(part) for part in label] for label in self.terms],
            "method": self.method,
            "inference": self.inference,
            "design": dict(self.design),
            "detail": plain,
        }
        arrays["head"] = np.array(json.dumps(head, ensure_ascii=False, sort_keys=True))
        target = Path(path)
        temporary = target.with_name(target.name + ".part")
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **arrays)
        temporary.replace(target)

    @classmethod
    def load(cls, path: str | Path) -> Estimate:
        """The inverse of `save`."""
        with np.load(Path(path), allow_pickle=False) as stored:
            head = json.loads(str(stored["head"]))
            detail = {k.removeprefix("detail/"): stored[k] for k in stored.files if k.startswith("detail/")}
            columns = list(zip(*head["terms"], strict=True)) or [() for _ in head["names"]]
            get = {
                name: (stored[name] if name in stored.files else None) for name in ("influence", "replicates")
            }
            return cls(
                terms=pd.MultiIndex.from_arrays([list(c) for c in columns], names=head["names"]),
                values=stored["values"],
                covariance=stored["covariance"],
                influence=get["influence"],
                cluster=stored["cluster"],
                cluster_labels=stored["cluster_labels"],
                replicates=get["replicates"],
                dof=stored["dof"],
                n_treated=stored["n_treated"],
                n_comparison=stored["n_comparison"],
                method=head["method"],
                inference=head["inference"],
                units=stored["units"],
                design=head["design"],
                detail={**head["detail"], **detail},
            )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
