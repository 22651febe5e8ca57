# Written by `python -m tests.stubs`.
from typing import Any
import math
from .jit.compile import inline_kernel
from .vector.scalar import HALF, ONE, TWO, ZERO, at_least, at_most, constant, exponent_mantissa, lowered, polynomial, power_of_two, raised_power_of_two, rounder, zero_below
exp: Any
exp_to_one: Any
exp_or_zero: Any
expm1: Any
tanh: Any
sigmoid: Any
log: Any
log_from_one: Any
log1p_unit: Any
erf: Any
normal_density: Any
normal_distribution: Any
