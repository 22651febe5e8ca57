"""What commands print: results on stdout, as text for people or as JSON for programs, and all else around them."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
import textwrap
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .. import streams
from ..tables import Table

if TYPE_CHECKING:
    from ..warmup import Compilation

_INDENT = " " * 9  # of what goes on in another line: where values begin in the header of a training


class Output:
    """Prints the results of one command.

    With --json a result is one line of stdout, an object, and notes go to stderr; with --quiet there are no notes and no
    progress.
    """

    def __init__(self, arguments: Namespace) -> None:
        """Take the options."""
        self.as_json, self.quiet = arguments.json, arguments.quiet
        self._clear = _nothing

    @property
    def width(self) -> int | None:
        """Columns of the terminal that gets the results, but the last, None where there is none."""
        return shutil.get_terminal_size().columns - 1 if streams.is_terminal(sys.stdout) else None

    def result(self, record: Mapping[str, Any], text: str | Table) -> None:
        """Print a result: the record as JSON, or the text."""
        if self.as_json:
            self._print(json.dumps(_plain(record), allow_nan=False), sys.stdout)
        else:
            self._print(text.text(self.width) if isinstance(text, Table) else text, sys.stdout)

    def results(self, records: Iterable[Mapping[str, Any]], text: str | Table) -> None:
        """Print the results of a table: a record for each of its rows as JSON, or the table."""
        if self.as_json:
            for record in records:
                self.result(record, "")
        else:
            self.result({}, text)

    def note(self, text: str) -> None:
        """Print a heading, an explanation or a total, each of its lines broken where the terminal ends."""
        if self.quiet:
            return
        lines = text.splitlines() if self.width is None else [part for line in text.splitlines()
                                                              for part in self._broken(line, self.width)]
        self._print("\n".join(lines), sys.stderr if self.as_json else sys.stdout)

    def _broken(self, line: str, width: int) -> list[str]:
        return textwrap.wrap(line, width, subsequent_indent=_INDENT, break_long_words=False, break_on_hyphens=False)

    def _print(self, text: str, stream: Any) -> None:
        self._clear()
        print(text, file=stream, flush=True)

    @contextlib.contextmanager
    def compiling(self) -> Iterator[Compilation]:
        """Inside the `with` block, show on stderr which kernels are compiled."""
        from ..warmup import compiling

        with compiling(silent=self.quiet) as compilation:
            self._clear = compilation.clear
            try:
                yield compilation
            finally:
                self._clear = _nothing


def _nothing() -> None:
    """Where no line of ours is on the terminal."""


def _plain(value: Any) -> Any:
    """Return what JSON knows: numbers of Python, lists, dicts with names, and null where a number is not finite."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inside) for key, inside in value.items()}
    if hasattr(value, "tolist"):  # arrays and numbers of numpy
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(inside) for inside in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
