"""Ctrl-C during training: the first asks for a stop after the running batch, the second stops at once."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any


class Interrupt:
    """Inside the `with` block, `requested` says whether Ctrl-C was pressed; only in the main thread.

    A program that handles the signal in a way of its own keeps it.
    """

    def __init__(self) -> None:
        """Nothing is requested yet."""
        self.requested = False
        self._installed = False

    def __enter__(self) -> Interrupt:
        """Take over the signal."""
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._installed = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give the signal back."""
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: Any) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
