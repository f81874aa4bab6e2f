"""Drawing: one figure as SVG with its alternative text and its values; fonts, palette and deterministic output.

Colours survive grey print (their lightness differs by 25 or more) and the common colour-vision deficiencies (dark blue
against orange, Okabe–Ito); what colour says, a marker, a line style or a direct label says too.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.plain_text import clean_text
from evalkit.present.tabulation import Tabulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FONTS = Path(__file__).with_name("fonts")
FAMILY = "Pretendard"
HANJA = "EvalkitHanja"  # what Pretendard lacks of KS X 1001

INK = "#1a1f2b"
QUIET = "#5b6472"
FAINT = "#d5d9e0"
TREATED = "#0b3c6f"  # lightness 25
COMPARISON = "#d97a1a"  # lightness 61
COMPARISON_TEXT = "#96500a"  # the same hue with contrast 6:1 on white, for words
BEFORE = "#7a828f"
BAND = "#c9d8ea"
SHADE = "#f1f3f6"

WIDTH = 7.2  # inches: the text width of the page

_STYLE: dict[str, Any] = {
    "font.family": [FAMILY, "DejaVu Sans", HANJA],
    "font.size": 9.5,
    "text.color": INK,
    "axes.unicode_minus": True,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "text.parse_math": False,  # a dollar sign in a label is a dollar sign
    "svg.hashsalt": "evalkit",
    "svg.fonttype": "path",
    "path.simplify": True,
}

_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_HASHED = re.compile(r'\bid="([a-zA-Z][0-9a-f]{10})"')
_NAMED = re.compile(r'(\bid="|#)([a-zA-Z][0-9a-f]{10})(?=["\)])')
_PATH = re.compile(r'( (?:d|points|x|y|width|height)=")([^"]*)"')


@dataclass(frozen=True, slots=True)
class Drawing:
    """One figure.

    Attributes
    ----------
    name : short name for files, unique in a report
    title : the finding, as the caption says it
    svg : the picture, text as paths
    alt : what a reader who cannot see the picture needs to know
    data : the values drawn, as a table
    note : line under the figure
    firms : firms behind the thinnest point drawn; None where no firms are behind it
    words : every text in the picture, so that it can be searched
    """

    name: str
    title: str
    svg: str
    alt: str
    data: Tabulation
    note: str = ""
    firms: int | None = None
    words: tuple[str, ...] = ()

    @property
    def width(self) -> float:
        """Points from edge to edge, as the picture says."""
        found = re.search(r'<svg[^>]* width="([0-9.]+)pt"', self.svg)
        return float(found.group(1)) if found else 72 * WIDTH

    def __post_init__(self) -> None:
        for part in ("title", "alt", "note"):
            object.__setattr__(self, part, clean_text(getattr(self, part)))
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_\-]*", self.name):
            raise UsageError(
                f"그림 이름 {self.name!r} 은(는) 파일 이름으로 쓸 수 없음",
                remedy="영문자·숫자·밑줄·붙임표로 적을 것",
            )
        if not self.alt.strip():
            raise UsageError("그림에 대체 글이 없음", where=(self.name,), remedy="alt 를 적을 것")


@cache
def _register_fonts() -> None:
    """The packaged font, known to matplotlib without any font on the machine."""
    from matplotlib import font_manager

    for path in sorted([*FONTS.glob("*.otf"), *FONTS.glob("*.ttf")]):
        font_manager.fontManager.addfont(path)
    # one weight serves bold words too; without an entry of its own matplotlib would say so in the report
    known = font_manager.fontManager.ttflist
    known += [replace(entry, weight=700) for entry in known if entry.name == HANJA and entry.weight != 700]


@contextmanager
def canvas(
    height: float, *, width: float = WIDTH, columns: int = 1, **grid: Any
) -> Iterator[tuple[Any, Any]]:
    """Figure and axes in the report's style, without pyplot and its global state."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    _register_fonts()
    style: Any = _STYLE
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(1, columns, **grid)
        yield figure, axes


def svg_of(figure: Figure) -> str:
    """SVG text: no date, no creator, stable ids, coordinates to a hundredth of a point.

    A glyph that neither the packaged font nor its fallback has raises `UsageError`: a box must not reach a report.
    """
    _clean(figure)
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph .* missing from")
        try:
            figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        except UserWarning as warning:
            raise UsageError(
                f"글꼴에 없는 글자가 그림에 있음 ({warning})", remedy="그림의 이름표에서 그 글자를 바꿀 것"
            ) from None
    text = stream.getvalue()
    text = _counted_names(text[text.index("<svg") :])
    return _PATH.sub(lambda m: f'{m.group(1)}{_NUMBER.sub(_short, m.group(2))}"', text)


def _counted_names(svg: str) -> str:
    """Names of clips and markers counted up: the hashes that matplotlib gives now and then look like an identifier."""
    names = {name: f"{name[0]}{k + 1}" for k, name in enumerate(dict.fromkeys(_HASHED.findall(svg)))}
    return _NAMED.sub(lambda m: m.group(1) + names.get(m.group(2), m.group(2)), svg) if names else svg


def _clean(figure: Figure) -> None:
    """Texts that a font can hold: a control character would end the picture, an override turn its numbers round."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    for axis in figure.findobj(Axis):
        for written in (axis.get_major_formatter(), axis.get_minor_formatter()):
            written.format_ticks = partial(_drawable_ticks, written.format_ticks)  # type: ignore[method-assign]
    for item in figure.findobj(Text):
        if (text := item.get_text()) != (clean := _drawable(text)):
            item.set_text(clean)


def _drawable_ticks(write: Callable[[Any], list[str]], values: Any) -> list[str]:
    return [_drawable(word) for word in write(values)]


def _drawable(text: object) -> str:
    return clean_text(text).replace("\t", " ")


def _short(match: re.Match[str]) -> str:
    written = f"{float(match.group()):.2f}".rstrip("0").rstrip(".")
    return "0" if written in ("-0", "") else written


def words_of(figure: Figure) -> tuple[str, ...]:
    """Every text drawn, each once, in order."""
    from matplotlib.text import Text

    found = (item.get_text().strip() for item in figure.findobj(Text))
    return tuple(dict.fromkeys(text for text in found if text))


def finish(
    figure: Figure,
    *,
    name: str,
    title: str,
    alt: str,
    data: Tabulation,
    note: str = "",
    firms: int | None = None,
) -> Drawing:
    """The figure as a `Drawing`."""
    svg = svg_of(figure)
    return Drawing(name, title, svg, alt, data, note, firms, words_of(figure))


def value_axis(axes: Axes, *, axis: str = "y", signed: bool = True) -> None:
    """Ticks with thousands separators and real minus signs, and faint lines across."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    from evalkit.present.numerals import number

    chosen = axes.yaxis if axis == "y" else axes.xaxis

    def write(value: float, _: Any) -> str:
        # all ticks with as many decimals as the one that needs most
        return number(value, max((_decimals(float(tick)) for tick in chosen.get_majorticklocs()), default=0))

    chosen.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]))
    chosen.set_major_formatter(FuncFormatter(write))
    axes.grid(axis="y" if axis == "y" else "x", color=FAINT, linewidth=0.6)
    if signed:
        (axes.axhline if axis == "y" else axes.axvline)(0, color=INK, linewidth=0.9, zorder=1.5)


def _decimals(value: float) -> int:
    return next((d for d in range(6) if abs(value - round(value, d)) < 1e-9 * max(1.0, abs(value))), 6)


def unit_label(axes: Axes, text: str) -> None:
    """The vertical axis' label, horizontal above the axis: Korean is not read sideways."""
    axes.set_title(text, loc="left", fontsize=9, fontweight="normal", color=QUIET, pad=8)


def spread(positions: list[float], gap: float) -> list[float]:
    """Positions moved apart to at least `gap`, in their order, by the least sum of squares.

    Isotonic regression of position − rank × gap: neighbours that are too close are pooled around their mean.
    """
    order = sorted(range(len(positions)), key=lambda k: positions[k])
    blocks: list[tuple[float, int]] = []  # (mean of position − rank × gap, members)
    for rank, k in enumerate(order):
        mean, size = positions[k] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, members = blocks.pop()
            mean = (before * members + mean * size) / (members + size)
            size += members
        blocks.append((mean, size))
    levels = [mean for mean, size in blocks for _ in range(size)]
    out = [0.0] * len(positions)
    for rank, k in enumerate(order):
        out[k] = levels[rank] + rank * gap
    return out
