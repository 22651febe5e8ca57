"""A vector each of a few rows or pixels: what softmax, cross entropy and depthwise convolution keep in registers.

Rows hide each other's latency, and the end of a row that fills no vector costs a mask, not a loop. What is one number for
each row, such as its sum, lies in the lanes of one vector, a column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from .operation import inside, operation
from .simd import (
    INDEX,
    Tile,
    array_data,
    broadcast,
    converted,
    lanes_below,
    lanes_of,
    lanes_store,
    load_vector,
    masked_load,
    not_below,
    store_first,
    tile_of,
    together,
    vector_at,
    vectors_of,
)


def _rows_of(array: Any) -> Tile:
    return Tile(together(array.dtype.bitwidth // 8), 1, array.dtype)


def _column_of(tile: Tile) -> Tile:
    return Tile(1, 1, tile.element, tile.rows)


@operation
def rows_together(array):
    """How many rows of an array with this type of elements are taken at once."""
    return together(array.itemsize)


@rows_together.in_llvm
def rows_together(typing, array):
    rows = _rows_of(array).rows

    def generate(context, builder, signature, args):
        return context.get_constant(types.intp, rows)

    return types.intp(array), generate


def _at_most_last(builder: Any, p: int, count: Any) -> Any:
    last = builder.sub(count, count.type(1))
    return builder.select(builder.icmp_signed("<", last.type(p), last), last.type(p), last)


@operation
def rows_at(array, first, count, K):
    """Positions of rows first, first + 1, ... of `array` (any, K); from `count` on the last one again and again."""
    return tuple((first + min(p, count - 1)) * K for p in range(rows_together(array)))


@rows_at.in_llvm
def rows_at(typing, array, first, count, K):
    positions = types.UniTuple(types.intp, _rows_of(array).rows)

    def generate(context, builder, signature, args):
        _, first, count, K = args
        rows = [_at_most_last(builder, p, count) for p in range(positions.count)]
        return context.make_tuple(builder, positions, [builder.mul(builder.add(first, row), K) for row in rows])

    return positions(array, types.intp, types.intp, types.intp), generate


@operation
def rows_fill(array, value):
    """Tile with the same number everywhere."""
    return np.full((rows_together(array), lanes_of(array)), value, array.dtype)


@rows_fill.in_llvm
def rows_fill(typing, array, value):
    tile = _rows_of(array)

    def generate(context, builder, signature, args):
        number = context.cast(builder, args[1], signature.args[1], tile.element)
        return tile_of(builder, [broadcast(builder, number, tile.vector)] * tile.rows)

    return tile(array, value), generate


@operation
def rows_load(array, positions, i, count, rest):
    """Tile of one vector for each position: that of `array` from position + i on.

    Of `count` elements, at most all lanes, then `rest`; where `count` is None all lanes are read, with no mask.
    """
    lanes = lanes_of(array)
    count = lanes if count is None else max(0, min(count, lanes))
    tile = np.full((len(positions), lanes), rest, array.dtype)
    for p, position in enumerate(positions):
        tile[p, :count] = inside(array, position + i, count)
    return tile


@rows_load.in_llvm
def rows_load(typing, array, positions, i, count, rest):
    tile = Tile(len(positions), 1, array.dtype)

    def generate(context, builder, signature, args):
        array, positions, i, count, rest = args
        data = array_data(context, builder, signature.args[0], array)
        starts = [builder.add(builder.extract_value(positions, p), i) for p in range(tile.rows)]
        if isinstance(signature.args[3], types.NoneType):
            return tile_of(builder, [load_vector(builder, data, start, tile.vector) for start in starts])
        mask = lanes_below(builder, count, tile.lanes)
        filled = broadcast(builder, context.cast(builder, rest, signature.args[4], tile.element), tile.vector)
        places = [vector_at(builder, data, start, tile.vector) for start in starts]
        return tile_of(builder, [masked_load(builder, place, mask, tile.vector, filled) for place in places])

    return tile(array, positions, types.intp, count, rest), generate


@operation
def rows_store(tile, array, positions, i, count):
    """Write the vector of each row to where `rows_load` finds it, as much of it as that reads; integers as in the array."""
    for vector, position in zip(tile, positions, strict=True):
        lanes_store(vector, array, position + i, len(vector) if count is None else count)


@rows_store.in_llvm
def rows_store(typing, tile, array, positions, i, count):
    def generate(context, builder, signature, args):
        value, array, positions, i, count = args
        data = array_data(context, builder, signature.args[1], array)
        stored = ir.VectorType(data.type.pointee, tile.lanes)
        for p, vector in enumerate(vectors_of(builder, value)):
            number = converted(builder, vector, stored)
            at = vector_at(builder, data, builder.add(builder.extract_value(positions, p), i), stored)
            if isinstance(signature.args[4], types.NoneType):
                builder.store(number, at, align=4)
            else:
                store_first(builder, number, at, count)
        return context.get_dummy_value()

    return types.void(tile, array, positions, types.intp, count), generate


def _reduction(combine: Any) -> Any:
    """Combine the lanes of each row to one number in LLVM: a column.

    Each step combines neighbours: first it takes two vectors and leaves one, then it leaves half a vector.
    """

    def reduce(typing, tile):
        column = _column_of(tile)

        def halves(builder: Any, a: Any, b: Any, lanes: int) -> Any:
            evens, odds = ([*range(first, 2 * lanes, 2)] for first in (0, 1))
            numbers = ir.VectorType(INDEX, lanes)
            return combine(builder, *(builder.shuffle_vector(a, b, ir.Constant(numbers, half)) for half in (evens, odds)))

        def generate(context, builder, signature, args):
            vectors = vectors_of(builder, args[0])
            while len(vectors) > 1:
                vectors = [halves(builder, a, b, tile.lanes) for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
            lanes = tile.lanes
            while lanes > tile.rows:
                lanes //= 2
                vectors = [halves(builder, vectors[0], vectors[0], lanes)]
            return tile_of(builder, vectors)

        return column(tile), generate

    return reduce


def _reduced(tile, combine):
    while tile.shape[1] > 1:
        tile = combine(tile[:, ::2], tile[:, 1::2])
    return tile[:, 0]


@operation
def rows_sum(tile):
    """Column of the sums of all lanes, neighbours first."""
    return _reduced(tile, np.add)


@operation
def rows_largest(tile):
    """Column of the largest lanes."""
    return _reduced(tile, lambda a, b: np.where(a < b, b, a))


rows_sum = rows_sum.in_llvm(_reduction(lambda builder, a, b: builder.fadd(a, b)))
rows_largest = rows_largest.in_llvm(_reduction(not_below))


@operation
def rows_spread(array, column):
    """Tile whose rows have their number of a column in all lanes."""
    return np.repeat(column[:, np.newaxis], lanes_of(array), axis=1)


@rows_spread.in_llvm
def rows_spread(typing, array, column):
    tile = _rows_of(array)

    def generate(context, builder, signature, args):
        vector = builder.extract_value(args[1], 0)
        lanes = [ir.Constant(ir.VectorType(INDEX, tile.lanes), [p] * tile.lanes) for p in range(tile.rows)]
        return tile_of(builder, [builder.shuffle_vector(vector, vector, lane) for lane in lanes])

    return tile(array, column), generate


@operation
def column_load(array, positions, distances):
    """Column of array[position + distance] of each row; the distances are a column of integers, or one number for all."""
    places = [position + int(distance) for position, distance in
              zip(positions, np.broadcast_to(distances, len(positions)), strict=True)]
    return np.array([inside(array, place, 1)[0] for place in places])


@column_load.in_llvm
def column_load(typing, array, positions, distances):
    column = Tile(1, 1, array.dtype, positions.count)

    def generate(context, builder, signature, args):
        array, positions, distances = args
        data = array_data(context, builder, signature.args[0], array)
        vector = ir.Constant(column.vector, ir.Undefined)
        for p in range(column.lanes):
            distance = distances
            if isinstance(signature.args[2], Tile):
                distance = builder.extract_element(builder.extract_value(distances, 0), INDEX(p))
            at = builder.add(builder.extract_value(positions, p), distance)
            vector = builder.insert_element(vector, builder.load(builder.gep(data, [at])), INDEX(p))
        return tile_of(builder, [vector])

    return column(array, positions, distances), generate
