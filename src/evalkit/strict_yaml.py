"""YAML read strictly: plain values only, and a key that stands twice is an error, not a silent overwrite."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from evalkit.errors import UsageError

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


MOST_LEVELS = 100
"""Lists and mappings inside one another: the composer calls itself for each, and the C one ends the process."""
MOST_CHARACTERS = 4_000_000
MOST_PARTS = 400_000
"""Values, lists and mappings once every reference (``*``) is written out: nine lines can stand for a billion."""


class _UniqueKeys(_Loader):  # type: ignore[misc]  # the C loader where libyaml is there
    """YAML in which a key may stand once."""


def _mapping(loader: Any, node: yaml.MappingNode) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        _refuse_key_of_parts(key_node)
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
    UsageError : a key stands twice or is a list, too long, or more than `MOST_LEVELS` deep, with its line
    yaml.YAMLError : not YAML
    """
    _bound(text)
    return yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 (a safe loader)


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """Why a text is no YAML, in words.

    Attributes
    ----------
    line : the line to look at, counted from one; for what was never closed the line that opens it
    """

    line: int
    problem: str
    remedy: str


_NO_SPACE, _SPACE = "키 뒤에 콜론(:)과 빈칸이 없음", "키: 값 처럼 콜론 뒤에 한 칸 띄울 것"


def syntax_fault(error: yaml.YAMLError, text: str) -> SyntaxFault:
    """What somebody who edits a file by hand most likely did, from the error of the parser."""
    mark = getattr(error, "problem_mark", None)
    opened = getattr(error, "context_mark", None)
    problem, context = str(getattr(error, "problem", "") or error), str(getattr(error, "context", "") or "")
    if mark is None:
        return SyntaxFault(1, f"YAML 문법이 맞지 않음 ({problem})", "예와 견주어 고칠 것")
    rows = text.split("\n")
    tabbed = _tab_near(rows, mark.line)
    if tabbed is not None:
        return SyntaxFault(tabbed + 1, "들여쓰기에 탭(Tab)을 씀", "탭을 지우고 빈칸으로 들여 쓸 것")
    if "quoted scalar" in context and opened is not None:
        return SyntaxFault(opened.line + 1, "여기에서 연 따옴표가 닫히지 않음", "따옴표의 짝을 맞출 것")
    if "cannot start any token" in problem:
        sign = rows[mark.line][mark.column : mark.column + 1] if mark.line < len(rows) else ""
        return SyntaxFault(mark.line + 1, f"글이 기호 {sign!r} (으)로 시작함", "글을 큰따옴표로 묶을 것")
    if "mapping values are not allowed" in problem:
        above = rows[mark.line - 1] if 0 < mark.line <= len(rows) else ""
        if re.match(r"\s*(- )?[^\s:#{\[\"']+:\S", above):
            return SyntaxFault(mark.line, _NO_SPACE, _SPACE)
        return SyntaxFault(
            mark.line + 1, "콜론(:)이 한 줄에 더 있거나 윗줄과 들여쓰기가 다름", "콜론이 든 글은 큰따옴표로 묶고, 들여쓰기를 윗줄과 맞출 것"
        )  # fmt: skip
    if "flow" in context and opened is not None:
        return SyntaxFault(
            opened.line + 1, "여기에서 연 괄호가 닫히지 않았거나 그 안의 따옴표·쉼표가 맞지 않음", "{ } [ ] 와 따옴표의 짝, 항목 사이의 쉼표를 확인할 것"
        )  # fmt: skip
    if "could not find expected ':'" in problem:
        start = opened or mark
        return SyntaxFault(start.line + 1, _NO_SPACE, _SPACE)
    if "did not find expected" in problem:
        return SyntaxFault(
            mark.line + 1,
            "들여쓰기나 따옴표가 앞뒤 줄과 맞지 않음",
            "이 줄과 바로 윗줄의 들여쓰기(빈칸 수)와 따옴표의 짝을 맞출 것",
        )
    return SyntaxFault(mark.line + 1, f"YAML 문법이 맞지 않음 ({problem})", "들여쓰기와 따옴표를 확인할 것")


def _tab_near(rows: list[str], line: int) -> int | None:
    """The row at or just above a place whose indentation holds a tab."""
    for at in range(min(line, len(rows) - 1), max(line - 3, -1), -1):
        if "\t" in rows[at][: len(rows[at]) - len(rows[at].lstrip())]:
            return at
    return None


def _bound(text: str) -> None:
    """Refuse what is too long or too deep, event by event: parsing does not call itself, composing does."""
    if len(text) > MOST_CHARACTERS:
        raise UsageError(
            f"YAML 이 너무 긺 ({len(text):,}자, 많아야 {MOST_CHARACTERS:,}자)",
            where=("1행",),
            remedy="맞는 파일인지 확인하고, 맞으면 나눌 것",
        )
    level, parts = 0, 0
    open_at: list[
        tuple[str | None, int]
    ] = []  # anchors of what is still open, and the parts counted before each
    sizes: dict[str, int] = {}
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            level += 1
            open_at.append((event.anchor, parts))
            parts += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            level -= 1
            anchor, before = open_at.pop()
            if anchor is not None:
                sizes[anchor] = parts - before
        elif isinstance(event, yaml.ScalarEvent):
            parts += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.AliasEvent):
            parts += _referred(event, sizes, {anchor for anchor, _ in open_at})
        if parts > MOST_PARTS:
            raise UsageError(
                f"가리키는 표식(&, *)을 풀면 너무 큰 YAML 임 (값 {MOST_PARTS:,}개 넘음)",
                where=(f"{event.start_mark.line + 1}행",) if event.start_mark else (),
                remedy="표식을 쓰지 말고 필요한 내용을 그대로 적을 것",
            )
        if level > MOST_LEVELS:
            raise UsageError(
                f"너무 깊이 겹친 YAML 임 (목록과 묶음 {MOST_LEVELS}겹 넘음)",
                where=(f"{event.start_mark.line + 1}행",) if event.start_mark else (),
                remedy="여는 괄호와 들여쓰기를 확인하고 예를 복사해 고칠 것",
            )


def _referred(event: yaml.AliasEvent, sizes: dict[str, int], still_open: set[str | None]) -> int:
    """How many parts a reference stands for."""
    if event.anchor in still_open:
        raise UsageError(
            f"표식 *{event.anchor} 이(가) 자기 자신을 가리킴",
            where=(f"{event.start_mark.line + 1}행",) if event.start_mark else (),
            remedy="표식을 쓰지 말고 필요한 내용을 그대로 적을 것",
        )
    return sizes.get(str(event.anchor), 1)


def _refuse_key_of_parts(node: yaml.Node) -> None:
    if not isinstance(node, yaml.ScalarNode):
        kind = "목록" if isinstance(node, yaml.SequenceNode) else "키와 값의 묶음"
        raise UsageError(
            f"키 자리에 {kind}이 있음",
            where=(f"{node.start_mark.line + 1}행",),
            remedy="키를 낱말 하나로 적고, 괄호로 시작하는 키는 큰따옴표로 묶을 것",
        )


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
    UsageError : as `load`, or the document refers to parts of itself (&, *)
    yaml.YAMLError : not YAML, or several documents
    """
    _bound(text)
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
            _refuse_key_of_parts(key_node)
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
