"""Loose ends of strands, tied one to one: candidates of a stage, those that are the only ones, those left in doubt."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest.linking.strands import Strands, seen_together

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

# an end with more candidates than this is not looked at one by one: it is left in doubt
CROWD = 50


@dataclass(slots=True)
class Ends:
    """What the stages have tied so far.

    Attributes
    ----------
    after, before : the strand that follows, that goes before; −1 = loose  # (S,)
    stage : number of the stage by which a strand was tied to the one before; −1 = none  # (S,)
    doubts : pairs (earlier, later, stage) that a stage found and did not tie
    crowded_tail, crowded_head : ends with too many candidates to list  # (S,)
    """

    after: Codes
    before: Codes
    stage: Codes
    crowded_tail: Mask
    crowded_head: Mask
    doubts: list[tuple[Codes, Codes, int]] = field(default_factory=list)

    @classmethod
    def loose(cls, count: int) -> Ends:
        """Nothing tied yet."""
        none = np.full(count, -1, dtype=np.int64)
        no = np.zeros(count, dtype=bool)
        return cls(none, none.copy(), none.copy(), no, no.copy())

    def tie(self, earlier: Codes, later: Codes, stage: int) -> None:
        """Tie pairs of loose ends."""
        self.after[earlier] = later
        self.before[later] = earlier
        self.stage[later] = stage

    def open_doubts(self) -> tuple[Codes, Codes, Codes]:
        """Pairs in doubt of which neither end was tied since: earlier, later, stage; each pair once, at its first stage"""
        if not self.doubts:
            none = np.zeros(0, dtype=np.int64)
            return none, none.copy(), none.copy()
        earlier = np.concatenate([e for e, _, _ in self.doubts])
        later = np.concatenate([l for _, l, _ in self.doubts])
        stage = np.concatenate([np.full(len(e), s) for e, _, s in self.doubts]).astype(np.int64)
        live = (self.after[earlier] < 0) & (self.before[later] < 0)
        pair = earlier[live] * (len(self.after) + 1) + later[live]
        _, once = np.unique(pair, return_index=True)
        return earlier[live][once], later[live][once], stage[live][once]

    def in_doubt(self) -> tuple[Mask, Mask]:
        """Tails and heads that an earlier stage left in doubt  # (S,), (S,)"""
        tails = self.crowded_tail & (self.after < 0)
        heads = self.crowded_head & (self.before < 0)
        earlier, later, _ = self.open_doubts()
        tails[earlier], heads[later] = True, True
        return tails, heads


def candidates(
    strands: Strands, ends: Ends, tail_key: Codes, head_key: Codes, missed: int | None
) -> tuple[Codes, Codes]:
    """Pairs of a loose tail and a loose head with the same key, the head later by at most `missed` files between.

    Tails with more than `CROWD` candidates, and their candidates, are marked as crowded instead.

    Parameters
    ----------
    tail_key, head_key : key of each strand at its end and at its beginning, −1 = none  # (S,)
    """
    span = strands.files + 1
    head = np.flatnonzero((ends.before < 0) & strands.alone & (head_key >= 0))
    head = head[np.argsort(head_key[head] * span + strands.first[head], kind="stable")]
    sorted_heads = head_key[head] * span + strands.first[head]
    tail = np.flatnonzero((ends.after < 0) & strands.alone & (tail_key >= 0))
    base, last = tail_key[tail] * span, strands.last[tail]
    reach = np.full(len(tail), span - 1) if missed is None else np.minimum(last + 1 + missed, span - 1)
    low = np.searchsorted(sorted_heads, base + last + 1, side="left")
    high = np.searchsorted(sorted_heads, base + reach, side="right")
    size = high - low
    crowd = size > CROWD
    if crowd.any():
        edges = np.zeros(len(head) + 1, dtype=np.int64)
        np.add.at(edges, low[crowd], 1)
        np.add.at(edges, high[crowd], -1)
        ends.crowded_tail[tail[crowd]] = True
        ends.crowded_head[head[np.cumsum(edges)[:-1] > 0]] = True
        size = np.where(crowd, 0, size)
    pair = np.repeat(np.arange(len(tail)), size)
    place = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size) + np.repeat(low, size)
    return tail[pair], head[place]


def without_detours(strands: Strands, ends: Ends, earlier: Codes, later: Codes) -> Mask:
    """Pairs A→C for which there is no B with A→B and B→C among the pairs: strands in a row are a chain  # (P,)"""
    if not len(earlier):
        return np.ones(0, dtype=bool)
    first = roots(ends.before)
    # a chain is told by the strand that it begins with, whichever of its strands is at the end that is tied
    pairs = pd.DataFrame({"from": first[earlier], "to": first[later]})
    steps = pairs.merge(pairs, left_on="to", right_on="from")
    size = len(first) + 1
    detour = np.unique(steps["from_x"].to_numpy() * size + steps["to_y"].to_numpy())
    return ~np.isin(pairs["from"].to_numpy() * size + pairs["to"].to_numpy(), detour)


def tie_only_ones(
    strands: Strands, ends: Ends, earlier: Codes, later: Codes, stage: int, *, heed_doubt: bool = True
) -> None:
    """Tie the pairs in which each end has no other candidate; the others stay in doubt.

    Parameters
    ----------
    heed_doubt : an end that an earlier stage left in doubt is not tied
    """
    keep = ~seen_together(strands, earlier, later)
    earlier, later = earlier[keep], later[keep]
    keep = without_detours(strands, ends, earlier, later)
    earlier, later = earlier[keep], later[keep]
    of_tail = np.bincount(earlier, minlength=len(strands.exact))
    of_head = np.bincount(later, minlength=len(strands.exact))
    only = (of_tail[earlier] == 1) & (of_head[later] == 1)
    only &= ~ends.crowded_tail[earlier] & ~ends.crowded_head[later]
    if heed_doubt:
        tails, heads = ends.in_doubt()
        only &= ~tails[earlier] & ~heads[later]
    ends.tie(earlier[only], later[only], stage)
    if not only.all():
        ends.doubts.append((earlier[~only], later[~only], stage))


def roots(before: Codes) -> Codes:
    """The first strand of each strand's chain, by doubling steps  # (S,)"""
    root = np.where(before >= 0, before, np.arange(len(before)))
    while True:
        further = root[root]
        if np.array_equal(further, root):
            return root
        root = further
