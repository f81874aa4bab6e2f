"""Sample flow: boxes from the file to the estimation sample, what was left out beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from unicodedata import east_asian_width

from evalkit.errors import UsageError
from evalkit.present.canvas import FAINT, INK, QUIET, SHADE, TREATED, Drawing, canvas, finish
from evalkit.present.ledgers import flow_table, records_of
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, number, with_unit
from evalkit.present.tabulation import Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 1.0
_BOX = 0.56
_WIDE = 4.3  # of ten: the boxes; the reasons stand beside them
_REASON = 70  # columns of a reason's line
_GROUPS = 1.3


def flow(
    steps: Iterable[Any],
    *,
    title: str,
    unit: str = "",
    groups: Sequence[tuple[str, int]] = (),
    data: Tabulation | None = None,
    name: str = "sample-flow",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Boxes downwards, exclusions to the right.

    Parameters
    ----------
    steps : mappings (or a frame) with ``step``, ``left``, and where units were left out ``dropped`` and ``reason``; a
        text in the place of a number stands as it is
    unit : what is counted, such as ``개사``
    groups : label and number of each part of the last box, such as the supported and the comparison units
    data : the values as a table; default a table of `steps`
    """
    records = records_of(steps)
    if not records:
        raise UsageError(
            "표본 흐름에 단계가 없음", where=(name,), remedy="step 과 left 를 한 줄 이상 넘길 것"
        )
    last = len(records) - 1
    depth = len(records) + (_GROUPS if groups else 0.0)
    with canvas(0.15 + 0.62 * depth) as (figure, axes):
        axes.set_axis_off()
        axes.set_xlim(0, 10)
        axes.set_ylim(-_ROW * depth + 0.5 * (_ROW - _BOX), 0.5 * (_ROW - _BOX))
        for at, record in enumerate(records):
            _box(axes, at, record, unit, lang, last=at == last)
        if groups:
            _split(axes, last, groups, unit, lang)
        return finish(
            figure,
            name=name,
            title=title,
            alt=_alt(records, groups, unit, lang),
            data=flow_table(records, unit=unit, name=f"{name}-data", title=title, lang=lang)
            if data is None
            else data,
            note=note,
        )


def _alt(records: list[dict[str, Any]], groups: Sequence[tuple[str, int]], unit: str, lang: Lang) -> str:
    alt = say(
        "figure.flow_alt",
        lang,
        first_label=records[0]["step"],
        first=_told(records[0]["left"], unit, lang),
        last_label=records[-1]["step"],
        last=_told(records[-1]["left"], unit, lang),
        k=len(records),
    )
    left = [
        f"{r['reason']} {_told(r['dropped'], unit, lang, left_out=True)}"
        for r in records
        if r.get("dropped") and r.get("reason")
    ]
    parts = [f"{label} {_told(count, unit, lang)}" for label, count in groups]
    more = [say("figure.flow_alt_left", lang, items="; ".join(left))] if left else []
    more += [say("figure.flow_alt_groups", lang, items="; ".join(parts))] if parts else []
    return " ".join([alt, *more])


def _told(count: Any, unit: str, lang: Lang, *, left_out: bool = False) -> str:
    """A number with its unit, or the mark that stands for it."""
    if isinstance(count, str):
        return count
    return with_unit(number(-abs(count) if left_out else count), unit, lang)


def _frame(axes: Axes, x: float, middle: float, width: float, height: float, *, strong: bool) -> None:
    from matplotlib.patches import FancyBboxPatch

    look: dict[str, Any] = (
        {"facecolor": TREATED, "edgecolor": TREATED} if strong else {"facecolor": SHADE, "edgecolor": FAINT}
    )
    axes.add_patch(
        FancyBboxPatch(
            (x, middle - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            linewidth=1,
            **look,
        )
    )


def _box(axes: Axes, at: int, record: dict[str, Any], unit: str, lang: Lang, *, last: bool) -> None:
    middle = -_ROW * at - _BOX / 2
    _frame(axes, 0.1, middle, _WIDE, _BOX, strong=last)
    ink = "white" if last else INK
    axes.text(0.3, middle, str(record["step"]), va="center", ha="left", color=ink)
    count = _told(record["left"], unit, lang)
    axes.text(_WIDE - 0.1, middle, count, va="center", ha="right", color=ink, fontweight="bold")
    if at > 0:
        _arrow(axes, (0.9, middle + _ROW - _BOX / 2), (0.9, middle + _BOX / 2))
        dropped = record.get("dropped")
        if dropped:
            beside = middle + _ROW / 2
            _arrow(axes, (0.9, beside), (_WIDE + 0.4, beside))
            words = f"{_told(dropped, unit, lang, left_out=True)}  {record.get('reason') or ''}".rstrip()
            axes.text(
                _WIDE + 0.5,
                beside,
                _lines(words, _REASON),
                va="center",
                ha="left",
                color=INK,
                fontsize=9,
                linespacing=1.15,
            )


def _split(axes: Axes, last: int, groups: Sequence[tuple[str, int]], unit: str, lang: Lang) -> None:
    """The parts of the last box beneath it, side by side."""
    foot = -_ROW * last - _BOX
    height = 1.45 * _BOX
    middle = foot - (_ROW - _BOX) - height / 2
    wide = (9.8 - 0.3 * (len(groups) - 1)) / len(groups)
    for k, (label, count) in enumerate(groups):
        x = 0.1 + k * (wide + 0.3)
        _frame(axes, x, middle, wide, height, strong=False)
        words = _lines(label, int(8.2 * wide))
        axes.text(x + 0.2, middle, words, va="center", ha="left", color=INK, fontsize=9, linespacing=1.15)
        told = _told(count, unit, lang)
        axes.text(x + wide - 0.2, middle, told, va="center", ha="right", color=INK, fontweight="bold")
        turn = foot - (_ROW - _BOX) / 2
        if k:
            axes.plot([0.9, x + 0.8], [turn, turn], color=QUIET, linewidth=1)
        _arrow(axes, (x + 0.8, turn if k else foot), (x + 0.8, middle + height / 2))


def _lines(words: str, width: int) -> str:
    """Words broken at blanks, a Hangul syllable counted as two columns."""
    lines, line = [], ""
    for word in words.split(" "):
        longer = f"{line} {word}" if line else word
        if line and sum(1 + (east_asian_width(c) in "WF") for c in longer) > width:
            lines.append(line)
            longer = word
        line = longer
    return "\n".join([*lines, line])


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={"arrowstyle": "-|>", "color": QUIET, "linewidth": 1, "shrinkA": 0, "shrinkB": 0},
    )
