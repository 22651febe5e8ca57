"""The command line: `fastcnn COMMAND`. numpy and numba are imported when a command runs, not for its help."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import warnings
from argparse import Namespace
from collections.abc import Sequence
from typing import TextIO

from .. import signals, streams
from ..shapes import DTypeError
from .parser import parse
from .usage import UsageError

__all__ = ["UsageError", "main"]

_USAGE, _PROBLEM, _INTERRUPTED = 2, 1, 130
_MODULES = {"train": "train", "evaluate": "use", "predict": "use", "summary": "use", "profile": "use", "plot": "draw",
            "report": "report", "demo": "demo",
            "bench": "check", "verify": "check", "explain": "check", "doctor": "check", "warmup": "check",
            "models": "catalogue", "datasets": "catalogue", "convert": "convert", "export": "exchange",
            "completion": "completion"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when it is done, 1 after a problem, 2 for a wrong command line, 130 when interrupted."""
    atexit.register(gc.freeze)  # or Python, as it ends, searches all that Numba holds for garbage: a tenth of a second
    with streams.lenient(), signals.handled(signals.at_once), warnings.catch_warnings():
        if not _debugging():
            warnings.showwarning = _warn
        code = _run(argv)
        return code if streams.finish() else code or _PROBLEM


def _run(argv: Sequence[str] | None) -> int:
    try:
        return _obeyed(parse(argv))
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else _USAGE
    except KeyboardInterrupt:
        return _say("interrupted", _INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has seen enough
        return _PROBLEM
    except Exception as error:
        if _debugging() or not _is_documented(error):
            raise
        return _say(_one_line(error), _PROBLEM)


def _obeyed(arguments: Namespace) -> int:
    """Run a command; SystemExit: the command line turned out to be wrong."""
    command = getattr(importlib.import_module(f"fastcnn.cli.{_MODULES[arguments.command]}"), arguments.command)
    output = importlib.import_module("fastcnn.cli.output").Output(arguments)
    try:
        return int(command(arguments, output))
    except UsageError as error:
        if not _debugging():
            arguments.parser.error(_one_line(error))
        raise


def _debugging() -> bool:
    return os.environ.get("FASTCNN_DEBUG") == "1"


def _is_documented(error: Exception) -> bool:
    """Whether the error's message is meant for the user; any other is a bug, whose traceback should be seen."""
    if isinstance(error, (ValueError, DTypeError, OSError, ImportError, MemoryError)):
        return True
    return type(error).__name__ in ("NonFiniteError", "MismatchError") and type(error).__module__.startswith("fastcnn.")


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines) or type(error).__name__


def _warn(message: Warning | str, category: type[Warning], filename: str, lineno: int, file: TextIO | None = None,
          line: str | None = None) -> None:
    """Print a warning without the place in the source."""
    streams.note(f"fastcnn: {' '.join(str(message).split())}")


def _say(text: str, code: int) -> int:
    streams.note(f"fastcnn: {text}")
    return code
