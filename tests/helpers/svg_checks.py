"""What can be wrong inside a figure (SVG with its text as outlines): contrast and size of words, boxes for glyphs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
PAGE_WIDTH = 174 / 25.4 * 72  # points between the margins of A4
LEAST = 8.0  # points
_NUMBER = r"-?[\d.]+(?:e-?\d+)?"


@dataclass(frozen=True, slots=True)
class Words:
    """A text: what it says, its size in points of the drawing, where it begins, its colour and what it stands on."""

    text: str
    size: float
    colour: str
    under: str


class Drawn:
    """One figure."""

    def __init__(self, svg: str) -> None:
        parser = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
        self.root = ElementTree.fromstring(svg, parser=parser)
        width = re.match(_NUMBER, self.root.get("width", "")) if "pt" in self.root.get("width", "") else None
        self.scale = min(1.0, PAGE_WIDTH / float(width[0])) if width else 1.0

    @cached_property
    def words(self) -> list[Words]:
        found: list[Words] = []
        shapes: list[tuple[list[tuple[float, float]], str]] = []
        comment = ""
        for element in self.root.iter():
            if element.tag is ElementTree.Comment:
                comment = (element.text or "").strip()
                continue
            style = dict(re.findall(r"([\w-]+):\s*([^;]+)", element.get("style", "")))
            transform = element.get("transform", "")
            size = re.search(rf"scale\(({_NUMBER}) {_NUMBER}\)", transform)
            if element.tag == f"{SVG}g" and size:
                at = re.search(rf"translate\(({_NUMBER}) ({_NUMBER})\)", transform)
                points = float(size[1]) * 100
                start = (float(at[1]) + points / 3, float(at[2]) - points / 3) if at else (0.0, 0.0)
                colour = blend(style.get("fill", "#000000"), "#ffffff", float(style.get("opacity", 1)))
                found.append(Words(comment, points, colour, _under(shapes, start)))
                comment = ""
            elif element.tag == f"{SVG}path" and style.get("fill", "none").startswith("#"):
                outline = _outline(element.get("d", ""))
                alpha = float(style.get("opacity", 1)) * float(style.get("fill-opacity", 1))
                shapes.append((outline, blend(style["fill"], "#ffffff", alpha)))
        return found

    def weak_contrast(self) -> Iterator[tuple[str, float, float]]:
        """Words that a reader with weak eyes cannot tell from what they stand on (WCAG 1.4.3)."""
        for item in self.words:
            needed = 3.0 if item.size * self.scale >= 18 else 4.5
            if (ratio := contrast(item.colour, item.under)) < needed:
                yield item.text, ratio, needed

    def small_text(self) -> Iterator[tuple[str, float]]:
        """Words under 8 pt where the figure is as wide as the printed page."""
        for item in self.words:
            if item.size * self.scale < LEAST:
                yield item.text, item.size * self.scale

    def boxes(self) -> Iterator[str]:
        """Glyph 0 of a font is its box; text that is no outline is drawn by whatever font the machine has."""
        for element in self.root.iter():
            if element.tag == f"{SVG}use" and re.fullmatch(r"#.+-0+", element.get(LINK, "")):
                yield element.get(LINK, "")
            elif element.tag == f"{SVG}text":
                yield "".join(element.itertext())[:40]


def _outline(path: str) -> list[tuple[float, float]]:
    numbers = [float(n) for n in re.findall(_NUMBER, path)]
    return list(zip(numbers[::2], numbers[1::2], strict=False))


def _under(shapes: list[tuple[list[tuple[float, float]], str]], at: tuple[float, float]) -> str:
    """The colour of the last shape drawn that holds the point; paper where there is none."""
    return next((colour for outline, colour in reversed(shapes) if _holds(outline, at)), "#ffffff")


def _holds(outline: list[tuple[float, float]], at: tuple[float, float]) -> bool:
    """Ray casting."""
    x, y = at
    inside = False
    for k, (x1, y1) in enumerate(outline):
        x0, y0 = outline[k - 1]
        if (y1 > y) != (y0 > y) and x < (x0 - x1) * (y - y1) / (y0 - y1) + x1:
            inside = not inside
    return inside


def blend(colour: str, paper: str, alpha: float) -> str:
    """A colour that lets the paper shine through."""
    return "#" + "".join(
        f"{round(alpha * a + (1 - alpha) * b):02x}" for a, b in zip(_rgb(colour), _rgb(paper), strict=True)
    )


def _rgb(colour: str) -> tuple[int, ...]:
    digits = colour.lstrip("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    return tuple(int(digits[k : k + 2], 16) for k in (0, 2, 4))


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = (c / 255 for c in _rgb(colour))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
