"""Relocations: which changes of address were moves, by the rule of the evaluation, and what became of the others.

A workplace has relocated when its address changes and at the new one it has at least `workers` insured workers in each
sighting over at least `months` months (twelve and one by default). What does not pass is kept and named:

    too_short   it went on, closed or lost its workers before that
    paper       nobody was ever insured there (an address on paper)
    censored    the files end before it can be told, or those that would tell are missing
    unseen      it was away for the gap of the histories and then stood elsewhere: a move, or an end and a new beginning
    returned    after a stay that did not count it is back where it came from
    opening     a further workplace of a firm that goes on elsewhere: no address changed

The origin of a relocation is the last place where the workplace had settled, so that a stop of a few months on the way is no
origin. An agreement (MOU) leaves no trace in these files and is never counted; `claimed_moves` holds such claims against the
events. Addresses are those of 2018, so that a new code (강원 42 → 51, 군위) is no move.

A stay is counted in months from its first sighting with workers to the last one before it ends; months in which the file is
missing, or in which the workplace is not seen for less than the gap of the histories, do not break it. Where missing files follow
a stay and it would be long enough with them, nothing can be told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.building.flow_chart import FlowChart, Sifting
from evalkit.building.workplaces import Workplaces
from evalkit.errors import DataError, PlanError
from evalkit.ingest.linking.codes import month_label
from evalkit.ingest.regions import city_of, is_capital, sido_short

Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]

PART = "주소 변경"
STATUS: dict[str, str] = {
    "relocated": "이전",
    "returned": "제자리로 돌아옴",
    "too_short": "기간을 채우지 못함",
    "paper": "가입자가 없음(서류상 주소)",
    "censored": "자료가 끝나거나 빠져 아직 모름",
    "unseen": "사이에 보이지 않아 이전인지 알 수 없음",
    "opening": "다른 곳에 있는 기업의 추가 개설(이전 아님)",
}
SCOPES = ("within_district", "within_city", "within_province", "between_provinces")
DIRECTIONS = ("out_of_capital", "into_capital", "within_capital", "outside_capital")


@dataclass(frozen=True, slots=True, eq=False)
class Relocations:
    """Changes of address and what they were.

    Attributes
    ----------
    events : one row a change of address, or an opening: unit (number of the history), kind (of place), origin, destination
        (시·군·구 of 2018), last_seen (at the origin side), moved (first sighting at the destination), settled (first sighting
        of the stay that passes; −1), months (of the longest stretch with workers), workers (insured at that first sighting,
        NaN = not known), status (`STATUS`), scope, direction, certain (its links), firm. Periods are numbers as in `periods`
    months, workers : the rule
    histories : what the events were read from
    chart : from changes of address to relocations
    """

    events: pd.DataFrame
    months: int
    workers: int
    histories: Workplaces
    chart: FlowChart

    def counted(self, *, certain_only: bool = False) -> pd.DataFrame:
        """The relocations alone; on request without those whose links are in doubt."""
        taken = self.events["status"] == "relocated"
        if certain_only:
            taken &= self.events["certain"]
        return self.events[taken].reset_index(drop=True)

    def summary(self) -> pd.DataFrame:
        """Events by status, kind of place and direction, Korean status."""
        table = (
            self.events.groupby(["status", "kind", "direction"], sort=True).size().reset_index(name="events")
        )
        table["status"] = table["status"].map(STATUS)
        return table

    def words(self) -> pd.DataFrame:
        """The events with their periods as ``2018-03``."""
        table = self.events.copy()
        for name in ("last_seen", "moved", "settled"):
            table[name] = [month_label(int(p)) if p >= 0 else "" for p in table[name]]
        return table


def relocations(histories: Workplaces, *, months: int = 12, workers: int = 1) -> Relocations:
    """Events of a set of histories.

    Parameters
    ----------
    months : months at the destination
    workers : insured workers at the destination in every sighting; 0 = the files have none and addresses alone count

    Raises
    ------
    PlanError : fewer than one month, or a negative number of workers
    DataError : workers are asked for and the histories have none
    """
    if months < 1 or workers < 0:
        raise PlanError(
            f"이전의 기준 months {months}, workers {workers} 을(를) 쓸 수 없음",
            remedy="months 는 1 이상, workers 는 0 이상의 정수로 적을 것",
        )
    if workers and not np.isfinite(histories.workers).any():
        raise DataError(
            "이전지에 가입자가 있는지 볼 수 없음 (가입자 수 열이 없거나 모두 비어 있음)",
            remedy="workers 열을 주거나, 주소만으로 세려면 workers=0 으로 적을 것",
        )
    stays = _stays(histories, months, workers)
    moves = _moves(stays, histories)
    opened = _openings(histories, stays)
    events = pd.concat([moves, opened], ignore_index=True)
    events = _described(events, histories)
    return Relocations(events, months, workers, histories, _chart(events))


@dataclass(frozen=True, slots=True)
class _Stays:
    """Rows with a place, and the stays they make; all arrays in order of history and time."""

    row: Codes  # row of the histories
    of: Codes  # stay of each row
    start: Codes  # first of `row` of each stay
    unit: Codes
    origin: Codes  # stay that settled last before it, −1 = none
    after_gap: Mask  # the first of a later spell
    settled_at: Codes  # period position of the stretch that passes, −1 = none
    longest: Codes  # months of the longest stretch with workers
    arrivals: NDArray[np.float64]  # workers at the first sighting that has them, else at the first
    ongoing: Mask
    touches: Mask  # a stretch with workers reaches the last sighting of an ongoing stay
    hidden: Mask  # with the months of missing files a stretch would pass
    length: Codes  # months from first to last sighting
    ever: Mask  # workers at some time
    asked: int  # months asked for


def _stays(histories: Workplaces, months: int, workers: int) -> _Stays:
    """Stays: successive rows of one spell at one place"""
    row = np.flatnonzero(histories.region >= 0)
    unit, at, step = histories.unit[row], histories.at[row], histories.months
    spell = _spell_of(histories)[row]
    place = histories.region[row] * (int(histories.town.max(initial=-1)) + 2) + histories.town[row] + 1
    new = np.ones(len(row), dtype=bool)
    new[1:] = (spell[1:] != spell[:-1]) | (place[1:] != place[:-1])
    of, start = np.cumsum(new) - 1, np.flatnonzero(new)
    count = len(start)
    end = np.append(start[1:], len(row)) - 1
    # a number that is missing is no worker: the rule asks for evidence
    enough = (
        np.nan_to_num(histories.workers[row], nan=-1.0) >= workers
        if workers
        else np.ones(len(row), dtype=bool)
    )
    first = enough & (new | ~np.append(False, enough[:-1]))
    stretch = np.cumsum(first) - 1
    begin = np.flatnonzero(first)
    good = np.flatnonzero(enough)
    last = np.zeros(len(begin), dtype=np.int64)
    np.maximum.at(last, stretch[good], good)
    long = (at[last] - at[begin]) * step + 1
    longest = np.zeros(count, dtype=np.int64)
    np.maximum.at(longest, of[begin], long)
    none = np.iinfo(np.int64).max
    settled = np.full(count, none)
    passes = long >= months
    np.minimum.at(settled, of[begin][passes], at[begin][passes])
    known_gone = _known_gone(histories, spell, at)[last]
    hidden = np.zeros(count, dtype=bool)
    hidden[of[begin][(known_gone - 1 - at[begin]) * step + 1 >= months]] = True
    arrival = np.full(count, none)
    np.minimum.at(arrival, of[begin], begin)
    ever = arrival < none
    seen = np.where(ever, arrival, start)
    spells = histories.spells
    spell_end = spells["end"].to_numpy()[spell[start]]
    final = np.append(spell[start][1:] != spell[start][:-1], True)
    ongoing = final & (spell_end == "censored")
    same = np.append(False, unit[start][1:] == unit[start][:-1])
    after_gap = same & np.append(False, spell[start][1:] != spell[start][:-1])
    settled = np.where(settled == none, -1, settled)
    return _Stays(
        row,
        of,
        start,
        unit[start],
        _settled_before(same, after_gap, settled >= 0),
        after_gap,
        settled,
        longest,
        histories.workers[row][seen],
        ongoing,
        ongoing & enough[end],
        hidden,
        (at[end] - at[start]) * step + 1,
        ever,
        months,
    )


def _spell_of(histories: Workplaces) -> Codes:
    """Spell of each row, as a row of the table of spells  # (n,)"""
    periods = len(histories.periods)
    begin = histories.spells["unit"].to_numpy() * periods + histories.spells["first"].to_numpy()
    return np.searchsorted(begin, histories.unit * periods + histories.at, side="right") - 1


def _known_gone(histories: Workplaces, spell: Codes, at: Codes) -> Codes:
    """First period after each row in which a file, or a date of leaving, could say that it is no longer so  # (n,)"""
    periods = len(histories.periods)
    there = np.append(np.flatnonzero(histories.files), periods)
    gone = there[np.searchsorted(there, at, side="right")]
    left = histories.spells["left"].to_numpy()[spell]
    told = (histories.spells["end"].to_numpy()[spell] == "withdrawn") & (left > at)
    return np.where(told, np.minimum(gone, left), gone)


def _settled_before(same: Mask, after_gap: Mask, settled: Mask) -> Codes:
    """The last stay before, of the same history, that settled; the first stay of a spell counts as settled  # (stays,)"""
    number = np.arange(len(same))
    base = np.maximum.accumulate(np.where(settled | ~same | after_gap, number, -1))
    before = np.append(-1, base[:-1])
    return np.where(same, before, -1)


def _moves(stays: _Stays, histories: Workplaces) -> pd.DataFrame:
    """One row a stay at another place than the one before it in its history"""
    row, start = stays.row, stays.start
    place, town, at = histories.region[row], histories.town[row], histories.at[row]

    def alike(one: Codes, other: Codes) -> Mask:
        a, b = start[one], start[other]
        return np.asarray((place[a] == place[b]) & (town[a] == town[b]))

    later = np.flatnonzero(stays.origin >= 0)
    later = later[~(stays.after_gap[later] & alike(later, later - 1))]  # away and back: no address changed
    origin = stays.origin[later]
    passed = stays.settled_at[later] >= 0
    # may the stay still pass? it goes on, and either has workers now or has had no time to get them
    wait = stays.ongoing[later] & (stays.touches[later] | (stays.length[later] < stays.asked))
    status = np.select(
        [
            alike(later, origin),
            stays.after_gap[later],
            passed,
            wait | stays.hidden[later],
            ~stays.ever[later],
        ],
        ["returned", "unseen", "relocated", "censored", "paper"],
        "too_short",
    )
    return pd.DataFrame(
        {
            "unit": stays.unit[later],
            "origin": place[start[origin]],
            "destination": place[start[later]],
            "last_seen": at[start[later] - 1],
            "moved": at[start[later]],
            "settled": np.where(passed, stays.settled_at[later], -1),
            "months": stays.longest[later],
            "workers": stays.arrivals[later],
            "status": status,
        }
    )


def _openings(histories: Workplaces, stays: _Stays) -> pd.DataFrame:
    """Workplaces that begin while another of their firm goes on: no address changed  # columns as `_moves`"""
    spells = histories.spells
    firm = histories.firm[spells["unit"].to_numpy()]
    first = (spells["spell"] == 0) & spells["begin"].isin(["entered", "appeared"]) & (firm != "")
    new = spells.loc[first, ["unit", "first"]].assign(firm=firm[first])
    old = spells.loc[firm != "", ["unit", "first", "last"]].assign(firm=firm[firm != ""])
    old = old[old["firm"].isin(new["firm"])]
    pairs = new.merge(old, on="firm", suffixes=("", "_old"))
    pairs = pairs[
        (pairs["unit"] != pairs["unit_old"])
        & (pairs["first_old"] < pairs["first"])
        & (pairs["last"] >= pairs["first"])
    ]
    lesser = histories.kind[pairs["unit_old"].to_numpy()] != "head_office"
    pairs = pairs.assign(lesser=lesser).sort_values(
        ["unit", "lesser", "first_old", "unit_old"], kind="stable"
    )
    pairs = pairs.drop_duplicates("unit")
    periods = len(histories.periods)
    row = stays.row
    key = histories.unit[row] * periods + histories.at[row]
    place = np.searchsorted(key, pairs["unit_old"] * periods + pairs["first"], side="right") - 1
    here = np.searchsorted(key, pairs["unit"] * periods + pairs["first"])
    near = np.minimum(here, max(0, len(row) - 1))
    known = (place >= 0) & (histories.unit[row[place]] == pairs["unit_old"].to_numpy())
    known &= histories.unit[row[near]] == pairs["unit"].to_numpy()
    pairs, place, here = pairs[known], place[known], near[known]
    return pd.DataFrame(
        {
            "unit": pairs["unit"].to_numpy(),
            "origin": histories.region[row[place]],
            "destination": histories.region[row[here]],
            "last_seen": histories.at[row[place]],
            "moved": pairs["first"].to_numpy(),
            "settled": -1,
            "months": stays.longest[stays.of[here]],
            "workers": stays.arrivals[stays.of[here]],
            "status": "opening",
        }
    )


def _described(events: pd.DataFrame, histories: Workplaces) -> pd.DataFrame:
    """Labels for positions; kind, scope, direction, certainty and firm"""
    unit = events["unit"].to_numpy(dtype=np.int64)
    origin, destination = (events[name].to_numpy(dtype=np.int64) for name in ("origin", "destination"))
    regions = histories.regions
    city = np.array([city_of(code) for code in regions], dtype=str)
    sido = np.array([sido_short(code) for code in regions], dtype=str)
    capital = np.array([is_capital(code) for code in regions], dtype=bool)
    scope = np.select(
        [origin == destination, city[origin] == city[destination], sido[origin] == sido[destination]],
        list(SCOPES[:3]),
        SCOPES[3],
    )
    out, into = capital[origin], capital[destination]
    direction = np.select([out & ~into, ~out & into, out & into], list(DIRECTIONS[:3]), DIRECTIONS[3])
    periods = np.append(histories.periods, -1)
    table = events.assign(
        unit=histories.units[unit],
        kind=histories.kind[unit],
        origin=regions[origin],
        destination=regions[destination],
        scope=scope,
        direction=direction,
        certain=histories.certain[unit],
        firm=histories.firm[unit],
    )
    for name in ("last_seen", "moved", "settled"):
        table[name] = periods[events[name].to_numpy(dtype=np.int64)]
    order = [
        "unit", "kind", "origin", "destination", "last_seen", "moved", "settled", "months", "workers", "status",
        "scope", "direction", "certain", "firm",
    ]  # fmt: skip
    return table[order].sort_values(["moved", "unit", "status"], kind="stable", ignore_index=True)


def _chart(events: pd.DataFrame) -> FlowChart:
    """From changes of address to relocations"""
    steps = Sifting(PART, events["unit"].to_numpy(), start="주소가 바뀐 곳과 추가 개설")
    for status, reason in STATUS.items():
        if status != "relocated":
            steps.drop(events["status"].to_numpy() == status, reason)
    return steps.chart()
