"""Paragraphs of an HWPX body. Text from outside stands between tags only, never in an attribute, and is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape

from evalkit.plain_text import clean_text
from evalkit.present.writers.html import unbroken
from evalkit.present.writers.hwpx_shapes import SANS, STYLE, STYLES, Letters, Lines, Shapes
from evalkit.present.writers.prose import Run


def words(text: object) -> str:
    """Escaped text as the content of ``hp:t``: line ends are elements, a tab is a space."""
    safe = unbroken(escape(clean_text(text), quote=False))
    return safe.replace("\t", " ").replace("\n", "<hp:lineBreak/>")


@dataclass(slots=True)
class Sheet:
    """What is being written: shapes asked for so far, pictures, and the numbers that tell objects apart."""

    shapes: Shapes = field(default_factory=Shapes)
    pictures: list[bytes] = field(default_factory=list)
    objects: int = 0

    def number(self) -> int:
        """A number that no other paragraph or object of the document has."""
        self.objects += 1
        return self.objects

    def runs(self, runs: Sequence[Run], letters: Letters) -> str:
        """Runs in the shape of their paragraph, changed by what each of them says."""
        if not runs:
            return f'<hp:run charPrIDRef="{self.shapes.of_letters(letters)}"><hp:t/></hp:run>'
        return "".join(self._run(run, letters) for run in runs)

    def _run(self, run: Run, letters: Letters) -> str:
        shape = replace(
            letters,
            bold=letters.bold or run.bold,
            italic=letters.italic or run.italic or run.formula,
            strike=run.strike,
            font=SANS if run.code else letters.font,
            shade="#EDEDED" if run.code else letters.shade,
        )
        text = f"<hp:t>{words(run.text)}</hp:t>" if run.text else "<hp:t/>"
        return f'<hp:run charPrIDRef="{self.shapes.of_letters(shape)}">{text}</hp:run>'

    def paragraph(
        self,
        content: str | Sequence[Run],
        style: str = "Body",
        *,
        lines: Lines | None = None,
        letters: Letters | None = None,
        new_page: bool = False,
        before: str = "",
    ) -> str:
        """A paragraph.

        Parameters
        ----------
        content : text, or runs of it
        style : English name of its style
        lines, letters : shapes other than the style's
        before : runs that hold no text, put first
        """
        number = STYLE[style]
        runs = (Run(content),) if isinstance(content, str) else content
        inner = self.runs(runs, letters or STYLES[number].letters)
        return self.raw(before + inner, number, lines or STYLES[number].lines, new_page=new_page)

    def raw(self, inner: str, style: int, lines: Lines, *, new_page: bool = False) -> str:
        """A paragraph of runs already written."""
        # no cache of line ends is written: the word processor drops text where such a cache does not fit it
        return (
            f'<hp:p id="{self.number()}" paraPrIDRef="{self.shapes.of_lines(lines)}" styleIDRef="{style}"'
            f' pageBreak="{int(new_page)}" columnBreak="0" merged="0">{inner}</hp:p>'
        )

    def listed(self, paragraphs: str) -> str:
        """Paragraphs inside a cell or caption."""
        return (
            '<hp:subList id="" textDirection="HORIZONTAL" lineWrap="BREAK" vertAlign="CENTER" linkListIDRef="0"'
            f' linkListNextIDRef="0" textWidth="0" textHeight="0" hasTextRef="0" hasNumRef="0">{paragraphs}'
            "</hp:subList>"
        )

    def caption(self, text: str, width: int) -> str:
        """The caption above a table or picture of this width; "" has none."""
        if not text:
            return ""
        lines = replace(STYLES[STYLE["Caption"]].lines, before=0, after=0)
        return (
            f'<hp:caption side="TOP" fullSz="0" width="8504" gap="566" lastWidth="{width}">'
            f"{self.listed(self.paragraph(text, 'Caption', lines=lines))}</hp:caption>"
        )
