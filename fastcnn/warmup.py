"""Compiling ahead: one step of training in advance, with a word on what takes so long.

Numba compiles a kernel when it is first called, and the cache keeps it for the next start. A terminal shows a line that
changes with each kernel; without one there is a line at the start and a line at the end.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from numba.core import event

from .data import Split


class Compilation(event.Listener):
    """Listens to Numba: how many of our kernels were compiled, in how many seconds."""

    def __init__(self) -> None:
        """Nothing is compiled yet."""
        self.kernels, self.seconds = 0, 0.0
        self._depth, self._began = 0, 0.0
        self._interactive = sys.stderr.isatty()

    def on_start(self, event: Any) -> None:
        """Take note that a compilation begins, inside which others may happen."""
        self._depth += 1
        if self._depth == 1:
            self._began = time.perf_counter()
        self._announce(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event: Any) -> None:
        """Add up the time of the outermost compilations."""
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began

    def _announce(self, kernel: str) -> None:
        self.kernels += 1
        if self._interactive:
            sys.stderr.write(f"\r\x1b[2Kcompiling kernel {self.kernels}: {kernel.strip('_')} ({self.seconds:.0f} s)")
        elif self.kernels == 1:
            sys.stderr.write("compiling kernels: once on this machine, up to a minute ...\n")
        sys.stderr.flush()

    def finish(self) -> None:
        """Say what was done, if anything was."""
        if self.kernels:
            start = "\r\x1b[2K" if self._interactive else ""
            sys.stderr.write(f"{start}compiled {self.kernels} kernels in {self.seconds:.1f} s\n")
            sys.stderr.flush()


@contextlib.contextmanager
def compiling() -> Iterator[Compilation]:
    """Inside the `with` block, show on stderr which kernels are compiled."""
    compilation = Compilation()
    event.register("numba:compile", compilation)
    try:
        yield compilation
    finally:
        event.unregister("numba:compile", compilation)
        compilation.finish()


def rehearse(make: Callable[[], dict[str, Any]], train: Split, test: Split, batch_size: int, augment: str | None) -> None:
    """Train and evaluate on a few batches, the last and smaller one included, and forget the result.

    `make` returns a model, an optimizer and a schedule as arguments of `fit`. KeyboardInterrupt: Ctrl-C was pressed.
    """
    from .training import fit

    few = [split.subset(min(len(split), batch_size + len(split) % batch_size)) for split in (train, test)]
    history = fit(**make(), train=few[0], validation=few[1], epochs=1, batch_size=batch_size, augment=augment,
                  progress=False)
    if history.interrupted:
        raise KeyboardInterrupt
