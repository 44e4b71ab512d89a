"""Conditions on songs, as people write them: valence > 0.3 and "love" in title.

The text is read by Python's own parser and turned into an expression of pyarrow's, node by node;
nothing of it is ever run.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from moodcurve.errors import InputError
from moodcurve.library.store import SONGS

COLUMNS = [name for name in SONGS.names if not pa.types.is_list(SONGS.field(name).type)]

_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: pc.add,  # in floats, where nothing is too large
    ast.Sub: pc.subtract,
    ast.Mult: pc.multiply,
    ast.Div: pc.divide,
}
_EXAMPLE = 'valence > 0.3 and (arousal < -0.2 or artist == "Nina")'


class _At(Exception):
    """What is wrong at a place of the text."""

    def __init__(self, node: ast.AST, text: str):
        super().__init__(text)
        self.column: int = getattr(node, "col_offset", 0)


def parse(text: str) -> pc.Expression:
    """The expression of a condition over the columns of the table of songs.

    There are and, or, not, comparisons (also chained, also `is None`), + - * /, numbers, texts in
    quotes, True and False, and `in`: "love" in title, genre in ("Jazz", "Soul"). A comparison with
    a value that a song does not have, or that is divided by 0, holds for no song. Raises InputError
    with the position of what is wrong.
    """
    text = _line(text)
    try:
        expression, kind = _expression(ast.parse(text, mode="eval").body)
        if kind != "condition":
            raise _At(ast.Pass(), f"no condition; write it as {_EXAMPLE}")
    except SyntaxError as error:
        at = error.offset - 1 if error.offset else len(text)
        hint = "; compare with ==" if text[at : at + 1] == "=" else ""
        raise _error(text, at, f"not understood{hint}") from None
    except _At as error:
        at = len(text.encode()[: error.column].decode())  # Python counts bytes there
        raise _error(text, at, str(error)) from None
    except (RecursionError, MemoryError, ValueError, OverflowError):
        reason = "too deeply nested, too large a number, or no text"
        raise InputError(f"--where: {reason}; make it simpler") from None
    return expression


def named(text: str) -> set[str]:
    """The columns that a condition which can be parsed speaks of."""
    nodes = ast.walk(ast.parse(_line(text), mode="eval"))
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def column(name: str) -> str:
    """The kind of a column: number, text or truth. Raises InputError where there is none."""
    if name not in COLUMNS:
        raise InputError(f"{name or repr(name)}: no such column; there are: {', '.join(COLUMNS)}")
    kind = SONGS.field(name).type
    if pa.types.is_boolean(kind):
        return "truth"
    return "text" if pa.types.is_string(kind) else "number"


def _line(text: str) -> str:
    return text.strip().replace("\n", " ")


def _expression(node: ast.AST) -> tuple[Any, str]:
    """An expression and its kind: number, text, truth, or condition."""
    match node:
        case ast.BoolOp(op, parts):
            conditions = [_condition(part) for part in parts]
            combine = operator.and_ if isinstance(op, ast.And) else operator.or_
            whole = conditions[0]
            for condition in conditions[1:]:
                whole = combine(whole, condition)
            return whole, "condition"
        case ast.UnaryOp(ast.Not(), part):
            return ~_condition(part), "condition"
        case ast.UnaryOp(ast.USub(), part):
            return pc.negate(_number(part)), "number"
        case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
            return _ARITHMETIC[type(op)](_number(left), _number(right)), "number"
        case ast.Compare(first, ops, others):
            pairs = zip([first, *others], ops, others, strict=False)
            comparisons = [_comparison(*pair) for pair in pairs]
            whole = comparisons[0]
            for comparison in comparisons[1:]:
                whole = whole & comparison
            return whole, "condition"
        case ast.Name(name):
            try:
                kind = column(name)
            except InputError as error:
                raise _At(node, str(error)) from None
            return pc.field(name), kind
        case ast.Constant(bool() as value):
            return pc.scalar(value), "truth"
        case ast.Constant(int() | float() as value):
            return pc.scalar(float(value)), "number"
        case ast.Constant(str() as value):
            return pc.scalar(value), "text"
    raise _At(node, f"cannot stand in a condition; write it as {_EXAMPLE}")


def _comparison(left: ast.AST, op: ast.cmpop, right: ast.AST) -> Any:
    nothing = isinstance(right, ast.Constant) and right.value is None
    if nothing and isinstance(op, ast.Is | ast.Eq):
        return _operand(left)[0].is_null()
    if nothing and isinstance(op, ast.IsNot | ast.NotEq):
        return _operand(left)[0].is_valid()
    if isinstance(op, ast.In | ast.NotIn):
        found = _membership(left, right)
        return found if isinstance(op, ast.In) else ~found
    if type(op) not in _COMPARISONS:
        raise _At(right, "`is` goes with None only; compare with ==")
    (one, kind), (other, its_kind) = _operand(left), _operand(right)
    if kind != its_kind:
        raise _At(right, f"a {its_kind} is compared with a {kind}")
    return _COMPARISONS[type(op)](one, other)


def _operand(node: ast.AST) -> tuple[Any, str]:
    """What is compared; what has been calculated and is no number is no value."""
    expression, kind = _expression(node)
    if any(isinstance(part, ast.BinOp) for part in ast.walk(node)):
        none = pa.scalar(None, pa.float64())
        expression = pc.if_else(pc.is_finite(expression), expression, none)
    return expression, kind


def _membership(left: ast.AST, right: ast.AST) -> Any:
    """`"love" in title`, in whatever case; `genre in ("Jazz", "Soul")`."""
    if isinstance(right, ast.Tuple | ast.List):
        whole = pc.scalar(False)
        for item in right.elts:
            whole = whole | _comparison(left, ast.Eq(), item)
        return whole
    if isinstance(left, ast.Constant) and isinstance(left.value, str):
        within, kind = _expression(right)
        if kind == "text":
            return pc.match_substring(within, left.value, ignore_case=True)
    raise _At(right, '`in` goes with texts: "love" in title, genre in ("Jazz", "Soul")')


def _condition(node: ast.AST) -> Any:
    expression, kind = _expression(node)
    if kind not in ("condition", "truth"):
        raise _At(node, f"a {kind}, where a condition is needed; write it as {_EXAMPLE}")
    return expression


def _number(node: ast.AST) -> Any:
    expression, kind = _expression(node)
    if kind != "number":
        raise _At(node, f"a {kind}, where a number is needed")
    return expression.cast(pa.float64(), safe=False)


def _error(text: str, at: int, reason: str) -> InputError:
    rest = text[at : at + 20] or "the end"
    return InputError(f"--where, position {at + 1} ({rest!r}): {reason}")
