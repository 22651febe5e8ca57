"""Two commits in turns: processes that time rows of either, with what they answer when a commit lacks something.

The commits that are compared here are folders with a package `fastcnn` of a few lines, so that nothing is compiled.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from tests import bench_modules

ROW = "one image 1x1: 1x28x28 128-512 1x1, "


@pytest.fixture
def against(monkeypatch):
    with bench_modules.imported("against") as module:
        for name in ("PAUSE", "WAKE"):
            monkeypatch.setattr(sys.modules["turns"], name, 0)
        monkeypatch.setattr(module, "multiplying", lambda: (10 ** 8, lambda: time.sleep(0.001)))
        yield module


@pytest.fixture
def commit(tmp_path):
    """A function that writes a commit whose forward convolution gives `value` everywhere after some seconds."""
    def write(name, seconds=0.0, value=1.0):
        package = tmp_path / name / "fastcnn"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(textwrap.dedent(f"""
            import time
            import numpy as np
            __version__ = "{name}"
            set_num_threads = print
            class functional:
                def conv2d(x, weight, **geometry):
                    time.sleep({seconds})
                    return np.full((1, 2), {value})
                def conv2d_backward(dy, x, weight):
                    return dy
            """))
        return package.parent

    return write


@pytest.fixture
def started(against):
    """A function that starts a process for a folder."""
    processes = []

    def start(folder):
        processes.append(against.Process(folder.name, folder))
        return processes[-1]

    yield start
    for process in processes:
        process.close()
    assert all(process._process.returncode == 0 for process in processes), "ended by the end of its input"


def test_a_process_times_a_row_of_its_folder(against, commit, started):
    process = started(commit("abc", seconds=0.01))
    process.load()
    assert process.kind == "unknown"
    opened = process.open("layers", ROW + "forward")
    assert opened == {"shape": [1, 2], "norm": pytest.approx(2 ** 0.5), "count": 1}
    assert 0.01 <= process.time(1) < 1


def test_what_a_commit_lacks_is_said_in_a_line_and_the_next_row_goes_on(against, commit, started):
    process = started(commit("abc"))
    process.load()
    with pytest.raises(against.WorkerError, match=r"^abc: TypeError: .*conv2d_backward\(\) got .*'need_dweight'$"):
        process.open("layers", ROW + "backward input")
    with pytest.raises(against.WorkerError, match=r"^abc: AttributeError: module 'fastcnn' has no attribute 'manual_seed'$"):
        process.open("inference", "lenet5, batch 1, inference")
    with pytest.raises(against.WorkerError, match=r"^abc: TypeError"):
        process.time(1)
    assert process.open("layers", ROW + "forward")["count"] >= 1


def test_a_folder_without_fastcnn_or_a_process_that_ends_is_an_error(against, commit, started, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(against.WorkerError, match=r"^empty: (ImportError|ModuleNotFoundError)"):
        started(tmp_path / "empty").load()
    folder = commit("ends")
    with (folder / "fastcnn" / "__init__.py").open("a") as file:
        file.write("import os\nfunctional.conv2d = lambda *given, **geometry: os._exit(0)\n")
    process = started(folder)
    process.load()
    with pytest.raises(against.WorkerError, match=r"^ends: the process has ended$"):
        process.open("layers", ROW + "forward")


def test_the_ratio_is_the_old_time_by_the_new_and_other_results_are_noted(against, commit, started):
    pair = against.Pair(started(commit("old", seconds=0.04)), started(commit("new", seconds=0.01, value=2)))
    for process in (pair.old, pair.new):
        process.load()
    said, results = [], []
    against.run("layers", lambda title: title == ROW + "forward", [pair, pair], 0, said.append, results)
    result, = results
    assert [len(rounds) for rounds in result.rounds] == [against.LEAST, against.LEAST]
    assert result.median(0) >= 0.04 and result.median(1) >= 0.01 and 1.5 < result.ratio < 4.5 and len(result.ratios) == 2
    head, line, end = said
    assert len({len(text) for text in (*head.splitlines()[-2:], line)}) == 1 and f"{result.ratio:.2f}" in line
    assert "results differ, " + ROW in end and "geometric mean of 1 ratios" in end
    figures = json.loads(json.dumps(result.as_dict()))
    assert figures["ratio"] == result.ratio and figures["flops"] == result.row.flops and figures["peak"] == result.peak


def test_rows_that_a_commit_lacks_are_left_out(against, commit, started, capsys):
    pair = against.Pair(started(commit("old")), started(commit("new")))
    for process in (pair.old, pair.new):
        process.load()
    results = []
    against.run("layers", lambda title: title.startswith(ROW), [pair], 0, print, results)
    assert [result.row.title for result in results] == [ROW + "forward"]
    assert f"{ROW}backward input is left out: old: TypeError" in capsys.readouterr().err


def test_a_commit_is_checked_out_and_removed(against):
    if against.record.commit() is None:
        pytest.skip("not in a clone of git")
    with pytest.raises(KeyboardInterrupt), against.checked_out(against.resolve("HEAD")) as folder:
        assert (folder / "fastcnn" / "__init__.py").exists() and (folder / "kernels").is_dir()
        raise KeyboardInterrupt
    assert not folder.exists()


@pytest.mark.parametrize("name", ["no such commit", "--all", "", "HEAD:README.md"])
def test_what_is_no_commit_is_refused(against, name):
    with pytest.raises(ValueError, match=r"^--against "):
        against.resolve(name)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_an_interruption_ends_the_processes_and_removes_the_folder(against, tmp_path):
    if against.record.commit() is None:
        pytest.skip("not in a clone of git")
    words = ("layers", "--against", "HEAD", "--pairs", "1", "--filter", ROW, "--seconds", "1000",
             "--json", tmp_path / "all.json")
    process = subprocess.Popen([sys.executable, bench_modules.FOLDER / "peer.py", *words], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": str(tmp_path)})
    assert "(old), pairs of processes: 1" in process.stdout.readline()
    assert list(tmp_path.glob("fastcnn-against-*"))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and errors == "interrupted\n"
    assert not list(tmp_path.glob("fastcnn-against-*"))
    assert json.loads((tmp_path / "all.json").read_text())["pairs"] == 1
