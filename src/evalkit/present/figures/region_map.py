"""Map of the 17 provinces as labelled squares in approximate position: no boundaries are drawn, so none can be wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.present.canvas import FAINT, INK, QUIET, SHADE, TREATED, Drawing, canvas, finish
from evalkit.present.ledgers import records_of
from evalkit.present.messages import say
from evalkit.present.numerals import Lang
from evalkit.present.tabulation import Column, Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLACES: Mapping[str, tuple[int, int]] = {
    "인천": (0, 0), "서울": (1, 0), "경기": (2, 0), "강원": (3, 0),
    "충남": (0, 1), "세종": (1, 1), "충북": (2, 1), "경북": (3, 1),
    "전북": (0, 2), "대전": (1, 2), "대구": (2, 2), "울산": (3, 2),
    "전남": (0, 3), "광주": (1, 3), "경남": (2, 3), "부산": (3, 3),
    "제주": (0, 4),
}  # fmt: skip
"""Column and row of each province, by short name: roughly where it lies."""

_GAP = 0.05
_MOST_LINES = 3


def region_map(
    rows: Iterable[Mapping[str, Any]],
    *,
    title: str,
    name: str = "region_map",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Which provinces a programme covers.

    Filled squares are covered; squares with a double border lie in the capital region, and both are said in words too.

    Parameters
    ----------
    rows : ``province`` (short Korean name), ``label`` (as written), ``treated``, ``capital``, and ``lines`` (up to three
        short texts in the square: phases, tier, sites)

    Raises
    ------
    UsageError : a province without a place on the map, one that stands twice, or more lines than fit
    """
    records = records_of(rows)
    _refuse(records, name)
    height = 1 + max((PLACES[str(r["province"])][1] for r in records), default=0)
    with canvas(0.92 * height + 0.1) as (figure, axes):
        axes.set_axis_off()
        axes.set_xlim(-_GAP, 4 + _GAP)
        axes.set_ylim(height + _GAP, -_GAP)
        for record in records:
            _square(axes, record, lang)
        if height > 4:
            _legend(axes, lang)
        treated = [r for r in records if r["treated"]]
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "programme.map.alt",
                lang,
                k=len(treated),
                names=", ".join(_described(r, lang) for r in treated) or say("programme.map.nobody", lang),
            ),
            data=_data(records, name, title, lang),
            note=note,
        )


def _refuse(records: list[dict[str, Any]], name: str) -> None:
    seen: set[str] = set()
    for record in records:
        province = str(record["province"])
        if province not in PLACES:
            raise UsageError(
                f"지도에 {province!r} 의 자리가 없음",
                where=(name,),
                remedy=f"쓸 수 있는 이름: {', '.join(PLACES)}",
            )
        if province in seen:
            raise UsageError(
                f"{province!r} 이(가) 두 번 있음", where=(name,), remedy="시·도마다 한 줄만 넘길 것"
            )
        if len(record.get("lines", ())) > _MOST_LINES:
            raise UsageError(
                f"{province!r} 의 칸에 글이 {_MOST_LINES}줄보다 많음", where=(name,), remedy="줄을 합칠 것"
            )
        seen.add(province)


def _described(record: Mapping[str, Any], lang: Lang) -> str:
    words = [*record.get("lines", ())]
    if record["capital"]:
        words.insert(0, say("programme.map.capital", lang))
    return f"{record['label']} ({'; '.join(words)})" if words else str(record["label"])


def _square(axes: Axes, record: Mapping[str, Any], lang: Lang) -> None:
    """One province: filled where covered, a second border where it lies in the capital region, its words inside."""
    from matplotlib.patches import Rectangle

    x, y = PLACES[str(record["province"])]
    treated, capital = bool(record["treated"]), bool(record["capital"])
    ink, quiet = ("white", "white") if treated else (INK, QUIET)
    face, edge = (TREATED, TREATED) if treated else (SHADE, FAINT)
    side = 1 - 2 * _GAP
    axes.add_patch(Rectangle((x + _GAP, y + _GAP), side, side, facecolor=face, edgecolor=edge, linewidth=1))
    if capital:
        inner = 0.035
        axes.add_patch(
            Rectangle(
                (x + _GAP + inner, y + _GAP + inner),
                side - 2 * inner,
                side - 2 * inner,
                facecolor="none",
                edgecolor=quiet,
                linewidth=1,
                linestyle=(0, (3, 2)),
            )
        )
    name = str(record["label"])
    axes.text(x + 0.13, y + 0.21, name, color=ink, fontweight="bold", va="center", fontsize=10)
    words = [*([say("programme.map.capital", lang)] if capital else []), *record.get("lines", ())]
    for at, line in enumerate(words):
        axes.text(x + 0.13, y + 0.42 + 0.165 * at, str(line), color=ink, va="center", fontsize=8.5)


def _legend(axes: Axes, lang: Lang) -> None:
    """What the squares mean, in the empty corner beside 제주."""
    from matplotlib.patches import Rectangle

    marks = (
        (TREATED, TREATED, "-", say("programme.map.covered", lang)),
        (SHADE, FAINT, "-", say("programme.map.other", lang)),
        ("none", QUIET, "--", say("programme.map.inside", lang)),
    )
    for at, (face, edge, style, text) in enumerate(marks):
        y = 4.25 + 0.25 * at
        axes.add_patch(
            Rectangle(
                (1.15, y - 0.07), 0.16, 0.14, facecolor=face, edgecolor=edge, linestyle=style, linewidth=1
            )
        )
        axes.text(1.4, y, text, va="center", fontsize=8.5, color=INK)


def _data(records: list[dict[str, Any]], name: str, title: str, lang: Lang) -> Tabulation:
    yes, no = say("programme.map.yes", lang), say("programme.map.no", lang)
    columns = (
        Column("province", say("programme.province", lang)),
        Column("treated", say("programme.map.covered", lang)),
        Column("capital", say("programme.map.capital", lang)),
        Column("lines", say("programme.content", lang)),
    )
    rows = tuple(
        (
            str(r["label"]),
            yes if r["treated"] else no,
            yes if r["capital"] else no,
            "; ".join(map(str, r.get("lines", ()))) or None,
        )
        for r in records
    )
    return Tabulation(f"{name}-data", title, columns, rows, lang=lang)
