# Written by `python -m tests.stubs`.
from typing import Any
import math
from typing import NamedTuple
from .arguments import Bytes, Floats, Geometry, Integers
from .jit.compile import inline_kernel, kernel, parallel_kernel
from .vector.scalar import ONE, ZERO, unsigned
class Colours(NamedTuple):
    scale: Floats
    offset: Floats
    low: float
    high: float
class Picks(NamedTuple):
    index: Integers
    changes: Geometry
def gather(images: Bytes, index: Integers, pixels: int, scale: Floats, offset: Floats, batch: Floats, workers: int) -> None: ...
def augment(images: Bytes | Floats, picks: Picks, sizes: Geometry, colours: Colours, workspace: Floats, batch: Floats, workers: int) -> None: ...
