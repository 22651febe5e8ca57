"""Calls that must be refused: what is wrong, the type of the error, and what its message must say.

`FAULTS` has them by operation: each changes some arguments of the operation's first case in the registry. `REFUSALS` has
those of layers, optimizers, files and training. A message names the argument, what came and what was expected.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fastcnn

from .shapes import CheckpointError, DataFormatError, DTypeError, ShapeError

api: Any = fastcnn  # untyped: wrong arguments are the point


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
        r"conv2d: algorithm is 'matmul', expected direct or narrow or winograd for a 3x3 filter", algorithm="matmul"),
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
    bad("y of another shape", ShapeError, r"linear_backward: dy has shape \(5, 6\), expected \(5, 7\) \(the shape of y",
        y=ones(5, 7)),
    bad("out of another shape", ShapeError, r"linear_backward: out has shape \(7,\), expected \(7, 6\)",
        out=(ones(7), None)),
    bad("dy in float64", DTypeError, r"linear_backward: x is float32 and dy is float64", dy=ones(5, 6, dtype=float)),
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

PAD_FAULTS = (
    bad("x of rank 3", ShapeError, r"pad2d: x has 3 dimensions \(shape \(5, 6, 3\)\), expected 4", x=ones(5, 6, 3)),
    bad("negative padding", ShapeError, r"pad2d: padding is -1, expected at least 0", padding=-1),
    bad("padding by name", ShapeError, r"pad2d: padding is 'same', expected an int, \(rows, columns\)", padding="same"),
    bad("float padding", DTypeError, r"pad2d: padding is 1\.5, expected an integer", padding=1.5),
    bad("unknown mode", ValueError, r"pad2d: mode is 'circular', expected one of constant, reflect, replicate",
        mode="circular"),
    bad("mirrored too far", ShapeError, r"pad2d: padding is 5, expected less than the rows and columns of x \(3, 5, 6, 3\)",
        padding=5, mode="reflect"),
    bad("value of a string", DTypeError, r"pad2d: value is 'zero', expected a number", value="zero"),
)

SCALE_FAULTS = (
    bad("x of rank 3", ShapeError, r"upsample2d: x has 3 dimensions \(shape \(3, 4, 3\)\), expected 4", x=ones(3, 4, 3)),
    bad("scale 0", ShapeError, r"upsample2d: scale is 0, expected at least 1", scale=0),
    bad("scale 1.5", DTypeError, r"upsample2d: scale is 1\.5, expected an integer", scale=1.5),
    bad("unknown mode", ValueError, r"upsample2d: mode is 'cubic', expected one of nearest, bilinear", mode="cubic"),
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

CONCAT_FAULTS = (
    bad("no parts", DTypeError, r"concat: parts is \(\), expected a tuple of at least one array", parts=()),
    bad("one array", DTypeError, r"concat: parts is array.*, expected a tuple", parts=ones(2)),
    bad("other rows", ShapeError, r"concat: parts\[1\] has shape \(3, 2\), expected \(2, 2\)",
        parts=(ones(2, 3), ones(3, 2))),
    bad("mixed types", DTypeError, r"concat: parts\[1\] is float64 and parts\[0\] is float32",
        parts=(ones(2, 3), ones(2, 3, dtype=float))),
)

CONCAT_BACKWARD_FAULTS = (
    bad("other channels", ShapeError, r"concat_backward: dy has shape \(2, 3, 4, 9\), expected \(2, 3, 4, 5\)",
        channels=(2, 3)),
    bad("no channels", ShapeError, r"concat_backward: channels is 0, expected at least 1", channels=(0, 9)),
)

ELEMENT_FAULTS = (
    bad("integers", DTypeError, r": x has dtype int64, expected float32 or float64", x=ones(3, dtype=int)),
    bad("truth values", DTypeError, r": x has dtype bool, expected float32 or float64", x=ones(3, dtype=bool)),
    bad("complex numbers", DTypeError, r": x has dtype complex128, expected float32", x=ones(3, dtype=complex)),
    bad("nothing", ShapeError, r": x is empty \(shape \(0,\)\), expected at least one element", x=ones(0)),
    bad("a number", ShapeError, r": x .*shape \(\).* expected", x=np.float32(1)),
)

SUM_FAULTS = (
    bad("other shape", ShapeError, r"add: b has shape \(3, 5, 7\), expected \(2, 3, 5, 7\)", b=ones(3, 5, 7)),
    bad("mixed types", DTypeError, r"add: b is float64 and a is float32", b=ones(2, 3, 5, 7, dtype=float)),
    bad("integers", DTypeError, r"add: a has dtype int64, expected float32", a=ones(2, 3, 5, 7, dtype=int)),
)

BY_OUTPUT_FAULTS = (
    bad("dy of another shape", ShapeError, r"_backward: dy has shape \(3,\), expected \(", dy=ones(3)),
    bad("mixed types", DTypeError, r"_backward: y is float64 and dy is float32, expected one dtype",
        y=ones(2, 3, 5, 7, dtype=float)),
)

BY_INPUT_FAULTS = (
    bad("dy of another shape", ShapeError, r"_backward: dy has shape \(3,\), expected \(", dy=ones(3)),
    bad("mixed types", DTypeError, r"_backward: x is float64 and dy is float32, expected one dtype",
        x=ones(2, 3, 5, 7, dtype=float)),
)

NORM_FAULTS = (
    bad("x of rank 3", ShapeError, r"batch_norm: x .*\(4, 5, 6\).* expected", x=ones(4, 5, 6)),
    bad("empty batch", ShapeError, r"batch_norm: x is empty \(shape \(0, 4, 5, 6\)\)", x=ones(0, 4, 5, 6)),
    bad("one value per channel", ShapeError, r"batch_norm: x .*\(1, 1, 1, 6\).* expected", x=ones(1, 1, 1, 6)),
    bad("gamma of another length", ShapeError, r"batch_norm: gamma has shape \(5,\), expected \(6,\)", gamma=ones(5)),
    bad("beta of rank 2", ShapeError, r"batch_norm: beta has shape \(1, 6\), expected \(6,\)", beta=ones(1, 6)),
    bad("running_var of another length", ShapeError, r"batch_norm: running_var has shape \(7,\), expected \(6,\)",
        running_var=ones(7)),
    bad("gamma in float64", DTypeError, r"batch_norm: gamma is float64 and x is float32", gamma=ones(6, dtype=float)),
    bad("running_mean that cannot be written", DTypeError,
        r"batch_norm: running_mean is .* expected a C-contiguous, writable",
        running_mean=np.broadcast_to(np.float32(0), (6,))),
    bad("negative momentum", ValueError,
        r"batch_norm: momentum is -0\.1, expected a finite number of at least 0", momentum=-0.1),
    bad("momentum of two", ValueError, r"batch_norm: momentum is 2\.0, expected .* at most 1", momentum=2),
    bad("eps NaN", ValueError, r"batch_norm: eps is nan, expected a finite number", eps=math.nan),
    bad("an addend of another shape", ShapeError, r"batch_norm: add has shape \(3, 4, 5, 1\), expected \(3, 4, 5, 6\)",
        add=ones(3, 4, 5, 1)),
)

NORM_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"batch_norm_backward: dy has shape \(3, 4, 5, 7\), expected \(3, 4, 5, 6\)",
        dy=ones(3, 4, 5, 7)),
    bad("saved of another length", ShapeError, r"batch_norm_backward: saved.* shape \(5,\), expected \(6,\)",
        saved=(ones(5), ones(5))),
    bad("one saved array", DTypeError, r"batch_norm_backward: saved is 1 values, expected \(mean, inverse_std\)",
        saved=(ones(6),)),
    bad("saved is an array", DTypeError, r"batch_norm_backward: saved is a ndarray, expected \(mean, inverse_std\)",
        saved=ones(2, 6)),
    bad("saved in float64", DTypeError, r"batch_norm_backward: mean is float64 and dy is float32",
        saved=(ones(6, dtype=float), ones(6, dtype=float))),
    bad("one value per channel", ShapeError, r"batch_norm_backward: x has one value in each channel \(shape \(1, 6\)\)",
        x=ones(1, 6), dy=ones(1, 6)),
)

APART_FAULTS = (
    bad("gamma of another length", ShapeError, r"_norm: gamma has shape \(5,\), expected \(\d+,\)", gamma=ones(5)),
    bad("gamma in float64", DTypeError, r"_norm: gamma is float64 and x is float32", gamma=ones(6, dtype=float)),
    bad("beta of rank 2", ShapeError, r"_norm: beta has shape \(1, 6\), expected", beta=ones(1, 6)),
    bad("eps NaN", ValueError, r"_norm: eps is nan, expected a finite number", eps=math.nan),
)

APART_BACKWARD_FAULTS = (
    bad("dy of another shape", ShapeError, r"_norm_backward: dy has shape \(3, 4\), expected", dy=ones(3, 4)),
    bad("saved of another length", ShapeError, r"_norm_backward: saved mean has shape \(5,\), expected",
        saved=(ones(5), ones(5))),
    bad("three saved arrays", DTypeError, r"_norm_backward: saved is 3 values, expected \(mean, inverse_std\)",
        saved=(ones(5), ones(5), ones(5))),
    bad("nothing saved", DTypeError, r"_norm_backward: saved is a NoneType, expected \(mean, inverse_std\)", saved=None),
)

ENTROPY_FAULTS = (
    bad("logits of rank 1", ShapeError,
        r"cross_entropy: logits has 1 dimensions \(shape \(10,\)\), expected 2", logits=ones(10)),
    bad("empty batch", ShapeError, r"cross_entropy: logits is empty \(shape \(0, 10\)\)", logits=ones(0, 10)),
    bad("logits of integers", DTypeError, r"cross_entropy: logits has dtype int64", logits=ones(12, 10, dtype=int)),
    bad("label -1", ValueError, r"cross_entropy: labels\[0\] is -1, expected 0 to 9", labels=np.full(12, -1)),
    bad("label 10", ValueError, r"cross_entropy: labels\[11\] is 10, expected 0 to 9", labels=np.arange(12) // 11 * 10),
    bad("largest label there is", ValueError, r"cross_entropy: labels\[0\] is 9223372036854775807, expected 0 to 9",
        labels=np.full(12, np.iinfo(np.int64).max)),
    bad("labels of floats", DTypeError, r"cross_entropy: labels has dtype float32, expected", labels=ones(12)),
    bad("labels of truth values", DTypeError,
        r"cross_entropy: labels has dtype bool, expected", labels=ones(12, dtype=bool)),
    bad("other number of labels", ShapeError, r"cross_entropy: labels has shape \(11,\), expected \(12,\)",
        labels=np.zeros(11, np.int64)),
    bad("probabilities of another shape", ShapeError, r"cross_entropy: labels has shape \(12, 9\), expected \(12, 10\)",
        labels=ones(12, 9)),
    bad("probabilities in float64", DTypeError, r"cross_entropy: labels is float64 and logits is float32",
        labels=ones(12, 10, dtype=float)),
    bad("ignore_index with probabilities", ValueError, r"cross_entropy: ignore_index is 1, expected None",
        labels=ones(12, 10), ignore_index=1),
    bad("ignore_index is a float", DTypeError, r"cross_entropy: ignore_index is 0\.5, expected an integer",
        labels=np.full(12, -1), ignore_index=0.5),
    bad("weights of another length", ShapeError, r"cross_entropy: class_weight has shape \(9,\), expected \(10,\)",
        class_weight=ones(9)),
    bad("negative weights", ValueError,
        r"cross_entropy: class_weight holds -1\.0 to -1\.0, expected", class_weight=-ones(10)),
    bad("weights in float64", DTypeError, r"cross_entropy: class_weight is float64", class_weight=ones(10, dtype=float)),
    bad("smoothing above 1", ValueError,
        r"cross_entropy: label_smoothing is 1\.5, expected .* at most 1", label_smoothing=1.5),
    bad("smoothing NaN", ValueError, r"cross_entropy: label_smoothing is nan, expected a finite", label_smoothing=math.nan),
)

PAIR_FAULTS = (
    bad("target of another shape", ShapeError, r": target has shape \(2, 3\), expected \(2, 3, 5, 7\)", target=ones(2, 3)),
    bad("target of integers", DTypeError, r": target has dtype int64, expected float32", target=ones(2, 3, 5, 7, dtype=int)),
    bad("target in float64", DTypeError, r": target is float64 and .* is float32", target=ones(2, 3, 5, 7, dtype=float)),
)

LABEL_FAULTS = (
    bad("label -1", ValueError, r"_loss: labels\[0\] is -1, expected 0 to 9", labels=np.full(12, -1)),
    bad("label 10", ValueError, r"_loss: labels\[11\] is 10, expected 0 to 9", labels=np.arange(12) // 11 * 10),
    bad("labels of floats", DTypeError, r"_loss: labels has dtype float32, expected", labels=ones(12)),
    bad("probabilities for labels", DTypeError, r"_loss: labels has dtype float32, expected int64", labels=ones(12, 10)),
    bad("other number of labels", ShapeError, r"_loss: labels has shape \(11,\), expected \(12,\)",
        labels=np.zeros(11, np.int64)),
)

NLL_FAULTS = (
    *LABEL_FAULTS,
    bad("one row", ShapeError, r"nll_loss: log_probabilities has 1 dimensions \(shape \(10,\)\), expected 2",
        log_probabilities=ones(10)),
    bad("weights of another length", ShapeError, r"nll_loss: class_weight has shape \(9,\), expected \(10,\)",
        class_weight=ones(9)),
    bad("negative weights", ValueError, r"nll_loss: class_weight holds -1\.0 to -1\.0, expected", class_weight=-ones(10)),
    bad("ignore_index is a float", DTypeError, r"nll_loss: ignore_index is 0\.5, expected an integer",
        labels=np.full(12, -1), ignore_index=0.5),
)

HINGE_FAULTS = (
    *LABEL_FAULTS,
    bad("scores of integers", DTypeError, r"hinge_loss: scores has dtype int64", scores=ones(12, 10, dtype=int)),
    bad("negative margin", ValueError, r"hinge_loss: margin is -1\.0, expected a finite number of at least 0", margin=-1),
)

L2_FAULTS = (
    bad("gradient of another shape", ShapeError, r"l2_penalty: gradient has shape \(38,\), expected \(37,\)",
        gradient=ones(38)),
    bad("gradient is a list", DTypeError, r"l2_penalty: gradient is a list, expected a C-contiguous", gradient=[1.0]),
    bad("negative weight", ValueError, r"l2_penalty: weight is -1\.0, expected a finite number of at least 0", weight=-1),
)

DROPOUT_FAULTS = (
    bad("p above 1", ValueError, r"dropout: p is 1\.5, expected .* below 1", p=1.5),
    bad("p of 1", ValueError, r"dropout: p is 1\.0, expected .* below 1", p=1.0),
    bad("negative p", ValueError, r"dropout: p is -0\.1, expected a finite number of at least 0", p=-0.1),
    bad("p NaN", ValueError, r"dropout: p is nan, expected a finite number", p=math.nan),
    bad("p a string", DTypeError, r"dropout: p is 'half', expected a finite number", p="half"),
    bad("float seed", DTypeError, r"dropout: seed is 0\.5, expected an integer", seed=0.5),
    bad("integers", DTypeError, r"dropout: x has dtype int64, expected float32", x=ones(3, dtype=int)),
)

DROPOUT_BACKWARD_FAULTS = (
    bad("mask of another shape", ShapeError,
        r"dropout_backward: (mask|dy) has shape .*, expected", mask=ones(3, dtype=bool)),
    bad("mask of floats", DTypeError, r"dropout_backward: mask has dtype float32, expected bool", mask=ones(2, 3, 5, 7)),
    bad("a number", ShapeError, r"dropout_backward: dy is a single number", dy=np.float32(1), mask=np.bool_(True)),
)

DROPOUT2D_FAULTS = (
    bad("rows", ShapeError, r"dropout2d: x has 2 dimensions \(shape \(3, 7\)\), expected 4", x=ones(3, 7)),
    bad("p of 1", ValueError, r"dropout2d: p is 1\.0, expected .* below 1", p=1.0),
    bad("float seed", DTypeError, r"dropout2d: seed is 0\.5, expected an integer", seed=0.5),
)

DROPOUT2D_BACKWARD_FAULTS = (
    bad("mask of another shape", ShapeError, r"dropout2d_backward: mask has shape \(3,\), expected \(3, 7\)",
        mask=ones(3, dtype=bool)),
    bad("mask of floats", DTypeError, r"dropout2d_backward: mask has dtype float32, expected bool", mask=ones(3, 7)),
)

BUFFER_FAULTS = (
    bad("gradient of another shape", ShapeError, r": gradient has shape \(38,\), expected \(37,\)", gradient=ones(38)),
    bad("gradient in float64", DTypeError,
        r": gradient is float64 and parameter is float32", gradient=ones(37, dtype=float)),
    bad("parameter of integers", DTypeError,
        r": parameter is a int64 array, expected a C-contiguous", parameter=ones(37, dtype=int)),
    bad("parameter is a list", DTypeError, r": parameter is a list, expected a C-contiguous", parameter=[1.0]),
    bad("parameter with gaps", DTypeError,
        r": parameter is a float32 array, expected a C-contiguous", parameter=ones(74)[::2]),
    bad("learning rate NaN", ValueError, r": lr is nan, expected a finite number of at least 0", lr=math.nan),
    bad("negative learning rate", ValueError, r": lr is -1\.0, expected a finite number of at least 0", lr=-1),
    bad("infinite learning rate", ValueError, r": lr is inf, expected a finite number of at least 0", lr=math.inf),
    bad("learning rate None", DTypeError, r": lr is None, expected a finite number of at least 0", lr=None),
    bad("negative decay", ValueError, r": weight_decay is -0\.1, expected a finite number", weight_decay=-0.1),
    bad("scale NaN", ValueError, r": scale is nan, expected a finite number of at least 0", scale=math.nan),
    bad("gradient to set to zero is a list", DTypeError, r": gradient is a list, expected a C-contiguous",
        gradient=[1.0] * 37, zero=True),
)

BATCH_FAULTS = (
    bad("float images", DTypeError, r"gather: images has dtype float32, expected uint8", images=ones(9, 4, 5, 3)),
    bad("images of rank 3", ShapeError, r"gather: images has 3 dimensions", images=ones(4, 5, 3, dtype=np.uint8)),
    bad("index -1", ValueError, r"gather: index\[0\] is -1, expected 0 to 8", index=np.array([-1])),
    bad("index beyond the images", ValueError, r"gather: index\[1\] is 9, expected 0 to 8", index=np.array([0, 9])),
    bad("float index", DTypeError, r"gather: index has dtype float64, expected", index=np.array([0.5])),
    bad("no index", ShapeError, r"gather: index has shape \(0,\), expected \(N,\) with N of at least 1",
        index=np.zeros(0, np.int64)),
    bad("mean of another length", ShapeError, r"gather: mean has shape \(1,\), expected \(3,\)", mean=ones(1)),
    bad("std 0", ValueError, r"gather: std holds 0\.0, expected numbers above 0", std=np.zeros(3, np.float32)),
    bad("std NaN", ValueError, r"gather: std holds nan, expected numbers above 0", std=np.full(3, np.nan, np.float32)),
)



def changes(**fields: Any) -> np.ndarray:
    """Give records for nine images that change nothing, but for what is at fault in all of them."""
    records = np.zeros(9, api.functional.CHANGE)
    for name, value in {"matrix": np.eye(2), "gain": 1, "share": 1, **fields}.items():
        records[name] = value
    return records


CHANGE_FAULTS = (
    bad("images of integers", DTypeError, r"augment: images has dtype int64, expected float32",
        images=ones(9, 6, 7, 3, dtype=int)),
    bad("images of rank 3", ShapeError, r"augment: images has 3 dimensions", images=ones(6, 7, 3, dtype=np.uint8)),
    bad("no images", ShapeError, r"augment: images is empty", images=ones(0, 6, 7, 3, dtype=np.uint8)),
    bad("index -1", ValueError, r"augment: index\[0\] is -1, expected 0 to 8", index=np.array([-1])),
    bad("index beyond the images", ValueError, r"augment: index\[1\] is 9, expected 0 to 8", index=np.array([0, 9])),
    bad("no index", ShapeError, r"augment: index has shape \(0,\), expected \(N,\)", index=np.zeros(0, np.int64)),
    bad("std 0", ValueError, r"augment: std holds 0\.0, expected numbers above 0", std=np.zeros(3, np.float32)),
    bad("mean of another length", ShapeError, r"augment: mean has shape \(1,\), expected \(3,\)", mean=ones(1)),
    bad("numbers for changes", DTypeError, r"augment: changes has dtype float32, expected functional\.CHANGE",
        changes=ones(9)),
    bad("other records", DTypeError, r"augment: changes has dtype \[\('gain', '<f8'\)\], expected functional\.CHANGE",
        changes=ones(9, dtype=[("gain", float)])),
    bad("changes of the batch", ShapeError, r"augment: changes has shape \(7,\), expected \(9,\) \(one for each image",
        changes=changes()[:7]),
    bad("a matrix of NaN", ValueError, r"augment: changes hold a matrix from nan to nan, expected numbers from -1e\+06",
        changes=changes(matrix=np.nan)),
    bad("a matrix beyond all bounds", ValueError, r"augment: changes hold a matrix from 1e\+300 to",
        changes=changes(matrix=1e300)),
    bad("an infinite shift", ValueError, r"augment: changes hold a shift from inf to inf", changes=changes(shift=np.inf)),
    bad("an infinite gain", ValueError, r"augment: changes hold a gain from -inf to -inf", changes=changes(gain=-np.inf)),
    bad("a lift of NaN", ValueError, r"augment: changes hold a lift from nan", changes=changes(lift=np.nan)),
    bad("a share above 1", ValueError, r"augment: changes hold a share from 1\.5 to 1\.5, expected numbers from 0 to 1",
        changes=changes(share=1.5)),
    bad("a share of NaN", ValueError, r"augment: changes hold a share from nan to nan", changes=changes(share=np.nan)),
    bad("a partner beyond the images", ValueError, r"augment: partner\[0\] is 9, expected 0 to 8",
        changes=changes(share=0.5, partner=9)),
    bad("partner -1", ValueError, r"augment: partner\[0\] is -1, expected 0 to 8", changes=changes(share=0.5, partner=-1)),
    bad("dtype of integers", DTypeError, r"augment: dtype is int64, expected float32 or float64", dtype=np.int64),
    bad("out of another shape", ShapeError, r"augment: out has shape \(9, 6, 7, 3\), expected \(7, 6, 7, 3\)",
        out=ones(9, 6, 7, 3)),
)

FAULTS = {
    "conv2d": CONV2D_FAULTS,
    "conv2d_backward": CONV2D_BACKWARD_FAULTS,
    "linear": LINEAR_FAULTS,
    "linear_backward": LINEAR_BACKWARD_FAULTS,
    "max_pool2d": WINDOW_FAULTS,
    "max_pool2d_backward": MAX_BACKWARD_FAULTS,
    "avg_pool2d": WINDOW_FAULTS,
    "avg_pool2d_backward": AVG_BACKWARD_FAULTS,
    "conv_transpose2d": TRANSPOSED_FAULTS,
    "conv_transpose2d_backward": TRANSPOSED_BACKWARD_FAULTS,
    "adaptive_max_pool2d": PART_FAULTS,
    "adaptive_avg_pool2d": PART_FAULTS,
    "global_max_pool2d": (
        bad("x of rank 2", ShapeError, r"global_max_pool2d: x has 2 dimensions \(shape \(4, 5\)\), expected 4",
            x=ones(4, 5)),
    ),
    "adaptive_max_pool2d_backward": (
        *PARTS_BACKWARD_FAULTS,
        bad("argmax of another part", ValueError,
            r"_backward: argmax\[0, 0, 0, 0\] is 47, expected a pixel of its window: rows 0 to 1, columns 0 to 1",
            argmax=np.full((2, 3, 4, 3), 47)),
        bad("argmax -1", ValueError, r"_backward: argmax\[0, 0, 0, 0\] is -1, expected a pixel",
            argmax=np.full((2, 3, 4, 3), -1)),
    ),
    "adaptive_avg_pool2d_backward": PARTS_BACKWARD_FAULTS,
    "global_max_pool2d_backward": (
        bad("argmax outside the image", ValueError, r"global_max_pool2d_backward: argmax holds 20 to 20, expected positions",
            argmax=np.full((2, 3), 20, np.int32)),
        bad("argmax -1", ValueError, r"global_max_pool2d_backward: argmax holds -1, expected positions 0 to 19",
            argmax=np.full((2, 3), -1, np.int64)),
        bad("dy of another shape", ShapeError, r"global_max_pool2d_backward: dy has shape \(2, 4\), expected \(2, 3\)",
            dy=ones(2, 4)),
    ),
    "pad2d": PAD_FAULTS,
    "pad2d_backward": (
        bad("dy of another shape", ShapeError, r"pad2d_backward: dy has shape \(3, 5, 6, 3\), expected \(3, 7, 8, 3\)",
            dy=ones(3, 5, 6, 3)),
        bad("unknown mode", ValueError, r"pad2d_backward: mode is 'wrap', expected one of constant", mode="wrap"),
    ),
    "upsample2d": SCALE_FAULTS,
    "upsample2d_backward": (
        bad("dy of another shape", ShapeError, r"upsample2d_backward: dy has shape \(2, 3, 4, 3\), expected \(2, 6, 8, 3\)",
            dy=ones(2, 3, 4, 3)),
        bad("dy of integers", DTypeError, r"upsample2d_backward: dy has dtype int64", dy=ones(2, 6, 8, 3, dtype=int)),
    ),
    "concat": CONCAT_FAULTS,
    "concat_backward": CONCAT_BACKWARD_FAULTS,
    "dropout2d": DROPOUT2D_FAULTS,
    "dropout2d_backward": DROPOUT2D_BACKWARD_FAULTS,
    "global_avg_pool2d": PLANE_FAULTS,
    "global_avg_pool2d_backward": PLANE_BACKWARD_FAULTS,
    **dict.fromkeys(("relu", "sigmoid", "tanh", "gelu", "silu", "selu", "hardswish", "mish", "softmax", "log_softmax"),
                    ELEMENT_FAULTS),
    "add": SUM_FAULTS,
    "leaky_relu": (*ELEMENT_FAULTS, bad("negative slope", ValueError, r"leaky_relu: slope is -1\.0, expected", slope=-1)),
    "elu": (*ELEMENT_FAULTS, bad("alpha NaN", ValueError, r"elu: alpha is nan, expected a finite number", alpha=math.nan)),
    **dict.fromkeys(("relu_backward", "leaky_relu_backward", "sigmoid_backward", "tanh_backward", "elu_backward",
                     "selu_backward", "softmax_backward", "log_softmax_backward"), BY_OUTPUT_FAULTS),
    **dict.fromkeys(("gelu_backward", "silu_backward", "softplus_backward", "hardswish_backward", "mish_backward"),
                    BY_INPUT_FAULTS),
    "softplus": (
        *ELEMENT_FAULTS,
        bad("beta 0", ValueError, r"softplus: beta is 0\.0, expected a finite number of at least 1e-30", beta=0),
        bad("threshold NaN", ValueError, r"softplus: threshold is nan, expected a finite", threshold=math.nan),
    ),
    "prelu": (
        *ELEMENT_FAULTS[:-1],
        bad("slopes of other channels", ShapeError, r"prelu: slope has shape \(5,\), expected \(7,\)", slope=ones(5)),
        bad("slopes of rank 2", ShapeError, r"prelu: slope has shape \(1, 7\), expected \(7,\)", slope=ones(1, 7)),
        bad("slopes in float64", DTypeError, r"prelu: slope is float64 and x is float32", slope=ones(7, dtype=float)),
    ),
    "prelu_backward": (
        *BY_INPUT_FAULTS,
        bad("slopes of other channels", ShapeError, r"prelu_backward: slope has shape \(5,\)", slope=ones(5)),
    ),
    "batch_norm": NORM_FAULTS,
    "batch_norm_backward": NORM_BACKWARD_FAULTS,
    "layer_norm": APART_FAULTS,
    "layer_norm_backward": APART_BACKWARD_FAULTS,
    "group_norm": (
        *APART_FAULTS,
        bad("groups that divide nothing", ShapeError, r"group_norm: groups is 4, expected a divisor of the 6", groups=4),
        bad("x of rank 3", ShapeError, r"group_norm: x .*\(4, 5, 6\).* expected", x=ones(4, 5, 6)),
    ),
    "group_norm_backward": APART_BACKWARD_FAULTS,
    "cross_entropy": ENTROPY_FAULTS,
    "mse_loss": PAIR_FAULTS,
    "l1_loss": PAIR_FAULTS,
    "huber_loss": (*PAIR_FAULTS, bad("delta 0", ValueError, r"huber_loss: delta is 0\.0, expected", delta=0)),
    "nll_loss": NLL_FAULTS,
    "hinge_loss": HINGE_FAULTS,
    "l2_penalty": L2_FAULTS,
    "binary_cross_entropy": PAIR_FAULTS,
    "dropout": DROPOUT_FAULTS,
    "dropout_backward": DROPOUT_BACKWARD_FAULTS,
    **dict.fromkeys(("sgd", "adam", "rmsprop", "adagrad", "adadelta", "adamax", "lion"), BUFFER_FAULTS),
    "clip_values": (
        bad("gradient is a list", DTypeError, r"clip_values: gradient is a list, expected a C-contiguous", gradient=[1.0]),
        bad("negative limit", ValueError, r"clip_values: limit is -1\.0, expected a finite number of at least 0", limit=-1),
    ),
    "clip_norms": (
        bad("weight is a list", DTypeError, r"clip_norms: weight is a list, expected a C-contiguous", weight=[[1.0]]),
        bad("a vector", ShapeError, r"clip_norms: weight has shape \(9,\), expected \(\.\.\., K\)", weight=ones(9)),
        bad("no filters", ShapeError, r"clip_norms: weight is empty", weight=ones(9, 0)),
        bad("negative norm", ValueError, r"clip_norms: limit is -1\.0, expected a finite number of at least 0", limit=-1),
        bad("norm NaN", ValueError, r"clip_norms: limit is nan, expected a finite number", limit=math.nan),
    ),
    "gradient_norm": (
        bad("gradient of integers", DTypeError, r"gradient_norm: gradient has dtype int64", gradient=ones(37, dtype=int)),
        bad("no gradient", ShapeError, r"gradient_norm: gradient is empty", gradient=ones(0)),
    ),
    "gather": BATCH_FAULTS,
    "augment": CHANGE_FAULTS,
}


# Layers, optimizers, files, training ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    """A call beyond single operations: `given` makes its argument from an empty folder, `call` is refused."""

    name: str
    error: type[Exception]
    pattern: str
    call: Callable[[Any], Any]
    given: Callable[[Path], Any] = lambda folder: folder


def network() -> Any:
    """Make a network for images of 2x2 pixels and three classes."""
    return api.nn.Sequential(api.nn.Flatten(), api.nn.Linear(12, 3))


def parameters() -> Any:
    """Make something to optimize."""
    return network().parameters()


def train(images: Any = None, labels: Any = None, **options: Any) -> Any:
    """Train on eight images, but for what is at fault."""
    images = ones(8, 2, 2, 3) if images is None else images
    labels = np.arange(8) % 3 if labels is None else labels
    return api.fit(network(), (images, labels), **{"epochs": 1, "batch_size": 4, "progress": False, **options})


def few() -> Any:
    """Make a data set of eight images."""
    return api.data.Split(ones(8, 2, 2, 3), np.arange(8) % 3)


def load(path: Path) -> Any:
    """Load a model."""
    return api.load(path)


def saved(folder: Path) -> Path:
    """Save a model."""
    path = folder / "model.safetensors"
    api.save(api.models.create("lenet5", (28, 28, 1), 10), path)
    return path


def cut(count: int) -> Callable[[Path], Path]:
    """Save a model, and cut the end off the file."""

    def given(folder: Path) -> Path:
        path = saved(folder)
        path.write_bytes(path.read_bytes()[:-count])
        return path

    return given


def flipped(folder: Path) -> Path:
    """Save a model, and change one bit near the end of the file."""
    path = saved(folder)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(bytes(content))
    return path


def of_another_model(folder: Path) -> tuple[Path, Any]:
    """Save a model, and make a network that it does not fit."""
    return saved(folder), network()


def written(name: str, content: bytes) -> Callable[[Path], Path]:
    """Write a file of these bytes."""

    def given(folder: Path) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return given


IMAGES, LABELS = struct.pack(">4I", 2051, 2, 28, 28), struct.pack(">2I", 2049, 2)


def mnist(*, images: bytes = IMAGES + bytes(2 * 784), labels: bytes = LABELS + b"\3\4") -> Callable[[Path], Path]:
    """Write MNIST with two images in each split; the training files may be at fault."""

    def given(folder: Path) -> Path:
        written("mnist/train-images-idx3-ubyte", images)(folder)
        written("mnist/train-labels-idx1-ubyte", labels)(folder)
        written("mnist/t10k-images-idx3-ubyte", IMAGES + bytes(2 * 784))(folder)
        written("mnist/t10k-labels-idx1-ubyte", LABELS + b"\3\4")(folder)
        return folder

    return given


def load_mnist(folder: Path) -> Any:
    """Load what lies in the folder."""
    return api.data.load("mnist", folder, download=False)


def cifar_with_a_folder(folder: Path) -> Path:
    """Write CIFAR-10 with a folder where the test images should be."""
    for number in range(1, 6):
        written(f"cifar10/data_batch_{number}.bin", bytes(3073))(folder)
    (folder / "cifar10" / "test_batch.bin").mkdir()
    return folder


def fetch_from_nowhere(folder: Path) -> Any:
    """Download from an address where nobody listens."""
    from .data.download import fetch
    from .data.sources import RemoteFile

    return fetch(RemoteFile("train.bin", 10, "0" * 64, ("https://127.0.0.1:9/train.bin",)), folder)


LAYER_REFUSALS = (
    Refusal("no channels", ShapeError, r"Conv2D: in_channels is 0, expected at least 1",
            lambda _: api.nn.Conv2D(0, 4, 3)),
    Refusal("float channels", DTypeError, r"Conv2D: out_channels is 4\.0, expected an integer",
            lambda _: api.nn.Conv2D(3, 4.0, 3)),
    Refusal("filter of size 0", ShapeError, r"Conv2D: kernel_size is 0, expected at least 1",
            lambda _: api.nn.Conv2D(3, 4, 0)),
    Refusal("layer with stride 0", ShapeError, r"Conv2D: stride is 0, expected at least 1",
            lambda _: api.nn.Conv2D(3, 4, 3, stride=0)),
    Refusal("layer with negative padding", ShapeError, r"Conv2D: padding is -1, expected at least 0",
            lambda _: api.nn.Conv2D(3, 4, 3, padding=-1)),
    Refusal("layer with padding by a wrong name", ShapeError, r"Conv2D: padding is 'full', expected 'same'",
            lambda _: api.nn.Conv2D(3, 4, 3, padding="full")),
    Refusal("layer with groups that divide nothing", ShapeError, r"Conv2D: groups is 2, expected a divisor of in_channels 3",
            lambda _: api.nn.Conv2D(3, 4, 3, groups=2)),
    Refusal("layer with unknown algorithm", ValueError, r"Conv2D: algorithm is 'fft', expected one of auto",
            lambda _: api.nn.Conv2D(3, 4, 3, algorithm="fft")),
    Refusal("no features", ShapeError, r"Linear: in_features is 0, expected at least 1", lambda _: api.nn.Linear(0, 3)),
    Refusal("features of a string", DTypeError, r"Linear: out_features is '3', expected an integer",
            lambda _: api.nn.Linear(4, "3")),
    Refusal("reshaped to nothing", ShapeError, r"Reshape: shape is 0, expected at least 1", lambda _: api.nn.Reshape(4, 0)),
    Refusal("reshaped to other elements", ShapeError, r"Reshape: x has shape \(2, 12\), expected .* 8 elements",
            lambda _: api.nn.Reshape(2, 4)(ones(2, 12))),
    Refusal("norm without channels", ShapeError, r"BatchNorm: channels is 0, expected at least 1",
            lambda _: api.nn.BatchNorm(0)),
    Refusal("norm with momentum 2", ValueError, r"BatchNorm: momentum is 2\.0, expected .* at most 1",
            lambda _: api.nn.BatchNorm(4, momentum=2)),
    Refusal("window of size 0", ShapeError, r"MaxPool2D: kernel_size is 0, expected at least 1",
            lambda _: api.nn.MaxPool2D(0)),
    Refusal("padding above half the window", ShapeError, r"AvgPool2D: padding is 2, expected at most half of kernel_size 2",
            lambda _: api.nn.AvgPool2D(2, padding=2)),
    Refusal("dropping everything", ValueError, r"Dropout: p is 1\.0, expected .* below 1", lambda _: api.nn.Dropout(1)),
    Refusal("dropping a string", DTypeError, r"Dropout: p is 'half', expected a finite number",
            lambda _: api.nn.Dropout("half")),
    Refusal("negative slope", ValueError, r"LeakyReLU: slope is -1\.0, expected", lambda _: api.nn.LeakyReLU(-1)),
    Refusal("no slopes", ShapeError, r"PReLU: channels is 0, expected at least 1", lambda _: api.nn.PReLU(0)),
    Refusal("softplus of beta 0", ValueError, r"Softplus: beta is 0\.0, expected", lambda _: api.nn.Softplus(0)),
    Refusal("a corner of no size", ValueError, r"HuberLoss: delta is 0\.0, expected", lambda _: api.nn.HuberLoss(0)),
    Refusal("margin NaN", ValueError, r"HingeLoss: margin is nan, expected", lambda _: api.nn.HingeLoss(math.nan)),
    Refusal("penalty of a layer", DTypeError, r"L2: parameters is Linear\(2, 3\), expected a list",
            lambda _: api.nn.L2(api.nn.Linear(2, 3), 0.1)),
    Refusal("a constraint of biases", ShapeError,
            r"MaxNorm: parameters holds Parameter\('bias'.*, expected two axes or more",
            lambda _: api.optim.MaxNorm(api.nn.Linear(2, 3).parameters(), 3.0)),
    Refusal("a constraint of nothing", ShapeError, r"MaxNorm: parameters is empty, expected",
            lambda _: api.optim.MaxNorm([], 3.0)),
    Refusal("a negative norm", ValueError, r"MaxNorm: limit is -1\.0, expected",
            lambda _: api.optim.MaxNorm([api.nn.Linear(2, 3).weight], -1)),
    Refusal("penalty of nothing", ShapeError, r"L2: parameters is empty, expected", lambda _: api.nn.L2([], 0.1)),
    Refusal("no parts", ShapeError, r"AdaptiveAvgPool2D: output_size is 0, expected at least 1",
            lambda _: api.nn.AdaptiveAvgPool2D(0)),
    Refusal("padding by an unknown mode", ValueError, r"Pad2D: mode is 'circular', expected one of constant",
            lambda _: api.nn.Pad2D(1, "circular")),
    Refusal("upsampling by nothing", ShapeError, r"Upsample2D: scale is 0, expected at least 1",
            lambda _: api.nn.Upsample2D(0)),
    Refusal("output padding of a stride", ShapeError, r"ConvTranspose2D: output_padding is \(1, 1\), expected less than",
            lambda _: api.nn.ConvTranspose2D(3, 4, 3, output_padding=1)),
    Refusal("transposed groups that divide nothing", ShapeError, r"ConvTranspose2D: groups is 2, expected a divisor",
            lambda _: api.nn.ConvTranspose2D(3, 4, 3, groups=2)),
    Refusal("no branches", DTypeError, r"Concat: no branches came, expected at least one Module", lambda _: api.nn.Concat()),
    Refusal("branches of other pixels", ShapeError, r"concat: parts\[1\] has shape \(1, 2, 2, 1\), expected \(1, 4, 4, 1\)",
            lambda _: api.nn.Concat(api.nn.Identity(), api.nn.MaxPool2D(2))(ones(1, 4, 4, 1))),
    Refusal("groups that divide no channels", ShapeError, r"GroupNorm: groups is 4, expected a divisor of the 6 channels",
            lambda _: api.nn.GroupNorm(4, 6)),
    Refusal("unknown initialiser", ValueError, r"init_weights: how is 'ones', expected one of he_normal, he_uniform",
            lambda _: api.nn.init_weights(network(), "ones")),
    Refusal("no module", DTypeError, r"Sequential: argument 0 is 3, expected a Module", lambda _: api.nn.Sequential(3)),
    Refusal("a class for a module", DTypeError, r"Sequential: argument 1 is <class .*ReLU'>, expected a Module",
            lambda _: api.nn.Sequential(api.nn.ReLU(), api.nn.ReLU)),
    Refusal("branches that differ", ShapeError, r"Residual: main gives shape \(2, 3\), expected \(2, 4\)",
            lambda _: api.nn.Residual(api.nn.Linear(4, 3))(ones(2, 4))),
    Refusal("input of other features", ShapeError, r"linear: x has 8 features \(shape \(5, 8\)\), weight .* expects 12",
            lambda _: network()(ones(5, 2, 2, 2))),
    Refusal("backward before forward", RuntimeError, r"Linear.*: backward needs a forward of its own before it",
            lambda _: api.nn.Linear(4, 3).backward(ones(2, 3))),
    Refusal("the name of a file as a state", DTypeError, r"load_state_dict: state is 'a\.safetensors', expected names",
            lambda _: network().load_state_dict("a.safetensors")),
    Refusal("weights of nothing", DTypeError, r"init_weights: module is 1, expected a Module",
            lambda _: api.nn.init_weights(1, "orthogonal")),
    Refusal("weights before their size is known", RuntimeError, r"Linear: in_features is None and its parameters will come",
            lambda _: api.nn.init_weights(api.nn.Linear(None, 3), "orthogonal")),
    Refusal("parameters before their size is known", RuntimeError,
            r"Linear: in_features is None .* expected in_features as a number",
            lambda _: api.optim.SGD(api.nn.Linear(None, 3).parameters(), 0.1)),
    Refusal("built for a batch", ShapeError, r"build: input_shape is \(8, 2, 2, 3\), expected \(H, W, C\)",
            lambda _: api.nn.Conv2D(None, 3, 1).build((8, 2, 2, 3))),
    Refusal("built for no features", ShapeError, r"build: input_shape is 0, expected at least 1",
            lambda _: api.nn.Linear(None, 3).build((0,))),
    Refusal("summary of a batch", ShapeError, r"summary: input_shape is \(8, 2, 2, 3\), expected \(H, W, C\)",
            lambda _: network().summary((8, 2, 2, 3))),
    Refusal("state without an array", CheckpointError, r"load_state_dict: .*\n  1\.bias is missing, expected shape \(3,\)",
            lambda _: network().load_state_dict({"1.weight": ones(12, 3)})),
    Refusal("state with another shape", CheckpointError, r"1\.bias has shape \(4,\), expected \(3,\)",
            lambda _: network().load_state_dict({"1.weight": ones(12, 3), "1.bias": ones(4)})),
    Refusal("weights of an unknown layer", CheckpointError, r"set_weights: layer 'conv1' is unknown, expected some of 1",
            lambda _: network().set_weights({"conv1": (ones(3), None)})),
    Refusal("gradient of another shape", ShapeError, r"Parameter 1\.weight: grad has shape \(3,\), expected \(12, 3\)",
            lambda _: setattr(parameters()[0], "grad", ones(3))),
)

OPTIMIZER_REFUSALS = (
    Refusal("rate NaN", ValueError, r"SGD: lr is nan, expected a finite number of at least 0",
            lambda _: api.optim.SGD(parameters(), lr=math.nan)),
    Refusal("negative rate", ValueError, r"Adam: lr is -0\.1, expected a finite number of at least 0",
            lambda _: api.optim.Adam(parameters(), lr=-0.1)),
    Refusal("rate of a string", DTypeError, r"SGD: lr is '0\.1', expected a finite number",
            lambda _: api.optim.SGD(parameters(), lr="0.1")),
    Refusal("rate set to infinity", ValueError, r"SGD: lr is inf, expected a finite number",
            lambda _: setattr(api.optim.SGD(parameters(), lr=0.1), "lr", math.inf)),
    Refusal("Nesterov without momentum", ValueError, r"SGD: nesterov is True, expected False where momentum is 0",
            lambda _: api.optim.SGD(parameters(), lr=0.1, nesterov=True)),
    Refusal("one beta", ShapeError, r"Adam: betas is 0\.9, expected a pair of numbers",
            lambda _: api.optim.Adam(parameters(), betas=0.9)),
    Refusal("beta of 1", ValueError, r"AdamW: betas\[1\] is 1\.0, expected .* below 1",
            lambda _: api.optim.AdamW(parameters(), betas=(0.9, 1))),
    Refusal("negative decay", ValueError, r"RMSprop: weight_decay is -1\.0, expected a finite number of at least 0",
            lambda _: api.optim.RMSprop(parameters(), weight_decay=-1)),
    Refusal("one beta of Lion", ShapeError, r"Lion: betas is 0\.9, expected a pair of numbers",
            lambda _: api.optim.Lion(parameters(), betas=0.9)),
    Refusal("rho above 1", ValueError, r"Adadelta: rho is 1\.5, expected .* at most 1",
            lambda _: api.optim.Adadelta(parameters(), rho=1.5)),
    Refusal("clipping to NaN", ValueError, r"SGD: limit is nan, expected a finite number",
            lambda _: api.optim.SGD(parameters(), lr=0.1).clip_values(math.nan)),
    Refusal("nothing to optimize", ShapeError, r"Adagrad: parameters is empty, expected at least one",
            lambda _: api.optim.Adagrad([])),
    Refusal("arrays to optimize", DTypeError, r"SGD: parameters holds .* expected Parameters",
            lambda _: api.optim.SGD([ones(3)], lr=0.1)),
    Refusal("group of unknown entries", ValueError, r"SGD: group 0 has params, expected parameters and,.* weight_decay",
            lambda _: api.optim.SGD([{"params": parameters()}], lr=0.1)),
    Refusal("group among parameters", DTypeError, r"SGD: group 0 is Parameter\(.*, expected a dict as the other groups",
            lambda _: api.optim.SGD([*parameters(), {"parameters": parameters()}], lr=0.1)),
    Refusal("rate of a group NaN", ValueError, r"SGD: group 0: lr is nan, expected a finite number",
            lambda _: api.optim.SGD([{"parameters": parameters(), "lr": math.nan}], lr=0.1)),
    Refusal("parameter in two groups", ValueError, r"Adam: Parameter\(.*\) is in group 0 and in group 1, expected in one",
            lambda _: api.optim.Adam([{"parameters": shared} for shared in [parameters()] * 2])),
    Refusal("rates of groups beside none", ValueError, r"Adam: lr is 0\.0, expected above 0 where groups have rates",
            lambda _: api.optim.Adam([{"parameters": parameters(), "lr": 0.1}], lr=0)),
    Refusal("state of other groups", CheckpointError, r"load_state_dict: groups have \[39\] elements, expected \[36, 3\]",
            lambda _: api.optim.Adam(api.optim.decay_groups(network(), 0.1)).load_state_dict(
                api.optim.Adam(parameters()).state_dict())),
    Refusal("state of another optimizer", CheckpointError, r"load_state_dict: state is of SGD with .* expected Adam with",
            lambda _: api.optim.Adam(parameters()).load_state_dict(api.optim.SGD(parameters(), lr=1).state_dict())),
    Refusal("steps of no size", ShapeError, r"StepLR: step_size is 0, expected at least 1",
            lambda _: api.optim.StepLR(0)),
    Refusal("milestones that fall", ValueError, r"MultiStepLR: milestones is \[5, 3\], expected rising epochs",
            lambda _: api.optim.MultiStepLR([5, 3])),
    Refusal("cycle to NaN", ValueError, r"OneCycleLR: max_lr is nan, expected a finite number",
            lambda _: api.optim.OneCycleLR(math.nan)),
)

MODEL_REFUSALS = (
    Refusal("unknown model", ValueError, r"create: name is 'alexnet', expected one of .*lenet5",
            lambda _: api.models.create("alexnet", (28, 28, 1), 10)),
    Refusal("model for flat input", ShapeError, r"create: input_shape is \(784,\), expected \(H, W, C\)",
            lambda _: api.models.create("lenet5", (784,), 10)),
    Refusal("model without classes", ShapeError, r"create: num_classes is 0, expected at least 1",
            lambda _: api.models.create("lenet5", (28, 28, 1), 0)),
    Refusal("saving no model", DTypeError, r"save: model is 3, expected a Module",
            lambda folder: api.save(3, folder / "model.safetensors")),
    Refusal("saving to a folder", CheckpointError, r"save: path is the folder .*, expected a file",
            lambda folder: api.save(network(), folder)),
    Refusal("loading what is not there", CheckpointError,
            r"load: there is no file .*model\.safetensors; expected one written",
            lambda folder: load(folder / "model.safetensors")),
    Refusal("loading a folder", CheckpointError, r"load: path is the folder .*, expected a file", load),
    Refusal("loading an empty file", CheckpointError, r"load: .* is damaged or no safetensors file", load,
            written("model.safetensors", b"")),
    Refusal("loading a pickle", CheckpointError, r"load: .* is damaged or no safetensors file", load,
            written("model.pt", b"\x80\x04cposix\nsystem\n(S'true'\ntR.")),
    Refusal("loading a file cut by one byte", CheckpointError, r"load: .* is damaged", load, cut(1)),
    Refusal("loading a file cut in half", CheckpointError, r"load: .* is damaged", load, cut(120_000)),
    Refusal("loading a file with a changed bit", CheckpointError, r"load: .* is damaged: its arrays are not those", load,
            flipped),
    Refusal("loading another model", CheckpointError, r"load: .* does not fit the model: .*\n.* expected shape",
            lambda given: api.load(given[0], model=given[1]), of_another_model),
    Refusal("resuming from a model", CheckpointError, r"resume: .* is a saved model, expected a checkpoint",
            lambda path: train(resume=path), saved),
    Refusal("resuming from an empty folder", CheckpointError, r"resume: folder .* has no sound checkpoint",
            lambda folder: train(resume=folder)),
)

DATA_REFUSALS = (
    Refusal("unknown data set", ValueError, r"load: name is 'imagenet', expected one of digits, mnist",
            lambda folder: api.data.load("imagenet", folder)),
    Refusal("data that is not there", FileNotFoundError,
            r"mnist: no train-images.* put them there, or load with download=True",
            load_mnist),
    Refusal("no network", OSError, r"train\.bin: no mirror gave the file \(https://127.*\); try again later",
            fetch_from_nowhere),
    Refusal("images cut short", DataFormatError, r"train-images-idx3-ubyte: the header promises 1568 bytes .* at most 100",
            load_mnist, mnist(images=IMAGES + bytes(100))),
    Refusal("images with something behind", DataFormatError, r"train-images-idx3-ubyte: more bytes after the first 1584",
            load_mnist, mnist(images=IMAGES + bytes(1569))),
    Refusal("images of another size", DataFormatError, r"train-images.*: images of 32x32 pixels; expected 28x28",
            load_mnist, mnist(images=struct.pack(">4I", 2051, 2, 32, 32) + bytes(2048))),
    Refusal("more images than labels", DataFormatError, r"train-images.*: 3 images; expected 2, as the label file says",
            load_mnist, mnist(images=struct.pack(">4I", 2051, 3, 28, 28) + bytes(3 * 784))),
    Refusal("labels for images", DataFormatError, r"train-images.*: it starts with .*idx labels.*; expected .*idx images",
            load_mnist, mnist(images=LABELS + b"\3\4")),
    Refusal("a web page for labels", DataFormatError, r"train-labels.*: it starts with b'<!do' \(not an idx file",
            load_mnist, mnist(labels=b"<!doctype html>")),
    Refusal("labels that promise the world", DataFormatError, r"train-labels.*: the header promises 4294967295 bytes",
            load_mnist, mnist(labels=struct.pack(">2I", 2049, 2**32 - 1))),
    Refusal("empty file", DataFormatError, r"train-labels.*: the file ends within the magic number", load_mnist,
            mnist(labels=b"")),
    Refusal("label 10 in a file", DataFormatError, r"train-labels.*: label 10 \(largest 10\); expected 0 to 9", load_mnist,
            mnist(labels=LABELS + b"\3\12")),
    Refusal("damaged gzip", DataFormatError, r"train-labels.*: damaged gzip data .* expected an intact gzip file",
            load_mnist,
            mnist(labels=b"\x1f\x8b\x08\x00garbage garbage garbage")),
    Refusal("folder for a file", DataFormatError, r"test_batch\.bin: a folder; expected a file",
            lambda folder: api.data.load("cifar10", folder, download=False), cifar_with_a_folder),
    Refusal("split of another length", ShapeError, r"Split: labels have shape \(3,\), expected \(2,\): one label per image",
            lambda _: api.data.Split(np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int64))),
    Refusal("split of int64 images", DTypeError, r"Split: images are int64, expected uint8 or float",
            lambda _: api.data.Split(np.zeros((2, 4, 4, 1), np.int64), np.zeros(2, np.int64))),
)

TRAINING_REFUSALS = (
    Refusal("fewer labels than images", ShapeError, r"fit: labels have shape \(7,\), expected \(8,\): one label per image",
            lambda _: train(labels=np.zeros(7, np.int64))),
    Refusal("label beyond the classes", ValueError, r"cross_entropy: labels\[\d\] is 3, expected 0 to 2",
            lambda _: train(labels=np.full(8, 3))),
    Refusal("no images", ShapeError, r"fit: images have shape \(0, 2, 2, 3\), expected at least one image",
            lambda _: train(images=ones(0, 2, 2, 3), labels=np.zeros(0, np.int64))),
    Refusal("int64 images", DTypeError, r"fit: images are int64, expected uint8 or float32",
            lambda _: train(images=ones(8, 2, 2, 3, dtype=int))),
    Refusal("one array for images and labels", DTypeError, r"fit: data is a ndarray, expected a Split or \(images, labels\)",
            lambda _: api.fit(network(), ones(8, 2, 2, 3), epochs=1)),
    Refusal("no epochs", ShapeError, r"fit: epochs is 0, expected at least 1", lambda _: train(epochs=0)),
    Refusal("batches of no images", ShapeError, r"fit: batch_size is 0, expected at least 1", lambda _: train(batch_size=0)),
    Refusal("negative norm", ValueError, r"fit: max_norm is -1\.0, expected a finite number of at least 0",
            lambda _: train(max_norm=-1)),
    Refusal("average that never moves", ValueError, r"WeightAverage: decay is 1\.0, expected .* below 1",
            lambda _: api.training.WeightAverage(1)),
    Refusal("average before training", RuntimeError, r"WeightAverage: there is no average yet, expected fit",
            lambda _: api.training.WeightAverage().swap()),
    Refusal("search of one step", ShapeError, r"find_lr: steps is 1, expected at least 2",
            lambda _: api.training.find_lr(network(), (ones(8, 2, 2, 3), np.arange(8) % 3), steps=1)),
    Refusal("search with an optimizer that is no class", DTypeError, r"find_lr: optimizer is 'adam', expected a class",
            lambda _: api.training.find_lr(network(), (ones(8, 2, 2, 3), np.arange(8) % 3), optimizer="adam")),
    Refusal("unknown augmentation", ValueError, r"fit: augment is 'mixup', expected one of",
            lambda _: train(augment="mixup")),
    Refusal("schedule of a number", DTypeError, r"fit: schedule is 0\.1, expected a Schedule",
            lambda _: train(schedule=0.1)),
    Refusal("monitoring what is not measured", ValueError, r"EarlyStopping: monitor is 'f1', expected one of",
            lambda _: api.training.EarlyStopping(monitor="f1")),
    Refusal("images of NaN", ArithmeticError, r"the loss \(nan\).* epoch .* step",
            lambda _: train(images=np.full((8, 2, 2, 3), np.nan, np.float32))),
    Refusal("no threads", ValueError, r"set_num_threads: count is 0, expected 1 to", lambda _: api.set_num_threads(0)),
    Refusal("half a thread", TypeError, r"set_num_threads: count is 0\.5, expected an int",
            lambda _: api.set_num_threads(0.5)),
    Refusal("the gradient of a number", DTypeError, r"gradient_check: model_or_op is 3, expected a Module",
            lambda _: api.gradient_check(3, ones(2))),
)

OWN_DATA_REFUSALS = (
    Refusal("labels for other images", ShapeError, r"Split: labels have shape \(3,\), expected \(2,\)",
            lambda _: api.data.from_arrays(np.zeros((2, 4, 4), np.uint8), [0, 1, 1])),
    Refusal("a name that is no class", ValueError, r"from_arrays: label 'cow' is unknown, expected one of cat, dog",
            lambda _: api.data.from_arrays(np.zeros((2, 4, 4), np.uint8), ["cat", "cow"], ["cat", "dog"])),
    Refusal("no folder of images", FileNotFoundError, r"from_folder: there is no folder .*; expected one with a sub-folder",
            lambda folder: api.data.from_folder(folder / "none", (8, 8))),
    Refusal("a folder without classes", DataFormatError, r"from_folder: .* has no sub-folders, expected one for each class",
            lambda folder: api.data.from_folder(folder, (8, 8))),
    Refusal("a class without images", DataFormatError, r"from_folder: .*cats has no image files, expected some that end in",
            lambda folder: api.data.from_folder(folder, (8, 8)),
            lambda folder: written("cats/a.txt", b"")(folder).parents[1]),
    Refusal("a file that is no image", DataFormatError, r"from_folder: .*a\.png cannot be read as an image",
            lambda folder: api.data.from_folder(folder, (8, 8)),
            lambda folder: written("cats/a.png", b"text")(folder).parents[1]),
    Refusal("images of one size", ShapeError, r"from_folder: size is 8, expected \(height, width\)",
            lambda folder: api.data.from_folder(folder, 8)),
    Refusal("images larger than memory", ShapeError, r"from_folder: 1 images of size .* expected at most .* smaller size",
            lambda folder: api.data.from_folder(folder, (1 << 16, 1 << 16)),
            lambda folder: written("cats/a.png", b"")(folder).parents[1]),
    Refusal("no table", FileNotFoundError, r"No such file", lambda folder: api.data.from_csv(folder / "none.csv", (1, 2))),
    Refusal("a table without lines", DataFormatError, r"from_csv: .* has no images, expected a line for each",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"label,a,b\n")),
    Refusal("a line too short", DataFormatError, r"line 2 has 2 values, expected 3: a label and 1 x 2 pixels",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"0,1,2\n0,1\n")),
    Refusal("a pixel of 256", DataFormatError, r"line 1 has pixel 256, expected whole numbers from 0 to 255",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"0,1,256\n")),
    Refusal("a pixel of NaN", DataFormatError, r"line 1 has pixel nan, expected whole numbers",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"0,1,nan\n")),
    Refusal("a pixel of letters", DataFormatError, r"line 1: could not convert .*; expected pixels from 0 to 255",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"0,1,x\n")),
    Refusal("a label in no column", DataFormatError, r"line 1 has 3 values, expected a label in column 7",
            lambda path: api.data.from_csv(path, (1, 2), label=7), written("a.csv", b"0,1,2\n")),
    Refusal("a label of another name", DataFormatError, r"has no column 'y' in its first line, expected one of label, a, b",
            lambda path: api.data.from_csv(path, (1, 2), label="y"), written("a.csv", b"label,a,b\n0,1,2\n")),
    Refusal("a picture for a table", DataFormatError, r"from_csv: .* is no table of text",
            lambda path: api.data.from_csv(path, (1, 2)), written("a.csv", b"\x89PNG\r\n\x1a\n\0\xff")),
    Refusal("a flat shape", ShapeError, r"from_csv: shape is \(784,\), expected \(H, W\) or \(H, W, C\)",
            lambda path: api.data.from_csv(path, (784,)), written("a.csv", b"")),
    Refusal("no validation", ValueError, r"train_validation_split: share is 0 of 8 images, which leaves one part empty",
            lambda _: api.data.train_validation_split(few(), 0)),
    Refusal("validation alone", ValueError, r"train_validation_split: share is 1\.0, expected .* below 1",
            lambda _: api.data.train_validation_split(few(), 1)),
    Refusal("parts of an array", DTypeError, r"train_validation_split: split is a ndarray, expected a Split",
            lambda _: api.data.train_validation_split(ones(8, 2, 2, 3))),
    Refusal("weights of float labels", DTypeError, r"class_weights: labels are float32, expected integers",
            lambda _: api.data.class_weights(ones(3))),
    Refusal("weights of a label beyond", ValueError, r"class_weights: labels hold 0 to 3, expected 0 to 2",
            lambda _: api.data.class_weights([0, 3], 3)),
)

METRIC_REFUSALS = (
    Refusal("more labels than answers", ShapeError, r"accuracy: labels have shape \(3,\), expected \(2,\)",
            lambda _: api.metrics.accuracy([0, 1], [0, 1, 1])),
    Refusal("labels of scores", ShapeError, r"recall: labels has shape \(2, 3\) of float32, expected \(N,\)",
            lambda _: api.metrics.recall([0, 1], ones(2, 3))),
    Refusal("float answers", DTypeError, r"precision: prediction has dtype float32, expected integers",
            lambda _: api.metrics.precision(ones(2), [0, 1])),
    Refusal("answers of NaN", ValueError, r"f1_score: prediction holds nan, expected numbers",
            lambda _: api.metrics.f1_score(np.full((2, 3), np.nan), [0, 1])),
    Refusal("a class below 0", ValueError, r"accuracy: labels holds -1, expected classes from 0",
            lambda _: api.metrics.accuracy([0, 1], [0, -1])),
    Refusal("no answers", ShapeError, r"accuracy: prediction has shape \(0,\) .*, N at least 1",
            lambda _: api.metrics.accuracy([], [])),
    Refusal("a class beyond the matrix", ValueError, r"confusion_matrix: the largest class is 5, expected 0 to 2",
            lambda _: api.metrics.confusion_matrix([0, 1], [0, 5], 3)),
    Refusal("a matrix of gigabytes", ValueError, r"confusion_matrix: the largest class is 1000000, expected 0 to",
            lambda _: api.metrics.confusion_matrix([0, 1], [0, 10**6])),
    Refusal("unknown average", ValueError, r"precision: average is 'mean', expected None, 'macro'",
            lambda _: api.metrics.precision([0, 1], [0, 1], average="mean")),
    Refusal("more classes than scores", ShapeError, r"top_k_accuracy: k is 4, expected at most the 3 classes",
            lambda _: api.metrics.top_k_accuracy(ones(2, 3), [0, 1], 4)),
    Refusal("top k of classes", ShapeError, r"top_k_accuracy: scores have shape \(2,\), expected \(N, K\)",
            lambda _: api.metrics.top_k_accuracy([0, 1], [0, 1])),
)

INSIGHT_REFUSALS = (
    Refusal("profile of bytes", DTypeError, r"linear: x has dtype uint8, expected float32",
            lambda _: network().profile(np.zeros((4, 2, 2, 3), np.uint8))),
    Refusal("profile of no steps", ShapeError, r"profile: repeats is 0, expected at least 1",
            lambda _: network().profile(ones(4, 2, 2, 3), repeats=0)),
    Refusal("profile of one image", ShapeError, r"x has 3 features|expects 12", lambda _: network().profile(ones(2, 2, 3))),
    Refusal("saliency of one image", ShapeError, r"saliency: images have shape \(2, 3\), expected \(N, H, W, C\)",
            lambda _: api.explain.saliency(network(), ones(2, 3))),
    Refusal("saliency for class 3", ValueError, r"saliency: target is 3, expected 0 to 2",
            lambda _: api.explain.saliency(network(), ones(4, 2, 2, 3), 3)),
    Refusal("two classes of four images", ShapeError, r"saliency: target has shape \(2,\), expected one class",
            lambda _: api.explain.saliency(network(), ones(4, 2, 2, 3), [0, 1])),
    Refusal("saliency for half a class", DTypeError, r"saliency: target is 0\.5, expected an integer",
            lambda _: api.explain.saliency(network(), ones(4, 2, 2, 3), 0.5)),
    Refusal("saliency of maps", ShapeError, r"saliency: the model gives shape \(4, 2, 2, 3\), expected scores \(N, K\)",
            lambda _: api.explain.saliency(api.nn.ReLU(), ones(4, 2, 2, 3))),
    Refusal("Grad-CAM without maps", ValueError, r"grad_cam: layer is None, expected one that gives images: none here",
            lambda _: api.explain.grad_cam(api.nn.Sequential(api.nn.Flatten(), api.nn.Linear(12, 3)), ones(4, 2, 2, 3))),
    Refusal("history without epochs", ValueError, r"curves: history is empty, expected at least one epoch",
            lambda folder: api.plot.curves([], folder / "curves.png")),
    Refusal("filters of a linear layer", ValueError, r"filters: layer is '1', expected a Conv2D: one of none here",
            lambda folder: api.plot.filters(network(), folder / "a.png", "1")),
    Refusal("maps of an unknown layer", ValueError, r"feature_maps: layer is 'conv9', expected one of 0, 1",
            lambda folder: api.plot.feature_maps(network(), ones(2, 2, 3), folder / "a.png", "conv9")),
    Refusal("maps of a linear layer", ShapeError, r"feature_maps: layer 1 gives shape \(1, 3\), expected images",
            lambda folder: api.plot.feature_maps(network(), ones(2, 2, 3), folder / "a.png", "1")),
    Refusal("channels of a batch", ShapeError, r"channels: maps have shape \(2, 3, 3, 4\), expected \(H, W, C\)",
            lambda folder: api.plot.channels(ones(2, 3, 3, 4), folder / "a.png")),
    Refusal("a picture of two channels", ShapeError, r"predictions: images have shape .* expected \(N, H, W, 1\)",
            lambda folder: api.plot.predictions(ones(2, 4, 4, 2), ones(2, 3), folder / "a.png")),
    Refusal("answers for other images", ShapeError, r"predictions: probabilities have shape \(3, 3\), expected \(2, K\)",
            lambda folder: api.plot.predictions(ones(2, 4, 4, 1), ones(3, 3), folder / "a.png")),
    Refusal("a true class that is not there", ValueError, r"predictions: labels hold 0 to 3, expected 0 to 2",
            lambda folder: api.plot.predictions(ones(2, 4, 4, 1), ones(2, 3), folder / "a.png", labels=[0, 3])),
    Refusal("names for other classes", ShapeError, r"predictions: classes has 2 names, expected 3",
            lambda folder: api.plot.predictions(ones(2, 4, 4, 1), ones(2, 3), folder / "a.png", classes=["a", "b"])),
    Refusal("a matrix that is not square", ShapeError, r"confusion_matrix: matrix has shape \(2, 3\), expected \(K, K\)",
            lambda folder: api.plot.confusion_matrix(ones(2, 3, dtype=int), folder / "a.png")),
    Refusal("a matrix of shares", DTypeError, r"confusion_matrix: matrix is float32, expected integers",
            lambda folder: api.plot.confusion_matrix(ones(3, 3), folder / "a.png")),
    Refusal("a drawing of unknown size", ShapeError, r"architecture: input_shape is None, expected \(H, W, C\)",
            lambda folder: api.plot.architecture(network(), folder / "a.svg")),
)

REFUSALS = (LAYER_REFUSALS + OPTIMIZER_REFUSALS + MODEL_REFUSALS + DATA_REFUSALS + OWN_DATA_REFUSALS + METRIC_REFUSALS
            + INSIGHT_REFUSALS + TRAINING_REFUSALS)
