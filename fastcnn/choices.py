"""Times of all algorithms of a convolution beside the one that is chosen: what `fastcnn bench --choices` prints.

All algorithms that fit take turns, pass by pass. Where the choice seems to lag, the turns are repeated before that is said.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from . import benchmark, functional, shapes
from .benchmark import Call
from .functional.conv import problem
from .functional.conv.algorithm import PASSES
from .functional.conv.problem import Problem
from .registry import ROWS
from .registry.layers import SHAPES, Shape
from .shapes import ShapeError

LIMIT = 1.05  # of the time of the choice, by that of the fastest
_AGAIN = 2  # repetitions of the turns before a choice is said to lag
_HOPELESS = 3.0  # an algorithm that takes so many times as long as the fastest is not timed in turns

HEAD = f"{'convolution':40} {'pass':8} {'choice':13} {'ms':>9}  {'fastest':13} {'ms':>9} {'lag':>6}"


class Comparison(NamedTuple):
    """Seconds of one pass of a convolution by each algorithm, and which of them is chosen."""

    convolution: str
    shape: str
    step: str
    chosen: str
    seconds: dict[str, float]

    @property
    def fastest(self) -> str:
        """Name of the algorithm that takes least time."""
        return min(self.seconds, key=self.seconds.__getitem__)

    @property
    def lag(self) -> float:
        """Time of the choice by that of the fastest."""
        return self.seconds[self.chosen] / self.seconds[self.fastest]

    def as_dict(self) -> dict[str, Any]:
        """Return what was measured as numbers and strings."""
        return {"convolution": self.convolution, "shape": self.shape, "pass": self.step,
                "chosen": self.chosen, "fastest": self.fastest, "lag": self.lag, "seconds": self.seconds}

    def __str__(self) -> str:
        """One line under HEAD."""
        chosen, fastest = (f"{name:13} {1e3 * self.seconds[name]:9.3f}" for name in (self.chosen, self.fastest))
        return f"{self.convolution:40} {self.step:8} {chosen}  {fastest} {self.lag:6.2f}{' <' * (self.lag > LIMIT)}"


def known() -> dict[str, Problem]:
    """Return the convolutions of the registry's bench cases and those of networks, by name."""
    found = {shape.name: _of_layer(shape) for shape in SHAPES}
    for row, case in benchmark.cases(ROWS):
        if row.operation == "conv2d" and row.algorithm is not None:
            geometry = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **case.settings}
            found.setdefault(case.name, problem.of(shapes.conv2d("choices", *map(geometry.__getitem__, _GEOMETRY))))
    return found


_GEOMETRY = "x", "weight", "stride", "padding", "dilation", "groups"


def _of_layer(shape: Shape) -> Problem:
    pair, padding = (shape.stride, shape.stride), (shape.padding, shape.padding)
    return Problem((shape.N, shape.H, shape.W, shape.C), (shape.R, shape.R, shape.C // shape.groups, shape.K), pair,
                   (padding, padding), (shape.dilation, shape.dilation), shape.groups)


def asked(words: Iterable[str]) -> dict[str, Problem]:
    """Return the known convolutions whose names contain a word, and those that a word says; all where there is no word.

    ShapeError: a word is neither.
    """
    everything = known()
    found: dict[str, Problem] = {}
    for word in words:
        named = {name: given for name, given in everything.items() if word in name}
        try:
            found |= named or {word: problem.parse(word)}
        except ShapeError as error:
            raise ShapeError(f"choices: no convolution has {word!r} in its name, and as a {error}") from None
    return found or everything


def compare(name: str, given: Problem) -> Iterator[Comparison]:
    """Time the passes of a convolution, each by all algorithms that fit and do not leave it to another one."""
    window = given.window("choices")
    chosen = functional.conv.choose(given.x, given.weight, **given.geometry).names
    fitting = [one.name for one in functional.conv.candidates(window) if one.fit]
    random = np.random.default_rng(0)
    x, weight, dy = (random.standard_normal(size, np.float32)
                     for size in (given.x, given.weight, (window.N, window.P, window.Q, window.K)))
    for number, step in enumerate(PASSES):
        calls = {algorithm: _call(step, algorithm, (x, weight, dy), given.geometry) for algorithm in fitting
                 if functional.conv.work(algorithm, window, step) is not None}
        yield settled(Comparison(name, str(given), step, chosen[number], {}), partial(_times, calls))


def _call(step: str, algorithm: str, arrays: tuple[np.ndarray, ...], geometry: dict[str, Any]) -> Call:
    x, weight, dy = arrays
    if step == "forward":
        return partial(functional.conv2d, x, weight, algorithm=algorithm, **geometry)
    return partial(functional.conv2d_backward, dy, x, weight, algorithm=algorithm, need_dx=step == "input",
                   need_dweight=step == "weight", need_dbias=False, **geometry)


def settled(unmeasured: Comparison, measure: Callable[[], dict[str, float]]) -> Comparison:
    """Measure until the choice does not lag, or was found to lag each time: give the comparison with the least lag."""
    found = [unmeasured._replace(seconds=measure())]
    while found[-1].lag > LIMIT and len(found) <= _AGAIN:
        found.append(unmeasured._replace(seconds=measure()))
    return min(found, key=lambda one: one.lag)


def _times(calls: dict[str, Call]) -> dict[str, float]:
    """Give the median seconds of each call in turns; calls that take far longer than the fastest are made three times."""
    for call in calls.values():
        call()  # which compiles
    twice = {name: min(benchmark.timed(call), benchmark.timed(call)) for name, call in calls.items()}
    near = [name for name in calls if twice[name] < _HOPELESS * min(twice.values())]
    return {**twice, **dict(zip(near, benchmark.in_turns(*(calls[name] for name in near)), strict=True))}


def summary(comparisons: list[Comparison]) -> str:
    """Return the mean and the largest lag of all passes, and how many choices lag."""
    lags = [one.lag for one in comparisons]
    late = sum(lag > LIMIT for lag in lags)
    return (f"mean lag {statistics.fmean(lags):.3f}, largest {max(lags):.2f}; {late} of {len(lags)} choices more than "
            f"{LIMIT - 1:.0%} behind the fastest")
