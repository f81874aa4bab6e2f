"""Regression tables: several Estimates side by side, one row a term, in the layout of the field.

The layout never changes with the data: rows are the terms in the order asked for, each followed by the same lines, then the
footer. Columns that lack a term show "–". Significance marks are off unless asked for: a mark invites reading p-values as
importance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import numpy as np

from evalkit.errors import UsageError, nearest
from evalkit.estimate import Estimate
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for, level_text
from evalkit.present.readings import half_widths
from evalkit.present.tabulation import Cell, Column, Entry, Role, Tabulation

Below = Literal["interval", "std_error", "p_value"]
Foot = Literal["n_units", "n_treated", "n_comparison", "clusters", "inference"]
COUNTED = ("n_units", "n_treated", "n_comparison")
Panels = Mapping[str, Mapping[str, Estimate]]


def regression_table(
    estimates: Mapping[str, Estimate] | Panels,
    *,
    terms: Sequence[str] | Mapping[str, str] | None = None,
    below: Sequence[Below] = ("interval", "p_value"),
    footer: Sequence[Foot] = ("n_treated", "n_comparison", "clusters", "inference"),
    drop: Sequence[str] = (),
    headings: Mapping[str, str] | None = None,
    extra: Mapping[str, Mapping[str, Cell | Entry]] | None = None,
    groups: Mapping[str, str] | None = None,
    units: Mapping[str, str] | str = "",
    digits: int | Mapping[str, int] | None = None,
    brackets: bool = False,
    level: float = 0.95,
    stars: Mapping[str, float] | None = None,
    name: str = "regressions",
    title: str = "",
    notes: Sequence[str] = (),
    firms: bool = True,
    lang: Lang = "ko",
) -> Tabulation:
    """Estimates side by side.

    Parameters
    ----------
    estimates : column label -> Estimate; or title of a panel -> such columns, where every panel has the same columns
    terms : which terms, in order, and (as a mapping) how each is called; None = all, as they first appear
    drop : patterns of terms to leave out ("year*"), of those that `terms` asks for
    headings : term -> heading over it and the terms that follow
    below : lines under each estimate
    footer : lines under each panel
    extra : label of a further line -> column label -> what stands there: a text, a number (the mean of the outcome, a
        statistic of a test), or True and False for what a column has and has not (fixed effects)
    groups : column label -> header over neighbouring columns
    units : unit of each column, or one for all
    digits : decimals of all numbers, or of single terms; None, and terms not named = by the precision of each column
    brackets : standard errors in round brackets
    stars : mark -> p below which it stands, such as {"*": 0.05}; None = no marks
    firms : whether units are firms, whose number decides what is suppressed

    Raises
    ------
    UsageError : panels with other columns, an unknown term or column
    """
    panels = _panels(estimates)
    labels = list(next(iter(panels.values())))
    named = digits if isinstance(digits, Mapping) else {}
    _check(panels, [*(groups or {}), *(c for line in (extra or {}).values() for c in line)], headings, named)
    build = _Rows(lang, level, tuple(below), dict(stars or {}), brackets)
    for heading, columns in panels.items():
        build.heading(heading, len(labels))
        places = _places(columns, labels, level, digits if isinstance(digits, int) else None)
        for key, label in _terms(columns, terms, drop).items():
            build.heading((headings or {}).get(key, ""), len(labels))
            own = [named[key]] * len(labels) if key in named else places
            build.term(label, [_row(columns[c], key, level) for c in labels], own)
        for line, cells in (extra or {}).items():
            build.plain(line, [_given(cells.get(c), p, lang) for c, p in zip(labels, places, strict=True)])
        build.footer([columns[c] for c in labels], footer)
    return Tabulation(
        name=name,
        title=title,
        columns=(Column("term", "", "text"), *_columns(labels, groups or {}, units)),
        rows=tuple(build.rows),
        notes=(*notes, *build.notes()),
        counts=tuple(build.counts) if firms else None,
        marks=build.marks,
        roles=tuple(build.roles),
        lang=lang,
    )


def _columns(
    labels: Sequence[str], groups: Mapping[str, str], units: Mapping[str, str] | str
) -> list[Column]:
    named = {label: units if isinstance(units, str) else units.get(label, "") for label in labels}
    return [
        Column(f"column{k + 1}", label, "number", named[label], None, groups.get(label, ""))
        for k, label in enumerate(labels)
    ]


class _Rows:
    """Rows with what belongs to each: firms behind them, marks, roles."""

    def __init__(
        self, lang: Lang, level: float, below: tuple[Below, ...], stars: dict[str, float], brackets: bool
    ) -> None:
        self.lang, self.level, self.below, self.brackets = lang, level, below, brackets
        self.stars = dict(sorted(stars.items(), key=lambda item: item[1]))
        self.rows: list[tuple[Any, ...]] = []
        self.counts: list[tuple[int | None, ...]] = []
        self.marks: dict[tuple[int, int], str] = {}
        self.roles: list[Role] = []

    def heading(self, words: str, width: int) -> None:
        """A row that heads those under it; none where there is nothing to say."""
        if words:
            self._add((words, *([None] * width)), [None] * width, "heading")

    def plain(self, head: str, cells: Sequence[Cell | Entry], counts: Sequence[int | None] = ()) -> None:
        self._add((head, *cells), list(counts) or [None] * len(cells), "body")

    def term(self, label: str, found: Sequence[dict[str, Any] | None], places: Sequence[int]) -> None:
        counts = [None if row is None else int(row["n"]) for row in found]
        for k, row in enumerate(found):
            if row is not None and (mark := self._mark(row["p_value"])):
                self.marks[(len(self.rows), k + 1)] = mark
        self.plain(label, [_entry(row, "estimate", p) for row, p in zip(found, places, strict=True)], counts)
        for kind in self.below:
            head = {
                "interval": say("table.interval", self.lang, level=level_text(self.level)),
                "std_error": say("side.std_error", self.lang),
                "p_value": say("table.p_value", self.lang),
            }[kind]
            bracketed = self.brackets and kind == "std_error"
            cells = [_entry(row, kind, p, bracketed) for row, p in zip(found, places, strict=True)]
            self.plain(head, cells, counts)

    def footer(self, columns: Sequence[Estimate], lines: Sequence[Foot]) -> None:
        for foot in lines:
            head = say("side.units" if foot == "n_units" else f"table.{foot}", self.lang)
            cells = [_foot(estimate, foot) for estimate in columns]
            # a number of units is itself what the smallest number shown is held against
            told = [int(cell.value) if foot in COUNTED else None for cell in cells]  # type: ignore[arg-type]
            self.plain(head, cells, told)

    def notes(self) -> list[str]:
        if not self.stars:
            return []
        marks = ", ".join(say("side.star", self.lang, mark=m, limit=f"{p:g}") for m, p in self.stars.items())
        return [say("side.stars", self.lang, marks=marks)]

    def _mark(self, p_value: float) -> str:
        return next((mark for mark, limit in self.stars.items() if p_value < limit), "")

    def _add(self, row: tuple[Any, ...], counts: Sequence[int | None], role: Role) -> None:
        self.rows.append(row)
        self.counts.append((None, *counts))
        self.roles.append(role)


def _panels(estimates: Mapping[str, Any]) -> dict[str, dict[str, Estimate]]:
    if not estimates:
        raise UsageError("나란히 둘 추정이 없음", remedy="열 이름 -> Estimate 를 넘길 것")
    if all(isinstance(value, Estimate) for value in estimates.values()):
        return {"": dict(estimates)}
    panels = {str(title): dict(columns) for title, columns in estimates.items()}
    first = list(next(iter(panels.values())))
    for title, columns in panels.items():
        if list(columns) != first:
            raise UsageError(
                f"패널 {title!r} 의 열이 첫 패널과 다름", remedy=f"모든 패널에 열 {', '.join(first)} 을 둘 것"
            )
    return panels


def _check(panels: Panels, columns: Sequence[str], *terms: Mapping[str, Any] | None) -> None:
    """Columns and terms that are named are there."""
    first = next(iter(panels.values()))
    _known("열", columns, list(first))
    known = [key for estimates in panels.values() for key in _keys(estimates)]
    _known("항", [key for names in terms for key in names or ()], known)


def _known(what: str, asked: Sequence[str], labels: Sequence[str]) -> None:
    for word in asked:
        if word not in labels:
            raise UsageError(f"{what} {word!r} 이(가) 없음", remedy=nearest(word, list(labels)))


def _key(term: object) -> str:
    return " · ".join(str(part) for part in term) if isinstance(term, tuple) else str(term)


def _keys(columns: Mapping[str, Estimate]) -> list[str]:
    return list(dict.fromkeys(_key(term) for estimate in columns.values() for term in estimate.terms))


def _terms(
    columns: Mapping[str, Estimate], wanted: Sequence[str] | Mapping[str, str] | None, drop: Sequence[str]
) -> dict[str, str]:
    known = _keys(columns)
    _known("항", list(wanted or ()), known)
    labels = dict(wanted) if isinstance(wanted, Mapping) else {key: key for key in wanted or ()}
    if wanted is None:
        labels = {key: key for key in known}
    for pattern in drop:
        gone = [key for key in labels if fnmatchcase(key, pattern)]
        if not gone:
            raise UsageError(f"뺄 항 {pattern!r} 이(가) 없음", remedy=nearest(pattern, list(labels)))
        labels = {key: label for key, label in labels.items() if key not in gone}
    return labels


def _given(cell: Cell | Entry, places: int, lang: Lang) -> Cell | Entry:
    """A cell of a further line as it is written: a number is one, what a column has is said in a word."""
    if isinstance(cell, bool):
        return Entry(say("side.has" if cell else "side.has_not", lang), "text")
    if isinstance(cell, int):
        return Entry(cell, "integer", 0)
    return Entry(cell, "number", places) if isinstance(cell, float) else cell


def _row(estimate: Estimate, key: str, level: float) -> dict[str, Any] | None:
    """Numbers of one term of one Estimate; None where it has no such term."""
    at = next((k for k, term in enumerate(estimate.terms) if _key(term) == key), None)
    if at is None:
        return None
    row = estimate.table(level).iloc[at]
    low, high = float(row["conf_low"]), float(row["conf_high"])
    return {
        "estimate": float(row["estimate"]),
        "std_error": float(row["std_error"]),
        "interval": None if np.isnan(low) or np.isnan(high) else (low, high),
        "p_value": float(row["p_value"]),
        "n": int(estimate.n_treated[at]),
    }


def _entry(row: Mapping[str, Any] | None, what: str, places: int, bracketed: bool = False) -> Entry | None:
    if row is None:
        return None
    kind = {"interval": "interval", "p_value": "p_value"}.get(what, "number")
    return Entry(row[what], kind, 3 if what == "p_value" else places, bracketed=bracketed)  # type: ignore[arg-type]


def _places(
    columns: Mapping[str, Estimate], labels: Sequence[str], level: float, digits: int | None
) -> list[int]:
    if digits is not None:
        return [digits] * len(labels)
    return [digits_for(*half_widths(columns[c].table(level))) for c in labels]


def _foot(estimate: Estimate, what: Foot) -> Entry:
    if what == "inference":
        return Entry(estimate.inference, "text", 0)
    if what in ("clusters", "n_units"):
        return Entry(int(estimate.n_clusters if what == "clusters" else estimate.n_units), "integer", 0)
    sizes = getattr(estimate, what)
    return Entry(int(np.max(sizes)), "integer", 0)
