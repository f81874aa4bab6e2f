"""The finding of a check in a cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalkit.checks.check import Check
from evalkit.interactive.pictures import paragraph
from evalkit.present.messages import keys, number, p_value, placeholders, say, template


def check(thing: Check, lang: str) -> str:
    """Which check, its verdict, and the finding in a sentence."""
    named = f"study.check.{thing.name}"
    head = say(
        "interactive.check",
        lang,
        name=say(named, lang) if named in keys() else thing.name,
        verdict=say(f"study.verdict.{thing.verdict}", lang),
    )
    return paragraph(" ".join(part for part in (head, _sentence(thing, lang), _numbers(thing, lang)) if part))


def _sentence(thing: Check, lang: str) -> str:
    """The sentence of the reason, where the check holds all that it names."""
    values = _plain(thing.detail)
    for key in (f"study.{thing.name}.{thing.reason}", f"study.rule.{thing.reason}"):
        if key in keys() and placeholders(template(key, lang)) <= set(values):
            return say(key, lang, **values)
    return ""


def _numbers(thing: Check, lang: str) -> str:
    parts = []
    if thing.statistic is not None and thing.statistic == thing.statistic:
        parts.append(say("interactive.statistic", lang, value=number(thing.statistic, 3)))
    if thing.p_value is not None and thing.p_value == thing.p_value:
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
