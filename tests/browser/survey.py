"""Every page of a finished folder of reports in a real browser, as a table in Markdown: ``python tests/browser/survey.py FOLDER``.

Columns: what axe finds with everything unfolded on a laptop, and on a phone; what our own checker finds; what leaves the window
or lies over another; sheets of the print with letters lost on them and headings left at their foot; requests that left the
page, dialogs, and lines in the console. The lines under the table say what and where. The exit code is 1 where anything was found.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "helpers"))

import page_checks
from page_probes import OVERLAPS, READ, TOO_WIDE, letters, lost_on_paper

from browser import Opened, axe, pages, printed

COLUMNS = (
    "page",
    "axe",
    "axe, phone",
    "for a person",
    "ours",
    "layout",
    "sheets",
    "print",
    "requests",
    "dialogs",
    "console",
)
UNFOLD = "document.querySelectorAll('details').forEach(d => d.open = true)"


@dataclass
class Surveyed:
    """One page: findings by column."""

    name: str
    found: dict[str, list[str]] = field(default_factory=dict)
    sheets: int = 0

    def row(self) -> str:
        counts = {column: str(len(self.found.get(column, ()))) for column in COLUMNS}
        cells = counts | {"page": self.name, "sheets": str(self.sheets)}
        return f"| {' | '.join(cells[column] for column in COLUMNS)} |"

    @property
    def faults(self) -> list[str]:
        left = ("for a person",)
        return [f"{kind}: {line}" for kind, lines in self.found.items() if kind not in left for line in lines]


def survey(path: Path, name: str, show: Callable[..., Opened]) -> Surveyed:
    """Everything asked of one page."""
    page = Surveyed(name)
    page.found["ours"] = [str(fault) for fault in page_checks.faults(path.read_text(encoding="utf-8"))]
    laptop = show(path, viewport={"width": 1280, "height": 800})
    page.found["layout"] = [f"1280: {line}" for line in layout(laptop, 1280)]
    text = laptop.page.evaluate(READ)
    heads = laptop.page.eval_on_selector_all(":is(h2, h3, h4, caption)", "all => all.map(h => h.innerText)")
    paper = printed(laptop)
    page.sheets = len(paper.sheets)
    page.found["print"] = on_paper(text, heads, paper.sheets)
    laptop.page.evaluate(UNFOLD)
    page.found["axe"], page.found["for a person"] = axe(laptop)
    phone = show(path, keep=True, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page.found["layout"] += [f"360: {line}" for line in layout(phone, 360)]
    page.found["axe, phone"] = axe(phone)[0]
    for column in ("requests", "dialogs"):
        page.found[column] = getattr(laptop, column) + getattr(phone, column)
    page.found["console"] = laptop.messages + phone.messages
    return page


def layout(opened: Opened, width: int) -> list[str]:
    """What reaches over the edge, what lies over another."""
    wide: list[str] = opened.page.evaluate(TOO_WIDE, width)
    over: list[str] = opened.page.evaluate(OVERLAPS)
    scrolled = opened.page.evaluate("document.documentElement.scrollWidth")
    return wide + over + ([f"the page is {scrolled} wide"] if scrolled > width else [])


def on_paper(text: str, headings: list[str], sheets: list[str]) -> list[str]:
    """What the print lost, headings at the foot of a sheet, sheets without their number."""
    found = [f"lost: {word} ({count})" for word, count in lost_on_paper(text, sheets).items()]
    told = {letters(heading) for heading in headings}
    for at, sheet in enumerate(sheets, 1):
        if f"{at} / {len(sheets)}" not in sheet:
            found.append(f"sheet {at} has no number")
        lines = [letters(line) for line in sheet.splitlines() if letters(line)]
        body = [line for line in lines if not re.fullmatch(rf".*{at}/{len(sheets)}", line)]
        if at < len(sheets) and body and body[-1] in told:
            found.append(f"sheet {at} ends with «{body[-1]}»")
    return found


def main(folder: Path) -> int:
    """The table on standard output; how far it is on standard error."""
    surveyed = []
    paths = sorted(folder.rglob("*.html"))
    with pages() as show:
        for at, path in enumerate(paths, 1):
            print(f"{at}/{len(paths)} {path.name}", file=sys.stderr)
            surveyed.append(survey(path, path.relative_to(folder).as_posix(), show))
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for page in surveyed:
        print(page.row())
    sums = {column: sum(len(page.found.get(column, ())) for page in surveyed) for column in COLUMNS}
    sums["sheets"] = sum(page.sheets for page in surveyed)
    print(f"| {len(surveyed)} pages | {' | '.join(str(sums[column]) for column in COLUMNS[1:])} |")
    faults = [f"- {page.name}: {line}" for page in surveyed for line in page.faults]
    print("", *faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python tests/browser/survey.py FOLDER")
    sys.exit(main(Path(sys.argv[1])))
