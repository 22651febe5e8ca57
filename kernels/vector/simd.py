"""Vectors in registers: loads, stores and arithmetic on single ones, and tiles of channels by pixels.

Vectors are as long as those of the kind of CPU; an array's dtype chooses between float32 and float64 lanes.
Nothing here checks bounds: a caller lets no read or write leave its arrays.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, models, register_model, type_callable

from ..jit.internals import cgutils
from ..kinds import KIND
from .operation import inside, operation

INDEX = ir.IntType(32)
INT64 = ir.IntType(64)

VECTOR_BYTES = KIND.vector_bytes
ROWS = KIND.rows
MOST_ROWS = max(ROWS.values())
TAPS = KIND.taps  # filter elements whose sums `taps_multiply_add` keeps
MASKS = KIND.name == "avx512"  # whether masks have registers of their own


def together(itemsize: int) -> int:
    """Rows of a matrix that rows.py takes at once: four chains of arithmetic, but no more than a vector has lanes.

    A processor looks ahead over two exponentials or so, one after the other; that leaves it idle a third of the time.
    """
    return min(4, VECTOR_BYTES // itemsize)


_SCALARS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.int32: ir.IntType(32),
            types.int64: INT64, types.boolean: ir.IntType(1)}


class Tile(types.Type):
    """Numba type of a tile: `rows` rows of `vectors` vectors of `lanes` of `element`, by default as many as fit.

    A tile of booleans is a mask: what comparisons give, and `where` takes.
    """

    def __init__(self, rows: int, vectors: int, element: Any, lanes: int = 0) -> None:
        self.rows, self.vectors, self.element = rows, vectors, element
        self.lanes = lanes or VECTOR_BYTES * 8 // element.bitwidth
        self.scalar = _SCALARS[element]
        self.vector = ir.VectorType(self.scalar, self.lanes)
        super().__init__(name=f"Tile({rows}, {vectors}, {element}, {self.lanes})")


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager: Any, tile: Tile) -> None:
        super().__init__(manager, tile, ir.ArrayType(tile.vector, tile.rows * tile.vectors))


def array_data(context: Any, builder: Any, array_type: Any, array: Any) -> Any:
    """Pointer to the first element of an array."""
    return context.make_array(array_type)(context, builder, array).data


def fields(context: Any, builder: Any, record: Any, value: Any) -> list[Any]:
    """Fields of a NamedTuple: numbers as they are, arrays with their `data` and `nitems`."""
    parts = [builder.extract_value(value, i) for i in range(len(record.types))]
    return [context.make_array(kind)(context, builder, part) if isinstance(kind, types.Array) else part
            for kind, part in zip(record.types, parts, strict=True)]


def vector_at(builder: Any, pointer: Any, offset: Any, vector: Any) -> Any:
    """Pointer to the vector that begins `offset` elements behind `pointer`."""
    return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())


def load_vector(builder: Any, pointer: Any, offset: Any, vector: Any) -> Any:
    """Load a whole vector."""
    return builder.load(vector_at(builder, pointer, offset, vector), align=4)


def lane_offset(builder: Any, offset: Any, lanes: int) -> Any:
    """`offset` plus a number of lanes."""
    return builder.add(offset, offset.type(lanes))


def broadcast(builder: Any, scalar: Any, vector: Any) -> Any:
    """Vector with a scalar in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, scalar, INDEX(0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(INDEX, vector.count), [0] * vector.count))


def suffix(vector: Any) -> str:
    """Name of a vector type in the names of LLVM's intrinsics."""
    return f"v{vector.count}{vector.element.intrinsic_name}"


def lanes_below(builder: Any, count: Any, lanes: int) -> Any:
    """Mask of the lanes whose number is below `count`.

    Where masks have registers of their own it is the bits of 2 ** count - 1. Elsewhere a mask is a vector, which takes three
    instructions by a comparison and ten from bits (measured: pooling of few channels gains 10 %).
    """
    full = INT64(lanes)
    clipped = builder.select(builder.icmp_signed("<", count, full), count, full)
    clipped = builder.select(builder.icmp_signed(">", clipped, INT64(0)), clipped, INT64(0))
    if MASKS:
        bits = builder.sub(builder.shl(INT64(1), clipped), INT64(1))
        return builder.bitcast(builder.trunc(bits, ir.IntType(lanes)), ir.VectorType(ir.IntType(1), lanes))
    numbers = ir.VectorType(ir.IntType(min(64, VECTOR_BYTES * 8 // lanes)), lanes)
    limit = broadcast(builder, builder.trunc(clipped, numbers.element) if numbers.element.width < 64 else clipped, numbers)
    return builder.icmp_signed("<", ir.Constant(numbers, list(range(lanes))), limit)


def masked_load(builder: Any, pointer: Any, mask: Any, vector: Any, rest: Any = None) -> Any:
    """Load the lanes of a mask; the others are those of `rest`, or zeros."""
    declared = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(vector, [vector.as_pointer(), INDEX, mask.type, vector]),
        f"llvm.masked.load.{suffix(vector)}.p0")
    return builder.call(declared, [pointer, INDEX(4), mask, ir.Constant(vector, None) if rest is None else rest])


def masked_store(builder: Any, value: Any, pointer: Any, mask: Any) -> None:
    """Store the lanes of a mask."""
    declared = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [value.type, pointer.type, INDEX, mask.type]),
        f"llvm.masked.store.{suffix(value.type)}.p0")
    builder.call(declared, [value, pointer, INDEX(4), mask])


def part_of(builder: Any, vector: Any, first: int, count: int) -> Any:
    """So many lanes of a vector, from `first` on, as a vector of their own."""
    lanes = ir.Constant(ir.VectorType(INDEX, count), list(range(first, first + count)))
    return builder.shuffle_vector(vector, vector, lanes)


def store_first(builder: Any, value: Any, pointer: Any, count: Any) -> None:
    """Store the first `count` lanes of a vector.

    Where masks have no registers, a masked store takes 18 to 42 operations (AMD Zen 2, 3): there all lanes are stored at
    once, or else parts of half the lanes, a quarter and so on.
    """
    lanes = value.type.count
    if MASKS:
        masked_store(builder, value, pointer, lanes_below(builder, count, lanes))
        return
    with builder.if_else(builder.icmp_signed(">=", count, INT64(lanes)), likely=True) as (whole, part):
        with whole:
            builder.store(value, pointer, align=4)
        with part, builder.if_then(builder.icmp_signed(">", count, INT64(0))):
            _store_halves(builder, value, builder.bitcast(pointer, value.type.element.as_pointer()), count)


def _store_halves(builder: Any, value: Any, pointer: Any, count: Any) -> None:
    """Store the first `count` lanes of a vector, some but not all of them, by the bits of the count."""
    size = value.type.count
    while size > 1:
        size //= 2
        low, high = part_of(builder, value, 0, size), part_of(builder, value, size, size)
        there = builder.icmp_signed("!=", builder.and_(count, INT64(size)), INT64(0))
        with builder.if_then(there):
            builder.store(low, builder.bitcast(pointer, low.type.as_pointer()), align=4)
        value = builder.select(there, high, low)
        pointer = builder.gep(pointer, [builder.select(there, INT64(size), INT64(0))])


def tile_of(builder: Any, vectors: list[Any]) -> Any:
    """Value of a tile that consists of these vectors, row after row."""
    value = ir.Constant(ir.ArrayType(vectors[0].type, len(vectors)), ir.Undefined)
    for i, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, i)
    return value


def vectors_of(builder: Any, value: Any) -> list[Any]:
    """The vectors of a tile, row after row."""
    return [builder.extract_value(value, i) for i in range(value.type.count)]


def fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """The vector a * b + c, rounded once where the CPU does that in one instruction."""
    function, name = ir.FunctionType(a.type, [a.type] * 3), f"llvm.fmuladd.{suffix(a.type)}"
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), [a, b, c])


def _first_lanes(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, count: Any, lanes: int) -> Any:
    """The vector array[offset : offset + count], then zeros."""
    vector = ir.VectorType(_SCALARS[array_type.dtype], lanes)
    pointer = vector_at(builder, array_data(context, builder, array_type, array), offset, vector)
    return masked_load(builder, pointer, lanes_below(builder, count, lanes), vector)


def not_below(builder: Any, value: Any, floor: Any) -> Any:
    """The vector `value`, or `floor` in the lanes where it is below that; a floor that is NaN is none."""
    return builder.select(builder.fcmp_ordered("<", value, floor), floor, value)


def _copy(load_all: bool, store_all: bool) -> Any:
    """Copy one vector in LLVM; where it does not load or store all lanes, only the first `count`."""

    def copy(typing, target, target_offset, source, source_offset, count):
        tile = Tile(1, 1, source.dtype)

        def generate(context, builder, signature, args):
            target_array, target_offset, source_array, source_offset, count = args
            target_data = array_data(context, builder, signature.args[0], target_array)
            to = vector_at(builder, target_data, target_offset, tile.vector)
            source_data = array_data(context, builder, signature.args[2], source_array)
            if load_all:
                value = load_vector(builder, source_data, source_offset, tile.vector)
            else:
                source = vector_at(builder, source_data, source_offset, tile.vector)
                value = masked_load(builder, source, lanes_below(builder, count, tile.lanes), tile.vector)
            if store_all:
                builder.store(value, to, align=4)
            else:
                store_first(builder, value, to, count)
            return context.get_dummy_value()

        return types.void(target, types.intp, source, types.intp, types.intp), generate

    return copy


@operation
def lanes_copy_all(target, target_offset, source, source_offset, count):
    """Copy one vector."""
    lanes = lanes_of(source)
    inside(target, target_offset, lanes)[:] = inside(source, source_offset, lanes)


@operation
def lanes_copy(target, target_offset, source, source_offset, count):
    """Copy the first `count` lanes of a vector."""
    count = max(0, min(count, lanes_of(source)))
    inside(target, target_offset, count)[:] = inside(source, source_offset, count)


@operation
def lanes_copy_padded(target, target_offset, source, source_offset, count):
    """Copy the first `count` lanes of a vector, then zeros."""
    count = max(0, min(count, lanes_of(source)))
    lanes = inside(target, target_offset, lanes_of(source))
    lanes[:count] = inside(source, source_offset, count)
    lanes[count:] = 0


lanes_copy_all = lanes_copy_all.in_llvm(_copy(True, True))
lanes_copy = lanes_copy.in_llvm(_copy(False, False))
lanes_copy_padded = lanes_copy_padded.in_llvm(_copy(False, True))


@operation
def lanes_zero(array):
    """One vector of zeros: a running sum."""
    return np.zeros(lanes_of(array), array.dtype)


@lanes_zero.in_llvm
def lanes_zero(typing, array):
    tile = Tile(1, 1, array.dtype)

    def generate(context, builder, signature, args):
        return ir.Constant(ir.ArrayType(tile.vector, 1), [ir.Constant(tile.vector, [0.0] * tile.lanes)])

    return tile(array), generate


@operation
def lanes_load(array, offset, count):
    """One vector: array[offset : offset + count], at most all lanes, then zeros."""
    return lanes_add(lanes_zero(array), array, offset, count)


@lanes_load.in_llvm
def lanes_load(typing, array, offset, count):
    tile = Tile(1, 1, array.dtype)

    def generate(context, builder, signature, args):
        return tile_of(builder, [_first_lanes(context, builder, signature.args[0], *args, tile.lanes)])

    return tile(array, types.intp, types.intp), generate


@operation
def lanes_fill(array, value, count):
    """One vector: `value` in the first `count` lanes, then zeros."""
    vector = lanes_zero(array)
    vector[:max(0, count)] = value
    return vector


@lanes_fill.in_llvm
def lanes_fill(typing, array, value, count):
    tile = Tile(1, 1, array.dtype)

    def generate(context, builder, signature, args):
        _, value, count = args
        number = context.cast(builder, value, signature.args[1], tile.element)
        filled = builder.select(lanes_below(builder, count, tile.lanes), broadcast(builder, number, tile.vector),
                                ir.Constant(tile.vector, None))
        return tile_of(builder, [filled])

    return tile(array, value, types.intp), generate


def _integers_of(tile: Tile) -> Tile:
    """Integers as wide as the elements of a tile, so that a comparison of either kind chooses among both kinds."""
    return Tile(tile.rows, tile.vectors, types.int32 if tile.element.bitwidth == 32 else types.int64, tile.lanes)


@operation
def integers_fill(tile, value):
    """Integers of the tile's shape, and as wide: `value` in all lanes, or a tuple's number for each row."""
    rows = np.reshape(value, (-1, 1)) if isinstance(value, tuple) else value
    return np.full(tile.shape, rows, f"i{tile.itemsize}")


@integers_fill.in_llvm
def integers_fill(typing, tile, value):
    integers = _integers_of(tile)

    def generate(context, builder, signature, args):
        kind = signature.args[1]
        rows = [(builder.extract_value(args[1], p), kind.dtype) if isinstance(kind, types.UniTuple) else (args[1], kind)
                for p in range(tile.rows)]
        vectors = [broadcast(builder, context.cast(builder, number, of, integers.element), integers.vector)
                   for number, of in rows for _ in range(tile.vectors)]
        return tile_of(builder, vectors)

    return integers(tile, value), generate


@operation
def integers_load(tile, array, offset, count):
    """One vector of integers with as many lanes as the tile, and as wide: array[offset : offset + count], then zeros."""
    vector = integers_fill(tile, 0)
    count = max(0, min(count, len(tile)))
    vector[:count] = inside(array, offset, count)
    return vector


@integers_load.in_llvm
def integers_load(typing, tile, array, offset, count):
    integers = _integers_of(tile)

    def generate(context, builder, signature, args):
        loaded = _first_lanes(context, builder, signature.args[1], *args[1:], tile.lanes)
        return tile_of(builder, [converted(builder, loaded, integers.vector)])

    return integers(tile, array, types.intp, types.intp), generate


def converted(builder: Any, value: Any, vector: Any) -> Any:
    """A vector of integers as one of others; any other vector as it is."""
    if value.type == vector:
        return value
    return builder.sext(value, vector) if value.type.element.width < vector.element.width else builder.trunc(value, vector)


@operation
def lanes_sum(vector):
    """Sum of all lanes: the upper half is added to the lower one again and again."""
    while len(vector) > 1:
        vector = vector[:len(vector) // 2] + vector[len(vector) // 2:]
    return vector[0]


@lanes_sum.in_llvm
def lanes_sum(typing, tile):
    def generate(context, builder, signature, args):
        total = builder.extract_value(args[0], 0)
        count = tile.lanes
        while count > 1:
            count //= 2
            total = builder.fadd(part_of(builder, total, 0, count), part_of(builder, total, count, count))
        return builder.extract_element(total, INDEX(0))

    return tile.element(tile), generate


@operation
def lanes_add(vector, array, offset, count):
    """The vector plus array[offset : offset + count], at most one vector of it."""
    count = max(0, min(count, len(vector)))
    total = vector.copy()
    total[:count] += inside(array, offset, count)
    return total


@lanes_add.in_llvm
def lanes_add(typing, tile, array, offset, count):
    def generate(context, builder, signature, args):
        loaded = _first_lanes(context, builder, signature.args[1], *args[1:], tile.lanes)
        return tile_of(builder, [builder.fadd(builder.extract_value(args[0], 0), loaded)])

    return tile(tile, array, types.intp, types.intp), generate


@operation
def lanes_store(vector, array, offset, count):
    """Write the first `count` lanes, at most all, to array[offset : offset + count]; integers become those of the array."""
    count = max(0, min(count, len(vector)))
    inside(array, offset, count)[:] = vector[:count]


@lanes_store.in_llvm
def lanes_store(typing, tile, array, offset, count):
    def generate(context, builder, signature, args):
        value, array, offset, count = args
        stored = ir.VectorType(_SCALARS[signature.args[1].dtype], tile.lanes)
        pointer = vector_at(builder, array_data(context, builder, signature.args[1], array), offset, stored)
        value = converted(builder, builder.extract_value(value, 0), stored)
        store_first(builder, value, pointer, count)
        return context.get_dummy_value()

    return types.void(tile, array, types.intp, types.intp), generate


@operation
def lanes_of(array):
    """Number of lanes in a vector of the array's element type."""
    return VECTOR_BYTES // array.itemsize


@lanes_of.in_llvm
def lanes_of(typing, array):
    lanes = VECTOR_BYTES * 8 // array.dtype.bitwidth

    def generate(context, builder, signature, args):
        return INT64(lanes)

    return types.intp(array), generate


def width_of(kind: Any) -> int:
    """Bits of a number of this Numba type, or of each number of such a tile."""
    return int(kind.element.bitwidth if isinstance(kind, Tile) else kind.bitwidth)


def splat(kind: Any, number: float) -> Any:
    """LLVM constant `number`, in every lane where the type is a vector."""
    element = kind.element if isinstance(kind, ir.VectorType) else kind
    value = float(np.float32(number)) if isinstance(element, ir.FloatType) else number
    return ir.Constant(kind, [value] * kind.count if isinstance(kind, ir.VectorType) else value)


def of_each(builder: Any, signature: Any, args: Any, of_one: Any) -> Any:
    """of_one(*args) for numbers; for tiles a tile of what it is for each vector, where numbers count as equal lanes."""
    tile = signature.return_type
    if not isinstance(tile, Tile):
        return of_one(*args)
    parts = [vectors_of(builder, value) if isinstance(kind, Tile)
             else [broadcast(builder, value, ir.VectorType(value.type, tile.lanes))] * (tile.rows * tile.vectors)
             for value, kind in zip(args, signature.args, strict=True)]
    return tile_of(builder, [of_one(*vectors) for vectors in zip(*parts, strict=True)])


def _numbers_as(context: Any, builder: Any, signature: Any, args: Any, element: Any) -> list[Any]:
    """The arguments, numbers among the tiles as the element type."""
    return [value if isinstance(kind, Tile) else context.cast(builder, value, kind, element)
            for value, kind in zip(args, signature.args, strict=True)]


def _common(*kinds: Any) -> Tile | None:
    """The type of the tiles among these, if they have one and the others are numbers that it can hold."""
    tiles = [kind for kind in kinds if isinstance(kind, Tile)]
    if not tiles:
        return None
    number = types.Float if isinstance(tiles[0].element, types.Float) else types.Integer
    return tiles[0] if all(kind == tiles[0] or isinstance(kind, number) for kind in kinds) else None


def _mask_of(tile: Tile) -> Tile:
    return Tile(tile.rows, tile.vectors, types.boolean, tile.lanes)


def _define(operation: Any, result: Any, generate: Any) -> None:
    """Let an operator work on two tiles, or on a tile and a number, element by element.

    `result` gives the type for that of the tile, or None where there is none; generate(builder, a, b) the vector.
    """

    @type_callable(operation)
    def typing(context):
        def typed(a, b):
            tile = _common(a, b)
            return tile and result(tile)

        return typed

    def lower(context, builder, signature, args):
        tile = next(kind for kind in signature.args if isinstance(kind, Tile))
        values = _numbers_as(context, builder, signature, args, tile.element)
        return of_each(builder, signature, values, functools.partial(generate, builder))

    for kinds in ((Tile, Tile), (Tile, types.Number), (types.Number, Tile)):
        lower_builtin(operation, *kinds)(lower)


def _arithmetic(name: str) -> Any:
    return lambda builder, a, b: getattr(builder, name)(a, b, flags=("contract",))


def _add(builder: Any, a: Any, b: Any) -> Any:
    """Of numbers of either kind."""
    return builder.add(a, b) if isinstance(a.type.element, ir.IntType) else _arithmetic("fadd")(builder, a, b)


def _comparison(sign: str) -> Any:
    """As in Python: with NaN, all but != are false."""

    def compare(builder: Any, a: Any, b: Any) -> Any:
        if isinstance(a.type.element, ir.IntType):
            return builder.icmp_signed(sign, a, b)
        return builder.fcmp_unordered(sign, a, b) if sign == "!=" else builder.fcmp_ordered(sign, a, b)

    return compare


def _if_numbers(tile: Tile) -> Tile | None:
    return None if tile.element == types.boolean else tile


def _if_floats(tile: Tile) -> Tile | None:
    return tile if isinstance(tile.element, types.Float) else None


def _if_mask(tile: Tile) -> Tile | None:
    return tile if tile.element == types.boolean else None


_define(operator.add, _if_numbers, _add)
for _operator, _name in ((operator.sub, "fsub"), (operator.mul, "fmul"), (operator.truediv, "fdiv")):
    _define(_operator, _if_floats, _arithmetic(_name))  # division rounds correctly
for _operator, _name in ((operator.lt, "<"), (operator.le, "<="), (operator.gt, ">"), (operator.ge, ">="),
                         (operator.eq, "=="), (operator.ne, "!=")):
    _define(_operator, _mask_of, _comparison(_name))
_define(operator.and_, _if_mask, lambda builder, a, b: builder.and_(a, b))


@type_callable(operator.invert)
def _type_of_inverse(context):
    return lambda mask: _if_mask(mask) if isinstance(mask, Tile) else None


@lower_builtin(operator.invert, Tile)
def _inverse(context, builder, signature, args):
    return of_each(builder, signature, args, builder.not_)


@operation
def where(mask, a, b):
    """Element by element, that of a where the mask is true and that of b elsewhere; one of them may be a number."""
    tile = a if isinstance(a, np.ndarray) else b
    return np.where(mask, a, b).astype(tile.dtype)


@where.in_llvm
def where(typing, mask, a, b):
    tile = _common(a, b)

    def generate(context, builder, signature, args):
        values = [args[0], *_numbers_as(context, builder, tile(a, b), args[1:], tile.element)]
        return of_each(builder, signature, values, builder.select)

    return tile and tile(mask, a, b), generate
