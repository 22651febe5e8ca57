"""What lets one source of a scalar function serve float32 and float64: constants, polynomials, exponents.

Everything here works on one number without branches; loops around it vectorise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic

from ._jit import kernel, share

# A position that cannot be negative.
natural = np.uint64

# Exact in both types, and of the narrower one, so that they widen nothing.
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)

_CONTRACT = ("contract",)  # a multiplication and an addition may become one fused instruction
_MANTISSA_BITS = {32: 23, 64: 52}
_ONE_BITS = {32: 0x3F800000, 64: 0x3FF0000000000000}
_ROOT_HALF_BITS = {32: 0x3F3504F3, 64: 0x3FE6A09E667F3BCD}


def _in_python(meaning: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Define an intrinsic; under NUMBA_DISABLE_JIT `meaning` takes its place."""
    return lambda definition: meaning if config.DISABLE_JIT else intrinsic(definition)


def _real(width: int) -> ir.Type:
    return ir.FloatType() if width == 32 else ir.DoubleType()


def _number(value: float, width: int) -> ir.Constant:
    return ir.Constant(_real(width), float(np.float32(value)) if width == 32 else value)


def constant(single: float, double: float) -> Any:
    """Make `value(like)`: `single` where `like` is a float32, `double` where it is a float64."""

    @_in_python(lambda like: np.float32(single) if like.itemsize == 4 else np.float64(double))
    def value(typing, like):
        def generate(context, builder, signature, args):
            return _number(single if like.bitwidth == 32 else double, like.bitwidth)

        return like(like), generate

    return value


def polynomial(single: Sequence[float], double: Sequence[float]) -> Any:
    """Make `evaluate(x)`: coefficients[0] + coefficients[1] x + ... by Horner's rule, unrolled."""

    def in_python(x: Any) -> Any:
        value = type(x)(0)
        for coefficient in reversed(single if x.itemsize == 4 else double):
            value = value * x + type(x)(coefficient)
        return value

    @_in_python(in_python)
    def evaluate(typing, x):
        def generate(context, builder, signature, args):
            coefficients = single if x.bitwidth == 32 else double
            value = _number(coefficients[-1], x.bitwidth)
            for coefficient in coefficients[-2::-1]:
                product = builder.fmul(value, args[0], flags=_CONTRACT)
                value = builder.fadd(product, _number(coefficient, x.bitwidth), flags=_CONTRACT)
            return value

        return x(x), generate

    return evaluate


@_in_python(lambda numerator, denominator: numerator / denominator)
def quotient(typing, numerator, denominator):
    """The correctly rounded numerator / denominator, never turned into a product with the reciprocal."""

    def generate(context, builder, signature, args):
        return builder.fdiv(args[0], args[1], flags=_CONTRACT)

    return numerator(numerator, denominator), generate


# Added to a float and subtracted again, this rounds it to an integer, which is in the lowest bits of the sum.
rounder = constant(1.5 * 2.0**23, 1.5 * 2.0**52)


def _power_of_two(sum_with_rounder: Any) -> Any:
    n = sum_with_rounder - rounder(sum_with_rounder)
    return np.ldexp(type(n)(1), int(n)) if np.isfinite(n) else n


@_in_python(_power_of_two)
def power_of_two(typing, sum_with_rounder):
    """2 ** n, given n + rounder, for n from the smallest to the largest exponent of a normal number."""
    width = sum_with_rounder.bitwidth

    def generate(context, builder, signature, args):
        integer = ir.IntType(width)
        bits = builder.bitcast(args[0], integer)
        exponent = builder.shl(bits, integer(_MANTISSA_BITS[width]))
        return builder.bitcast(builder.add(exponent, integer(_ONE_BITS[width])), _real(width))

    return sum_with_rounder(sum_with_rounder), generate


def _exponent_mantissa(x: Any) -> tuple[Any, Any]:
    mantissa, exponent = np.frexp(x)
    small = mantissa < np.sqrt(0.5)
    return type(x)(exponent - small), mantissa * (TWO if small else ONE)


@_in_python(_exponent_mantissa)
def exponent_mantissa(typing, x):
    """(n, m) with x = m 2 ** n and m from sqrt(1/2) to sqrt(2), for positive normal x."""
    width = x.bitwidth

    def generate(context, builder, signature, args):
        integer = ir.IntType(width)
        root = integer(_ROOT_HALF_BITS[width])
        above_root = builder.sub(builder.bitcast(args[0], integer), root)
        exponent = builder.ashr(above_root, integer(_MANTISSA_BITS[width]))
        fraction = builder.and_(above_root, integer((1 << _MANTISSA_BITS[width]) - 1))
        mantissa = builder.bitcast(builder.add(fraction, root), _real(width))
        n = builder.sitofp(exponent, _real(width))
        return context.make_tuple(builder, signature.return_type, (n, mantissa))

    return types.UniTuple(x, 2)(x), generate


@kernel
def positions(count, worker, workers):
    """Positions of an array of `count` elements that belong to `worker` (see `share`).

    They are unsigned: Numba need not look whether a position counts from the end, and the loop vectorises.
    """
    start, stop = share(count, worker, workers)
    return range(natural(start), natural(stop))


@kernel
def runs(size, width, part, parts):
    """First and last + 1 element of one of several parts of an array, cut between runs of `width` elements."""
    count = (size + width - 1) // width
    return count * part // parts * width, min(size, count * (part + 1) // parts * width)
