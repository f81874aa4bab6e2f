"""YAML read strictly: plain values only, and a key that stands twice is an error, not a silent overwrite."""

from __future__ import annotations

from typing import Any

import yaml

from evalkit.errors import UsageError

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _UniqueKeys(_Loader):  # type: ignore[misc]  # the C loader where libyaml is there
    """YAML in which a key may stand once."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in found:
            raise UsageError(
                f"키 {key!r} 이(가) 두 번 있음",
                where=(f"{key_node.start_mark.line + 1}행",),
                remedy="하나를 지우거나 이름을 바꿀 것",
            )
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(text: str) -> Any:
    """The value of a YAML document.

    Raises
    ------
    UsageError : a key stands twice, with its line
    yaml.YAMLError : not YAML
    """
    return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 (a safe loader)


Place = tuple[str | int, ...]


def load_with_lines(text: str) -> tuple[Any, dict[Place, int]]:
    """A YAML document with every value as it is written, and the line of each of its places.

    For files whose keys and values are words of somebody's table: «No», «2018» and «3:40» stay what they are, where YAML
    would make a truth value, a number and a time of them.

    Returns
    -------
    mappings, lists, texts and None; and place (keys and positions from the top) -> line, counted from one

    Raises
    ------
    UsageError : a key stands twice, or the document refers to parts of itself (&, *)
    yaml.YAMLError : not YAML, or several documents
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
    finally:
        loader.dispose()
    lines: dict[Place, int] = {(): 1}
    return (None if root is None else _written(root, (), lines, set())), lines


def _written(node: yaml.Node, at: Place, lines: dict[Place, int], seen: set[int]) -> Any:
    if id(node) in seen:
        raise UsageError(
            "다른 곳을 가리키는 표식(&, *)을 씀",
            where=(f"{node.start_mark.line + 1}행",),
            remedy="같은 내용을 그대로 적을 것",
        )
    seen.add(id(node))
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, line = str(key_node.value), key_node.start_mark.line + 1
            if key in found:
                raise UsageError(
                    f"키 {key!r} 이(가) 두 번 있음",
                    where=(f"{line}행",),
                    remedy="하나를 지우거나 이름을 바꿀 것",
                )
            lines[(*at, key)] = line
            found[key] = _written(value_node, (*at, key), lines, seen)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_written(item, (*at, place), lines, seen) for place, item in enumerate(node.value)]
    empty = node.tag == "tag:yaml.org,2002:null"
    return None if empty else str(node.value)
