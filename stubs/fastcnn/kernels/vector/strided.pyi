# Written by `python -m tests.stubs`.
from typing import Any
types: Any
from .operation import operation
from .simd import INT64, Tile, array_data, lanes_below, lanes_load, lanes_store, masked_load, store_first, tile_of, vector_at, vectors_of
strided_load: Any
strided_store: Any
