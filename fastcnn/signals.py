"""Signals that ask a process to end: Ctrl-C, SIGTERM of a scheduler or container, SIGHUP of a terminal that goes away."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

Handler = Callable[[int, Any], Any]
_NUMBERS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class _Taken:
    """A handler in place of the usual one, for this process alone: a forked child ends as it would have without it."""

    def __init__(self, handler: Handler, usual: Any) -> None:
        self.handler, self.usual, self.owner = handler, usual, os.getpid()

    def __call__(self, number: int, frame: Any) -> None:
        if self.owner == os.getpid():
            self.handler(number, frame)
        else:
            signal.signal(number, self.usual)
            signal.raise_signal(number)


@contextlib.contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Inside the `with` block `handler` gets these signals; only in the main thread.

    A program that ignores one of them (nohup) or handles it in a way of its own keeps that.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: usual for number in _NUMBERS if _is_usual(number, usual := signal.getsignal(number))}
    try:
        for number, usual in before.items():
            signal.signal(number, _Taken(handler, usual))
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)


def _is_usual(number: int, handler: Any) -> bool:
    """Whether a signal ends the process: by what Python or the system does, or by `at_once`."""
    if isinstance(handler, _Taken):
        return handler.handler is at_once
    return handler is signal.default_int_handler or (handler is signal.SIG_DFL and number != signal.SIGINT)


def at_once(number: int, frame: Any) -> None:
    """Raise KeyboardInterrupt: the handler for what has nothing to save."""
    raise KeyboardInterrupt
