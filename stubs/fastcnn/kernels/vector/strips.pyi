# Written by `python -m tests.stubs`.
from typing import Any
import numpy as np
ir: Any
types: Any
from ..jit.internals import cgutils
from .operation import inside, operation
from .simd import INDEX, PIXELS, TAPS, Tile, array_data, lane_offset, lanes_below, lanes_load, lanes_of, lanes_store, load_vector, masked_load, masked_store, suffix, vector_at
pixels_start: Any
pixels_multiply_add: Any
pixels_multiply_add_3: Any
pixels_store: Any
pixels_prefetch: Any
lanes_multiply_add: Any
taps_load: Any
taps_multiply_add: Any
taps_multiply_add_3: Any
taps_store: Any
