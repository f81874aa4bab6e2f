"""What papermill finds by entry point while it is being imported itself: light, and without a circle of imports."""

from __future__ import annotations

from typing import Any


class Engine:
    """Stands for `evalkit.report.engine.Engine` until a notebook is executed with it."""

    @classmethod
    def execute_notebook(cls, *given: Any, **options: Any) -> Any:
        """Execute; loads the engine."""
        from evalkit.report.engine import Engine as ours

        return ours.execute_notebook(*given, **options)

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """Any name: the kernel is that of this interpreter."""
        return name or "python3"

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """The notebook's language, for papermill's own checks."""
        from papermill.utils import nb_language

        return str(nb_language(nb, language))
