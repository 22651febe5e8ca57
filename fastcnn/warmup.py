"""Compiling ahead: a few steps of training in advance, with a word on what takes so long.

Numba compiles a kernel when it is first called, and the cache keeps it for the next start. A terminal shows a line that
changes with each kernel; without one there is a line at the start and a line at the end.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from . import signals, streams
from .data import Split
from .kernels.jit.ahead import compile_ahead, noted_launches
from .kernels.jit.internals import event
from .kernels.jit.notice import notice
from .runtime import buffers

_CLEAR = "\r\x1b[2K"


class Compilation(event.Listener):  # type: ignore[misc]
    """Listens to Numba: how many kernels were compiled, in how many seconds; what they call is compiled with them."""

    def __init__(self, silent: bool = False) -> None:
        """Nothing is compiled yet, and nothing will be said of it where `silent`."""
        self.kernels, self.seconds, self.silent = 0, 0.0, silent
        self._depth, self._began = 0, 0.0
        self.interrupted = False
        self._interactive = streams.is_terminal(sys.stderr)

    def interrupt(self, number: int, frame: Any) -> None:
        """End at once: raise KeyboardInterrupt."""
        self.interrupted = True
        raise KeyboardInterrupt

    def end_if_interrupted(self) -> None:
        """Raise KeyboardInterrupt again: the compiler loses an exception that meets it in a callback."""
        if self.interrupted:
            raise KeyboardInterrupt

    def on_start(self, event: Any) -> None:
        """Say which kernel is compiled now."""
        self.end_if_interrupted()
        self._depth += 1
        if self._depth > 1:
            return
        self.kernels += 1
        self._began = time.perf_counter()
        if self._interactive:
            name = event.data["dispatcher"].py_func.__name__
            self._note(f"{_CLEAR}compiling kernels, once on this machine: {self.kernels}, {name} ({self.seconds:.0f} s)",
                         end="")
        elif self.kernels == 1:
            self._note("compiling kernels, once on this machine, for a minute or so ...")

    def on_end(self, event: Any) -> None:
        """Add up the time."""
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began

    def finish(self) -> None:
        """Say what was done, if anything was."""
        if self.kernels:
            self.clear()
            self._note(f"compiled {self.kernels} kernel{'s' * (self.kernels > 1)} in {self.seconds:.1f} s")

    def clear(self) -> None:
        """Take our line off the terminal, so that another can be printed there."""
        if self._interactive and self.kernels:
            self._note(_CLEAR, end="")

    def _note(self, text: str, end: str = "\n") -> None:
        if not self.silent:
            streams.note(text, end)


@contextlib.contextmanager
def compiling(silent: bool = False) -> Iterator[Compilation]:
    """Inside the `with` block, count the kernels that are compiled and, unless `silent`, show them on stderr.

    It ends at once when a signal asks for it: a `fit` inside does not wait for the running batch, as there is nothing to
    save. KeyboardInterrupt: a signal came.
    """
    compilation, notice.written = Compilation(silent), True  # which tells more
    event.register("numba:compile", compilation)
    try:
        with signals.handled(compilation.interrupt), _quiet_interruptions():
            yield compilation
        compilation.end_if_interrupted()
    finally:
        event.unregister("numba:compile", compilation)
        compilation.finish()


@contextlib.contextmanager
def _quiet_interruptions() -> Iterator[None]:
    """Inside the `with` block, a KeyboardInterrupt that a callback loses prints no traceback."""
    usual = sys.unraisablehook
    sys.unraisablehook = lambda lost: None if isinstance(lost.exc_value, KeyboardInterrupt) else usual(lost)
    try:
        yield
    finally:
        sys.unraisablehook = usual


def rehearse(make: Callable[[], dict[str, Any]], train: Split, test: Split, batch_size: int, augment: str | None) -> int:
    """Train and evaluate on a few batches, the last and smaller one included, and forget the result.

    `make` returns a model, an optimizer and a schedule as arguments of `fit`. All that is launched is compiled before, in as
    many processes as there are cores; return how many kernels others than this one compiled.
    """
    from .training import fit

    few = [split.subset(min(len(split), batch_size + len(split) % batch_size)) for split in (train, test)]

    def work() -> None:
        fit(**make(), train=few[0], validation=few[1], epochs=1, batch_size=batch_size, augment=augment, progress=False)

    # Where nothing is computed a step may fail, by numbers that were never written: what follows is compiled when it is
    # launched, and what is wrong in earnest fails again below.
    with contextlib.suppress(Exception), buffers.rehearsal(), noted_launches() as jobs:
        work()
    others = compile_ahead(jobs)
    work()
    return others
