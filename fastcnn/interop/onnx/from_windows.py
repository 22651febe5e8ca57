"""What operators with windows are in layers: convolutions, pooling, padding and resizing of images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import nn
from .calls import Call, Sides, UnsupportedError, Window, outputs, window
from .operators.images import filters_last
from .operators.shape import axes_of, padding
from .operators.spatial import transposed_options
from .translation import POOLED, Translation, Value, filled


def _short(sides: Sides) -> Any:
    """Return a padding as it is usually written."""
    (top, bottom), (left, right) = sides
    if (top, left) != (bottom, right):
        return sides
    return top if top == left else (top, left)


def _conv(t: Translation, call: Call) -> Value:
    x, weight, bias = t.images(t.value(call)), filters_last(t.weights(call, 1)), t.array(call, 2)
    w = window(call, x.shape[1:3], weight.shape[:2])
    groups = call.get("group", 1)
    layer = nn.Conv2D(None, weight.shape[3], w.kernel, stride=w.stride, padding=_short(w.padding), dilation=w.dilation,
                      groups=groups, bias=bias is not None)
    return _convolution(t, x, layer, weight, weight.shape[2] * groups, bias)


def _conv_transpose(t: Translation, call: Call) -> Value:
    x, weight, bias = t.images(t.value(call)), filters_last(t.weights(call, 1)), t.array(call, 2)
    options = transposed_options(call, x.shape[1:3], weight.shape[:2])
    layer = nn.ConvTranspose2D(None, weight.shape[2] * options["groups"], weight.shape[:2], bias=bias is not None,
                               **{**options, "padding": _short(options["padding"])})
    return _convolution(t, x, layer, weight, weight.shape[3], bias)


def _convolution(t: Translation, x: Value, layer: Any, weight: np.ndarray, channels: int, bias: np.ndarray | None) -> Value:
    if bias is not None and bias.shape != (layer.out_channels,):
        raise UnsupportedError(f"its bias has shape {bias.shape}, expected ({layer.out_channels},)")
    return t.step(filled(layer, channels, weight=weight, bias=bias), x)


def _plans(w: Window, size: tuple[int, ...]) -> list[tuple[Sides | None, Any, bool]]:
    """Return ways to pool: a padding of its own or None, the padding of the layer, and whether its windows hang over.

    The padding of a layer is at most half its kernel. More at the end may be windows that hang over, written otherwise.
    """
    half = [length // 2 for length in w.kernel]
    fits = all(max(sides) <= most for sides, most in zip(w.padding, half, strict=True))
    if fits:
        return [(None, _short(w.padding), w.ceil)]
    rows, columns = ((before, min(after, most)) for (before, after), most in zip(w.padding, half, strict=True))
    over = w._replace(padding=(rows, columns), ceil=True)
    ways: list[tuple[Sides | None, Any, bool]] = [(w.padding, 0, w.ceil)]
    if outputs(over, size) == outputs(w, size) and all(before <= most for (before, _), most in zip(
            w.padding, half, strict=True)):
        ways.insert(0, (None, over.padding, True))
    return ways


def _pooled(t: Translation, x: Value, w: Window, make: Callable[[Any, bool], nn.Module], fill: float | None) -> Value:
    """Add a pooling whose padding does not count where `fill` is None, or is of that number."""
    size = x.shape[1:3]
    for own, sides, ceil in _plans(w, size):
        if own is not None and fill is None:
            continue
        if own is None and fill == 0.0 and ceil != w.ceil:
            continue  # padding at the end counts, what hangs over does not
        before = x if own is None else t.step(nn.Pad2D(own, value=fill or 0.0), x)
        y = t.step(make(sides, ceil), before)
        if y.shape[1:3] == outputs(w, size):
            return y
    raise UnsupportedError(f"its pads are {w.padding} for a kernel {w.kernel}, expected at most half of that")


def _max_pool(t: Translation, call: Call) -> Value:
    x = t.images(t.value(call))
    w = window(call, x.shape[1:3])
    return _pooled(t, x, w, lambda sides, ceil: nn.MaxPool2D(w.kernel, w.stride, sides, dilation=w.dilation, ceil_mode=ceil),
                   -math.inf)


def _avg_pool(t: Translation, call: Call) -> Value:
    x = t.images(t.value(call))
    w = window(call, x.shape[1:3])
    if w.dilation != (1, 1):
        raise UnsupportedError(f"dilations are {w.dilation}, expected 1")
    if w.kernel == w.stride == (1, 1) and not any(map(any, w.padding)):
        return x
    counts = bool(call.get("count_include_pad", 0)) or not any(map(any, w.padding))
    return _pooled(t, x, w, lambda sides, ceil: nn.AvgPool2D(w.kernel, w.stride, sides, ceil_mode=ceil,
                                                             count_include_pad=counts), 0.0 if counts else None)


def _global(layer: type[nn.Module]) -> Callable[[Translation, Call], Value]:
    return lambda t, call: t.step(layer(), t.images(t.value(call)), layout=POOLED)


def _reduced(layer: type[nn.Module]) -> Callable[[Translation, Call], Value]:
    """Mean or maximum over rows and columns."""
    def rule(t: Translation, call: Call) -> Value:
        x = t.value(call)
        axes = sorted(axis % len(x.sizes) for axis in axes_of(call, t.array(call, 1)) or ())
        if len(x.sizes) != 4 or axes != ([1, 2] if x.layout is None else [2, 3]):
            raise UnsupportedError(f"axes are {axes} of sizes {x.sizes}, expected rows and columns of images")
        kept = call.get("keepdims", 1)
        if x.layout is None and kept:
            raise UnsupportedError("keepdims is 1 with channels last, expected 0")
        return t.step(layer(), t.images(x) if x.layout == POOLED else x, layout=POOLED if kept else None)

    return rule


def _pad(t: Translation, call: Call) -> Value:
    x = t.value(call)
    sides, mode, value = padding(call, len(x.sizes), *(t.array(call, number) for number in (1, 2, 3)))
    if not any(map(any, sides)):
        return x
    if len(sides) != 4 or any(map(any, sides[:2])) or mode == "wrap":
        raise UnsupportedError(f"pads are {sides} in mode {mode!r}, expected rows and columns of images, and not 'wrap'")
    return t.step(nn.Pad2D((sides[2], sides[3]), {"edge": "replicate"}.get(mode, mode), value), t.images(x))


def _resize(t: Translation, call: Call) -> Value:
    x = t.images(t.value(call))
    is_old = len(call.inputs) == 2  # x and scales, as in Upsample and opset 10
    scales, sizes = t.array(call, 1 if is_old else 2), t.array(call, 3)
    if sizes is not None and sizes.shape == (4,):
        factors = [float(after) / before for after, before in zip(sizes[2:], x.sizes[2:], strict=True)]
    elif scales is not None and scales.shape == (4,) and (scales[:2] == 1).all():
        factors = scales[2:].tolist()
    else:
        raise UnsupportedError("scales and sizes are left out, or change batch or channels; expected those of images")
    mode, where = call.get("mode", "nearest"), call.get("coordinate_transformation_mode", "half_pixel")
    usual = {"nearest": ("asymmetric", "half_pixel"), "linear": ("half_pixel", "pytorch_half_pixel")}.get(mode, ())
    if where not in (("asymmetric", *usual) if call.opset < 11 and mode == "nearest" else usual) or any(
            factor < 1 or factor != int(factor) for factor in factors):
        raise UnsupportedError(f"mode is {mode!r} at {where!r} by {factors}, expected nearest or linear by whole factors, "
                               "and corners that are not aligned")
    rounding = call.get("nearest_mode", "round_prefer_floor")
    if mode == "nearest" and call.opset >= 11 and rounding != ("floor" if where == "asymmetric" else "round_prefer_floor"):
        raise UnsupportedError(f"nearest_mode is {rounding!r} at {where!r}, expected floor at 'asymmetric', or "
                               "round_prefer_floor at 'half_pixel'")
    return t.step(nn.Upsample2D((int(factors[0]), int(factors[1])), "nearest" if mode == "nearest" else "bilinear"), x)


WINDOWED: dict[str, Callable[[Translation, Call], Value]] = {
    "AveragePool": _avg_pool, "Conv": _conv, "ConvTranspose": _conv_transpose,
    "GlobalAveragePool": _global(nn.GlobalAvgPool2D), "GlobalMaxPool": _global(nn.GlobalMaxPool2D), "MaxPool": _max_pool,
    "Pad": _pad, "ReduceMax": _reduced(nn.GlobalMaxPool2D), "ReduceMean": _reduced(nn.GlobalAvgPool2D), "Resize": _resize,
    "Upsample": _resize,
}
