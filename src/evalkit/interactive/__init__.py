"""What a cell of JupyterLab shows of an object: its table, its picture, its sentence.

`evalkit/__init__.py` hands IPython the name `html` for each type of `SHOWN`; nothing here is imported before the first
such object is the last line of a cell. What is shown this way has not passed the disclosure rules: it is for the one who
works at the data, and a report refuses it.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from evalkit.errors import ParameterError

SHOWN: dict[tuple[str, str], tuple[str, str]] = {
    ("evalkit.estimate", "Estimate"): ("estimates", "estimate"),
    ("evalkit.interval_set", "IntervalSet"): ("estimates", "interval_set"),
    ("evalkit.design", "Design"): ("designs", "design"),
    ("evalkit.study.sample", "AnalysisSample"): ("designs", "sample"),
    ("evalkit.panel", "Panel"): ("designs", "panel"),
    ("evalkit.checks.check", "Check"): ("checks", "check"),
    ("evalkit.study.effect", "Effect"): ("studies", "effect"),
    ("evalkit.study.study", "Study"): ("studies", "study"),
    ("evalkit.present.canvas", "Drawing"): ("pictures", "drawing"),
    ("evalkit.present.tabulation", "Tabulation"): ("pictures", "tabulation"),
}
"""(module, class) -> (module here, function) that makes its HTML."""

_LANG = "ko"


def speak(lang: str) -> None:
    """Choose the language of what cells show: "ko" (the default) or "en".

    Raises
    ------
    ParameterError : another language
    """
    global _LANG
    if lang not in ("ko", "en"):
        raise ParameterError(f"언어 {lang!r} 은(는) 쓸 수 없음", remedy="ko 또는 en 으로 적을 것")
    _LANG = lang


def html(thing: Any) -> str:
    """The HTML of an object of one of the types of `SHOWN`."""
    of = type(thing)
    module, function = SHOWN[of.__module__, of.__name__]
    made: Callable[[Any, str], str] = getattr(import_module(f"{__name__}.{module}"), function)
    return f'<div class="evalkit" lang="{_LANG}">{made(thing, _LANG)}</div>'
