"""exp, log, tanh, erf and their kin for one float32 or float64, without branches: loops over them vectorise.

pip's Numba has no vector math library; a call of the C library's for each element takes ten times as long.
Errors are up to 2.5 units in the last place; infinities, NaN, denormal numbers and the borders of overflow are
right. `normal_distribution` and `normal_density` lose a few more units where they are tiny. Those which softmax is made
of, exp, exp_or_zero and log_from_one, also take a tile (simd.py) of numbers.

Source of the methods: Muller, "Elementary Functions", 3rd edition 2016, chapters 10 and 11. Polynomials are
Taylor series on reduced arguments, except where said: our own Chebyshev fits.
"""

from __future__ import annotations

import math

from .jit.compile import inline_kernel
from .vector.scalar import (
    HALF,
    ONE,
    TWO,
    ZERO,
    at_least,
    at_most,
    constant,
    exponent_mantissa,
    lowered,
    polynomial,
    power_of_two,
    raised_power_of_two,
    rounder,
    zero_below,
)

_infinity = constant(math.inf, math.inf)
_nan = constant(math.nan, math.nan)
_log2_e = constant(math.log2(math.e), math.log2(math.e))
# ln 2 in two parts, the first with so few bits that its product with an exponent is exact.
_ln2_high = constant(float.fromhex("0x1.62e3p-1"), float.fromhex("0x1.62e42feep-1"))
_ln2_low = constant(float.fromhex("0x1.2fefa39ef3579p-17"), float.fromhex("0x1.a39ef35793c76p-33"))

# Below the first, exp rounds to 0; above the second, to infinity.
_exp_lowest = constant(-104.0, -746.0)
_exp_highest = constant(89.0, 710.0)
# Below it, exp is no normal number.
_exp_normal = constant(-126 * math.log(2), -1022 * math.log(2))
# (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2, fitted to 6e-8 and 1.4e-16, of which exp(r) sees an eighth.
_exp_fit = polynomial(
    [0.5, 0.16666576989698775, 0.04166655461720457, 0.008363179052722575, 0.0013926183587714312],
    [0.5, 0.16666666666666666, 0.04166666666662409, 0.00833333333333066, 0.0013888888917231116, 0.00019841269861271493,
     2.4801521272888432e-05, 2.755727042244868e-06, 2.762009807059194e-07, 2.5099664064603453e-08])

# Above it, tanh rounds to 1.
_tanh_highest = constant(10.0, 20.0)

_smallest_normal = constant(2.0**-126, 2.0**-1022)
_denormal_scale = constant(2.0**25, 2.0**54)
_denormal_exponent = constant(25.0, 54.0)
# (log((1 + s) / (1 - s)) - 2 s) / s^3 in powers of s^2, for |s| <= (sqrt(2) - 1) / (sqrt(2) + 1).
_log_series = polynomial([2 / (2 * k + 3) for k in range(5)], [2 / (2 * k + 3) for k in range(11)])

# log(1 + x) / x in powers of x - 1/2, for x from 0 to 1, fitted to 5e-9 and 1.2e-17.
_log1p_fit = polynomial(
    [0.8109302199132427, -0.28852710137197934, 0.13260901577718712, -0.06768818965399538, 0.036635234166340236,
     -0.02056318243216848, 0.01157768518237734, -0.006788016951912135, 0.005250270678081037, -0.003176057018479028],
    [0.8109302162163288, -0.2885270990993239, 0.13260975375420356, -0.06768864331096294, 0.036611854523056535,
     -0.020548811919163287, 0.011833792115255778, -0.006945394974448428, 0.004136178969789593, -0.0024918411986698105,
     0.001515385166687874, -0.000928857393018591, 0.000573043558412272, -0.0003548208415806931, 0.00022120003528211134,
     -0.00014209792771864506, 8.929736213758588e-05, -4.4834456362185026e-05, 2.8357752377078648e-05,
     -3.835576630773998e-05, 2.436517249970209e-05])

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
    """(n + rounder, exp(r) - 1) with x = n ln 2 + r and |r| <= ln(2) / 2."""
    power = x * _log2_e(x) + rounder(x)
    n = power - rounder(x)
    r = x - n * _ln2_high(x) - n * _ln2_low(x)
    return power, r + r * r * _exp_fit(r)


@inline_kernel
def exp(x):
    """e ** x."""
    power, less_one = _reduce(at_most(at_least(x, _exp_lowest(x)), _exp_highest(x)))
    # 2 ** n in two factors: n itself may lie beyond the exponents of normal numbers.
    half = (power - rounder(x)) * HALF + rounder(x)
    other_half = power - (half - rounder(x))
    return (ONE + less_one) * power_of_two(half) * power_of_two(other_half)


@inline_kernel
def exp_to_one(x):
    """e ** x for x up to 0, in two thirds of the operations: numbers beyond the normal ones lie on one side only."""
    power, less_one = _reduce(at_least(x, _exp_lowest(x)))
    return (ONE + less_one) * raised_power_of_two(power) * lowered(x)


@inline_kernel
def exp_or_zero(x):
    """e ** x for x up to 0, and 0 where that is below the normal numbers, which take a processor a hundred times as long."""
    power, less_one = _reduce(x)
    return zero_below((ONE + less_one) * power_of_two(power), x, _exp_normal(x))


@inline_kernel
def expm1(x):
    """e ** x - 1 without cancellation near 0, for x up to 88 (float32) or 709 (float64)."""
    power, less_one = _reduce(at_least(x, _exp_lowest(x) * HALF))
    scale = power_of_two(power)
    return scale * less_one + (scale - ONE)


@inline_kernel
def tanh(x):
    """Hyperbolic tangent: e / (e + 2) with e = exp(2 x) - 1."""
    size = abs(x)
    size = _tanh_highest(x) if size > _tanh_highest(x) else size
    power, less_one = _reduce(TWO * size)
    scale = power_of_two(power)
    e = scale * less_one + (scale - ONE)
    y = e / (e + TWO)
    return -y if x < ZERO else y


@inline_kernel
def sigmoid(x):
    """1 / (1 + exp(-x)), below zero e / (1 + e) with e = exp(x); the last line takes up what rounding lost."""
    e = exp_to_one(-abs(x))
    below = ONE + e
    lost = (ONE - below) + e
    above = e if x < ZERO else ONE
    inverse = ONE / below
    y = above * inverse
    return y + (above - y * below - y * lost) * inverse


@inline_kernel
def _log(n, mantissa):
    """log(mantissa 2 ** n) for a mantissa from sqrt(1/2) to sqrt(2)."""
    f = mantissa - ONE
    s = f / (TWO + f)
    square = HALF * f * f
    rest = s * (square + s * s * _log_series(s * s)) + n * _ln2_low(f)
    return n * _ln2_high(f) - ((square - rest) - f)


@inline_kernel
def log(x):
    """Natural logarithm: -inf at 0, NaN below."""
    small = x < _smallest_normal(x)
    exponent, mantissa = exponent_mantissa(x * _denormal_scale(x) if small else x)
    y = _log(exponent - _denormal_exponent(x) if small else exponent, mantissa)
    y = y if x < _infinity(x) else x
    return y if x > ZERO else (-_infinity(x) if x == ZERO else _nan(x))


@inline_kernel
def log_from_one(x):
    """Natural logarithm of a finite x of at least 1, or NaN."""
    exponent, mantissa = exponent_mantissa(x)
    return _log(exponent, mantissa) + ZERO * x


@inline_kernel
def log1p_unit(x):
    """log(1 + x) for x from 0 to 1; a polynomial takes half the time of the division that a shorter one would need."""
    return x * _log1p_fit(x - HALF)


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
    outer = ONE - exp_to_one(-x * x) * _erfc_scaled(size)
    inner = size + size * _erf_series(x * x)
    y = inner if size < HALF else outer
    return -y if x < ZERO else y


@inline_kernel
def normal_density(x):
    """Density of the standard normal distribution, exp(-x^2 / 2) / sqrt(2 pi)."""
    return _normal_peak(x) * exp_to_one(-HALF * x * x)


@inline_kernel
def normal_distribution(x):
    """Probability of a standard normal number below x, erfc(-x / sqrt 2) / 2."""
    tail = HALF * exp_to_one(-HALF * x * x) * _erfc_scaled(abs(x) * _root_half(x))
    return tail if x < ZERO else ONE - tail
