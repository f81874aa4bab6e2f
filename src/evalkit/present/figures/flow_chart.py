"""Sample flow: boxes from the file to the estimation sample, what was left out beside them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.present.canvas import FAINT, INK, QUIET, SHADE, TREATED, Drawing, canvas, finish
from evalkit.present.ledgers import flow_table, records_of
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, number, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 1.0
_BOX = 0.56


def flow(
    steps: Iterable[Any],
    *,
    title: str,
    unit: str = "",
    name: str = "sample-flow",
    note: str = "",
    lang: Lang = "ko",
) -> Drawing:
    """Boxes downwards, exclusions to the right.

    Parameters
    ----------
    steps : mappings (or a frame) with ``step``, ``left``, and where units were left out ``dropped`` and ``reason``
    unit : what is counted, such as ``개사``
    """
    records = records_of(steps)
    if not records:
        raise UsageError(
            "표본 흐름에 단계가 없음", where=(name,), remedy="step 과 left 를 한 줄 이상 넘길 것"
        )
    height = 0.15 + 0.62 * len(records)
    with canvas(height) as (figure, axes):
        axes.set_axis_off()
        axes.set_xlim(0, 10)
        axes.set_ylim(-_ROW * len(records) + 0.5 * (_ROW - _BOX), 0.5 * (_ROW - _BOX))
        for at, record in enumerate(records):
            _box(axes, at, record, unit, lang, last=at == len(records) - 1)
        return finish(
            figure,
            name=name,
            title=title,
            alt=say(
                "figure.flow_alt",
                lang,
                first_label=records[0]["step"],
                first=with_unit(number(records[0]["left"]), unit, lang),
                last_label=records[-1]["step"],
                last=with_unit(number(records[-1]["left"]), unit, lang),
                k=len(records),
            ),
            data=flow_table(records, unit=unit, name=f"{name}-data", title=title, lang=lang),
            note=note,
        )


def _box(axes: Axes, at: int, record: dict[str, Any], unit: str, lang: Lang, *, last: bool) -> None:
    from matplotlib.patches import FancyBboxPatch

    middle = -_ROW * at - _BOX / 2
    look: dict[str, Any] = (
        {"facecolor": TREATED, "edgecolor": TREATED} if last else {"facecolor": SHADE, "edgecolor": FAINT}
    )
    axes.add_patch(
        FancyBboxPatch(
            (0.1, middle - _BOX / 2),
            5.0,
            _BOX,
            boxstyle="round,pad=0,rounding_size=0.08",
            linewidth=1,
            **look,
        )
    )
    ink = "white" if last else INK
    axes.text(0.3, middle, str(record["step"]), va="center", ha="left", color=ink)
    count = with_unit(number(record["left"]), unit, lang)
    axes.text(4.9, middle, count, va="center", ha="right", color=ink, fontweight="bold")
    if at > 0:
        _arrow(axes, (0.9, middle + _ROW - _BOX / 2), (0.9, middle + _BOX / 2))
        dropped = record.get("dropped")
        if dropped:
            beside = middle + _ROW / 2
            _arrow(axes, (0.9, beside), (5.5, beside))
            words = f"{with_unit(number(-abs(dropped)), unit, lang)}  {record.get('reason') or ''}".rstrip()
            axes.text(5.6, beside, words, va="center", ha="left", color=QUIET, fontsize=9)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={"arrowstyle": "-|>", "color": QUIET, "linewidth": 1, "shrinkA": 0, "shrinkB": 0},
    )
