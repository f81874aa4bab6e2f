"""Relocations as `Flows` and as 0/1 variables of a panel, with what cannot be known left empty.

A move can be told only where a file stands on both sides of it and the files go on for as long as the rule asks. A period
counts as observed when the file before it and its own last file are there, and the files reach as far behind it as the rule
needs; every other cell is missing, never zero. Moves within one unit of the chosen level are observed only where the level
below is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalkit.building.relocations import Relocations
from evalkit.building.workplaces import Workplaces
from evalkit.errors import DataError, UsageError, nearest
from evalkit.flows import Flows
from evalkit.ingest.linking.codes import month_label
from evalkit.ingest.regions import city_of, sido_short
from evalkit.panel import Panel

Level = Literal["district", "city", "sido"]
Every = Literal["year", "month"]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]


def relocation_flows(
    moved: Relocations,
    *,
    level: Level = "sido",
    every: Every = "year",
    kinds: Sequence[str] | None = None,
    certain_only: bool = False,
    weight: Literal["moves", "workers"] = "moves",
) -> Flows:
    """Relocations by origin, destination and period.

    Parameters
    ----------
    level : places: 시·군·구 with or without the 구 of large cities apart, or 시·도
    every : periods: calendar years, or the months of the files
    kinds : kinds of place that count, such as ("head_office",); None = all
    certain_only : without histories whose links are in doubt
    weight : moves, or the workers insured at arrival ("moved jobs")

    Returns
    -------
    Flows over every place that the files hold; ``notes`` tells the rule, what lies in periods not observed, and how many
    changes of address in observed periods are still undecided (workers came late, or files are missing), or unseen

    Raises
    ------
    UsageError : an unknown word
    """
    for name, word, words in (("level", level, get_args(Level)), ("every", every, get_args(Every))):
        if word not in words:
            raise UsageError(f"{name} 값 {word!r} 을(를) 모름", remedy=nearest(str(word), words))
    histories = moved.histories
    events = moved.counted(certain_only=certain_only)
    if kinds is not None:
        events = events[events["kind"].isin(list(kinds))]
    label_of = {code: _place(code, level) for code in histories.regions.tolist()}
    places = np.unique(np.array(list(label_of.values()), dtype=str))
    periods, known = observed_periods(histories, every=every, after=_needed(moved))
    counts = np.zeros((len(places), len(places), len(periods)))
    origin, destination = (
        np.searchsorted(places, events[name].map(label_of).to_numpy(dtype=str))
        for name in ("origin", "destination")
    )
    when = np.searchsorted(periods, _period_of(events["moved"].to_numpy(dtype=np.int64), histories, every))
    jobs = np.nan_to_num(events["workers"].to_numpy(dtype=float))
    amount = np.ones(len(events)) if weight == "moves" else jobs
    np.add.at(counts, (origin, destination, when), amount)
    lost = float(counts[:, :, ~known].sum())
    counts[:, :, ~known] = np.nan
    blind = ~_inside_is_seen(histories, label_of, places)
    counts[blind, blind, :] = np.nan

    def observed(status: str) -> int:
        when = moved.events.loc[moved.events["status"] == status, "moved"].to_numpy(dtype=np.int64)
        return int(np.isin(_period_of(when, histories, every), periods[known]).sum())

    return Flows(
        places,
        places,
        periods,
        counts,
        notes={
            "rule": {"months": moved.months, "workers": moved.workers, "gap_months": histories.gap_months},
            "kinds": list(kinds) if kinds is not None else "all",
            "in_periods_not_observed": lost,
            "undecided_in_observed_periods": observed("censored"),
            "unseen_in_observed_periods": observed("unseen"),
            "not_observed": [str(month_label(int(p))) for p in periods[~known]],
        },
    )


def observed_periods(histories: Workplaces, *, every: Every = "year", after: int = 0) -> tuple[Codes, Mask]:
    """Calendar periods that the files touch, and whether moves in them can be told  # (P,), (P,)

    Parameters
    ----------
    after : months that must follow the last month of a period within the files
    """
    labels = np.unique(_period_of(histories.periods, histories, every))
    wide = 12 if every == "year" and histories.months == 1 else 1
    last = labels * wide + wide - 1
    first = labels * wide
    files = set(histories.periods[histories.files].tolist())
    end = int(histories.periods[-1])
    known = np.array(
        [
            int(b) in files and int(a) - 1 in files and int(b) + -(-after // histories.months) <= end
            for a, b in zip(first, last, strict=True)
        ],
        dtype=bool,
    )
    return labels, known


def event_panel(
    moved: Relocations,
    *,
    every: Every = "year",
    units: ArrayLike | None = None,
) -> Panel:
    """0/1 variables of exit and relocation for hazards (`hazard_effects`), by history and period.

    Each is 0 while the history is there, 1 in the period of its first event, and missing before it is first seen and where
    the files end too early to tell. After an exit or a relocation the values do not matter to hazards; they stay 1.

    Parameters
    ----------
    every : calendar years or months
    units : which histories (mask or positions); None = all

    Returns
    -------
    Panel with varying ``exit`` (left, or not seen for the gap of the histories), ``relocated``, ``out_of_capital``,
    ``present`` (seen at least once in the period); fixed ``kind``, ``region`` (first), ``entered`` (period, NaN = before the
    files)

    Raises
    ------
    DataError : no period in which events can be told
    """
    h = moved.histories
    chosen = np.arange(len(h.units)) if units is None else np.arange(len(h.units))[np.asarray(units)]
    periods, exits_known = observed_periods(h, every=every, after=max(0, h.gap_months - h.months))
    _, moves_known = observed_periods(h, every=every, after=_needed(moved))
    if not exits_known.any():
        raise DataError("폐업을 판단할 수 있는 기간이 없음", remedy="파일을 더하거나 every='month' 로 볼 것")
    of = np.searchsorted(periods, _period_of(h.periods, h, every))
    spells = h.spells[h.spells["spell"] == 0]
    first = of[spells["first"].to_numpy()]
    left = spells["left"].to_numpy()
    gone = np.where(left >= 0, of[left], len(periods))
    events = moved.counted()
    position = np.searchsorted(h.units, events["unit"].to_numpy())
    at = np.searchsorted(periods, _period_of(events["moved"].to_numpy(dtype=np.int64), h, every))

    def variable(event: Codes, known: Mask, stop: Codes) -> NDArray[np.float64]:
        return _variable(event[chosen], known, stop[chosen], first[chosen])

    never = np.full(len(h.units), len(periods))
    moves, away = never.copy(), never.copy()
    np.minimum.at(moves, position, at)
    out = (events["direction"] == "out_of_capital").to_numpy()
    np.minimum.at(away, position[out], at[out])
    present = np.zeros((len(h.units), len(periods)))
    present[h.unit, of[h.at]] = 1.0
    entered = np.where(spells["begin"].to_numpy() == "entered", periods[first].astype(float), np.nan)
    known_region = np.flatnonzero(h.region >= 0)
    where_first = np.full(len(h.units), -1, dtype=np.int64)
    where_first[h.unit[known_region][::-1]] = h.region[known_region][::-1]
    return Panel(
        h.units[chosen],
        periods,
        {
            "exit": variable(gone, exits_known, never),
            "relocated": variable(moves, moves_known, gone),
            "out_of_capital": variable(away, moves_known, gone),
            "present": present[chosen],
        },
        {
            "kind": h.kind[chosen],
            "region": np.append(h.regions, "")[where_first[chosen]],
            "entered": entered[chosen],
        },
    )


def _variable(event: Codes, known: Mask, stop: Codes, first: Codes) -> NDArray[np.float64]:
    """0, and 1 from the event on; missing before the first sighting and where events cannot be told  # (N, T)"""
    columns = np.arange(len(known))[None, :]
    value = (columns >= event[:, None]).astype(float)
    # once the other event has happened, this one is censored there, whatever the later files show
    value[(columns > stop[:, None]) & (value == 0)] = np.nan
    return np.where((columns < first[:, None]) | ~known[None, :], np.nan, value)


def _needed(moved: Relocations) -> int:
    """Months that must follow the month of a move: twelve months begin with that month"""
    return moved.months - 1


def _period_of(numbers: Codes, histories: Workplaces, every: Every) -> Codes:
    return numbers // 12 if every == "year" and histories.months == 1 else numbers


def _place(code: str, level: Level) -> str:
    return code if level == "district" else city_of(code) if level == "city" else sido_short(code)


def _inside_is_seen(histories: Workplaces, label_of: dict[str, str], places: NDArray[np.str_]) -> Mask:
    """Whether moves within each place can be told: it has districts, or the files tell towns  # (places,)"""
    districts = np.bincount(np.searchsorted(places, list(label_of.values())), minlength=len(places))
    return np.asarray((districts > 1) | bool((histories.town >= 0).any()))
