"""What training shows in terminals of several widths, in notebooks, and where neither is."""

import fcntl
import os
import pty
import re
import struct
import sys
import termios
import threading
import time
from types import SimpleNamespace

import pytest

import fastcnn
from fastcnn import data, models
from fastcnn.training import progress

DIGITS = data.load("digits")
ROW = r" *\d+/\d+ +\d\.\d{4} +\d+\.\d\d% +\d\.\d{4} +\d+\.\d\d% +\d+\.\d +[\d,]+"


class OneEpoch(fastcnn.training.Callback):
    def on_epoch_end(self, run, record):
        run.stop = True


class Slow(fastcnn.training.Callback):
    """Takes so long for a batch that the bar, which is drawn every tenth of a second, is drawn within the epoch."""

    def on_batch_end(self, run):
        time.sleep(0.06)


def train(**options):
    fastcnn.manual_seed(0)
    few = {"validation": DIGITS.test.subset(64), "epochs": 2, "batch_size": 32}
    return fastcnn.fit(models.create("strided_cnn", (8, 8, 1), 10), DIGITS.train.subset(256), **few | options)


def shown_in_a_terminal(monkeypatch, columns, **options):
    """What a terminal of so many columns gets."""
    reader, writer = pty.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    seen = []
    watcher = threading.Thread(target=lambda: seen.extend(iter(lambda: read(reader), b"")))
    watcher.start()
    with open(writer, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        train(**options)
    watcher.join()
    os.close(reader)
    return b"".join(seen).decode()


def read(terminal):
    """The next bytes, none where the terminal is closed, which Linux tells by an error."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def lines_of(text):
    """Every line that was on the screen for a time, also those that were written over."""
    return [line.rstrip() for part in text.split("\n") for line in part.split("\r") if line.strip()]


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("epochs", [2, 100])
def test_all_fits_the_columns_of_the_terminal(columns, epochs, monkeypatch):
    lines = lines_of(shown_in_a_terminal(monkeypatch, columns, epochs=epochs, callbacks=[OneEpoch()]))
    assert max(map(len, lines)) <= columns
    bars = [line for line in lines if "|" in line]
    assert bars and all(len(re.search(r"\|(.*)\|", bar)[1]) >= 10 for bar in bars)
    table = [line for line in lines if line not in bars]
    assert len(table[0]) < len(table[1]) and len({len(line) for line in table[1:]}) == 1, "they end in different columns"
    assert table[1].split() == ["epoch", "loss", "accuracy", "loss", "accuracy", "seconds", "images/s"]
    assert re.fullmatch(ROW, table[2])


def test_the_bar_tells_loss_accuracy_time_and_rate(monkeypatch):
    text = shown_in_a_terminal(monkeypatch, 120, epochs=1, callbacks=[Slow()])
    bars = [line for line in lines_of(text) if "|" in line]
    assert any(re.search(r"\| loss [\d.]+  accuracy \d+\.\d\d%  \S+ left  [\d,]+/s$", bar) for bar in bars)


def test_large_losses_keep_the_columns(capsys):
    run = SimpleNamespace(epochs=1000, validation=DIGITS)
    record = {"epoch": 7, "train_loss": 1234567.8, "train_accuracy": 1.0, "test_loss": 0.5, "test_accuracy": 1.0,
              "seconds": 99999.9, "images_per_second": 9999999.0}
    progress.ProgressLines().on_epoch_end(run, record)
    assert len(capsys.readouterr().err.rstrip()) <= 80


def test_the_table_as_it_is_read(capsys):
    run = SimpleNamespace(epochs=12, validation=DIGITS)
    table = progress.ProgressLines()
    table.on_train_begin(run)
    table.on_epoch_begin(run)
    record = {"epoch": 3, "train_loss": 0.51234, "train_accuracy": 0.875, "test_loss": 12.5, "test_accuracy": 1.0,
              "seconds": 3.21, "images_per_second": 12345.6}
    table.on_epoch_end(run, record)
    assert capsys.readouterr().err.splitlines() == [
        "                 training          validation",
        "epoch      loss  accuracy      loss  accuracy  seconds  images/s",
        " 3/12    0.5123    87.50%   12.5000   100.00%      3.2    12,346"]


def test_without_a_terminal_there_are_plain_lines_on_stderr(capsys):
    train()
    out, err = capsys.readouterr()
    assert out == "" and "\r" not in err and "|" not in err
    above, head, *rows = err.splitlines()
    assert above.split() == ["training", "validation"] and head.split()[0] == "epoch"
    assert len(rows) == 2 and all(re.fullmatch(ROW, row) for row in rows)


def test_without_validation_there_are_fewer_columns(capsys):
    train(validation=None)
    above, head, *rows = capsys.readouterr().err.splitlines()
    assert above.split() == ["training"] and head.split() == ["epoch", "loss", "accuracy", "seconds", "images/s"]
    assert len(rows) == 2 and {len(line) for line in rows} == {len(head)}


def test_notebooks_get_a_bar_and_lines_on_stdout(monkeypatch, capsys):
    kernel = SimpleNamespace(get_ipython=lambda: SimpleNamespace(config={"IPKernelApp": {}}))
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    train()
    out, err = capsys.readouterr()
    assert err == "" and "\r" in out and "%|" in out
    assert sum(bool(re.fullmatch(ROW, line)) for line in lines_of(out)) == 2


def test_a_program_with_ipython_but_no_notebook_is_none(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    train()
    assert capsys.readouterr().out == ""


def test_progress_can_be_silent(capsys):
    train(progress=False)
    assert capsys.readouterr() == ("", "")
