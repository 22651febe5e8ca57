"""Kernels compiled ahead in several processes: each once, all of them in the cache, and nothing run before its time."""

import os
import subprocess
import sys

import numba
import numpy as np
import pytest

import fastcnn.functional as F  # noqa: N812
from fastcnn.kernels.jit import threads
from fastcnn.kernels.jit.ahead import compile_ahead, noted_launches
from fastcnn.kernels.jit.compile import njit

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


def test_launches_are_noted_once_and_not_run():
    x = np.full((2, 3), -1.0, np.float32)
    y = F.relu(np.ones((2, 3), np.float32))
    with noted_launches() as jobs:
        F.relu(x)
        F.relu(2 * x)
        F.relu(x.astype(np.float64))
    assert [kernel.__name__ for kernel, *_ in jobs.values()] == ["relu", "relu"]
    assert (y == 1).all()
    assert (F.relu(x) == 0).all()


def test_nothing_is_left_to_compile_once_all_was():
    x = np.ones(3, np.float32)
    F.relu(x)
    with noted_launches() as jobs:
        F.relu(x)
    assert all(kernel.is_cached(arguments, workers) for kernel, arguments, workers in jobs.values())
    assert compile_ahead(jobs) == 0


def test_loop_nests_are_compiled_ahead():
    @njit(parallel=True)
    def double(x):
        for i in numba.prange(len(x)):
            x[i] *= 2

    x = np.ones(3)
    with noted_launches() as jobs:
        double(x)
    (job,) = jobs.values()
    job[0].prepare(*job[1:])
    assert (x == 1).all()
    assert job[0].is_cached(*job[1:])


AHEAD = """
import os, threading
import numpy as np
from fastcnn import functional as F, reference as R
from fastcnn.kernels.jit import compile
from fastcnn.kernels.jit.ahead import compile_ahead, noted_launches

x = np.linspace(-2, 2, 100, dtype=np.float32)
operations = "relu", "tanh", "sigmoid", "elu", "selu", "softplus", "hardswish", "silu"
with noted_launches() as jobs:
    for name in operations:
        getattr(F, name)(x)
others = compile_ahead(jobs)
here = sum(len(kernel.dispatcher.overloads) for kernel, *_ in jobs.values())
assert others + here == len(jobs) == len(operations), (others, here)
assert all(kernel.is_cached(arguments, workers) for kernel, arguments, workers in jobs.values())
for name in operations:
    assert np.allclose(getattr(F, name)(x), getattr(R, name)(x), 1e-5)
assert all(sum(kernel.dispatcher.stats.cache_misses.values()) <= 1 for kernel, *_ in jobs.values())
try:
    os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    print("others compiled some" if others else "others compiled none")
"""


@pytest.mark.skipif(sys.platform != "linux" or threads.available() < 2, reason="compiles in forks, one for each core")
def test_processes_share_the_work(tmp_path):
    outcome = subprocess.run([sys.executable, "-c", AHEAD], env={**os.environ, "FASTCNN_CACHE": str(tmp_path)},
                             capture_output=True, text=True, check=False)
    assert outcome.stdout == "others compiled some\n", outcome.stderr


@pytest.mark.skipif(sys.platform != "linux" or threads.available() < 2, reason="compiles in forks, one for each core")
def test_beside_other_threads_nothing_is_forked(tmp_path):
    thread = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    code = thread + AHEAD.partition("here =")[0] + "print(others)"
    outcome = subprocess.run([sys.executable, "-c", code],
                             env={**os.environ, "FASTCNN_CACHE": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert outcome.stdout == "0\n", outcome.stderr


ENDING = """
import os, signal, sys
import numpy as np
import fastcnn.functional as F
from fastcnn.kernels.jit import ahead

x = np.ones(3, np.float32)
with ahead.noted_launches() as jobs:
    for name in ("relu", "tanh", "sigmoid", "elu", "selu", "softplus", "hardswish", "silu"):
        getattr(F, name)(x)
HOW
print(ahead.compile_ahead(jobs), all(kernel.is_cached(arguments, workers) for kernel, arguments, workers in jobs.values()))
"""
NO_FORK = """
def refuse():
    raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork = refuse
"""
SOME_DIE = """
take, parent = ahead._take, os.getpid()
ahead._take = lambda missing, queue: take(missing, queue) if os.getpid() == parent else os.read(queue, 2) and os._exit(1)
"""


@pytest.mark.skipif(sys.platform != "linux" or threads.available() < 2, reason="compiles in forks, one for each core")
@pytest.mark.parametrize(("how", "said"), [(NO_FORK, "0 True"), ("signal.signal(signal.SIGCHLD, signal.SIG_IGN)", " True"),
                                           (SOME_DIE, "1 False")], ids=["no fork", "SIGCHLD ignored", "a process dies"])
def test_ends_that_other_processes_may_come_to(how, said, tmp_path):
    outcome = subprocess.run([sys.executable, "-c", ENDING.replace("HOW", how)], capture_output=True, text=True, check=False,
                             env={**os.environ, "FASTCNN_CACHE": str(tmp_path)})
    assert outcome.stdout.strip().endswith(said), outcome.stdout + outcome.stderr
