# Written by `python -m tests.stubs`.
from typing import Any
import math
from typing import Any, NamedTuple
import numpy as np
ir: Any
types: Any
from ..arguments import Floats, Integers
from ..jit.internals import cgutils
from .operation import inside, limited, operation
from .simd import INT64, ROWS, Tile, array_data, broadcast, fields, fused, lane_offset, lanes_below, lanes_of, load_vector, masked_load, not_below, store_first, tile_of, vector_at, vectors_of
LINE: int
rows_of: Any
tile_positions: Any
tile_strided: Any
tile_zeros: Any
tile_rows: Any
tile_load: Any
row_copy: Any
tile_store: Any
tile_multiply_add: Any
tile_add_doubles: Any
tile_prefetch: Any
class Target(NamedTuple):
    y: Floats
    positions: Integers
    channel: int
    channels: int
tile_scatter: Any
