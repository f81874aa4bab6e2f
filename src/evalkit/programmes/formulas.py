"""Arithmetic written in a fact file: numbers, facts in braces, + − × ÷ and brackets, nothing else."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

from evalkit.errors import UsageError

_NAMED = re.compile(r"\{([^{}]*)\}")
_DO: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def named_in(formula: str) -> tuple[str, ...]:
    """Ids of the facts that a formula uses, each once, in order."""
    return tuple(dict.fromkeys(name.strip() for name in _NAMED.findall(formula)))


def evaluate(formula: str, value_of: Callable[[str], float]) -> float:
    """The value of a formula.

    Parameters
    ----------
    formula : such as ``{1.budget.national} / {1.outcome.jobs}``
    value_of : number of a fact by the id in the braces

    Raises
    ------
    UsageError : anything but numbers, facts in braces, + - * / and brackets; or a division by zero

    Examples
    --------
    >>> evaluate("({a} + 2) * 14", {"a": 5.0}.__getitem__)
    98.0
    """
    values: list[float] = []

    def put(match: re.Match[str]) -> str:
        values.append(value_of(match[1].strip()))
        return f" v{len(values) - 1} "

    written = _NAMED.sub(put, formula).strip()
    try:
        tree = ast.parse(written, mode="eval")
        return _value(tree.body, {f"v{k}": value for k, value in enumerate(values)})
    except (SyntaxError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"식 {formula!r} 을(를) 계산할 수 없음",
            remedy="수, {사실의 이름표}, + - * / 와 괄호만 쓸 것",
        ) from error
    except ZeroDivisionError as error:
        raise UsageError(
            f"식 {formula!r} 이(가) 0으로 나눔", remedy="나누는 사실의 값을 확인할 것"
        ) from error


def _value(node: ast.expr, known: dict[str, float]) -> float:
    if isinstance(node, ast.BinOp) and type(node.op) in _DO:
        return _DO[type(node.op)](_value(node.left, known), _value(node.right, known))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, known)
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
    ):
        return float(node.value)
    if isinstance(node, ast.Name):
        return known[node.id]
    raise TypeError(type(node).__name__)
