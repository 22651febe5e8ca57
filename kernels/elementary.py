"""exp, log, tanh, erf and their kin for one float32 or float64, without branches: loops over them vectorise.

pip's Numba has no vector math library; a call of the C library's for each element takes ten times as long.
Errors are up to 2 units in the last place; infinities, NaN, denormal numbers and the borders of overflow are
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

# (tanh(x) - x) / x^3 in powers of x^2, for |x| <= 9/16: our own Chebyshev fit, to 1e-8 and 2e-17.
_tanh_border = constant(0.5625, 0.5625)
_tanh_fit = polynomial(
    [-0.3333333174320974, 0.13333078597502374, -0.053902503135532416, 0.021267125889492117,
     -0.006531511173483331],
    [-0.3333333333333333, 0.13333333333332414, -0.05396825396708291, 0.021869488477909947,
     -0.008863234040926786, 0.003592105760350555, -0.0014556256126450112, 0.0005887609649529599,
     -0.00023412501903292206, 8.429410061300032e-05, -2.0044966715280105e-05])

_smallest_normal = constant(2.0**-126, 2.0**-1022)
_denormal_scale = constant(2.0**25, 2.0**54)
_denormal_exponent = constant(25.0, 54.0)
# (log((1 + s) / (1 - s)) - 2 s) / s^3 in powers of s^2, for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1).
_log_series = polynomial([2 / (2 * k + 3) for k in range(5)], [2 / (2 * k + 3) for k in range(11)])

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
def _exp_in_two(x):
    """(high, low) whose sum is e ** x; high alone is as near as a single number comes."""
    x = _exp_lowest(x) if x < _exp_lowest(x) else x
    x = _exp_highest(x) if x > _exp_highest(x) else x
    n, r, rest = _reduce(x)
    first = ONE + r
    second = (ONE - first) + r + rest
    high = first + second
    low = (first - high) + second
    # 2 ** n in two factors: n itself may lie beyond the exponents of normal numbers.
    half = n * HALF + rounder(x)
    other_half = n - (half - rounder(x)) + rounder(x)
    first_scale, second_scale = power_of_two(half), power_of_two(other_half)
    return high * first_scale * second_scale, low * first_scale * second_scale


@inline_kernel
def exp(x):
    """e ** x."""
    return _exp_in_two(x)[0]


@inline_kernel
def expm1(x):
    """e ** x - 1 without cancellation near 0, for x up to 88 (float32) or 709 (float64)."""
    x = _exp_lowest(x) * HALF if x < _exp_lowest(x) * HALF else x
    n, r, rest = _reduce(x)
    scale = power_of_two(n + rounder(x))
    return scale * (r + rest) + (scale - ONE)


@inline_kernel
def tanh(x):
    """Hyperbolic tangent: 1 - 2 / (exp(2 x) + 1) away from 0."""
    size = abs(x)
    outer = ONE - TWO / (exp(TWO * size) + ONE)
    inner = size + size * (x * x * _tanh_fit(x * x))
    y = inner if size < _tanh_border(x) else outer
    return -y if x < ZERO else y


@inline_kernel
def sigmoid(x):
    """1 / (1 + exp(-x)), below zero e / (1 + e) with e = exp(x); the last line takes up what rounding lost."""
    e, e_low = _exp_in_two(-abs(x))
    below = ONE + e
    below_low = (ONE - below) + e + e_low
    above, above_low = (e, e_low) if x < ZERO else (ONE, ZERO)
    inverse = ONE / below
    y = above * inverse
    return y + (above - y * below + (above_low - y * below_low)) * inverse


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
def log1p(x):
    """log(1 + x) without cancellation near 0."""
    u = ONE + x
    lost = (x - (u - ONE)) / u
    return log(u) + (lost if ZERO < u < _infinity(x) else ZERO)


@inline_kernel
def _erfc_scaled(x):
    """exp(x^2) erfc(x) for x >= 0."""
    x = _erfc_end(x) if x > _erfc_end(x) else x
    return _erfc_fit((x - _erfc_centre(x)) / (x + _erfc_centre(x))) / (ONE + TWO * x)


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
