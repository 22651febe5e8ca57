# Written by `python -m tests.stubs`.
from typing import Any
from typing import NamedTuple
from ..arguments import Floats, Geometry, Integers, Width
from ..jit.compile import kernel, parallel_kernel, share
from ..vector.scalar import unsigned
from ..vector.simd import lanes_add, lanes_copy, lanes_copy_all, lanes_copy_padded, lanes_of, lanes_store, lanes_zero
from ..vector.strided import square_transpose
from ..vector.tile import LINE, row_copy, rows_of, tile_load, tile_multiply_add, tile_positions, tile_prefetch, tile_rows, tile_scatter, tile_store
class Inputs(NamedTuple):
    x: Floats
    positions: Integers
    offsets: Integers
    fresh: bool
class Pixels(NamedTuple):
    x: Floats
    origins: Integers
    rows: int
    columns: int
    step: int
class Walk(NamedTuple):
    geometry: Geometry
    offsets: Integers
    width: Width
class Chunked(NamedTuple):
    chunks: int
    weights: int
    rows: int
    K: int
    groups: int
class Kept(NamedTuple):
    sums: Floats
    start: int
    begin: bool
    end: bool
class Layout(NamedTuple):
    start: int
    group: int
    R: int
    S: int
    depth: int
    K: int
    channels: int
    groups: int
    rows: int = ...
    columns: int = ...
    inputs: int = ...
    depth_of_part: int = ...
    width: int = ...
multiply: Any
correlate: Any
copy_run: Any
copy_run_padded: Any
zero: Any
zero_run: Any
add_columns: Any
pack_gradients: Any
pack_rows: Any
def pack_panels(w: Floats, layouts: Geometry, panels: Floats, workers: int) -> None: ...
def pick(w: Floats, index: Integers, panels: Floats, workers: int) -> None: ...
def sum_chunks(partial: Floats, chunked: Geometry, width: Width, dw: Floats, workers: int) -> None: ...
def sum_rows(dy: Floats, rows: int, channels: int, fold: int, chunks: int, partial: Floats, workers: int) -> None: ...
