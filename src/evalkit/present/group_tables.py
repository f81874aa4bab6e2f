"""Balance of two or more groups as a table: means, differences and p-values together, in one of two fixed layouts.

``wide``: a row a variable; a column a group, then for each other group the difference from the reference, its p-value and
the normalised difference. ``tall``: under each variable a second row with the spread (standard deviation or error) in
parentheses. Which columns there are depends on the groups and on what is asked for, never on the values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from evalkit.errors import UsageError, nearest
from evalkit.present.messages import say
from evalkit.present.numerals import Lang, digits_for
from evalkit.present.tabulation import Cell, Column, Entry, Kind, Role, Tabulation

Shown = Literal["difference", "p_value", "normalised"]
Spread = Literal["sd", "std_error"]


class Groups(Protocol):
    """What `evalkit.checks.group_balance.group_balance` gives."""

    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def summary(self) -> Any: ...  # a DataFrame
    @property
    def differences(self) -> Any: ...  # a DataFrame
    @property
    def equality(self) -> Any: ...  # a DataFrame
    @property
    def joint(self) -> Any: ...  # a DataFrame


def group_balance_table(
    found: Groups,
    *,
    panels: Mapping[str, Sequence[str]] | None = None,
    labels: Mapping[str, str] | None = None,
    group_labels: Mapping[str, str] | None = None,
    layout: Literal["wide", "tall"] = "tall",
    spread: Spread = "sd",
    show: Sequence[Shown] = ("difference", "p_value", "normalised"),
    sizes: bool = True,
    equality: bool = False,
    joint: bool = True,
    threshold: float = 0.1,
    digits: Mapping[str, int] | None = None,
    name: str = "groups",
    title: str = "",
    notes: Sequence[str] = (),
    firms: bool = True,
    lang: Lang = "ko",
) -> Tabulation:
    """Means of groups, their differences and tests.

    Parameters
    ----------
    panels : heading -> variables under it; None = all variables, without headings
    labels, group_labels : variable -> words, group -> words
    layout : "tall" puts the spread in a row of its own under the means, "wide" leaves it out
    show : what stands for each group beside the reference
    sizes : a column with the number of units for each group (per variable: missing values differ)
    equality : a column with the p-value of equality over all groups
    joint : closing rows with the test of all variables together and the number of units in it
    threshold : normalised differences of at least this size are marked "†"
    digits : variable -> decimals
    """
    variables = list(dict.fromkeys(found.summary.index.get_level_values("variable")))
    layers = {"": variables} if panels is None else {k: list(v) for k, v in panels.items()}
    for word in (v for layer in layers.values() for v in layer):
        if word not in variables:
            raise UsageError(f"변수 {word!r} 이(가) 없음", remedy=nearest(word, variables))
    table = _Table(found, tuple(show), sizes, equality, group_labels or {}, lang)
    for heading, layer in layers.items():
        if heading:
            table.add((heading, *[None] * (len(table.columns) - 1)), role="heading")
        for variable in layer:
            row = found.summary.loc[variable]
            places = (digits or {}).get(variable, digits_for(*_sizes(row), significant=3, at_most=3))
            table.variable(variable, (labels or {}).get(variable, variable), places, threshold)
            if layout == "tall":
                table.spread(variable, spread, places)
    if joint:
        table.joint()
    said = [say("side.sd_note" if spread == "sd" else "side.se_note", lang)] if layout == "tall" else []
    if "normalised" in show:
        said.append(say("side.balance_note", lang))
        said.append(say("table.balance_note", lang, mark="†", threshold=f"{threshold:g}"))
    return Tabulation(
        name=name,
        title=title,
        columns=tuple(table.columns),
        rows=tuple(table.rows),
        notes=(*notes, *said),
        counts=tuple(table.counts) if firms else None,
        marks=table.marks,
        roles=tuple(table.roles),
        lang=lang,
    )


def _sizes(row: Any) -> list[float]:
    return [abs(float(v)) for v in row["mean"] if v == v and v] or [1.0]


class _Table:
    """Columns fixed by what is asked for, and rows as they come."""

    def __init__(
        self,
        found: Groups,
        show: tuple[Shown, ...],
        sizes: bool,
        equality: bool,
        words: Mapping[str, str],
        lang: Lang,
    ) -> None:
        self.found, self.show, self.lang = found, show, lang
        self.reference, *self.others = found.groups
        self.has_sizes, self.has_equality = sizes, equality
        self.rows: list[tuple[Any, ...]] = []
        self.counts: list[tuple[int | None, ...]] = []
        self.roles: list[Role] = []
        self.marks: dict[tuple[int, int], str] = {}
        named = {group: words.get(group, group) for group in found.groups}
        self.columns = [Column("variable", say("side.variable", lang))]
        for group in found.groups:
            self.columns.append(Column(f"mean_{group}", say("side.mean", lang, group=named[group]), "number"))
            if sizes:
                self.columns.append(Column(f"n_{group}", say("side.n", lang, group=named[group]), "integer"))
        kinds: dict[str, tuple[Kind, int | None]] = {
            "difference": ("number", None),
            "p_value": ("p_value", 3),
            "normalised": ("number", 2),
        }
        for group in self.others:
            over = say("side.versus", lang, group=named[group], reference=named[self.reference])
            for key in show:
                kind, places = kinds[key]
                self.columns.append(
                    Column(f"{key}_{group}", say(f"side.{key}", lang), kind, "", places, over)
                )
        if equality:
            self.columns.append(Column("equality", say("side.equality", lang), "p_value"))

    def add(
        self, cells: tuple[Any, ...], counts: Sequence[int | None] | None = None, role: Role = "body"
    ) -> None:
        self.rows.append(cells)
        self.counts.append(tuple(counts) if counts is not None else (None,) * len(self.columns))
        self.roles.append(role)

    def variable(self, variable: str, label: str, places: int, threshold: float) -> None:
        """Means, numbers, differences and tests of one variable."""
        summary, counts = self.found.summary.loc[variable], self._counts(variable)
        cells: list[Cell | Entry] = [label]
        for group in self.found.groups:
            cells.append(Entry(float(summary.loc[group, "mean"]), "number", places))
            if self.has_sizes:
                cells.append(int(summary.loc[group, "n"]))
        for group in self.others:
            row = self.found.differences.loc[(variable, group)]
            for key in self.show:
                if key == "normalised" and abs(row["normalised"]) >= threshold:
                    self.marks[(len(self.rows), len(cells))] = "†"
                value = float(row[key])
                cells.append(Entry(value, "number", places) if key == "difference" else value)
        if self.has_equality:
            cells.append(float(self.found.equality.loc[variable, "p_value"]))
        self.add(tuple(cells), counts)

    def spread(self, variable: str, what: Spread, places: int) -> None:
        """The second row of a variable: spread of the means, errors of the differences, in parentheses."""
        summary = self.found.summary.loc[variable]
        cells: list[Cell | Entry] = [say("side.spread_sd" if what == "sd" else "side.spread_se", self.lang)]
        for group in self.found.groups:
            cells.append(_bracketed(summary.loc[group, what], places))
            if self.has_sizes:
                cells.append("")
        for group in self.others:
            error = self.found.differences.loc[(variable, group), "std_error"]
            for key in self.show:
                shown = key == "difference" and what == "std_error"
                cells.append(_bracketed(error, places) if shown else "")
        if self.has_equality:
            cells.append("")
        self.add(tuple(cells), self._counts(variable))

    def joint(self) -> None:
        """p-value and number of units of the test over all variables, under the p-values (or the first column shown)."""
        under = "p_value" if "p_value" in self.show else (self.show[0] if self.show else None)
        if under is None:
            return
        for head, key, kind in (("side.joint", "p_value", "p_value"), ("side.joint_n", "n", "integer")):
            cells: list[Cell | Entry] = [say(head, self.lang)]
            for column in self.columns[1:]:
                group = column.key.removeprefix(f"{under}_")
                if group in self.others and column.key != group:
                    value = float(self.found.joint.loc[group, key])
                    cells.append(Entry(value, kind, 3 if kind == "p_value" else 0))  # type: ignore[arg-type]
                else:
                    cells.append("")
            self.add(tuple(cells))

    def _counts(self, variable: str) -> list[int | None]:
        """Firms behind each cell: of the group for a mean, of the smaller of the two for a difference."""
        n = self.found.summary.loc[variable, "n"]
        counts: list[int | None] = [None]
        for group in self.found.groups:
            counts += [int(n.loc[group])] * (2 if self.has_sizes else 1)
        for group in self.others:
            counts += [int(min(n.loc[group], n.loc[self.reference]))] * len(self.show)
        return [*counts, int(n.min())] if self.has_equality else counts


def _bracketed(value: float, places: int) -> Entry | str:
    return "" if value != value else Entry(float(value), "number", places, bracketed=True)
