"""Steps and what they take as a module: Sequential, Residual and Concat where the graph is made of these, else `Network`."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import NamedTuple

from ... import nn
from .network import Join, Network, Product, Stack, Sum

Step = tuple[nn.Module | Join, tuple[int, ...]]  # what runs, and the values that it takes: 0 is x, n that of step n - 1


class _Path(NamedTuple):
    """A value as what a row of modules makes of an earlier one, which several steps take."""

    origin: int
    modules: list[nn.Module]


def assembled(steps: list[Step], output: int) -> nn.Module:
    """Return a module whose forward gives the value `output`."""
    steps, output = _needed(steps, output)
    uses = Counter(source for _, sources in steps for source in sources)
    uses[output] += 1
    paths = {0: _Path(0, [])}
    for index, (step, sources) in enumerate(steps, 1):
        taken = [paths[source] if uses[source] == 1 else _Path(source, []) for source in sources]
        origin, modules = taken[0]
        if isinstance(step, Join):
            if len({path.origin for path in taken}) > 1:
                return Network([step for step, _ in steps], [sources for _, sources in steps])
            uses[origin] -= len(taken) - 1
            origin, modules = paths[origin] if uses[origin] == 1 else _Path(origin, [])
            modules.append(_of_branches(step, [path.modules for path in taken]))
        else:
            modules.append(step)
        paths[index] = _Path(origin, modules)
    if paths[output].origin or (output and uses[0] > 1):
        return Network([step for step, _ in steps], [sources for _, sources in steps])
    return nn.Sequential(*paths[output].modules)


def _needed(steps: list[Step], output: int) -> tuple[list[Step], int]:
    """Return the steps that the output needs, with new numbers, and the output's."""
    needed = {output}
    for index in range(len(steps), 0, -1):
        if index in needed:
            needed.update(steps[index - 1][1])
    number = {old: new for new, old in enumerate(sorted({0} | needed))}
    return [(step, tuple(number[source] for source in sources)) for index, (step, sources) in enumerate(steps, 1)
            if index in needed], number[output]


def _of_branches(join: Join, branches: list[list[nn.Module]]) -> nn.Module:
    """Return one module of branches of the same value."""
    if isinstance(join, Stack):
        return nn.Concat(*map(_one, branches))
    if isinstance(join, Sum):
        branches = sorted(branches, key=len, reverse=True)
        total = _one(branches[0])
        for branch in branches[1:]:
            total = nn.Residual(total, _one(branch) if branch else None)
        return total
    steps = [_one(branch) for branch in branches if branch]
    numbers = itertools.count(1)
    sources = tuple(next(numbers) if branch else 0 for branch in branches)
    return Network([*steps, Product()], [*[(0,)] * len(steps), sources])


def _one(modules: list[nn.Module]) -> nn.Module:
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules) if modules else nn.Identity()
