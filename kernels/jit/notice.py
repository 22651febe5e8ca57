"""A line on stderr, on terminals and in notebooks, when the first calls take long because kernels are compiled.

`FASTCNN_QUIET`, set to anything, turns it off.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any

from .internals import event

_PATIENCE = 1.0  # seconds of compiling before the line is written


class Notice(event.Listener):  # type: ignore[misc]
    """Numba reports to it when compiling starts and ends, for one thread at a time; it writes the line once."""

    def __init__(self) -> None:
        self.written = False
        self._seconds, self._depth, self._began = 0.0, 0, 0.0

    def on_start(self, event: Any) -> None:
        """Write the line where compiling has taken long."""
        now = time.perf_counter()
        if self._depth == 0:
            self._began = now
        self._depth += 1
        if not self.written and self._seconds + now - self._began > _PATIENCE and _is_wanted():
            self.written = True
            with contextlib.suppress(OSError):
                sys.stderr.write("fastcnn: compiling kernels, once on this machine; first calls take longer for a minute or "
                                 "so (FASTCNN_QUIET=1 turns this line off)\n")
                sys.stderr.flush()

    def on_end(self, event: Any) -> None:
        """Add up the time."""
        self._depth -= 1
        if self._depth == 0:
            self._seconds += time.perf_counter() - self._began


def _is_wanted() -> bool:
    """Whether stderr is a terminal or a notebook, and nobody asked for quiet."""
    if sys.stderr is None or sys.stderr.closed or os.environ.get("FASTCNN_QUIET"):
        return False
    return sys.stderr.isatty() or type(sys.stderr).__module__.partition(".")[0] == "ipykernel"


notice = Notice()
event.register("numba:compile", notice)
