"""One job of a plan, checked and ready to run, and what the command line may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evalkit.report.parameters import Parameter
from evalkit.report.provenance import Ingredients, digest
from evalkit.study.plan import Job

DEFAULT_TIMEOUT = 900.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line may change.

    Attributes
    ----------
    only : names of jobs or notebooks; empty = all
    out : folder of all plans' reports; None = ``reports`` of the project
    timeout : seconds that one notebook may take
    """

    only: tuple[str, ...] = ()
    force: bool = False
    lang: str | None = None
    data: Path | None = None
    out: Path | None = None
    jobs: int | None = None
    timeout: float = DEFAULT_TIMEOUT


@dataclass(frozen=True, slots=True)
class Task:
    """One job, checked: typed parameters, what it is made of."""

    job: Job
    notebook: Path
    sha256: str
    given: Mapping[str, Any]
    declared: Mapping[str, Parameter]
    subtitle: str
    made_of: Ingredients

    def shown_parameters(self) -> list[dict[str, str]]:
        """Rows for the page: every parameter with its value and meaning."""
        return [
            {"name": name, "value": str(self.given.get(name, item.default)), "comment": item.comment}
            for name, item in self.declared.items()
        ]


def index_key(tasks: Sequence[tuple[str, Mapping[str, str]]], records: Mapping[str, Any]) -> str:
    """What the index depends on: the jobs, what they are made of and how they ended."""
    ends = {
        name: {k: records[name][k] for k in ("state", "headline", "files")}
        for name, _ in tasks
        if name in records
    }
    return digest([list(tasks), ends])
