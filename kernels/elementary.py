"""exp, log, tanh, erf and their kin for one float32 or float64, without branches: loops over them vectorise.

pip's Numba has no vector math library; a call of the C library's for each element takes ten times as long.
Errors are up to 2.5 units in the last place; infinities, NaN, denormal numbers and the borders of overflow are
right. `normal_distribution` and `normal_density` lose a few more units where they are tiny.

Source of the methods: Muller, "Elementary Functions", 3rd edition 2016, chapters 10 and 11. Polynomials are
Taylor series on reduced arguments, except where said.
"""

from __future__ import annotations

import math

from ._jit import inline_kernel
from .scalar import HALF, ONE, TWO, ZERO, constant, exponent_mantissa, polynomial, power_of_two, rounder

_infinity = constant(math.inf, math.inf)
_nan = constant(math.nan, math.nan)
_log2_e = constant(math.log2(math.e), math.log2(math.e))
# ln 2 in two parts, the first with so few bits that its product with an exponent is exact.
_ln2_high = constant(float.fromhex("0x1.62e3p-1"), float.fromhex("0x1.62e42feep-1"))
_ln2_low = constant(float.fromhex("0x1.2fefa39ef3579p-17"), float.fromhex("0x1.a39ef35793c76p-33"))

# Below the first, exp rounds to 0; above the second, to infinity.
_exp_lowest = constant(-104.0, -746.0)
_exp_highest = constant(89.0, 710.0)
# (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2.
_exp_coefficients = [1 / math.factorial(k + 2) for k in range(12)]
_exp_series = polynomial(_exp_coefficients[:6], _exp_coefficients)

# Above it, tanh rounds to 1.
_tanh_highest = constant(10.0, 20.0)

_smallest_normal = constant(2.0**-126, 2.0**-1022)
_denormal_scale = constant(2.0**25, 2.0**54)
_denormal_exponent = constant(25.0, 54.0)
# (log((1 + s) / (1 - s)) - 2 s) / s^3 in powers of s^2, for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1).
_log_series = polynomial([2 / (2 * k + 3) for k in range(5)], [2 / (2 * k + 3) for k in range(11)])

_root_two_less_one = constant(math.sqrt(2) - 1, math.sqrt(2) - 1)
_three = constant(3.0, 3.0)
_ln2 = constant(math.log(2), math.log(2))

# erf(x) / x - 1 in powers of x^2, for |x| <= 1/2.
_erf_coefficients = [2 / math.sqrt(math.pi) * (-1) ** k / (math.factorial(k) * (2 * k + 1)) for k in range(13)]
_erf_coefficients[0] -= 1
_erf_series = polynomial(_erf_coefficients[:7], _erf_coefficients)
# (1 + 2 x) exp(x^2) erfc(x) in powers of t = (x - centre) / (x + centre), for 0 <= x <= end. The form is that
# of Shepherd and Laframboise, "Chebyshev Approximation of (1 + 2x) exp(x^2) erfc x in 0 <= x < infinity", 1981;
# the coefficients are our own Chebyshev fit, to 3e-8 and 3e-17.
_erfc_centre = constant(2.0, 4.0)
_erfc_end = constant(11.0, 28.0)
_erfc_fit = polynomial(
    [1.276978390763967, -0.09276404229450394, -0.1660313000909402, 0.1640564883915122, -0.0542048340921401,
     -0.008065263075706703, 0.008630633586551749, 0.0013210412122711857, -0.0012257547274692505,
     -0.00040108712328531225],
    [1.2329951186255526, -0.1396211168405629, 0.015379652102620305, 0.06809705425473639, -0.10103906603632913,
     0.09373283499682628, -0.0663303658119996, 0.037167515561938515, -0.0161977340542423,
     0.005031969761432285, -0.000757773370277741, -0.0001992555416162786, 0.00015062234674481447, -2.4403036998954536e-05,
     -1.1225008755089552e-05, 5.717563626689596e-06, 3.016107881318932e-07, -8.346789501461553e-07,
     6.258721442256385e-08, 1.1494863135062745e-07, -7.764817952397257e-09, -1.3529367067220971e-08,
     -1.7668021904964841e-09])

_root_half = constant(math.sqrt(0.5), math.sqrt(0.5))
_normal_peak = constant(1 / math.sqrt(2 * math.pi), 1 / math.sqrt(2 * math.pi))


@inline_kernel
def _reduce(x):
    """(n, r, exp(r) - 1 - r) with x = n ln 2 + r and |r| <= ln(2) / 2."""
    n = x * _log2_e(x) + rounder(x) - rounder(x)
    r = x - n * _ln2_high(x) - n * _ln2_low(x)
    return n, r, r * r * _exp_series(r)


@inline_kernel
def exp(x):
    """e ** x."""
    x = _exp_lowest(x) if x < _exp_lowest(x) else x
    x = _exp_highest(x) if x > _exp_highest(x) else x
    n, r, rest = _reduce(x)
    # 2 ** n in two factors: n itself may lie beyond the exponents of normal numbers.
    half = n * HALF + rounder(x)
    other_half = n - (half - rounder(x)) + rounder(x)
    return (ONE + (r + rest)) * power_of_two(half) * power_of_two(other_half)


@inline_kernel
def expm1(x):
    """e ** x - 1 without cancellation near 0, for x up to 88 (float32) or 709 (float64)."""
    x = _exp_lowest(x) * HALF if x < _exp_lowest(x) * HALF else x
    n, r, rest = _reduce(x)
    scale = power_of_two(n + rounder(x))
    return scale * (r + rest) + (scale - ONE)


@inline_kernel
def tanh(x):
    """Hyperbolic tangent: e / (e + 2) with e = exp(2 x) - 1."""
    size = abs(x)
    size = _tanh_highest(x) if size > _tanh_highest(x) else size
    n, r, rest = _reduce(TWO * size)
    scale = power_of_two(n + rounder(x))
    e = scale * (r + rest) + (scale - ONE)
    y = e / (e + TWO)
    return -y if x < ZERO else y


@inline_kernel
def sigmoid(x):
    """1 / (1 + exp(-x)), below zero e / (1 + e) with e = exp(x); the last line takes up what rounding lost."""
    e = exp(-abs(x))
    below = ONE + e
    lost = (ONE - below) + e
    above = e if x < ZERO else ONE
    inverse = ONE / below
    y = above * inverse
    return y + (above - y * below - y * lost) * inverse


@inline_kernel
def log(x):
    """Natural logarithm: -inf at 0, NaN below."""
    small = x < _smallest_normal(x)
    exponent, mantissa = exponent_mantissa(x * _denormal_scale(x) if small else x)
    n = exponent - _denormal_exponent(x) if small else exponent
    f = mantissa - ONE
    s = f / (TWO + f)
    square = HALF * f * f
    rest = s * (square + s * s * _log_series(s * s)) + n * _ln2_low(x)
    y = n * _ln2_high(x) - ((square - rest) - f)
    y = y if x < _infinity(x) else x
    return y if x > ZERO else (-_infinity(x) if x == ZERO else _nan(x))


@inline_kernel
def log1p_unit(x):
    """log(1 + x) for x from 0 to 1: that of s = x / (2 + x), above sqrt(2) - 1 log 2 plus that of (1 + x) / 2."""
    upper = x > _root_two_less_one(x)
    s = (x - ONE if upper else x) / (x + _three(x) if upper else x + TWO)
    y = TWO * s + s * (s * s) * _log_series(s * s)
    return _ln2(x) + y if upper else y


@inline_kernel
def _erfc_scaled(x):
    """exp(x^2) erfc(x) for x >= 0; one division serves both quotients."""
    x = _erfc_end(x) if x > _erfc_end(x) else x
    below, slope = x + _erfc_centre(x), ONE + TWO * x
    inverse = ONE / (below * slope)
    return _erfc_fit((x - _erfc_centre(x)) * slope * inverse) * (below * inverse)


@inline_kernel
def erf(x):
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    size = abs(x)
    outer = ONE - exp(-x * x) * _erfc_scaled(size)
    inner = size + size * _erf_series(x * x)
    y = inner if size < HALF else outer
    return -y if x < ZERO else y


@inline_kernel
def normal_density(x):
    """Density of the standard normal distribution, exp(-x^2 / 2) / sqrt(2 pi)."""
    return _normal_peak(x) * exp(-HALF * x * x)


@inline_kernel
def normal_distribution(x):
    """Probability of a standard normal number below x, erfc(-x / sqrt 2) / 2."""
    tail = HALF * exp(-HALF * x * x) * _erfc_scaled(abs(x) * _root_half(x))
    return tail if x < ZERO else ONE - tail
