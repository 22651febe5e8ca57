# Written by `python -m tests.stubs`.
from typing import Any
from .jit.compile import kernel
from .vector.scalar import unsigned
repeat: Any
fold: Any
