"""Times record linkage over time, and histories and relocations from it, against merges of one file with the next.

    OPENBLAS_NUM_THREADS=1 python benchmarks/linking.py [--large] [--repeat 3]

Monthly files of workplaces with keyed hashes, 시·군·구 and joining day; a month moves 0.2 %, renames 0.1 %, replaces 1 % and leaves
out 1 % of them. The yardstick is what is usually written: for each pair of successive files one pandas merge a stage on text
keys (all four, then without the region, then without the name), rows that are not one to one left out. It does less: gaps of
more than one file, chains, and doubts across stages are not looked at. Before anything is timed, both must make the same links
between successive files where no workplace is missing for a month. With --large: 500,000 workplaces × 36 months.
"""

from __future__ import annotations

import argparse
import resource
import sys

import numpy as np
import pandas as pd
from _measuring import HEADER, line, seconds_of, timed

from evalkit.building.relocations import relocations
from evalkit.building.workplaces import workplace_histories
from evalkit.ingest.linking.links import Links
from evalkit.ingest.linking.over_time import link_over_time

KEYS = ["name_key", "head_key", "region", "joined"]
STAGES = [KEYS, ["name_key", "head_key", "joined"], ["head_key", "region", "joined"]]
REGIONS = np.array([f"{p}{i}" for p in (11, 26, 41, 42, 48) for i in range(110, 160)], dtype=object)


def _hashes(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.array([f"{x:016x}" for x in rng.integers(0, 2**63, count)], dtype=object)


def files(workplaces: int, months: int, missing: float, seed: int = 1) -> list[pd.DataFrame]:
    """Frames as readers give them."""
    rng = np.random.default_rng(seed)
    names = _hashes(rng, workplaces)
    heads = _hashes(rng, workplaces // 5)[rng.integers(0, workplaces // 5, workplaces)]
    region = rng.integers(0, len(REGIONS), workplaces)
    joined = np.datetime64("1990-01-01", "D") + rng.integers(0, 10_000, workplaces)
    out = []
    for month in range(months):
        lot = rng.random(workplaces)
        region = np.where(lot < 0.002, rng.integers(0, len(REGIONS), workplaces), region)
        other = np.flatnonzero((lot >= 0.002) & (lot < 0.013))
        names, joined = names.copy(), joined.copy()
        names[other] = _hashes(rng, len(other))
        new = other[lot[other] >= 0.003]
        joined[new] = np.datetime64("2018-01-01", "D") + 30 * month + rng.integers(0, 28, len(new))
        seen = rng.random(workplaces) >= missing
        out.append(
            pd.DataFrame(
                {
                    "month": pd.Timestamp("2018-01-01") + pd.DateOffset(months=month),
                    "name_key": pd.array(names[seen], dtype="str"),
                    "head_key": pd.array(heads[seen], dtype="str"),
                    "region": pd.array(REGIONS[region[seen]], dtype="str"),
                    "joined": joined[seen].astype("datetime64[s]"),
                    "members": rng.integers(3, 50, int(seen.sum())).astype(float),
                }
            )
        )
    return out


def by_merges(frames: list[pd.DataFrame]) -> np.ndarray:
    """The row before of each row, −1 = none, of all files below one another; one merge a stage and pair of files"""
    begin = np.cumsum([0, *(len(f) for f in frames)])
    before = np.full(int(begin[-1]), -1)
    for at in range(1, len(frames)):
        old, new = (frames[i][KEYS].assign(row=np.arange(len(frames[i]))) for i in (at - 1, at))
        for keys in STAGES:
            pairs = old.merge(new, on=keys, suffixes=("", "_new"))
            pairs = pairs[~pairs["row"].duplicated(keep=False) & ~pairs["row_new"].duplicated(keep=False)]
            before[begin[at] + pairs["row_new"].to_numpy()] = begin[at - 1] + pairs["row"].to_numpy()
            old = old[~old["row"].isin(pairs["row"])]
            new = new[~new["row"].isin(pairs["row_new"])]
    return before


def before_of(links: Links) -> np.ndarray:
    """The row before of each row, by our links, where it stands in the file before"""
    order = np.lexsort((links.period, links.unit))
    before = np.full(len(order), -1)
    same = (np.diff(links.unit[order]) == 0) & (np.diff(links.period[order]) == 1)
    before[order[1:][same]] = order[:-1][same]
    return before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="also 500,000 workplaces and 36 months")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    whole = files(20_000, 6, missing=0.0)
    ours, theirs = before_of(link_over_time(whole)), by_merges(whole)
    assert np.array_equal(ours, theirs), "the two do not make the same links"
    print(HEADER)
    for workplaces, months in [(20_000, 12), (100_000, 12), *([(500_000, 36)] if options.large else [])]:
        frames = files(workplaces, months, missing=0.01)
        case = f"links over {months} months"
        if workplaces < 500_000:
            ours, theirs = timed(
                [lambda f=frames: link_over_time(f), lambda f=frames: by_merges(f)], options.repeat
            )
        else:
            ours, theirs = (
                seconds_of(lambda f=frames: link_over_time(f)),
                seconds_of(lambda f=frames: by_merges(f)),
            )
        print(line(workplaces, case, ours, "pandas merges", theirs, float("nan")))
        links = link_over_time(frames)
        one = seconds_of(lambda f=frames, l=links: workplace_histories(f, l.unit, certain=l.certain))
        histories = workplace_histories(frames, links.unit, certain=links.certain)
        two = seconds_of(lambda h=histories: relocations(h))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )
        print(
            f"{workplaces:>8,} {'histories, then relocations':<44} {one:>9.4f} {two:>9.4f}   process peak {peak:,.0f} MB"
        )


if __name__ == "__main__":
    main()
