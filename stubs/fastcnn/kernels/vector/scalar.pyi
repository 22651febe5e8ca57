# Written by `python -m tests.stubs`.
from typing import Any
from collections.abc import Sequence
import numpy as np
ir: Any
types: Any
from ..jit.compile import kernel, share
from .operation import operation
from .simd import not_below, of_each, splat, width_of
unsigned: Any
ZERO: Any
HALF: Any
ONE: Any
TWO: Any
def constant(single: float, double: float) -> Any: ...
def polynomial(single: Sequence[float], double: Sequence[float]) -> Any: ...
at_least: Any
at_most: Any
zero_below: Any
quotient: Any
rounder: Any
power_of_two: Any
raised_power_of_two: Any
lowered: Any
exponent_mantissa: Any
positions: Any
runs: Any
