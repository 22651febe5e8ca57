"""What training takes of memory, measured: `python -m tests.memory_forecast [MODEL ...] [--batch-size N] [--steps N]`.

Without --steps, a line a model: the forecast of `summary`, the peak that was measured, and their ratio. The peak is what a
training adds to the resident size of a process of its own that has loaded its kernels before: model, optimizer, some steps.
There glibc gives freed memory back; as it comes, it keeps some: up to a fifth of a small training, a tenth of a large one.
With --steps, a line a kind of long run: by how much each thousand steps grow the process once it is in its stride.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

import fastcnn
from fastcnn import models, nn, optim
from fastcnn.nn.inspect.memory import readable

SHAPE = 32, 32, 3
CLASSES = 10
TOLERANCE = 0.10
_MIB = 1 << 20


def resident() -> int:
    """Bytes of this process that are in memory now, without what the C library keeps of what was freed."""
    gc.collect()
    getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
    return psutil.Process().memory_info().rss


class Watch(threading.Thread):
    """Looks at the size of the process all the time; `most` is the largest that it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.process, self.most, self.ended = psutil.Process(), 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.001):
            self.most = max(self.most, self.process.memory_info().rss)


def train(name: str, batch: int) -> nn.Module:
    """Make a model and train it for some steps."""
    model = models.create(name, SHAPE, CLASSES)
    optimizer, loss = optim.Adam(model.parameters()), nn.CrossEntropyLoss()
    for _ in range(6):
        x = np.full((batch, *SHAPE), 0.5, np.float32)
        loss.forward(model.forward(x), np.zeros(batch, np.int64))
        model.backward(loss.backward(), need_dx=False)
        optimizer.step()
    return model


def peak(name: str, batch: int) -> tuple[int, int]:
    """Measure in this process, which has done nothing else: the forecast, and what a training adds."""
    loading = threading.Thread(target=train, args=(name, batch))  # its buffers end with it
    loading.start()
    loading.join()
    watch = Watch()
    watch.start()
    before, watch.most = resident(), 0
    model = train(name, batch)
    watch.ended.set()
    watch.join()
    return model.summary(SHAPE, batch_size=batch).training.peak, watch.most - before


def compare(names: list[str], batch: int) -> bool:
    """Print a line a model, each measured in a process of its own; whether all forecasts were near."""
    print(f"{'model':12} {'forecast':>11} {'measured':>11}  ratio")
    ratios = []
    for name in names:
        command = [sys.executable, "-m", "tests.memory_forecast", name, "--batch-size", str(batch), "--measure"]
        environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "32768"}
        said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment,
                              cwd=Path(__file__).parents[1]).stdout
        forecast, measured = map(int, said.split())
        ratios.append(forecast / measured)
        print(f"{name:12} {readable(forecast):>11} {readable(measured):>11}  {ratios[-1]:.3f}", flush=True)
    print(f"{len(ratios)} models, forecast within {100 * max(abs(ratio - 1) for ratio in ratios):.1f} %")
    return all(abs(ratio - 1) <= TOLERANCE for ratio in ratios)


# Long runs


def _network() -> nn.Module:
    return nn.Sequential(nn.Conv2D(1, 8, 3, padding=1), nn.BatchNorm(8), nn.ReLU(), nn.MaxPool2D(2), nn.Flatten(),
                         nn.Dropout(0.1), nn.Linear(128, CLASSES))


class _Training:
    """Steps of one network on random images."""

    def __init__(self) -> None:
        self.model, self.loss, self.random = _network(), nn.CrossEntropyLoss(), np.random.default_rng(0)
        self.optimizer = optim.Adam(self.model.parameters())

    def images(self, batch: int) -> np.ndarray:
        return self.random.standard_normal((batch, 8, 8, 1)).astype(np.float32)

    def step(self, batch: int = 64) -> None:
        self.loss.forward(self.model.forward(self.images(batch)), self.random.integers(0, CLASSES, batch))
        self.model.backward(self.loss.backward(), need_dx=False)
        self.optimizer.step()


def same_batches(steps: int) -> None:
    """Batches of one size."""
    training = _Training()
    for _ in range(steps):
        training.step()


def changing_batches(steps: int) -> None:
    """A batch of another size at each step."""
    training = _Training()
    for batch in training.random.integers(1, 200, steps):
        training.step(int(batch))


def predictions_between(steps: int) -> None:
    """Predictions of changing size between the steps."""
    training = _Training()
    for number in range(steps):
        training.step()
        fastcnn.predict(training.model, training.images(1 + number % 40))


def many_models(steps: int) -> None:
    """A new network after every ten steps."""
    for number in range(steps):
        if number % 10 == 0:
            training = _Training()
        training.step()


def many_fits(steps: int) -> None:
    """A call of fit with validation for every ten steps."""
    training = _Training()
    images, labels = training.images(320), training.random.integers(0, CLASSES, 320)
    for _ in range(steps // 10):
        fastcnn.fit(training.model, (images, labels), validation=(images[:50], labels[:50]), epochs=1, batch_size=32,
                    progress=False)


def many_threads(steps: int) -> None:
    """A thread of its own for every ten steps."""
    training = _Training()

    def work() -> None:
        for _ in range(10):
            training.step()

    for _ in range(steps // 10):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()


RUNS = same_batches, changing_batches, predictions_between, many_models, many_fits, many_threads


def slope(run: Callable[[int], None], steps: int) -> float:
    """By how many bytes the process grows from the second tenth of the steps to the last: a line through the sizes."""
    sizes = []
    for _ in range(10):
        run(steps // 10)
        sizes.append(resident())
    return float(np.polyfit(np.linspace(0, 1, 10)[1:], sizes[1:], 1)[0])


def grow(steps: int) -> bool:
    """Print a line a kind of run; whether none of them grew."""
    grown = []
    for run in RUNS:
        grown.append(slope(run, steps))
        print(f"{run.__name__:20} {steps:,} steps: {grown[-1] / _MIB:+.2f} MiB", flush=True)
    return all(abs(one) <= _MIB for one in grown)


def main() -> int:
    """Read the arguments; 0 where all is as promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MODEL")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    names = chosen.names or list(models.names())
    if chosen.measure:
        print(*peak(names[0], chosen.batch_size))
        return 0
    return 0 if (compare(names, chosen.batch_size) if chosen.steps is None else grow(chosen.steps)) else 1


if __name__ == "__main__":
    sys.exit(main())
