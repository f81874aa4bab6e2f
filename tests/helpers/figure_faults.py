"""Texts of a matplotlib figure that meet one another or leave the picture."""

from __future__ import annotations

import itertools
from typing import Any


def faults(figure: Any) -> list[tuple[str, str]]:
    """Pairs of texts that meet, and texts that leave the picture (with an empty second)."""
    from matplotlib.text import Text

    undrawn = _beyond_the_limits(figure)
    boxes = [
        (item.get_text(), item.get_window_extent())
        for item in figure.findobj(Text)
        if item.get_text().strip() and item.get_visible() and id(item) not in undrawn
    ]
    inside = [(text, box) for text, box in boxes if box.width > 0 and _shown(box, figure)]
    assert len(inside) > 5
    edge = figure.bbox
    found = [
        (text, "") for text, box in inside if box.x0 < -1 or box.x1 > edge.x1 + 1 or box.y1 > edge.y1 + 1
    ]
    for (one, a), (two, b) in itertools.combinations(inside, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        high = min(a.y1, b.y1) - max(a.y0, b.y0)
        # a line's box has air above and below its letters
        if wide > 0.5 and high > 0.25 * min(a.height, b.height):
            found.append((one, two))
    return found


def _beyond_the_limits(figure: Any) -> set[int]:
    """Labels of ticks outside the view stay in the tree, undrawn."""
    found = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            found |= {
                id(tick.label1)
                for tick in axis.get_major_ticks()
                if not low - slack <= tick.get_loc() <= high + slack
            }
    return found


def _shown(box: Any, figure: Any) -> bool:
    """Tick labels outside the limits stay in the tree, undrawn."""
    return bool(box.y1 > 0 and box.y0 < figure.bbox.y1 and box.x1 > 0)
