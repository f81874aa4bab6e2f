"""What a page says beside its cells is searched too: the plan's words, parameters, names of files and of jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def refuse_in_plan(plan: Any, context: Mapping[str, Any], tasks: Sequence[Any], file: str) -> None:
    """Stop before anything is rendered where the plan itself holds an identifier.

    Raises
    ------
    DisclosureError : names the kind and the key, never the value
    """
    refuse_in(plan.model_dump(mode="json"), (file,))
    refuse_in({name: value for name, value in context.items() if name != "plan"}, (file,))
    for task in tasks:
        refuse_in([task.job.name, task.subtitle, task.notebook.name], (file, "reports"))
        refuse_in({name: value for name, value in task.given.items() if name != "data"}, (file, "reports"))


def refuse_in(value: Any, place: tuple[str, ...]) -> None:
    """Every text in plain values, keys of mappings too."""
    from evalkit.release.search import refuse_identifiers

    refuse_identifiers(_texts(value, place))


def _texts(value: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield place, str(key)
            yield from _texts(entry, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for k, entry in enumerate(value):
            yield from _texts(entry, (*place, str(k + 1)))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield place, str(value)
