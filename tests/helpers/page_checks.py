"""What axe-core does not see on a page of ours: pure functions from HTML text to faults with their place.

``faults(html)`` runs every rule of ``RULES``; a rule is a function from a `Page` to (place, detail) pairs. The browser is not
needed. Figures are read by `svg_checks`.
"""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import svg_checks
from fontTools.ttLib import TTFont
from lxml import etree, html

Found = Iterator[tuple[str, str]]
HANGUL = re.compile(r"[가-힣]")
SENTENCE = re.compile(r"(?:\b[A-Za-z]{2,},? ){7}")
UNREAD = {"code", "pre", "math", "style", "script", "svg", "kbd", "samp"}  # no language of their own
BOLD = {"h1", "h2", "h3", "h4", "h5", "h6", "th", "strong", "b", "caption", "figcaption", "dt"}
EMPTY_WORDS = re.compile(
    r"^(여기|이곳|클릭|바로가기|링크|더 ?보기|자세히|here|click here|link|more|read more)$", re.I
)
PLACEHOLDER = re.compile(
    r"^(그림|사진|이미지|도표|차트|그래프|image|figure|picture|chart|plot|graph|photo|alt|todo|tbd|untitled|no alt)?"
    r"[\s\d.:_\-]*$|\.(png|svg|jpe?g|webp)$|대체 ?(글|텍스트)|lorem ipsum",
    re.I,
)
POLICY = ("default-src 'none'", "base-uri 'none'", "form-action 'none'")
FORBIDDEN = (
    "script",
    "iframe",
    "object",
    "embed",
    "form",
    "link",
    "base",
    "frame",
    "audio",
    "video",
    "applet",
)
SHORTEST_ALT = 20  # characters: less cannot say what a figure shows


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: which rule, where, and what is wrong."""

    rule: str
    place: str
    detail: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.place}: {self.detail}"


class Page:
    """A parsed page."""

    def __init__(self, text: str) -> None:
        self.text = text
        parser = html.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True)
        self.root: Any = html.document_fromstring(text.encode(), parser=parser)

    def all(self, path: str) -> list[Any]:
        found: list[Any] = self.root.xpath(path)
        return found

    @cached_property
    def css(self) -> str:
        return "\n".join(style.text or "" for style in self.all("//style"))

    @cached_property
    def lang(self) -> str:
        return self.root.get("lang") or ""

    @cached_property
    def figures(self) -> list[tuple[Any, svg_checks.Drawn]]:
        """Images that are SVG, decoded."""
        mark = "data:image/svg+xml;base64,"
        found = [image for image in self.all("//img") if (image.get("src") or "").startswith(mark)]
        return [
            (image, svg_checks.Drawn(base64.b64decode(image.get("src")[len(mark) :]).decode()))
            for image in found
        ]


def place(element: Any) -> str:
    """Where an element stands, in words: tag, id, first words, and the heading above it."""
    name = str(element.tag) + (f"#{element.get('id')}" if element.get("id") else "")
    said = element.xpath("./caption") or [element]
    words = shown(said[0])[:30]
    above = element.xpath("(ancestor::*|preceding::*)[self::h1 or self::h2 or self::h3 or self::h4]")
    under = f" under «{shown(above[-1])[:30]}»" if above and above[-1] is not element else ""
    return f"{name}{f' «{words}»' if words else ''}{under}"


def shown(element: Any) -> str:
    """The text of an element, as it is read."""
    return " ".join("".join(element.itertext()).split())


def language_of(element: Any) -> str:
    """The nearest ``lang`` above."""
    found = element.xpath("ancestor-or-self::*[@lang][1]/@lang")
    return str(found[-1]) if found else ""


def texts(page: Page) -> Iterator[tuple[Any, str]]:
    """Pieces of text that a reader sees, each with its element."""
    for text in page.all("//body//text()[normalize-space()]"):
        parent = text.getparent() if text.is_text else text.getparent().getparent()
        if parent is not None and not any(a.tag in UNREAD for a in (parent, *parent.iterancestors())):
            yield parent, " ".join(str(text).split())


# -- the rules --------------------------------------------------------------------------------------------------------


def page_language(page: Page) -> Found:
    if page.lang not in {"ko", "en"}:
        yield "html", f"lang={page.lang!r}"


def language_of_parts(page: Page) -> Found:
    """Korean in a part that says English, and English sentences in a part that says Korean."""
    for element, text in texts(page):
        lang = language_of(element)
        if lang == "en" and HANGUL.search(text):
            yield place(element), f"Korean in a part marked en: {text[:40]}"
        elif lang == "ko" and not HANGUL.search(text) and SENTENCE.search(text + " "):
            yield place(element), f"English in a part marked ko: {text[:40]}"
    for image in page.all("//img[@alt]"):
        if language_of(image) == "en" and HANGUL.search(image.get("alt")):
            yield place(image), f"Korean alternative text in a part marked en: {image.get('alt')[:40]}"


def title(page: Page) -> Found:
    if not [t for t in page.all("//head/title") if shown(t)]:
        yield "head", "no title"


def one_first_heading(page: Page) -> Found:
    if (count := len([h for h in page.all("//h1") if shown(h)])) != 1:
        yield "body", f"{count} headings of level 1"


def heading_order(page: Page) -> Found:
    headings = page.all("//*[self::h1 or self::h2 or self::h3 or self::h4 or self::h5 or self::h6]")
    for before, after in pairwise(headings):
        if int(after.tag[1]) > int(before.tag[1]) + 1:
            yield place(after), f"{after.tag} follows {before.tag}"
    for heading in headings:
        if not shown(heading):
            yield place(heading), "an empty heading"


def unique_ids(page: Page) -> Found:
    for name, count in Counter(page.all("//@id")).items():
        if count > 1:
            yield f"#{name}", f"{count} elements"


def anchors(page: Page) -> Found:
    known = set(page.all("//@id"))
    for link in page.all("//a[starts-with(@href, '#')]"):
        if link.get("href")[1:] not in known:
            yield place(link), f"leads to {link.get('href')}, which is not there"
    for name in ("aria-labelledby", "aria-describedby", "for"):
        for element in page.all(f"//*[@{name}]"):
            for target in element.get(name).split():
                if target not in known:
                    yield place(element), f"{name}={target} is not there"


def skip_link(page: Page) -> Found:
    reached = page.all("//body//*[self::a[@href] or self::input or self::summary or @tabindex='0']")
    mains = page.all("//main/@id")
    if not reached or not mains or reached[0].get("href") != f"#{mains[0]}":
        yield "body", "the first thing that the keyboard reaches does not lead to main"


def landmarks(page: Page) -> Found:
    if len(page.all("//main")) != 1:
        yield "body", f"{len(page.all('//main'))} main elements"
    for name in ("header", "footer"):
        if not page.all(f"//body/{name}"):
            yield "body", f"no {name}"
    for part in page.all("//nav | //aside | //*[@role='region']"):
        if not (part.get("aria-label") or part.get("aria-labelledby") or "").strip():
            yield place(part), "a landmark without a name"


def policy(page: Page) -> Found:
    found = page.all("//meta[@http-equiv='Content-Security-Policy']/@content")
    if len(found) != 1:
        yield "head", f"{len(found)} content-security policies"
        return
    for part in POLICY:
        if part not in found[0]:
            yield "head", f"the policy lacks {part}"
    for allowed in re.findall(r"(?:script|connect|frame|object|worker)-src[^;]*|unsafe-eval", found[0]):
        yield "head", f"the policy allows {allowed}"


def no_script(page: Page) -> Found:
    for name in FORBIDDEN:
        for element in page.all(f"//{name}"):
            yield place(element), f"a {name} element"
    for element in page.all("//*[@*[starts-with(name(), 'on')]]"):
        yield place(element), "an event handler"
    for element in page.all("//@href[starts-with(normalize-space(.), 'javascript:')]/.."):
        yield place(element), "a javascript address"


def no_request(page: Page) -> Found:
    for name in ("src", "srcset", "poster", "data", "background", "xlink:href"):
        for element in page.all(f"//*[@*[name()='{name}']]"):
            if not element.get(name, "").startswith(("data:", "#")):
                yield place(element), f"{name} leaves the page: {element.get(name, '')[:40]}"
    for address in re.findall(r"url\(\s*['\"]?(?!data:|#)([^)'\"]*)|@import\s+([^;]*)", page.css):
        yield "style", f"leaves the page: {''.join(address)[:40]}"


def alternative_text(page: Page) -> Found:
    for image in page.all("//img"):
        alt = " ".join((image.get("alt") or "").split())
        if not alt:
            yield place(image), "no alternative text"
        elif PLACEHOLDER.search(alt):
            yield place(image), f"a placeholder: {alt[:40]}"
        elif len(alt) < SHORTEST_ALT:
            yield place(image), f"too short to say what the figure shows: {alt}"
        else:
            yield from _repeated(image, alt)


def _repeated(image: Any, alt: str) -> Found:
    """An alternative text that says no more than what stands beside it."""
    around = image.xpath("ancestor::figure[1]")
    said = [shown(caption) for caption in image.xpath("ancestor::figure[1]//figcaption")]
    said += [str(figure.get("id") or "").removeprefix("f-") for figure in around] + [image.get("title") or ""]
    if any(_bare(alt) == _bare(words) for words in said if words):
        yield place(image), f"repeats the title: {alt[:40]}"


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def figures(page: Page) -> Found:
    for image in page.all("//img[not(ancestor::figure)]"):
        yield place(image), "an image outside a figure"
    for figure in page.all("//figure[not(figcaption[normalize-space()])]"):
        yield place(figure), "a figure without a title"
    for figure in page.all("//figure[contains(@class, 'ek-figure')][not(.//details//table)]"):
        yield place(figure), "a figure without its values"


def captions(page: Page) -> Found:
    for table in page.all("//table"):
        if not "".join(shown(caption) for caption in table.xpath("./caption")):
            yield place(table), "no caption"


def scopes(page: Page) -> Found:
    for table in page.all("//table"):
        if not table.xpath(".//th"):
            yield place(table), "no header cell"
    for head in page.all("//th"):
        if head.get("scope") not in {"col", "row", "colgroup", "rowgroup"}:
            yield place(head), f"scope={head.get('scope')!r}"
        elif head.get("scope") == "rowgroup" and head.getparent().getprevious() is not None:
            yield place(head), "heads a row group in which it is not the first row"
        elif head.get("scope") == "colgroup" and int(head.get("colspan") or 1) < 2:
            yield place(head), "heads a column group of one column"


def empty_headers(page: Page) -> Found:
    for head in page.all("//th"):
        if not shown(head):
            yield place(head.xpath("ancestor::table")[0]), "an empty header cell"


def table_shape(page: Page) -> Found:
    """Every row of a table covers the same number of columns."""
    for table in page.all("//table"):
        waiting: Counter[int] = Counter()
        widths = set()
        for at, row in enumerate(table.xpath(".//tr")):
            cells = row.xpath("./th | ./td")
            widths.add(waiting[at] + sum(int(cell.get("colspan") or 1) for cell in cells))
            for cell in cells:
                for later in range(1, int(cell.get("rowspan") or 1)):
                    waiting[at + later] += int(cell.get("colspan") or 1)
        if len(widths) > 1:
            yield place(table), f"rows of {sorted(widths)} columns"


def links(page: Page) -> Found:
    leads: dict[str, set[str]] = {}
    for link in page.all("//a[@href]"):
        words = link.get("aria-label") or shown(link)
        if not _bare(words):
            yield place(link), "a link without words"
        elif EMPTY_WORDS.match(words.strip(" .…→")):
            yield place(link), f"says nothing: {words}"
        leads.setdefault(words, set()).add(link.get("href"))
    for words, addresses in leads.items():
        if len(addresses) > 1:
            yield f"a «{words[:40]}»", f"the same words lead to {len(addresses)} places"


def names_of_controls(page: Page) -> Found:
    for summary in page.all("//details"):
        if not summary.xpath("./summary[normalize-space()]"):
            yield place(summary), "a fold without words"
    for control in page.all("//input"):
        if not page.all(f"//label[@for='{control.get('id')}'][normalize-space()]"):
            yield place(control), "an input without a label"
    for element in page.all("//*[@tabindex]"):
        if int(element.get("tabindex")) > 0:
            yield place(element), "a tab order of its own"
        elif element.get("tabindex") == "0" and element.tag == "div" and not element.get("aria-label"):
            yield place(element), "the keyboard stops here and nothing is said"


def glyphs(page: Page) -> Found:
    """Characters without a glyph in the fonts that travel with the page; boxes and marks of lost characters."""
    faces: dict[int, set[int]] = {400: set(), 700: set()}
    rule = r"@font-face\{[^}]*font-weight:(\d+)(?: (\d+))?;[^}]*base64,([A-Za-z0-9+/=]+)"
    for low, high, data in re.findall(rule, page.css):
        codes = set(TTFont(io.BytesIO(base64.b64decode(data))).getBestCmap())
        for weight in faces:
            if int(low) <= weight <= int(high or low):
                faces[weight] |= codes
    for text in page.all("//body//text()[normalize-space()]"):
        element = text.getparent() if text.is_text else text.getparent().getparent()
        up = {a.tag for a in (element, *element.iterancestors())}
        rows = element.xpath("ancestor-or-self::tr[contains(@class, 'total')]")
        weight = 700 if up & BOLD or rows else 400
        lost = {c for c in str(text) if c.isprintable() and (ord(c) not in faces[weight] or c in "\ufffd□▯")}
        if lost and not up & {"style", "script"}:
            yield place(element), f"no glyph for {' '.join(f'{c} U+{ord(c):04X}' for c in sorted(lost))}"


COLOURS = re.compile(r"^(color|background|background-color|border(-\w+)*-color|fill|stroke|accent-color)$")


def colour_alone(page: Page) -> Found:
    """Words or numbers that differ from their neighbours in colour only: by a style of their own or by a class."""
    for element in page.all("//body//*[@style]"):
        if any(COLOURS.match(part.split(":")[0].strip()) for part in element.get("style").split(";")):
            yield place(element), f"a colour of its own: {element.get('style')[:40]}"
    only = _colour_classes(page.css)
    for element in page.all("//body//*[@class][not(ancestor::pre)]"):
        told = set(element.get("class").split()) & only
        if told and not _says_itself(element):
            yield place(element), f"told by the colour of .{' .'.join(sorted(told))} alone"


def _colour_classes(css: str) -> set[str]:
    """Classes for which every rule of the style sheet sets colours and nothing else."""
    sets: dict[str, list[bool]] = {}
    bare = re.sub(r"@font-face\{[^}]*\}|/\*.*?\*/", "", css, flags=re.DOTALL)
    for selector, body in re.findall(r"([^{}]+)\{([^{}]*)\}", bare):
        names = [part.split(":")[0].strip().lower() for part in body.split(";") if ":" in part]
        colour = bool(names) and all(COLOURS.match(name) for name in names)
        for one in selector.split(","):
            if classes := re.findall(r"\.([\w-]+)", one.split()[-1] if one.split() else ""):
                sets.setdefault(classes[-1], []).append(colour)
    return {name for name, found in sets.items() if all(found)}


def _says_itself(element: Any) -> bool:
    """A box that begins with a word in bold says what its colour says."""
    return bool(
        element.tag in {"div", "section", "aside"} and element.xpath("(.//strong | .//h2)[normalize-space()]")
    )


def figure_contrast(page: Page) -> Found:
    for image, drawn in page.figures:
        for words, ratio, needed in drawn.weak_contrast():
            yield place(image.getparent()), f"«{words}» has contrast {ratio:.1f}, needs {needed}"


def figure_text(page: Page) -> Found:
    for image, drawn in page.figures:
        for words, size in drawn.small_text():
            yield place(image.getparent()), f"«{words}» is {size:.1f} pt on the printed page"


def figure_glyphs(page: Page) -> Found:
    for image, drawn in page.figures:
        for words in drawn.boxes():
            yield place(image.getparent()), f"a box or a font of the machine: «{words}»"


RULES: dict[str, Callable[[Page], Found]] = {
    rule.__name__: rule
    for rule in (
        *(page_language, language_of_parts, title, one_first_heading, heading_order, unique_ids, anchors),
        *(skip_link, landmarks, policy, no_script, no_request, alternative_text, figures, captions, scopes),
        *(empty_headers, table_shape, links, names_of_controls, glyphs, colour_alone),
        *(figure_contrast, figure_text, figure_glyphs),
    )
}


def faults(text: str, *, without: tuple[str, ...] = ()) -> list[Fault]:
    """Every fault of a page, in the order of the rules."""
    try:
        page = Page(text)
    except etree.ParserError as error:
        return [Fault("page", "html", str(error))]
    return [Fault(n, *found) for n, rule in RULES.items() if n not in without for found in rule(page)]
