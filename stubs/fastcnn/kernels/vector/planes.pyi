# Written by `python -m tests.stubs`.
from typing import Any
import numpy as np
ir: Any
types: Any
from ..kinds import KIND
from .operation import inside, limited, operation
from .simd import INDEX, INT64, MASKS, Tile, array_data, broadcast, converted, fused, lane_offset, lanes_below, lanes_load, lanes_of, load_vector, masked_load, masked_store, not_below, part_of, tile_of, vector_at, vectors_of
PLANE_VECTORS = KIND.planes[1]
planes_tile: Any
planes_store: Any
planes_pool: Any
planes_winners: Any
zip_vectors: Any
lines_load: Any
by_turns: Any
filter_multiply_add: Any
lines_zeros: Any
lines_add: Any
