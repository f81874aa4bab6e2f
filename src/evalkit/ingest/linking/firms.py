"""Programme firms to workplaces: by number where both have it, else by names, stage by stage, and only where one fits one.

Workplaces that share a full number, or the root of the name and the first six digits, are one firm: a firm that is linked
keeps all of them, each with its kind of place. A stage looks for firms, not for rows: two workplaces of one firm are no
ambiguity, two firms are. A firm whose full number is known is never linked by name to one with another full number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.errors import DataError
from evalkit.ingest.linking.codes import column_codes, combined, dense
from evalkit.ingest.linking.stages import FIRM_STAGES, Stage, checked, require_columns

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class FirmLinks:
    """Programme firms and the workplaces that they were linked to.

    Attributes
    ----------
    firms : indexed by unit: status ("linked", "ambiguous" or "unlinked"), stage (number; −1 = none), firm (number of the
        firm among the workplaces; −1 = none), places (how many workplaces)
    places : one row a workplace of a linked firm: unit, row (place in the table of workplaces), stage, place_kind, region
    doubts : one row a pair left undecided: unit, row (of the workplaces), stage, group (firms that hang together)
    stages : the rules
    """

    firms: pd.DataFrame
    places: pd.DataFrame
    doubts: pd.DataFrame
    stages: tuple[Stage, ...]

    @property
    def certain(self) -> Mask:
        """Whether a firm is linked  # (firms,)"""
        return np.asarray(self.firms["status"].to_numpy() == "linked")


def link_firms(
    firms: pd.DataFrame,
    workplaces: pd.DataFrame,
    *,
    unit: str,
    stages: Sequence[Stage] = FIRM_STAGES,
) -> FirmLinks:
    """Workplaces of each programme firm.

    Parameters
    ----------
    firms : rows of the programme's files; a firm may have several (one a year or 과제), all of which are tried
    workplaces : one row a workplace, or a workplace and file; ``name_key``, ``head_key`` and, where known, ``firm_id``
    unit : column of `firms` that says which rows are one firm
    stages : rules in order; a rule of which a column is missing from either table is left out

    Raises
    ------
    SchemaError : the unit or the name's keys are missing
    DataError : no rows, an empty unit, or no rule can be tried with the columns that are there
    """
    table = checked(stages)
    require_columns([firms], [unit, "name_key"], "사업 참여기업")
    require_columns([workplaces], ["name_key"], "사업장 자료")
    for frame, what in ((firms, "사업 참여기업"), (workplaces, "사업장 자료")):
        if not len(frame):
            raise DataError(f"{what} 표에 행이 없음", remedy="파일과 필터를 확인할 것")
    if firms[unit].isna().to_numpy().any():
        raise DataError(f"열 {unit} 에 빈 값이 있음", remedy="기업을 구별하는 값을 채울 것")
    usable = tuple(s for s in table if _columns(s) <= set(firms.columns) & set(workplaces.columns))
    if not usable:
        raise DataError(
            "두 표에 함께 있는 열로는 어느 연결 단계도 쓸 수 없음",
            remedy=f"{', '.join(table[-1].keys)} 열을 두 표에 만들 것",
        )
    left_unit, labels = pd.factorize(firms[unit], sort=True)
    firm = _firm_of(workplaces)
    number = _numbers(firms, workplaces)
    state = _State.empty(len(labels), int(firm.max()) + 1)
    for at, stage in enumerate(table):
        if stage in usable:
            pairs = _pairs(stage, firms, workplaces, left_unit.astype(np.int64), firm, number)
            state.take(pairs, at, stage.shared)
    return _result(state, pd.Index(labels, name=unit), firm, workplaces, table)


def _columns(stage: Stage) -> set[str]:
    return {*stage.keys, *([stage.near[0]] if stage.near else [])}


def _firm_of(workplaces: pd.DataFrame) -> Codes:
    """The firm of each workplace: its full number, else root of the name and first six digits, else itself  # (m,)

    Rows without a number join the number that alone stands with their name and digits elsewhere in the table.
    """
    m = len(workplaces)
    known = (
        column_codes([workplaces["firm_id"]]) if "firm_id" in workplaces else np.full(m, -1, dtype=np.int64)
    )
    head = (
        column_codes([workplaces["head_key"]]) if "head_key" in workplaces else np.full(m, -1, dtype=np.int64)
    )
    name = combined([column_codes([workplaces["name_key"]]), head])
    size = int(name.max(initial=-1)) + 1
    low, high = np.full(size + 1, np.iinfo(np.int64).max), np.full(size + 1, -1, dtype=np.int64)
    both = (name >= 0) & (known >= 0)
    np.minimum.at(low, name[both], known[both])
    np.maximum.at(high, name[both], known[both])
    alone = (name >= 0) & (known < 0) & (high[name] >= 0) & (low[name] == high[name])
    known = np.where(alone, high[name], known)
    top = int(known.max(initial=-1)) + 1
    rest = np.where(name >= 0, top + name, top + size + np.arange(m))
    return dense(np.where(known >= 0, known, rest))


def _numbers(firms: pd.DataFrame, workplaces: pd.DataFrame) -> tuple[Codes, Codes] | None:
    """Full numbers of both tables in the same codes, −1 where unknown"""
    if "firm_id" not in firms or "firm_id" not in workplaces:
        return None
    both = column_codes([firms["firm_id"], workplaces["firm_id"]])
    return both[: len(firms)], both[len(firms) :]


def _pairs(
    stage: Stage,
    firms: pd.DataFrame,
    workplaces: pd.DataFrame,
    unit: Codes,
    firm: Codes,
    number: tuple[Codes, Codes] | None,
) -> tuple[Codes, Codes]:
    """Distinct pairs of a programme firm and a firm among the workplaces that a stage would link"""
    joint = combined([column_codes([firms[name], workplaces[name]]) for name in stage.keys])
    left, right = joint[: len(firms)], joint[len(firms) :]
    order = np.argsort(right, kind="stable")
    order = order[right[order] >= 0]
    filled = np.flatnonzero(left >= 0)
    low = np.searchsorted(right[order], left[filled], side="left")
    size = np.searchsorted(right[order], left[filled], side="right") - low
    one = np.repeat(filled, size)
    other = order[np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size) + np.repeat(low, size)]
    keep = np.ones(len(one), dtype=bool)
    if stage.near is not None:
        name, days = stage.near
        dates = [frame[name].to_numpy().astype("datetime64[D]") for frame in (firms, workplaces)]
        apart = np.abs(dates[0][one] - dates[1][other])
        keep &= ~np.isnat(apart) & (apart <= np.timedelta64(days, "D"))
    if number is not None:
        # of a firm among the workplaces, the number may stand on another of its rows
        of_firm = np.full(int(firm.max()) + 1, -1, dtype=np.int64)
        np.maximum.at(of_firm, firm, number[1])
        mine, theirs = number[0][one], of_firm[firm[other]]
        keep &= (mine < 0) | (theirs < 0) | (mine == theirs)
    pair = np.unique(unit[one[keep]] * (int(firm.max()) + 1) + firm[other[keep]])
    return pair // (int(firm.max()) + 1), pair % (int(firm.max()) + 1)


@dataclass(slots=True)
class _State:
    """What the stages have decided: the firm and the stage of each unit, and the pairs that stay in doubt."""

    firm: Codes
    stage: Codes
    doubtful: Mask
    taken: Mask
    doubts: list[pd.DataFrame]

    @classmethod
    def empty(cls, units: int, firms: int) -> _State:
        """Nothing decided."""
        none = np.full(units, -1, dtype=np.int64)
        return cls(none, none.copy(), np.zeros(units, dtype=bool), np.zeros(firms, dtype=bool), [])

    def take(self, pairs: tuple[Codes, Codes], stage: int, shared: bool) -> None:
        """Link the pairs in which each side has no other; the others stay in doubt for good."""
        unit, firm = pairs
        free = (self.firm[unit] < 0) & ~self.doubtful[unit]
        unit, firm = unit[free], firm[free]
        only = np.bincount(unit, minlength=len(self.firm))[unit] == 1
        if not shared:
            only &= np.bincount(firm, minlength=len(self.taken))[firm] == 1
            only &= ~self.taken[firm]
        self.firm[unit[only]] = firm[only]
        self.stage[unit[only]] = stage
        self.taken[firm[only]] = True
        self.doubtful[unit[~only]] = True
        self.doubts.append(pd.DataFrame({"unit": unit[~only], "firm": firm[~only], "stage": stage}))


def _result(
    state: _State, labels: pd.Index, firm: Codes, workplaces: pd.DataFrame, stages: tuple[Stage, ...]
) -> FirmLinks:
    rows = pd.DataFrame({"firm": firm, "row": np.arange(len(firm))})
    for name in ("place_kind", "region"):
        rows[name] = workplaces[name].to_numpy() if name in workplaces else None
    linked = pd.DataFrame({"unit": np.arange(len(labels)), "firm": state.firm, "stage": state.stage})
    places = linked[linked["firm"] >= 0].merge(rows, on="firm", how="left")
    status = np.where(state.firm >= 0, "linked", np.where(state.doubtful, "ambiguous", "unlinked"))
    firms = pd.DataFrame(
        {
            "status": status,
            "stage": state.stage,
            "firm": state.firm,
            "places": np.bincount(places["unit"], minlength=len(labels)),
        },
        index=labels,
    )
    doubts = pd.concat(state.doubts, ignore_index=True) if state.doubts else pd.DataFrame()
    doubts["group"] = _groups(doubts["unit"].to_numpy(), doubts["firm"].to_numpy())
    doubts = doubts.merge(rows, on="firm", how="left")
    for frame in (places, doubts):
        frame["unit"] = labels.to_numpy()[frame["unit"].to_numpy(dtype=np.int64)]
    return FirmLinks(
        firms,
        places[["unit", "row", "stage", "place_kind", "region"]],
        doubts[["unit", "row", "stage", "group", "place_kind", "region"]],
        stages,
    )


def _groups(unit: Codes, firm: Codes) -> Codes:
    """Number of the group that each pair hangs together with  # (P,)"""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(unit):
        return np.zeros(0, dtype=np.int64)
    size = int(unit.max()) + 1
    total = size + int(firm.max()) + 1
    graph = coo_array((np.ones(len(unit)), (unit, size + firm)), shape=(total, total))
    return dense(connected_components(graph, directed=False)[1][unit].astype(np.int64))
