"""Threads of Python that use one set of weights at once, on each threading layer, against the same calls one by one.

`python -m tests.stress [--threads N] [--rounds N] [--layers LAYER ...]` prints a line a layer: how many calls gave how many
other bits than serial ones. Each thread calls functions on shared weights, forward and backward, trains a model of its own
and uses a shared one in `inference` blocks and by `predict`; the number of threads of a launch changes all the time.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import fastcnn
from fastcnn import functional, nn, optim
from fastcnn.kernels.jit import threads

LAYERS = "tbb", "omp", "workqueue"


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Return normal random numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def digest(*arrays: Any) -> str:
    """Return what tells the bits of some arrays from others."""
    return hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest()[:16]


class Work:
    """Weights and a network that all threads share, and what a thread does with them in a round."""

    def __init__(self) -> None:
        self.weight, self.filters = numbers(300, 40), numbers(3, 3, 8, 24)
        self.model = nn.Sequential(nn.Conv2D(3, 8, 3, padding=1), nn.BatchNorm(8), nn.ReLU(), nn.MaxPool2D(2),
                                   nn.Dropout(0.2), nn.Flatten(), nn.Linear(288, 5))

    def linear(self, number: int) -> str:
        """A matrix product and its gradients."""
        x = numbers(200, 300, seed=number % 7)
        y = functional.linear(x, self.weight)
        return digest(y, *functional.linear_backward(y, x, self.weight))

    def convolution(self, number: int) -> str:
        """A convolution and its gradients, of images of changing number."""
        x = numbers(1 + number % 5, 24, 24, 8, seed=number % 7)
        y = functional.conv2d(x, self.filters, padding=1)
        return digest(y, *functional.conv2d_backward(y, x, self.filters, padding=1))

    def training(self, number: int) -> str:
        """Two steps of a model of the thread's own."""
        model, loss = copy.deepcopy(self.model), nn.CrossEntropyLoss()
        optimizer = optim.Adam(model.parameters())
        for step in range(2):
            loss.forward(model.forward(numbers(16, 12, 12, 3, seed=number % 7 + step)), np.arange(16) % 5)
            model.backward(loss.backward(), need_dx=False)
            optimizer.step()
        return digest(*model.state_dict().values())

    def prediction(self, number: int) -> str:
        """Answers of the shared model, which is in training mode."""
        return digest(fastcnn.predict(self.model, numbers(1 + number % 3, 12, 12, 3, seed=number % 7)))

    def inference(self, number: int) -> str:
        """Answers of a copy that shares nothing, some of them replayed."""
        model, x = copy.deepcopy(self.model).eval(), numbers(1, 12, 12, 3, seed=number % 7)
        with nn.inference():
            return digest(*(model.forward(x) for _ in range(5)))

    def calls(self) -> list[Callable[[int], str]]:
        """All of them."""
        return [self.linear, self.convolution, self.training, self.prediction, self.inference]


_PERIOD = 5 * 7 * 3  # of what the number of a round changes


def serial(work: Work) -> dict[tuple[int, int], str]:
    """Return what each call gives, one after the other."""
    return {(kind, number): call(number) for kind, call in enumerate(work.calls()) for number in range(_PERIOD)}


def stress(count: int, rounds: int) -> tuple[int, int]:
    """Return how many calls `count` threads made in so many rounds each, and how many of them gave other bits."""
    work = Work()
    wanted, calls = serial(work), work.calls()

    def run(thread: int) -> int:
        wrong = 0
        for number in range(rounds):
            fastcnn.set_num_threads(1 + (number + thread) % 4)
            kind, case = (number + thread) % len(calls), number * 11 % _PERIOD
            wrong += calls[kind](case) != wanted[kind, case]
        return wrong

    with ThreadPoolExecutor(count) as pool:
        return count * rounds, sum(pool.map(run, range(count)))


def main() -> int:
    """Read the arguments; 0 where all bits were those of serial calls, on each layer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=list(LAYERS))
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.here:
        calls, wrong = stress(chosen.threads, chosen.rounds)
        print(f"{threads.layer()}: {chosen.threads} threads, {calls:,} calls, {wrong} with other bits than serial")
        return 1 if wrong else 0
    failed = 0
    for layer in chosen.layers:
        began = time.perf_counter()
        command = [sys.executable, "-m", "tests.stress", "--here", "--threads", str(chosen.threads),
                   "--rounds", str(chosen.rounds)]
        done = subprocess.run(command, env=os.environ | {"NUMBA_THREADING_LAYER": layer}, cwd=Path(__file__).parents[1],
                              capture_output=True, text=True, check=False)
        said = done.stdout.strip() or f"{layer}: died with code {done.returncode}: {done.stderr.strip()[-300:]}"
        print(f"{said} ({time.perf_counter() - began:.0f} s)", flush=True)
        failed += done.returncode != 0 or not said.startswith(layer)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
