"""Tiles of any number of rows, to measure which are fast: those of `tile.py` have as many as the table of the kind says.

`height` is a tuple with an element for each row, as `width` is one for each vector, so that both are part of a type.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from .operation import operation
from .simd import INT64, Tile, lanes_of


@operation
def tall_zeros(array, height, width):
    """Tile of zeros of so many rows, of the array's element type."""
    return np.zeros((len(height), len(width) * lanes_of(array)), array.dtype)


@tall_zeros.in_llvm
def tall_zeros(typing, array, height, width):
    tile = Tile(len(height), len(width), array.dtype)

    def generate(context, builder, signature, args):
        return ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), None)

    return tile(array, height, width), generate


@operation
def tall_strided(start, stride, height):
    """Positions of so many rows at equal distances: start + row * stride."""
    return tuple(start + row * stride for row in range(len(height)))


@tall_strided.in_llvm
def tall_strided(typing, start, stride, height):
    def generate(context, builder, signature, args):
        values = [builder.add(args[0], builder.mul(args[1], INT64(row))) for row in range(len(height))]
        return context.make_tuple(builder, signature.return_type, values)

    return types.UniTuple(types.intp, len(height))(types.intp, types.intp, height), generate
