# Written by `python -m tests.stubs`.
from typing import Any
import functools
from collections.abc import Callable
import numpy as np
config: Any
from ..jit.internals import Intrinsic
def operation(meaning: Callable[..., Any]) -> Any: ...
def inside(array: Any, start: int, count: int) -> Any: ...
def limited(values: Any, floor: Any) -> Any: ...
