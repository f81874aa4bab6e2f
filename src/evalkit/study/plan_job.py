"""One run of one notebook, as a plan lists it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one notebook; `on_request`: made only when it is named."""

    name: str
    notebook: str
    parameters: Mapping[str, Any]
    on_request: bool = False
