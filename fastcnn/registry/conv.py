"""Convolution and transposed convolution: cases, bad calls and rows."""

from __future__ import annotations

import functools
from random import Random
from typing import Any

import numpy as np

from .. import reference
from ..kernels.kinds import KIND
from ..shapes import DTypeError, ShapeError
from .drawing import Drawer, chance, channels, given, images, padding, size, twice
from .row import LANES, LINEAR, TILE, WIDTH, Arguments, Bound, Case, Draw, Row, bad, bench, case, of_sum, ones, typical

# Of Winograd's algorithm, whose transforms multiply by numbers from 1/24 to 16. A block of pixels goes through all of them
# together, so that errors follow the largest numbers and not what is left of them: 2e-5 of the result for two channels.
WINOGRAD = 10


def conv2d_arguments(draw: Draw, x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True,
                     **geometry: Any) -> Arguments:
    """Images, filters and bias."""
    return {"x": draw(*x), "weight": draw(*weight), "bias": draw(weight[3]) if bias else None, **geometry}


def conv2d_backward_arguments(draw: Draw, x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True,
                              need_dx: bool = True, need_dweight: bool = True, relu: bool = False,
                              **geometry: Any) -> Arguments:
    """Gradient of the result, images and filters; the result too where it was rectified."""
    y = reference.conv2d(np.zeros(x), np.zeros(weight), **geometry)
    return {"dy": draw(*y.shape), "x": draw(*x), "weight": draw(*weight), "need_dx": need_dx,
            "need_dweight": need_dweight, "need_dbias": bias, "y": np.maximum(draw(*y.shape), 0) if relu else None,
            **geometry}


def conv2d_error(a: Arguments) -> float:
    """Sums over filter and input channels."""
    return of_sum(a["weight"][..., 0].size)


def conv2d_backward_error(a: Arguments) -> dict[str, float]:
    """Sums over filter and output channels, or over images and pixels."""
    pixels = of_sum(a["dy"][..., 0].size)
    return {"dx": of_sum(a["weight"][:, :, 0].size), "dweight": pixels, "dbias": pixels}


def conv2d_size(a: Arguments, of: Any = np.mean) -> dict[str, float]:
    """As the sums of `conv2d_error`."""
    return {"y": typical(a["weight"][..., 0].size, a["x"], a["weight"], of=of)}


def conv2d_backward_size(a: Arguments, of: Any = np.mean) -> dict[str, float]:
    """As the sums of `conv2d_backward_error`."""
    pixels = a["dy"][..., 0].size
    return {"dx": typical(a["weight"][:, :, 0].size, a["dy"], a["weight"], of=of),
            "dweight": typical(pixels, a["dy"], a["x"]), "dbias": typical(pixels, a["dy"])}


def bounds(chosen: str | None) -> tuple[Bound, Bound]:
    """Bounds of a convolution and of its gradients by one algorithm, or by any of them."""
    if chosen not in (None, "winograd"):
        return Bound(conv2d_error, size=conv2d_size), Bound(conv2d_backward_error, size=conv2d_backward_size)
    return (Bound(conv2d_error, factor=WINOGRAD, size=functools.partial(conv2d_size, of=np.max)),
            Bound(conv2d_backward_error, factor=WINOGRAD, size=functools.partial(conv2d_backward_size, of=np.max)))


def conv2d_flops(a: Arguments, results: Arguments) -> int:
    """Two for each product."""
    return int(2 * results["y"].size * a["weight"][..., 0].size)


def conv2d_backward_flops(a: Arguments, results: Arguments) -> int:
    """As many for dweight as forward, and again for dx."""
    return int(2 * a["dy"].size * a["weight"][..., 0].size * (a["need_dx"] + a["need_dweight"]))


def one_gradient(one: Case) -> tuple[Case, ...]:
    """Time the gradients of input and weight apart."""
    if not one.bench:
        return (one,)
    return (bench(f"{one.name}: input", **one.settings, bias=False, need_dweight=False),
            bench(f"{one.name}: weight", **one.settings, bias=False, need_dx=False))


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
    case("1x1 filter, six parts of the channels", x=(1, 19, 17, 1032), weight=(1, 1, 1032, 5 * LANES)),
    case("1x1 filter, five parts of the channels of the gradient", x=(1, 4, 5, 6), weight=(1, 1, 6, 1030)),
    case("1x1 filter, many channels that cannot be parted", x=(1, 4, 5, 1031), weight=(1, 1, 1031, 5)),
    case("1x1 filter, several chunks of pixels", x=(3, 17, 11, 4), weight=(1, 1, 4, 5)),
    case("1x1 filter, threads meet", x=(4, 16, 16, 24), weight=(1, 1, 24, 40)),
    bench("1x1, 64 to 128 channels", x=(64, 16, 16, 64), weight=(1, 1, 64, 128)),
)

COPIED_PIXELS = (
    case("1x1 filter, stride, many channels", x=(3, 11, 9, 130), weight=(1, 1, 130, 20), stride=(2, 3)),
    case("1x1 filter, stride, many channels in two groups", x=(2, 6, 7, 128), weight=(1, 1, 64, 6), groups=2, stride=2),
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
    case("depthwise, stride differs by axis", x=(1, 9, 8, 3), weight=(3, 3, 1, 3), groups=3, stride=(1, 3), padding=(0, 1)),
    case("depthwise, dilation differs by axis", x=(1, 9, 6, 3), weight=(3, 3, 1, 3), groups=3, stride=(2, 1),
         dilation=(3, 1)),
    case("depthwise with dilation", x=(1, 9, 8, 3), weight=(3, 2, 1, 3), groups=3, dilation=2),
    case("depthwise, dilation larger than stride", x=(1, 11, 10, 3), weight=(3, 3, 1, 3), groups=3, stride=2, dilation=3,
         padding=2),
    case("depthwise, padding wider than half the filter", x=(1, 4, 4, 3), weight=(3, 3, 1, 3), groups=3, padding=2),
    case("depthwise, padding on one side", x=(1, 6, 5, 3), weight=(2, 3, 1, 3), groups=3, padding=((0, 1), (2, 0))),
    case("depthwise, non-square", x=(2, 9, 5, 4), weight=(2, 4, 1, 4), groups=4, padding=(1, 2)),
    case("depthwise, a pixel short of a run", x=(1, 4, 5, 18), weight=(3, 3, 1, 18), groups=18, padding=(1, 0)),
    case("depthwise, a run and its edges", x=(1, 4, KIND.strip + 2, 18), weight=(3, 3, 1, 18), groups=18, padding=1),
    case("depthwise, a pixel more than a run and its edges", x=(1, 5, KIND.strip + 3, 33), weight=(3, 3, 1, 33), groups=33,
         padding=1),
    case("depthwise, filter of four columns", x=(1, 6, 12, 17), weight=(2, 4, 1, 17), groups=17, padding=(1, 2)),
    case("depthwise, filter of 25 elements", x=(1, 7, 12, 19), weight=(5, 5, 1, 19), groups=19, padding=2),
    case("depthwise, filter of six columns", x=(1, 5, 15, 17), weight=(1, 6, 1, 17), groups=17, padding=(0, 2)),
    case("depthwise, stride with long rows", x=(2, 7, 29, 17), weight=(3, 3, 1, 17), groups=17, stride=2, padding=1),
    case("depthwise, stride of 3 with padding on one side", x=(1, 10, 26, 16), weight=(3, 3, 1, 16), groups=16, stride=3,
         padding=((0, 1), (2, 0))),
    case("depthwise, stride larger than the filter", x=(1, 9, 30, 17), weight=(2, 2, 1, 17), groups=17, stride=3),
    case("depthwise, stride equal to dilation", x=(1, 11, 21, 16), weight=(3, 3, 1, 16), groups=16, stride=2, dilation=2,
         padding=2),
    case("depthwise, padding wider than the filter", x=(1, 3, 9, 17), weight=(2, 2, 1, 17), groups=17, padding=3),
    case("depthwise, more rows than a band", x=(2, 37, 9, 16), weight=(3, 3, 1, 16), groups=16, padding=1),
    case("depthwise, rows of several strips", x=(1, 2, 20, 270), weight=(3, 3, 1, 270), groups=270,
         padding=1),
    case("depthwise, threads meet", x=(4, 24, 24, 40), weight=(3, 3, 1, 40), groups=40, padding=1),
    bench("depthwise 3x3, 128 channels", x=(64, 16, 16, 128), weight=(3, 3, 1, 128), groups=128, padding=1),
)

# 3x3 and 5x5 filters with stride 1; blocks of the result are 4x4 and 2x2.
ROWS_OF_PIXELS = (
    case("pixels, one short of two vectors", x=(2, 3, WIDTH + 1, 1), weight=(3, 3, 1, 6)),
    case("pixels, two vectors", x=(2, 3, WIDTH + 2, 1), weight=(3, 3, 1, 6)),
    case("pixels, one more than two vectors", x=(2, 3, WIDTH + 3, 1), weight=(3, 3, 1, 6)),
    case("pixels, eight channels", x=(1, 4, 9, 2), weight=(2, 3, 2, 8), padding=1),
    case("pixels, nine channels", x=(1, 4, 9, 2), weight=(2, 3, 2, 9), padding=1),
    case("pixels, filter of a whole block", x=(1, 5, 9, 2), weight=(3, 6, 2, 5), padding=2),
    case("pixels, more rows than a band", x=(1, 40, WIDTH, 3), weight=(5, 5, 3, 8), padding=2),
)

BLOCKS = (
    case("3x3 filter, 16 channels", x=(2, 7, 6, 16), weight=(3, 3, 16, 16), padding=1),
    case("3x3 filter without bias", x=(1, 6, 6, 3), weight=(3, 3, 3, 4), bias=False),
    case("3x3 filter, one channel to one", x=(2, 6, 7, 1), weight=(3, 3, 1, 1)),
    case("3x3 filter, one block", x=(1, 6, 6, 3), weight=(3, 3, 3, 4)),
    case("3x3 filter, a row and a column short of a block", x=(1, 5, 5, 3), weight=(3, 3, 3, 4)),
    case("3x3 filter, a row and a column more than a block", x=(1, 7, 7, 3), weight=(3, 3, 3, 4)),
    case("3x3 filter, one pixel", x=(2, 3, 3, 5), weight=(3, 3, 5, 4)),
    case("3x3 filter, one pixel in padding", x=(2, 1, 1, 5), weight=(3, 3, 5, 4), padding=1),
    case("3x3 filter, wide padding", x=(1, 4, 5, 3), weight=(3, 3, 3, 4), padding=(2, 3)),
    case("3x3 filter, padding on one side", x=(1, 6, 5, 3), weight=(3, 3, 3, 4), padding=((0, 1), (2, 0))),
    case("3x3 filter, same padding", x=(1, 9, 5, 3), weight=(3, 3, 3, 4), padding="same"),
    case("3x3 filter, a channel short of a tile", x=(1, 6, 7, TILE - 1), weight=(3, 3, TILE - 1, WIDTH - 1)),
    case("3x3 filter, one tile of channels", x=(1, 6, 7, TILE), weight=(3, 3, TILE, WIDTH)),
    case("3x3 filter, a channel more than a tile", x=(1, 6, 7, TILE + 1), weight=(3, 3, TILE + 1, WIDTH + 1)),
    case("3x3 filter, many channels", x=(1, 5, 6, 70), weight=(3, 3, 70, 66), padding=1),
    case("3x3 filter, many blocks", x=(3, 19, 18, 4), weight=(3, 3, 4, 5), padding=1),
    case("3x3 filter, as many channels as a panel has", x=(1, 6, 9, 4 * LANES), weight=(3, 3, 4 * LANES, 4 * LANES)),
    case("3x3 filter, as many channels as one of two panels", x=(1, 6, 9, 4 * LANES), weight=(3, 3, 4 * LANES, 8 * LANES)),
    case("3x3 filter, weights larger than the caches", x=(1, 5, 6, 180), weight=(3, 3, 180, 180), padding=1),
    case("3x3 filter, threads meet", x=(4, 18, 17, 20), weight=(3, 3, 20, WIDTH + 8), padding=1),
    case("5x5 filter, 16 channels", x=(2, 7, 6, 16), weight=(5, 5, 16, 16), padding=2),
    case("5x5 filter without bias", x=(1, 6, 6, 3), weight=(5, 5, 3, 4), bias=False),
    case("5x5 filter, one channel to one", x=(2, 8, 9, 1), weight=(5, 5, 1, 1)),
    case("5x5 filter, a row and a column more than a block", x=(1, 7, 7, 3), weight=(5, 5, 3, 4)),
    case("5x5 filter, four pixels in padding", x=(2, 2, 2, 5), weight=(5, 5, 5, 4), padding=2),
    case("5x5 filter, padding on one side", x=(1, 6, 5, 3), weight=(5, 5, 3, 4), padding=((0, 3), (4, 1))),
    case("5x5 filter, a channel more than a tile", x=(1, 6, 7, TILE + 1), weight=(5, 5, TILE + 1, WIDTH + 1), padding=2),
    case("5x5 filter, weights larger than the caches", x=(1, 4, 5, 180), weight=(5, 5, 180, 180), padding=2),
    case("5x5 filter, threads meet", x=(4, 12, 11, 20), weight=(5, 5, 20, WIDTH + 8), padding=2),
    bench("3x3, 64 to 64 channels", x=(64, 32, 32, 64), weight=(3, 3, 64, 64), padding=1),
    bench("5x5, 32 to 64 channels", x=(64, 28, 28, 32), weight=(5, 5, 32, 64), padding=2),
)

LARGE = case("threads meet", x=(4, 16, 16, 16), weight=(3, 3, 16, WIDTH + 8), padding=1)

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
    case("two parts of the channels", x=(1, 5, 6, 180), weight=(3, 3, 180, 5), padding=1),
    case("two parts of the channels in each of two groups", x=(1, 4, 5, 360), weight=(3, 3, 180, 4), groups=2, padding=1),
    case("parts of the channels, 1x1 with stride", x=(2, 5, 7, 1040), weight=(1, 1, 1040, 9), stride=(2, 3)),
    case("parts of the channels with stride", x=(1, 6, 7, 180), weight=(3, 3, 180, 260), stride=2, padding=1),
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
    case("a channel short of three vectors", x=(1, 4, 9, 3), weight=(2, 2, 3, 3 * LANES - 1)),
    case("three vectors of channels", x=(2, 4, 5, 3), weight=(2, 2, 3, 3 * LANES), padding=1),
    case("a channel short of four vectors", x=(1, 4, 8, 3), weight=(2, 2, 3, 4 * LANES - 1)),
    case("four vectors of channels, pixels one short of tiles", x=(2, 4, 6, 3), weight=(2, 2, 3, 4 * LANES), padding=1),
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
    LARGE,
    bench("5x5, 32 to 64 channels", x=(64, 28, 28, 32), weight=(5, 5, 32, 64), padding=2),
    bench("3x3, 128 to 128 channels", x=(64, 16, 16, 128), weight=(3, 3, 128, 128), padding=1),
    bench("first layer, 3 channels", x=(128, 32, 32, 3), weight=(3, 3, 3, 32), padding=1),
)

# Of a plain loop nest, which knows no tiles: each setting, and images that meet on several threads.
PLAIN = "batch of two", "without bias", "non-square image and filter", "stride drops a row and a column", \
    "stride larger than the filter", "padding wider than the filter", "padding and stride on one side", \
    "same padding with stride", "dilation of rows alone", "groups with stride and dilation", "groups of one output channel"
LOOPS = (
    *(one for one in CONVOLUTIONS if one.name in PLAIN),
    case("images, threads meet", x=(5, 4, 5, 6), weight=(3, 3, 6, 7), padding=1),
)

GRADIENTS_ALONE = (
    case("with ReLU", x=(2, 7, 6, 3), weight=(3, 3, 3, 4), relu=True),
    case("first layer without dx", x=(2, 7, 6, 3), weight=(3, 3, 3, 4), need_dx=False),
    case("frozen layer without dweight", x=(2, 7, 6, 3), weight=(3, 3, 3, 4), bias=False, need_dweight=False),
)


def transposed_arguments(draw: Draw, x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True, groups: int = 1,
                         **geometry: Any) -> Arguments:
    """Images, filters and bias."""
    return {"x": draw(*x), "weight": draw(*weight), "bias": draw(weight[2] * groups) if bias else None, "groups": groups,
            **geometry}


def transposed_backward_arguments(draw: Draw, x: tuple[int, ...], weight: tuple[int, ...], bias: bool = True,
                                  need_dx: bool = True, need_dweight: bool = True, **geometry: Any) -> Arguments:
    """Gradient of the result, images and filters."""
    y = reference.conv_transpose2d(np.zeros(x), np.zeros(weight), **geometry)
    return {"dy": draw(*y.shape), "x": draw(*x), "weight": draw(*weight), "need_dx": need_dx,
            "need_dweight": need_dweight, "need_dbias": bias, **geometry}


def transposed_error(a: Arguments) -> float:
    """Sums over filter and input channels."""
    return 1 + of_sum(a["weight"][:, :, 0].size)


def transposed_backward_error(a: Arguments) -> dict[str, float]:
    """Sums over filter and output channels, or over images and pixels."""
    return {"dx": of_sum(a["weight"][..., 0].size), "dweight": of_sum(a["x"][..., 0].size),
            "dbias": of_sum(a["dy"][..., 0].size)}


def transposed_size(a: Arguments) -> dict[str, float]:
    """As the sums of `transposed_error`."""
    return {"y": typical(a["weight"][:, :, 0].size, a["x"], a["weight"], of=np.max)}


def transposed_backward_size(a: Arguments) -> dict[str, float]:
    """As the sums of `transposed_backward_error`."""
    return {"dx": typical(a["weight"][..., 0].size, a["dy"], a["weight"], of=np.max),
            "dweight": typical(a["x"][..., 0].size, a["dy"], a["x"]), "dbias": typical(a["dy"][..., 0].size, a["dy"])}


def transposed_flops(a: Arguments, results: Arguments) -> int:
    """Two for each product."""
    return int(2 * a["x"].size * a["weight"][..., 0].size)


def transposed_backward_flops(a: Arguments, results: Arguments) -> int:
    """As many for dx as forward, and again for dweight."""
    return transposed_flops(a, results) * (a["need_dx"] + a["need_dweight"])


TRANSPOSED = (
    case("batch of two", x=(2, 5, 4, 3), weight=(3, 3, 4, 3)),
    case("without bias", x=(2, 5, 4, 3), weight=(3, 3, 4, 3), bias=False),
    case("one pixel", x=(2, 1, 1, 3), weight=(2, 3, 4, 3)),
    case("stride", x=(2, 4, 5, 3), weight=(2, 2, 4, 3), stride=2),
    case("stride larger than the filter", x=(2, 4, 5, 3), weight=(2, 2, 4, 3), stride=3),
    case("output padding", x=(2, 4, 5, 3), weight=(3, 3, 4, 3), stride=2, padding=1, output_padding=1),
    case("output padding of rows alone", x=(2, 4, 5, 3), weight=(3, 3, 4, 3), stride=(3, 2), output_padding=(2, 0)),
    case("output padding of less than the dilation", x=(2, 4, 5, 3), weight=(3, 2, 4, 3), dilation=(2, 3),
         output_padding=(1, 2)),
    case("output padding of several strides", x=(2, 4, 5, 3), weight=(2, 3, 4, 3), stride=2, dilation=6, padding=1,
         output_padding=5),
    case("output padding of a 1x1 filter", x=(2, 4, 5, 6), weight=(1, 1, 4, 6), dilation=3, output_padding=(2, 1)),
    case("output padding that gives back what the padding takes", x=(2, 4, 5, 6), weight=(1, 1, 4, 6), padding=(0, 1),
         dilation=3, output_padding=(0, 2)),
    case("output padding of a filter for each channel", x=(2, 4, 5, 6), weight=(3, 3, 1, 6), groups=6, dilation=2,
         output_padding=1),
    case("output padding of three vectors of channels", x=(2, 4, 5, 3 * LANES), weight=(3, 3, 3 * LANES, 3 * LANES),
         dilation=2, output_padding=1),
    case("padding", x=(2, 5, 4, 3), weight=(3, 3, 4, 3), padding=1),
    case("padding on one side", x=(2, 5, 4, 3), weight=(3, 3, 4, 3), stride=2, padding=((0, 1), (2, 0))),
    case("dilation", x=(2, 5, 4, 3), weight=(3, 2, 4, 3), dilation=2, stride=3),
    case("non-square image and filter", x=(2, 3, 6, 3), weight=(2, 5, 4, 3), padding=(0, 2)),
    case("two groups", x=(2, 4, 5, 6), weight=(3, 3, 2, 6), groups=2, stride=2, padding=1),
    case("1x1 filter", x=(2, 4, 5, 6), weight=(1, 1, 4, 6)),
    case("3x3 filter, 16 channels", x=(2, 7, 6, 16), weight=(3, 3, 16, 16), padding=1),
    case("threads meet", x=(4, 12, 13, 24), weight=(4, 4, 16, 24), stride=2, padding=1),
    bench("4x4, stride 2, 64 to 32 channels", x=(64, 16, 16, 64), weight=(4, 4, 32, 64), stride=2, padding=1),
)

ONE_GRADIENT_TRANSPOSED = (
    case("first layer without dx", x=(2, 5, 4, 3), weight=(3, 3, 4, 3), need_dx=False),
    case("frozen layer without dweight", x=(2, 5, 4, 3), weight=(3, 3, 4, 3), bias=False, need_dweight=False),
)


def convolution(algorithm: str | None, *cases: Case) -> tuple[Row, Row]:
    """Rows of a convolution and its gradients by one algorithm, or by the one that is chosen."""
    refuses = algorithm in (None, "loops")  # whose first case the faults change
    exact = algorithm not in (None, "winograd")
    bound, backward_bound = bounds(algorithm)
    forward = Row("conv2d", conv2d_arguments, cases, ("y",), bound,
                  exact=exact, algorithm=algorithm, wrt=("x", "weight", "bias"), differences=LINEAR, spoil="x",
                  blurs=algorithm == "winograd", flops=conv2d_flops, drawer=with_options(DRAWERS[algorithm]),
                  faults=CONV2D_FAULTS if refuses else ())
    alone = tuple(part for one in cases for part in one_gradient(one))
    backward = Row("conv2d_backward", conv2d_backward_arguments, (*alone, *GRADIENTS_ALONE) if refuses else alone,
                   ("dx", "dweight", "dbias"), backward_bound,
                   exact=exact, algorithm=algorithm, nonzero=0.1, spoil="dy", blurs=algorithm == "winograd",
                   flops=conv2d_backward_flops, drawer=with_gradients(DRAWERS[algorithm]),
                   faults=CONV2D_BACKWARD_FAULTS if refuses else ())
    return forward, backward


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
    bad("an addend of another shape", ShapeError, r"conv2d: add has shape \(2, 7, 6, 4\), expected \(2, 5, 4, 4\)",
        add=ones(2, 7, 6, 4)),
    bad("an addend in float64", DTypeError, r"conv2d: add is float64, expected float32", add=ones(2, 5, 4, 4, dtype=float)),
    bad("stride 0", ShapeError, r"conv2d: stride is 0, expected at least 1", stride=0),
    bad("negative stride", ShapeError, r"conv2d: stride is -1, expected at least 1", stride=(1, -1)),
    bad("dilation beyond 31 bits", ShapeError, r"conv2d: dilation is 2147483648, expected at most 2147483647",
        dilation=(1, 2**31)),
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
    bad("algorithm that does not fit", ShapeError,
        r"conv2d: algorithm is 'matmul', but the filter is 3x3, .* expected direct or few_channels or winograd or loops for",
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
    bad("an addend of another shape", ShapeError,
        r"conv2d_backward: add has shape \(2, 5, 4, 4\), expected \(2, 7, 6, 3\)", add=ones(2, 5, 4, 4)),
    bad("dy of another shape", ShapeError, r"conv2d_backward: dy has shape \(2, 7, 6, 4\), expected \(2, 5, 4, 4\)",
        dy=ones(2, 7, 6, 4)),
    bad("dy in float64", DTypeError, r"conv2d_backward: x is float32 and dy is float64", dy=ones(2, 5, 4, 4, dtype=float)),
    bad("y of another shape", ShapeError, r"conv2d_backward: dy has shape \(2, 5, 4, 4\), expected \(2, 5, 4, 1\)",
        y=ones(2, 5, 4, 1)),
    bad("y in float64", DTypeError, r"conv2d_backward: y is float64 and dy is float32", y=ones(2, 5, 4, 4, dtype=float)),
    bad("out of another shape", ShapeError, r"conv2d_backward: out has shape \(4, 3\), expected \(4,\)",
        out=(None, ones(4, 3))),
    bad("dy of integers", DTypeError, r"conv2d_backward: dy has dtype int64", dy=ones(2, 5, 4, 4, dtype=int)),
    bad("stride 0", ShapeError, r"conv2d_backward: stride is 0, expected at least 1", stride=0),
    bad("unknown algorithm", ValueError, r"conv2d_backward: algorithm is 'fast', expected one of auto", algorithm="fast"),
)

TRANSPOSED_FAULTS = (
    bad("x of rank 3", ShapeError, r"conv_transpose2d: x has 3 dimensions \(shape \(5, 4, 3\)\), expected 4",
        x=ones(5, 4, 3)),
    bad("weight of rank 2", ShapeError, r"conv_transpose2d: weight has 2 dimensions \(shape \(3, 4\)\), expected 4",
        weight=ones(3, 4)),
    bad("channel mismatch", ShapeError, r"conv_transpose2d: x has 5 channels \(shape .*\), weight .* expects 3",
        x=ones(2, 5, 4, 5)),
    bad("bias of another length", ShapeError, r"conv_transpose2d: bias has shape \(3,\), expected \(4,\)", bias=ones(3)),
    bad("mixed types", DTypeError, r"conv_transpose2d: weight is float64 and x is float32",
        weight=ones(3, 3, 4, 3, dtype=float)),
    bad("stride 0", ShapeError, r"conv_transpose2d: stride is 0, expected at least 1", stride=0),
    bad("output padding of a stride", ShapeError,
        r"conv_transpose2d: output_padding is 2, expected less than the stride 2 or the dilation 1", stride=2,
        output_padding=2),
    bad("output padding of a stride and a dilation", ShapeError,
        r"conv_transpose2d: output_padding is \(0, 2\), expected less than the stride 2 or the dilation 2", stride=2,
        dilation=2, output_padding=(0, 2)),
    bad("padding by name", ShapeError, r"conv_transpose2d: padding is 'same', expected an int", padding="same"),
    bad("padding that leaves nothing", ShapeError, r"conv_transpose2d: padding is 4, expected to leave some of the 7 rows",
        padding=4),
    bad("groups that divide nothing", ShapeError, r"conv_transpose2d: groups is 2, expected a divisor", groups=2),
)

TRANSPOSED_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError,
        r"conv_transpose2d_backward: dy has shape \(2, 5, 4, 4\), expected \(2, 7, 6, 4\)", dy=ones(2, 5, 4, 4)),
    bad("dy in float64", DTypeError, r"conv_transpose2d_backward: x is float32 and dy is float64",
        dy=ones(2, 7, 6, 4, dtype=float)),
)


# Filters of one pixel, of a line, square and oblong ones.
FILTERS = (1, 1), (1, 3), (4, 1), (2, 2), (2, 3), (3, 3), (3, 3), (5, 4)


def convolutions(random: Random, filters: tuple[tuple[int, int], ...] = FILTERS, steps: tuple[int, ...] = (1, 1, 2, 3, 4),
                 spaces: tuple[int, ...] = (1, 1, 1, 2, 3), names: tuple[str, ...] = ("same", "valid"),
                 kinds: tuple[str, ...] = ("one group", "one group", "groups", "depthwise")) -> dict[str, Any]:
    """Draw filters, strides, dilations, paddings (not even numbers where no name is given), channels and groups."""
    R, S = random.choice(filters)
    stride, strides = twice(random, *steps)
    dilation, dilations = twice(random, *spaces)
    extents = (R - 1) * dilations[0] + 1, (S - 1) * dilations[1] + 1
    around, padded = padding(random, extents, *names) if names else (0, (0, 0))
    H, W = (size(random, extents[axis], strides[axis], padded and padded[axis]) for axis in (0, 1))
    depth, width, groups = _channels(random, random.choice(kinds))
    settings = {"stride": stride, "padding": around, "dilation": dilation, "groups": groups}
    usual = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    return {"x": images(random, H, W, depth * groups), "weight": (R, S, depth, width * groups),
            **{name: value for name, value in settings.items() if value != usual[name] or chance(random, 0.5)}}


def _channels(random: Random, kind: str) -> tuple[int, int, int]:
    """Draw input and output channels of a group, and the number of groups."""
    if kind == "depthwise":
        return 1, 1, channels(random)
    if kind == "groups":
        return random.randint(1, 3), random.randint(1, 4), random.randint(2, 4)
    few, any_number = random.randint(1, 6), channels(random)
    return *random.choice(((few, any_number), (any_number, few))), 1


def with_options(draw: Drawer) -> Drawer:
    """Make a drawer of a convolution."""
    return lambda random: {**draw(random), **given(random, bias=(False,), relu=(False, True))}


def with_gradients(draw: Drawer) -> Drawer:
    """Make a drawer of its gradients."""
    return lambda random: {**draw(random), **given(random, bias=(False, True), relu=(False, True)),
                           **random.choice(({}, {}, {"need_dx": False}, {"need_dweight": False}))}


DRAWERS: dict[str | None, Drawer] = {
    None: convolutions,
    "direct": convolutions,
    "few_channels": functools.partial(convolutions, kinds=("one group",)),
    "winograd": functools.partial(convolutions, filters=((3, 3), (5, 5)), steps=(1,), spaces=(1,), kinds=("one group",)),
    "matmul": functools.partial(convolutions, filters=((1, 1),), steps=(1,), spaces=(1,), names=(), kinds=("one group",)),
    "depthwise": functools.partial(convolutions, kinds=("depthwise",)),
    "loops": convolutions,
}


def transposed(random: Random) -> dict[str, Any]:
    """Draw filters, strides, dilations, paddings of the result that leave some of it, channels and groups."""
    R, S = random.choice(FILTERS)
    stride, strides = twice(random, 1, 1, 2, 3, 4)
    dilation, dilations = twice(random, 1, 1, 2, 3)
    H, W = random.randint(1, 5), random.randint(1, 5)
    more = tuple(random.randrange(max(strides[axis], dilations[axis])) for axis in (0, 1)) if chance(random, 0.5) else (0, 0)
    full = [(pixels - 1) * strides[axis] + (extent - 1) * dilations[axis] + 1 + more[axis]
            for axis, (pixels, extent) in enumerate(((H, R), (W, S)))]
    around, _ = padding(random, ((full[0] - 1) // 2, (full[1] - 1) // 2))
    depth, width, groups = _channels(random, random.choice(("one group", "one group", "groups", "depthwise")))
    return {"x": images(random, H, W, width * groups), "weight": (R, S, depth, width * groups), "stride": stride,
            "dilation": dilation, "padding": around, "groups": groups,
            "output_padding": more, **given(random, bias=(False, True))}


def transposed_backward(random: Random) -> dict[str, Any]:
    """Draw a transposed convolution, and which gradients are wanted."""
    return {**transposed(random), **random.choice(({}, {}, {"need_dx": False}, {"need_dweight": False}))}


ROWS: tuple[Row, ...] = (
    *convolution(None, CONVOLUTIONS[0], POINTWISE[0], DEPTHWISE[0], BLOCKS[0], LARGE),
    *convolution("direct", *CONVOLUTIONS, *POINTWISE, *COPIED_PIXELS, *DEPTHWISE),
    *convolution("few_channels", *(one for one in CONVOLUTIONS if "groups" not in one.settings), *ROWS_OF_PIXELS),
    *convolution("winograd", *BLOCKS),
    *convolution("matmul", *POINTWISE),
    *convolution("depthwise", *DEPTHWISE),
    *convolution("loops", *LOOPS),
    Row("conv_transpose2d", transposed_arguments, TRANSPOSED, ("y",),
        Bound(transposed_error, factor=WINOGRAD, size=transposed_size), wrt=("x", "weight", "bias"), differences=LINEAR,
        spoil="x", blurs=True, flops=transposed_flops, faults=TRANSPOSED_FAULTS, drawer=transposed),
    Row("conv_transpose2d_backward", transposed_backward_arguments, (*TRANSPOSED, *ONE_GRADIENT_TRANSPOSED),
        ("dx", "dweight", "dbias"), Bound(transposed_backward_error, factor=WINOGRAD, size=transposed_backward_size),
        spoil="dy", blurs=True, nonzero=0.1, flops=transposed_backward_flops, faults=TRANSPOSED_BACKWARD_FAULTS,
        drawer=transposed_backward),
)
