"""Terms whose standard error the data cannot give, because one cluster stands alone on a side.

A cluster that is alone on a side of a comparison fits its own mean: its scores add up to 0 whatever it did, and a sandwich
of scores then holds the variance of the other side alone. Such a term gets no standard error, and a note; so does a term
whose scores cancel within every cluster (its variance is 0 up to rounding). With 2 to 4 clusters on a side the sandwich is
defined and too small: the note says so, and `evalkit.inference.headline` chooses what may be printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.design import Design
from evalkit.estimators._two_way_sample import Sample

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Bools = NDArray[np.bool_]

# clusters on the smaller side under which a sandwich is too small to be read by itself, as in `evalkit.inference.choice`
FEW = 5
# groups × clusters beyond which no table of both is made
LIMIT = 20_000_000
# terms that a note names
NAMED = 5


@dataclass(frozen=True, slots=True)
class Sides:
    """Clusters on the smaller side of each term: the least and the most among its cells  # (k,) each"""

    least: Codes
    most: Codes

    @property
    def alone(self) -> Bools:
        """In every cell one cluster stands alone on a side."""
        return np.asarray(self.most == 1)

    def chosen(self, at: NDArray[np.int64]) -> Sides:
        """Only some terms."""
        return Sides(self.least[at], self.most[at])


def clusters_in(cluster: Sequence[Codes], weight: Sequence[Floats], clusters: int) -> int:
    """Clusters with weight in pieces of a sample."""
    present = np.zeros(clusters, dtype=bool)
    for code, w in zip(cluster, weight, strict=True):
        present[code[w > 0]] = True
    return int(present.sum())


def sides_of_terms(
    cohort: Codes,
    cluster: Codes,
    clusters: int,
    used: Bools | None,
    tables: Bools,
    clean: Bools,
    stratum: Codes | None = None,
) -> Sides:
    """Clusters behind each term, from its cells by cohort and period; exact below `FEW`, at least that many above.

    Parameters
    ----------
    cohort, cluster : of each unit  # (N,); used : cells observed (N, T), None = all
    tables : treated cells of each term  # (J, T, k); clean : cells that serve as comparison  # (J, T)
    stratum : of each cohort; comparisons stay within it  # (J,)
    """
    groups, periods, k = tables.shape
    sizes = _sizes(cohort, cluster, clusters, used, groups, periods)

    def behind(cells: Bools) -> int:
        """Clusters in cells of cohort and period: those of the largest, or the union where all are small."""
        most = int(sizes[cells].max(initial=0))
        if most == 0 or most >= FEW:
            return most
        found: set[int] = set()
        for j, t in np.argwhere(cells & (sizes > 0)):
            rows = (cohort == j) & (True if used is None else used[:, t])
            found.update(np.unique(cluster[rows]).tolist())
        return len(found)

    layer = np.zeros(groups, dtype=np.int64) if stratum is None else stratum
    others = np.zeros((int(layer.max()) + 1, periods), dtype=np.int64)
    for s, t in np.ndindex(others.shape):
        cells = np.zeros_like(clean)
        cells[layer == s, t] = clean[layer == s, t]
        others[s, t] = behind(cells)
    least, most = np.zeros(k, dtype=np.int64), np.zeros(k, dtype=np.int64)
    for row in range(k):
        cells = tables[:, :, row] & (sizes > 0)
        if cells.any():
            own, met = behind(cells), others[layer][cells]
            least[row], most[row] = min(own, met.min()), min(own, met.max())
    return Sides(least, most)


def _sizes(
    cohort: Codes, cluster: Codes, clusters: int, used: Bools | None, groups: int, periods: int
) -> Codes:
    """Clusters seen by cohort and period  # (J, T)"""
    key = cohort * clusters + cluster
    out = np.zeros((groups, periods), dtype=np.int64)
    for t in range(periods if used is not None else 1):
        rows = slice(None) if used is None else used[:, t]
        if clusters < len(cluster) and groups * clusters <= LIMIT:
            table = np.bincount(key[rows], minlength=groups * clusters).reshape(groups, clusters)
            out[:, t] = (table > 0).sum(axis=1)
            continue
        own = cohort[rows] if clusters == len(cluster) else np.unique(key[rows]) // clusters
        out[:, t] = np.bincount(own, minlength=groups)
    return out if used is not None else np.repeat(out[:, :1], periods, axis=1)


def without_error(covariance: Floats, lost: Bools) -> Floats:
    """The covariance with NaN for the terms that have none."""
    out = covariance.copy()
    out[lost, :] = np.nan
    out[:, lost] = np.nan
    return out


def judged(
    sample: Sample,
    cohort: Codes,
    tables: Bools,
    clean: Bools,
    terms: pd.MultiIndex,
    values: Floats,
    covariance: Floats,
    design: Design,
) -> tuple[Floats, list[str]]:
    """The covariance of a regression without what one cluster alone on a side cannot give, and sentences on it.

    Terms beyond those of ``tables``, such as covariates, are left as they are.
    """
    clusters = len(sample.cluster_labels)
    found = sides_of_terms(cohort, sample.cluster, clusters, sample.used, tables, clean)
    more = np.zeros(len(values) - tables.shape[2], dtype=np.int64)
    sides = Sides(np.append(found.least, more), np.append(found.most, more))
    covariance = without_error(covariance, sides.alone)
    return covariance, doubts(sides, terms, values, covariance, design.cluster)


def saturated(
    covariance: Floats, compared: Codes, coefficients: int, terms: pd.MultiIndex
) -> tuple[Floats, list[str]]:
    """The covariance without terms whose comparison units are no more than the coefficients that they give, and a note.

    Parameters
    ----------
    compared : comparison units behind each term  # (k,)
    coefficients : slopes of covariates, without the intercept; 0 = none
    """
    full = (compared <= coefficients + 1) & (coefficients > 0) & ~np.isnan(np.diag(covariance))
    if not full.any():
        return covariance, []
    return without_error(covariance, full), [
        f"비교 단위가 절편과 공변량의 계수 {coefficients + 1}개보다 많지 않은 항이 {_named(terms, full)}: 비교 단위가 남김없이"
        " 맞아 변동을 알 수 없으므로 표준오차를 비웠다"
    ]


def doubts(
    sides: Sides | None, terms: pd.MultiIndex, values: Floats, covariance: Floats, cluster: str | None
) -> list[str]:
    """Sentences on terms whose standard error is missing, too small, or rests on few clusters.

    Parameters
    ----------
    covariance : with NaN for the terms that stand alone, unless the caller asked for a number all the same
    cluster : name of the design's cluster, None = units
    """
    what = "단위가" if cluster is None else f"군집({cluster})이"
    known = np.isfinite(values)
    notes: list[str] = []
    if sides is not None:
        some = sides.least == 1
        blank = np.isnan(np.diag(covariance))
        for flags, sentence in (
            (sides.alone & blank, "그 변동을 알 수 없어 표준오차를 비웠다"),
            (sides.alone & ~blank, "그 변동을 알 수 없어 표준오차가 너무 작다"),
            (some & ~sides.alone, "일부 칸에서 그러하여 표준오차가 너무 작다"),
        ):
            if (flags & known).any():
                notes.append(
                    f"지원받은 쪽이나 비교하는 쪽에 {what} 하나뿐인 항이 {_named(terms, flags & known)}: {sentence}"
                )
        few = known & ~some & (sides.least > 0) & (sides.least < FEW)
        if few.any():
            notes.append(
                f"한쪽의 {what} {int(sides.least[few].min())}개까지 줄어드는 항이 {_named(terms, few)}:"
                " 표준오차와 p값이 너무 작기 쉬우니 evalkit.inference.headline 으로 추론을 고를 것"
            )
    with np.errstate(invalid="ignore"):
        still = known & (values != 0) & (np.diag(covariance) == 0)
    if still.any():
        notes.append(f"{what} 모두 같은 값을 내어 흩어짐이 0 인 항이 {_named(terms, still)}: 표준오차가 없다")
    return notes


def _named(terms: pd.MultiIndex, flags: Bools) -> str:
    at = np.flatnonzero(flags)
    labels = [
        [f"{part:g}" if isinstance(part, float) else str(part) for part in terms[i]] for i in at[:NAMED]
    ]
    shown = ", ".join("·".join(part for part in label if part) for label in labels)
    return f"{len(at)}개 있음({shown}{', …' if len(at) > NAMED else ''})"
