# Written by `python -m tests.stubs`.
from typing import Any
import math
from typing import Any, NamedTuple
from ..arguments import Epilogue, Floats, Geometry, Width, Workspace
from ..follow import follow
from ..jit.compile import inline_kernel, kernel, parallel_kernel
from ..jit.launch import next_task
from ..vector.scalar import unsigned
from ..vector.simd import lanes_copy_all, lanes_copy_padded, lanes_load, lanes_of, lanes_store, lanes_zero, where
from ..vector.strided import strided_load, strided_store
from ..vector.strips import pixels_at
from ..vector.tile import LINE, rows_of, tile_load, tile_multiply_add, tile_prefetch, tile_store, tile_strided, tile_zeros
from .products import copy_run
ELEMENTS: int
POINTS: Any
GAP: int
AHEAD: int
STRIP: int
class Bands(NamedTuple):
    lanes: int
    floats: int
    band: int = ...
    depth: int = ...
    chunks: int = ...
    parts: int = ...
class Size(NamedTuple):
    taps: Width
    outputs: Width
class Blocks(NamedTuple):
    w: Any
    size: Size
class Walk(NamedTuple):
    geometry: Geometry
    width: Width
    size: Size
class Stage(NamedTuple):
    first: int
    count: int
    columns: Floats
    column_row: int
    products: Floats
    product_row: int
class Grid(NamedTuple):
    array: Floats
    at: int
    row: int
    step: int
class Image(NamedTuple):
    array: Floats
    at: int
    H: int
    W: int
    C: int
def winograd_forward(x: Floats, panels: Floats, epilogue: Epilogue, y: Floats, walk: Walk, workspace: Workspace, workers: int) -> None: ...
def winograd_inputs(x: Floats, geometry: Geometry, size: Size, stage: Stage, workspace: Workspace, workers: int) -> None: ...
def winograd_products(panels: Floats, geometry: Geometry, width: Width, stage: Stage, workspace: Workspace, workers: int) -> None: ...
def winograd_outputs(epilogue: Epilogue, y: Floats, geometry: Geometry, size: Size, stage: Stage, workspace: Workspace, workers: int) -> None: ...
def winograd_filter(weight: Floats, layouts: Geometry, size: Size, panels: Floats, workspace: Workspace, workers: int) -> None: ...
def winograd_backward_weight(x: Floats, dy: Floats, partial: Floats, walk: Walk, workspace: Workspace, workers: int) -> None: ...
def winograd_filter_gradient(partial: Floats, dw: Floats, geometry: Geometry, size: Size, workspace: Workspace, workers: int) -> None: ...
