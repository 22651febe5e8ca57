# Written by `python -m tests.stubs`.
from typing import Any
import numpy as np
ir: Any
types: Any
from .operation import inside, operation
from .simd import INDEX, Tile, array_data, broadcast, converted, lanes_below, lanes_of, lanes_store, load_vector, masked_load, not_below, store_first, tile_of, together, vector_at, vectors_of
rows_together: Any
rows_at: Any
rows_fill: Any
rows_load: Any
rows_store: Any
rows_sum: Any
rows_largest: Any
rows_spread: Any
column_load: Any
