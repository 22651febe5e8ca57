"""The cache of compiled kernels, when processes meet."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from fastcnn.kernels.jit import cache
from fastcnn.kernels.jit.cache import _CheckedFile
from fastcnn.kernels.jit.compile import _to_the_end


def test_processes_that_compile_at_once_do_not_mix_their_code(tmp_path):
    first, second = _CheckedFile(str(tmp_path), "kernel", ""), _CheckedFile(str(tmp_path), "kernel", "")
    first.save("float32", "code for float32")
    second.save("float64", "code for float64")
    first.save("int64", "code for int64")
    assert [second.load(key) for key in ("float32", "float64", "int64")] == [
        "code for float32", "code for float64", "code for int64"]
    assert sorted(second.stored_keys()) == ["float32", "float64", "int64"]


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: b"", lambda content: content + b"x",
                                    lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:]])
def test_a_damaged_entry_is_not_loaded(tmp_path, damage):
    entries = _CheckedFile(str(tmp_path), "kernel", "")
    entries.save("float32", "code")
    path = entries.path("float32")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match="is damaged"):
        entries.load("float32")


def test_an_entry_of_another_signature_is_not_taken(tmp_path):
    """Names have few letters of a digest."""
    entries = _CheckedFile(str(tmp_path), "kernel", "")
    entries.save("float32", "code")
    entries.path("float32").rename(entries.path("float64"))
    assert entries.load("float64") is None


def test_a_compilation_goes_on_where_the_wait_for_it_is_interrupted():
    """Numba that was stopped while it loads its compiler compiles nothing more."""
    done = threading.Event()

    def compilation():
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.05)
        done.set()

    with pytest.raises(KeyboardInterrupt):
        _to_the_end(compilation)
    assert done.wait(60)
    assert _to_the_end(threading.current_thread) is not threading.main_thread()
    with pytest.raises(ZeroDivisionError):
        _to_the_end(lambda: 1 / 0)


def test_a_compilation_without_a_thread_of_its_own(monkeypatch):
    def start(thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert _to_the_end(threading.current_thread) is threading.main_thread()


def test_entries_are_found_again(tmp_path):
    for key in ("float32", "float64", "float32"):
        _CheckedFile(str(tmp_path), "kernel", "").save(key, f"code for {key}")
    for key in ("float32", "float64"):
        assert _CheckedFile(str(tmp_path), "kernel", "").load(key) == f"code for {key}"
    assert _CheckedFile(str(tmp_path), "kernel", "").load("int64") is None


ADD = """
import sys
import numpy as np
import fastcnn
from fastcnn import functional

fastcnn.set_num_threads(2)
for dtype in sys.argv[1:]:
    x = np.ones(1_000_000, dtype)
    assert (functional.add(x, x) == 2).all() and (functional.add(x[:3], x[:3]) == 2).all()
print("numba.np.linalg" in sys.modules)
"""


def test_a_kernel_from_the_cache_needs_no_compiler(tmp_path):
    """What Numba's compiler imports takes longer than to load all kernels of a training."""

    def run(*dtypes):
        environment = os.environ | {"FASTCNN_CACHE": str(tmp_path)}
        command = [sys.executable, "-c", ADD, *dtypes]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()

    assert run("float32") == "True", "it was compiled"
    assert run("float32") == "False"
    assert run("float32", "float64") == "True", "one was loaded, the other compiled"
    assert run("float32", "float64") == "False"


LOADED = """
import numba
import numpy as np
from fastcnn import functional
from fastcnn.kernels.activation import relu
from fastcnn.kernels.jit.compile import dispatchers

functional.relu(np.ones(3, np.float32))
share = dispatchers["fastcnn.kernels.jit.compile.share"]
share.compile((numba.int64,) * 3)
for dispatcher in relu.dispatcher, share:
    (loaded,) = dispatcher.overloads.values()
    code = str(loaded.library._get_module_for_linking())
    print(len(dispatcher.stats.cache_hits), "ret i32" in code, loaded.fndesc.llvm_func_name in code)
"""


def loaded(folder):
    """Of a kernel and of one that it calls: whether it came from the cache, with its LLVM code, and its name there."""
    command, environment = [sys.executable, "-c", LOADED], os.environ | {"FASTCNN_CACHE": str(folder)}
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [line.split() for line in run.stdout.splitlines()]


def test_only_what_other_kernels_call_is_cached_with_its_llvm_code(tmp_path):
    compiled = loaded(tmp_path)
    assert compiled == [["0", "True", "True"], ["0", "True", "True"]]
    assert loaded(tmp_path) == [["1", "False", "True"], ["1", "True", "True"]]
    for path in tmp_path.rglob("*.nbc"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert loaded(tmp_path) == compiled, "damaged entries were loaded"


@pytest.mark.parametrize("file", ["pool.py", "conv/direct.py", "vector/tile.py", "jit/launch.py"])
def test_each_file_of_the_kernels_counts_in_the_name_of_the_folder(file, tmp_path, monkeypatch):
    """Code that another version of any of them made is not used."""
    shutil.copytree(cache._SOURCES, tmp_path / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(cache, "_SOURCES", tmp_path / "kernels")
    before = cache.folder.__wrapped__()
    assert before == cache.folder()
    with open(tmp_path / "kernels" / file, "a") as source:
        source.write("\n")
    assert cache.folder.__wrapped__() != before
