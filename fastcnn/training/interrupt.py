"""Ctrl-C, SIGTERM and SIGHUP in a training: the first asks for a stop after the running batch, the second stops at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .. import signals


class StoppedError(Exception):
    """A stop was requested in the middle of a validation."""


class Interrupt:
    """Whether a stop was requested: `requested`."""

    def __init__(self) -> None:
        """Nothing is requested yet."""
        self.requested = False

    def note(self, number: int, frame: Any) -> None:
        """Request a stop; KeyboardInterrupt: it was requested before."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def check(self) -> None:
        """Raise StoppedError where a stop was requested."""
        if self.requested:
            raise StoppedError


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Inside the `with` block, signals that would end the process request a stop."""
    interrupt = Interrupt()
    with signals.handled(interrupt.note):
        yield interrupt
