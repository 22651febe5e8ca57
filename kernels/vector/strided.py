"""Several vectors at equal distances in memory, as a tuple: a column of a grid, or a row of it."""

from __future__ import annotations

from numba import types

from .operation import operation
from .simd import (
    INT64,
    Tile,
    array_data,
    lanes_below,
    lanes_load,
    lanes_store,
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
