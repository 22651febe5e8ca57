# Written by `python -m tests.stubs`.
from typing import Any
from typing import NamedTuple
from ..arguments import Epilogue, Floats, Geometry, Integers
from ..follow import follow
from ..jit.compile import kernel, parallel_kernel, rolled_kernel
from ..kinds import KIND
from ..vector.rows import rows_load, rows_store
from ..vector.scalar import unsigned
from ..vector.simd import TAPS, lanes_add, lanes_load, lanes_of, lanes_store, lanes_zero, where
from ..vector.strips import entries, pixels_at, pixels_multiply_add, pixels_start, taps_at, taps_multiply_add
from ..vector.tile import tile_prefetch
PIXELS: Any
GRADIENT_PIXELS: Any
STRIP: Any
GRADIENT_STRIP: Any
BESIDE: Any
BAND: int
CHANNELS: int
THREE: Any
class Sizes(NamedTuple):
    image: int
    row: int
    chunks: int = ...
class Row(NamedTuple):
    source: int
    weight: int
    first: int
    last: int
class Run(NamedTuple):
    target: int
    target_step: int
    pixels: int
    source: int
    step: int
    list: int
    taps: int
    together: int
class Walk(NamedTuple):
    geometry: Geometry
    rows: Geometry
    runs: Geometry
    offsets: Integers
    numbers: Integers
    fresh: Integers
class Operands(NamedTuple):
    x: Floats
    weight: Floats
    epilogue: Epilogue
    y: Floats
class Gradients(NamedTuple):
    x: Floats
    dy: Floats
    partial: Floats
class Band(NamedTuple):
    image: int
    first: int
    last: int
class Taps(NamedTuple):
    offsets: Integers
    numbers: Integers
    first: int
    last: int
class Place(NamedTuple):
    source: int
    weight: int
    target: int
def convolve(x: Floats, weight: Floats, epilogue: Epilogue, y: Floats, walk: Walk, workers: int) -> None: ...
def backward_weight(x: Floats, dy: Floats, partial: Floats, walk: Walk, workers: int) -> None: ...
