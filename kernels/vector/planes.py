"""Tiles for convolutions of few channels: channels by pixels with the way back, and vectors of filter elements."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..kinds import KIND
from .operation import inside, limited, operation
from .simd import (
    INDEX,
    INT64,
    MASKS,
    Tile,
    array_data,
    broadcast,
    converted,
    fused,
    lane_offset,
    lanes_below,
    lanes_load,
    lanes_of,
    load_vector,
    masked_load,
    masked_store,
    not_below,
    part_of,
    tile_of,
    vector_at,
    vectors_of,
)

PLANE_VECTORS = KIND.planes[1]  # vectors of pixels of a tile


def _power_of_two(count: int) -> int:
    """The smallest power of two that is not below `count`."""
    return 1 << (count - 1).bit_length()


def _zip(builder: Any, a: Any, b: Any) -> list[Any]:
    """a0 b0 a1 b1 ... of two vectors, as two vectors."""
    lanes = a.type.count
    order = [lane // 2 + lane % 2 * lanes for lane in range(2 * lanes)]
    mask = ir.VectorType(INDEX, lanes)
    return [builder.shuffle_vector(a, b, ir.Constant(mask, half)) for half in (order[:lanes], order[lanes:])]


def _interleave(builder: Any, planes: list[Any], channels: int) -> list[Any]:
    """Vectors of pixels, one for each channel, as vectors of so many channels, a power of two, pixel after pixel.

    In log2(channels) rounds of zips; channels beyond the planes are undefined.
    """
    planes = planes + [ir.Constant(planes[0].type, ir.Undefined)] * (channels - len(planes))
    half = channels // 2
    for _ in range(half.bit_length()):
        planes = [part for i in range(half) for part in _zip(builder, planes[i], planes[i + half])]
    return planes


def _pixel_parts(lanes: int, channels: int) -> list[tuple[int, int, int, int]]:
    """For pixels of so many channels in consecutive vectors: (vector, lane, pixel, channel) where each piece begins."""
    starts = range(0, channels * lanes, min(lanes, channels))
    return [(at // lanes, at % lanes, at // channels, at % channels) for at in starts]


def _store_count(builder: Any, piece: Any, pointer: Any, count: int) -> None:
    """Store so many first lanes of a vector."""
    first = 0
    while first < count:
        size = 1 << ((count - first).bit_length() - 1)
        part = part_of(builder, piece, first, size)
        builder.store(part, vector_at(builder, pointer, INT64(first), part.type), align=4)
        first += size


@operation
def planes_tile(bias, offset, count, channels):
    """Tile of a row for each channel, as many as the tuple `channels` has elements, and PLANE_VECTORS vectors of pixels.

    Row k is bias[offset + k], or zero from row `count` on.
    """
    rows = np.zeros((len(channels), 1), bias.dtype)
    count = max(0, min(count, len(channels)))
    rows[:count, 0] = inside(bias, offset, count)
    return np.repeat(rows, PLANE_VECTORS * lanes_of(bias), axis=1)


@planes_tile.in_llvm
def planes_tile(typing, bias, offset, count, channels):
    tile = Tile(len(channels), PLANE_VECTORS, bias.dtype)

    def generate(context, builder, signature, args):
        column = ir.VectorType(tile.scalar, _power_of_two(tile.rows))
        pointer = vector_at(builder, array_data(context, builder, signature.args[0], args[0]), args[1], column)
        shifts = masked_load(builder, pointer, lanes_below(builder, args[2], column.count), column)
        rows = [broadcast(builder, builder.extract_element(shifts, INDEX(k)), tile.vector) for k in range(tile.rows)]
        return tile_of(builder, [row for row in rows for _ in range(tile.vectors)])

    return tile(bias, types.intp, types.intp, channels), generate


@operation
def planes_store(tile, y, y_offset, step, pixels, channels, lowest):
    """Write a tile of channels by pixels as pixels by channels, `step` elements apart: only those that exist.

    `lowest` takes the place of what is below it, unless it is NaN. Integers have None, and become those of the array.
    """
    count = min(channels, len(tile))
    for pixel in range(min(pixels, tile.shape[1])):
        values = tile[:count, pixel]
        inside(y, y_offset + pixel * step, count)[:] = values if lowest is None else limited(values, lowest)


@planes_store.in_llvm
def planes_store(typing, tile, y, y_offset, step, pixels, channels, lowest):
    limited_below = not isinstance(lowest, types.NoneType)

    def generate(context, builder, signature, args):
        value, array, offset, step, pixels, channels, lowest = args
        data, vectors = array_data(context, builder, signature.args[1], array), vectors_of(builder, value)
        if limited_below:
            limit = broadcast(builder, lowest, tile.vector)
            vectors = [not_below(builder, plane, limit) for plane in vectors]
        else:
            vectors = [converted(builder, plane, ir.VectorType(data.type.pointee, tile.lanes)) for plane in vectors]
        padded = _power_of_two(tile.rows)
        size = min(tile.lanes, padded)
        rows = [_interleave(builder, vectors[v::tile.vectors], padded) for v in range(tile.vectors)]

        def write(pixel: int, store: Any) -> None:
            """Store the pieces of one pixel."""
            at = builder.add(offset, builder.mul(step, INT64(pixel)))
            for vector, lane, place, channel in _pixel_parts(tile.lanes, padded):
                if place == pixel % tile.lanes:
                    piece = part_of(builder, rows[pixel // tile.lanes][vector], lane, size)
                    store(piece, builder.gep(data, [lane_offset(builder, at, channel)]), channel)

        def write_all(store: Any) -> None:
            """Store the pixels that exist, with no question for each where all do."""
            total = tile.vectors * tile.lanes
            with builder.if_else(builder.icmp_signed(">=", pixels, INT64(total))) as (all_pixels, some):
                with all_pixels:
                    for pixel in range(total):
                        write(pixel, store)
                with some:
                    for pixel in range(total):
                        with builder.if_then(builder.icmp_signed("<", INT64(pixel), pixels)):
                            write(pixel, store)

        for count in [tile.rows] if MASKS else range(1, tile.rows + 1):  # a masked store takes longer than parts
            with builder.if_then(builder.icmp_signed("==" if count < tile.rows else ">=", channels, INT64(count))):
                write_all(lambda piece, at, channel, count=count: _store_count(
                    builder, piece, at, max(0, min(count - channel, size))))
        if MASKS:
            with builder.if_then(builder.icmp_signed("<", channels, INT64(tile.rows))):
                write_all(lambda piece, at, channel: masked_store(
                    builder, piece, vector_at(builder, at, INT64(0), piece.type),
                    lanes_below(builder, builder.sub(channels, INT64(channel)), size)))
        return context.get_dummy_value()

    return types.void(tile, y, *[types.intp] * 4, tile.element if limited_below else lowest), generate


def _squares(upper: Any, lower: Any) -> Any:
    """The four pixels of each 2x2 of two rows, in row-major order."""
    return np.stack([upper[:, ::2], upper[:, 1::2], lower[:, ::2], lower[:, 1::2]])


def _pairs(builder: Any, tile: Tile, upper: Any, lower: Any) -> list[tuple[list[Any], list[Any]]]:
    """Two neighbouring vectors of a row of `upper`, and of `lower`: for one half of as many pixels after the other."""
    vectors = vectors_of(builder, upper), vectors_of(builder, lower)
    return [(vectors[0][i:i + 2], vectors[1][i:i + 2]) for i in range(0, tile.rows * tile.vectors, 2)]


def _first_largest(builder: Any, pair: tuple[list[Any], list[Any]], numbers: list[Any]) -> tuple[Any, Any]:
    """First maximum of each 2x2 of a pair, and which of four vectors of numbers belongs to it. NaN is the largest."""
    lanes = pair[0][0].type.count
    halves = [ir.Constant(ir.VectorType(INDEX, lanes), [*range(first, 2 * lanes, 2)]) for first in (0, 1)]
    best, *others = [builder.shuffle_vector(*row, half) for row in pair for half in halves]
    winner = numbers[0]
    for value, number in zip(others, numbers[1:], strict=True):
        wins = builder.and_(builder.fcmp_unordered(">", value, best), builder.fcmp_ordered("ord", best, best))
        best, winner = builder.select(wins, value, best), builder.select(wins, number, winner)
    return best, winner


@operation
def planes_pool(upper, lower):
    """First maximum of each 2x2 pixels of two rows, tiles of an even number of vectors; NaN is the largest."""
    squares = _squares(upper, lower)
    return np.take_along_axis(squares, squares.argmax(axis=0)[np.newaxis], axis=0)[0]


@planes_pool.in_llvm
def planes_pool(typing, upper, lower):
    def generate(context, builder, signature, args):
        return tile_of(builder, [_first_largest(builder, pair, [pair[0][0]] * 4)[0]
                                 for pair in _pairs(builder, upper, *args)])

    return Tile(upper.rows, upper.vectors // 2, upper.element)(upper, lower), generate


@operation
def planes_winners(upper, lower, first, down):
    """Where each of these maxima is: `first` is the number of the first pixel of `upper`, the one below has `down` more."""
    index = _squares(upper, lower).argmax(axis=0)
    pixels = first + 2 * np.arange(index.shape[1]) + np.array([0, 1, down, down + 1])[index]
    return pixels.astype(f"i{upper.itemsize}")


@planes_winners.in_llvm
def planes_winners(typing, upper, lower, first, down):
    integers = Tile(upper.rows, upper.vectors // 2, types.int32 if upper.element.bitwidth == 32 else types.int64)

    def generate(context, builder, signature, args):
        *tiles, first, down = args
        corners = [builder.add(row, INT64(column)) for row in (first, builder.add(first, down)) for column in (0, 1)]
        if integers.element.bitwidth == 32:
            corners = [builder.trunc(corner, integers.scalar) for corner in corners]
        corners = [broadcast(builder, corner, integers.vector) for corner in corners]
        winners = []
        for i, pair in enumerate(_pairs(builder, upper, *tiles)):
            pixels = range(2 * integers.lanes * (i % integers.vectors), 2 * integers.lanes * (i % integers.vectors + 1), 2)
            numbers = [builder.add(corner, ir.Constant(integers.vector, [*pixels])) for corner in corners]
            winners.append(_first_largest(builder, pair, numbers)[1])
        return tile_of(builder, winners)

    return integers(upper, lower, types.intp, types.intp), generate


@operation
def zip_vectors(target, start, source, first, second):
    """Write source[first], source[second], source[first + 1], source[second + 1] ... to target[start:]: two vectors."""
    lanes = lanes_of(source)
    pairs = np.stack([inside(source, first, lanes), inside(source, second, lanes)], axis=1)
    inside(target, start, 2 * lanes)[:] = pairs.reshape(-1)


@zip_vectors.in_llvm
def zip_vectors(typing, target, start, source, first, second):
    tile = Tile(1, 1, source.dtype)

    def generate(context, builder, signature, args):
        target_array, start, source_array, first, second = args
        data = array_data(context, builder, signature.args[2], source_array)
        to = array_data(context, builder, signature.args[0], target_array)
        parts = [load_vector(builder, data, offset, tile.vector) for offset in (first, second)]
        for i, zipped in enumerate(_zip(builder, *parts)):
            at = lane_offset(builder, start, i * tile.lanes)
            builder.store(zipped, vector_at(builder, to, at, tile.vector), align=4)
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp, types.intp), generate


@operation
def lines_load(array, offset, lines, run):
    """Tile of len(lines) rows of len(run) vectors, read from consecutive memory: the sums of `filter_multiply_add`."""
    width = len(run) * lanes_of(array)
    return inside(array, offset, len(lines) * width).reshape(len(lines), width).copy()


@lines_load.in_llvm
def lines_load(typing, array, offset, lines, run):
    tile = Tile(len(lines), len(run), array.dtype)

    def generate(context, builder, signature, args):
        pointer = array_data(context, builder, signature.args[0], args[0])
        return tile_of(builder, [load_vector(builder, pointer, lane_offset(builder, args[1], i * tile.lanes), tile.vector)
                                 for i in range(tile.rows * tile.vectors)])

    return tile(array, types.intp, lines, run), generate


@operation
def by_turns(array, first, first_count, second, second_count):
    """One vector: elements from `first` and from `second` on by turns, so many of each, and zeros in place of the others."""
    half = lanes_of(array) // 2
    return np.stack([lanes_load(array, first, min(first_count, half))[:half],
                     lanes_load(array, second, min(second_count, half))[:half]], axis=1).reshape(-1)


@by_turns.in_llvm
def by_turns(typing, array, first, first_count, second, second_count):
    tile = Tile(1, 1, array.dtype)

    def generate(context, builder, signature, args):
        array, *numbers = args
        data, half = array_data(context, builder, signature.args[0], array), tile.lanes // 2
        part = ir.VectorType(tile.scalar, half)
        parts = [masked_load(builder, vector_at(builder, data, offset, part), lanes_below(builder, count, half), part)
                 for offset, count in (numbers[:2], numbers[2:])]
        order = [lane // 2 + lane % 2 * half for lane in range(tile.lanes)]
        zipped = builder.shuffle_vector(*parts, ir.Constant(ir.VectorType(INDEX, tile.lanes), order))
        return tile_of(builder, [zipped])

    return tile(array, *[types.intp] * 4), generate


@operation
def filter_multiply_add(tile, x, start, taps, gradient, fold):
    """Tile plus the products of a vector of dy and what its pixels meet: element v of line l at start + taps[l] + v.

    If len(fold) is 2, then the vector has the channels of two pixels by turns, and each x is a pair.
    """
    lanes, pixels = len(gradient), len(fold)
    run = tile.shape[1] // lanes
    lines = [inside(x, start + tap, run * pixels) for tap in taps]
    inputs = np.reshape(lines, (len(tile), run, 1, pixels))
    return tile + (inputs * gradient.reshape(-1, pixels)).reshape(tile.shape)


@filter_multiply_add.in_llvm
def filter_multiply_add(typing, tile, x, start, taps, gradient, fold):
    pixels = len(fold)

    def generate(context, builder, signature, args):
        value, x_array, start, taps, gradient, _ = args
        x_data = array_data(context, builder, signature.args[1], x_array)
        inputs = ir.VectorType(tile.scalar, pixels)
        turns = ir.Constant(ir.VectorType(INDEX, tile.lanes), [lane % pixels for lane in range(tile.lanes)])
        vector, sums = builder.extract_value(gradient, 0), vectors_of(builder, value)
        for line in range(tile.rows):
            data = builder.gep(builder.gep(x_data, [builder.extract_value(taps, line)]), [start])
            for v in range(tile.vectors):
                k = line * tile.vectors + v
                loaded = load_vector(builder, data, INT64(v * pixels), inputs)
                column = builder.shuffle_vector(loaded, ir.Constant(inputs, ir.Undefined), turns)
                sums[k] = fused(builder, vector, column, sums[k])
        return tile_of(builder, sums)

    return tile(tile, x, types.intp, taps, gradient, fold), generate


@operation
def lines_zeros(array, rows, run):
    """Tile of zeros: as many rows, and vectors in each, as the tuples `rows` and `run` have elements."""
    return np.zeros((len(rows), len(run) * lanes_of(array)), array.dtype)


@lines_zeros.in_llvm
def lines_zeros(typing, array, rows, run):
    tile = Tile(len(rows), len(run), array.dtype)

    def generate(context, builder, signature, args):
        return ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), None)

    return tile(array, rows, run), generate


@operation
def lines_add(tile, y, positions, rows, places, wanted, first):
    """Add vector v of each of so many rows of a tile to y[position of the row + places[first + v]:], one after the other.

    Only those lanes whose number in `wanted`, which has a vector for each place, is not zero.
    """
    lanes = lanes_of(y)
    for row, position in zip(tile[:rows], positions, strict=False):
        for v, vector in enumerate(row.reshape(-1, lanes)):
            counts = inside(wanted, (first + v) * lanes, lanes) != 0
            inside(y, position + inside(places, first + v, 1)[0], lanes)[counts] += vector[counts]


@lines_add.in_llvm
def lines_add(typing, tile, y, positions, rows, places, wanted, first):
    def generate(context, builder, signature, args):
        value, y, positions, rows, places, wanted, first = args
        y_data, table, numbers = (array_data(context, builder, signature.args[k], array)
                                  for k, array in ((1, y), (4, places), (5, wanted)))
        zero, vectors = ir.Constant(tile.vector, None), vectors_of(builder, value)
        for row in range(tile.rows):
            with builder.if_then(builder.icmp_signed("<", INT64(row), rows)):
                data = builder.gep(y_data, [builder.extract_value(positions, row)])
                for v in range(tile.vectors):
                    place = lane_offset(builder, first, v)
                    number = load_vector(builder, numbers, builder.mul(place, INT64(tile.lanes)), tile.vector)
                    wanted_here = builder.fcmp_ordered("!=", number, zero)
                    counted = builder.select(wanted_here, vectors[row * tile.vectors + v], zero)
                    pointer = vector_at(builder, data, builder.load(builder.gep(table, [place])), tile.vector)
                    builder.store(builder.fadd(builder.load(pointer, align=4), counted), pointer, align=4)
        return context.get_dummy_value()

    return types.void(tile, y, positions, types.intp, places, wanted, types.intp), generate
