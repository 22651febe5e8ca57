"""What the mutation run changes, and what it leaves alone."""

from __future__ import annotations

import ast

import pytest

from tests import mutation

SOURCE = '''
"""Text 1."""
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    LIMIT = 5

def pick(x: list[int] | None, n=2, *, last=True):
    """Text 2."""
    assert n < 9
    if x is None or n <= 0:
        raise ValueError(f"{n + 1} of {x}")
    for i in range(n):
        x[i] += 1 - n
    return min(x[n:]) if last else -x[0]
'''
CHANGES = [
    "def pick(x: list[int] | None, n=[2 -> 3], *, last=True):",
    "def pick(x: list[int] | None, n=[2 -> 1], *, last=True):",
    "def pick(x: list[int] | None, n=2, *, last=[Tru -> Fals]e):",
    "if x is None [or -> and] n <= 0:",
    "if [x is None or n <= 0 -> not (x is None or n <= 0)]:",
    "if x is [ -> not ]None or n <= 0:",
    "if x is None or n <[= -> ] 0:",
    "if x is None or n [<= -> >] 0:",
    "if x is None or n <= [0 -> 1]:",
    "[raise ValueError(f'{n + 1} of {x}') -> pass]",
    "for i in range(n[ ->  - 1]):",
    "x[i] [+ -> -]= 1 - n",
    "[x[i] += 1 - n -> pass]",
    "x[i] += 1 [- -> +] n",
    "x[i] += [1 -> 2] - n",
    "x[i] += [1 -> 0] - n",
    "return [min(x[n:]) if last else -x[0] -> None]",
    "return min(x[n:]) if [ -> not ]last else -x[0]",
    "return m[in -> ax](x[n:]) if last else -x[0]",
    "return min(x[n[ ->  + 1]:]) if last else -x[0]",
    "return min(x[n:[ -> -1]]) if last else -x[0]",
    "return min(x[n:]) if last else [- -> ]x[0]",
    "return min(x[n:]) if last else -x[[0 -> 1]]",
]


def test_every_kind_of_change_and_no_text_type_or_assertion():
    found = mutation.mutants(SOURCE, "pick.py")
    assert sorted(mutant.change for mutant in found) == sorted(CHANGES)
    assert {mutant.scope for mutant in found} == {"", "pick"}
    assert [mutant.number for mutant in found] == list(range(len(CHANGES)))


@pytest.mark.parametrize("mutant", mutation.mutants(SOURCE, "pick.py"), ids=lambda mutant: str(mutant.number))
def test_a_mutant_is_another_program_that_differs_in_one_line(mutant):
    before, after = (ast.unparse(tree).splitlines() for tree in (ast.parse(SOURCE), mutation.mutated(SOURCE, mutant.number)))
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1
    codes = mutation.code_changes(SOURCE, mutant.number, "pick.py")
    assert {code.co_name for pair in codes.items() for code in pair} == ({"pick"} if mutant.scope else set())
    assert bool(mutation.default_change(SOURCE, mutant.number)) == (not mutant.scope)
