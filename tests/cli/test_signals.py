"""What surrounds a process: signals that ask it to end, streams that are not there, encodings, no home folder."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastcnn
from fastcnn import data, doctor, nn, signals, streams, warmup
from fastcnn.cli import catalogue, main
from fastcnn.data import sources
from fastcnn.kernels import folders
from fastcnn.kernels.jit import cache
from fastcnn.training import Callback, Checkpoint, load_checkpoint
from fastcnn.training.progress import ProgressBar, ProgressLines, progress_callback

DIGITS = data.load("digits")
TRAIN = DIGITS.train.subset(48)
NUMBERS = [number for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)) if number is not None]
each_signal = pytest.mark.parametrize("number", NUMBERS, ids=lambda number: signal.Signals(number).name)


@pytest.fixture(autouse=True)
def usual_handlers():
    """Whatever surrounds the tests, here signals do what they do in a new process."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    for number in NUMBERS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    usual = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    assert {number: signal.getsignal(number) for number in NUMBERS} == usual, "handlers were not given back"
    for number, handler in before.items():
        signal.signal(number, handler)


class Sender(Callback):
    """Sends a signal to this process after some steps."""

    def __init__(self, number, *steps):
        self.number, self.steps = number, steps

    def on_batch_end(self, run):
        if run.step in self.steps:
            signal.raise_signal(self.number)


def network():
    nn.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def train(model, *callbacks, **options):
    given = {"epochs": 3, "batch_size": 16, "progress": False, "callbacks": callbacks}
    return fastcnn.fit(model, TRAIN, **{**given, **options})


# Signals


@each_signal
def test_a_signal_ends_training_after_the_batch_and_keeps_it(tmp_path, number):
    whole, model = network(), network()
    train(whole)
    history = train(model, Checkpoint(tmp_path), Sender(number, 4))
    assert history.interrupted and load_checkpoint(tmp_path)["step"] == 4
    history = train(model, Checkpoint(tmp_path), resume=tmp_path)
    assert not history.interrupted
    assert all(np.array_equal(array, whole.state_dict()[name]) for name, array in model.state_dict().items())


@each_signal
def test_the_second_signal_ends_at_once(number):
    class Twice(Callback):
        def on_batch_end(self, run):
            signal.raise_signal(number)
            signal.raise_signal(number)
            pytest.fail("the second signal was ignored")

    with pytest.raises(KeyboardInterrupt):
        train(network(), Twice())


def test_a_signal_ends_a_validation_which_a_resumed_run_repeats(tmp_path):
    class Counting(nn.Flatten):
        """Counts batches, and sends a signal with one of them: 3 batches train, the others are of the validation."""

        count, last = 0, 0

        def forward(self, x):
            self.count += 1
            if self.count == self.last:
                signal.raise_signal(signal.SIGTERM)
            return super().forward(x)

    def run(last, **options):
        nn.manual_seed(0)
        layer = Counting()
        layer.last = last
        model = nn.Sequential(layer, nn.Linear(64, 10))
        history = train(model, Checkpoint(tmp_path), epochs=2, validation=DIGITS.test.subset(160), **options)
        return layer.count, history, model

    batches, _, whole = run(0)
    epoch = batches // 2  # batches of training and validation
    assert epoch >= 13
    count, history, _ = run(epoch + 6)
    assert count == epoch + 6 and history.interrupted and len(history) == 1, "no batch after the signal"
    state = load_checkpoint(tmp_path)
    assert (state["epoch"], state["position"]) == (2, 48)
    _, history, model = run(0, resume=tmp_path)
    assert len(history) == 2 and not history.interrupted and history[1]["test_loss"] is not None
    assert all(np.array_equal(array, whole.state_dict()[name]) for name, array in model.state_dict().items())


@each_signal
@pytest.mark.parametrize("handler", ["own", "ignored"])
def test_a_program_keeps_its_own_handling(number, handler):
    came = []
    before = signal.signal(number, signal.SIG_IGN if handler == "ignored" else lambda *arguments: came.append(number))
    try:
        history = train(network(), Sender(number, 2))
    finally:
        signal.signal(number, before)
    assert not history.interrupted and len(history) == 3 and came == ([] if handler == "ignored" else [number])


def test_sigint_that_kills_as_the_system_has_it_is_kept():
    """Programs with a window set it so."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        with signals.handled(signals.at_once):
            assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_nothing_is_taken_over():
    seen = []

    def work():
        with signals.handled(signals.at_once):
            seen.extend(signal.getsignal(number) for number in NUMBERS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(number) for number in NUMBERS]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_ends_as_if_nothing_had_been_taken_over():
    """A pool of processes that is used during training ends its workers with SIGTERM."""
    with signals.handled(lambda number, frame: None):
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                signal.raise_signal(signal.SIGTERM)
            os._exit(0)
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM


@each_signal
def test_every_command_ends_with_one_line(capsys, monkeypatch, number):
    monkeypatch.setattr(catalogue, "models", lambda arguments, output: signal.raise_signal(number))
    assert main(["models"]) == 130
    assert capsys.readouterr() == ("", "fastcnn: interrupted\n")


@each_signal
def test_train_says_how_to_go_on(tmp_path, capsys, monkeypatch, number):
    from fastcnn.cli import train as command

    usual, out = command._callbacks, tmp_path / "run"
    monkeypatch.setattr(command, "_callbacks", lambda *arguments: [Sender(number, 2), *usual(*arguments)])
    words = ["train", "digits", "--model", "smallcnn", "--epochs", "1", "--batch-size", "512", "--out", str(out)]
    assert main(words) == 130
    assert f"go on with: fastcnn train digits --out {out} --resume" in capsys.readouterr().err
    monkeypatch.undo()
    assert main([*words, "--resume"]) == 0 and (out / "model.safetensors").is_file()


@each_signal
def test_a_signal_that_the_compiler_loses_ends_the_command_nevertheless(number):
    with pytest.raises(KeyboardInterrupt), warmup.compiling():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        train(network(), epochs=1)
    with pytest.raises(KeyboardInterrupt), warmup.compiling() as compilation:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        compilation.on_start(None)
        pytest.fail("one more kernel was compiled")


FOREVER = [sys.executable, "-m", "fastcnn", "train", "digits", "--model", "smallcnn", "--epochs", "1000", "--out"]


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
def test_a_process_that_trains_is_asked_to_end(tmp_path):
    with subprocess.Popen([*FOREVER, tmp_path], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr:
            if line.lstrip().startswith("1/1000 "):
                break
        process.send_signal(signal.SIGTERM)
        last = process.stderr.read().splitlines()[-1]
        assert process.wait() == 130 and last.startswith("interrupted in epoch")
    assert load_checkpoint(tmp_path)["epoch"] >= 2


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_terminal_that_goes_away(tmp_path):
    """SIGHUP comes, and whatever is said then is an error of the system."""
    pty = pytest.importorskip("pty")
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [*FOREVER, tmp_path])
    shown = b""
    while b" 2/1000 " not in shown:
        shown += os.read(terminal, 1000)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status) and os.WEXITSTATUS(status) == 130
    assert load_checkpoint(tmp_path)["epoch"] >= 2 and (tmp_path / "model.safetensors").is_file()


# Streams


class Simple:
    """A stand-in for a stream, as programs without a console make it."""

    def __init__(self):
        self.text = ""

    def write(self, text):
        self.text += text

    def flush(self):
        pass


class Gone(Simple):
    def write(self, text):
        raise OSError("the terminal is gone")


@pytest.mark.parametrize("stream", [None, Simple(), Gone(), io.StringIO()], ids=["none", "simple", "gone", "text"])
@pytest.mark.parametrize("callback", [progress_callback, ProgressBar, ProgressLines])
def test_training_goes_on_without_a_stream(monkeypatch, stream, callback):
    if callback is ProgressBar and isinstance(stream, Gone):
        pytest.skip("a bar is for a terminal that is there")
    monkeypatch.setattr(sys, "stderr", stream)
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    assert len(train(network(), callback(), progress=True)) == 3
    assert out.getvalue() == "", "what belongs to stderr goes nowhere else"


def test_a_closed_stream_shows_no_terminal():
    stream = io.StringIO()
    stream.close()
    assert not streams.is_terminal(stream)


@pytest.mark.parametrize("missing", [("stdout",), ("stderr",), ("stdout", "stderr")], ids=" and ".join)
def test_commands_run_without_streams(monkeypatch, capsys, missing):
    for name in missing:
        monkeypatch.setattr(sys, name, None)
    assert main(["models"]) == 0
    assert main(["evaluate", "nothing.safetensors", "digits"]) == 1
    assert main(["train"]) == 2
    assert [getattr(sys, name) for name in missing] == [None] * len(missing)
    out, err = capsys.readouterr()
    assert ("stdout" in missing or "smallcnn" in out) and "nothing.safetensors" not in out
    assert "stderr" in missing or "nothing.safetensors" in err


CLOSED = """
import os, sys
os.closerange(0, 3)
os.execv(sys.executable, [sys.executable, "-m", "fastcnn", *sys.argv[1:]])
"""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
def test_a_run_with_closed_descriptors(tmp_path):
    out = tmp_path / "run"
    words = ["train", "digits", "--model", "smallcnn", "--epochs", "1", "--batch-size", "512", "--out", str(out)]
    assert subprocess.run([sys.executable, "-c", CLOSED, *words], check=False, cwd=tmp_path).returncode == 0
    assert fastcnn.load(out / "model.safetensors").origin.name == "smallcnn"


WORDS = "größe 数字 \udcff"  # the last is how Python shows a byte of a file's name that is no text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp949", "utf-8"])
def test_what_an_encoding_lacks_is_shown_by_escapes(monkeypatch, encoding):
    raw = {"stdout": io.BytesIO(), "stderr": io.BytesIO()}
    for name, buffer in raw.items():
        monkeypatch.setattr(sys, name, io.TextIOWrapper(buffer, encoding=encoding, errors="strict"))
    monkeypatch.setattr(catalogue, "models", lambda arguments, output: print(WORDS) or 0)
    assert main(["models"]) == 0
    assert main(["evaluate", f"{WORDS}.safetensors", "digits"]) == 1
    expected = WORDS.encode(encoding, "backslashreplace")
    assert raw["stdout"].getvalue().strip() == expected and expected in raw["stderr"].getvalue()
    assert raw["stderr"].getvalue().count(b"\n") == 1 and sys.stdout.errors == sys.stderr.errors == "strict"


def test_a_run_whose_folder_the_encoding_lacks(tmp_path, monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict"))
    out = tmp_path / "größe 数字"
    assert main(["train", "digits", "--model", "smallcnn", "--epochs", "1", "--batch-size", "512", "--out", str(out)]) == 0
    sys.stdout.flush()
    assert b"gr\\xf6\\xdfe \\u6570\\u5b57" in sys.stdout.buffer.getvalue()
    assert (out / "model.safetensors").is_file()


# No home


@pytest.fixture(params=["unset", "empty", "relative"])
def homeless(request, monkeypatch):
    """No HOME that could be used, and a user that the system does not know."""

    def nobody(*arguments):
        raise KeyError("no such user")

    pwd = pytest.importorskip("pwd")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setattr(pwd, "getpwnam", nobody)
    for name in ("HOME", "XDG_CACHE_HOME", "FASTCNN_CACHE", "FASTCNN_DATA"):
        monkeypatch.delenv(name, raising=False)
    if request.param != "unset":
        monkeypatch.setenv("HOME", "" if request.param == "empty" else "some/place")


def test_without_a_home_there_is_no_cache_folder_or_a_full_path(homeless):
    place = folders.cache()
    assert place is None or place.is_absolute()


@pytest.fixture
def no_cache(monkeypatch):
    monkeypatch.setattr(folders, "cache", lambda: None)
    monkeypatch.delenv("FASTCNN_DATA", raising=False)
    cache.folder.cache_clear()
    cache.is_private.cache_clear()
    yield
    cache.folder.cache_clear()
    cache.is_private.cache_clear()


def test_without_a_cache_folder_data_sets_are_where_one_says(no_cache, tmp_path, capsys, monkeypatch):
    assert len(data.load("digits").train) == len(DIGITS.train)
    with pytest.raises(FileNotFoundError, match="set FASTCNN_CACHE to a folder"):
        data.load("mnist")
    assert sources.base_folder(tmp_path) == tmp_path
    monkeypatch.setenv("FASTCNN_DATA", str(tmp_path))
    assert sources.base_folder(None) == tmp_path
    monkeypatch.delenv("FASTCNN_DATA")
    assert main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert "BROKEN: there is no cache folder" in out and "there is no folder for the others" in out and not err
    assert not cache.is_private()


def test_a_cache_folder_of_ones_own_holds_data_too(homeless, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTCNN_CACHE", str(tmp_path))
    assert folders.cache() == tmp_path and sources.base_folder(None) == tmp_path / "data"
    with pytest.raises(FileNotFoundError, match="data/mnist"):
        data.load("mnist", download=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FASTCNN_CACHE", "here")
    assert folders.cache() == tmp_path / "here"


def test_a_tilde_without_a_home_is_a_folder_that_is_not_there(homeless, monkeypatch):
    with pytest.raises(FileNotFoundError):
        data.load("mnist", root="~nobody-of-that-name/data", download=False)


HOMELESS = """
import pwd
def nobody(*arguments):
    raise KeyError("no such user")
pwd.getpwuid = pwd.getpwnam = nobody
import numpy as np
from fastcnn import data, functional, nn
from fastcnn.kernels.jit import cache
assert cache.folder() is None and not cache.is_private()
print(functional.relu(np.float32([[-1, 2]])), len(data.load("digits").test))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
def test_a_process_without_a_home_compiles_anew(tmp_path):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("HOME", "XDG_CACHE_HOME", "FASTCNN_CACHE", "FASTCNN_DATA")}
    done = subprocess.run([sys.executable, "-c", HOMELESS], capture_output=True, text=True, env=environment, check=False,
                          cwd=tmp_path)
    assert done.stdout == "[[0. 2.]] 355\n", done.stderr
    assert not list(tmp_path.iterdir())


def test_a_doctor_that_may_not_change_a_folder_says_so(tmp_path, monkeypatch):
    """A folder of ours in a read-only file system."""
    monkeypatch.setenv("FASTCNN_CACHE", str(tmp_path))
    cache.folder.cache_clear()
    cache.is_private.cache_clear()
    cache.folder().mkdir(parents=True, mode=0o755)
    cache.folder().chmod(0o755)

    def refused(*arguments, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "chmod", refused)
    try:
        assert not cache.is_private()
        assert [finding.broken for finding in doctor._cache()] == [True]
    finally:
        cache.folder.cache_clear()
        cache.is_private.cache_clear()


def test_temporary_files_of_killed_compilers_are_swept(tmp_path):
    for name, age in (("kernel.nbi.tmp.1", 2 * cache._ABANDONED), ("kernel.nbi.tmp.2", 1), ("other.nbi.tmp.3", 2 * 3600)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    cache._CheckedFile(str(tmp_path), "kernel", "").save("float32", "code")
    assert {path.name for path in tmp_path.glob("*.tmp.*")} == {"kernel.nbi.tmp.2", "other.nbi.tmp.3"}
