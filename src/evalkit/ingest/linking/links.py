"""Links: the history of every row, by which stage it was linked, and what no stage could decide."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from evalkit.ingest.linking.codes import dense
from evalkit.ingest.linking.ends import Ends, roots
from evalkit.ingest.linking.stages import Stage
from evalkit.ingest.linking.strands import Strands

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Links:
    """Histories over time.

    Attributes
    ----------
    unit : number of the history of each row; rows of the files in the order in which they were given  # (n,)
    period : month (counted from year 0) or year of each row's file  # (n,)
    stage : stage by which the row is linked to the row before in its history; −1 = it is the first  # (n,)
    certain : whether nothing about the row's history was left in doubt: it is in no bundle, and neither its beginning nor
        its end has rivals  # (n,)
    stages : the rules; 0 is the exact key
    periods : of the files, increasing  # (T,)
    strands : one row a strand: unit, stage, first and last (periods), row (a row of its first file), last_row, kind ("plain",
        "bundle" or "keyless"), tail_doubt, head_doubt, before (the strand that it follows, −1)
    doubts : one row a pair of strands that might follow one another: earlier, later (strands), stage, group (pairs that
        hang together)
    """

    unit: Codes
    period: Codes
    stage: NDArray[np.int8]
    certain: Mask
    live: Mask
    stages: tuple[Stage, ...]
    periods: Codes
    strands: pd.DataFrame
    doubts: pd.DataFrame
    strand: Codes

    def __post_init__(self) -> None:
        for name in ("unit", "period", "stage", "certain", "live", "periods", "strand"):
            values = getattr(self, name)
            values.flags.writeable = False

    @property
    def units(self) -> int:
        """Number of histories."""
        return int(self.unit.max()) + 1

    def certain_units(self) -> Mask:
        """Whether nothing about a history was left in doubt  # (units,)"""
        sure = np.ones(self.units, dtype=bool)
        sure[self.unit[~self.certain]] = False
        return sure

    def resolved(self, seed: int) -> Links:
        """What is in doubt drawn at random: pairs one to one, and rows of a bundle dealt out file by file.

        Of the pairs in doubt those with the lowest lot at both of their ends are tied, until none is left. The result has
        nothing in doubt; the same seed gives the same links.
        """
        rng = np.random.default_rng([seed, 5])
        count = len(self.strands)
        before, stage = self._before(), self.strands["stage"].to_numpy().astype(np.int64).copy()
        after = np.full(count, -1, dtype=np.int64)
        after[before[before >= 0]] = np.flatnonzero(before >= 0)
        earlier, later, by = (self.doubts[c].to_numpy() for c in ("earlier", "later", "stage"))
        lot = rng.permutation(len(earlier))
        while len(earlier):
            best_tail, best_head = np.full(count, len(lot)), np.full(count, len(lot))
            np.minimum.at(best_tail, earlier, lot)
            np.minimum.at(best_head, later, lot)
            won = (best_tail[earlier] == lot) & (best_head[later] == lot)
            after[earlier[won]], before[later[won]] = later[won], earlier[won]
            stage[later[won]] = by[won]
            left = (after[earlier] < 0) & (before[later] < 0)
            earlier, later, by, lot = earlier[left], later[left], by[left], lot[left]
        unit = dense(roots(before))[self.strand]
        row_stage = self._row_stage(stage)
        bundle = np.flatnonzero(self.strands["kind"].to_numpy()[self.strand] == "bundle")
        if len(bundle):
            unit, row_stage = unit.copy(), row_stage.copy()
            # within a file the rows of a bundle are dealt to its places at random
            dealt = bundle[rng.permutation(len(bundle))]
            frame = pd.DataFrame({"strand": self.strand[dealt], "period": self.period[dealt]})
            place = frame.groupby(["strand", "period"], sort=False).cumcount().to_numpy()
            size = int(place.max()) + 1
            own = self.strand[dealt] * size + place
            unit[dealt] = int(unit.max()) + 1 + dense(own)
            order = np.lexsort((frame["period"].to_numpy(), own))
            first = np.append(True, np.diff(own[order]) != 0)
            row_stage[dealt[order]] = np.where(first, -1, 0)
        strands = self.strands.assign(unit=dense(roots(before)), stage=stage, before=before)
        return replace(
            self,
            unit=dense(unit),
            stage=row_stage.astype(np.int8),
            certain=np.ones(len(self.unit), dtype=bool),
            strands=strands.assign(tail_doubt=False, head_doubt=False),
            doubts=self.doubts.iloc[:0],
        )

    def _before(self) -> Codes:
        return self.strands["before"].to_numpy().astype(np.int64).copy()

    def _row_stage(self, stage: Codes) -> Codes:
        opens = self.period == self.strands["first"].to_numpy()[self.strand]
        return np.where(
            opens & (self.live | (self.strands["kind"].to_numpy()[self.strand] == "keyless")),
            stage[self.strand],
            0,
        )


def links_of(
    strands: Strands, ends: Ends, stages: tuple[Stage, ...], periods: Codes, at: Codes, live: Mask
) -> Links:
    """The result of all stages."""
    unit = dense(roots(ends.before))
    tails, heads = ends.in_doubt()
    bundle = strands.several & (strands.exact >= 0)
    unsure = np.zeros(int(unit.max()) + 1, dtype=bool)
    unsure[unit[tails | heads | bundle]] = True
    earlier, later, by = ends.open_doubts()
    graph = coo_array((np.ones(len(earlier)), (earlier, later)), shape=(len(unit), len(unit)))
    component = connected_components(graph, directed=False)[1]
    frame = pd.DataFrame(
        {
            "unit": unit,
            "stage": ends.stage,
            "first": periods[strands.first],
            "last": periods[strands.last],
            "row": strands.first_row,
            "last_row": strands.last_row,
            "kind": np.where(strands.exact < 0, "keyless", np.where(bundle, "bundle", "plain")),
            "tail_doubt": tails,
            "head_doubt": heads,
            "before": ends.before,
        }
    )
    doubts = pd.DataFrame(
        {"earlier": earlier, "later": later, "stage": by, "group": dense(component[earlier])}
    )
    opens = (at == strands.first[strands.of_row]) & (live | (strands.exact[strands.of_row] < 0))
    stage = np.where(opens, ends.stage[strands.of_row], 0)
    return Links(
        unit=unit[strands.of_row],
        period=periods[at],
        stage=stage.astype(np.int8),
        certain=~unsure[unit][strands.of_row],
        live=live.copy(),
        stages=stages,
        periods=periods,
        strands=frame,
        doubts=doubts,
        strand=strands.of_row,
    )
