"""Vectors in registers: loads, stores and arithmetic on single ones, and tiles of channels by pixels.

Vector width and number of registers come from the host CPU; an array's dtype chooses between float32 and float64 lanes.
Nothing here checks bounds: a caller lets no read or write leave its arrays.
"""

from __future__ import annotations

import operator
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, models, register_model, type_callable

from ..jit.internals import cgutils
from .operation import inside, limited, operation

_features = llvmlite.binding.get_host_cpu_features()
INDEX = ir.IntType(32)
INT64 = ir.IntType(64)

if _features.get("avx512f"):
    VECTOR_BYTES, REGISTERS = 64, 32
elif _features.get("avx2") and _features.get("fma"):
    VECTOR_BYTES, REGISTERS = 32, 16
elif _features.get("neon"):
    VECTOR_BYTES, REGISTERS = 16, 32
else:
    VECTOR_BYTES, REGISTERS = 16, 16

# Rows of a tile of so many vectors: eight sums or more hide the latency of a multiply-add, rows that divide common counts of
# channels waste none, and each row takes an integer register for its address. With six rows of four vectors a step has the
# fewest loads, 10 for 24 multiply-adds (measured: up to 1.15 times faster than 14 rows of two where a neighbour shares the
# core's load ports).
ROWS = {1: 8, 2: 8, 3: 8, 4: 6} if REGISTERS == 32 else {1: 6, 2: 6, 3: 4, 4: 3}
MOST_ROWS = max(ROWS.values())
PLANES = 8  # channels that pixel vectors are turned into at a time, and back
PIXELS = 6  # neighbouring pixels whose sums `pixels_multiply_add` keeps, and `pixels_prefetch` fetches
TAPS = 9  # filter elements whose sums `taps_multiply_add` keeps


def together(itemsize: int) -> int:
    """Rows of a matrix that rows.py takes at once: four chains of arithmetic, but no more than a vector has lanes.

    A processor looks ahead over two exponentials or so, one after the other; that leaves it idle a third of the time.
    """
    return min(4, VECTOR_BYTES // itemsize)


class Tile(types.Type):
    """Numba type of a tile: `rows` rows of `vectors` vectors of `lanes` of `element`, by default as many as fit."""

    def __init__(self, rows: int, vectors: int, element: types.Float, lanes: int = 0) -> None:
        self.rows, self.vectors, self.element = rows, vectors, element
        self.lanes = lanes or VECTOR_BYTES * 8 // element.bitwidth
        self.scalar = ir.FloatType() if element.bitwidth == 32 else ir.DoubleType()
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
    """Mask of the lanes whose number is below `count`, from the bits of 2 ** count - 1."""
    full = INT64(lanes)
    clipped = builder.select(builder.icmp_signed("<", count, full), count, full)
    clipped = builder.select(builder.icmp_signed(">", clipped, INT64(0)), clipped, INT64(0))
    bits = builder.sub(builder.shl(INT64(1), clipped), INT64(1))
    return builder.bitcast(builder.trunc(bits, ir.IntType(lanes)), ir.VectorType(ir.IntType(1), lanes))


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
            mask = lanes_below(builder, count, tile.lanes)
            if load_all:
                value = load_vector(builder, source_data, source_offset, tile.vector)
            else:
                source = vector_at(builder, source_data, source_offset, tile.vector)
                value = masked_load(builder, source, mask, tile.vector)
            if store_all:
                builder.store(value, to, align=4)
            else:
                masked_store(builder, value, to, mask)
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
        array, offset, count = args
        pointer = vector_at(builder, array_data(context, builder, signature.args[0], array), offset, tile.vector)
        loaded = masked_load(builder, pointer, lanes_below(builder, count, tile.lanes), tile.vector)
        return builder.insert_value(ir.Constant(ir.ArrayType(tile.vector, 1), ir.Undefined), loaded, 0)

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
        return builder.insert_value(ir.Constant(ir.ArrayType(tile.vector, 1), ir.Undefined), filled, 0)

    return tile(array, value, types.intp), generate


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
            halves = [ir.Constant(ir.VectorType(INDEX, count), list(range(first, first + count))) for first in (0, count)]
            low, high = (builder.shuffle_vector(total, total, half) for half in halves)
            total = builder.fadd(low, high)
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
        value, array, offset, count = args
        pointer = vector_at(builder, array_data(context, builder, signature.args[1], array), offset, tile.vector)
        loaded = masked_load(builder, pointer, lanes_below(builder, count, tile.lanes), tile.vector)
        return builder.insert_value(value, builder.fadd(builder.extract_value(value, 0), loaded), 0)

    return tile(tile, array, types.intp, types.intp), generate


@operation
def lanes_not_below(vector, floor):
    """The vector, or the floor where it is below it; a floor that is NaN is none."""
    return limited(vector, floor)


@lanes_not_below.in_llvm
def lanes_not_below(typing, tile, floor):
    def generate(context, builder, signature, args):
        value, floor = args
        limited = not_below(builder, builder.extract_value(value, 0), broadcast(builder, floor, tile.vector))
        return builder.insert_value(value, limited, 0)

    return tile(tile, tile.element), generate


@operation
def lanes_store(vector, array, offset, count):
    """Write the first `count` lanes to array[offset : offset + count], at most one vector."""
    count = max(0, min(count, len(vector)))
    inside(array, offset, count)[:] = vector[:count]


@lanes_store.in_llvm
def lanes_store(typing, tile, array, offset, count):
    def generate(context, builder, signature, args):
        value, array, offset, count = args
        pointer = vector_at(builder, array_data(context, builder, signature.args[1], array), offset, tile.vector)
        masked_store(builder, builder.extract_value(value, 0), pointer, lanes_below(builder, count, tile.lanes))
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


def _maximum(fresh: bool) -> Any:
    """Compare four vectors in LLVM; unless it is `fresh`, the result of an earlier call goes before them."""

    def maximum(typing, x, offset, a, b, c, d, y, argmax, target, count):
        tile = Tile(1, 1, x.dtype)
        numbers = ir.VectorType(INDEX, tile.lanes)

        def generate(context, builder, signature, args):
            x_array, offset, *pairs, y_array, argmax_array, target, count = args
            mask = lanes_below(builder, count, tile.lanes)
            x_data = array_data(context, builder, signature.args[0], x_array)
            y_at = vector_at(builder, array_data(context, builder, signature.args[6], y_array), target, tile.vector)
            argmax_at = vector_at(builder, array_data(context, builder, signature.args[7], argmax_array), target, numbers)
            candidates = []
            if not fresh:
                candidates.append((masked_load(builder, y_at, mask, tile.vector),
                                   masked_load(builder, argmax_at, mask, numbers)))
            for pair in pairs:
                distance, number = builder.extract_value(pair, 0), builder.extract_value(pair, 1)
                at = vector_at(builder, x_data, builder.add(offset, distance), tile.vector)
                candidates.append((masked_load(builder, at, mask, tile.vector),
                                   broadcast(builder, builder.trunc(number, INDEX), numbers)))
            best, winner = candidates[0]
            for value, number in candidates[1:]:
                wins = builder.and_(builder.fcmp_unordered(">", value, best), builder.fcmp_ordered("ord", best, best))
                best, winner = builder.select(wins, value, best), builder.select(wins, number, winner)
            masked_store(builder, best, y_at, mask)
            masked_store(builder, winner, argmax_at, mask)
            return context.get_dummy_value()

        pair = types.UniTuple(types.intp, 2)
        return types.void(x, types.intp, pair, pair, pair, pair, y, argmax, types.intp, types.intp), generate

    return maximum


# Maximum (x, offset, a, b, c, d, y, argmax, target, count): put into lane i < count of y the largest of x[offset + k + i]
# for the distances k = a, b, c, d, each of which is a pair (k, number), and the winner's number into argmax. The first of
# equal ones wins, and NaN is larger than any number.


def _larger(x, offset, pairs, best, winner):
    for distance, number in pairs:
        value = inside(x, offset + distance, 1)[0]
        if value > best or (np.isnan(value) and not np.isnan(best)):
            best, winner = value, number
    return best, winner


@operation
def lanes_first_maximum(x, offset, a, b, c, d, y, argmax, target, count):
    """Maximum that does not read y: such a load would wait for the stores of its neighbours, in lanes that it masks."""
    for lane in range(min(count, lanes_of(x))):
        first = inside(x, offset + a[0] + lane, 1)[0]
        y[target + lane], argmax[target + lane] = _larger(x, offset + lane, (b, c, d), first, a[1])


@operation
def lanes_next_maximum(x, offset, a, b, c, d, y, argmax, target, count):
    """Maximum that also compares with what y held before."""
    for lane in range(min(count, lanes_of(x))):
        i = target + lane
        y[i], argmax[i] = _larger(x, offset + lane, (a, b, c, d), y[i], argmax[i])


lanes_first_maximum = lanes_first_maximum.in_llvm(_maximum(fresh=True))
lanes_next_maximum = lanes_next_maximum.in_llvm(_maximum(fresh=False))


@operation
def lanes_route(dy, argmax, y, floor, source, dx, target, a, b, c, d, count):
    """dx[target + k + i] = dy[source + i] where argmax is `number` and y above the floor, else 0, for the lanes i < count.

    a, b, c, d are pairs (k, number). A floor that is NaN lets all pass.
    """
    for lane in range(min(count, lanes_of(dy))):
        i = source + lane
        for distance, number in (a, b, c, d):
            passes = argmax[i] == number and not y[i] <= floor
            inside(dx, target + distance + lane, 1)[0] = inside(dy, i, 1)[0] if passes else 0


@lanes_route.in_llvm
def lanes_route(typing, dy, argmax, y, floor, source, dx, target, a, b, c, d, count):
    tile = Tile(1, 1, dy.dtype)
    numbers = ir.VectorType(INDEX, tile.lanes)

    def generate(context, builder, signature, args):
        dy_array, argmax_array, y_array, floor, source, dx_array, target, *pairs, count = args
        mask = lanes_below(builder, count, tile.lanes)
        gradient, value = (
            masked_load(builder, vector_at(builder, array_data(context, builder, signature.args[i], array), source,
                                           tile.vector), mask, tile.vector) for i, array in ((0, dy_array), (2, y_array)))
        winner_at = vector_at(builder, array_data(context, builder, signature.args[1], argmax_array), source, numbers)
        winner = masked_load(builder, winner_at, mask, numbers)
        lowest = broadcast(builder, context.cast(builder, floor, signature.args[3], tile.element), tile.vector)
        passes = builder.fcmp_unordered(">", value, lowest)
        dx_data = array_data(context, builder, signature.args[5], dx_array)
        for pair in pairs:
            distance, number = builder.extract_value(pair, 0), builder.extract_value(pair, 1)
            wins = builder.icmp_signed("==", winner, broadcast(builder, builder.trunc(number, INDEX), numbers))
            result = builder.select(builder.and_(passes, wins), gradient, ir.Constant(tile.vector, None))
            masked_store(builder, result, vector_at(builder, dx_data, builder.add(target, distance), tile.vector), mask)
        return context.get_dummy_value()

    pair = types.UniTuple(types.intp, 2)
    return types.void(dy, argmax, y, floor, types.intp, dx, types.intp, pair, pair, pair, pair, types.intp), generate


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
    result = ir.Constant(ir.ArrayType(tile.vector, tile.rows * tile.vectors), ir.Undefined)
    for i in range(tile.rows * tile.vectors):
        vectors = [builder.extract_value(value, i) if isinstance(kind, Tile) else broadcast(builder, value, tile.vector)
                   for value, kind in zip(args, signature.args, strict=True)]
        result = builder.insert_value(result, of_one(*vectors), i)
    return result


def _define(operation: Any, name: str) -> None:
    """Let an operator work on two tiles, or on a tile and a number, element by element; division rounds correctly."""

    @type_callable(operation)
    def typing(context):
        def result(a, b):
            tile = a if isinstance(a, Tile) else b
            fits = isinstance(tile, Tile) and all(kind == tile or isinstance(kind, types.Float) for kind in (a, b))
            return tile if fits else None

        return result

    def generate(context, builder, signature, args):
        element = signature.return_type.element
        values = [value if isinstance(kind, Tile) else context.cast(builder, value, kind, element)
                  for value, kind in zip(args, signature.args, strict=True)]
        return of_each(builder, signature, values, lambda a, b: getattr(builder, name)(a, b, flags=("contract",)))

    for kinds in ((Tile, Tile), (Tile, types.Float), (types.Float, Tile)):
        lower_builtin(operation, *kinds)(generate)


_define(operator.add, "fadd")
_define(operator.sub, "fsub")
_define(operator.mul, "fmul")
_define(operator.truediv, "fdiv")
