# Written by `python -m tests.stubs`.
from typing import Any
import contextlib
import os
import signal
import struct
import sys
import threading
import warnings
from collections.abc import Iterator
from . import cache, threads
from .compile import Kernel, launching
Jobs = dict[Any, tuple[Kernel, tuple[Any, ...], int]]
@contextlib.contextmanager
def noted_launches() -> Iterator[Jobs]: ...
def compile_ahead(jobs: Jobs) -> int: ...
