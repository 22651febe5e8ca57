# Written by `python -m tests.stubs`.
from typing import Any
from typing import NamedTuple
from ..arguments import Epilogue, Floats, Geometry, Integers, Width, Workspace
from ..follow import follow
from ..jit.compile import kernel, parallel_kernel
from ..jit.launch import next_task
from ..vector.planes import lines_add, lines_zeros
from ..vector.scalar import unsigned
from ..vector.simd import MOST_ROWS, lanes_of
from ..vector.strips import pixels_at
from ..vector.tile import Target, tile_multiply_add
from .products import Inputs, Kept, Pixels, Walk, add_columns, copy_run, copy_run_padded, correlate, multiply, pack_gradients, zero, zero_run
NONE: Any
ROWS: Any
PIXELS: Any
PAIR: Any
class Bands(NamedTuple):
    copies: int
    depth: int
    columns: int
    pixel: int
    pitch: int
    step: int
    weights: int
    rows: int = ...
    parts: int = ...
    chunks: int = ...
    floats: int = ...
    panel: int = ...
    integers: int = ...
    y_start: int = ...
    y_image: int = ...
    y_row: int = ...
    y_step: int = ...
class Scatter(NamedTuple):
    rows: int
    above: int
    columns: int
    depth: int
    floats: int
class ScatterWalk(NamedTuple):
    geometry: Geometry
    places: Integers
    wanted: Floats
    run: Width
def conv2d_forward(x: Floats, panels: Floats, epilogue: Epilogue, y: Floats, walk: Walk, workspace: Workspace, workers: int) -> None: ...
def conv2d_backward_input_scatter(dy: Floats, panels: Floats, dx: Floats, walk: ScatterWalk, workspace: Floats, workers: int) -> None: ...
def conv2d_backward_weight(x: Floats, dy: Floats, partial: Floats, sums: Floats, walk: Walk, workspace: Workspace, workers: int) -> None: ...
