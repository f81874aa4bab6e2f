"""Check: what a diagnosis found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["pass", "warn", "fail", "unknown"]


@dataclass(frozen=True, slots=True)
class Check:
    """A diagnosis.

    Attributes
    ----------
    name : which check, such as "pre_trends"; words for it stand in the messages table
    verdict : "pass", "warn", "fail", or "unknown" where the data cannot tell
    statistic, p_value : numbers, or None
    reason : code of the finding; the sentence is made from it where it is shown
    detail : plain values behind the finding
    """

    name: str
    verdict: Verdict
    reason: str
    statistic: float | None = None
    p_value: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
