"""LaTeX of tables and documents, for XeLaTeX and LuaLaTeX with kotex.

Tables use booktabs: groups of columns over rules, numbers right, notes underneath, and a size at which they fit the page.
Numbers are written as the page shows them. Nothing from outside is a command: every text is escaped, and a formula is kept
only when all of it is on a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evalkit.present.document import (
    Answer,
    Block,
    Document,
    Heading,
    Picture,
    Prose,
    Remark,
    heading_of,
    numbered,
)
from evalkit.present.messages import say
from evalkit.present.tabulation import Tabulation
from evalkit.present.writers.latex_text import escaped, lined, runs_text, safe_formula
from evalkit.present.writers.layout import (
    column_widths,
    fits,
    header_cells,
    heading_text,
    is_number,
    text_width,
    unbroken,
    with_digits,
)
from evalkit.present.writers.pictures import png_of
from evalkit.present.writers.prose import BULLETS, Grid, Paragraph, Run, read_prose

_LONG = 32  # rows of a table that no longer fits a page
_ROOM = {r"\small": 84, r"\footnotesize": 96, r"\scriptsize": 112}  # half characters in a line of 170 mm
_PADDING = 260  # what a column needs beside its text, in parts of ten thousand of the line
_ACROSS = 257 / 170  # a line of a page set across
_LEVELS = ("section", "subsection", "subsubsection", "paragraph", "subparagraph")
_PREAMBLE = r"""% XeLaTeX or LuaLaTeX, run twice for the contents
\documentclass[a4paper,11pt]{article}
\usepackage[margin=20mm]{geometry}
\usepackage{fontspec}
\usepackage{kotex}
\usepackage{array}
\usepackage{booktabs}
\usepackage{longtable}
\usepackage{float}
\usepackage{graphicx}
\usepackage{pdflscape}
\setlength{\LTcapwidth}{\linewidth}
\setlength{\extrarowheight}{2pt}
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.5\baselineskip}
\setcounter{secnumdepth}{0}
\newcommand{\evalkitbox}[1]{\par\medskip\noindent\fbox{\parbox{\dimexpr\linewidth-2\fboxsep-2\fboxrule}{#1}}\par\medskip}
"""
_NAMES = {
    "tablename": "export.table_word",
    "figurename": "export.figure_word",
    "contentsname": "export.contents",
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a table is set.

    Attributes
    ----------
    size : of the letters
    columns : column specification
    wraps : whether texts break into lines within their columns
    long : longer than a page
    across : too wide for an upright page
    """

    size: str
    columns: str
    wraps: bool
    long: bool
    across: bool = False


def latex_table(table: Tabulation, label: str = "", place: str = "htbp") -> str:
    """A table as an environment of its own (``table``, or ``longtable`` where it is longer than a page).

    Needs array, booktabs, longtable and pdflscape (a table too wide for an upright page is set across), and an engine
    that reads Unicode.

    Parameters
    ----------
    label : what ``\\ref`` refers to; "" = ``tab:`` and the table's name
    place : where the table may float to; ``H`` (package float) = nowhere
    """
    table, label = with_digits(table), label or f"tab:{table.name}"
    if not table.columns:
        return f"\\par {escaped(table.title)}: {escaped(say('table.no_rows', table.lang))}\\par\n"
    layout = _layout(table)
    caption = f"\\caption{{{escaped(table.title)}}}\\label{{{label}}}"
    head = "\n".join(["\\toprule", *_head(table, layout), "\\midrule"])
    body = "\n".join(_body(table, layout))
    notes = "\\par\n".join(lined(unbroken(note)) for note in table.notes)
    made = (
        _set_long(layout, caption, head, body, notes)
        if layout.long
        else _set(layout, caption, head, body, notes, place)
    )
    return f"\\begin{{landscape}}\n{made}\\end{{landscape}}\n" if layout.across else made


def _set_long(layout: _Layout, caption: str, head: str, body: str, notes: str) -> str:
    below = f"{{\\footnotesize {notes}\\par}}\n" if notes else ""
    return (
        f"{{{layout.size}\n\\begin{{longtable}}{{{layout.columns}}}\n{caption}\\\\\n{head}\n\\endfirsthead\n"
        f"{head}\n\\endhead\n\\bottomrule\n\\endlastfoot\n{body}\n\\end{{longtable}}}}\n{below}"
    )


def _set(layout: _Layout, caption: str, head: str, body: str, notes: str, place: str) -> str:
    below = (
        f"\\par\\smallskip\n\\begin{{minipage}}{{\\linewidth}}\\footnotesize\n{notes}\n\\end{{minipage}}\n"
    )
    return (
        f"\\begin{{table}}[{place}]\n\\centering\n{layout.size}\n{caption}\n\\begin{{tabular}}{{{layout.columns}}}\n"
        f"{head}\n{body}\n\\bottomrule\n\\end{{tabular}}\n{below if notes else ''}\\end{{table}}\n"
    )


def _layout(table: Tabulation) -> _Layout:
    """Columns as wide as their text where that fits, else shares of the line in which texts wrap."""
    width = len(table.columns)
    texts: list[list[str]] = [[] for _ in range(width)]
    for cell in header_cells(table):
        if cell.across == 1:
            texts[cell.column].append(cell.text)
    for r, role in enumerate(table.roles):
        for c in range(width):
            if role != "heading":
                texts[c].append(unbroken(table.text(r, c)))
    long = len(table.rows) > _LONG
    natural = sum(max(map(text_width, column), default=1) + 2 for column in texts)
    one_line = all("\n" not in text for column in texts for text in column)
    if one_line and natural <= _ROOM[r"\small"]:
        columns = "".join("r" if is_number(table, c) else "l" for c in range(width))
        return _Layout(r"\small", columns, wraps=False, long=long)
    size, across = _size(texts, natural)
    shares = column_widths(texts, 10_000, unit=_half_character(size, across=across), padding=_PADDING)
    columns = "".join(
        f">{{\\{'raggedleft' if is_number(table, c) else 'raggedright'}\\arraybackslash}}"
        f"p{{\\dimexpr{share / 10_000:.4f}\\linewidth-2\\tabcolsep}}"
        for c, share in enumerate(shares)
    )
    return _Layout(size, columns, wraps=True, long=long, across=across)


def _size(texts: Sequence[Sequence[str]], natural: int) -> tuple[str, bool]:
    """Size of letters in which every word fits its column, the largest that needs about two lines; upright, else across."""
    for across in (False, True):
        units = {size: _half_character(size, across=across) for size in _ROOM}
        fitting = [s for s, unit in units.items() if fits(texts, 10_000, unit=unit, padding=_PADDING)]
        if fitting:
            short = (s for s in fitting if natural <= 2 * _ROOM[s] * (_ACROSS if across else 1))
            return next(short, fitting[-1]), across
    return r"\scriptsize", True


def _half_character(size: str, *, across: bool) -> int:
    """Width of half a character in parts of ten thousand of the line."""
    return int(10_000 / (_ROOM[size] * (_ACROSS if across else 1)))


def _cell(text: str, layout: _Layout) -> str:
    text = unbroken(text)
    return lined(text) if layout.wraps else escaped(text)


def _head(table: Tabulation, layout: _Layout) -> Iterator[str]:
    """The rows of the header; a group spans its columns over a rule."""
    cells = header_cells(table)
    rows = 1 + max(cell.row for cell in cells)
    last = rows - 1
    labels = {cell.column: _cell(cell.text, layout) for cell in cells if cell.row == last or cell.down > 1}
    if rows > 1:
        upper = [cell for cell in cells if cell.row == 0]
        # a label that stands alone is written in the lower row, next to the numbers under it
        yield (
            " & ".join(
                f"\\multicolumn{{{cell.across}}}{{c}}{{{escaped(cell.text)}}}" if cell.down == 1 else ""
                for cell in upper
            )
            + " \\\\"
        )
        yield "".join(
            f"\\cmidrule(lr){{{cell.column + 1}-{cell.column + cell.across}}}"
            for cell in upper
            if cell.down == 1
        )
    yield " & ".join(labels[c] for c in range(len(table.columns))) + " \\\\"


def _body(table: Tabulation, layout: _Layout) -> Iterator[str]:
    width = len(table.columns)
    if not table.rows:
        yield f"\\multicolumn{{{width}}}{{l}}{{{escaped(say('table.no_rows', table.lang))}}} \\\\"
    for r, role in enumerate(table.roles):
        if role == "heading":
            kind = "p{\\dimexpr\\linewidth-2\\tabcolsep}" if layout.wraps else "l"
            yield f"\\multicolumn{{{width}}}{{{kind}}}{{\\textbf{{{_cell(heading_text(table, r), layout)}}}}} \\\\"
            continue
        texts = [_cell(table.text(r, c), layout) for c in range(width)]
        if role == "total":
            yield "\\midrule"
            texts = [f"\\textbf{{{text}}}" for text in texts]
        yield " & ".join(texts) + " \\\\"


# -- documents --------------------------------------------------------------------------------------


def figure_file(number: int) -> str:
    """Name of the file of a figure, beside the text."""
    return f"figure-{number}.png"


def latex_figures(document: Document) -> dict[str, bytes]:
    """The pictures that `latex_text` sets: name of the file -> PNG.

    Raises
    ------
    UsageError : the extra `office` is absent
    """
    return {
        figure_file(number): png_of(block.svg)[0]
        for _, block, number in numbered(document)
        if isinstance(block, Picture)
    }


def latex_text(document: Document) -> str:
    """A document that XeLaTeX or LuaLaTeX sets; pictures are files beside it (`latex_figures`)."""
    lang = document.lang
    parts = [
        _PREAMBLE,
        *(f"\\renewcommand{{\\{name}}}{{{escaped(say(key, lang))}}}\n" for name, key in _NAMES.items()),
        f"\\title{{{escaped(document.title)}}}\n\\author{{}}\n\\date{{}}\n",
        "\\begin{document}\n\\maketitle\n",
    ]
    for name, text in (("programme", document.programme), ("question", document.question)):
        if text:
            parts.append(f"\\textbf{{{escaped(say(f'export.{name}', lang))}}}: {lined(text)}\n\n")
    parts += [_box(say("export.notice", lang), banner) for banner in document.banners]
    parts.append("\\tableofcontents\n")
    labels: set[str] = set()
    written = {part.name: list[str]() for part in document.parts}
    for part, block, number in numbered(document):
        written[part.name].append(_block(block, number, lang, labels))
    for part in document.parts:
        parts.append(f"\\clearpage\n\\section{{{escaped(heading_of(part))}}}\n")
        parts += [_box("", part.sentence)] if part.sentence else []
        parts += written[part.name]
    if document.facts:
        parts.append(f"\\clearpage\n\\section{{{escaped(say('page.provenance', lang))}}}\n")
        items = "".join(f"\\item[{{{escaped(name)}}}] {escaped(value)}\n" for name, value in document.facts)
        parts.append(f"\\begin{{description}}\n{items}\\end{{description}}\n")
    return "".join([*parts, "\\end{document}\n"])


def _block(block: Block, number: int, lang: str, labels: set[str]) -> str:
    if isinstance(block, Heading):
        return _heading(block.level, escaped(block.text))
    if isinstance(block, Prose):
        return "".join(_prose(block.markdown))
    if isinstance(block, Remark):
        return _box(say(f"release.{block.level}", lang), block.text)
    if isinstance(block, Answer):
        grade = f" ({escaped(say('release.grade', lang, grade=block.grade))})" if block.grade else ""
        return (
            f"\\evalkitbox{{\\textbf{{{escaped(block.label)}}}{grade}\\newline {{\\Large\\bfseries "
            f"{escaped(block.value)}}}\\newline {lined(block.sentence)}}}\n"
        )
    if isinstance(block, Picture):
        return _figure(block, number)
    label = f"tab:{block.table.name}"
    label = f"{label}-{number}" if label in labels else label
    labels.add(label)
    return latex_table(block.table, label, "H")


def _heading(level: int, text: str) -> str:
    return f"\\{_LEVELS[min(max(level, 2), 6) - 2 + (level < 6)]}{{{text}}}\n"


def _box(word: str, text: str) -> str:
    lead = f"\\textbf{{{escaped(word)}}} " if word else ""
    return f"\\evalkitbox{{{lead}{lined(text)}}}\n"


def _figure(picture: Picture, number: int) -> str:
    """The file if it is there, else what it shows in words."""
    name, alt = figure_file(number), escaped(picture.alt or picture.title)
    note = f"\\par\\smallskip{{\\footnotesize {lined(picture.note)}\\par}}\n" if picture.note else ""
    return (
        f"\\begin{{figure}}[H]\n\\centering\n\\caption{{{escaped(picture.title)}}}\\label{{fig:{number}}}\n"
        f"\\IfFileExists{{{name}}}{{\\includegraphics[width=\\linewidth]{{{name}}}}}"
        f"{{\\fbox{{\\parbox{{0.9\\linewidth}}{{{alt}}}}}}}\n{note}\\end{{figure}}\n"
    )


def _prose(markdown: str) -> Iterator[str]:
    blocks = read_prose(markdown)
    depth = 0
    for block in blocks:
        wanted = min(block.level, 4) if isinstance(block, Paragraph) and block.kind == "item" else 0
        while depth < wanted:
            depth += 1
            yield "\\begin{itemize}\n"
        while depth > wanted:
            depth -= 1
            yield "\\end{itemize}\n"
        yield _grid(block) if isinstance(block, Grid) else _paragraph(block)
    yield "\\end{itemize}\n" * depth


def _paragraph(block: Paragraph) -> str:
    text = runs_text(block.runs)
    if block.kind == "heading":
        return _heading(max(block.level, 2), escaped(block.text))
    if block.kind == "item":
        if block.marker in BULLETS:
            return f"\\item {{}}{text}\n"
        return f"\\item[{{{escaped(block.marker)}}}] {text}\n"
    if block.kind == "formula":
        tex = safe_formula(block.text)
        return f"\\[ {tex} \\]\n" if tex else f"\\begin{{quote}}{text}\\end{{quote}}\n\n"
    if block.kind == "code":
        lines = [rf"\texttt{{{escaped(line)}}}" for line in block.text.split("\n")]
        return "\\begin{quote}" + "\\newline ".join(lines) + "\\end{quote}\n\n"
    if block.kind == "quote":
        return f"\\begin{{quote}}{text}\\end{{quote}}\n\n"
    if block.kind == "rule":
        return "\\par\\noindent\\rule{\\linewidth}{0.4pt}\\par\n"
    return f"{text}\n\n"


def _grid(grid: Grid) -> str:
    """A table written in Markdown."""
    columns = [
        ["".join(run.text for run in row[c]) for row in (grid.head, *grid.rows)]
        for c in range(len(grid.head))
    ]
    shares = column_widths(columns, 10_000, unit=10_000 // _ROOM[r"\small"], padding=260)
    spec = "".join(
        f">{{\\{'raggedleft' if right else 'raggedright'}\\arraybackslash}}"
        f"p{{\\dimexpr{share / 10_000:.4f}\\linewidth-2\\tabcolsep}}"
        for share, right in zip(shares, grid.right, strict=True)
    )
    rows = [" & ".join(_cells(row)) + " \\\\" for row in (grid.head, *grid.rows)]
    body = "\n".join(["\\toprule", rows[0], "\\midrule", *rows[1:], "\\bottomrule"])
    return (
        f"\\begin{{center}}\\small\n\\begin{{tabular}}{{{spec}}}\n{body}\n\\end{{tabular}}\n\\end{{center}}\n"
    )


def _cells(row: Sequence[tuple[Run, ...]]) -> list[str]:
    return [runs_text(cell) for cell in row]
