"""Conditions: short expressions over captured values, such as `float(loss) > 5 and epoch != "0"`.

Called by the engine for each match and by `validate`. What may be written is decided when a condition is compiled, by
a list of allowed syntax; what may be computed is bounded while it runs: no attribute, no loop, no name but values and
the functions below.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any

from simpleeval import EvalWithCompoundTypes, InvalidExpression

from reconciler.errors import ConditionError

MAX_LENGTH = 2000  # characters; what users write is held to 500 by the spec
MAX_DEPTH = 40  # levels of syntax; simpleeval recurses over them
MAX_BITS = 4096  # of a whole number
MAX_TEXT = 65_536  # characters of a string that a condition makes

#: CPython 3.11 counts the depth of its parser, and `warnings` keeps its filters, for all threads together.
_PARSING = Lock()
_CONSTANTS = {"True": True, "False": False, "None": None}
_SYNTAX = (
    ast.Expression,
    ast.BoolOp,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.IfExp,
    ast.Call,
    ast.Name,
    ast.Constant,
    ast.Tuple,
    ast.List,
    ast.Load,
    ast.boolop,
    ast.cmpop,
)
_OPERATIONS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.UAdd, ast.USub, ast.Not)


def _numbers(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Wrap an operation so that it takes numbers alone (`*` repeats strings, `%` formats them) and gives no giant."""

    def bounded(left: Any, right: Any) -> Any:
        for value in (left, right):
            if not isinstance(value, (int, float)):
                raise TypeError(f"a number is wanted, not {value!r:.60}; write float(...) or int(...)")
        return _small(operation(left, right))

    return bounded


def _small(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise OverflowError(f"a whole number of more than {MAX_BITS} bits")
    return value


def _add(left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        if len(left) + len(right) > MAX_TEXT:
            raise OverflowError(f"a text of more than {MAX_TEXT} characters")
        return left + right
    return _numbers(operator.add)(left, right)


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > MAX_BITS:
        raise OverflowError(f"a whole number of more than {MAX_BITS} bits")
    result = operator.pow(base, exponent)
    if isinstance(result, complex):
        raise ValueError("the root of a negative number")
    return result


def _round(number: Any, digits: int | None = None) -> Any:
    if digits is not None and not -400 <= digits <= 400:
        raise OverflowError("more than 400 digits to round to")
    return round(number, digits)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "float": float,
    "int": lambda value=0, base=None: _small(int(value) if base is None else int(value, base)),
    "str": lambda value="": str(value),
    "len": len,
    "abs": abs,
    "min": min,
    "max": max,
    "round": _round,
}

_OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = {
    ast.Add: _add,
    ast.Sub: _numbers(operator.sub),
    ast.Mult: _numbers(operator.mul),
    ast.Div: _numbers(operator.truediv),
    ast.FloorDiv: _numbers(operator.floordiv),
    ast.Mod: _numbers(operator.mod),
    ast.Pow: _numbers(_power),
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Gt: operator.gt,
    ast.Lt: operator.lt,
    ast.GtE: operator.ge,
    ast.LtE: operator.le,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda member, whole: member in whole,
    ast.NotIn: lambda member, whole: member not in whole,
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}

# Everything a bounded evaluation of allowed syntax can raise because of the values it was given.
_FAILURES = (InvalidExpression, ArithmeticError, TypeError, ValueError, LookupError, RecursionError)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that may be evaluated as often as wanted. `names`: the values it asks for."""

    text: str
    names: frozenset[str]
    _tree: ast.AST = field(repr=False, compare=False)

    def holds(self, values: Mapping[str, str | None]) -> bool:
        """Tell whether the condition is true of these values (strings, or None for a group that took no part).

        Raises ConditionError where it cannot be told: a value that is no number, a name that has no value.
        """
        missing = sorted(self.names - values.keys())
        if missing:
            raise ConditionError(
                f"condition {self.text!r}: nothing is known of {', '.join(missing)}",
                remedy="use the names of this watcher's captures",
            )
        evaluator = EvalWithCompoundTypes(
            operators=_OPERATORS, functions=dict(_FUNCTIONS), names={**values, **_CONSTANTS}
        )
        try:
            return bool(evaluator.eval(self.text, previously_parsed=self._tree))
        except _FAILURES as error:
            raise ConditionError(f"condition {self.text!r}: {error}", remedy="see the values of the match") from error


@lru_cache(maxsize=4096)
def compile_condition(text: str) -> Condition:
    """Return the condition; raise ConditionError where it is not one, or asks for what is not allowed."""
    if len(text) > MAX_LENGTH:
        raise _wrong(text, f"longer than {MAX_LENGTH} characters")
    try:
        with _PARSING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an unknown escape in a user's string is theirs, and no news for our log
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise _wrong(text, f"no valid expression ({getattr(error, 'msg', '') or 'nested too deep'})") from error
    called: list[ast.Name] = []
    names: list[ast.Name] = []
    for node, depth in _walk(tree):
        _check(text, node, depth)
        if isinstance(node, ast.Call):
            called.append(_function(text, node))
        elif isinstance(node, ast.Name):
            names.append(node)
    functions = set(map(id, called))
    wanted = frozenset(node.id for node in names if id(node) not in functions)
    return Condition(text, wanted - _CONSTANTS.keys(), tree.body)


def _walk(tree: ast.AST) -> Iterator[tuple[ast.AST, int]]:
    """Yield every node with its depth; stops descending where it is too deep, so that the checker can refuse."""
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        if depth <= MAX_DEPTH:
            waiting.extend((child, depth + 1) for child in ast.iter_child_nodes(node))


def _check(text: str, node: ast.AST, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _wrong(text, "nested too deep")
    if not isinstance(node, (*_SYNTAX, *_OPERATIONS)):
        raise _wrong(text, f"{_called(node)} is not allowed", node)
    if isinstance(node, ast.Constant):
        _check_constant(text, node)
    if isinstance(node, ast.Name) and node.id.startswith("__"):
        raise _wrong(text, f"the name {node.id!r} is not allowed", node)


def _check_constant(text: str, node: ast.Constant) -> None:
    if not isinstance(node.value, (str, int, float, type(None))):
        raise _wrong(text, f"{node.value!r:.40} is neither text nor a number", node)
    if isinstance(node.value, int) and node.value.bit_length() > MAX_BITS:
        raise _wrong(text, f"a whole number of more than {MAX_BITS} bits", node)


def _function(text: str, node: ast.Call) -> ast.Name:
    if not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS:
        raise _wrong(text, "only these functions may be called: " + ", ".join(sorted(_FUNCTIONS)), node)
    if node.keywords:
        raise _wrong(text, "functions take no named arguments here", node)
    return node.func


def _called(node: ast.AST) -> str:
    names: dict[str, str] = {
        "Attribute": "an attribute (a.b)",
        "Subscript": "an index ([...])",
        "Lambda": "a lambda",
        "NamedExpr": "an assignment (:=)",
        "JoinedStr": "an f-string",
        "Starred": "an unpacked argument (*)",
    }
    name = type(node).__name__
    return names.get(name, "a comprehension" if name.endswith(("Comp", "Exp", "comprehension")) else name)


def _wrong(text: str, reason: str, node: ast.AST | None = None) -> ConditionError:
    column = getattr(node, "col_offset", None)
    where = "" if column is None else f" at column {column + 1}"
    return ConditionError(
        f"condition {text!r:.80}{where}: {reason}",
        remedy="conditions are comparisons of captured values with constants",
    )
