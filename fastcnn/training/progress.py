"""What training shows: a table with a line for each epoch, and a bar within it in terminals and notebooks."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import streams
from .callbacks import Callback, Record
from .history import cells

if TYPE_CHECKING:
    from .loop import Run

_WIDTHS = 8, 8, 8, 8, 7, 8  # of the columns behind the epoch; with a space before each, 58 letters
_USUAL = 80  # columns, where nothing tells
_SHORTEST = 10  # letters of a bar


def progress_callback() -> Callback:
    """Return the callback that suits the place: a notebook, a terminal on stderr, or neither."""
    return ProgressBar() if _in_notebook() or streams.is_terminal(sys.stderr) else ProgressLines()


class ProgressLines(Callback):
    """Prints a table with a line for each epoch, on stderr; in notebooks on stdout, as stderr is for errors there."""

    _begun: bool

    def on_train_begin(self, run: Run) -> None:
        """The head of the table is still to come."""
        self._begun = False

    def on_epoch_begin(self, run: Run) -> None:
        """Print the head of the table before the first epoch."""
        if not self._begun:
            _print("\n".join(_head(run)))
            self._begun = True

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """Print the epoch's line."""
        _print(_aligned(run, [_counted(run, record["epoch"]), *cells(record, run.validation is not None)[1:]]))


class ProgressBar(ProgressLines):
    """Shows also a bar within each epoch, with loss, accuracy, time left and images per second."""

    _bar: Any = None

    def on_epoch_begin(self, run: Run) -> None:
        """Open a bar for the epoch."""
        from tqdm.auto import tqdm

        super().on_epoch_begin(run)
        stream = _stream()
        widget = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)  # as wide as the page
        self._bar = tqdm(total=len(run.train), initial=run.position, desc=_counted(run, run.epoch), leave=False, file=stream,
                         disable=stream is None, ncols=None if widget else _columns(),
                         dynamic_ncols=not _in_notebook(), bar_format=_format(run))

    def on_batch_end(self, run: Run) -> None:
        """Move the bar."""
        self._bar.bar_format = _format(run)
        self._bar.update(run.position - self._bar.n)

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """Replace the bar by the epoch's line."""
        self.on_train_end(run)
        super().on_epoch_end(run, record)

    def on_train_end(self, run: Run) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()


def batch_bar(images: int, shown: bool) -> Any:
    """Return a bar over so many images, which a terminal or a notebook shows where `shown`."""
    from tqdm import tqdm

    visible = shown and (_in_notebook() or streams.is_terminal(sys.stderr))
    return tqdm(total=images, unit="image", leave=False, file=_stream(), disable=not visible)


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def _stream() -> Any:
    return sys.stdout if _in_notebook() else sys.stderr


def _print(text: str) -> None:
    if _in_notebook():
        print(text, flush=True)
    else:
        streams.note(text)


def _columns() -> int:
    """Return the columns of the terminal."""
    try:
        return os.get_terminal_size(_stream().fileno()).columns or _USUAL
    except (AttributeError, OSError, ValueError):  # no terminal, no stream, or one without a descriptor
        return _USUAL


def _counted(run: Run, epoch: int) -> str:
    """Return which of all epochs it is, as wide as its column."""
    return f"{epoch}/{run.epochs}".rjust(_width(run))


def _width(run: Run) -> int:
    """Return the width of the first column, which counts the epochs."""
    return max(len("epoch"), len(f"{run.epochs}/{run.epochs}"))


def _head(run: Run) -> list[str]:
    """Return the two lines above the table."""
    gap, epoch = len(_gap(run)), "epoch".rjust(_width(run))
    test = ("loss", "accuracy") if run.validation is not None else ()
    names = _aligned(run, [epoch, "loss", "accuracy", *test, "seconds", "images/s"])
    pair = sum(_WIDTHS[:2]) + gap
    above = " " * (len(epoch) + gap) + "training".rjust(pair)
    return [above + " " * gap + "validation".rjust(pair) if test else above, names]


def _gap(run: Run) -> str:
    """Return what stands between columns: one space where there is no room for two."""
    return "  " if _width(run) + sum(width + 2 for width in _WIDTHS) < _columns() else " "


def _aligned(run: Run, values: Sequence[str]) -> str:
    widths = _WIDTHS if run.validation is not None else _WIDTHS[2:]
    return _gap(run).join([values[0], *(value.rjust(width) for value, width in zip(values[1:], widths, strict=True))])


def _format(run: Run) -> str:
    """Return the bar with as many words behind it as leave it room, in the form that tqdm takes."""
    if not run.position:
        return "{desc} {percentage:3.0f}%|{bar}|"
    rate = run.position / max(run.seconds, 1e-9)
    words = [f"loss {run.mean_loss:.4g}", f"accuracy {run.accuracy:.2%}", "{remaining} left", f"{rate:,.0f}/s"]
    room = _columns() - _width(run) - len(" 100%|| ") - _SHORTEST - 1
    while len("  ".join(words).replace("{remaining}", "00:00")) > room and len(words) > 1:
        words.pop()
    return "{desc} {percentage:3.0f}%|{bar}| " + "  ".join(words)
