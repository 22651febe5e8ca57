"""Tiles of channels by pixels, for kernels whose vectors run over pixels (narrow.py), and the way to pixels by channels."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from .simd import (
    INDEX,
    NATURAL,
    PLANES,
    Tile,
    array_data,
    broadcast,
    lane_offset,
    lanes_below,
    load_vector,
    masked_load,
    masked_store,
    not_below,
    suffix,
    vector_at,
)


def _zip(builder: Any, a: Any, b: Any) -> list[Any]:
    """a0 b0 a1 b1 ... of two vectors, as two vectors."""
    lanes = a.type.count
    order = [lane // 2 + lane % 2 * lanes for lane in range(2 * lanes)]
    mask = ir.VectorType(INDEX, lanes)
    return [builder.shuffle_vector(a, b, ir.Constant(mask, half)) for half in (order[:lanes], order[lanes:])]


def _unzip(builder: Any, a: Any, b: Any) -> list[Any]:
    """The elements of two vectors with even numbers, and those with odd numbers."""
    lanes = a.type.count
    mask = ir.VectorType(INDEX, lanes)
    return [builder.shuffle_vector(a, b, ir.Constant(mask, list(range(odd, 2 * lanes, 2)))) for odd in (0, 1)]


def _interleave(builder: Any, planes: list[Any]) -> list[Any]:
    """Vectors of pixels, one for each channel, as vectors of channels, pixel after pixel: log2(channels) rounds of zips."""
    half = len(planes) // 2
    for _ in range(half.bit_length()):
        planes = [part for i in range(half) for part in _zip(builder, planes[i], planes[i + half])]
    return planes


def _deinterleave(builder: Any, pixels: list[Any]) -> list[Any]:
    """The inverse of `_interleave`."""
    half = len(pixels) // 2
    for _ in range(half.bit_length()):
        pairs = [_unzip(builder, pixels[2 * i], pixels[2 * i + 1]) for i in range(half)]
        pixels = [pair[0] for pair in pairs] + [pair[1] for pair in pairs]
    return pixels


def _pixel_parts(lanes: int) -> list[tuple[int, int, int, int]]:
    """For pixels of PLANES channels in consecutive vectors: (vector, lane, pixel, channel) where each piece begins."""
    piece = min(lanes, PLANES)
    starts = range(0, PLANES * lanes, piece)
    return [(at // lanes, at % lanes, at // PLANES, at % PLANES) for at in starts]


def _part_mask(builder: Any, lanes: int, lane: int, channel: int, pixel: int, pixels: Any, channels: Any) -> Any:
    """Mask of one pixel's channels that exist, in the lanes from `lane` on."""
    wanted = builder.select(builder.icmp_signed("<", NATURAL(pixel), pixels), channels, NATURAL(0))
    wanted = builder.sub(wanted, NATURAL(channel))
    most = NATURAL(min(lanes, PLANES))
    wanted = builder.select(builder.icmp_signed("<", wanted, most), wanted, most)
    wanted = builder.select(builder.icmp_signed(">", wanted, NATURAL(0)), wanted, NATURAL(0))
    bits = builder.shl(builder.sub(builder.shl(NATURAL(1), wanted), NATURAL(1)), NATURAL(lane))
    return builder.bitcast(builder.trunc(bits, ir.IntType(lanes)), ir.VectorType(ir.IntType(1), lanes))


@intrinsic
def planes_tile(typing, bias, offset, count, vectors):
    """Tile of PLANES rows, one for each channel, and vectors of pixels: row k is bias[offset + k], or zero from row `count`
    on.
    """
    if not isinstance(vectors, types.IntegerLiteral):
        return None
    tile = Tile(PLANES, vectors.literal_value, bias.dtype)

    def generate(context, builder, signature, args):
        eight = ir.VectorType(tile.scalar, PLANES)
        pointer = vector_at(builder, array_data(context, builder, signature.args[0], args[0]), args[1], eight)
        shifts = masked_load(builder, pointer, lanes_below(builder, args[2], PLANES), eight)
        value = ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), ir.Undefined)
        for k in range(tile.rows):
            row = broadcast(builder, builder.extract_element(shifts, INDEX(k)), tile.vector)
            for v in range(tile.vectors):
                value = builder.insert_value(value, row, k * tile.vectors + v)
        return value

    return tile(bias, types.intp, types.intp, vectors), generate


@intrinsic
def planes_store(typing, tile, y, y_offset, step, pixels, channels, floor):
    """Write a tile of channels by pixels as pixels by channels, `step` elements apart: only those that exist.

    Nothing falls below the floor; one that is NaN is none.
    """

    def generate(context, builder, signature, args):
        value, array, offset, step, pixels, channels, floor = args
        pointer = array_data(context, builder, signature.args[1], array)
        lowest = broadcast(builder, floor, tile.vector)
        for v in range(tile.vectors):
            planes = [not_below(builder, builder.extract_value(value, k * tile.vectors + v), lowest)
                      for k in range(tile.rows)]
            rows = _interleave(builder, planes)
            for vector, lane, pixel, channel in _pixel_parts(tile.lanes):
                number = v * tile.lanes + pixel
                mask = _part_mask(builder, tile.lanes, lane, channel, number, pixels, channels)
                at = builder.add(offset, builder.mul(step, NATURAL(number)))
                target = vector_at(builder, pointer, lane_offset(builder, at, channel - lane), tile.vector)
                masked_store(builder, rows[vector], target, mask)
        return context.get_dummy_value()

    return types.void(tile, y, *[types.intp] * 4, tile.element), generate


@intrinsic
def planes_load(typing, dy, offset, step, pixels, channels, planes, start, distance):
    """planes[start + k * distance : ... + lanes] = channel k of a vector of pixels, zero where one is missing."""
    tile = Tile(1, 1, dy.dtype)

    def generate(context, builder, signature, args):
        dy_array, offset, step, pixels, channels, planes_array, start, distance = args
        source = array_data(context, builder, signature.args[0], dy_array)
        target = array_data(context, builder, signature.args[5], planes_array)
        rows: list[Any] = [None] * PLANES
        for vector, lane, pixel, channel in _pixel_parts(tile.lanes):
            mask = _part_mask(builder, tile.lanes, lane, channel, pixel, pixels, channels)
            at = builder.add(offset, builder.mul(step, NATURAL(pixel)))
            pointer = vector_at(builder, source, lane_offset(builder, at, channel - lane), tile.vector)
            part = masked_load(builder, pointer, mask, tile.vector)
            rows[vector] = part if rows[vector] is None else builder.select(mask, part, rows[vector])
        for plane in _deinterleave(builder, rows):
            builder.store(plane, vector_at(builder, target, start, tile.vector), align=4)
            start = builder.add(start, distance)
        return context.get_dummy_value()

    return types.void(dy, *[types.intp] * 4, planes, types.intp, types.intp), generate


@intrinsic
def planes_multiply_add(typing, tile, rows, offset, distance, columns, column_offset, column_distance, count):
    """Tile plus, for every row and vector, the product of a vector of `rows` and `count` lanes of one of `columns`."""

    def generate(context, builder, signature, args):
        value, row_array, offset, distance, column_array, column_offset, column_distance, count = args
        row_data = array_data(context, builder, signature.args[1], row_array)
        column_data = array_data(context, builder, signature.args[4], column_array)
        columns = []
        mask = lanes_below(builder, count, tile.lanes)
        for _ in range(tile.vectors):
            column = vector_at(builder, column_data, column_offset, tile.vector)
            columns.append(masked_load(builder, column, mask, tile.vector))
            column_offset = builder.add(column_offset, column_distance)
        fused = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(tile.vector, [tile.vector] * 3), f"llvm.fma.{suffix(tile.vector)}")
        for p in range(tile.rows):
            row = load_vector(builder, row_data, offset, tile.vector)
            for v in range(tile.vectors):
                k = p * tile.vectors + v
                total = builder.call(fused, [row, columns[v], builder.extract_value(value, k)])
                value = builder.insert_value(value, total, k)
            offset = builder.add(offset, distance)
        return value

    return tile(tile, rows, types.intp, types.intp, columns, *[types.intp] * 3), generate


@intrinsic
def planes_sums(typing, array, offset, vectors):
    """Tile of PLANES rows read from memory, one vector after the other: the running sums of `planes_multiply_add`."""
    if not isinstance(vectors, types.IntegerLiteral):
        return None
    tile = Tile(PLANES, vectors.literal_value, array.dtype)

    def generate(context, builder, signature, args):
        pointer = array_data(context, builder, signature.args[0], args[0])
        value = ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), ir.Undefined)
        for i in range(tile.rows * tile.vectors):
            loaded = load_vector(builder, pointer, lane_offset(builder, args[1], i * tile.lanes), tile.vector)
            value = builder.insert_value(value, loaded, i)
        return value

    return tile(array, types.intp, vectors), generate


if config.DISABLE_JIT:
    from .simd_python import (  # noqa: F401
        planes_load,
        planes_multiply_add,
        planes_store,
        planes_sums,
        planes_tile,
    )
