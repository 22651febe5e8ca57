"""Several vectors at equal distances in memory: a column or row of a grid as a tuple, and a square that is transposed."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from .operation import inside, operation
from .simd import (
    INDEX,
    INT64,
    Tile,
    array_data,
    lanes_below,
    lanes_load,
    lanes_of,
    lanes_store,
    load_vector,
    masked_load,
    store_first,
    tile_of,
    vector_at,
    vectors_of,
)


@operation
def strided_load(array, offset, distance, count, like):
    """As many vectors as the tuple `like` has elements: `lanes_load` at offset, offset + distance and so on."""
    return tuple(lanes_load(array, offset + i * distance, count) for i in range(len(like)))


@strided_load.in_llvm
def strided_load(typing, array, offset, distance, count, like):
    tile = Tile(1, 1, array.dtype)

    def generate(context, builder, signature, args):
        array, offset, distance, count, _ = args
        data, mask = array_data(context, builder, signature.args[0], array), lanes_below(builder, count, tile.lanes)
        loaded = []
        for i in range(len(like)):
            pointer = vector_at(builder, data, builder.add(offset, builder.mul(distance, INT64(i))), tile.vector)
            loaded.append(tile_of(builder, [masked_load(builder, pointer, mask, tile.vector)]))
        return context.make_tuple(builder, signature.return_type, loaded)

    return types.UniTuple(tile, len(like))(array, types.intp, types.intp, types.intp, like), generate


@operation
def strided_store(vectors, array, offset, distance, count):
    """Write a tuple of vectors: `lanes_store` at offset, offset + distance and so on."""
    for i, vector in enumerate(vectors):
        lanes_store(vector, array, offset + i * distance, count)


@strided_store.in_llvm
def strided_store(typing, vectors, array, offset, distance, count):
    def generate(context, builder, signature, args):
        values, array, offset, distance, count = args
        data = array_data(context, builder, signature.args[1], array)
        for i in range(len(vectors)):
            (vector,) = vectors_of(builder, builder.extract_value(values, i))
            to = vector_at(builder, data, builder.add(offset, builder.mul(distance, INT64(i))), vector.type)
            store_first(builder, vector, to, count)
        return context.get_dummy_value()

    return types.void(vectors, array, types.intp, types.intp, types.intp), generate


@operation
def square_transpose(target, target_at, target_row, source, source_at, source_row):
    """target[target_at + i * target_row + j] = source[source_at + j * source_row + i], for as many i and j as lanes."""
    lanes = lanes_of(source)
    for i in range(lanes):
        inside(target, target_at + i * target_row, lanes)[:] = [
            inside(source, source_at + j * source_row + i, 1)[0] for j in range(lanes)]


@square_transpose.in_llvm
def square_transpose(typing, target, target_at, target_row, source, source_at, source_row):
    tile = Tile(1, 1, source.dtype)
    n = tile.lanes

    def shuffled(builder, first, second, lanes):
        return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(INDEX, n), lanes))

    def generate(context, builder, signature, args):
        target, target_at, target_row, source, source_at, source_row = args
        to = array_data(context, builder, signature.args[0], target)
        data = array_data(context, builder, signature.args[3], source)
        rows = [load_vector(builder, data, builder.add(source_at, builder.mul(source_row, INT64(j))), tile.vector)
                for j in range(n)]
        size = 1
        while size < n:  # in each square of 2 size x 2 size elements, the upper right quarter and the lower left one swap
            for i in (i for i in range(n) if not i & size):
                above, below = rows[i], rows[i + size]
                rows[i] = shuffled(builder, above, below, [k if not k & size else n + k - size for k in range(n)])
                rows[i + size] = shuffled(builder, above, below, [k + size if not k & size else n + k for k in range(n)])
            size *= 2
        for i, row in enumerate(rows):
            at = builder.add(target_at, builder.mul(target_row, INT64(i)))
            builder.store(row, vector_at(builder, to, at, tile.vector), align=4)
        return context.get_dummy_value()

    return types.void(target, types.intp, types.intp, source, types.intp, types.intp), generate
