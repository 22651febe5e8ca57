# Written by `python -m tests.stubs`.
from typing import Any
import numpy as np
ir: Any
types: Any
from ..jit.internals import cgutils
from .operation import inside, limited, operation
from .simd import PIXELS, TAPS, Tile, array_data, lane_offset, lanes_below, lanes_load, lanes_of, lanes_store, load_vector, masked_load, masked_store, not_below, suffix, vector_at
entries: Any
pixels_at: Any
pixels_start: Any
pixels_load: Any
pixels_multiply_add: Any
pixels_relu: Any
pixels_store: Any
lanes_multiply_add: Any
taps_at: Any
taps_load: Any
taps_multiply_add: Any
taps_store: Any
