"""Mutants of a source file: small wrong changes, each of which some test should notice.

A mutant is found by its number among all those of its file, so that whoever has the same source finds the same ones.
"""

from __future__ import annotations

import ast
import copy
import itertools
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr, ast.MatMult: ast.Mult,
}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any", "minimum": "maximum", "maximum": "minimum",
             "zeros": "ones", "ones": "zeros", "argmax": "argmin", "floor": "ceil", "ceil": "floor"}
# Parts of a program that say what it means to a reader, not what it does: types, texts, the names it offers.
SILENT_FIELDS = {"annotation", "returns", "decorator_list", "type_params"}
SILENT_NODES = ast.JoinedStr, ast.Assert, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal
SILENT_CONDITIONS = "TYPE_CHECKING", "config.DISABLE_JIT", "numba.config.DISABLE_JIT"
SILENT_NAMES = "__all__", "__slots__"
SILENT_KEYWORDS = "stacklevel",


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    path: str
    number: int
    line: int
    lines: tuple[int, int]  # whose tests may notice: of the statement, or of the whole file for what is in no function
    scope: str
    change: str  # the line, with [old -> new] in it

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.scope}: {self.change}"

    @property
    def key(self) -> str:
        """Name that stays where other lines of the file change."""
        return f"{self.path} {self.scope}: {self.change}"


@dataclass(frozen=True)
class _Change:
    """Put `after` into a field of a node, or into the list there."""

    owner: ast.AST
    field: str
    index: int | None
    before: ast.AST
    after: ast.AST
    statement: ast.AST
    scope: str
    in_function: bool

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line whose tests may notice."""
        if isinstance(self.statement, ast.FunctionDef):  # a default value
            return self.statement.lineno, self.statement.end_lineno or 0
        return (self.statement.lineno, self.before.end_lineno) if self.in_function else (1, 1 << 30)

    def apply(self) -> None:
        self._put(ast.copy_location(self.after, self.before))

    def difference(self) -> str:
        """The line that changes."""
        before = ast.unparse(self.statement).splitlines()
        self._put(self.after)
        # A statement that goes is its owner's, not a part of itself.
        after = ast.unparse(self.after if self.before is self.statement else self.statement).splitlines()
        self._put(self.before)
        return next((_difference(*pair) for pair in zip(before, after, strict=False) if pair[0] != pair[1]), "")

    def _put(self, node: ast.AST) -> None:
        if self.index is None:
            setattr(self.owner, self.field, node)
        else:
            getattr(self.owner, self.field)[self.index] = node


def mutants(source: str, path: str) -> list[Mutant]:
    """All mutants of a file, in the order of its lines."""
    tree = ast.parse(source)
    return [Mutant(path, number, change.before.lineno, change.lines, change.scope, change.difference())
            for number, change in enumerate(list(_changes(tree, tree, "", False)))]


def mutated(source: str, number: int) -> ast.Module:
    """The file with one change."""
    tree = ast.parse(source)
    next(itertools.islice(_changes(tree, tree, "", False), number, None)).apply()
    return ast.fix_missing_locations(tree)


def unparsed(source: str, number: int) -> str:
    """The file with one change, as text."""
    return ast.unparse(mutated(source, number)) + "\n"


def code_changes(source: str, number: int, path: str) -> dict[types.CodeType, types.CodeType]:
    """New code for the code of every function that the change is in; empty where it is in none, but beside them."""
    return dict(_unequal(compile(source, path, "exec"), compile(mutated(source, number), path, "exec")))


def default_change(source: str, number: int) -> ast.FunctionDef | None:
    """The function whose default values change; None where the change is another one."""
    tree = ast.parse(source)
    change = next(itertools.islice(_changes(tree, tree, "", False), number, None))
    change.apply()
    return change.statement if isinstance(change.owner, ast.arguments) and isinstance(change.statement, ast.FunctionDef) \
        else None


def _unequal(old: types.CodeType, new: types.CodeType) -> Iterator[tuple[types.CodeType, types.CodeType]]:
    inside = [[const for const in code.co_consts if isinstance(const, types.CodeType)] for code in (old, new)]
    if len(inside[0]) == len(inside[1]):
        for pair in zip(*inside, strict=True):
            yield from _unequal(*pair)
    if old != new and old.co_flags & 0x1:  # a function's, not that of a class or of the module
        yield old, new


def _difference(before: str, after: str) -> str:
    """Both lines in one, with [old -> new] where they differ."""
    start = _shared(before, after)
    end = _shared(before[start:][::-1], after[start:][::-1])
    old, new = before[start:len(before) - end], after[start:len(after) - end]
    return f"{before[:start]}[{old} -> {new}]{before[len(before) - end:]}".strip()


def _shared(a: str, b: str) -> int:
    """Number of characters that both begin with."""
    return next((i for i, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), min(len(a), len(b)))


def _changes(node: ast.AST, statement: ast.AST, scope: str, in_function: bool) -> Iterator[_Change]:
    """All changes below a node, which belongs to a statement."""
    for field, value in ast.iter_fields(node):
        if field in SILENT_FIELDS:
            continue
        inner = f"{scope}.{node.name}".lstrip(".") if field == "body" and hasattr(node, "name") else scope
        inside = in_function or (field == "body" and isinstance(node, ast.FunctionDef))
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _is_silent(child):
                own = child if isinstance(child, ast.stmt) else statement
                for after in _instead(child, node, field):
                    yield _Change(node, field, index, child, after, own, inner, inside)
                if not isinstance(child, ast.Raise):
                    yield from _changes(child, own, inner, inside)


def _is_silent(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.If | ast.IfExp) and ast.unparse(node.test) in SILENT_CONDITIONS:
        return True
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in SILENT_NAMES:
        return True
    if isinstance(node, ast.keyword) and node.arg in SILENT_KEYWORDS:
        return True
    return isinstance(node, SILENT_NODES)


def _instead(node: ast.AST, owner: ast.AST, field: str) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    for kind, replacements in _REPLACEMENTS.items():
        if isinstance(node, kind):
            yield from replacements(node)
    is_condition = field in ("test", "ifs") and isinstance(owner, ast.If | ast.IfExp | ast.While | ast.comprehension)
    if is_condition and not isinstance(node, ast.Compare | ast.UnaryOp | ast.Constant):
        yield ast.UnaryOp(ast.Not(), node)


def _with(node: Any, **fields: Any) -> Any:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _of_comparison(node: ast.Compare) -> Iterator[ast.AST]:
    for i, operator in enumerate(node.ops):
        for kind in COMPARISONS[type(operator)]:
            yield _with(node, ops=[*node.ops[:i], kind(), *node.ops[i + 1:]])


def _of_arithmetic(node: ast.BinOp | ast.AugAssign) -> Iterator[ast.AST]:
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
    is_text = any(isinstance(side, ast.JoinedStr) or (isinstance(side, ast.Constant) and isinstance(side.value, str))
                  for side in sides)
    if type(node.op) in ARITHMETIC and not is_text:
        yield _with(node, op=ARITHMETIC[type(node.op)]())


def _of_logic(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())


def _of_sign(node: ast.UnaryOp) -> Iterator[ast.AST]:
    if isinstance(node.op, ast.Not | ast.USub):
        yield node.operand


def _of_constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        if value > 0:
            yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(value * 2 if value else 1.0)


def _shifted(node: ast.AST, operator: ast.operator) -> ast.AST:
    return ast.BinOp(node, operator, ast.Constant(1))


def _of_call(node: ast.Call) -> Iterator[ast.AST]:
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name in OPPOSITES:
        field = "id" if isinstance(node.func, ast.Name) else "attr"
        yield _with(node, func=_with(node.func, **{field: OPPOSITES[name]}))
    if name == "range" and not any(isinstance(bound, ast.Starred) for bound in node.args):
        stop = min(1, len(node.args) - 1)
        for place, operator in ((0, ast.Add()), (stop, ast.Sub())):
            if (place, stop) != (0, 0) or isinstance(operator, ast.Sub):
                bounds = list(node.args)
                if not isinstance(bounds[place], ast.Constant):
                    bounds[place] = _shifted(bounds[place], operator)
                    yield _with(node, args=bounds)


def _of_slice(node: ast.Slice) -> Iterator[ast.AST]:
    if node.lower is None:
        yield _with(node, lower=ast.Constant(1))
    elif not isinstance(node.lower, ast.Constant):
        yield _with(node, lower=_shifted(node.lower, ast.Add()))
    if node.upper is None:
        yield _with(node, upper=ast.Constant(-1))
    elif not isinstance(node.upper, ast.Constant):
        yield _with(node, upper=_shifted(node.upper, ast.Sub()))


def _of_statement(node: ast.stmt) -> Iterator[ast.AST]:
    if isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Attribute | ast.Subscript):
        return  # a name that is missing is noticed at once
    yield ast.Pass()


def _of_return(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
        yield ast.Return(ast.Constant(None))


_REPLACEMENTS: dict[Any, Any] = {
    ast.Compare: _of_comparison,
    (ast.BinOp, ast.AugAssign): _of_arithmetic,
    ast.BoolOp: _of_logic,
    ast.UnaryOp: _of_sign,
    ast.Constant: _of_constant,
    ast.Call: _of_call,
    ast.Slice: _of_slice,
    (ast.Expr, ast.AugAssign, ast.Assign, ast.Raise, ast.Continue, ast.Break): _of_statement,
    ast.Return: _of_return,
}
