"""Sums of a run of pixels, or of filter elements, for one vector of channels each: what depthwise.py keeps in registers."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..jit.internals import cgutils
from .operation import inside, limited, operation
from .simd import (
    PIXELS,
    TAPS,
    Tile,
    array_data,
    lane_offset,
    lanes_below,
    lanes_load,
    lanes_of,
    lanes_store,
    load_vector,
    masked_load,
    masked_store,
    not_below,
    suffix,
    vector_at,
)


def _fused(builder: Any, vector: Any) -> Any:
    return cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.{suffix(vector)}")


def _tile(builder: Any, tile: Tile, vectors: list[Any]) -> Any:
    value = ir.Constant(ir.ArrayType(tile.vector, tile.rows), ir.Undefined)
    for row, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, row)
    return value


@operation
def entries(table, first, count):
    """Entries of a table from `first` on: as many as the tuple `count` has elements."""
    return tuple(inside(table, int(first), len(count)))


@entries.in_llvm
def entries(typing, table, first, count):
    numbers = types.UniTuple(types.intp, len(count))

    def generate(context, builder, signature, args):
        data = array_data(context, builder, signature.args[0], args[0])
        values = [builder.load(builder.gep(data, [lane_offset(builder, args[1], i)])) for i in range(len(count))]
        return context.make_tuple(builder, numbers, values)

    return numbers(table, first, count), generate


@operation
def pixels_at(start, step):
    """Positions of PIXELS pixels, `step` apart from `start` on, and of two more, which taps side by side meet."""
    return tuple(start + p * step for p in range(PIXELS + 2))


@pixels_at.in_llvm
def pixels_at(typing, start, step):
    positions = types.UniTuple(types.intp, PIXELS + 2)

    def generate(context, builder, signature, args):
        start, step = args
        values = [builder.add(start, builder.mul(step, step.type(p))) for p in range(positions.count)]
        return context.make_tuple(builder, positions, values)

    return positions(types.intp, types.intp), generate


@operation
def pixels_start(vector):
    """Tile of the same vector for each of PIXELS pixels."""
    return np.tile(vector, (PIXELS, 1))


@pixels_start.in_llvm
def pixels_start(typing, vector):
    tile = Tile(PIXELS, 1, vector.element)

    def generate(context, builder, signature, args):
        return _tile(builder, tile, [builder.extract_value(args[0], 0)] * tile.rows)

    return tile(vector), generate


@operation
def pixels_load(array, positions):
    """Tile of one vector for each of PIXELS pixels: those of `array` at their positions."""
    return np.stack([inside(array, position, lanes_of(array)) for position in positions[:PIXELS]])


@pixels_load.in_llvm
def pixels_load(typing, array, positions):
    tile = Tile(PIXELS, 1, array.dtype)

    def generate(context, builder, signature, args):
        data = array_data(context, builder, signature.args[0], args[0])
        return _tile(builder, tile, [load_vector(builder, data, builder.extract_value(args[1], p), tile.vector)
                                     for p in range(tile.rows)])

    return tile(array, positions), generate


@operation
def pixels_multiply_add(tile, x, positions, offset, w, w_start, places):
    """Tile plus the products of taps side by side: tap s has the vector of w at w_start + places[s].

    For pixel p it meets that of x at positions[p + s] + offset, so that pixels share what they read.
    """
    lanes = lanes_of(x)
    for s, place in enumerate(places):
        weights = inside(w, w_start + place, lanes)
        tile = tile + [inside(x, position + offset, lanes) * weights for position in positions[s:s + PIXELS]]
    return tile


@pixels_multiply_add.in_llvm
def pixels_multiply_add(typing, tile, x, positions, offset, w, w_start, places):
    def generate(context, builder, signature, args):
        value, x_array, positions, offset, w_array, w_start, places = args
        x_data = array_data(context, builder, signature.args[1], x_array)
        w_data = builder.gep(array_data(context, builder, signature.args[4], w_array), [w_start])
        taps = signature.args[6].count
        weights = [load_vector(builder, w_data, builder.extract_value(places, s), tile.vector) for s in range(taps)]
        fused = _fused(builder, tile.vector)
        for k in range(tile.rows + taps - 1):
            row = load_vector(builder, builder.gep(x_data, [builder.extract_value(positions, k)]), offset, tile.vector)
            for s in range(max(0, k + 1 - tile.rows), min(taps, k + 1)):
                total = builder.call(fused, [row, weights[s], builder.extract_value(value, k - s)])
                value = builder.insert_value(value, total, k - s)
        return value

    return tile(tile, x, positions, types.intp, w, types.intp, places), generate


@operation
def pixels_relu(tile):
    """The tile with 0 in place of what is below it; NaN stays NaN."""
    return limited(tile, 0)


@pixels_relu.in_llvm
def pixels_relu(typing, tile):
    def generate(context, builder, signature, args):
        zero = ir.Constant(tile.vector, None)
        return _tile(builder, tile, [not_below(builder, builder.extract_value(args[0], p), zero) for p in range(tile.rows)])

    return tile(tile), generate


@operation
def pixels_store(tile, y, positions):
    """Write the vector of each pixel to its position in y."""
    for vector, position in zip(tile, positions[:PIXELS], strict=True):
        lanes_store(vector, y, position, len(vector))


@pixels_store.in_llvm
def pixels_store(typing, tile, y, positions):
    def generate(context, builder, signature, args):
        value, y_array, positions = args
        data = array_data(context, builder, signature.args[1], y_array)
        for p in range(tile.rows):
            target = vector_at(builder, data, builder.extract_value(positions, p), tile.vector)
            builder.store(builder.extract_value(value, p), target, align=4)
        return context.get_dummy_value()

    return types.void(tile, y, positions), generate


@operation
def lanes_multiply_add(vector, x, x_offset, w, w_offset, count):
    """The vector plus the products of the first `count` lanes of two others."""
    return vector + lanes_load(x, x_offset, count) * lanes_load(w, w_offset, count)


@lanes_multiply_add.in_llvm
def lanes_multiply_add(typing, tile, x, x_offset, w, w_offset, count):
    def generate(context, builder, signature, args):
        value, x_array, x_offset, w_array, w_offset, count = args
        mask = lanes_below(builder, count, tile.lanes)
        factors = []
        for kind, array, offset in ((signature.args[1], x_array, x_offset), (signature.args[3], w_array, w_offset)):
            pointer = vector_at(builder, array_data(context, builder, kind, array), offset, tile.vector)
            factors.append(masked_load(builder, pointer, mask, tile.vector))
        total = builder.call(_fused(builder, tile.vector), [*factors, builder.extract_value(value, 0)])
        return builder.insert_value(value, total, 0)

    return tile(tile, x, types.intp, w, types.intp, types.intp), generate


def _load_lanes(builder: Any, data: Any, offset: Any, vector: Any, count_type: Any, count: Any) -> Any:
    """One vector: all lanes where `count` is None, else the first `count`, then zeros."""
    if isinstance(count_type, types.NoneType):
        return load_vector(builder, data, offset, vector)
    mask = lanes_below(builder, count, vector.count)
    return masked_load(builder, vector_at(builder, data, offset, vector), mask, vector)


@operation
def taps_at(table, first, last):
    """TAPS entries of table[:last] from `first` on; behind the end, the first three of them, or fewer, again and again."""
    positions = [first + t if first + t < last else min(first + t % 3, last - 1) for t in range(TAPS)]
    return tuple(inside(table, position, 1)[0] for position in positions)


@taps_at.in_llvm
def taps_at(typing, table, first, last):
    numbers = types.UniTuple(types.intp, TAPS)

    def generate(context, builder, signature, args):
        table, first, last = args
        data, final = array_data(context, builder, signature.args[0], table), builder.sub(last, last.type(1))
        values = []
        for t in range(TAPS):
            position, again = lane_offset(builder, first, t), lane_offset(builder, first, t % 3)
            again = builder.select(builder.icmp_signed("<", again, final), again, final)
            position = builder.select(builder.icmp_signed("<", position, last), position, again)
            values.append(builder.load(builder.gep(data, [position])))
        return context.make_tuple(builder, numbers, values)

    return numbers(table, types.intp, types.intp), generate


@operation
def taps_load(array, offset, places, count):
    """Tile of one vector for each of TAPS taps: that of `array` at offset + its place.

    Here and below only the first `count` lanes, or all where that is None.
    """
    count = lanes_of(array) if count is None else count
    return np.stack([lanes_load(array, offset + place, count) for place in places])


@taps_load.in_llvm
def taps_load(typing, array, offset, places, count):
    tile = Tile(TAPS, 1, array.dtype)

    def generate(context, builder, signature, args):
        array, offset, places, count = args
        data = array_data(context, builder, signature.args[0], array)
        starts = [builder.add(offset, builder.extract_value(places, t)) for t in range(tile.rows)]
        return _tile(builder, tile, [_load_lanes(builder, data, start, tile.vector, signature.args[3], count)
                                     for start in starts])

    return tile(array, types.intp, places, count), generate


@operation
def taps_multiply_add(tile, x, positions, places, gradients, count):
    """Tile plus, for each tap and pixel, the product of the vector of x at position + place and that of the gradient.

    Of several pixels, all lanes, and of every three places each lies as far behind the one before as of the positions.
    """
    count = lanes_of(x) if count is None else count
    for position, gradient in zip(positions, np.atleast_2d(gradients), strict=False):
        tile = tile + [lanes_load(x, position + place, count) * gradient for place in places]
    return tile


@taps_multiply_add.in_llvm
def taps_multiply_add(typing, tile, x, positions, places, gradients, count):
    pixels = gradients.rows
    side = 1 if pixels == 1 else 3  # taps that share what they read

    def generate(context, builder, signature, args):
        value, x_array, positions, places, gradients, count = args
        x_data = array_data(context, builder, signature.args[1], x_array)
        lines = [builder.gep(x_data, [builder.extract_value(places, t)]) for t in range(0, TAPS, side)]
        fused = _fused(builder, tile.vector)
        for k in range(pixels + side - 1):
            position = builder.extract_value(positions, k)
            for line, data in enumerate(lines):
                row = _load_lanes(builder, data, position, tile.vector, signature.args[5], count)
                for s in range(max(0, k + 1 - pixels), min(side, k + 1)):
                    t = side * line + s
                    gradient = builder.extract_value(gradients, k - s)
                    total = builder.call(fused, [row, gradient, builder.extract_value(value, t)])
                    value = builder.insert_value(value, total, t)
        return value

    return tile(tile, x, positions, places, gradients, count), generate


@operation
def taps_store(tile, array, offset, places, count):
    """Write the vector of each tap back to where `taps_load` found it; a tap that is there twice is written twice."""
    for vector, place in zip(tile, places, strict=True):
        lanes_store(vector, array, offset + place, len(vector) if count is None else count)


@taps_store.in_llvm
def taps_store(typing, tile, array, offset, places, count):
    def generate(context, builder, signature, args):
        value, array, offset, places, count = args
        data = array_data(context, builder, signature.args[1], array)
        for t in range(tile.rows):
            pointer = vector_at(builder, data, builder.add(offset, builder.extract_value(places, t)), tile.vector)
            if isinstance(signature.args[4], types.NoneType):
                builder.store(builder.extract_value(value, t), pointer, align=4)
            else:
                masked_store(builder, builder.extract_value(value, t), pointer, lanes_below(builder, count, tile.lanes))
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, places, count), generate
