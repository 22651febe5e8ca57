# Written by `python -m tests.stubs`.
from typing import Any
import numpy as np
ir: Any
types: Any
from ..jit.internals import cgutils
from .operation import inside, limited, operation
from .simd import INDEX, INT64, PLANES, Tile, array_data, broadcast, lane_offset, lanes_below, lanes_load, lanes_of, load_vector, masked_load, masked_store, not_below, suffix, vector_at
planes_tile: Any
planes_store: Any
zip_vectors: Any
filter_sums: Any
by_turns: Any
filter_multiply_add: Any
