"""What a row of the registry is made of: random arrays, cases, bounds, and calls that are refused.

Letters: N images, H W input rows and columns, C input channels, K output channels, R S filter, P Q output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from types import ModuleType
from typing import Any

import numpy as np

from .. import functional, reference
from ..kernels.vector import simd

# Of this machine: pixels of a register tile one vector wide, float32 elements of a vector, and of two.
TILE, LANES = simd.ROWS[1], simd.VECTOR_BYTES // 4

WIDTH = 2 * LANES

Arguments = dict[str, Any]


class Draw:
    """Random arrays of one element type and one kind.

    "integers" are whole numbers from 1 to 8 with either sign, so that sums of products are exact in any order; "normal" are
    normal deviates; "spread" are distinct, 0.1 apart and none nearer than 0.05 to zero, so that no kink and no tie is near.
    """

    def __init__(self, seed: int, dtype: Any, kind: str) -> None:
        """Start the sequence that belongs to a seed."""
        self.random, self.dtype, self.kind = np.random.default_rng(seed), np.dtype(dtype), kind

    def __call__(self, *shape: int) -> np.ndarray:
        """Give an array of this kind."""
        if self.kind == "integers":
            values = self.random.integers(1, 9, shape) * self.random.choice((-1, 1), shape)
        elif self.kind == "spread":
            size = math.prod(shape)
            values = (self.random.permutation(size).reshape(shape) - size // 2 + 0.5) * 0.1
        else:
            values = self.random.standard_normal(shape)
        return np.asarray(values, self.dtype)

    def scaled(self, scale: float, *shape: int) -> np.ndarray:
        """Give larger or smaller numbers of this kind; "spread" ones stay apart."""
        values: np.ndarray = self(*shape) * self.dtype.type(1.0 if self.kind == "spread" else scale)
        return values

    def positive(self, *shape: int) -> np.ndarray:
        """Give numbers from 1/2 to 2."""
        return np.asarray(self.random.uniform(0.5, 2.0, shape), self.dtype)

    def share(self, *shape: int) -> np.ndarray:
        """Give numbers from 0 to 1 that add up to 1 along the last axis."""
        values = self.random.uniform(0.0, 1.0, shape)
        return np.asarray(values / values.sum(axis=-1, keepdims=True), self.dtype)

    def below(self, limit: int, *shape: int) -> np.ndarray:
        """Give whole numbers from 0 to limit - 1."""
        indices: np.ndarray = self.random.integers(0, limit, shape)
        return indices


@dataclass(frozen=True)
class Case:
    """One set of arguments; the name says why it exists."""

    name: str
    settings: dict[str, Any]
    telling: bool = True  # False: the right result is zero or constant, and that is the point
    bench: bool = False  # it is timed, and no part of the test


@dataclass(frozen=True)
class Differences:
    """How a gradient is held against central differences in float64: step, kind of numbers, relative bound.

    `extrapolated` ones are taken with half the step, too, which takes the part of the third derivative away.
    """

    step: float
    kind: str
    bound: float
    extrapolated: bool = False


# Any step is exact for a linear operation.
LINEAR = Differences(step=1.0, kind="normal", bound=1e-11)

SMOOTH = Differences(step=1e-5, kind="normal", bound=1e-8, extrapolated=True)

KINKED = Differences(step=1e-5, kind="spread", bound=1e-9)

# A longer step for what is made of straight lines: the mean of large numbers hides a small change.
STRAIGHT = Differences(step=2e-3, kind="spread", bound=1e-9)


@dataclass(frozen=True)
class Bound:
    """Largest error, in units of the element type's epsilon times a size.

    `units` is a number, or a function of the arguments that gives one for all results or one by result. The size is that of
    `each` value itself, else the largest value, else what `size` gives for a result that is small beside what it is made of.
    """

    units: float | Callable[[Arguments], float | dict[str, float]]
    each: bool = False
    factor: float = 1.0
    size: Callable[[Arguments], dict[str, float]] = lambda _: {}

    def of(self, arguments: Arguments, result: str) -> float:
        """Give the units for one result."""
        units = self.units(arguments) if callable(self.units) else self.units
        return self.factor * (units[result] if isinstance(units, dict) else units)


EXACT = Bound(0)


def typical(terms: float, *factors: np.ndarray, of: Callable[[np.ndarray], Any] = np.mean) -> float:
    """Give the size of a sum of so many products of elements: where they cancel, what is left may be far smaller.

    With `of=np.max` all elements count as the largest.
    """
    with np.errstate(over="ignore"):
        squares = [of(np.square(factor, where=np.isfinite(factor), out=np.zeros(factor.shape))) for factor in factors]
    size = math.sqrt(terms * math.prod(squares))
    return size if math.isfinite(size) else 0.0


def of_sum(terms: int) -> float:
    """Units for a sum: its rounding errors are random and grow as the root of the number of terms."""
    return 1 + math.sqrt(terms)


@dataclass(frozen=True)
class Fault:
    """A call of an operation with some arguments changed; `pattern` is a regular expression for the message."""

    name: str
    error: type[Exception]
    pattern: str
    changes: dict[str, Any]


def bad(name: str, error: type[Exception], pattern: str, /, **changes: Any) -> Fault:
    """Make a fault."""
    return Fault(name, error, pattern, changes)


def ones(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    """Give an argument that is at fault for its shape or its type."""
    return np.ones(shape, dtype)


@dataclass(frozen=True)
class Row:
    """One operation, or one algorithm of it."""

    operation: str  # name in fastcnn.functional and in fastcnn.reference
    make: Callable[..., Arguments]  # (draw, **case.settings) -> arguments by name
    cases: tuple[Case, ...]
    results: tuple[str, ...]
    bound: Bound  # on normal numbers
    exact: bool = False  # equal to the last bit on whole numbers
    algorithm: str | None = None
    home: ModuleType = functional  # module of the fast function
    wrt: tuple[str, ...] = ()  # arguments with a gradient: by OPERATION_backward, or by the further results of a loss
    differences: Differences = SMOOTH
    updates: tuple[str, ...] = ()  # arguments that are changed in place
    nonzero: float = 0.3  # smallest share of elements that must not be zero: a result of zeros proves nothing
    spoil: str | None = None  # argument through which NaN and infinity enter
    blurs: bool = False  # NaN and infinity may come out as NaN, and beside their place
    flops: Callable[[Arguments, Arguments], int] | None = None  # of arguments and results; None: the bytes count
    bytes: Callable[[Arguments, Arguments], int] | None = None  # None: those of all arguments and results
    drawer: Callable[[Random], dict[str, Any]] | None = None  # settings of a case at random
    faults: tuple[Fault, ...] = ()  # calls that are refused, with the arguments of the first case but for what is at fault

    @property
    def name(self) -> str:
        """Operation, and algorithm where the row is about one."""
        return self.operation if self.algorithm is None else f"{self.operation}[{self.algorithm}]"

    @property
    def fast(self) -> Callable[..., Any]:
        """The function under test."""
        function: Callable[..., Any] = getattr(self.home, self.operation)
        return function

    @property
    def options(self) -> Arguments:
        """What the fast function is told beside its arguments: the algorithm, where it has several."""
        return {"algorithm": self.algorithm} if self.algorithm is not None and self.home is functional else {}

    @property
    def reference(self) -> Callable[..., Any]:
        """Its twin in plain numpy."""
        function: Callable[..., Any] = getattr(reference, self.operation)
        return function


def case(name: str, /, **settings: Any) -> Case:
    """Make a case."""
    return Case(name, settings)


def trivial(name: str, /, **settings: Any) -> Case:
    """Make a case whose right result is zero or constant."""
    return Case(name, settings, telling=False)


def bench(name: str, /, **settings: Any) -> Case:
    """Make a case that is timed."""
    return Case(name, settings, bench=True)


def textbook(row: Row, *names: str) -> Row:
    """Make the row of a textbook kernel out of that of the operation: with some of its cases, by their names."""
    known = {one.name: one for one in row.cases}
    return replace(row, algorithm="loops", home=functional.loops, cases=tuple(known[name] for name in names))


def elements(draw: Draw, x: tuple[int, ...], scale: float = 1.0, **options: Any) -> Arguments:
    """Numbers, on request large ones."""
    return {"x": draw.scaled(scale, *x), **options}


ELEMENTS = (
    case("images", x=(2, 3, 5, 7)),
    case("one element", x=(1,)),
    case("an element short of four vectors", x=(2 * WIDTH - 1,)),
    case("an element more than four vectors", x=(2 * WIDTH + 1,)),
    case("a share short of two", x=(127,)),
    case("two shares", x=(128,)),
    case("an element more than two shares", x=(129,)),
    case("rows", x=(7, 33)),
    case("large numbers", x=(400,), scale=40.0),
    case("small numbers", x=(100,), scale=1e-6),
    case("threads meet", x=(70001,)),
    bench("4M elements", x=(64, 32, 32, 64)),
)

GRADIENTS = (
    case("a vector and more", n=(37,)),
    case("one parameter", n=(1,)),
    case("an element more than two chunks", n=(8193,)),
    case("threads meet", n=(300001,)),
    bench("1M parameters", n=(1 << 20,)),
)
