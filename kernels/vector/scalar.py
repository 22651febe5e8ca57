"""What lets one source of a function serve float32 and float64, numbers and tiles: constants, polynomials, exponents.

Everything here works on one number without branches, so that loops around it vectorise, or on each number of a tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from ..jit.compile import kernel, share
from .operation import operation
from .simd import not_below, of_each, splat, width_of

# A position that is not negative: Numba checks no index for wrapping around.
unsigned = np.uint64

# Exact in both types, and of the narrower one, so that they widen nothing.
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

_CONTRACT = ("contract",)  # a multiplication and an addition may become one fused instruction
_MANTISSA_BITS = {32: 23, 64: 52}
_ONE_BITS = {32: 0x3F800000, 64: 0x3FF0000000000000}
_ROOT_HALF_BITS = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}


def constant(single: float, double: float) -> Any:
    """Make `value(like)`: `single` where `like` is of float32, `double` where it is of float64."""

    @operation
    def value(like):
        return np.float32(single) if like.itemsize == 4 else np.float64(double)

    @value.in_llvm
    def value(typing, like):
        number = single if width_of(like) == 32 else double

        def generate(context, builder, signature, args):
            return of_each(builder, signature, args, lambda element: splat(element.type, number))

        return like(like), generate

    return value


def polynomial(single: Sequence[float], double: Sequence[float]) -> Any:
    """Make `evaluate(x)`: coefficients[0] + coefficients[1] x + ... by Horner's rule, unrolled."""

    @operation
    def evaluate(x):
        value = x - x
        for coefficient in reversed(single if x.itemsize == 4 else double):
            value = value * x + x.dtype.type(coefficient)
        return value

    @evaluate.in_llvm
    def evaluate(typing, x):
        coefficients = single if width_of(x) == 32 else double

        def generate(context, builder, signature, args):
            def of_one(element: Any) -> Any:
                value = splat(element.type, coefficients[-1])
                for coefficient in coefficients[-2::-1]:
                    product = builder.fmul(value, element, flags=_CONTRACT)
                    value = builder.fadd(product, splat(element.type, coefficient), flags=_CONTRACT)
                return value

            return of_each(builder, signature, args, of_one)

        return x(x), generate

    return evaluate


@operation
def at_least(x, floor):
    """x, or the floor where it is below that; NaN stays NaN, and a floor that is NaN is none."""
    return np.where(x < floor, floor, x)[()]


@at_least.in_llvm
def at_least(typing, x, floor):
    def generate(context, builder, signature, args):
        return of_each(builder, signature, args, lambda *pair: not_below(builder, *pair))

    return x(x, x), generate


@operation
def at_most(x, ceiling):
    """x, or the ceiling where it is above that; NaN stays NaN."""
    return np.where(x > ceiling, ceiling, x)[()]


@at_most.in_llvm
def at_most(typing, x, ceiling):
    def generate(context, builder, signature, args):
        return of_each(builder, signature, args,
                       lambda value, limit: builder.select(builder.fcmp_ordered(">", value, limit), limit, value))

    return x(x, x), generate


@operation
def zero_below(value, x, floor):
    """The value, but 0 where x is below the floor."""
    return np.where(x < floor, ZERO, value)[()]


@zero_below.in_llvm
def zero_below(typing, value, x, floor):
    def generate(context, builder, signature, args):
        return of_each(builder, signature, args, lambda value, x, floor: builder.select(
            builder.fcmp_ordered("<", x, floor), splat(value.type, 0.0), value))

    return value(value, x, x), generate


@operation
def quotient(numerator, denominator):
    """The correctly rounded numerator / denominator, never turned into a product with the reciprocal."""
    return numerator / denominator


@quotient.in_llvm
def quotient(typing, numerator, denominator):
    def generate(context, builder, signature, args):
        return builder.fdiv(args[0], args[1], flags=_CONTRACT)

    return numerator(numerator, denominator), generate


# Added to a float and subtracted again, this rounds it to an integer, which is in the lowest bits of the sum.
rounder = constant(1.5 * 2.0**23, 1.5 * 2.0**52)


def _power(raised: tuple[int, int]) -> Any:
    """Make `power(n + rounder)`: 2 ** (n + raised), the first for float32, the second for float64."""

    @operation
    def power(sum_with_rounder):
        n = sum_with_rounder - rounder(sum_with_rounder)
        exponent = np.where(np.isfinite(n), n, 0).astype(int) + raised[n.itemsize == 8]
        return np.where(np.isfinite(n), np.ldexp(n.dtype.type(1), exponent), n)[()]

    @power.in_llvm
    def power(typing, sum_with_rounder):
        width = width_of(sum_with_rounder)
        shift, zero = _MANTISSA_BITS[width], _ONE_BITS[width] + (raised[width == 64] << _MANTISSA_BITS[width])

        def generate(context, builder, signature, args):
            def of_one(element: Any) -> Any:
                integers = _integers(element.type, width)
                bits = builder.shl(builder.bitcast(element, integers), splat(integers, shift))
                return builder.bitcast(builder.add(bits, splat(integers, zero)), element.type)

            return of_each(builder, signature, args, of_one)

        return sum_with_rounder(sum_with_rounder), generate

    return power


def _integers(numbers: ir.Type, width: int) -> ir.Type:
    integer = ir.IntType(width)
    return ir.VectorType(integer, numbers.count) if isinstance(numbers, ir.VectorType) else integer


# 2 ** n, given n + rounder, for n from the smallest to the largest exponent of a normal number, and the same for n that much
# lower, times 1 / `lowered`.
power_of_two = _power((0, 0))
raised_power_of_two = _power((64, 512))
lowered = constant(2.0**-64, 2.0**-512)


@operation
def exponent_mantissa(x):
    """(n, m) with x = m 2 ** n and m from sqrt(1/2) to sqrt(2), for positive normal x."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < np.sqrt(0.5)
    return (exponent - small).astype(x.dtype), mantissa * np.where(small, TWO, ONE)


@exponent_mantissa.in_llvm
def exponent_mantissa(typing, x):
    width = width_of(x)

    def generate(context, builder, signature, args):
        def above_root(element: Any) -> Any:
            integers = _integers(element.type, width)
            return builder.sub(builder.bitcast(element, integers), splat(integers, _ROOT_HALF_BITS[width]))

        def exponent(element: Any) -> Any:
            above = above_root(element)
            return builder.sitofp(builder.ashr(above, splat(above.type, _MANTISSA_BITS[width])), element.type)

        def mantissa(element: Any) -> Any:
            above = above_root(element)
            fraction = builder.and_(above, splat(above.type, (1 << _MANTISSA_BITS[width]) - 1))
            return builder.bitcast(builder.add(fraction, splat(above.type, _ROOT_HALF_BITS[width])), element.type)

        parts = [of_each(builder, x(x), args, part) for part in (exponent, mantissa)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(x, 2)(x), generate


@kernel
def positions(count, worker, workers):
    """Positions of an array of `count` elements that belong to `worker` (see `share`).

    They are unsigned: Numba need not look whether a position counts from the end, and the loop vectorises.
    """
    start, stop = share(count, worker, workers)
    return range(unsigned(start), unsigned(stop))


@kernel
def runs(size, width, part, parts):
    """First and last + 1 element of one of several parts of an array, cut between runs of `width` elements."""
    count = (size + width - 1) // width
    return count * part // parts * width, min(size, count * (part + 1) // parts * width)
