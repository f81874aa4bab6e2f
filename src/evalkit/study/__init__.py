"""Study: a plan, its data and the estimates that follow from them. Heavy modules load when used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.study.study import Study as Study

__all__ = ["Study"]


def __getattr__(name: str) -> Any:
    if name == "Study":
        from evalkit.study.study import Study

        return Study
    raise AttributeError(f"module 'evalkit.study' has no attribute {name!r}")
