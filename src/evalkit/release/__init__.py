"""Release: the only way a table, figure or sentence gets into a report.

Everything is searched for identifiers, thin cells are suppressed with a mark, text is escaped, and the result carries
``evalkit.released`` in its metadata, without which the report refuses to show it. The JSON beside each output holds what
files are written from: the table as shown (no counts of firms), its CSV, the SVG of a figure, and the log of what was
suppressed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from evalkit.errors import DisclosureError, UsageError
from evalkit.present.canvas import Drawing
from evalkit.present.capitals import capital, capitals
from evalkit.present.messages import say
from evalkit.present.tabulation import Tabulation, clean_text
from evalkit.present.writers.html import escaped, html_figure, html_table, lines
from evalkit.present.writers.spreadsheets import csv_bytes
from evalkit.release.inert import inert_markdown
from evalkit.release.rules import Rules, flagged, kept_back, listable, sensitive, strictest
from evalkit.release.search import identifier_in, refuse_identifiers, search_drawing, search_table
from evalkit.release.suppression import MARK, Suppressed, Withheld, log_of, suppress, withhold

__all__ = [
    "MARK",
    "PAYLOAD",
    "Headline",
    "Release",
    "Released",
    "Rules",
    "Suppressed",
    "identifier_in",
    "inert_markdown",
    "listable",
    "strictest",
    "suppress",
]

PAYLOAD = "application/vnd.evalkit+json"
LEVELS = ("note", "caution", "danger")


@dataclass(frozen=True, slots=True)
class Released:
    """What may be shown, in the forms that a notebook understands.

    Attributes
    ----------
    data : MIME type -> content: HTML (or Markdown), plain text, and the JSON description
    """

    data: Mapping[str, Any]

    @property
    def payload(self) -> dict[str, Any]:
        """The JSON description: ``kind``, ``name``, and what files are made of."""
        return dict(self.data[PAYLOAD])

    @property
    def html(self) -> str:
        """The HTML; empty for prose, which is Markdown."""
        return str(self.data.get("text/html", ""))

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        mark = {"released": True}
        shown = [form for form in ("text/html", "text/markdown") if form in self.data]
        return dict(self.data), {"evalkit": mark, **{form: {"evalkit": mark} for form in shown}}

    def __repr__(self) -> str:
        return str(self.data["text/plain"])


@dataclass(frozen=True, slots=True)
class Headline:
    """One answer: what it is about, the number in natural units, the sentence, and the evidence grade."""

    label: str
    value: str
    sentence: str
    grade: str | None = None


@dataclass(slots=True)
class Release:
    """The disclosure rule, applied.

    Parameters
    ----------
    min_firms : smallest number of firms that a shown cell or point may come from; all rules as `rules.Rules`
    lang : language of the words added (marks, notes)
    rules : the rules with their thresholds; None = the usual ones with this `min_firms`

    Examples
    --------
    >>> release = Release(min_firms=3)
    >>> release.notice("note", "모의 자료로 만든 보고서이다.")
    알림: 모의 자료로 만든 보고서이다.
    """

    min_firms: int = 3
    lang: str = "ko"
    rules: Rules | None = None
    _log: list[Suppressed] = field(default_factory=list, init=False, repr=False)
    _decided: dict[str, bool] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.rules is None:
            self.rules = Rules(self.min_firms)
        else:
            self.min_firms = self.rules.min_firms

    @property
    def _rules(self) -> Rules:
        return self.rules or Rules(self.min_firms)

    @property
    def log(self) -> tuple[Suppressed, ...]:
        """Everything suppressed so far, in order."""
        return tuple(self._log)

    def table(self, table: Tabulation) -> Released:
        """A table with thin cells suppressed.

        Raises
        ------
        DisclosureError : not a `Tabulation` (a raw frame), or an identifier anywhere in it
        """
        _only(table, Tabulation, "표", "present.ledgers.from_frame 으로 집계표를 만들어 넘길 것")
        search_table(table)
        withheld = self._withhold(capitals(table))
        shown = withheld.table
        payload: dict[str, Any] = {
            "kind": "table",
            "name": shown.name,
            "title": shown.title,
            "table": shown.to_json(),
            "csv": csv_bytes(shown).decode("utf-8-sig"),
            "disclosure": [entry.to_json() for entry in withheld.log],
            "min_firms": self.min_firms,
        }
        if withheld.cells:  # for the audit over all tables of the run
            payload["hidden"] = [list(cell) for cell in withheld.cells]
        short = f"{shown.title or shown.name} ({shown.shape[0]}×{shown.shape[1]})"
        return _released(html_table(shown), short, payload, shown.lang)

    def figure(self, drawing: Drawing) -> Released:
        """A figure with its values under it.

        Raises
        ------
        DisclosureError : not a `Drawing`, an identifier in it, or a point from fewer than `min_firms` firms
        """
        _only(drawing, Drawing, "그림", "present.figures 의 함수로 그려 넘길 것")
        search_drawing(drawing)
        self._refuse_small_groups(drawing)
        words = drawing.data
        drawing = replace(drawing, title=capital(drawing.title, words.lang), data=capitals(words))
        data = drawing.data.without_counts()
        empty = kept_back(drawing.data)
        flags = log_of(drawing.data, empty, "suppressed")
        flags += log_of(drawing.data, flagged(drawing.data, self._rules), "flagged")
        self._log.extend(flags)
        html = html_figure(drawing, data)
        payload = {
            "kind": "figure",
            "name": drawing.name,
            "title": drawing.title,
            "alt": drawing.alt,
            "note": drawing.note,
            "svg": drawing.svg,
            "table": data.to_json(),
            "csv": csv_bytes(data).decode("utf-8-sig"),
            "disclosure": [entry.to_json() for entry in flags],
            "min_firms": self.min_firms,
        }
        if empty:
            payload["hidden"] = [[r, c, need.rule, True] for (r, c), need in sorted(empty.items())]
        return _released(html, drawing.title or drawing.name, payload, data.lang)

    def text(self, markdown: str, headline: str = "") -> Released:
        """Prose in Markdown: raw HTML is shown as text, pictures are not loaded.

        Parameters
        ----------
        headline : the sentence by which the first page of all reports tells what this page found; "" = none
        """
        _only(markdown, str, "글", "문자열을 넘길 것")
        refuse_identifiers([(("본문",), f"{markdown} {headline}")])
        inert = inert_markdown(markdown)
        payload = {"schema": 1, "kind": "text", "lang": self.lang, "markdown": inert, "disclosure": []}
        if headline:
            payload["headline"] = clean_text(headline)
        return Released({"text/markdown": inert, "text/plain": clean_text(markdown), PAYLOAD: payload})

    def notice(self, level: str, text: str) -> Released:
        """A boxed remark; `level` is note, caution or danger."""
        if level not in LEVELS:
            raise UsageError(
                f"알림의 수준 {level!r} 은(는) 쓸 수 없음", remedy=f"{', '.join(LEVELS)} 가운데 고를 것"
            )
        refuse_identifiers([(("알림",), text)])
        word = say(f"release.{level}", self.lang)
        html = f'<div class="ek-notice {level}"><p><strong>{escaped(word)}</strong> {lines(text)}</p></div>'
        payload = {"kind": "notice", "level": level, "text": clean_text(text), "disclosure": []}
        return _released(html, f"{word}: {text}", payload, self.lang)

    def headline(
        self, label: str, value_text: str, sentence: str, grade: str | int | None = None
    ) -> Released:
        """The answer of a page: label, number in natural units, one sentence, evidence grade."""
        item = Headline(label, value_text, sentence, None if grade is None else str(grade))
        return self._headlines([item], "headline")

    def summary_cards(self, cards: Sequence[Headline | Mapping[str, Any]]) -> Released:
        """Several answers side by side: `Headline` objects or mappings with label, value, sentence, grade."""
        items = [card if isinstance(card, Headline) else _headline(card) for card in cards]
        return self._headlines(items, "cards")

    def _headlines(self, items: Sequence[Headline], kind: str) -> Released:
        refuse_identifiers(
            ((say("release.summary", "ko"), item.label), f"{item.label} {item.value} {item.sentence}")
            for item in items
        )
        blocks = [self._headline_html(item) for item in items]
        if kind == "cards":
            html = f'<ul class="ek-cards">{"".join(f"<li>{block}</li>" for block in blocks)}</ul>'
        else:
            html = blocks[0]
        payload = {
            "kind": kind,
            "items": [
                {
                    "label": clean_text(item.label),
                    "value": clean_text(item.value),
                    "sentence": clean_text(item.sentence),
                    "grade": item.grade,
                }
                for item in items
            ],
            "disclosure": [],
        }
        short = "\n".join(f"{item.label}: {item.value}. {item.sentence}" for item in items)
        return _released(html, short, payload, self.lang)

    def _headline_html(self, item: Headline) -> str:
        grade = ""
        if item.grade is not None:
            grade = (
                f' <small class="grade">{escaped(say("release.grade", self.lang, grade=item.grade))}</small>'
            )
        return (
            f'<div class="ek-headline"><p class="label">{lines(item.label)}{grade}</p>'
            f'<p class="value"><strong>{lines(item.value)}</strong></p><p class="sentence">{lines(item.sentence)}</p></div>'
        )

    def _refuse_small_groups(self, drawing: Drawing) -> None:
        """A figure cannot withhold one of its points: it is refused as a whole."""
        rules = self._rules
        thin = rules.apply and drawing.firms is not None and 0 < drawing.firms < rules.min_firms
        needs = sensitive(drawing.data, rules)
        if thin or any(need.rule == "threshold" for need in needs.values()):
            problem = f"기업 {rules.min_firms}개 미만에서 나온 점이 있음"
        elif needs:
            problem = "한두 기업의 값이 드러나는 점이 있음 (지배 기업, 또는 최소·최대·중앙값)"
        else:
            return
        raise DisclosureError(
            problem,
            where=(f"그림 {drawing.name}",),
            remedy="집단을 합쳐 다시 그리거나 표로 내보낼 것 (표는 해당 칸을 가림)",
        )

    def _withhold(self, table: Tabulation) -> Withheld:
        note = say("release.suppressed", table.lang, min_firms=self.min_firms)
        withheld = withhold(table, self._rules, note, self._decided)
        gone = {(r, c) for r, c, *_ in withheld.cells}
        self._decided |= {key: at in gone for at, key in table.keys.items()}
        self._log.extend(withheld.log)
        return withheld


def _headline(card: Mapping[str, Any]) -> Headline:
    grade = card.get("grade")
    return Headline(
        str(card["label"]), str(card["value"]), str(card["sentence"]), None if grade is None else str(grade)
    )


def _only(value: object, kind: type, what: str, remedy: str) -> None:
    """Nothing but what the presentation layer made."""
    if not isinstance(value, kind):
        raise DisclosureError(
            f"{type(value).__name__} 은(는) 공개 규칙을 거칠 수 없어 {what} 자리에 실을 수 없음",
            where=("release",),
            remedy=remedy,
        )


def _released(html: str, short: str, payload: dict[str, Any], lang: str) -> Released:
    return Released(
        {
            "text/html": html,
            "text/plain": clean_text(short),
            PAYLOAD: {"schema": 1, "lang": lang, **payload},
        }
    )
