"""The standard streams as they come: a terminal, a file, closed by a reader, in any encoding, or not there at all.

Programs without a console (pythonw, services, `>&-`) have None in place of a stream.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any


def is_terminal(stream: Any) -> bool:
    """Whether the stream is there and shows a terminal; one that cannot tell shows none."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # None, a stand-in of a program's own, or closed
        return False


def note(text: str, end: str = "\n") -> None:
    """Write a note to stderr; where nobody can read it, that is no reason to stop what it is about."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # the reader or the terminal is gone; the stream is closed
            sys.stderr.write(text + end)
            sys.stderr.flush()


@contextlib.contextmanager
def lenient() -> Iterator[None]:
    """Inside the `with` block, both streams are there and take any text, by escapes where their encoding has no letter."""
    _occupy_descriptors()
    with contextlib.ExitStack() as stack:
        if sys.stdout is None:
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(_sink())))
        if sys.stderr is None:
            stack.enter_context(contextlib.redirect_stderr(stack.enter_context(_sink())))
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
                stack.callback(_with_errors, stream, stream.errors)
                _with_errors(stream, "backslashreplace")
        yield


def _occupy_descriptors() -> None:
    """Open what is closed of 0, 1 and 2: a file that got such a number would receive what compiled code has to say."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _sink() -> Any:
    """Return a stream that goes nowhere."""
    return open(os.devnull, "w", encoding="utf-8")


def _with_errors(stream: io.TextIOWrapper, errors: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.reconfigure(errors=errors)


def finish() -> bool:
    """Write out what stdout and stderr still hold; false where a reader is gone, and then the rest goes nowhere."""
    complete = _flushed(sys.stdout)
    return _flushed(sys.stderr) and complete


def _flushed(stream: Any) -> bool:
    try:
        stream.flush()
    except (AttributeError, ValueError):
        return True
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True
