"""Compiling ahead: a few steps of training in advance, with a word on what takes so long.

Numba compiles a kernel when it is first called, and the cache keeps it for the next start. A terminal shows a line that
changes with each kernel; without one there is a line at the start and a line at the end.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from numba.core import event

from .data import Split

_CLEAR = "\r\x1b[2K"


class Compilation(event.Listener):
    """Listens to Numba: how many kernels were compiled, in how many seconds; what they call is compiled with them."""

    def __init__(self) -> None:
        """Nothing is compiled yet."""
        self.kernels, self.seconds = 0, 0.0
        self._depth, self._began = 0, 0.0
        self._interactive = sys.stderr.isatty()

    def on_start(self, event: Any) -> None:
        """Say which kernel is compiled now."""
        self._depth += 1
        if self._depth > 1:
            return
        self.kernels += 1
        self._began = time.perf_counter()
        if self._interactive:
            name = event.data["dispatcher"].py_func.__name__
            self._write(f"{_CLEAR}compiling kernels, once on this machine: {self.kernels}, {name} ({self.seconds:.0f} s)")
        elif self.kernels == 1:
            self._write("compiling kernels, once on this machine, for a minute or so ...\n")

    def on_end(self, event: Any) -> None:
        """Add up the time."""
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began

    def print(self, line: str) -> None:
        """Print a line on stdout, where the terminal may show ours."""
        self._clear()
        print(line, flush=True)

    def finish(self) -> None:
        """Say what was done, if anything was."""
        if self.kernels:
            self._clear()
            self._write(f"compiled {self.kernels} kernel{'s' * (self.kernels > 1)} in {self.seconds:.1f} s\n")

    def _clear(self) -> None:
        if self._interactive and self.kernels:
            self._write(_CLEAR)

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
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
    with _interrupted_at_once():
        fit(**make(), train=few[0], validation=few[1], epochs=1, batch_size=batch_size, augment=augment, progress=False)


@contextlib.contextmanager
def _interrupted_at_once() -> Iterator[None]:
    """Inside the `with` block Ctrl-C does not wait for the running batch, as it does in `fit`: there is nothing to save."""
    usual, pressed = signal.getsignal(signal.SIGINT), []
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if pressed:  # the compiler loses an exception that meets it in a callback
        raise KeyboardInterrupt
