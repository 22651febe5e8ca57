# Written by `python -m tests.stubs`.
from typing import Any
numba: Any
import numpy as np
from .arguments import Follower
from .jit import recording
from .jit.compile import kernel, launches_run
from .jit.launch import FRAME_BYTES, add_to_counter, run_share
def can_follow() -> bool: ...
def follower(launched: Any, arguments: tuple[Any, ...], chunks: int, size: int) -> Follower: ...
follow: Any
