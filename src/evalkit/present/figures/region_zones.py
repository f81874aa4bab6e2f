"""Zones of one province and the rings around them: municipalities as labelled tiles, ring by ring.

A tile says how far its municipality lies from the nearest zone; it stands in the column of its ring. Neither boundaries nor
directions are drawn, so none can be wrong (`region_map` draws provinces in the same way).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.present.canvas import BAND, FAINT, INK, QUIET, SHADE, TREATED, Drawing, canvas, finish
from evalkit.present.ledgers import records_of
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, number
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 6  # of tiles across the page
_TILE = 0.82  # height of a tile in rows
_ROOM = 66.0  # points inside a tile, left to right


def region_zones(
    rows: Iterable[Mapping[str, Any]],
    edges: Sequence[float],
    *,
    title: str,
    compared_km: float,
    name: str = "region_zones",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Municipalities by ring around the zones of a province.

    Parameters
    ----------
    rows : ``label`` of the municipality, ``km`` to the nearest zone, ``zone`` (one stands in it), ``line`` (a short text in a
        zone's tile, such as its first year)
    edges : outer kilometres of the rings, from near to far; beyond the last lies the last column
    compared_km : from where on unsupported firms are compared: rings nearer than that are hatched and said to be left out

    Raises
    ------
    UsageError : no municipality, or edges that do not rise
    """
    records = records_of(rows)
    if not records or list(edges) != sorted(set(edges)) or not len(edges):
        raise UsageError(
            "지구와 고리의 그림에 시군구가 없거나 고리의 경계가 커지는 순서가 아님",
            where=(name,),
            remedy="시군구를 하나 이상, 경계를 가까운 것부터 넘길 것",
        )
    groups = _grouped(records, edges)
    widths = _widths([len(group) for group in groups])
    height = max(math.ceil(len(group) / width) for group, width in zip(groups, widths, strict=True))
    with canvas(1.15 + 0.3 * height) as (figure, axes):
        axes.set_axis_off()
        axes.set_xlim(0, sum(widths))
        axes.set_ylim(height + 0.1, -2.2)
        left = 0.0
        for at, (group, width) in enumerate(zip(groups, widths, strict=True)):
            _ring(axes, group, left, width, height, at, edges, compared_km, lang)
            left += width
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(groups, edges, compared_km, lang),
            data=_data(groups, edges, compared_km, name, title, lang),
            note=note,
        )


def _grouped(records: list[dict[str, Any]], edges: Sequence[float]) -> list[list[dict[str, Any]]]:
    """Zones first, then a list a ring, then what lies beyond; each from near to far."""
    groups: list[list[dict[str, Any]]] = [[] for _ in range(len(edges) + 2)]
    for record in sorted(records, key=lambda r: (float(r["km"]), str(r["label"]))):
        km = float(record["km"])
        inside = next((at for at, edge in enumerate(edges, start=1) if km <= edge), len(edges) + 1)
        groups[0 if record["zone"] else inside].append(record)
    return groups


def _widths(counts: list[int]) -> list[int]:
    """Tiles side by side in each column: one each, and the others go where the longest column is."""
    widths = [1] * len(counts)
    for _ in range(max(_COLUMNS - len(counts), 0)):
        longest = max(range(len(counts)), key=lambda k: math.ceil(counts[k] / widths[k]))
        widths[longest] += 1
    return widths


def _ring(
    axes: Axes,
    group: list[dict[str, Any]],
    left: float,
    width: int,
    height: int,
    at: int,
    edges: Sequence[float],
    compared_km: float,
    lang: Lang,
) -> None:
    """One column: its ring, what its firms are for, its municipalities."""
    from matplotlib.patches import Rectangle

    role = _role(at, edges, compared_km)
    face = {"zone": TREATED, "left_out": SHADE, "compared": BAND}[role]
    middle = left + width / 2
    axes.add_patch(
        Rectangle((left + 0.03, -1.05), width - 0.06, 0.5, facecolor=face, edgecolor=FAINT, linewidth=0.8)
    )
    axes.text(
        middle,
        -1.7,
        _ring_words(at, edges, lang),
        ha="center",
        va="center",
        fontsize=9.5,
        fontweight="bold",
        color=INK,
    )
    axes.text(
        middle,
        -0.8,
        say(f"figure.zones.{role}", lang),
        ha="center",
        va="center",
        fontsize=8.5,
        color="white" if role == "zone" else INK,
    )
    if not group:
        axes.text(
            middle, 0.4, say("figure.zones.nobody", lang), ha="center", va="center", fontsize=8.5, color=QUIET
        )
    for k, record in enumerate(group):
        _tile(axes, record, left + k % width, float(k // width), role)
    if at:
        axes.plot([left, left], [-2.1, height], color=FAINT, linewidth=0.8)


def _tile(axes: Axes, record: Mapping[str, Any], x: float, y: float, role: str) -> None:
    """One municipality."""
    from matplotlib.patches import Rectangle

    zone = role == "zone"
    axes.add_patch(
        Rectangle(
            (x + 0.03, y),
            0.94,
            _TILE,
            facecolor=TREATED if zone else "white",
            edgecolor=TREATED if zone else FAINT,
            linewidth=1,
            linestyle=(0, (3, 2)) if role == "left_out" else "-",
        )
    )
    ink = "white" if zone else INK
    beside = str(record.get("line", "")) if zone else number(float(record["km"]), 0)
    small = _fitting(str(record["label"]), beside)
    axes.text(x + 0.08, y + _TILE / 2, str(record["label"]), color=ink, va="center", fontsize=8 * small)
    axes.text(
        x + 0.93,
        y + _TILE / 2,
        beside,
        color=ink if zone else QUIET,
        va="center",
        ha="right",
        fontsize=7.5 * small,
    )


def _fitting(label: str, beside: str) -> float:
    """By how much the texts of a tile shrink so that both stand in it."""
    letters = sum(1.0 if letter >= "가" else 0.6 for letter in label)
    return min(1.0, _ROOM / (8.0 * letters + 4.6 * len(beside) + 4.0))


def _role(at: int, edges: Sequence[float], compared_km: float) -> str:
    if at == 0:
        return "zone"
    return "compared" if (0.0, *edges)[at - 1] >= compared_km or at == len(edges) + 1 else "left_out"


def _ring_words(at: int, edges: Sequence[float], lang: Lang) -> str:
    if at == 0:
        return say("figure.zones.zone_column", lang)
    if at > len(edges):
        return say("figure.zones.beyond", lang, km=number(edges[-1]))
    return say("figure.zones.ring", lang, low=number((0.0, *edges)[at - 1]), high=number(edges[at - 1]))


def _alt(groups: list[list[dict[str, Any]]], edges: Sequence[float], compared_km: float, lang: Lang) -> str:
    near = sum(
        len(group) for at, group in enumerate(groups) if at and _role(at, edges, compared_km) == "left_out"
    )
    far = sum(len(group) for at, group in enumerate(groups) if _role(at, edges, compared_km) == "compared")
    return say(
        "figure.zones.alt",
        lang,
        zones=", ".join(str(r["label"]) for r in groups[0]) or say("figure.zones.nobody", lang),
        near=number(near),
        far=number(far),
        km=number(compared_km),
    )


def _data(
    groups: list[list[dict[str, Any]]],
    edges: Sequence[float],
    compared_km: float,
    name: str,
    title: str,
    lang: Lang,
) -> Tabulation:
    rows = tuple(
        (
            str(record["label"]),
            float(record["km"]),
            _ring_words(at, edges, lang),
            say(f"figure.zones.{_role(at, edges, compared_km)}", lang),
        )
        for at, group in enumerate(groups)
        for record in group
    )
    columns = (
        Column("place", say("figure.zones.place", lang)),
        Column("km", say("figure.zones.km", lang), "number", "km", 1),
        Column("ring", say("figure.zones.ring_name", lang)),
        Column("role", say("figure.zones.role", lang)),
    )
    return Tabulation(f"{name}-data", title, columns, rows, lang=lang)
