"""The table of operations: one row for each, and one for each algorithm of an operation.

A row says how cases become arguments, what the results are called, how exact they are, how they are differentiated, what
they cost and which calls are refused. The test (tests/test_registry.py), the bench (bench/test_bench.py) and the check on a
user's machine (`fastcnn verify`) walk the same rows. Fast function, reference and row share one name.

Letters: N images, H W input rows and columns, C input channels, K output channels, R S filter, P Q output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import functional, reference
from .kernels.simd import ROWS as TILE  # rows of the register tile: output pixels
from .kernels.simd import WIDTH32 as WIDTH  # its float32 columns: output channels
from .shapes import DTypeError, ShapeError

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

    def positive(self, *shape: int) -> np.ndarray:
        """Give numbers from 1/2 to 2."""
        return self.random.uniform(0.5, 2.0, shape).astype(self.dtype)

    def share(self, *shape: int) -> np.ndarray:
        """Give numbers from 0 to 1 that add up to 1 along the last axis."""
        values = self.random.uniform(0.0, 1.0, shape)
        return (values / values.sum(axis=-1, keepdims=True)).astype(self.dtype)

    def below(self, limit: int, *shape: int) -> np.ndarray:
        """Give whole numbers from 0 to limit - 1."""
        return self.random.integers(0, limit, shape)


@dataclass(frozen=True)
class Case:
    """One set of arguments; the name says why it exists. `bench` cases are timed and not part of the test."""

    name: str
    settings: dict[str, Any]
    bench: bool = False


@dataclass(frozen=True)
class Fault:
    """A call that is refused: the first case with `changes`, the type of the error, and what its message must say."""

    name: str
    error: type[Exception]
    pattern: str
    changes: Arguments


@dataclass(frozen=True)
class Differences:
    """How a gradient is held against central differences in float64: step, kind of numbers, relative bound."""

    step: float
    kind: str
    bound: float


# Any step is exact for a linear operation.
LINEAR = Differences(step=1.0, kind="normal", bound=1e-11)
SMOOTH = Differences(step=1e-5, kind="normal", bound=1e-8)
KINKED = Differences(step=1e-3, kind="spread", bound=1e-9)


@dataclass(frozen=True)
class Bound:
    """Largest error, in units of the element type's epsilon and of the largest value, or of `each` value.

    `units` is a number, or a function of the arguments that gives one number for all results or one by result.
    """

    units: float | Callable[[Arguments], float | dict[str, float]]
    each: bool = False

    def of(self, arguments: Arguments, result: str) -> float:
        """Give the units for one result."""
        units = self.units(arguments) if callable(self.units) else self.units
        return units[result] if isinstance(units, dict) else units


EXACT = Bound(0)


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
    wrt: tuple[str, ...] = ()  # arguments with a gradient: by OPERATION_backward, or by the further results of a loss
    differences: Differences = SMOOTH
    updates: tuple[str, ...] = ()  # arguments that are changed in place
    nonzero: float = 0.3  # smallest share of elements that must not be zero: a result of zeros proves nothing
    spoil: str | None = None  # argument through which NaN and infinity enter
    flops: Callable[[Arguments, Arguments], int] | None = None  # of arguments and results; None: the bytes count
    faults: tuple[Fault, ...] = field(default=(), repr=False)

    @property
    def name(self) -> str:
        """Operation, and algorithm where the row is about one."""
        return self.operation if self.algorithm is None else f"{self.operation}[{self.algorithm}]"

    @property
    def fast(self) -> Callable[..., Any]:
        """The function under test."""
        function: Callable[..., Any] = getattr(functional, self.operation)
        return function

    @property
    def reference(self) -> Callable[..., Any]:
        """Its twin in plain numpy."""
        function: Callable[..., Any] = getattr(reference, self.operation)
        return function


def case(name: str, /, **settings: Any) -> Case:
    """Make a case."""
    return Case(name, settings)


def bench(name: str, /, **settings: Any) -> Case:
    """Make a case that is timed."""
    return Case(name, settings, bench=True)


def bad(name: str, error: type[Exception], pattern: str, /, **changes: Any) -> Fault:
    """Make a fault."""
    return Fault(name, error, pattern, changes)


def ones(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    """Give an argument that is at fault for its shape or its type."""
    return np.ones(shape, dtype)


# Convolution ---------------------------------------------------------------------------------------------------------------


def conv2d_arguments(draw: Draw, x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True,
                     **geometry: Any) -> Arguments:
    """Images, filters and bias."""
    return {"x": draw(*x), "weight": draw(*weight), "bias": draw(weight[3]) if bias else None, **geometry}


def conv2d_backward_arguments(draw: Draw, x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True,
                              need_dx: bool = True, **geometry: Any) -> Arguments:
    """Gradient of the result, images and filters."""
    y = reference.conv2d(np.zeros(x), np.zeros(weight), **geometry)
    return {"dy": draw(*y.shape), "x": draw(*x), "weight": draw(*weight), "need_dx": need_dx, **geometry}


def conv2d_terms(a: Arguments) -> float:
    """Random errors of a sum grow as the root of its length."""
    return 2 * math.sqrt(a["weight"][..., 0].size)


def conv2d_backward_terms(a: Arguments) -> dict[str, float]:
    """Sums over filter and output channels, or over images and pixels."""
    pixels = a["dy"][..., 0].size
    return {"dx": 2 * math.sqrt(a["weight"][:, :, 0].size), "dweight": 2 * math.sqrt(pixels), "dbias": 2 * math.sqrt(pixels)}


def conv2d_flops(a: Arguments, results: Arguments) -> int:
    """Two for each product."""
    return int(2 * results["y"].size * a["weight"][..., 0].size)


def conv2d_backward_flops(a: Arguments, results: Arguments) -> int:
    """As many for dweight as forward, and again for dx."""
    return int(2 * a["dy"].size * a["weight"][..., 0].size * (1 + a["need_dx"]))


POINTWISE = (
    case("1x1 filter", x=(2, 5, 6, 7), weight=(1, 1, 7, 9)),
    case("a single number", x=(1, 1, 1, 1), weight=(1, 1, 1, 1)),
    case("one pixel", x=(1, 1, 1, 5), weight=(1, 1, 5, 6)),
    case("1x1 filter without bias", x=(2, 3, 4, 6), weight=(1, 1, 6, 5), bias=False),
    case("1x1 filter, a pixel short of a tile", x=(1, 1, TILE - 1, 3), weight=(1, 1, 3, 4)),
    case("1x1 filter, one tile of pixels", x=(1, 1, TILE, 3), weight=(1, 1, 3, 4)),
    case("1x1 filter, a pixel more than a tile", x=(1, 1, TILE + 1, 3), weight=(1, 1, 3, 4)),
    case("1x1 filter, a channel short of a tile", x=(1, 3, 5, 3), weight=(1, 1, 3, WIDTH - 1)),
    case("1x1 filter, one tile of channels", x=(1, 3, 5, 3), weight=(1, 1, 3, WIDTH)),
    case("1x1 filter, a channel more than a tile", x=(1, 3, 5, 3), weight=(1, 1, 3, WIDTH + 1)),
    case("1x1 filter, many channels to few", x=(1, 4, 4, 130), weight=(1, 1, 130, 3)),
    case("1x1 filter, several chunks of pixels", x=(3, 17, 11, 4), weight=(1, 1, 4, 5)),
    case("1x1 filter, threads meet", x=(4, 16, 16, 24), weight=(1, 1, 24, 40)),
    bench("1x1, 64 to 128 channels", x=(64, 16, 16, 64), weight=(1, 1, 64, 128)),
)

DEPTHWISE = (
    case("depthwise", x=(2, 6, 7, 5), weight=(3, 3, 1, 5), groups=5),
    case("depthwise with padding", x=(2, 4, 5, 5), weight=(3, 3, 1, 5), groups=5, padding=1),
    case("depthwise without bias", x=(1, 5, 5, 4), weight=(3, 3, 1, 4), groups=4, bias=False),
    case("depthwise with one channel", x=(2, 5, 6, 1), weight=(3, 2, 1, 1)),
    case("depthwise, a channel short of a vector", x=(1, 5, 5, 15), weight=(3, 3, 1, 15), groups=15),
    case("depthwise, one vector", x=(1, 5, 5, 16), weight=(3, 3, 1, 16), groups=16),
    case("depthwise, a channel more than a vector", x=(1, 5, 5, 17), weight=(3, 3, 1, 17), groups=17),
    case("depthwise with stride", x=(2, 8, 9, 6), weight=(3, 3, 1, 6), groups=6, stride=2, padding=1),
    case("depthwise with dilation", x=(1, 9, 8, 3), weight=(3, 2, 1, 3), groups=3, dilation=2),
    case("depthwise, dilation larger than stride", x=(1, 11, 10, 3), weight=(3, 3, 1, 3), groups=3, stride=2, dilation=3,
         padding=2),
    case("depthwise, padding wider than half the filter", x=(1, 4, 4, 3), weight=(3, 3, 1, 3), groups=3, padding=2),
    case("depthwise, padding on one side", x=(1, 6, 5, 3), weight=(2, 3, 1, 3), groups=3, padding=((0, 1), (2, 0))),
    case("depthwise, non-square", x=(2, 9, 5, 4), weight=(2, 4, 1, 4), groups=4, padding=(1, 2)),
    case("depthwise, threads meet", x=(4, 24, 24, 40), weight=(3, 3, 1, 40), groups=40, padding=1),
    bench("depthwise 3x3, 128 channels", x=(64, 16, 16, 128), weight=(3, 3, 1, 128), groups=128, padding=1),
)

CONVOLUTIONS = (
    case("batch of two", x=(2, 7, 6, 3), weight=(3, 3, 3, 4)),
    case("batch of one", x=(1, 7, 6, 3), weight=(3, 3, 3, 4)),
    case("one input channel", x=(2, 7, 6, 1), weight=(3, 3, 1, 5)),
    case("one output channel", x=(2, 5, 6, 3), weight=(3, 3, 3, 1)),
    case("without bias", x=(2, 5, 6, 3), weight=(3, 3, 3, 4), bias=False),
    case("non-square image and filter", x=(2, 9, 5, 3), weight=(2, 4, 3, 6), padding=(1, 2)),
    case("filter of one row", x=(2, 4, 9, 3), weight=(1, 5, 3, 4)),
    case("filter of one column", x=(2, 9, 4, 3), weight=(5, 1, 3, 4)),
    case("filter as large as the image", x=(3, 4, 5, 3), weight=(4, 5, 3, 6)),
    case("stride drops a row and a column", x=(2, 8, 9, 3), weight=(3, 3, 3, 4), stride=(2, 4)),
    case("stride larger than the filter", x=(2, 8, 9, 3), weight=(2, 2, 3, 4), stride=3),
    case("stride far larger than the filter", x=(2, 9, 9, 3), weight=(2, 2, 3, 4), stride=4),
    case("stride with 1x1 filter", x=(2, 7, 6, 4), weight=(1, 1, 4, 6), stride=2),
    case("stride of a first layer", x=(1, 19, 20, 3), weight=(7, 7, 3, 5), stride=2, padding=3),
    case("stride of rows alone", x=(1, 9, 7, 3), weight=(3, 3, 3, 4), stride=(2, 1), padding=1),
    case("padding of half the filter", x=(2, 5, 6, 3), weight=(3, 3, 3, 4), padding=1),
    case("padding wider than half the filter", x=(2, 4, 5, 3), weight=(3, 3, 3, 4), padding=2),
    case("padding wider than the filter", x=(1, 3, 3, 3), weight=(2, 2, 3, 4), padding=3),
    case("padding of 1x1 filter", x=(1, 4, 4, 3), weight=(1, 1, 3, 4), padding=1),
    case("padding of columns alone", x=(2, 5, 4, 3), weight=(3, 3, 3, 4), padding=(0, 1)),
    case("padding on one side", x=(2, 6, 5, 3), weight=(3, 3, 3, 4), padding=((0, 1), (2, 0))),
    case("padding and stride on one side", x=(2, 6, 7, 3), weight=(3, 3, 3, 4), stride=2, padding=((1, 0), (0, 1))),
    case("same padding", x=(2, 5, 6, 3), weight=(3, 3, 3, 4), padding="same"),
    case("same padding of an even filter", x=(2, 5, 6, 3), weight=(2, 4, 3, 5), padding="same"),
    case("same padding with stride", x=(2, 7, 8, 3), weight=(3, 3, 3, 4), stride=2, padding="same"),
    case("valid padding by name", x=(2, 5, 6, 3), weight=(3, 3, 3, 4), padding="valid"),
    case("dilation", x=(2, 9, 8, 3), weight=(3, 3, 3, 4), dilation=2),
    case("dilation of rows alone", x=(2, 9, 5, 3), weight=(3, 3, 3, 4), dilation=(3, 1), padding=1),
    case("dilation equal to stride", x=(2, 9, 10, 3), weight=(3, 3, 3, 4), dilation=2, stride=2, padding=1),
    case("dilation larger than stride", x=(1, 11, 12, 3), weight=(3, 3, 3, 4), dilation=3, stride=2, padding=2),
    case("stride larger than dilation", x=(1, 12, 13, 3), weight=(3, 2, 3, 4), dilation=2, stride=3, padding=1),
    case("stride a multiple of dilation", x=(1, 13, 12, 3), weight=(3, 3, 3, 4), dilation=2, stride=4, padding=2),
    case("same padding with dilation", x=(1, 7, 6, 3), weight=(3, 2, 3, 4), dilation=2, padding="same"),
    case("two groups", x=(2, 6, 5, 6), weight=(3, 3, 3, 8), groups=2, padding=1),
    case("three groups with 1x1 filter", x=(2, 4, 5, 6), weight=(1, 1, 2, 9), groups=3),
    case("groups with stride and dilation", x=(1, 9, 9, 4), weight=(3, 3, 2, 6), groups=2, stride=2, dilation=2, padding=2),
    case("groups wider than a tile", x=(1, 4, 5, 4), weight=(2, 2, 2, 2 * (WIDTH + 1)), groups=2),
    case("groups of one input channel", x=(1, 6, 6, 3), weight=(3, 3, 1, 6), groups=3),
    case("groups of one output channel", x=(1, 6, 6, 6), weight=(3, 3, 2, 3), groups=3),
    case("a channel short of a tile", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH - 1)),
    case("one tile of channels", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH)),
    case("a channel more than a tile", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH + 1)),
    case("a channel short of a vector", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH // 2 - 1)),
    case("one vector of channels", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH // 2)),
    case("a channel more than a vector", x=(1, 4, 5, 3), weight=(2, 2, 3, WIDTH // 2 + 1)),
    case("a channel more than two tiles", x=(1, 4, 5, 3), weight=(2, 2, 3, 2 * WIDTH + 1)),
    case("a pixel short of a tile", x=(1, 3, TILE + 1, 3), weight=(3, 3, 3, 4)),
    case("one tile of pixels", x=(1, 3, TILE + 2, 3), weight=(3, 3, 3, 4)),
    case("a pixel more than a tile", x=(1, 3, TILE + 3, 3), weight=(3, 3, 3, 4)),
    case("a pixel more than two tiles", x=(1, 3, 2 * TILE + 3, 3), weight=(3, 3, 3, 4)),
    case("filter row of 32 inputs", x=(1, 5, 6, 8), weight=(3, 4, 8, 5)),
    case("filter row of 33 inputs", x=(1, 5, 6, 11), weight=(3, 3, 11, 5)),
    case("many input channels", x=(1, 5, 5, 67), weight=(3, 3, 67, 5), padding=1),
    case("many input channels with stride", x=(1, 8, 7, 35), weight=(3, 3, 35, 5), padding=1, stride=2),
    case("many input channels with dilation", x=(1, 9, 8, 35), weight=(3, 3, 35, 5), dilation=2, stride=3, padding=2),
    case("more rows than the cache holds", x=(1, 26, 62, 32), weight=(3, 3, 32, 2)),
    case("many images of few pixels", x=(37, 3, 3, 2), weight=(3, 3, 2, 3)),
    case("threads meet", x=(4, 16, 16, 16), weight=(3, 3, 16, WIDTH + 8), padding=1),
    bench("5x5, 32 to 64 channels", x=(64, 28, 28, 32), weight=(5, 5, 32, 64), padding=2),
    bench("3x3, 128 to 128 channels", x=(64, 16, 16, 128), weight=(3, 3, 128, 128), padding=1),
    bench("first layer, 3 channels", x=(128, 32, 32, 3), weight=(3, 3, 3, 32), padding=1),
)

WITHOUT_DX = case("first layer without dx", x=(2, 7, 6, 3), weight=(3, 3, 3, 4), need_dx=False)

CONV2D_FAULTS = (
    bad("x of rank 3", ShapeError, r"conv2d: x has 3 dimensions \(shape \(7, 6, 3\)\), expected 4", x=ones(7, 6, 3)),
    bad("weight of rank 2", ShapeError, r"conv2d: weight has 2 dimensions \(shape \(3, 4\)\), expected", weight=ones(3, 4)),
    bad("channel mismatch", ShapeError,
        r"conv2d: x has 1 channel \(shape \(2, 7, 6, 1\)\), weight \(3, 3, 3, 4\) expects 3", x=ones(2, 7, 6, 1)),
    bad("empty batch", ShapeError, r"conv2d: x is empty \(shape \(0, 7, 6, 3\)\), expected", x=ones(0, 7, 6, 3)),
    bad("no filters", ShapeError, r"conv2d: weight is empty \(shape \(3, 3, 3, 0\)\)", weight=ones(3, 3, 3, 0)),
    bad("filter larger than x", ShapeError, r"conv2d: weight covers 8 rows, expected at most", weight=ones(8, 3, 3, 4)),
    bad("dilated filter larger than x", ShapeError, r"conv2d: weight covers 7 columns, expected at most the 6", dilation=3),
    bad("bias of another length", ShapeError, r"conv2d: bias has shape \(5,\), expected \(4,\)", bias=ones(5)),
    bad("bias of rank 2", ShapeError, r"conv2d: bias has shape \(1, 4\), expected \(4,\)", bias=ones(1, 4)),
    bad("bias in float64", DTypeError, r"conv2d: bias is float64, expected float32", bias=ones(4, dtype=float)),
    bad("stride 0", ShapeError, r"conv2d: stride is 0, expected at least 1", stride=0),
    bad("negative stride", ShapeError, r"conv2d: stride is -1, expected at least 1", stride=(1, -1)),
    bad("float stride", DTypeError, r"conv2d: stride is 1\.5, expected an integer", stride=1.5),
    bad("stride True", DTypeError, r"conv2d: stride is True, expected an integer", stride=True),
    bad("three strides", ShapeError, r"conv2d: stride is \(1, 1, 1\), expected an int or a pair", stride=(1, 1, 1)),
    bad("negative padding", ShapeError, r"conv2d: padding is -1, expected at least 0", padding=-1),
    bad("padding by a wrong name", ShapeError, r"conv2d: padding is 'full', expected 'same', 'valid'", padding="full"),
    bad("padding None", DTypeError, r"conv2d: padding is None, expected an integer", padding=None),
    bad("half a padding", ShapeError, r"conv2d: padding is \(1,\), expected an int or a pair", padding=((1,), (0, 1))),
    bad("dilation 0", ShapeError, r"conv2d: dilation is 0, expected at least 1", dilation=0),
    bad("groups 0", ShapeError, r"conv2d: groups is 0, expected at least 1", groups=0),
    bad("groups that divide nothing", ShapeError, r"conv2d: groups is 2, expected a divisor of 3 input and 4", groups=2),
    bad("groups of too many channels", ShapeError, r"conv2d: x has 6 channels .* expects 3 in each of 4 groups|groups is 4",
        x=ones(2, 7, 6, 6), groups=4),
    bad("unknown algorithm", ValueError, r"conv2d: algorithm is 'fft', expected one of auto, direct", algorithm="fft"),
    bad("algorithm that does not fit", ShapeError, r"conv2d: algorithm is 'matmul', expected direct for a 3x3 filter",
        algorithm="matmul"),
    bad("integers", DTypeError, r"conv2d: x has dtype int64, expected float32 or float64", x=ones(2, 7, 6, 3, dtype=int)),
    bad("uint8 images", DTypeError, r"conv2d: x has dtype uint8, expected float32", x=ones(2, 7, 6, 3, dtype=np.uint8)),
    bad("complex weight", DTypeError, r"conv2d: weight has dtype complex64", weight=ones(3, 3, 3, 4, dtype=np.complex64)),
    bad("strings", DTypeError, r"conv2d: x has dtype <U1, expected float32", x=np.array([["a"]])),
    bad("mixed types", DTypeError, r"conv2d: weight is float64 and x is float32, expected one dtype",
        weight=ones(3, 3, 3, 4, dtype=float)),
    bad("out of another shape", ShapeError, r"conv2d: out has shape \(2, 5, 4, 3\), expected \(2, 5, 4, 4\)",
        out=ones(2, 5, 4, 3)),
    bad("out of another type", DTypeError, r"conv2d: out is a float64 array, expected a C-contiguous, writable float32",
        out=ones(2, 5, 4, 4, dtype=float)),
    bad("out in Fortran order", DTypeError, r"conv2d: out is a float32 array, expected a C-contiguous",
        out=np.asfortranarray(ones(2, 5, 4, 4))),
    bad("out is a list", DTypeError, r"conv2d: out is a list, expected", out=[0.0]),
)

CONV2D_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"conv2d_backward: dy has shape \(2, 7, 6, 4\), expected \(2, 5, 4, 4\)",
        dy=ones(2, 7, 6, 4)),
    bad("dy in float64", DTypeError, r"conv2d_backward: x is float32 and dy is float64", dy=ones(2, 5, 4, 4, dtype=float)),
    bad("dy of integers", DTypeError, r"conv2d_backward: dy has dtype int64", dy=ones(2, 5, 4, 4, dtype=int)),
    bad("stride 0", ShapeError, r"conv2d_backward: stride is 0, expected at least 1", stride=0),
    bad("unknown algorithm", ValueError, r"conv2d_backward: algorithm is 'fast', expected one of auto", algorithm="fast"),
)


# Linear layers -------------------------------------------------------------------------------------------------------------


def linear_arguments(draw: Draw, N: int, inputs: int, outputs: int, bias: bool = True) -> Arguments:
    """Rows, weights and bias."""
    return {"x": draw(N, inputs), "weight": draw(inputs, outputs), "bias": draw(outputs) if bias else None}


def linear_backward_arguments(draw: Draw, N: int, inputs: int, outputs: int, bias: bool = True,
                              need_dx: bool = True) -> Arguments:
    """Gradient of the result, rows and weights."""
    return {"dy": draw(N, outputs), "x": draw(N, inputs), "weight": draw(inputs, outputs), "need_dx": need_dx}


def linear_backward_terms(a: Arguments) -> dict[str, float]:
    """Sums over outputs, or over rows."""
    N, K = a["dy"].shape
    return {"dx": 2 * math.sqrt(K), "dweight": 2 * math.sqrt(N), "dbias": 2 * math.sqrt(N)}


PRODUCTS = (
    case("few rows", N=5, inputs=7, outputs=6),
    case("one row, one input, one output", N=1, inputs=1, outputs=1),
    case("one row", N=1, inputs=9, outputs=5),
    case("one input", N=5, inputs=1, outputs=6),
    case("one output", N=6, inputs=8, outputs=1),
    case("without bias", N=4, inputs=5, outputs=6, bias=False),
    case("a row short of a tile", N=TILE - 1, inputs=3, outputs=4),
    case("one tile of rows", N=TILE, inputs=3, outputs=4),
    case("a row more than a tile", N=TILE + 1, inputs=3, outputs=4),
    case("a row more than a block", N=8 * TILE + 1, inputs=3, outputs=4),
    case("an output short of a tile", N=3, inputs=4, outputs=WIDTH - 1),
    case("one tile of outputs", N=3, inputs=4, outputs=WIDTH),
    case("an output more than a tile", N=3, inputs=4, outputs=WIDTH + 1),
    case("an input short of a tile", N=3, inputs=TILE - 1, outputs=4),
    case("one tile of inputs", N=3, inputs=TILE, outputs=4),
    case("an input more than a tile", N=3, inputs=TILE + 1, outputs=4),
    case("many inputs to few outputs", N=4, inputs=501, outputs=3),
    case("few inputs to many outputs", N=4, inputs=3, outputs=501),
    case("two chunks of rows", N=513, inputs=3, outputs=4),
    case("threads meet", N=130, inputs=90, outputs=70),
    bench("128 rows, 1024 to 1024", N=128, inputs=1024, outputs=1024),
    bench("128 rows, 256 to 10", N=128, inputs=256, outputs=10),
)

LINEAR_FAULTS = (
    bad("x of rank 4", ShapeError, r"linear: x has 4 dimensions \(shape \(5, 1, 1, 7\)\), expected 2", x=ones(5, 1, 1, 7)),
    bad("weight of rank 1", ShapeError, r"linear: weight has 1 dimensions \(shape \(7,\)\), expected 2", weight=ones(7)),
    bad("other features", ShapeError, r"linear: x has 8 features \(shape \(5, 8\)\), weight .* expects 7", x=ones(5, 8)),
    bad("empty batch", ShapeError, r"linear: x is empty \(shape \(0, 7\)\)", x=ones(0, 7)),
    bad("bias of another length", ShapeError, r"linear: bias has shape \(7,\), expected \(6,\)", bias=ones(7)),
    bad("integers", DTypeError, r"linear: x has dtype int64, expected float32 or float64", x=ones(5, 7, dtype=int)),
    bad("mixed types", DTypeError, r"linear: weight is float64 and x is float32", weight=ones(7, 6, dtype=float)),
    bad("out of another shape", ShapeError, r"linear: out has shape \(5, 7\), expected \(5, 6\)", out=ones(5, 7)),
)

LINEAR_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"linear_backward: dy has shape \(5, 7\), expected \(5, 6\)", dy=ones(5, 7)),
    bad("dy of rank 1", ShapeError, r"linear_backward: dy has shape \(6,\), expected \(5, 6\)", dy=ones(6)),
    bad("dy in float64", DTypeError, r"linear_backward: x is float32 and dy is float64", dy=ones(5, 6, dtype=float)),
)


# The table -----------------------------------------------------------------------------------------------------------------


def convolution(algorithm: str | None, *cases: Case) -> tuple[Row, Row]:
    """Rows of a convolution and its gradients by one algorithm, or by the one that is chosen."""
    chosen = algorithm is None
    forward = Row("conv2d", conv2d_arguments, cases, ("y",), Bound(conv2d_terms), exact=True, algorithm=algorithm,
                  wrt=("x", "weight", "bias"), differences=LINEAR, spoil="x", flops=conv2d_flops,
                  faults=CONV2D_FAULTS if chosen else ())
    backward = Row("conv2d_backward", conv2d_backward_arguments, (*cases, WITHOUT_DX) if chosen else cases,
                   ("dx", "dweight", "dbias"), Bound(conv2d_backward_terms), exact=True, algorithm=algorithm, nonzero=0.1,
                   spoil="dy", flops=conv2d_backward_flops, faults=CONV2D_BACKWARD_FAULTS if chosen else ())
    return forward, backward


ROWS: tuple[Row, ...] = (
    *convolution(None, CONVOLUTIONS[0], POINTWISE[0], DEPTHWISE[0]),
    *convolution("direct", *CONVOLUTIONS, *POINTWISE, *DEPTHWISE),
    *convolution("matmul", *POINTWISE),
    *convolution("depthwise", *DEPTHWISE),
    Row("linear", linear_arguments, PRODUCTS, ("y",), Bound(lambda a: 2 * math.sqrt(len(a["weight"]))), exact=True,
        wrt=("x", "weight", "bias"), differences=LINEAR, spoil="x", faults=LINEAR_FAULTS,
        flops=lambda a, _: 2 * len(a["x"]) * a["weight"].size),
    Row("linear_backward", linear_backward_arguments, PRODUCTS, ("dx", "dweight", "dbias"), Bound(linear_backward_terms),
        exact=True, spoil="dy", faults=LINEAR_BACKWARD_FAULTS,
        flops=lambda a, _: 2 * len(a["x"]) * a["weight"].size * (1 + a["need_dx"])),
)
