"""Typed parameters, checked against the notebook's own cell before a kernel starts.

papermill lets a misspelt name, `phase=abc` and a region code that lost its zeros pass; here each is one sentence.
The cell tagged ``parameters`` is the schema: annotated assignments with defaults, a comment for the meaning.

    phase: int = 1          # 단계
    region: str = "00150"   # 시군구 코드
"""

from __future__ import annotations

import ast
import io
import math
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evalkit.errors import NotebookError, ParameterError, nearest
from evalkit.report.source import Notebook, tags_of, text_of

_TRUE = {"true", "yes", "on", "1", "참"}
_FALSE = {"false", "no", "off", "0", "거짓"}
_PLAIN = {"str": "글자", "int": "정수", "float": "수", "bool": "true 또는 false"}


@dataclass(frozen=True, slots=True)
class Kind:
    """Type of a parameter: a plain type, a choice, or a list of them; ``optional`` adds None."""

    name: str
    choices: tuple[Any, ...] = ()
    item: Kind | None = None
    optional: bool = False

    def words(self) -> str:
        """The type in Korean."""
        if self.name == "choice":
            base = "다음 가운데 하나: " + ", ".join(map(str, self.choices))
        elif self.name == "list":
            base = f"쉼표로 나눈 목록 ({self.item.words() if self.item else ''})"
        else:
            base = _PLAIN[self.name]
        return f"{base} 또는 비움" if self.optional else base


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter."""

    name: str
    kind: Kind
    default: Any
    comment: str


def declared_parameters(nb: Notebook, *, notebook: str) -> dict[str, Parameter]:
    """The parameters that a notebook declares, in order.

    Raises
    ------
    NotebookError : no cell (or more than one) is tagged ``parameters``, or a line is not an annotated default
    """
    cells = [c for c in nb["cells"] if c["cell_type"] == "code" and "parameters" in tags_of(c)]
    if len(cells) != 1:
        raise NotebookError(
            f"parameters 꼬리표가 붙은 셀이 {len(cells)}개임",
            where=(notebook,),
            remedy="매개변수 셀 하나에만 parameters 꼬리표를 붙일 것",
        )
    source = text_of(cells[0])
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise NotebookError(
            "매개변수 셀의 문법이 틀림", where=(notebook, f"{error.lineno}행"), remedy="파이썬 문법을 고칠 것"
        ) from None
    comments = _comments(source)
    found: dict[str, Parameter] = {}
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value):
            raise NotebookError(
                "매개변수 셀에는 `이름: 형 = 기본값` 만 적을 수 있음",
                where=(notebook, f"{node.lineno}행"),
                remedy="나머지는 다음 셀로 옮길 것",
            )
        name, place = node.target.id, (notebook, f"매개변수 {node.target.id}")
        kind = _kind(node.annotation, place)
        try:
            default = ast.literal_eval(node.value)
        except ValueError:
            raise NotebookError("기본값이 상수가 아님", where=place, remedy="값을 그대로 적을 것") from None
        line = node.end_lineno or node.lineno
        found[name] = Parameter(name, kind, _coerced(default, kind, place), comments.get(line, ""))
    return found


def _comments(source: str) -> dict[int, str]:
    """Comment of each line."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT}


def _kind(node: ast.expr, place: tuple[str, ...]) -> Kind:
    """Type named by an annotation."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    if isinstance(node, ast.Name) and node.id in _PLAIN:
        return Kind(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [s for s in (node.left, node.right) if not (isinstance(s, ast.Constant) and s.value is None)]
        if len(sides) == 1:
            inner = _kind(sides[0], place)
            return Kind(inner.name, inner.choices, inner.item, optional=True)
    if isinstance(node, ast.Subscript):
        head = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
        if head == "Literal":
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            return Kind("choice", tuple(ast.literal_eval(p) for p in parts))
        if head in {"list", "tuple", "List"}:
            first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
            return Kind("list", item=_kind(first, place))
        if head == "Optional":
            inner = _kind(node.slice, place)
            return Kind(inner.name, inner.choices, inner.item, optional=True)
    raise NotebookError(
        f"알 수 없는 매개변수 형 {ast.unparse(node)!r}",
        where=place,
        remedy="str, int, float, bool, Literal[…], list[…] 가운데 하나를 쓸 것",
    )


def typed_parameters(
    given: Mapping[str, Any], declared: Mapping[str, Parameter], *, notebook: str
) -> dict[str, Any]:
    """The given values in their declared types; defaults are not filled in.

    Parameters
    ----------
    given : values as typed Python objects, or as text from the command line

    Raises
    ------
    ParameterError : an unknown name (the nearest is named) or a value that its type cannot hold
    """
    typed = {}
    for name, value in given.items():
        if name not in declared:
            raise ParameterError(
                f"모르는 매개변수 {name!r}", where=(notebook,), remedy=nearest(name, declared)
            )
        typed[name] = _coerced(value, declared[name].kind, (notebook, f"매개변수 {name}"))
    return typed


def _coerced(value: Any, kind: Kind, place: tuple[str, ...]) -> Any:
    """``value`` as ``kind``, refusing whatever would change its meaning."""
    fault = ParameterError(
        f"값 {value!r} 이(가) 형에 맞지 않음", where=place, remedy=f"{kind.words()}(으)로 적을 것"
    )
    if value is None or (kind.optional and isinstance(value, str) and value.lower() in {"", "null", "none"}):
        if kind.optional:
            return None
        raise fault
    if kind.name == "choice":
        for choice in kind.choices:
            if value == choice and isinstance(value, bool) == isinstance(choice, bool):
                return choice
            if isinstance(value, str) and value == str(choice):
                return choice
        raise ParameterError(fault.problem, where=place, remedy=nearest(str(value), map(str, kind.choices)))
    if kind.name == "list":
        assert kind.item is not None
        if isinstance(value, str):
            value = [part.strip() for part in value.strip("[] ").split(",") if part.strip()]
        if not isinstance(value, list | tuple):
            raise fault
        return [_coerced(part, kind.item, place) for part in value]
    if kind.name == "str":
        if isinstance(value, str):
            return value
        raise ParameterError(fault.problem, where=place, remedy="따옴표로 묶어 글자로 적을 것")
    return _number(value, kind.name, fault)


def _number(value: Any, name: str, fault: ParameterError) -> bool | int | float:
    """A bool, int or float; text is read, other types are not bent."""
    if name == "bool":
        word = str(value).strip().lower()
        if isinstance(value, bool) or (isinstance(value, str) and word in _TRUE | _FALSE):
            return word in _TRUE
        raise fault
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise fault
    try:
        number = float(value)
        if name == "float":
            if math.isfinite(number):
                return number
        elif isinstance(value, int) or (isinstance(value, str) and value.strip().lstrip("+-").isdigit()):
            return int(value)
        elif isinstance(value, float) and number.is_integer():
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise fault


def from_command_line(pairs: tuple[str, ...]) -> dict[str, str]:
    """``name=value`` words as text; what they mean is for `typed_parameters` to say.

    >>> from_command_line(("region=00150",))
    {'region': '00150'}
    """
    given: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ParameterError(f"매개변수 {pair!r} 를 읽을 수 없음", remedy="-p 이름=값 꼴로 적을 것")
        if name.strip() in given:
            raise ParameterError(f"매개변수 {name.strip()!r} 이(가) 두 번 적힘", remedy="하나만 남길 것")
        given[name.strip()] = value
    return given
