"""Changes of treated units around an event against changes of other units: averages, influence, deletions, from sums.

Units are sorted into atoms (units that share everything that matters: stratum, date of the event, size of the change).
An event compares two ranges of atoms by one linear combination of periods, its loading ℓ (which sums to 0):

    gap_e = mean of (Σ_t ℓ_t y_it) over the treated range − mean over the range of the others

and a term is an average of the gaps of its events, θ_k = Σ_e a_e s_e gap_e / Σ_e a_e with a sign s_e and

    "equal"     a_e = n_T                  every treated unit counts once
    "variance"  a_e = n_T n_C/(n_T + n_C)  least squares with one intercept an event

Where every cell is observed, the sums of y by (cluster, atom, period) hold everything: estimates, estimates without
each cluster, and influence functions as one small matrix product an atom. Where cells are missing, an event's sums run
over the units that have all periods of its loading.

Shapes: n units (sorted), T columns, A atoms, E events, K terms, C clusters, L layers (the outcome, then variables that
will be partialled out of it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Scheme = Literal["equal", "variance"]


@dataclass(frozen=True, slots=True)
class Rows:
    """Units in order of atom and, within an atom, of cluster.

    y : layers by period and unit; NaN = not observed (in every layer at once)  # (L, T, n)
    complete : no cell is missing
    w : weights, > 0; None = all 1  # (n,)
    starts : atom a holds units starts[a]..starts[a+1]-1, at least one  # (A+1,)
    cluster : (n,)
    """

    y: Floats
    complete: bool
    w: Floats | None
    starts: Codes
    cluster: Codes

    def units(self, atoms: NDArray[np.int64]) -> slice:
        """Rows of a range of atoms (first, last + 1)."""
        return slice(int(self.starts[atoms[0]]), int(self.starts[atoms[1]]))


@dataclass(frozen=True, slots=True)
class Events:
    """Who is compared with whom, when.

    term : position of the event's term  # (E,)
    sign : +1, or −1 where the change of the treatment was a decrease  # (E,)
    treated, others : ranges of atoms (first, last + 1); a range may be empty  # (E, 2)
    loading : (E, T)
    """

    term: Codes
    sign: Floats
    treated: Codes
    others: Codes
    loading: Floats

    def __len__(self) -> int:
        return len(self.term)


@dataclass(frozen=True, slots=True)
class Sums:
    """Additive sums of each event by cluster: weights, units (C, E) and weighted changes (L, C, E) of both sides."""

    treated_weight: Floats
    treated_units: Floats
    treated_change: Floats
    others_weight: Floats
    others_units: Floats
    others_change: Floats

    def _each(self, whole: bool) -> Sums:
        parts = []
        for name in self.__slots__:
            values = getattr(self, name)
            axis = values.ndim - 2
            total = values.sum(axis=axis, keepdims=True)
            parts.append(total if whole else total - values)
        return Sums(*parts)

    def whole(self) -> Sums:
        """Of all clusters together (C = 1)."""
        return self._each(True)

    def without(self) -> Sums:
        """Of all clusters but one, for each."""
        return self._each(False)

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Events with units on both sides  # (C, E)"""
        return np.asarray((self.treated_units > 0.5) & (self.others_units > 0.5))

    def means(self) -> tuple[Floats, Floats]:
        """Mean change of both sides, 0 where there is no unit  # (L, C, E) each"""
        out = []
        for change, weight, units in (
            (self.treated_change, self.treated_weight, self.treated_units),
            (self.others_change, self.others_weight, self.others_units),
        ):
            some = units > 0.5
            out.append(np.where(some, change / np.where(some, weight, 1.0), 0.0))
        return out[0], out[1]


def sums_by_atom(rows: Rows, clusters: int) -> tuple[Floats, Floats, Floats]:
    """Sums of weighted outcomes (L, C, A, T), of weights and of units (C, A), where every cell is observed."""
    sizes = np.diff(rows.starts)
    atoms = len(sizes)
    layers, periods, n = rows.y.shape
    atom = np.repeat(np.arange(atoms), sizes)
    key = atom if clusters == 1 else atom * clusters + rows.cluster
    first = np.concatenate([[0], np.flatnonzero(np.diff(key)) + 1]) if n else np.zeros(0, dtype=np.int64)
    lengths = np.diff(np.append(first, n))
    at_atom = atom[first]
    at_cluster = np.zeros(len(first), dtype=np.int64) if clusters == 1 else rows.cluster[first]
    units = np.zeros((clusters, atoms))
    units[at_cluster, at_atom] = lengths
    weight = units
    weighed = rows.y
    if rows.w is not None:
        weight = np.zeros((clusters, atoms))
        weight[at_cluster, at_atom] = np.add.reduceat(rows.w, first)
        weighed = rows.y * rows.w
    table = np.zeros((layers, clusters, atoms, periods))
    if len(first) <= 64:  # few long runs: pairwise summation
        runs = np.stack([weighed[:, :, a : a + m].sum(axis=2) for a, m in zip(first, lengths, strict=True)])
        table[:, at_cluster, at_atom] = np.moveaxis(runs, 0, 1)
    else:
        table[:, at_cluster, at_atom] = np.moveaxis(np.add.reduceat(weighed, first, axis=2), 2, 1)
    return table, weight, units


def changes(rows: Rows, loading: Floats, part: slice) -> tuple[Floats, NDArray[np.bool_] | None]:
    """Σ_t ℓ_t y of some units, 0 where not observed (L, m), and who is observed; None = all."""
    used = np.flatnonzero(loading)
    out = np.tensordot(loading[used], rows.y[:, used, part], axes=(0, 1))
    if rows.complete:
        return out, None
    seen = ~np.isnan(out[0])
    return np.where(seen, out, 0.0), seen


def event_sums(rows: Rows, events: Events, clusters: int) -> Sums:
    """Sums of every event by cluster; ``clusters=1`` sums over all units."""
    layers = len(rows.y)
    sides = [
        (np.zeros((clusters, len(events))), np.zeros((clusters, len(events))),
         np.zeros((layers, clusters, len(events)))) for _ in range(2)
    ]  # fmt: skip
    if rows.complete:
        table, weight, units = sums_by_atom(rows, clusters)
        for (w, u, s), ranges in zip(sides, (events.treated, events.others), strict=True):
            for e, (low, high) in enumerate(ranges):
                w[:, e] = weight[:, low:high].sum(axis=1)
                u[:, e] = units[:, low:high].sum(axis=1)
                s[:, :, e] = table[:, :, low:high].sum(axis=2) @ events.loading[e]
    else:
        for (w, u, s), ranges in zip(sides, (events.treated, events.others), strict=True):
            for e, atoms in enumerate(ranges):
                part = rows.units(atoms)
                if part.stop <= part.start:
                    continue
                change, seen = changes(rows, events.loading[e], part)
                mask = np.ones(change.shape[1]) if seen is None else seen.astype(np.float64)
                mass = mask if rows.w is None else mask * rows.w[part]
                code = np.zeros(len(mask), dtype=np.int64) if clusters == 1 else rows.cluster[part]
                w[:, e] = np.bincount(code, mass, minlength=clusters)
                u[:, e] = np.bincount(code, mask, minlength=clusters)
                for j in range(layers):
                    s[j, :, e] = np.bincount(code, mass * change[j], minlength=clusters)
    return Sums(*sides[0], *sides[1])


def event_weights(sums: Sums, scheme: Scheme, alive: NDArray[np.bool_]) -> Floats:
    """a_e, 0 for events that are not alive  # (C, E)"""
    a = sums.treated_weight
    if scheme == "variance":
        both = sums.treated_weight + sums.others_weight
        a = a * sums.others_weight / np.where(alive, both, 1.0)
    return np.where(alive, a, 0.0)


def averages(gap: Floats, a: Floats, events: Events, terms: int) -> Floats:
    """θ of each term from gaps and weights (C, E); NaN where no event is left  # (C, K)"""
    pick = np.zeros((len(events), terms))
    pick[np.arange(len(events)), events.term] = 1.0
    total = a @ pick
    some = (a > 0).astype(np.float64) @ pick > 0
    out: Floats = np.where(some, ((a * events.sign * gap) @ pick) / np.where(some, total, 1.0), np.nan)
    return out


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Influence of a unit on its term: p_e (change − u_e) on the treated side, −q_e (change − v_e) on the other.

    p, u : one number an event (E,), or a list of one array an event over the atoms of its treated range
    q, v : (E,)
    """

    p: Floats | list[Floats]
    u: Floats | list[Floats]
    q: Floats
    v: Floats


def influence(rows: Rows, events: Events, terms: int, by: Coefficients) -> Floats:
    """Influence of each unit on each term, from the first layer  # (K, n)"""
    n = rows.y.shape[2]
    idle = np.array([not np.any(p) for p in by.p], dtype=bool) & (by.q == 0)
    if rows.complete:
        return _complete_influence(rows, events, terms, by, idle)
    psi = np.zeros((terms, n))
    sizes = np.diff(rows.starts)
    for e in np.flatnonzero(~idle):
        row = psi[events.term[e]]
        low, high = events.treated[e]
        p, u = (np.repeat(np.broadcast_to(c[e], high - low), sizes[low:high]) for c in (by.p, by.u))
        part = rows.units(events.treated[e])
        change, seen = changes(rows, events.loading[e], part)
        row[part] += p * (change[0] - u) * (1.0 if seen is None else seen)
        part = rows.units(events.others[e])
        change, seen = changes(rows, events.loading[e], part)
        row[part] -= by.q[e] * (change[0] - by.v[e]) * (1.0 if seen is None else seen)
    return psi if rows.w is None else psi * rows.w


def _complete_influence(
    rows: Rows, events: Events, terms: int, by: Coefficients, idle: NDArray[np.bool_]
) -> Floats:
    """As one product (K, T) @ (T, m) an atom."""
    atoms = len(rows.starts) - 1
    slope = np.zeros((atoms, terms, rows.y.shape[1]))
    level = np.zeros((atoms, terms))
    for e in np.flatnonzero(~idle):
        k, loading = events.term[e], events.loading[e]
        low, high = events.treated[e]
        p, u = (np.broadcast_to(c[e], high - low) for c in (by.p, by.u))
        slope[low:high, k] += p[:, None] * loading
        level[low:high, k] -= p * u
        low, high = events.others[e]
        slope[low:high, k] -= by.q[e] * loading
        level[low:high, k] += by.q[e] * by.v[e]
    psi = np.empty((terms, rows.y.shape[2]))
    for a in range(atoms):
        part = slice(int(rows.starts[a]), int(rows.starts[a + 1]))
        np.matmul(slope[a], rows.y[0][:, part], out=psi[:, part])
        psi[:, part] += level[a][:, None]
        if rows.w is not None:
            psi[:, part] *= rows.w[part]
    return psi


def _members(rows: Rows, events: Events, mine: NDArray[np.int64], ranges: Codes) -> NDArray[np.bool_]:
    """Units observed in one side of some events  # (n,)"""
    sizes = np.diff(rows.starts)
    if rows.complete:
        atoms = np.zeros(len(sizes), dtype=bool)
        for e in mine:
            atoms[ranges[e, 0] : ranges[e, 1]] = True
        return np.repeat(atoms, sizes)
    found = np.zeros(rows.y.shape[2], dtype=bool)
    for e in mine:
        part = rows.units(ranges[e])
        used = np.flatnonzero(events.loading[e])
        found[part] |= ~np.isnan(rows.y[0][used, part]).any(axis=0)
    return found


def units_behind(rows: Rows, events: Events, terms: int, used: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Distinct units on the treated and on the other side of each term, over the events used  # (2, K)"""
    out = np.zeros((2, terms), dtype=np.int64)
    for k in range(terms):
        mine = np.flatnonzero((events.term == k) & used)
        for side, ranges in enumerate((events.treated, events.others)):
            out[side, k] = np.count_nonzero(_members(rows, events, mine, ranges))
    return out


def clusters_by_side(
    rows: Rows, events: Events, terms: int, used: NDArray[np.bool_], clusters: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clusters on the smaller side of each term, with the fewest and the most comparison clusters of its events  # (K,)"""

    def count(found: NDArray[np.bool_]) -> int:
        return int(np.count_nonzero(np.bincount(rows.cluster[found], minlength=clusters)))

    least, most = np.zeros(terms, dtype=np.int64), np.zeros(terms, dtype=np.int64)
    for k in range(terms):
        mine = np.flatnonzero((events.term == k) & used)
        if not len(mine):
            continue
        own = count(_members(rows, events, mine, events.treated))
        # events with the same comparison units are counted once
        first = np.unique(events.others[mine], axis=0, return_index=True)[1]
        others = [count(_members(rows, events, mine[[i]], events.others)) for i in first]
        least[k], most[k] = min(own, *others), min(own, max(others))
    return least, most


def clusters_behind(
    rows: Rows, events: Events, terms: int, used: NDArray[np.bool_], clusters: int
) -> NDArray[np.int64]:
    """Distinct clusters on either side of each term, over the events used  # (K,)"""
    out = np.zeros(terms, dtype=np.int64)
    for k in range(terms):
        mine = np.flatnonzero((events.term == k) & used)
        found = _members(rows, events, mine, events.treated) | _members(rows, events, mine, events.others)
        out[k] = np.count_nonzero(np.bincount(rows.cluster[found], minlength=clusters))
    return out
