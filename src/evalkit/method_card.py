"""MethodCard: what a method says of itself, beside its code; `evalkit.methods` collects the cards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Group = Literal[
    "two_way",
    "staggered",
    "phases",
    "doses",
    "triple",
    "spillovers",
    "synthetic",
    "outcomes",
    "rare",
    "distribution",
    "flows",
    "panel",
    "exact",
    "diagnostics",
    "clusters",
    "few_treated",
    "spatial",
    "many",
    "before",
    "trends",
    "robustness",
    "value",
]


@dataclass(frozen=True, slots=True)
class MethodCard:
    """One method as the analyst meets it: sentences are Korean, names of methods and software are as published.

    Attributes
    ----------
    function : name of the public function, in the module that holds the card
    name : Korean name of the method
    english : the field's name of the method
    group : the question family it belongs to
    question : what it answers, one sentence
    assumptions : what must be true for the answer to be the effect, each one sentence
    returns : level names of the terms and what inference comes with them
    reference : authors and year of the method
    oracle : what its numbers were held against: software and version, or identity, each with the test file
    differs : where and why it differs from the reference implementation; "" where no difference is known
    refuses : what it refuses, and what to use instead; "" where nothing
    """

    function: str
    name: str
    english: str
    group: Group
    question: str
    assumptions: tuple[str, ...]
    returns: str
    reference: str
    oracle: tuple[str, ...]
    differs: str = ""
    refuses: str = ""
