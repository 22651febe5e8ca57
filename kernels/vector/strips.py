"""Sums of a run of pixels, or of filter elements, for one vector of channels each: what depthwise.py keeps in registers."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..jit.internals import cgutils
from .operation import inside, operation
from .simd import (
    INDEX,
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
    suffix,
    vector_at,
)


def _fused(builder: Any, vector: Any) -> Any:
    return cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.{suffix(vector)}")


@operation
def pixels_start(bias, offset):
    """Tile of one vector for each of PIXELS pixels: bias[offset : offset + lanes]."""
    return np.tile(inside(bias, offset, lanes_of(bias)), (PIXELS, 1))


@pixels_start.in_llvm
def pixels_start(typing, bias, offset):
    tile = Tile(PIXELS, 1, bias.dtype)

    def generate(context, builder, signature, args):
        row = load_vector(builder, array_data(context, builder, signature.args[0], args[0]), args[1], tile.vector)
        value = ir.Constant(ir.ArrayType(tile.vector, tile.rows), ir.Undefined)
        for p in range(tile.rows):
            value = builder.insert_value(value, row, p)
        return value

    return tile(bias, types.intp), generate


def _entry(context: Any, builder: Any, array_type: Any, array: Any, position: Any) -> Any:
    return builder.load(builder.gep(array_data(context, builder, array_type, array), [position]))


@operation
def pixels_multiply_add(tile, x, start, step, offsets, w, w_start, numbers, t):
    """Tile plus, for pixel p, the product of x at start + p * step + offsets[t] and w at w_start + numbers[t]."""
    lanes = lanes_of(x)
    at, weights = start + int(offsets[t]), inside(w, w_start + int(numbers[t]), lanes)
    return tile + [inside(x, at + p * step, lanes) * weights for p in range(PIXELS)]


@pixels_multiply_add.in_llvm
def pixels_multiply_add(typing, tile, x, start, step, offsets, w, w_start, numbers, t):
    def generate(context, builder, signature, args):
        value, x_array, start, step, offsets, w_array, w_start, numbers, t = args
        x_data = array_data(context, builder, signature.args[1], x_array)
        offset = _entry(context, builder, signature.args[4], offsets, t)
        number = _entry(context, builder, signature.args[7], numbers, t)
        w_data = builder.gep(array_data(context, builder, signature.args[5], w_array), [w_start])
        weights = load_vector(builder, w_data, number, tile.vector)
        fused = _fused(builder, tile.vector)
        for p in range(tile.rows):
            row = load_vector(builder, builder.gep(x_data, [start]), offset, tile.vector)
            value = builder.insert_value(value, builder.call(fused, [row, weights, builder.extract_value(value, p)]), p)
            start = builder.add(start, step)
        return value

    return tile(tile, x, types.intp, types.intp, offsets, w, types.intp, numbers, t), generate


@operation
def pixels_multiply_add_3(tile, x, start, step, offsets, w, w_start, numbers, t):
    """The same for t, t + 1 and t + 2, of which each lies `step` behind the one before: pixels share what they read."""
    for s in range(3):
        tile = pixels_multiply_add(tile, x, start + s * step, step, offsets[t:t + 1], w, w_start, numbers[t + s:], 0)
    return tile


@pixels_multiply_add_3.in_llvm
def pixels_multiply_add_3(typing, tile, x, start, step, offsets, w, w_start, numbers, t):
    def generate(context, builder, signature, args):
        value, x_array, start, step, offsets, w_array, w_start, numbers, t = args
        x_data = array_data(context, builder, signature.args[1], x_array)
        offset = _entry(context, builder, signature.args[4], offsets, t)
        w_data = builder.gep(array_data(context, builder, signature.args[5], w_array), [w_start])
        entries = [_entry(context, builder, signature.args[7], numbers, lane_offset(builder, t, s)) for s in range(3)]
        weights = [load_vector(builder, w_data, entry, tile.vector) for entry in entries]
        fused = _fused(builder, tile.vector)
        for k in range(tile.rows + 2):
            row = load_vector(builder, builder.gep(x_data, [start]), offset, tile.vector)
            for s in range(max(0, k + 1 - tile.rows), min(3, k + 1)):
                total = builder.call(fused, [row, weights[s], builder.extract_value(value, k - s)])
                value = builder.insert_value(value, total, k - s)
            start = builder.add(start, step)
        return value

    return tile(tile, x, types.intp, types.intp, offsets, w, types.intp, numbers, t), generate


@operation
def pixels_store(tile, y, offset, step):
    """Write the vector of pixel p to y from offset + p * step on."""
    for p, vector in enumerate(tile):
        lanes_store(vector, y, offset + p * step, len(vector))


@pixels_store.in_llvm
def pixels_store(typing, tile, y, offset, step):
    def generate(context, builder, signature, args):
        value, y_array, offset, step = args
        data = array_data(context, builder, signature.args[1], y_array)
        for p in range(tile.rows):
            builder.store(builder.extract_value(value, p), vector_at(builder, data, offset, tile.vector), align=4)
            offset = builder.add(offset, step)
        return context.get_dummy_value()

    return types.void(tile, y, types.intp, types.intp), generate


@operation
def pixels_prefetch(x, offset, step):
    """Bring the vectors of x at offset + p * step, for PIXELS pixels, into the cache; they may lie outside."""


@pixels_prefetch.in_llvm
def pixels_prefetch(typing, x, offset, step):
    def generate(context, builder, signature, args):
        x_array, offset, step = args
        data = array_data(context, builder, signature.args[0], x_array)
        byte = ir.IntType(8).as_pointer()
        fetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, INDEX, INDEX, INDEX]), "llvm.prefetch.p0")
        reading, near, data_cache = INDEX(0), INDEX(3), INDEX(1)
        for _ in range(PIXELS):
            builder.call(fetch, [builder.bitcast(builder.gep(data, [offset]), byte), reading, near, data_cache])
            offset = builder.add(offset, step)
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp), generate


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


def _wrapped(entries, first, last):
    """TAPS entries from `first` on; where the list ends, the first three of them, or fewer, again and again."""
    positions = [first + t if first + t < last else min(first + t % 3, last - 1) for t in range(TAPS)]
    return [int(inside(entries, position, 1)[0]) for position in positions]


def _listed(context: Any, builder: Any, array_type: Any, array: Any, first: Any, last: Any) -> list[Any]:
    """TAPS entries of a list from `first` on; where it ends, the first three of them, or fewer, again and again."""
    data = array_data(context, builder, array_type, array)
    entries, final = [], builder.sub(last, last.type(1))
    for t in range(TAPS):
        position, again = lane_offset(builder, first, t), lane_offset(builder, first, t % 3)
        again = builder.select(builder.icmp_signed("<", again, final), again, final)
        position = builder.select(builder.icmp_signed("<", position, last), position, again)
        entries.append(builder.load(builder.gep(data, [position])))
    return entries


@operation
def taps_load(array, offset, numbers, first, last, count):
    """Tile of one vector for each of TAPS taps, listed in numbers[first:last]: that of `array` at offset + number.

    Here and below only the first `count` lanes, or all where that is None.
    """
    count = lanes_of(array) if count is None else count
    return np.stack([lanes_load(array, offset + number, count) for number in _wrapped(numbers, first, last)])


@taps_load.in_llvm
def taps_load(typing, array, offset, numbers, first, last, count):
    tile = Tile(TAPS, 1, array.dtype)

    def generate(context, builder, signature, args):
        array, offset, numbers, first, last, count = args
        data = array_data(context, builder, signature.args[0], array)
        value = ir.Constant(ir.ArrayType(tile.vector, tile.rows), ir.Undefined)
        for t, number in enumerate(_listed(context, builder, signature.args[2], numbers, first, last)):
            row = _load_lanes(builder, data, builder.add(offset, number), tile.vector, signature.args[5], count)
            value = builder.insert_value(value, row, t)
        return value

    return tile(array, types.intp, numbers, types.intp, types.intp, count), generate


@operation
def taps_multiply_add(tile, x, start, offsets, first, last, dy, dy_offset, count):
    """Tile plus, for each tap, the product of the vector of x at start + its entry in offsets[first:last] and that of dy."""
    count = lanes_of(x) if count is None else count
    gradient = lanes_load(dy, dy_offset, count)
    return tile + [lanes_load(x, start + offset, count) * gradient for offset in _wrapped(offsets, first, last)]


@taps_multiply_add.in_llvm
def taps_multiply_add(typing, tile, x, start, offsets, first, last, dy, dy_offset, count):
    def generate(context, builder, signature, args):
        value, x_array, start, offsets, first, last, dy_array, dy_offset, count = args
        x_data = array_data(context, builder, signature.args[1], x_array)
        dy_data = array_data(context, builder, signature.args[6], dy_array)
        gradient = _load_lanes(builder, dy_data, dy_offset, tile.vector, signature.args[8], count)
        fused = _fused(builder, tile.vector)
        for t, offset in enumerate(_listed(context, builder, signature.args[3], offsets, first, last)):
            row = _load_lanes(builder, builder.gep(x_data, [offset]), start, tile.vector, signature.args[8], count)
            value = builder.insert_value(value, builder.call(fused, [row, gradient, builder.extract_value(value, t)]), t)
        return value

    return tile(tile, x, types.intp, offsets, types.intp, types.intp, dy, types.intp, count), generate


@operation
def taps_multiply_add_3(tile, x, start, step, offsets, first, last, dy, dy_start, dy_step):
    """The same for PIXELS pixels, `step` apart in x, where of every three taps each lies `step` behind the one before.

    All lanes.
    """
    for p in range(PIXELS):
        tile = taps_multiply_add(tile, x, start + p * step, offsets, first, last, dy, dy_start + p * dy_step, None)
    return tile


@taps_multiply_add_3.in_llvm
def taps_multiply_add_3(typing, tile, x, start, step, offsets, first, last, dy, dy_start, dy_step):
    def generate(context, builder, signature, args):
        value, x_array, start, step, offsets, first, last, dy_array, dy_start, dy_step = args
        kinds = signature.args
        x_data = array_data(context, builder, kinds[1], x_array)
        dy_data = array_data(context, builder, kinds[7], dy_array)
        gradients = []
        for _ in range(PIXELS):
            gradients.append(load_vector(builder, dy_data, dy_start, tile.vector))
            dy_start = builder.add(dy_start, dy_step)
        fused = _fused(builder, tile.vector)
        lines = [builder.gep(x_data, [offset]) for offset in _listed(context, builder, kinds[4], offsets, first, last)[::3]]
        for k in range(PIXELS + 2):
            for line, data in enumerate(lines):
                row = load_vector(builder, data, start, tile.vector)
                for s in range(max(0, k + 1 - PIXELS), min(3, k + 1)):
                    t = 3 * line + s
                    total = builder.call(fused, [row, gradients[k - s], builder.extract_value(value, t)])
                    value = builder.insert_value(value, total, t)
            start = builder.add(start, step)
        return value

    integers = [types.intp] * 2
    return tile(tile, x, *integers, offsets, *integers, dy, *integers), generate


@operation
def taps_store(tile, array, offset, numbers, first, last, count):
    """Write the vector of each tap back to where `taps_load` found it; a tap that is there twice is written twice."""
    for vector, number in zip(tile, _wrapped(numbers, first, last), strict=True):
        lanes_store(vector, array, offset + number, len(vector) if count is None else count)


@taps_store.in_llvm
def taps_store(typing, tile, array, offset, numbers, first, last, count):
    def generate(context, builder, signature, args):
        value, array, offset, numbers, first, last, count = args
        data = array_data(context, builder, signature.args[1], array)
        for t, number in enumerate(_listed(context, builder, signature.args[3], numbers, first, last)):
            pointer = vector_at(builder, data, builder.add(offset, number), tile.vector)
            if isinstance(signature.args[6], types.NoneType):
                builder.store(builder.extract_value(value, t), pointer, align=4)
            else:
                masked_store(builder, builder.extract_value(value, t), pointer, lanes_below(builder, count, tile.lanes))
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, numbers, types.intp, types.intp, count), generate
