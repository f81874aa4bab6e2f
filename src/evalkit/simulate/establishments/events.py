"""What happens to establishments within the window: moves, relocations, new registrations, new names, employment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from evalkit.ingest import regions
from evalkit.simulate.establishments.model import HEAD_OFFICE, NEVER, PLACE_KINDS, Firms, Places

RULE_MONTHS = 12  # with at least one insured worker: DOMAIN 4.6
WITHIN_A_YEAR, BETWEEN_A_YEAR = 0.04, 0.025  # moves, share of establishments
RELOCATION_SHARE = 0.012  # of firms, for each of: paper, short, lasting, late
AGAIN_A_YEAR, RENAMED_A_YEAR = 0.025, 0.03
MONTHLY_SHOCK = 0.02  # sd of the log of employment


@dataclass(frozen=True, slots=True)
class PaperMove:
    """A head office that moved on paper: the establishment that exists there, and where the people still are."""

    establishment: int
    stayed: int
    month: int


def relocate(
    rng: np.random.Generator,
    firms: Firms,
    places: Places,
    codes: NDArray[np.str_],
    first_month: np.datetime64,
) -> tuple[Places, dict[int, str], tuple[PaperMove, ...]]:
    """Head offices leave the capital region in four ways: the establishments, the type by establishment, paper moves.

    On paper, a head office without anybody begins at the destination, and the workplace of the firm stays what it was.
    """
    months = places.region.shape[1]
    capital = capital_mask(codes)
    heads = np.flatnonzero(
        (places.kind == HEAD_OFFICE)
        & firms.corporation[places.firm]
        & capital[places.region[:, 0]]
        & (places.born < 0)
        & ~in_twins(firms)[places.firm]
    )
    wanted = max(2, round(RELOCATION_SHARE * len(firms.corporation)))
    fits = {"paper": months >= 4, "short": months >= RULE_MONTHS + 2, "lasting": months >= RULE_MONTHS + 2, "late": months >= 4}  # fmt: skip
    kinds = [kind for kind, fit in fits.items() if fit]
    type_of: dict[int, str] = {}
    papers: list[tuple[int, int, int]] = []
    outside = np.flatnonzero(~capital)
    for position, place in enumerate(rng.permutation(heads)[: wanted * len(kinds)].tolist()):
        kind = kinds[position % len(kinds)]
        last = months - RULE_MONTHS if kind in ("short", "lasting") else months - 1
        first = max(1, months - RULE_MONTHS + 1) if kind == "late" else 1
        month = int(rng.integers(first, max(first + 1, last)))
        target = int(rng.choice(outside))
        places.died[places.firm == places.firm[place]] = NEVER
        places.base[place] = max(places.base[place], 6.0)
        if kind == "paper":
            papers.append((place, month, target))
            continue
        start = int(places.region[place, 0])
        _move(rng, places, place, month, target)
        type_of[place] = kind
        if kind == "short":
            end = month + int(rng.integers(3, RULE_MONTHS))
            if rng.random() < 0.5 and int((places.firm == places.firm[place]).sum()) == 1:
                places.died[place] = end
            else:
                _move(rng, places, place, end, start)
    places = _with_paper_offices(rng, places, papers, first_month)
    new = range(len(places.firm) - len(papers), len(places.firm))
    type_of.update(dict.fromkeys(new, "paper"))
    told = tuple(PaperMove(e, p, m) for e, (p, m, _) in zip(new, papers, strict=True))
    return places, type_of, told


def _with_paper_offices(
    rng: np.random.Generator,
    places: Places,
    papers: list[tuple[int, int, int]],
    first_month: np.datetime64,
) -> Places:
    if not papers:
        return places
    rows, month, target = (np.array(part, dtype=np.int64) for part in zip(*papers, strict=True))
    values: dict[str, Any] = {
        name: np.concatenate([getattr(places, name), getattr(places, name)[rows]])
        for name in Places.__slots__
    }
    out = Places(**values)
    new = np.arange(len(places.firm), len(out.firm))
    out.kind[new] = HEAD_OFFICE
    out.born[new] = out.empty_from[new] = month
    out.region[new] = target[:, None]
    out.street[new] = rng.integers(10_000, size=(len(new), 1))
    out.joined[new] = (first_month + month).astype("datetime64[D]")
    return out


def in_twins(firms: Firms) -> NDArray[np.bool_]:
    """Whether each firm is a twin, or has one  # (F,)"""
    out = firms.twin >= 0
    out[firms.twin[firms.twin >= 0]] = True
    return out


def _move(rng: np.random.Generator, places: Places, place: int, month: int, region: int) -> None:
    places.region[place, month:] = region
    places.street[place, month:] = rng.integers(10_000)


def move(
    rng: np.random.Generator,
    firms: Firms,
    places: Places,
    codes: NDArray[np.str_],
    relocated: dict[int, str],
) -> None:
    """One move at most of any other establishment: within its 시·군·구, or to another; head offices stay on their side."""
    size, months = places.region.shape
    capital = capital_mask(codes)
    free = ~in_twins(firms)[places.firm]
    free[list(relocated)] = False
    free &= places.empty_from == NEVER
    first = np.maximum(places.born, 0) + 1
    last = np.minimum(places.died, months) - 1
    free &= last > first
    years = np.where(free, last - first, 0) / 12
    draw = rng.random(size)
    within = draw < WITHIN_A_YEAR * years
    between = ~within & (draw < (WITHIN_A_YEAR + BETWEEN_A_YEAR) * years)
    month = first + (rng.random(size) * np.maximum(last - first, 1)).astype(np.int64)
    for place in np.flatnonzero(within | between).tolist():
        here = int(places.region[place, month[place]])
        there = here
        if between[place]:
            side = np.flatnonzero((capital == capital[here]) | (places.kind[place] != HEAD_OFFICE))
            near = side[np.char.startswith(codes[side], str(codes[here])[:2])]
            pool = near if len(near) > 1 and rng.random() < 0.6 else side
            there = int(rng.choice(pool[pool != here]))
        _move(rng, places, place, int(month[place]), there)


def register_again(rng: np.random.Generator, places: Places, first_month: np.datetime64) -> None:
    """Workplaces that leave 국민연금 and come back: with a new 적용일자, or with a 재등록일자 beside the old one."""
    size, months = places.region.shape
    first = np.maximum(places.born, 0) + 2
    last = np.minimum(places.died, months) - 2
    chosen = (rng.random(size) < AGAIN_A_YEAR * np.maximum(last - first, 0) / 12) & (last > first)
    month = first + (rng.random(size) * np.maximum(last - first, 1)).astype(np.int64)
    gap = np.minimum(rng.integers(0, 4, size=size), month - np.maximum(places.born, 0) - 1)
    places.again_from[chosen] = month[chosen]
    places.again_gap[chosen] = np.maximum(gap[chosen], 0)
    places.again_new[chosen] = rng.random(int(chosen.sum())) < 0.6
    days = (first_month + month).astype("datetime64[D]") + rng.integers(0, 28, size=size)
    places.joined_again[chosen] = days[chosen]


def rename(rng: np.random.Generator, firms: Firms, months: int) -> None:
    """Firms with another legal form, or another name, from a month on."""
    n = len(firms.corporation)
    chosen = (
        (rng.random(n) < RENAMED_A_YEAR * months / 12) & firms.corporation & ~in_twins(firms) & (months > 2)
    )
    firms.renamed[chosen] = rng.integers(1, max(2, months - 1), size=int(chosen.sum()))
    form_only = rng.random(n) < 0.6
    firms.root[1, form_only | ~chosen] = firms.root[0, form_only | ~chosen]
    same = firms.form[0] == firms.form[1]
    firms.form[1, same & firms.corporation] = firms.form[0, same & firms.corporation] % 5 + 1
    firms.form[1, ~chosen] = firms.form[0, ~chosen]
    firms.form[1, chosen & ~form_only] = firms.form[0, chosen & ~form_only]


def employ(rng: np.random.Generator, places: Places) -> None:
    """Insured persons a month: a random walk in logs, one at least while it is there, none at a head office on paper."""
    size, months = places.region.shape
    at = np.arange(months)
    walk = np.cumsum(rng.normal(0.001, MONTHLY_SHOCK, size=(size, months)), axis=1)
    persons = np.maximum(1, np.round(places.base[:, None] * np.exp(walk))).astype(np.int64)
    there = there_mask(places)
    persons[at[None, :] >= places.empty_from[:, None]] = 0
    places.employees = np.where(there, persons, 0)


def there_mask(places: Places) -> NDArray[np.bool_]:
    """Whether each establishment is there in each month  # (E, T)"""
    at = np.arange(places.region.shape[1])[None, :]
    return np.asarray((at >= places.born[:, None]) & (at < places.died[:, None]))


def capital_mask(codes: NDArray[np.str_]) -> NDArray[np.bool_]:
    """Whether each 시·군·구 lies in the capital region  # (R,)"""
    return np.isin(regions.sido_of(codes), regions.CAPITAL)


def tell_moves(places: Places, codes: NDArray[np.str_], months: NDArray[np.datetime64]) -> pd.DataFrame:
    """Every move while an establishment is there, as `EstablishmentTruth.moves`."""
    there = there_mask(places)
    changed = (places.street[:, 1:] != places.street[:, :-1]) & there[:, 1:] & there[:, :-1]
    place, at = np.nonzero(changed)
    origin, target = places.region[place, at], places.region[place, at + 1]
    return pd.DataFrame(
        {
            "establishment": place,
            "firm": places.firm[place],
            "kind": np.array(PLACE_KINDS, dtype=object)[places.kind[place]],
            "month": months[at + 1].astype("datetime64[s]"),
            "from_region": codes[origin].astype(object),
            "to_region": codes[target].astype(object),
            "between": origin != target,
        }
    )


def tell_relocations(
    moves: pd.DataFrame,
    places: Places,
    codes: NDArray[np.str_],
    months: NDArray[np.datetime64],
    types: dict[int, str],
    papers: tuple[PaperMove, ...],
) -> pd.DataFrame:
    """Moves out of the capital region under the rule, as `EstablishmentTruth.relocations`."""
    on_paper = pd.DataFrame(
        {
            "establishment": [paper.establishment for paper in papers],
            "firm": [int(places.firm[paper.establishment]) for paper in papers],
            "kind": [PLACE_KINDS[HEAD_OFFICE]] * len(papers),
            "month": months[[paper.month for paper in papers]].astype("datetime64[s]"),
            "from_region": [str(codes[places.region[p.stayed, p.month]]) for p in papers],
            "to_region": [str(codes[places.region[p.establishment, p.month]]) for p in papers],
        }
    )
    capital = np.isin(regions.sido_of(moves["from_region"]), regions.CAPITAL)
    hit = capital & ~np.isin(regions.sido_of(moves["to_region"]), regions.CAPITAL)
    real = moves[hit].drop(columns="between")
    out = pd.concat([part for part in (real, on_paper) if len(part)] or [real], ignore_index=True)
    place = out["establishment"].to_numpy(dtype=np.int64)
    at = np.searchsorted(months, out["month"].to_numpy().astype("datetime64[M]"))
    window = len(months)
    steps = np.arange(window)[None, :]
    stays = (places.region[place] == places.region[place, at][:, None]) & (places.employees[place] >= 1)
    broken = (steps >= at[:, None]) & ~stays
    end = np.where(broken.any(axis=1), broken.argmax(axis=1), window)
    run = end - at
    out["type"] = [types.get(int(p), "other") for p in place]
    out["workers"] = places.employees[place, at]
    out["months_with_worker"] = run
    out["observed"] = (run >= RULE_MONTHS) | (end < window)
    out["counts"] = run >= RULE_MONTHS
    order = np.lexsort([place, at])
    return out.iloc[order].reset_index(drop=True)
