"""The finding of a check in a cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from evalkit.checks.check import Check
from evalkit.interactive.pictures import paragraph
from evalkit.present.messages import keys, number, p_value, placeholders, say, template
from evalkit.present.numerals import digits_for


def check(thing: Check, lang: str) -> str:
    """Which check, its verdict, and the finding in a sentence."""
    named = f"study.check.{thing.name}"
    head = say(
        "interactive.check",
        lang,
        name=say(named, lang) if named in keys() else thing.name,
        verdict=say(f"study.verdict.{thing.verdict}", lang),
    )
    sentence, used = _sentence(thing, lang)
    return paragraph(" ".join(part for part in (head, sentence, _numbers(thing, lang, used)) if part))


def _sentence(thing: Check, lang: str) -> tuple[str, set[str]]:
    """The sentence of the reason, where the check holds all that it names; and what it names."""
    values = _plain(thing.detail)
    if _is_number(thing.p_value):
        values["p"] = p_value(thing.p_value)
    for word, name in (("drift", "drift_over_window"), ("slope", "slope_half_power")):
        size = thing.detail.get(name)
        if isinstance(size, float) and np.isfinite(size):
            values[word] = number(size, digits_for(abs(size) or 1.0))
    for key in (f"study.{thing.name}.{thing.reason}", f"study.rule.{thing.reason}"):
        if key in keys() and placeholders(template(key, lang)) <= set(values):
            used = placeholders(template(key, lang))
            return say(key, lang, **{name: values[name] for name in used}), set(used)
    return "", set()


def _is_number(value: float | None) -> TypeGuard[float]:
    return value is not None and bool(np.isfinite(value))


def _numbers(thing: Check, lang: str, used: set[str]) -> str:
    parts = []
    if _is_number(thing.statistic):
        parts.append(say("interactive.statistic", lang, value=number(thing.statistic, 3)))
    if _is_number(thing.p_value) and "p" not in used:
        parts.append(say("interactive.p", lang, p=p_value(thing.p_value)))
    return f"({', '.join(parts)})" if parts else ""


def _plain(detail: Mapping[str, Any]) -> dict[str, str]:
    """Values of the detail that a sentence can hold."""
    out: dict[str, str] = {}
    for name, value in detail.items():
        if isinstance(value, bool | str):
            out[name] = str(value)
        elif isinstance(value, int):
            out[name] = number(value)
        elif isinstance(value, float):
            out[name] = number(value, 3)
    return out
