"""What the variance of a comparison around events is centred at when the paths of the treatment are taken as given.

Changes of the treated side are centred at the mean of their atom (same stratum, date and size of the change), those of
the others at their own mean, each times √(n/(n−1)) with n the distinct clusters of that group. A group of one cluster
is centred at the mean of both sides of its event, with the clusters of both (de Chaisemartin & D'Haultfœuille 2024,
as in DIDmultiplegtDYN from July 2025 on).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalkit.arrays.event_comparisons import Coefficients, Events, Rows, Sums, changes, sums_by_atom

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Groups:
    """Mean change and distinct clusters of each atom of an event's treated range; clusters of the others  # (E,)"""

    means: list[Floats]
    clusters: list[Floats]
    others: Floats


def _rows_used(rows: Rows, events: Events, e: int, atoms: Codes) -> tuple[Codes, Floats, NDArray[np.bool_]]:
    """Clusters, changes and use of the units of one side."""
    part = rows.units(atoms)
    change, seen = changes(rows, events.loading[e], part)
    return rows.cluster[part], change[0], np.ones(change.shape[1], dtype=bool) if seen is None else seen


def _groups(rows: Rows, events: Events, clusters: int, own: bool) -> _Groups:
    atom = np.repeat(np.arange(len(rows.starts) - 1), np.diff(rows.starts))
    means, groups = [], []
    others = np.zeros(len(events))
    for e, (low, high) in enumerate(events.treated):
        cluster, change, used = _rows_used(rows, events, e, events.treated[e])
        mass = used if rows.w is None else used * rows.w[rows.units(events.treated[e])]
        at = atom[rows.units(events.treated[e])] - low
        weight = np.bincount(at, mass, minlength=high - low)
        total = np.bincount(at, mass * change, minlength=high - low)
        means.append(np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), 0.0))
        pairs = np.unique(at[used] * clusters + cluster[used]) // clusters
        groups.append(np.bincount(pairs, minlength=high - low).astype(np.float64))
        cluster, _, used = _rows_used(rows, events, e, events.others[e])
        others[e] = used.sum() if own else np.count_nonzero(np.bincount(cluster[used], minlength=clusters))
    return _Groups(means, groups, others)


def _complete_groups(rows: Rows, events: Events, clusters: int, own: bool) -> _Groups:
    table, weight, units = sums_by_atom(rows, 1)
    sizes = np.diff(rows.starts)
    counts = units[0]
    if not own:
        atom = np.repeat(np.arange(len(sizes)), sizes)
        pairs = np.unique(atom * clusters + rows.cluster)
        counts = np.bincount(pairs // clusters, minlength=len(sizes)).astype(np.float64)
    known: dict[tuple[int, int], float] = {}
    means, others = [], np.zeros(len(events))
    for e, (low, high) in enumerate(events.treated):
        means.append((table[0, 0, low:high] @ events.loading[e]) / weight[0, low:high])
        part = rows.units(events.others[e])
        key = (part.start, part.stop)
        if key not in known:
            size = max(part.stop - part.start, 0)
            held = size if own else np.count_nonzero(np.bincount(rows.cluster[part]))
            known[key] = float(held)
        others[e] = known[key]
    return _Groups(means, [counts[low:high] for low, high in events.treated], others)


def _factor(groups: Floats) -> Floats:
    """√(n/(n−1)), 1 for a lone cluster."""
    out: Floats = np.where(groups > 1, np.sqrt(groups / np.maximum(groups - 1, 1)), 1.0)
    return out


def given_paths(
    rows: Rows, events: Events, whole: Sums, clusters: int, inside: Floats, ratio: Floats
) -> Coefficients:
    """Coefficients of the variance given the paths, for terms that average gaps of the first layer.

    Parameters
    ----------
    whole : sums of all units (C = 1)
    inside : weight of a treated unit in its term, 0 for events that take no part  # (E,)
    ratio : weight of the treated side over that of the others  # (E,)
    """
    own = clusters >= rows.y.shape[2] and len(np.unique(rows.cluster)) == rows.y.shape[2]
    found = (_complete_groups if rows.complete else _groups)(rows, events, clusters, own)
    weight = whole.treated_weight[0] + whole.others_weight[0]
    change = whole.treated_change[0, 0] + whole.others_change[0, 0]
    union = np.where(weight > 0, change / np.where(weight > 0, weight, 1.0), 0.0)
    level = whole.others_change[0, 0] / np.where(whole.others_units[0] > 0.5, whole.others_weight[0], 1.0)
    p, u = [], []
    q, v = inside * ratio * _factor(found.others), level.copy()
    for e in range(len(events)):
        groups, means = found.clusters[e], found.means[e]
        factor = _factor(groups)
        if inside[e] and ((groups == 1).any() or found.others[e] == 1):
            both = np.concatenate(
                [
                    c[used]
                    for c, _, used in (
                        _rows_used(rows, events, e, a) for a in (events.treated[e], events.others[e])
                    )
                ]
            )
            count = len(np.unique(both))
            alone = count > 1
            stretch = np.sqrt(count / (count - 1)) if alone else 1.0
            factor = np.where(groups == 1, stretch, factor)
            means = np.where(groups == 1, union[e] if alone else 0.0, means)
            if found.others[e] == 1:
                q[e], v[e] = inside[e] * ratio[e] * stretch, union[e] if alone else 0.0
        p.append(inside[e] * factor)
        u.append(means)
    return Coefficients(p, u, q, v)
