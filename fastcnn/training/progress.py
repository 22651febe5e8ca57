"""What training shows: a bar where stderr is a terminal, else a line per epoch."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .. import streams
from .callbacks import Callback, Record

if TYPE_CHECKING:
    from .loop import Run


def progress_callback() -> Callback:
    """Return the callback that suits stderr."""
    return ProgressBar() if streams.is_terminal(sys.stderr) else ProgressLines()


class ProgressLines(Callback):
    """Prints one line per epoch on stderr."""

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """Print the line."""
        streams.note(_line(run, record))


class ProgressBar(Callback):
    """Shows a bar with loss, accuracy, images per second and the time left, and a line for each finished
    epoch.
    """

    _bar: Any = None

    def on_epoch_begin(self, run: Run) -> None:
        """Open a bar for the epoch."""
        from tqdm import tqdm

        self._bar = tqdm(
            total=len(run.train),
            initial=run.position,
            unit=" images",
            unit_scale=True,
            leave=False,
            desc=f"epoch {run.epoch}/{run.epochs}",
            file=sys.stderr,
            disable=sys.stderr is None,
            dynamic_ncols=True,
        )

    def on_batch_end(self, run: Run) -> None:
        """Move the bar."""
        self._bar.set_postfix_str(f"loss {run.mean_loss:.4f}, accuracy {run.accuracy:.2%}", refresh=False)
        self._bar.update(run.position - self._bar.n)

    def on_epoch_end(self, run: Run, record: Record) -> None:
        """Replace the bar by the epoch's line."""
        self.on_train_end(run)
        streams.note(_line(run, record))

    def on_train_end(self, run: Run) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _line(run: Run, record: Record) -> str:
    parts = [f"loss {record['train_loss']:.4f}, accuracy {record['train_accuracy']:.2%}"]
    if record["test_loss"] is not None:
        parts.append(f"test loss {record['test_loss']:.4f}, accuracy {record['test_accuracy']:.2%}")
    parts.append(f"{record['seconds']:.1f} s, {record['images_per_second']:,.0f} images/s")
    return f"epoch {record['epoch']}/{run.epochs}: " + "; ".join(parts)
