# Written by `python -m tests.stubs`.
from typing import Any
import contextlib
import os
import sys
import time
from .internals import event
class Notice(event.Listener):
    def __init__(self) -> None: ...
    def on_start(self, event: Any) -> None: ...
    def on_end(self, event: Any) -> None: ...
notice: Any
