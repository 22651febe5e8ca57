"""Pooling: cases, bad calls and rows."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import numpy as np

from .. import reference
from ..shapes import DTypeError, ShapeError
from .drawing import chance, channels, given, images, padding, size, small_images, twice
from .row import (
    EXACT,
    KINKED,
    LINEAR,
    WIDTH,
    Arguments,
    Bound,
    Draw,
    Row,
    bad,
    bench,
    case,
    elements,
    of_sum,
    ones,
    textbook,
    trivial,
    typical,
)


def pool_arguments(draw: Draw, x: tuple[int, ...], kernel_size: Any, ties: bool = False, nans: bool = False,
                   **geometry: Any) -> Arguments:
    """Images, on request with many equal pixels or with some NaN, and a window."""
    images = draw(*x)
    if ties and draw.kind != "spread":
        images = np.rint(images * (2 / np.abs(images).max()))
    if nans and draw.kind != "spread":
        images[draw.random.random(x) < 0.2] = np.nan
    return {"x": images, "kernel_size": kernel_size, **geometry}


def max_pool2d_backward_arguments(draw: Draw, relu: bool = False, **settings: Any) -> Arguments:
    """Gradient of the result, where the maxima lie, and the window; the result too where it was rectified."""
    forward = pool_arguments(draw, **settings)
    y, argmax = reference.max_pool2d(**forward, relu=relu)
    x = forward.pop("x")
    return {"dy": draw(*y.shape), "argmax": argmax, "x_shape": x.shape, "y": y if relu else None, **forward}


def avg_pool2d_backward_arguments(draw: Draw, x: tuple[int, ...], kernel_size: Any, **settings: Any) -> Arguments:
    """Gradient of the result; where it is whole numbers, they can be divided among the pixels of any window."""
    y = reference.avg_pool2d(np.zeros(x), kernel_size, **settings)
    R, S = np.broadcast_to(kernel_size, 2).tolist()
    shares = math.lcm(*range(1, R + 1)) * math.lcm(*range(1, S + 1)) if draw.kind == "integers" else 1
    return {"dy": draw(*y.shape) * draw.dtype.type(shares), "x_shape": x, "kernel_size": kernel_size, **settings}


def global_avg_pool2d_backward_arguments(draw: Draw, x: tuple[int, ...]) -> Arguments:
    """Gradient of the result; where it is whole numbers, they can be divided among the pixels."""
    pixels = x[1] * x[2] if draw.kind == "integers" else 1
    return {"dy": draw(x[0], x[3]) * draw.dtype.type(pixels), "x_shape": x}


def routed_size(a: Arguments) -> dict[str, float]:
    """Gradients of windows that share a pixel may cancel."""
    return {"dx": typical(1, a["dy"])}


def shared_size(a: Arguments) -> dict[str, float]:
    """Shares of windows that share a pixel may cancel."""
    return {"dx": typical(1, a["dy"]) / pixels_of(a, a["x_shape"])}


def window_error(a: Arguments) -> float:
    """Sums over a window."""
    return of_sum(math.prod(np.broadcast_to(a["kernel_size"], 2).tolist()))


def mean_size(a: Arguments) -> dict[str, float]:
    """A mean over a window, a part or an image may be small beside its pixels."""
    return {"y": typical(1 / pixels_of(a, a["x"].shape), a["x"])}


def pixels_of(a: Arguments, x_shape: tuple[int, ...]) -> int:
    """Pixels of a window, of the largest part, or of an image, which is one part."""
    if "kernel_size" in a:
        return math.prod(np.broadcast_to(a["kernel_size"], 2).tolist())
    parts = a["dy"].shape[1:3] if "dy" in a else np.broadcast_to(a.get("output_size", 1), 2).tolist()
    return math.prod(-(-size // count) + (size % count > 0) for size, count in zip(x_shape[1:3], parts, strict=True))


def plane_error(a: Arguments) -> float:
    """Sums over the pixels of an image."""
    return of_sum(a["x"][0, :, :, 0].size)


WINDOWS = (
    case("2x2", x=(2, 6, 8, 3), kernel_size=2),
    case("one pixel", x=(1, 1, 1, 3), kernel_size=1),
    case("one channel", x=(2, 4, 6, 1), kernel_size=2),
    case("window as large as the image", x=(3, 2, 3, 4), kernel_size=(2, 3)),
    case("non-square image and window", x=(2, 7, 10, 3), kernel_size=(2, 3), stride=(1, 2)),
    case("window of one row", x=(2, 4, 9, 3), kernel_size=(1, 4)),
    case("overlapping windows", x=(2, 7, 9, 3), kernel_size=3, stride=2),
    case("stride 1", x=(2, 5, 6, 3), kernel_size=3, stride=1),
    case("stride drops a row and a column", x=(2, 7, 8, 3), kernel_size=2, stride=(2, 3)),
    case("stride larger than the window", x=(2, 8, 9, 3), kernel_size=2, stride=3),
    case("a window begins at the end of the image, if there were one more", x=(2, 6, 4, 3), kernel_size=(2, 1),
         stride=(3, 2)),
    case("a window begins behind the end, if there were one more", x=(2, 5, 6, 3), kernel_size=3, stride=(5, 3)),
    case("padding", x=(2, 7, 6, 3), kernel_size=3, stride=2, padding=1),
    case("padding of half an even window", x=(2, 5, 6, 3), kernel_size=4, stride=2, padding=2),
    case("padding of rows alone", x=(2, 5, 6, 3), kernel_size=3, stride=1, padding=(1, 0)),
    case("padding on one side", x=(2, 5, 6, 3), kernel_size=3, stride=2, padding=((0, 1), (1, 0))),
    case("same padding", x=(2, 7, 6, 3), kernel_size=3, stride=2, padding="same"),
    case("same padding of an even window", x=(2, 5, 6, 3), kernel_size=2, stride=1, padding="same"),
    case("valid padding by name", x=(2, 5, 6, 3), kernel_size=2, padding="valid"),
    case("ceil_mode, window hanging over", x=(2, 6, 8, 3), kernel_size=3, stride=2, ceil_mode=True),
    case("ceil_mode, nothing left over", x=(2, 7, 9, 3), kernel_size=3, stride=2, ceil_mode=True),
    case("ceil_mode, hanging over the padding", x=(2, 6, 8, 3), kernel_size=3, stride=2, padding=1, ceil_mode=True),
    case("ceil_mode, no window begins in the padding", x=(1, 4, 4, 3), kernel_size=2, stride=3, padding=1, ceil_mode=True),
    case("ceil_mode, window larger than the image", x=(2, 2, 4, 3), kernel_size=3, stride=2, ceil_mode=True),
    case("ceil_mode, window larger than the padded image", x=(2, 2, 3, 3), kernel_size=(4, 6), stride=(3, 4), padding=(0, 1),
         ceil_mode=True),
    case("a channel short of a vector", x=(1, 4, 4, WIDTH // 2 - 1), kernel_size=2),
    case("one vector of channels", x=(1, 4, 4, WIDTH // 2), kernel_size=2),
    case("a channel more than a vector", x=(1, 4, 4, WIDTH // 2 + 1), kernel_size=2),
    case("many channels", x=(1, 3, 4, 130), kernel_size=2, stride=1),
    case("one image, threads meet", x=(1, 48, 40, 24), kernel_size=2),
    case("threads meet", x=(5, 24, 26, 24), kernel_size=3, stride=2, padding=1),
    case("images, threads meet", x=(5, 4, 6, 3), kernel_size=2),
    bench("2x2, 64 images of 32x32, 64 channels", x=(64, 32, 32, 64), kernel_size=2),
    bench("3x3, stride 2", x=(64, 32, 32, 64), kernel_size=3, stride=2, padding=1),
)

MAXIMA = (
    *WINDOWS,
    case("ties go to the first", x=(2, 6, 7, 3), kernel_size=3, stride=2, ties=True),
    case("NaN wins", x=(2, 6, 7, 3), kernel_size=2, stride=2, nans=True),
    case("dilation", x=(2, 8, 9, 3), kernel_size=2, stride=1, dilation=3),
    case("dilation with padding and stride", x=(2, 8, 9, 3), kernel_size=3, stride=2, dilation=2, padding=1),
    case("dilation of rows alone", x=(2, 8, 6, 3), kernel_size=(3, 2), dilation=(2, 1), ceil_mode=True),
    case("ceil_mode, dilated window larger than the image", x=(2, 4, 5, 3), kernel_size=3, stride=3, dilation=2,
         ceil_mode=True),
    case("with ReLU", x=(2, 6, 7, 3), kernel_size=2, relu=True),
    case("windows apart, with NaN", x=(2, 7, 8, 17), kernel_size=2, stride=3, nans=True),
    case("windows side by side", x=(3, 8, 6, 16), kernel_size=2),
    case("windows side by side, padding", x=(2, 9, 9, 5), kernel_size=3, padding=1),
    case("with ReLU, overlapping windows", x=(2, 7, 9, 5), kernel_size=3, stride=2, padding=1, relu=True),
    trivial("windows of padding alone", x=(2, 3, 5, 2), kernel_size=2, stride=1, padding=1, dilation=(4, 1)),
)

MEANS = (
    *WINDOWS,
    case("padding not counted", x=(2, 7, 6, 3), kernel_size=3, stride=2, padding=1, count_include_pad=False),
    case("padding of an even window not counted", x=(2, 5, 6, 3), kernel_size=4, stride=2, padding=2,
         count_include_pad=False),
    case("padding on one side not counted", x=(2, 5, 6, 3), kernel_size=3, padding=((0, 1), (1, 0)),
         count_include_pad=False),
    case("ceil_mode, overhang never counted", x=(2, 6, 8, 3), kernel_size=3, stride=2, padding=1, ceil_mode=True,
         count_include_pad=False),
    case("ceil_mode, window larger than the padded image, padding not counted", x=(2, 3, 2, 3), kernel_size=6, stride=3,
         padding=1, ceil_mode=True, count_include_pad=False),
)

# Of a plain loop nest, which knows no vectors: each setting, and images that meet on several threads.
PLAIN = ("2x2", "one pixel", "non-square image and window", "overlapping windows", "stride larger than the window",
         "padding of half an even window", "padding on one side", "same padding",
         "ceil_mode, hanging over the padding", "ceil_mode, window larger than the padded image", "images, threads meet")
OF_MAXIMA = ("ties go to the first", "NaN wins", "dilation with padding and stride", "with ReLU, overlapping windows",
             "windows of padding alone")
OF_MEANS = "padding on one side not counted", "ceil_mode, overhang never counted"

PLANES = (
    case("planes", x=(2, 4, 5, 3)),
    case("one pixel", x=(2, 1, 1, 3)),
    case("one channel", x=(3, 3, 4, 1)),
    case("one row", x=(2, 1, 7, 3)),
    case("a channel short of a vector", x=(1, 3, 3, WIDTH // 2 - 1)),
    case("a channel more than a vector", x=(1, 3, 3, WIDTH // 2 + 1)),
    case("many channels", x=(2, 2, 3, 257)),
    case("many pixels", x=(1, 31, 33, 2)),
    case("threads meet", x=(6, 16, 18, 40)),
    bench("64 images of 8x8, 512 channels", x=(64, 8, 8, 512)),
)


def adaptive_arguments(draw: Draw, x: tuple[int, ...], output_size: Any, **odd: bool) -> Arguments:
    """Images, on request with many equal pixels or with some NaN, and how many parts."""
    return {"x": pool_arguments(draw, x, output_size, **odd)["x"], "output_size": output_size}


def adaptive_max_pool2d_backward_arguments(draw: Draw, **settings: Any) -> Arguments:
    """Gradient of the result, and where the maxima lie."""
    forward = adaptive_arguments(draw, **settings)
    y, argmax = reference.adaptive_max_pool2d(**forward)
    return {"dy": draw(*y.shape), "argmax": argmax, "x_shape": forward["x"].shape}


def adaptive_avg_pool2d_backward_arguments(draw: Draw, x: tuple[int, ...], output_size: Any) -> Arguments:
    """Gradient of the result."""
    return {"dy": draw(x[0], *np.broadcast_to(output_size, 2).tolist(), x[3]), "x_shape": x}


def global_max_pool2d_backward_arguments(draw: Draw, x: tuple[int, ...]) -> Arguments:
    """Gradient of the result, and where the maxima lie."""
    return {"dy": draw(x[0], x[3]), "argmax": reference.global_max_pool2d(draw(*x))[1], "x_shape": x}


def part_error(a: Arguments) -> float:
    """Sums over a part, whose pixels are weighed one by one."""
    parts = np.broadcast_to(a["output_size"], 2)
    return 2 + of_sum(math.prod((-(-np.array(a["x"].shape[1:3]) // parts) + 1).tolist()))


PARTS = (
    case("parts of one size", x=(2, 6, 8, 3), output_size=(3, 4)),
    case("parts that share pixels", x=(2, 7, 8, 3), output_size=(3, 5)),
    case("more parts than pixels", x=(2, 3, 4, 3), output_size=(5, 7)),
    case("as many parts as pixels", x=(2, 3, 4, 3), output_size=(3, 4)),
    case("one part", x=(3, 5, 4, 3), output_size=1),
    case("one pixel", x=(2, 1, 1, 3), output_size=1),
    case("one channel", x=(2, 5, 6, 1), output_size=2),
    case("a channel more than a vector", x=(1, 4, 5, WIDTH // 2 + 1), output_size=3),
    case("threads meet", x=(5, 24, 26, 24), output_size=(7, 5)),
    bench("64 images of 32x32, 64 channels, to 7x7", x=(64, 32, 32, 64), output_size=7),
)

ADAPTIVE_MAXIMA = (
    *PARTS,
    case("ties go to the first", x=(2, 6, 7, 3), output_size=(3, 5), ties=True),
    case("NaN wins", x=(2, 6, 7, 3), output_size=3, nans=True),
)

WINDOW_FAULTS = (
    bad("x of rank 2", ShapeError, r"pool2d: x has 2 dimensions \(shape \(6, 8\)\), expected 4", x=ones(6, 8)),
    bad("empty batch", ShapeError, r"pool2d: x is empty \(shape \(0, 6, 8, 3\)\)", x=ones(0, 6, 8, 3)),
    bad("integers", DTypeError, r"pool2d: x has dtype int64, expected float32", x=ones(2, 6, 8, 3, dtype=int)),
    bad("window 0", ShapeError, r"pool2d: kernel_size is 0, expected at least 1", kernel_size=0),
    bad("window of three sizes", ShapeError, r"pool2d: kernel_size is \(2, 2, 1\), expected an int or a pair",
        kernel_size=(2, 2, 1)),
    bad("window larger than x", ShapeError, r"pool2d: kernel_size covers 7 rows, expected at most the 6", kernel_size=7),
    bad("window larger than x and a stride, in ceil_mode", ShapeError,
        r"pool2d: kernel_size covers 9 rows, expected at most the 6 of the padded x and less than a stride \(3\) more",
        kernel_size=9, stride=3, ceil_mode=True),
    bad("stride beyond 31 bits", ShapeError, r"pool2d: stride is 9223372036854775808, expected at most 2147483647",
        stride=2**63),
    bad("float window", DTypeError, r"pool2d: kernel_size is 2\.0, expected an integer", kernel_size=2.0),
    bad("stride 0", ShapeError, r"pool2d: stride is 0, expected at least 1", stride=0),
    bad("negative padding", ShapeError, r"pool2d: padding is -1, expected at least 0", padding=-1),
    bad("padding above half the window", ShapeError, r"pool2d: padding is 2, expected at most half of the kernel's 2 rows",
        padding=2),
    bad("padding by a wrong name", ShapeError, r"pool2d: padding is 'reflect', expected 'same'", padding="reflect"),
)

MAX_BACKWARD_FAULTS = (
    bad("argmax of another shape", ShapeError,
        r"max_pool2d_backward: argmax has shape \(2, 4, 3, 3\), expected \(2, 3, 4, 3\)",
        argmax=np.zeros((2, 4, 3, 3), np.int32)),
    bad("argmax of floats", DTypeError, r"max_pool2d_backward: argmax has dtype float32, expected", argmax=ones(2, 3, 4, 3)),
    bad("argmax outside the image", ValueError, r"max_pool2d_backward: argmax holds 0 to 48, expected positions 0 to 47",
        argmax=np.arange(72, dtype=np.int32).reshape(2, 3, 4, 3) % 49),
    bad("argmax -2", ValueError, r"max_pool2d_backward: argmax holds -2 to -2, expected positions 0 to 47",
        argmax=np.full((2, 3, 4, 3), -2, np.int32)),
    bad("more windows than fit", ShapeError,
        r"max_pool2d_backward: dy has shape \(2, 4, 4, 3\), expected at most 3 x 3 windows",
        dy=ones(2, 4, 4, 3), argmax=np.zeros((2, 4, 4, 3), np.int32), x_shape=(2, 2, 2, 3), kernel_size=None),
    bad("more rows of windows than fit", ShapeError,
        r"_backward: dy has shape \(2, 3, 4, 3\), expected at most 2 x 13 windows",
        argmax=np.zeros((2, 3, 4, 3), np.int32), x_shape=(2, 1, 12, 3), kernel_size=None),
    bad("more columns of windows than fit", ShapeError,
        r"_backward: dy has shape \(2, 3, 4, 3\), expected at most 13 x 2 windows",
        argmax=np.zeros((2, 3, 4, 3), np.int32), x_shape=(2, 12, 1, 3), kernel_size=None),
    bad("windows of another geometry", ShapeError,
        r"max_pool2d_backward: dy has shape \(2, 3, 4, 3\), expected \(2, 5, 7, 3\)", stride=1),
    bad("argmax of another window", ValueError,
        r"max_pool2d_backward: argmax\[0, 0, 1, 0\] is 0, expected a pixel of its window: rows 0 to 1, columns 2 to 3",
        argmax=np.zeros((2, 3, 4, 3), np.int32)),
    bad("argmax of padding in a window with pixels", ValueError,
        r"max_pool2d_backward: argmax\[0, 0, 0, 0\] is -1, expected a pixel of its window: rows 0 to 1, columns 0 to 1",
        argmax=np.full((2, 3, 4, 3), -1, np.int32)),
    bad("more pixels than argmax can count", ShapeError,
        r"max_pool2d_backward: x_shape has 2152960000 pixels .*, expected at most 2147483648", x_shape=(2, 46400, 46400, 3)),
    bad("other channels", ShapeError, r"max_pool2d_backward: dy has shape \(2, 3, 4, 3\), expected \(2, 3, 4, 5\)",
        x_shape=(2, 6, 8, 5)),
    bad("x_shape of rank 3", ShapeError, r"max_pool2d_backward: x_shape .*\(6, 8, 3\).* expected", x_shape=(6, 8, 3)),
)

AVG_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"avg_pool2d_backward: dy has shape \(2, 3, 4, 2\), expected \(2, 3, 4, 3\)",
        dy=ones(2, 3, 4, 2)),
    bad("dy of integers", DTypeError, r"avg_pool2d_backward: dy has dtype int64", dy=ones(2, 3, 4, 3, dtype=int)),
    bad("x_shape with 0", ShapeError, r"avg_pool2d_backward: x_shape .*0.* expected", x_shape=(0, 6, 8, 3)),
    bad("another stride than forward", ShapeError,
        r"avg_pool2d_backward: dy has shape .* expected \(2, 5, 7, 3\)", stride=1),
)

PLANE_FAULTS = (
    bad("x of rank 2", ShapeError, r"global_avg_pool2d: x has 2 dimensions \(shape \(4, 5\)\), expected 4", x=ones(4, 5)),
    bad("empty image", ShapeError, r"global_avg_pool2d: x is empty \(shape \(2, 0, 5, 3\)\)", x=ones(2, 0, 5, 3)),
)

PLANE_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"global_avg_pool2d_backward: dy has shape \(2, 4\), expected \(2, 3\)",
        dy=ones(2, 4)),
)

PART_FAULTS = (
    bad("x of rank 3", ShapeError, r"pool2d: x has 3 dimensions \(shape \(6, 8, 3\)\), expected 4", x=ones(6, 8, 3)),
    bad("integers", DTypeError, r"pool2d: x has dtype int64, expected float32", x=ones(2, 6, 8, 3, dtype=int)),
    bad("no parts", ShapeError, r"pool2d: output_size is 0, expected at least 1", output_size=0),
    bad("half a part", DTypeError, r"pool2d: output_size is 2\.5, expected an integer", output_size=2.5),
    bad("three sizes", ShapeError, r"pool2d: output_size is \(1, 2, 3\), expected an int or a pair", output_size=(1, 2, 3)),
)

PARTS_BACKWARD_FAULTS = (
    bad("dy of rank 2", ShapeError, r"_backward: dy has .*\(2, 3\).* expected", dy=ones(2, 3)),
    bad("dy of other channels", ShapeError, r"_backward: dy has shape .* expected \(2, ", dy=ones(2, 3, 4, 5)),
    bad("x_shape of rank 3", ShapeError, r"_backward: x_shape is \(6, 8, 3\), expected four sizes", x_shape=(6, 8, 3)),
)

GLOBAL_MAX_POOL2D_FAULTS = (
    bad("x of rank 2", ShapeError, r"global_max_pool2d: x has 2 dimensions \(shape \(4, 5\)\), expected 4",
        x=ones(4, 5)),
)

GLOBAL_MAX_POOL2D_BACKWARD_FAULTS = (
    bad("argmax outside the image", ValueError, r"global_max_pool2d_backward: argmax holds 20 to 20, expected positions",
        argmax=np.full((2, 3), 20, np.int32)),
    bad("argmax -1", ValueError, r"global_max_pool2d_backward: argmax holds -1, expected positions 0 to 19",
        argmax=np.full((2, 3), -1, np.int64)),
    bad("dy of another shape", ShapeError, r"global_max_pool2d_backward: dy has shape \(2, 4\), expected \(2, 3\)",
        dy=ones(2, 4)),
)

ADAPTIVE_MAX_POOL2D_BACKWARD_FAULTS = (
    *PARTS_BACKWARD_FAULTS,
    bad("argmax of another part", ValueError,
        r"_backward: argmax\[0, 0, 0, 0\] is 47, expected a pixel of its window: rows 0 to 1, columns 0 to 1",
        argmax=np.full((2, 3, 4, 3), 47)),
    bad("argmax -1", ValueError, r"_backward: argmax\[0, 0, 0, 0\] is -1, expected a pixel",
        argmax=np.full((2, 3, 4, 3), -1)),
)


def windows(random: Random, spaces: tuple[int, ...] = (1,)) -> dict[str, Any]:
    """Draw windows, strides (beyond the window too), dilations, paddings; a window may hang over, even the only one."""
    R, S = random.choice(((1, 1), (2, 2), (2, 2), (3, 3), (3, 3), (1, 3), (2, 1), (3, 2), (4, 5)))
    step, strides = random.choice((twice(random, 1, 2, 3, 4, 6), (None, (R, S))))
    dilation, dilations = twice(random, *spaces)
    extents = (R - 1) * dilations[0] + 1, (S - 1) * dilations[1] + 1
    around, padded = padding(random, (R // 2, S // 2), "same", "valid")
    ceil_mode = chance(random, 0.4)
    H, W = (_pixels(random, extents[axis], strides[axis], padded and padded[axis], ceil_mode) for axis in (0, 1))
    usual = {"stride": None, "padding": 0, "ceil_mode": False}
    settings = {"stride": step, "padding": around, "ceil_mode": ceil_mode}
    settings |= {} if dilations == (1, 1) else {"dilation": dilation}
    return {"x": images(random, H, W, channels(random)), "kernel_size": R if R == S and chance(random, 0.5) else (R, S),
            **{name: value for name, value in settings.items() if value != usual.get(name)}}


def _pixels(random: Random, extent: int, stride: int, padded: int | None, ceil_mode: bool) -> int:
    """Draw pixels for some windows, or for less than one that hangs over the end."""
    if ceil_mode and padded is not None and stride > 1 and chance(random, 0.2):
        return max(1, extent - random.randrange(stride) - padded)
    return size(random, extent, stride, padded)


def maxima(random: Random) -> dict[str, Any]:
    """Draw windows with dilation, many equal pixels, NaN and ReLU."""
    return {**windows(random, (1, 1, 2, 3)), **random.choice(({}, {}, {"ties": True}, {"nans": True})),
            **random.choice(({}, {}, {"relu": True}))}


def means(random: Random) -> dict[str, Any]:
    """Draw windows whose padding counts or not."""
    return {**windows(random), **given(random, count_include_pad=(False, False, True))}


def planes(random: Random) -> dict[str, Any]:
    """Draw whole images."""
    return {"x": small_images(random)}


def some_parts(random: Random) -> dict[str, Any]:
    """Draw images and a number of parts, fewer or more than there are pixels."""
    return {"x": small_images(random), "output_size": twice(random, 1, 2, 3, 4, 5, 7, 10)[0]}


def maxima_of_parts(random: Random) -> dict[str, Any]:
    """Draw parts, many equal pixels and NaN."""
    return {**some_parts(random), **random.choice(({}, {}, {"ties": True}, {"nans": True}))}


WINDOWED = (
    Row("max_pool2d", pool_arguments, MAXIMA, ("y", "argmax"), EXACT, exact=True, wrt=("x",), differences=KINKED, spoil="x",
        faults=WINDOW_FAULTS, drawer=maxima),
    Row("max_pool2d_backward", max_pool2d_backward_arguments, MAXIMA, ("dx",), Bound(3, size=routed_size), exact=True,
        nonzero=0.05, spoil="dy", faults=MAX_BACKWARD_FAULTS, drawer=maxima),
    Row("avg_pool2d", pool_arguments, MEANS, ("y",), Bound(window_error, size=mean_size), exact=True, wrt=("x",),
        differences=LINEAR, spoil="x", faults=WINDOW_FAULTS, drawer=means),
    Row("avg_pool2d_backward", avg_pool2d_backward_arguments, MEANS, ("dx",), Bound(window_error, size=shared_size),
        exact=True, spoil="dy", faults=AVG_BACKWARD_FAULTS, drawer=means),
)

ROWS: tuple[Row, ...] = (
    *WINDOWED,
    *(textbook(row, *PLAIN, *(OF_MAXIMA if row.operation.startswith("max") else OF_MEANS)) for row in WINDOWED),
    Row("global_avg_pool2d", elements, PLANES, ("y",), Bound(plane_error, size=mean_size), exact=True, wrt=("x",),
        differences=LINEAR, spoil="x", faults=PLANE_FAULTS, drawer=planes),
    Row("global_avg_pool2d_backward", global_avg_pool2d_backward_arguments, PLANES, ("dx",), Bound(1), exact=True,
        spoil="dy", faults=PLANE_BACKWARD_FAULTS, drawer=planes),
    Row("global_max_pool2d", elements, PLANES, ("y", "argmax"), EXACT, wrt=("x",), differences=KINKED, spoil="x",
        faults=GLOBAL_MAX_POOL2D_FAULTS, drawer=planes),
    Row("global_max_pool2d_backward", global_max_pool2d_backward_arguments, PLANES, ("dx",), EXACT, exact=True,
        nonzero=0.0005, spoil="dy", faults=GLOBAL_MAX_POOL2D_BACKWARD_FAULTS, drawer=planes),
    Row("adaptive_max_pool2d", adaptive_arguments, ADAPTIVE_MAXIMA, ("y", "argmax"), EXACT, exact=True, wrt=("x",),
        differences=KINKED, spoil="x", faults=PART_FAULTS, drawer=maxima_of_parts),
    Row("adaptive_max_pool2d_backward", adaptive_max_pool2d_backward_arguments, ADAPTIVE_MAXIMA, ("dx",),
        Bound(3, size=routed_size), exact=True, nonzero=0.02, spoil="dy", faults=ADAPTIVE_MAX_POOL2D_BACKWARD_FAULTS,
        drawer=maxima_of_parts),
    Row("adaptive_avg_pool2d", adaptive_arguments, PARTS, ("y",), Bound(part_error, size=mean_size), wrt=("x",),
        differences=LINEAR, spoil="x", faults=PART_FAULTS, drawer=some_parts),
    Row("adaptive_avg_pool2d_backward", adaptive_avg_pool2d_backward_arguments, PARTS, ("dx",),
        Bound(5, size=shared_size), spoil="dy", faults=PARTS_BACKWARD_FAULTS, drawer=some_parts),
)
