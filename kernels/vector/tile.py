"""The register tile that all matrix products are made of: some rows of one to four vectors, held in registers.

`tile_multiply_add` does one step of an outer product,

    tile[row, lane] += x[position of row] * w[w_offset + lane],

compiled to one broadcast per row, one load per vector and one fused multiply-add per row and vector. Each row has a position
of its own in x, so that the pixels of a tile may lie anywhere. Everything around it is ordinary Python.

How many vectors a tile has is part of the type of an argument `width`, a tuple with one element for each of them; the rows
are as many as the registers of the host CPU can hold beside the weights and one broadcast. Nothing here checks bounds: a
caller lets no read or write leave its arrays.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from ..arguments import Floats, Integers
from ..jit.internals import cgutils
from .operation import inside, limited, operation
from .simd import (
    INT64,
    ROWS,
    Tile,
    array_data,
    broadcast,
    fields,
    fused,
    lane_offset,
    lanes_below,
    lanes_of,
    load_vector,
    masked_load,
    not_below,
    store_first,
    tile_of,
    vector_at,
    vectors_of,
)

LINE = 16  # float32 elements of a cache line


def _tile(width: Any, array: Any) -> Tile:
    return Tile(ROWS[len(width)], len(width), array.dtype)


@operation
def rows_of(width):
    """Number of rows of a tile."""
    return ROWS[len(width)]


@rows_of.in_llvm
def rows_of(typing, width):
    def generate(context, builder, signature, args):
        return INT64(ROWS[len(width)])

    return types.intp(width), generate


@operation
def tile_positions(table, start, width):
    """Position of each row: table[start : start + rows]."""
    return tuple(inside(table, start, rows_of(width)))


@tile_positions.in_llvm
def tile_positions(typing, table, start, width):
    def generate(context, builder, signature, args):
        data = array_data(context, builder, signature.args[0], args[0])
        values = [builder.load(builder.gep(data, [lane_offset(builder, args[1], p)])) for p in range(ROWS[len(width)])]
        return context.make_tuple(builder, signature.return_type, values)

    return types.UniTuple(types.intp, ROWS[len(width)])(table, types.intp, width), generate


@operation
def tile_strided(start, stride, width):
    """Positions of rows at equal distances: start + row * stride."""
    return tuple(start + row * stride for row in range(rows_of(width)))


@tile_strided.in_llvm
def tile_strided(typing, start, stride, width):
    def generate(context, builder, signature, args):
        values = [builder.add(args[0], builder.mul(args[1], INT64(p))) for p in range(ROWS[len(width)])]
        return context.make_tuple(builder, signature.return_type, values)

    return types.UniTuple(types.intp, ROWS[len(width)])(types.intp, types.intp, width), generate


@operation
def tile_zeros(array, width):
    """Tile of zeros, of the array's element type."""
    return np.zeros((rows_of(width), len(width) * lanes_of(array)), array.dtype)


@tile_zeros.in_llvm
def tile_zeros(typing, array, width):
    tile = _tile(width, array)

    def generate(context, builder, signature, args):
        return ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), None)

    return tile(array, width), generate


@operation
def tile_rows(w, w_offset, count, width):
    """Tile whose every row is w[w_offset : w_offset + count], then zeros: the bias of each output channel."""
    row = np.zeros(len(width) * lanes_of(w), w.dtype)
    count = max(0, min(count, len(row)))
    row[:count] = inside(w, w_offset, count)
    return np.tile(row, (rows_of(width), 1))


@tile_rows.in_llvm
def tile_rows(typing, w, w_offset, count, width):
    tile = _tile(width, w)

    def generate(context, builder, signature, args):
        pointer = array_data(context, builder, signature.args[0], args[0])
        row = [masked_load(builder, vector_at(builder, pointer, lane_offset(builder, args[1], v * tile.lanes), tile.vector),
                           lanes_below(builder, builder.sub(args[2], INT64(v * tile.lanes)), tile.lanes), tile.vector)
               for v in range(tile.vectors)]
        return tile_of(builder, row * tile.rows)

    return tile(w, types.intp, types.intp, width), generate


@operation
def tile_load(y, y_offset, width):
    """Tile read from consecutive memory, row after row."""
    rows, lanes = rows_of(width), len(width) * lanes_of(y)
    return inside(y, y_offset, rows * lanes).reshape(rows, lanes).copy()


@tile_load.in_llvm
def tile_load(typing, y, y_offset, width):
    tile = _tile(width, y)

    def generate(context, builder, signature, args):
        pointer = array_data(context, builder, signature.args[0], args[0])
        return tile_of(builder, [load_vector(builder, pointer, lane_offset(builder, args[1], i * tile.lanes), tile.vector)
                                 for i in range(tile.rows * tile.vectors)])

    return tile(y, types.intp, width), generate


@operation
def row_copy(target, target_offset, source, source_offset, width):
    """Copy as many elements as a tile's row has."""
    count = len(width) * lanes_of(source)
    inside(target, target_offset, count)[:] = inside(source, source_offset, count)


@row_copy.in_llvm
def row_copy(typing, target, target_offset, source, source_offset, width):
    tile = _tile(width, source)

    def generate(context, builder, signature, args):
        target, target_offset, source, source_offset, _ = args
        to = array_data(context, builder, signature.args[0], target)
        data = array_data(context, builder, signature.args[2], source)
        for v in range(tile.vectors):
            value = load_vector(builder, data, lane_offset(builder, source_offset, v * tile.lanes), tile.vector)
            at = vector_at(builder, to, lane_offset(builder, target_offset, v * tile.lanes), tile.vector)
            builder.store(value, at, align=4)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp, width), generate


@operation
def tile_store(tile, y, y_offset, stride):
    """Write the whole tile: row p to y[y_offset + p * stride]."""
    for p in range(len(tile)):
        inside(y, y_offset + p * stride, tile.shape[1])[:] = tile[p]


@tile_store.in_llvm
def tile_store(typing, tile, y, y_offset, stride):
    def generate(context, builder, signature, args):
        value, array, offset, stride = args
        pointer = array_data(context, builder, signature.args[1], array)
        for p in range(tile.rows):
            for v in range(tile.vectors):
                target = vector_at(builder, pointer, lane_offset(builder, offset, v * tile.lanes), tile.vector)
                builder.store(builder.extract_value(value, p * tile.vectors + v), target, align=4)
            offset = builder.add(offset, stride)
        return context.get_dummy_value()

    return types.void(tile, y, types.intp, types.intp), generate


@operation
def tile_multiply_add(tile, x, positions, distance, w, w_offset):
    """Tile plus the outer product of x[position + distance] for each row and one row of w.

    `positions` come from `tile_positions`; a number instead means that the rows lie side by side from there on.
    """
    if not isinstance(positions, tuple):
        positions = range(positions, positions + len(tile))
    column = np.array([inside(x, position + distance, 1)[0] for position in positions])
    return tile + np.outer(column, inside(w, w_offset, tile.shape[1]))


@tile_multiply_add.in_llvm
def tile_multiply_add(typing, tile, x, positions, distance, w, w_offset):
    side_by_side = isinstance(positions, types.Integer)

    def generate(context, builder, signature, args):
        value, x_array, positions, distance, w_array, w_offset = args
        x_data = array_data(context, builder, signature.args[1], x_array)
        w_data = array_data(context, builder, signature.args[4], w_array)
        sums = vectors_of(builder, value)

        def row_of(p: int) -> Any:
            """The input of a row in all lanes."""
            if side_by_side:
                pointer = builder.gep(x_data, [lane_offset(builder, builder.add(positions, distance), p)])
            else:
                pointer = builder.gep(builder.gep(x_data, [builder.extract_value(positions, p)]), [distance])
            return broadcast(builder, builder.load(pointer), tile.vector)

        def weights_of(v: int) -> Any:
            """Vector v of w."""
            return load_vector(builder, w_data, lane_offset(builder, w_offset, v * tile.lanes), tile.vector)

        # Rows or vectors, whichever are fewer, stay in registers while the others pass by.
        if tile.vectors <= tile.rows:
            weights = [weights_of(v) for v in range(tile.vectors)]
            for p in range(tile.rows):
                row = row_of(p)
                for v in range(tile.vectors):
                    sums[p * tile.vectors + v] = fused(builder, row, weights[v], sums[p * tile.vectors + v])
        else:
            rows = [row_of(p) for p in range(tile.rows)]
            for v in range(tile.vectors):
                weight = weights_of(v)
                for p in range(tile.rows):
                    sums[p * tile.vectors + v] = fused(builder, rows[p], weight, sums[p * tile.vectors + v])
        return tile_of(builder, sums)

    return tile(tile, x, types.intp if side_by_side else positions, types.intp, w, types.intp), generate


@operation
def tile_add_doubles(tile, sums, offset):
    """Add the numbers of a tile, row after row, to float64 sums[offset : offset + their count]."""
    inside(sums, offset, tile.size)[:] += tile.ravel()


@tile_add_doubles.in_llvm
def tile_add_doubles(typing, tile, sums, offset):
    doubles = ir.VectorType(ir.DoubleType(), tile.lanes)

    def generate(context, builder, signature, args):
        data = array_data(context, builder, signature.args[1], args[1])
        for i, vector in enumerate(vectors_of(builder, args[0])):
            pointer = vector_at(builder, data, lane_offset(builder, args[2], i * tile.lanes), doubles)
            value = vector if vector.type == doubles else builder.fpext(vector, doubles)
            builder.store(builder.fadd(builder.load(pointer, align=8), value), pointer, align=8)
        return context.get_dummy_value()

    return types.void(tile, sums, types.intp), generate


@operation
def tile_prefetch(x, positions, distance):
    """Ask for the cache line of x[position + distance] for each row."""


@tile_prefetch.in_llvm
def tile_prefetch(typing, x, positions, distance):
    def generate(context, builder, signature, args):
        data = array_data(context, builder, signature.args[0], args[0])
        byte = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        prefetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0")
        for p in range(len(signature.args[1])):
            pointer = builder.gep(builder.gep(data, [builder.extract_value(args[1], p)]), [args[2]])
            builder.call(prefetch, [builder.bitcast(pointer, byte), number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(x, positions, types.intp), generate


class Target(NamedTuple):
    """Where a tile's rows go: lane k of row i to y[positions[i] + channel + k], for `channels` lanes at most."""

    y: Floats
    positions: Integers
    channel: int
    channels: int


@operation
def tile_scatter(tile, target, first, rows, epilogue):
    """Write the first `rows` rows of a tile, from the target's row `first` on, with residual and ReLU: no bias is added."""
    count = min(target.channels, tile.shape[1])
    for p in range(min(rows, len(tile))):
        place = inside(target.positions, first + p, 1)[0] + target.channel
        row = tile[p, :count]
        if len(epilogue.residual) > 0:
            row = row + inside(epilogue.residual, place, count)
        inside(target.y, place, count)[:] = limited(row, 0 if epilogue.relu else math.nan)


@tile_scatter.in_llvm
def tile_scatter(typing, tile, target, first, rows, epilogue):
    def generate(context, builder, signature, args):
        value, _, first, rows, _ = args
        y, positions, channel, channels = fields(context, builder, signature.args[1], args[1])
        _, residual, relu, _ = fields(context, builder, signature.args[4], args[4])
        zero, nothing = ir.Constant(tile.scalar, 0.0), ir.Constant(tile.scalar, math.nan)
        lowest = broadcast(builder, builder.select(relu, zero, nothing), tile.vector)
        counts = [builder.sub(channels, INT64(v * tile.lanes)) for v in range(tile.vectors)]

        def write(p, adding):
            place = builder.add(builder.load(builder.gep(positions.data, [lane_offset(builder, first, p)])), channel)
            for v, count in enumerate(counts):
                vector, at = builder.extract_value(value, p * tile.vectors + v), lane_offset(builder, place, v * tile.lanes)
                if adding:
                    more, mask = vector_at(builder, residual.data, at, tile.vector), lanes_below(builder, count, tile.lanes)
                    vector = builder.fadd(vector, masked_load(builder, more, mask, tile.vector))
                store_first(builder, not_below(builder, vector, lowest), vector_at(builder, y.data, at, tile.vector), count)

        adds = builder.icmp_signed(">", residual.nitems, INT64(0))
        with builder.if_else(adds) as (then, otherwise):
            for branch, adding in ((then, True), (otherwise, False)):
                with branch:
                    for p in range(tile.rows):
                        with builder.if_then(builder.icmp_signed("<", INT64(p), rows), likely=True):
                            write(p, adding)
        return context.get_dummy_value()

    return types.void(tile, target, types.intp, types.intp, epilogue), generate
