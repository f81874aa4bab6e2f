"""Names of a run in the reader's words; light, since every command needs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalkit.programmes.places import ENGLISH, place_name
from evalkit.study.plan import Plan


def subtitle_of(plan: Plan, parameters: Mapping[str, Any], lang: str) -> str:
    """Province, outcome and phase of a run, in words."""
    parts = []
    region = parameters.get("region")
    if isinstance(region, str) and region in ENGLISH:
        parts.append(place_name(region, lang))
    outcome, phase = parameters.get("outcome"), parameters.get("phase")
    if isinstance(outcome, str) and outcome in plan.outcomes:
        parts.append(plan.outcomes[outcome].label[lang])
    if isinstance(phase, int) and phase in plan.phases:
        parts.append(plan.phases[phase].label[lang])
    return " · ".join(parts)
