# Written by `python -m tests.stubs`.
from typing import Any
ir: Any
types: Any
from .operation import inside, operation
from .simd import INDEX, INT64, Tile, array_data, lanes_below, lanes_load, lanes_of, lanes_store, load_vector, masked_load, store_first, tile_of, vector_at, vectors_of
strided_load: Any
strided_store: Any
square_transpose: Any
