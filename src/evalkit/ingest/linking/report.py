"""LinkReport: how many were linked, by which rule, when and for whom; what is in doubt, with rows to look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evalkit.errors import SchemaError, nearest
from evalkit.ingest.linking.codes import month_label
from evalkit.ingest.linking.firms import FirmLinks
from evalkit.ingest.linking.links import Links

_STATUS = {"linked": "연결", "ambiguous": "모호", "unlinked": "미연결"}
_SHOWN = ("source", "source_row", "month", "year", "region", "place_kind", "joined", "members", "employees")
_KEYS = ("firm_id", "name_key", "head_key")


@dataclass(frozen=True, slots=True, eq=False)
class LinkReport:
    """What a linkage did, as Korean tables.

    Attributes
    ----------
    linked, ambiguous, unlinked : counts, of rows after the first file (over time) or of programme firms
    by_stage : 단계, 연결
    by_group : 구분 (파일의 연월, 연도, 자료, 단계 …), 값, 연결, 모호, 미연결, 미연결률
    ambiguous_groups : rows to look at, keys masked: 묶음, 단계, 쪽, and what the tables tell of the row
    """

    linked: int
    ambiguous: int
    unlinked: int
    by_stage: pd.DataFrame
    by_group: pd.DataFrame
    ambiguous_groups: pd.DataFrame

    def sentence(self) -> str:
        """The three counts in one Korean sentence."""
        total = max(1, self.linked + self.ambiguous + self.unlinked)
        return (
            f"연결 {self.linked:,} ({self.linked / total:.1%}), 모호 {self.ambiguous:,} ({self.ambiguous / total:.1%}), "
            f"미연결 {self.unlinked:,} ({self.unlinked / total:.1%})"
        )


def report_over_time(
    links: Links, frames: pd.DataFrame | Sequence[pd.DataFrame], *, most: int = 50
) -> LinkReport:
    """How the rows of each file were linked to the files before.

    A row counts as linked where its history goes on from an earlier file, as ambiguous where it stands in a bundle or where
    what comes before it is in doubt, and as unlinked where it begins a history (it may be new).

    Parameters
    ----------
    frames : the tables that were linked, in the same order
    most : groups in doubt that are listed
    """
    parts = [frames] if isinstance(frames, pd.DataFrame) else [part for part in frames if len(part)]
    kind = links.strands["kind"].to_numpy()[links.strand]
    opens = links.period == links.strands["first"].to_numpy()[links.strand]
    unsure = (kind == "bundle") | (opens & links.strands["head_doubt"].to_numpy()[links.strand])
    status = np.where(unsure, "ambiguous", np.where(links.stage >= 0, "linked", "unlinked"))
    later = links.period > links.periods[0]
    by_file = _counts(
        pd.Series([month_label(int(p)) for p in links.periods]).to_numpy()[
            np.searchsorted(links.periods, links.period[later])
        ],
        status[later],
        "파일",
    )
    joined = links.stage[later & (status == "linked")]
    by_stage = pd.DataFrame(
        {
            "단계": [stage.title for stage in links.stages],
            "연결": np.bincount(joined, minlength=len(links.stages)),
        }
    )
    linked, ambiguous, unlinked = (int((status[later] == name).sum()) for name in _STATUS)
    return LinkReport(linked, ambiguous, unlinked, by_stage, by_file, _doubts_over_time(links, parts, most))


def report_firms(
    links: FirmLinks,
    firms: pd.DataFrame,
    workplaces: pd.DataFrame,
    *,
    unit: str,
    by: Iterable[str] = ("year", "source", "phase"),
    most: int = 50,
) -> LinkReport:
    """How programme firms were linked, in all and by columns of the programme's table.

    Parameters
    ----------
    by : columns of `firms`; those that it lacks are passed over. A firm counts once for each value that it has
    most : groups in doubt that are listed

    Raises
    ------
    SchemaError : `firms` has no column `unit`
    """
    if unit not in firms.columns:
        raise SchemaError(f"열 {unit!r} 이(가) 표에 없음", remedy=nearest(unit, map(str, firms.columns)))
    status = links.firms["status"]
    tables = []
    for name in by:
        if name in firms.columns:
            each = firms[[unit, name]].dropna().drop_duplicates()
            tables.append(
                _counts(
                    each[name].astype(str).to_numpy(), status.reindex(each[unit]).to_numpy(dtype=str), name
                )
            )
    stages = links.firms.loc[status == "linked", "stage"].to_numpy(dtype=np.int64)
    by_stage = pd.DataFrame(
        {
            "단계": [stage.title for stage in links.stages],
            "연결": np.bincount(stages, minlength=len(links.stages)),
        }
    )
    groups = links.doubts[links.doubts["group"] < most].sort_values(["group", "unit", "row"], kind="stable")
    shown = pd.DataFrame(
        {"묶음": groups["group"] + 1, "단계": [links.stages[s].title for s in groups["stage"]]}
    )
    shown["기업"] = [_masked(text) for text in groups["unit"]]
    shown = _with_rows(shown, workplaces, groups["row"].to_numpy(dtype=np.int64))
    linked, ambiguous, unlinked = (int((status == name).sum()) for name in _STATUS)
    counted = pd.concat(tables, ignore_index=True) if tables else _counts(np.array([]), np.array([]), "")
    return LinkReport(linked, ambiguous, unlinked, by_stage, counted, shown)


def _counts(values: object, status: object, name: str) -> pd.DataFrame:
    """Linked, ambiguous and unlinked by value"""
    frame = pd.DataFrame({"value": values, "status": status})
    wide = pd.crosstab(frame["value"], frame["status"]).reindex(columns=list(_STATUS), fill_value=0)
    wide = wide.sort_index().rename(columns=_STATUS).reset_index(names="값").rename_axis(columns=None)
    total = wide[list(_STATUS.values())].sum(axis=1)
    wide["미연결률"] = (wide["미연결"] / total.where(total > 0)).round(4)
    wide.insert(0, "구분", name)
    return wide


def _doubts_over_time(links: Links, parts: Sequence[pd.DataFrame], most: int) -> pd.DataFrame:
    """Rows of the pairs in doubt, and of the bundles, both sides"""
    pairs = links.doubts[links.doubts["group"] < most]
    sides = []
    for side, column, row in (("앞", "earlier", "last_row"), ("뒤", "later", "row")):
        strand = pairs[column].to_numpy(dtype=np.int64)
        sides.append(
            pd.DataFrame(
                {
                    "묶음": pairs["group"] + 1,
                    "단계": [links.stages[s].title for s in pairs["stage"]],
                    "쪽": side,
                    "row": links.strands[row].to_numpy()[strand],
                }
            )
        )
    bundles = np.flatnonzero(links.strands["kind"].to_numpy() == "bundle")[:most]
    rows = np.flatnonzero(np.isin(links.strand, bundles))
    rows = rows[links.period[rows] == links.strands["last"].to_numpy()[links.strand[rows]]]
    count = len(pairs["group"].unique())
    sides.append(
        pd.DataFrame(
            {
                "묶음": count + 1 + np.searchsorted(bundles, links.strand[rows]),
                "단계": "한 파일에 같은 열쇠가 둘 이상",
                "쪽": "",
                "row": rows,
            }
        )
    )
    shown = (
        pd.concat(sides, ignore_index=True)
        .drop_duplicates()
        .sort_values(["묶음", "쪽", "row"], kind="stable")
    )
    return _with_rows(shown.drop(columns="row"), parts, shown["row"].to_numpy(dtype=np.int64))


def _with_rows(
    shown: pd.DataFrame, frames: pd.DataFrame | Sequence[pd.DataFrame], rows: np.ndarray
) -> pd.DataFrame:
    """The table beside what the frames tell of the rows; of keys only the first four characters"""
    parts = [frames] if isinstance(frames, pd.DataFrame) else list(frames)
    begin = np.cumsum([0, *(len(part) for part in parts)])
    which = np.searchsorted(begin, rows, side="right") - 1
    shown = shown.reset_index(drop=True)
    for name in (*_SHOWN, *_KEYS):
        if any(name in part.columns for part in parts):
            values = [
                parts[w][name].iloc[r - begin[w]] if name in parts[w].columns else None
                for w, r in zip(which, rows, strict=True)
            ]
            shown[name] = [_masked(v) for v in values] if name in _KEYS else values
    return shown


def _masked(value: object) -> str:
    text = "" if value is None or value is pd.NA or value != value else str(value)
    return f"{text[:4]}…" if text else ""
