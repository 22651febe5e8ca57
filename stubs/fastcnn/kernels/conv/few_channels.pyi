# Written by `python -m tests.stubs`.
from typing import Any
import math
from typing import NamedTuple
from ..arguments import Epilogue, Floats, Geometry, Integers, Maxima, Width
from ..follow import follow
from ..jit.compile import inline_kernel, kernel, parallel_kernel
from ..vector.planes import PLANE_VECTORS, by_turns, filter_multiply_add, lines_load, planes_pool, planes_store, planes_tile, planes_winners, zip_vectors
from ..vector.scalar import unsigned
from ..vector.simd import lanes_load, lanes_of
from ..vector.strips import entries
from ..vector.tile import tile_multiply_add, tile_prefetch, tile_store
from .products import add_columns, copy_run, zero, zero_run
VECTORS: Any
AHEAD: int
class Planes(NamedTuple):
    rows: int
    phases: int
    slots: int
    columns: int
    channels: int
    tiles: int
    floats: int
class Walk(NamedTuple):
    geometry: Geometry
    taps: Integers
    channels: Width
class Lines(NamedTuple):
    rows: int
    inputs: int
    row: int
    pixels: int
    folded: int
    folded_row: int
    elements: int
    filter_lines: int
    lines: int
    run: int
    fold: int
    chunks: int
    floats: int
class WeightWalk(NamedTuple):
    geometry: Geometry
    taps: Integers
    lines: Width
    run: Width
    fold: Width
class Place(NamedTuple):
    x: int
    dy: int
    partial: int
def few_channels_forward(x: Floats, weight: Floats, epilogue: Epilogue, y: Floats, walk: Walk, workspace: Floats, workers: int) -> None: ...
def few_channels_forward_pooled(x: Floats, weight: Floats, bias: Floats, maxima: Maxima, walk: Walk, workspace: Floats, workers: int) -> None: ...
def few_channels_backward_weight(x: Floats, dy: Floats, partial: Floats, totals: Floats, walk: WeightWalk, workspace: Floats, workers: int) -> None: ...
def few_channels_sum(partial: Floats, dw: Floats, geometry: Geometry, workers: int) -> None: ...
