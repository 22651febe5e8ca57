# Written by `python -m tests.stubs`.
from typing import Any
import numpy as np
types: Any
from .operation import inside, operation
from .simd import TAPS, Tile, array_data, fused, lane_offset, lanes_below, lanes_load, lanes_of, load_vector, masked_load, tile_of, vector_at, vectors_of
entries: Any
pixels_at: Any
pixels_start: Any
pixels_multiply_add: Any
taps_at: Any
taps_multiply_add: Any
