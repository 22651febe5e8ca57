"""Sums of a run of pixels, or of filter elements, for one vector of channels each: what depthwise.py keeps in registers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from .operation import inside, operation
from .simd import (
    TAPS,
    Tile,
    array_data,
    fused,
    lane_offset,
    lanes_below,
    lanes_load,
    lanes_of,
    load_vector,
    masked_load,
    tile_of,
    vector_at,
    vectors_of,
)


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
def pixels_at(start, step, count):
    """Positions of as many pixels as the tuple `count` has elements, `step` apart from `start` on."""
    return tuple(start + p * step for p in range(len(count)))


@pixels_at.in_llvm
def pixels_at(typing, start, step, count):
    positions = types.UniTuple(types.intp, len(count))

    def generate(context, builder, signature, args):
        start, step, _ = args
        values = [builder.add(start, builder.mul(step, step.type(p))) for p in range(positions.count)]
        return context.make_tuple(builder, positions, values)

    return positions(types.intp, types.intp, count), generate


@operation
def pixels_start(vector, count):
    """Tile of the same vector for each of as many pixels as the tuple `count` has elements."""
    return np.tile(vector, (len(count), 1))


@pixels_start.in_llvm
def pixels_start(typing, vector, count):
    tile = Tile(len(count), 1, vector.element)

    def generate(context, builder, signature, args):
        return tile_of(builder, vectors_of(builder, args[0]) * tile.rows)

    return tile(vector, count), generate


@operation
def pixels_multiply_add(tile, x, positions, offset, w, w_start, places):
    """Tile plus the products of taps side by side: tap s has the vector of w at w_start + places[s].

    For pixel p it meets that of x at positions[p + s] + offset, so that pixels share what they read.
    """
    lanes = lanes_of(x)
    for s, place in enumerate(places):
        weights = inside(w, w_start + place, lanes)
        tile = tile + [inside(x, position + offset, lanes) * weights for position in positions[s:s + len(tile)]]
    return tile


@pixels_multiply_add.in_llvm
def pixels_multiply_add(typing, tile, x, positions, offset, w, w_start, places):
    def generate(context, builder, signature, args):
        value, x_array, positions, offset, w_array, w_start, places = args
        x_data = array_data(context, builder, signature.args[1], x_array)
        w_data = builder.gep(array_data(context, builder, signature.args[4], w_array), [w_start])
        taps = signature.args[6].count
        weights = [load_vector(builder, w_data, builder.extract_value(places, s), tile.vector) for s in range(taps)]
        sums = vectors_of(builder, value)
        for k in range(tile.rows + taps - 1):
            row = load_vector(builder, builder.gep(x_data, [builder.extract_value(positions, k)]), offset, tile.vector)
            for s in range(max(0, k + 1 - tile.rows), min(taps, k + 1)):
                sums[k - s] = fused(builder, row, weights[s], sums[k - s])
        return tile_of(builder, sums)

    return tile(tile, x, positions, types.intp, w, types.intp, places), generate


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
def taps_multiply_add(tile, x, positions, places, gradients, count):
    """Tile plus, for each tap and pixel, the product of the vector of x at position + place and that of the gradient.

    Of the first `count` lanes, or all where that is None. With several pixels, each of every three places lies as far
    behind the one before as each of the positions.
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
        sums, factors = vectors_of(builder, value), vectors_of(builder, gradients)
        for k in range(pixels + side - 1):
            position = builder.extract_value(positions, k)
            for line, data in enumerate(lines):
                row = _load_lanes(builder, data, position, tile.vector, signature.args[5], count)
                for s in range(max(0, k + 1 - pixels), min(side, k + 1)):
                    t = side * line + s
                    sums[t] = fused(builder, row, factors[k - s], sums[t])
        return tile_of(builder, sums)

    return tile(tile, x, positions, places, gradients, count), generate
