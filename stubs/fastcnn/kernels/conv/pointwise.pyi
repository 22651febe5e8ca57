# Written by `python -m tests.stubs`.
from typing import Any
from typing import NamedTuple
from ..arguments import Floats, Workspace
from ..jit.compile import kernel, parallel_kernel
from ..jit.launch import next_task
from ..vector.simd import lanes_copy_all, lanes_copy_padded, lanes_of
from ..vector.tile import rows_of
from .products import Pixels, Walk, add_columns, correlate, pack_gradients, zero
class Blocks(NamedTuple):
    pixels: int
    block: int
    inputs: int
    parts: int
    chunks: int
    floats: int
    panel: int
    integers: int = ...
def matmul_backward_weight(x: Floats, dy: Floats, partial: Floats, sums: Floats, walk: Walk, workspace: Workspace, workers: int) -> None: ...
