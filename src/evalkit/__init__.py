"""evalkit: what a Korean regional innovation programme did, and a report that can be signed.

Names are imported when they are first used, so that ``evalkit --help`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Panel": "evalkit.panel",
    "Design": "evalkit.design",
    "Estimate": "evalkit.estimate",
    "Study": "evalkit.study",
    "group_time_effects": "evalkit.estimators.group_time",
    "two_way_effects": "evalkit.estimators.two_way",
    "two_way_event_study": "evalkit.estimators.two_way",
}
__all__ = [
    *_HOMES,
    "__version__",
]

if TYPE_CHECKING:
    from evalkit.design import Design as Design
    from evalkit.estimate import Estimate as Estimate
    from evalkit.estimators.group_time import group_time_effects as group_time_effects
    from evalkit.estimators.two_way import two_way_effects as two_way_effects
    from evalkit.estimators.two_way import two_way_event_study as two_way_event_study
    from evalkit.panel import Panel as Panel
    from evalkit.study import Study as Study


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'evalkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
