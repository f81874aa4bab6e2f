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
