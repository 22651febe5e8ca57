"""Floor 0: error types, argument checks and output sizes. Standard library only.

Every public function checks its arguments here before a kernel runs. A message names the function and the argument, what
came and what was expected.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class ShapeError(ValueError):
    """An array's shape, or a size given as a number, does not fit the operation."""


class DTypeError(TypeError):
    """An array's element type, or the type of an argument, does not fit the operation."""


class DataFormatError(ValueError):
    """A data file is not what its name or its header says."""


class CheckpointError(ValueError):
    """A saved model or checkpoint cannot be used: damaged, foreign, or made for another model."""


class Caller:
    """Inside the `with` block, what does not fit a layer is an error of `function`, which was called with what `came` says.

    `came` is such as "images have shape (8, 28, 28, 3)". The type of the error stays.
    """

    def __init__(self, function: str, came: str) -> None:
        """Take the words."""
        self.function, self.came = function, came

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        """Name the caller."""
        if isinstance(error, (ShapeError, DTypeError)):
            why = str(error).partition(": ")[2] or str(error)
            raise type(error)(f"{self.function}: {self.came}, which the model does not take ({why})") from error


class Window(NamedTuple):
    """Geometry of a convolution or pooling: sizes, and where each output pixel looks.

    Output pixel (p, q) with filter element (r, s) meets input pixel
    (p * stride_rows + r * dilation_rows - top, q * stride_columns + s * dilation_columns - left).
    """

    N: int
    H: int
    W: int
    C: int
    K: int
    R: int
    S: int
    P: int
    Q: int
    stride_rows: int
    stride_columns: int
    top: int
    left: int
    bottom: int
    right: int
    dilation_rows: int
    dilation_columns: int
    groups: int


MOST = 2**31 - 1  # of a size or a step, and the last pixel of an image that argmax can name: 32 bits with a sign

Pair = int | tuple[int, int]
Padding = int | str | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]


def integer(function: str, name: str, value: object, minimum: int) -> int:
    """Return `value` as an int of at least `minimum`; DTypeError when it is no integer, ShapeError when too small."""
    if type(value) is int and value >= minimum:
        return value
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise DTypeError(f"{function}: {name} is {value!r}, expected an integer of at least {minimum}")
    number = value.__index__()
    if number < minimum:
        raise ShapeError(f"{function}: {name} is {number}, expected at least {minimum}")
    return int(number)


def real(function: str, name: str, value: object, minimum: float, maximum: float = math.inf, *,
         below: float = math.inf) -> float:
    """Return `value` as a finite float with minimum <= value <= maximum and value < below.

    DTypeError: it is no real number; ValueError: it is NaN, infinite or out of range.
    """
    if type(value) is float and minimum <= value <= maximum and value < below:  # neither NaN nor infinity is
        return value
    expected = f"expected a finite number of at least {minimum:g}"
    expected += f" and at most {maximum:g}" if maximum < math.inf else f" and below {below:g}" if below < math.inf else ""
    if isinstance(value, (bool, str, complex)) or not hasattr(value, "__float__"):
        raise DTypeError(f"{function}: {name} is {value!r}, {expected}")
    number = float(value)
    if not (math.isfinite(number) and minimum <= number <= maximum and number < below):
        raise ValueError(f"{function}: {name} is {number!r}, {expected}")
    return number


def pair(function: str, name: str, value: object, minimum: int = 1) -> tuple[int, int]:
    """Return (rows, columns) from an int for both or a pair; DTypeError, ShapeError as `integer`, or beyond 31 bits."""
    if isinstance(value, (tuple, list)) and len(value) != 2:
        raise ShapeError(f"{function}: {name} is {value!r}, expected an int or a pair (rows, columns)")
    given = value if isinstance(value, (tuple, list)) else (value, value)
    rows, columns = (integer(function, name, one, minimum) for one in given)
    if max(rows, columns) > MOST:
        raise ShapeError(f"{function}: {name} is {max(rows, columns)}, expected at most {MOST}")
    return rows, columns


def _explicit_padding(function: str, padding: object) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) of a padding given in numbers."""
    if isinstance(padding, (tuple, list)) and len(padding) == 2 and any(isinstance(side, (tuple, list)) for side in padding):
        top, bottom = pair(function, "padding", padding[0], 0)
        left, right = pair(function, "padding", padding[1], 0)
        return top, bottom, left, right
    rows, columns = pair(function, "padding", padding, 0)
    return rows, rows, columns, columns


def _same(size: int, extent: int, stride: int) -> tuple[int, int]:
    """Padding before and after that gives ceil(size / stride) outputs; the odd one goes after."""
    total = max(0, (-(-size // stride) - 1) * stride + extent - size)
    return total // 2, total - total // 2


def paddings(function: str, padding: object, size: tuple[int, int], extent: tuple[int, int],
             stride: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) for a filter that covers `extent` rows and columns of `size`."""
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":
        return *_same(size[0], extent[0], stride[0]), *_same(size[1], extent[1], stride[1])
    if isinstance(padding, str):
        raise ShapeError(f"{function}: padding is {padding!r}, expected 'same', 'valid', an int, (rows, columns) or "
                         "((top, bottom), (left, right))")
    return _explicit_padding(function, padding)


def images(function: str, name: str, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return (N, H, W, C) of a batch of images; ShapeError when the rank is not 4 or a size is 0."""
    if len(shape) != 4:
        raise ShapeError(f"{function}: {name} has {len(shape)} dimensions (shape {shape}), expected 4: (N, H, W, C)"
                         f"{_missing_axis(name, shape)}")
    nonempty(function, name, shape)
    return shape


def _missing_axis(name: str, shape: tuple[int, ...]) -> str:
    """Say how three dimensions become four."""
    if len(shape) != 3:
        return ""
    return f" (one image: {name}[None]; images of one channel: {name}[..., None])"


def channels_last(shape: tuple[int, ...], channels: int) -> str:
    """Say how images (N, C, H, W) become (N, H, W, C), where the expected channels are those; else nothing."""
    if len(shape) != 4 or shape[1] != channels:
        return ""
    return " (images are (N, H, W, C): x.transpose(0, 2, 3, 1) makes them of (N, C, H, W))"


def _filters_last(shape: tuple[int, ...], depth: int) -> str:
    """Say how filters (K, C, R, S) become (R, S, C, K), where the expected channels are those; else nothing."""
    if shape[1] != depth:
        return ""
    return " (filters are (R, S, C, K): weight.transpose(2, 3, 1, 0) makes them of (K, C, R, S))"


def image_sizes(function: str, name: str, value: object) -> tuple[int, int, int, int]:
    """Return (N, H, W, C) given as a tuple of numbers; ShapeError, DTypeError when it is none."""
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        raise ShapeError(f"{function}: {name} is {value!r}, expected four sizes (N, H, W, C)")
    N, H, W, C = (integer(function, name, size, 1) for size in value)
    return N, H, W, C


def numbered(function: str, name: str, H: int, W: int) -> None:
    """Raise ShapeError for an image of more pixels than argmax, which holds 32 bits, can tell apart."""
    if H * W - 1 > MOST:
        raise ShapeError(f"{function}: {name} has {H * W} pixels ({H} x {W}), expected at most {MOST + 1}: argmax is int32")


def nonempty(function: str, name: str, shape: tuple[int, ...]) -> None:
    """Raise ShapeError when an array has no elements: an empty batch has no mean and no gradient."""
    if 0 in shape:
        raise ShapeError(f"{function}: {name} is empty (shape {shape}), expected at least one element in each dimension")


def at_least_1d(function: str, name: str, shape: tuple[int, ...]) -> None:
    """Raise ShapeError for a single number in place of an array."""
    if not shape:
        raise ShapeError(f"{function}: {name} is a single number (shape ()), expected an array of rank 1 or more")


def same_shape(function: str, name: str, shape: tuple[int, ...], expected: tuple[int, ...], why: str) -> None:
    """Raise ShapeError unless `shape` is `expected`; `why` names what sets the expectation."""
    if shape != expected:
        raise ShapeError(f"{function}: {name} has shape {shape}, expected {expected} ({why})")


def conv2d(function: str, x: tuple[int, ...], weight: tuple[int, ...], stride: object, padding: object,
           dilation: object, groups: object) -> Window:
    """Geometry of a convolution of x (N, H, W, C) with weight (R, S, C // groups, K); ShapeError when they do not fit."""
    N, H, W, C = images(function, "x", x)
    if len(weight) != 4:
        raise ShapeError(f"{function}: weight has {len(weight)} dimensions (shape {weight}), "
                         "expected 4: (R, S, C // groups, K)")
    nonempty(function, "weight", weight)
    R, S, depth, K = weight
    parts = integer(function, "groups", groups, 1)
    if C % parts or K % parts:
        raise ShapeError(f"{function}: groups is {parts}, expected a divisor of {C} input and {K} output channels")
    if depth * parts != C:
        channels = "1 channel" if C == 1 else f"{C} channels"
        grouped = f" in each of {parts} groups" if parts > 1 else ""
        hint = channels_last(x, depth * parts) or _filters_last(weight, C // parts)
        raise ShapeError(f"{function}: x has {channels} (shape {x}), weight {weight} expects {depth}{grouped}{hint}")
    strides, dilations = pair(function, "stride", stride), pair(function, "dilation", dilation)
    extent = (R - 1) * dilations[0] + 1, (S - 1) * dilations[1] + 1
    top, bottom, left, right = paddings(function, padding, (H, W), extent, strides)
    for axis, size, covered in (("rows", H + top + bottom, extent[0]), ("columns", W + left + right, extent[1])):
        if covered > size:
            raise ShapeError(f"{function}: weight covers {covered} {axis}, expected at most the {size} of the padded x "
                             f"(x {x}, weight {weight}, padding {padding!r}, dilation {dilation!r})")
    P = (H + top + bottom - extent[0]) // strides[0] + 1
    Q = (W + left + right - extent[1]) // strides[1] + 1
    return Window(N, H, W, C, K, R, S, P, Q, *strides, top, left, bottom, right, *dilations, parts)


def pool2d(function: str, x: tuple[int, ...], kernel_size: object, stride: object, padding: object,
           dilation: object, ceil_mode: bool) -> Window:
    """Geometry of pooling x (N, H, W, C); stride None means the kernel size; ShapeError when they do not fit.

    With `ceil_mode` a last window may hang over the end, by less than the stride, as long as it starts inside the input or
    the leading padding: it may be the only one.
    """
    N, H, W, C = images(function, "x", x)
    R, S = pair(function, "kernel_size", kernel_size)
    strides = (R, S) if stride is None else pair(function, "stride", stride)
    dilations = pair(function, "dilation", dilation)
    extent = (R - 1) * dilations[0] + 1, (S - 1) * dilations[1] + 1
    top, bottom, left, right = paddings(function, padding, (H, W), extent, strides)
    sizes = []
    for axis, size, before, after, covered, kernel, step in (
            ("rows", H, top, bottom, extent[0], R, strides[0]), ("columns", W, left, right, extent[1], S, strides[1])):
        if padding != "same" and max(before, after) > kernel // 2:
            raise ShapeError(f"{function}: padding is {padding!r}, expected at most half of the kernel's {kernel} {axis}")
        room = size + before + after - covered
        count = (-(-room // step) if ceil_mode else room // step) + 1
        if ceil_mode and (count - 1) * step >= size + before:
            count -= 1
        if count < 1:
            overhang = f" and less than a stride ({step}) more" if ceil_mode else ""
            raise ShapeError(f"{function}: kernel_size covers {covered} {axis}, expected at most the "
                             f"{size + before + after} of the padded x{overhang} (x {x}, padding {padding!r})")
        sizes.append(count)
    P, Q = sizes
    return Window(N, H, W, C, C, R, S, P, Q, *strides, top, left, bottom, right, *dilations, 1)


PADDING_MODES = "constant", "reflect", "replicate"
UPSAMPLING_MODES = "nearest", "bilinear"


def one_of(function: str, name: str, value: object, choices: Iterable[str]) -> None:
    """Raise ValueError unless `value` is one of the choices; the message names the one that it is most like."""
    known = tuple(choices)
    if not isinstance(value, str) or value not in known:
        listed = ", ".join(known) or "none here"
        raise ValueError(f"{function}: {name} is {value!r}, expected one of {listed}{suggestion(value, known)}")


def suggestion(value: object, choices: Iterable[str]) -> str:
    """Return "; did you mean 'resnet20'?" for a name that is like one of the choices, and nothing for another value."""
    from difflib import get_close_matches

    known = {choice.casefold(): choice for choice in choices}
    close = get_close_matches(value.casefold(), known, n=1, cutoff=0.65) if isinstance(value, str) else []
    return f"; did you mean {known[close[0]]!r}?" if close else ""


def numeric_padding(function: str, padding: object) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right); ShapeError for a padding given by name."""
    if isinstance(padding, str):
        raise ShapeError(f"{function}: padding is {padding!r}, expected an int, (rows, columns) or "
                         "((top, bottom), (left, right))")
    return _explicit_padding(function, padding)


def padding2d(function: str, x: tuple[int, ...] | None, padding: object, mode: str) -> tuple[int, int, int, int]:
    """Return (top, bottom, left, right) of a padding of x (N, H, W, C), given in numbers.

    ShapeError: an image is too small to be mirrored so far. ValueError: the mode is unknown.
    """
    one_of(function, "mode", mode, PADDING_MODES)
    given = numeric_padding(function, padding)
    if x is not None and mode == "reflect" and (max(given[:2]) >= x[1] or max(given[2:]) >= x[2]):
        raise ShapeError(f"{function}: padding is {padding!r}, expected less than the rows and columns of x {tuple(x)} "
                         "in mode 'reflect'")
    return given


def scale2d(function: str, scale: object, mode: str) -> tuple[int, int]:
    """Return how many times as many rows and columns an upsampling gives; ShapeError, DTypeError, ValueError."""
    one_of(function, "mode", mode, UPSAMPLING_MODES)
    return pair(function, "scale", scale)


def parts(size: int, outputs: int) -> tuple[list[int], list[int]]:
    """Return first and last + 1 pixel of each of `outputs` parts that cover `size` pixels, as PyTorch divides them."""
    return [size * p // outputs for p in range(outputs)], [-(-size * (p + 1) // outputs) for p in range(outputs)]


def conv_transpose2d(function: str, x: tuple[int, ...], weight: tuple[int, ...], stride: object, padding: object,
                     output_padding: object, dilation: object, groups: object) -> Window:
    """Geometry of the convolution with weight (R, S, K // groups, C) that gives x (N, H, W, C) its shape.

    The input of that convolution, (N, P, Q, K), is the result of the transposed one, so that its H and W are the result's;
    `output_padding` is what it leaves out at the end. ShapeError when they do not fit.
    """
    N, H, W, C = images(function, "x", x)
    if len(weight) != 4:
        raise ShapeError(f"{function}: weight has {len(weight)} dimensions (shape {weight}), "
                         "expected 4: (R, S, K // groups, C)")
    nonempty(function, "weight", weight)
    R, S, depth, channels = weight
    if channels != C:
        raise ShapeError(f"{function}: x has {C} channels (shape {x}), weight {weight} expects {channels}"
                         f"{channels_last(x, channels)}")
    top, bottom, left, right = numeric_padding(function, padding)
    strides, dilations = pair(function, "stride", stride), pair(function, "dilation", dilation)
    dropped = pair(function, "output_padding", output_padding, 0)
    if dropped[0] >= max(strides[0], dilations[0]) or dropped[1] >= max(strides[1], dilations[1]):
        raise ShapeError(f"{function}: output_padding is {output_padding!r}, expected less than the stride {stride!r} or "
                         f"the dilation {dilation!r}")
    P = (H - 1) * strides[0] + (R - 1) * dilations[0] + 1 + dropped[0] - top - bottom
    Q = (W - 1) * strides[1] + (S - 1) * dilations[1] + 1 + dropped[1] - left - right
    if P < 1 or Q < 1:
        raise ShapeError(f"{function}: padding is {padding!r}, expected to leave some of the {P + top + bottom} rows and "
                         f"{Q + left + right} columns")
    K = depth * integer(function, "groups", groups, 1)
    w = conv2d(function, (N, P, Q, K), weight, strides, ((top, bottom), (left, right)), dilations, groups)
    return w._replace(P=H, Q=W)  # an output padding of a stride and more has room for further ones
