# Written by `python -m tests.stubs`.
from typing import Any
import math
from .jit.compile import inline_kernel, kernel, parallel_kernel
from .vector.scalar import ONE, ZERO, unsigned
def gather(images, index, pixels, scale, offset, batch, workers) -> None: ...
def augment(images, index, H, W, C, changes, low, high, scale, offset, scratch, batch, workers) -> None: ...
