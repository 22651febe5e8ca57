"""What is written is whole or as it was before: links, modes, special files, full disks, several writers, killed writers."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastcnn
from fastcnn import data, models, nn, plot
from fastcnn.cli import main
from fastcnn.shapes import CheckpointError
from fastcnn.training import Checkpoint, CSVLogger, JSONLogger, load_checkpoint, writing
from fastcnn.training.checkpoint import checkpoints
from fastcnn.training.history import KEYS
from fastcnn.training.writing import append, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")
OLD, NEW = b"old " * 1000, b"new " * 2000
RECORD = dict.fromkeys(KEYS, 0.5) | {"epoch": 1}
TRAIN = data.load("digits").train.subset(48)


# The writer without the rest of the package, which takes a second to import.
ALONE = f"import sys; sys.path.insert(0, {os.path.dirname(writing.__file__)!r}); from writing import write_atomically\n"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


# As open does


@posix
def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path, umask):
    write_atomically(tmp_path / "file", NEW)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@posix
@pytest.mark.parametrize("mode", [0o600, 0o666, 0o755])
def test_an_old_file_keeps_its_mode(tmp_path, umask, mode):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    path.chmod(mode)
    write_atomically(path, NEW)
    assert path.read_bytes() == NEW and stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, to have a file of another user")
def test_an_old_file_keeps_its_owner(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    os.chown(path, 1234, 4321)
    write_atomically(path, NEW)
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


@posix
@pytest.mark.parametrize("present", [True, False], ids=["a file", "nothing"])
def test_the_target_of_links_is_written(tmp_path, present):
    (tmp_path / "far").mkdir()
    target = tmp_path / "far" / "file"
    if present:
        target.write_bytes(OLD)
    (tmp_path / "far" / "second").symlink_to("file")
    (tmp_path / "first").symlink_to(Path("far", "second"))
    write_atomically(tmp_path / "first", NEW)
    assert target.read_bytes() == NEW and not target.is_symlink()
    assert (tmp_path / "first").is_symlink() and (tmp_path / "far" / "second").is_symlink()
    assert names(tmp_path) == ["far", "first"] and names(tmp_path / "far") == ["file", "second"]


@posix
def test_links_in_a_circle_are_an_error(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(OSError, match="one") as caught:
        write_atomically(tmp_path / "one", NEW)
    assert caught.value.errno == errno.ELOOP and names(tmp_path) == ["one", "two"]


@posix
def test_all_names_of_a_file_show_the_new_content(tmp_path):
    (tmp_path / "one").write_bytes(OLD)
    os.link(tmp_path / "one", tmp_path / "two")
    write_atomically(tmp_path / "one", NEW)
    assert (tmp_path / "two").read_bytes() == NEW


@posix
def test_a_pipe_is_written_to(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    received = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()), daemon=True)
    reader.start()
    write_atomically(path, NEW)
    reader.join(30)
    assert received == [NEW] and stat.S_ISFIFO(path.stat().st_mode) and names(tmp_path) == ["pipe"]



def device(folder, minor):
    """A device of its own, where that is allowed: a writer that is wrong would replace the system's."""
    path = folder / "device"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        with open(path, "rb"):
            pass
    except OSError as error:
        pytest.skip(f"no devices here: {error}")
    return path


@posix
def test_a_device_is_written_to(tmp_path):
    null = device(tmp_path, minor=3)
    write_atomically(null, NEW)
    assert stat.S_ISCHR(null.stat().st_mode)


@posix
def test_a_full_device_is_one_error(tmp_path):
    full = device(tmp_path, minor=7)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(full, NEW)
    assert caught.value.filename == os.fspath(full) and stat.S_ISCHR(full.stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize("where", ["a file", "a pipe"])
def test_standard_output_is_written_to(tmp_path, where):
    command = [sys.executable, "-c", ALONE + "write_atomically(sys.argv[1], b'new'); print('later')", "/proc/self/fd/1"]
    if where == "a pipe":
        assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b"newlater\n"
        return
    with open(tmp_path / "out", "ab") as out:
        subprocess.run(command, stdout=out, check=True)
    assert (tmp_path / "out").read_bytes() == b"newlater\n" and names(tmp_path) == ["out"]


@posix
def test_a_file_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    """Root may write to any: what the system says is played."""
    path, usual = tmp_path / "file", os.open
    path.write_bytes(OLD)

    def refusing(name, flags, *mode, **options):
        if Path(name) == path and flags & os.O_WRONLY:
            raise PermissionError(errno.EACCES, "Permission denied", str(name))
        return usual(name, flags, *mode, **options)

    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(PermissionError):
        write_atomically(path, NEW)
    assert path.read_bytes() == OLD and names(tmp_path) == ["file"]


@posix
@pytest.mark.parametrize(("call", "number"), [("open", errno.EACCES), ("open", errno.EROFS), ("replace", errno.EBUSY)],
                         ids=["folder of another user", "read-only folder", "mounted file"])
def test_a_writable_file_is_written_where_its_folder_is_not(tmp_path, monkeypatch, call, number):
    path, usual = tmp_path / "file", getattr(os, call)
    path.write_bytes(OLD)

    def refusing(name, *arguments, **options):
        if Path(name) not in (path, tmp_path):
            raise OSError(number, os.strerror(number), str(name))
        return usual(name, *arguments, **options)

    monkeypatch.setattr(os, call, refusing)
    write_atomically(path, NEW)
    assert path.read_bytes() == NEW and names(tmp_path) == ["file"]
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        write_atomically(tmp_path / "other", NEW)
    assert caught.value.filename == str(tmp_path / "other")


@posix
def test_a_folder_and_a_socket_are_refused(tmp_path):
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path, NEW)
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))  # a short path: a socket's has 107 letters at most
        with pytest.raises(OSError, match="socket"):
            write_atomically(tmp_path / "socket", NEW)


def test_a_name_of_the_greatest_length(tmp_path):
    path = tmp_path / ("m" * 255)
    try:
        path.write_bytes(OLD)
    except OSError:
        pytest.skip("names are shorter here")
    write_atomically(path, NEW)
    assert path.read_bytes() == NEW


# Failures


def failing(number, after=0):
    """Return a function that fails from its call number `after` on, and does nothing before."""
    calls = []

    def fail(*arguments, **options):
        calls.append(arguments)
        if len(calls) > after:
            raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("present", [True, False], ids=["a file", "nothing"])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, call, number, present):
    path = tmp_path / "file"
    if present:
        path.write_bytes(OLD)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(number))
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            write_atomically(path, NEW)
    assert caught.value.filename == str(path)
    assert names(tmp_path) == (["file"] if present else []) and (not present or path.read_bytes() == OLD)


@pytest.mark.parametrize("most", [1, 3, 5])
def test_a_system_that_takes_a_part_at_a_time_gets_all(most, tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:most]))
    path = tmp_path / "file"
    write_atomically(path, b"0123456789")
    append(path, b"abcdef")
    assert path.read_bytes() == b"0123456789abcdef"


def test_a_disk_that_fills_up_in_the_middle(tmp_path, monkeypatch):
    path, usual = tmp_path / "file", os.write
    path.write_bytes(OLD)
    room = [5000]

    def little(descriptor, content):
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = usual(descriptor, content[: room[0]])
        room[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", little)
        for function in (write_atomically, append):
            room[0] = 5000
            with pytest.raises(OSError, match="No space left"):
                function(path, NEW)
            assert path.read_bytes() == OLD and names(tmp_path) == ["file"]
    append(path, NEW)
    assert path.read_bytes() == OLD + NEW


@pytest.mark.parametrize("call", ["write", "fsync"])
def test_a_failed_line_is_taken_back(tmp_path, monkeypatch, call):
    path, logger = tmp_path / "log.jsonl", JSONLogger(tmp_path / "log.jsonl")
    run = SimpleNamespace(history=[RECORD])
    logger.on_train_begin(run)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.EIO))
        with pytest.raises(OSError, match=r"log\.jsonl"):
            logger.on_epoch_end(run, RECORD)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [RECORD]
    logger.on_epoch_end(run, RECORD)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [RECORD] * 2


LIMITED = """
import resource, sys
from pathlib import Path
import fastcnn
from fastcnn import data, nn
from fastcnn.training import Checkpoint, CSVLogger

folder = Path(sys.argv[1])
train = data.load("digits").train.subset(48)
nn.manual_seed(0)
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
callbacks = [CSVLogger(folder / "log.csv"), Checkpoint(folder)]
fastcnn.fit(model, train, epochs=1, batch_size=16, callbacks=callbacks, progress=False)
fastcnn.save(model, folder / "model.safetensors")
before = {path.name: path.read_bytes() for path in folder.iterdir()}
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
options = {"epochs": 2, "batch_size": 16, "callbacks": callbacks, "progress": False, "resume": folder}
for action in (lambda: fastcnn.save(model, folder / "model.safetensors"), lambda: fastcnn.save(model, folder / "other"),
               lambda: fastcnn.fit(model, train, **options)):
    try:
        action()
    except OSError as error:
        print(error)
after = {path.name: path.read_bytes() for path in folder.iterdir()}
before.pop("log.csv"), after.pop("log.csv")
loaded = fastcnn.load(folder / "model.safetensors", model=model)
print(before == after, loaded is model, fastcnn.predict(model, train.images).shape)
"""


@posix
def test_a_limit_on_the_size_of_files(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True)
    *errors, last = done.stdout.splitlines()
    assert last == "True True (48, 10)" and done.stderr == ""
    assert len(errors) == 3 and all("File too large" in error for error in errors)
    assert "model.safetensors" in errors[0] and "other" in errors[1] and "checkpoint-00000006" in errors[2]


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_after_a_failed_checkpoint_the_old_one_loads_and_the_model_works(tmp_path, monkeypatch, call):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    def train(epochs, **options):
        fastcnn.fit(model, TRAIN, epochs=epochs, batch_size=16, progress=False, callbacks=[Checkpoint(tmp_path)], **options)

    train(1)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.ENOSPC))
        with pytest.raises(OSError, match="checkpoint-00000006"):
            train(3, resume=tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert fastcnn.predict(model, TRAIN.images).shape == (48, 10)
    train(3, resume=tmp_path)
    assert names(tmp_path) == ["checkpoint-00000006.safetensors", "checkpoint-00000009.safetensors"]


def test_a_command_on_a_full_disk_ends_with_one_line(tmp_path, monkeypatch, capsys):
    words = ["train", "digits", "--model", "smallcnn", "--batch-size", "512", "--out", str(tmp_path / "run")]
    assert main([*words, "--epochs", "1"]) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").glob("checkpoint-*")}
    capsys.readouterr()
    usual = os.replace

    def replace(source, target):
        if Path(target).name.startswith("checkpoint-"):
            raise OSError(errno.ENOSPC, "No space left on device")
        usual(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        assert main([*words, "--epochs", "2", "--resume"]) == 1
    path = tmp_path / "run" / "checkpoint-00000006.safetensors"
    assert capsys.readouterr().err.splitlines()[-1] == f"fastcnn: {path}: No space left on device"
    assert {path: path.read_bytes() for path in (tmp_path / "run").glob("checkpoint-*")} == before
    assert not list((tmp_path / "run").glob(".*"))
    assert main([*words, "--epochs", "2", "--resume"]) == 0


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=False,
                                       capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_small_disk_fills_up(small_disk):
    write_atomically(small_disk / "file", OLD)
    for _ in range(3):
        with pytest.raises(OSError, match="No space left") as caught:
            write_atomically(small_disk / "file", bytes(100_000))
        assert caught.value.filename == str(small_disk / "file") and names(small_disk) == ["file"]
    write_atomically(small_disk / "file", NEW)
    assert (small_disk / "file").read_bytes() == NEW


@pytest.mark.parametrize("callback", [Checkpoint, lambda folder: CSVLogger(folder / "log.csv")], ids=["checkpoint", "log"])
def test_a_folder_that_vanishes_during_training_is_one_error(tmp_path, callback):
    folder = tmp_path / "run"
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    class Vandal(fastcnn.training.Callback):
        def on_batch_end(self, run):
            if run.step == 4:
                for path in folder.iterdir():
                    path.unlink()
                folder.rmdir()

    with pytest.raises(FileNotFoundError, match="run"):
        fastcnn.fit(model, TRAIN, epochs=3, batch_size=16, progress=False, callbacks=[callback(folder), Vandal()])
    assert names(tmp_path) == [] and fastcnn.predict(model, TRAIN.images).shape == (48, 10)


def test_a_log_that_vanishes_is_written_anew(tmp_path):
    logger, run = CSVLogger(tmp_path / "log.csv"), SimpleNamespace(history=[], keys=KEYS)
    logger.on_train_begin(run)
    (tmp_path / "log.csv").unlink()
    run.history.append(RECORD)
    logger.on_epoch_end(run, RECORD)
    assert (tmp_path / "log.csv").read_text().splitlines() == [logger.head.strip(), logger.line(RECORD).strip()]


@posix
def test_a_pipe_gets_the_log_without_a_pause(tmp_path):
    """Closed between the lines, it would end for its reader after the first."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    received = []
    reader = threading.Thread(target=lambda: received.append(path.read_text()), daemon=True)
    reader.start()
    logger, run = JSONLogger(path), SimpleNamespace(history=[RECORD])
    logger.on_train_begin(run)
    logger.on_epoch_end(run, RECORD)
    logger.on_train_end(run)
    reader.join(30)
    assert received == [logger.line(RECORD) * 2] and stat.S_ISFIFO(path.stat().st_mode)


# Several writers


def test_threads_that_write_to_one_path(tmp_path):
    """Readers see one version or another; no writer fails."""
    path, wrong = tmp_path / "file", []
    versions = [bytes([letter]) * 200_000 for letter in b"abcd"]
    write_atomically(path, versions[0])
    over = threading.Event()

    def write(version):
        try:
            for _ in range(10):
                write_atomically(path, version)
        except OSError as error:
            wrong.append(error)

    def read():
        while not over.is_set():
            if path.read_bytes() not in versions:
                wrong.append("half a file")

    writers = [threading.Thread(target=write, args=[version]) for version in versions]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    reader.join()
    assert not wrong and path.read_bytes() in versions and names(tmp_path) == ["file"]


WRITER = ALONE + """
for _ in range(20):
    write_atomically(sys.argv[1], sys.argv[2].encode() * 100_000)
"""


def test_processes_that_write_to_one_path(tmp_path):
    path = tmp_path / "file"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), letter]) for letter in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert path.read_bytes() in (b"a" * 100_000, b"b" * 100_000) and names(tmp_path) == ["file"]


KILLED = ALONE + """
import os, signal
os.replace = lambda *names: os.kill(os.getpid(), signal.SIGKILL)
write_atomically(sys.argv[1], b"new")
"""


@posix
def test_the_next_writer_deletes_what_a_killed_one_left(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(OLD)
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
        assert done.returncode == -signal.SIGKILL
        assert len(names(tmp_path)) == 2 and path.read_bytes() == OLD
    write_atomically(tmp_path / "another", NEW)
    assert names(tmp_path) == ["another", "file"]


def test_the_temporary_file_of_a_living_writer_stays(tmp_path, monkeypatch):
    usual, seen = os.replace, []

    def replace(source, target):
        monkeypatch.setattr(os, "replace", usual)
        write_atomically(tmp_path / "second", NEW)
        seen.extend(names(tmp_path))
        usual(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_atomically(tmp_path / "first", OLD)
    assert len(seen) == 2 and names(tmp_path) == ["first", "second"] and (tmp_path / "first").read_bytes() == OLD


@posix
def test_without_locks_only_old_temporary_files_are_abandoned(tmp_path, monkeypatch):
    import fcntl

    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    ages = {".fastcnn-1-young.tmp": 60, ".fastcnn-1-old.tmp": 2 * writing._OLD, "mine.tmp": 2 * writing._OLD}
    for name, age in ages.items():
        path = tmp_path / name
        path.write_bytes(OLD)
        os.utime(path, (path.stat().st_mtime - age,) * 2)
    write_atomically(tmp_path / "file", NEW)
    assert names(tmp_path) == [".fastcnn-1-young.tmp", "file", "mine.tmp"]


# All that writes


@posix
@pytest.mark.parametrize("write", [
    lambda path: fastcnn.save(models.create("two_conv", (8, 8, 1), 3), path),
    lambda path: CSVLogger(path).on_train_begin(SimpleNamespace(history=[RECORD], keys=KEYS)),
    lambda path: plot.architecture(models.create("two_conv", (8, 8, 1), 3), path),
    lambda path: plot.curves([RECORD], path),
], ids=["save", "log", "drawing", "curves"])
def test_everything_is_written_by_the_one_writer(tmp_path, monkeypatch, write):
    """A link stays, its target's mode too, and a full disk leaves the old content."""
    target, link = tmp_path / "target.png", tmp_path / "link.png"
    target.write_bytes(OLD)
    target.chmod(0o600)
    link.symlink_to(target)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(errno.ENOSPC))
        with pytest.raises(OSError, match=r"No space left on device: '.*link\.png'"):
            write(link)
    assert target.read_bytes() == OLD
    write(link)
    assert target.read_bytes() != OLD and stat.S_IMODE(target.stat().st_mode) == 0o600 and link.is_symlink()
    assert names(tmp_path) == ["link.png", "target.png"]


# Which checkpoints there are


def run_at(step, steps_per_epoch=4):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    return SimpleNamespace(model=model, step=step, steps_per_epoch=steps_per_epoch, state_dict=lambda: {"step": step})


def write_steps(checkpoint, *steps):
    checkpoint.folder.mkdir(exist_ok=True)
    for step in steps:
        checkpoint._write(run_at(step))


def steps_in(folder):
    return sorted(checkpoints(folder))


def test_the_newest_checkpoint_is_that_of_the_most_steps_whatever_the_clock_says(tmp_path):
    checkpoint = Checkpoint(tmp_path, keep=3)
    write_steps(checkpoint, 4, 8)
    for path, time in zip(sorted(tmp_path.iterdir()), (2_000_000_000, 1_000_000_000), strict=True):
        os.utime(path, (time, time))
    assert load_checkpoint(tmp_path)["step"] == 8
    write_steps(checkpoint, 12, 16)
    assert steps_in(tmp_path) == [8, 12, 16]
    write_steps(checkpoint, 100_000_000)
    assert steps_in(tmp_path) == [12, 16, 100_000_000] and load_checkpoint(tmp_path)["step"] == 100_000_000


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_a_checkpoint_within_an_epoch_gives_way(tmp_path, keep):
    """After each interruption a run goes on, and has in the end the files of one that was not interrupted."""
    write_steps(Checkpoint(tmp_path / "whole", keep=keep), 4, 8, 12, 16)
    checkpoint = Checkpoint(tmp_path / "interrupted", keep=keep)
    write_steps(checkpoint, 4, 8, 10, 11, 12, 13)
    assert len(steps_in(tmp_path / "interrupted")) == keep and 13 in steps_in(tmp_path / "interrupted")
    write_steps(checkpoint, 15, 16)
    assert names(tmp_path / "interrupted") == names(tmp_path / "whole")


def test_checkpoints_of_a_run_that_was_given_up_go_with_the_first_of_the_new_one(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    write_steps(checkpoint, 4, 8, 12)
    checkpoint.on_train_begin(run_at(0))
    assert steps_in(tmp_path) == [8, 12]
    write_steps(checkpoint, 4)
    assert steps_in(tmp_path) == [4]


def test_a_resumed_run_deletes_what_it_was_killed_before_deleting(tmp_path):
    write_steps(Checkpoint(tmp_path, keep=9), 4, 8, 12, 16)
    checkpoint = Checkpoint(tmp_path)
    checkpoint.on_train_begin(run_at(16))
    assert steps_in(tmp_path) == [12, 16]


def test_files_of_other_names_are_nobodys(tmp_path):
    others = ["checkpoint-best.safetensors", "checkpoint-1.safetensors", "checkpoint-00000001.safetensors.bak"]
    for name in others:
        (tmp_path / name).write_bytes(OLD)
    (tmp_path / "checkpoint-00000099.safetensors").mkdir()
    write_steps(Checkpoint(tmp_path, keep=1), 4, 8)
    assert names(tmp_path) == sorted([*others, "checkpoint-00000008.safetensors", "checkpoint-00000099.safetensors"])
    assert load_checkpoint(tmp_path)["step"] == 8
    (tmp_path / "checkpoint-00000008.safetensors").unlink()
    with pytest.raises(CheckpointError, match="no sound checkpoint"):
        load_checkpoint(tmp_path)


# Killed trainings: a few here, any number by `python -m tests.kills`


TRAINING = """
import fastcnn
from fastcnn import data, nn
from fastcnn.training import Checkpoint, JSONLogger

def train(folder, **options):
    nn.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    callbacks = [JSONLogger(f"{folder}/history.jsonl"), Checkpoint(folder)]
    fastcnn.fit(model, data.load("digits").train.subset(48), epochs=4, batch_size=16, callbacks=callbacks, progress=False,
                **options)
    fastcnn.save(model, f"{folder}/model.safetensors")
"""


@posix
def test_killed_trainings_end_like_an_unbroken_one(tmp_path):
    """Before and after the unlink of the last old checkpoint, within a write, and before a replace."""
    specification = importlib.util.spec_from_file_location("kills", Path(__file__).with_name("kills.py"))
    kills = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(kills)
    space = {}
    exec(TRAINING, space)
    space["train"](tmp_path / "whole")
    expected = kills.contents(tmp_path / "whole")
    calls = ["unlink 2 before", "unlink 2 after", "write 4 half", "replace 3 before"]
    code = kills.DEADLY + TRAINING + "train(words[0])"
    processes = [subprocess.Popen([sys.executable, "-c", code, *call.split(), str(tmp_path / call)]) for call in calls]
    assert [process.wait() for process in processes] == [-signal.SIGKILL] * len(calls)
    for call in calls:
        space["train"](tmp_path / call, resume=tmp_path / call)
        assert kills.compare(tmp_path / call, expected) == "", call


def test_arrays_of_no_bytes_are_written(tmp_path):
    write_atomically(tmp_path / "file", b"")
    append(tmp_path / "file", b"")
    assert (tmp_path / "file").read_bytes() == b"" and np.fromfile(tmp_path / "file").size == 0
