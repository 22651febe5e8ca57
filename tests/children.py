"""Child processes of one that has used kernels, against the same calls in the process itself.

`NUMBA_THREADING_LAYER=omp python -m tests.children [WAY ...]` prints a line a way to start children: what they gave.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import select
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import fastcnn
from fastcnn import functional
from fastcnn.kernels.jit import threads
from tests.stress import digest, numbers

_PATIENCE = 120  # seconds


def work() -> str:
    """Return what tells the bits of a product and its gradients, large enough for several threads."""
    fastcnn.set_num_threads(2)
    x, weight = numbers(600, 300), numbers(300, 80, seed=1)
    y = functional.linear(x, weight)
    return digest(y, *functional.linear_backward(y, x, weight), functional.add(y, y))


def in_child(_: Any = None) -> str:
    """Return what `work` gives twice, or the name of the error of a process that cannot."""
    try:
        first, second = work(), work()
        return first if first == second else "two answers"
    except threads.ForkSafetyError:
        return "ForkSafetyError"


def _fork() -> set[str]:
    """Start a child by os.fork and return what it says before it ends, or how it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, in_child().encode())
        finally:
            os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], _PATIENCE)
    said = os.read(reader, 100).decode() if ready else "hangs"
    os.close(reader)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return {said or f"died with status {status}"}


def _fork_in_thread() -> set[str]:
    found: set[str] = set()
    thread = threading.Thread(target=lambda: found.update(_fork()))
    thread.start()
    thread.join()
    return found


def _fork_while_threads_compute() -> set[str]:
    stop = threading.Event()

    def compute() -> None:
        while not stop.is_set():
            work()

    busy = [threading.Thread(target=compute) for _ in range(3)]
    for thread in busy:
        thread.start()
    try:
        return set().union(*(_fork() for _ in range(5)))
    finally:
        stop.set()
        for thread in busy:
            thread.join()


def _pool(method: str) -> set[str]:
    with multiprocessing.get_context(method).Pool(2) as pool:
        return set(pool.map_async(in_child, range(4)).get(timeout=_PATIENCE))


def _futures() -> set[str]:
    with ProcessPoolExecutor(2) as pool:
        return {one.result(timeout=_PATIENCE) for one in [pool.submit(in_child) for _ in range(4)]}


def _joblib() -> set[str]:
    if importlib.util.find_spec("joblib") is None:
        return {"joblib is not installed"}
    import joblib

    return set(joblib.Parallel(2, timeout=_PATIENCE)(joblib.delayed(in_child)() for _ in range(4)))


WAYS: dict[str, Callable[[], set[str]]] = {
    "os.fork": _fork, "os.fork in a thread": _fork_in_thread, "os.fork while threads compute": _fork_while_threads_compute,
    "fork": lambda: _pool("fork"), "spawn": lambda: _pool("spawn"), "forkserver": lambda: _pool("forkserver"),
    "concurrent.futures": _futures, "joblib": _joblib,
}


def main() -> None:
    """Go through the ways."""
    before = _fork()  # nothing has run in this process yet
    mine = work()

    def told(found: set[str]) -> str:
        return ", ".join(sorted("the same bits" if one == mine else one for one in found))

    print(f"os.fork before use: {told(before)}", flush=True)
    for way in sys.argv[1:] or WAYS:
        print(f"{way}: {told(WAYS[way]())}", flush=True)


if __name__ == "__main__":
    main()
