# Written by `python -m tests.stubs`.
from typing import Any
import contextlib
import functools
import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
llvmlite: Any
numba: Any
from .. import folders
from ..kinds import KIND, host_features
from .internals import CacheLocator, CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, rtsys
_SOURCES = Path(__file__).parents[1]
@functools.cache
def folder() -> Path | None: ...
def is_private() -> bool: ...
class KernelCache(FunctionCache):
    def __init__(self, function: Callable[..., Any]) -> None: ...
    def load_overload(self, sig: Any, target_context: Any) -> Any: ...
    def holds(self, sig: Any, target_context: Any) -> bool: ...
    def save_overload(self, sig: Any, data: Any) -> None: ...
class EntryCache(KernelCache):
    ...
