"""A word on stderr where a person reads along and the first calls take long: kernels are compiled, once.

`FASTCNN_QUIET`, set to anything, keeps it back.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any

from numba.core import event

_PATIENCE = 1.0  # seconds without a word


class Notice(event.Listener):  # type: ignore[misc]
    """Listens to Numba, whose compiler works for one thread at a time, and speaks once."""

    def __init__(self) -> None:
        self.said = False
        self._seconds, self._depth, self._began = 0.0, 0, 0.0

    def on_start(self, event: Any) -> None:
        """Speak where compiling has taken longer than a person waits without asking."""
        now = time.perf_counter()
        if self._depth == 0:
            self._began = now
        self._depth += 1
        if not self.said and self._seconds + now - self._began > _PATIENCE and _is_read():
            self.said = True
            with contextlib.suppress(OSError):
                sys.stderr.write("fastcnn: compiling kernels, once on this machine; first calls take longer for a minute or "
                                 "so (FASTCNN_QUIET=1 keeps this back)\n")
                sys.stderr.flush()

    def on_end(self, event: Any) -> None:
        """Add up the time."""
        self._depth -= 1
        if self._depth == 0:
            self._seconds += time.perf_counter() - self._began


def _is_read() -> bool:
    """Whether stderr is a terminal or a notebook, and nobody asked for quiet."""
    if sys.stderr is None or sys.stderr.closed or os.environ.get("FASTCNN_QUIET"):
        return False
    return sys.stderr.isatty() or type(sys.stderr).__module__.partition(".")[0] == "ipykernel"


notice = Notice()
event.register("numba:compile", notice)
