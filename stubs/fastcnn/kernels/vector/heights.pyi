# Written by `python -m tests.stubs`.
from typing import Any
import numpy as np
ir: Any
types: Any
from .operation import operation
from .simd import INT64, Tile, lanes_of
tall_zeros: Any
tall_strided: Any
