"""What Python costs: `python bench/overhead.py` prints microseconds of each layer on tiny arrays, less its kernels'.

One thread; each time is the smallest of many, so that a busy machine does not show. Launches count as kernels.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from unittest import mock

import numpy as np

from fastcnn import models, nn, optim
from fastcnn.kernels.jit import threads
from fastcnn.kernels.jit.compile import ParallelKernel
from fastcnn.runtime import buffers

_ROUNDS = 300

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "Conv2D, direct": (lambda: nn.Conv2D(2, 3, 3), (1, 4, 4, 2)),
    "Conv2D, 1x1": (lambda: nn.Conv2D(2, 3, 1), (1, 4, 4, 2)),
    "Conv2D, few channels": (lambda: nn.Conv2D(1, 2, 3), (1, 4, 22, 1)),
    "Conv2D, winograd": (lambda: nn.Conv2D(16, 16, 3, padding=1), (1, 4, 4, 16)),
    "Conv2D, depthwise": (lambda: nn.Conv2D(2, 2, 3, groups=2), (1, 4, 4, 2)),
    "Linear": (lambda: nn.Linear(4, 5), (1, 4)),
    "BatchNorm": (lambda: nn.BatchNorm(3), (2, 2, 2, 3)),
    "MaxPool2D": (lambda: nn.MaxPool2D(2), (1, 4, 4, 2)),
    "AvgPool2D": (lambda: nn.AvgPool2D(2), (1, 4, 4, 2)),
    "GlobalAvgPool2D": (nn.GlobalAvgPool2D, (1, 4, 4, 2)),
    "ReLU": (nn.ReLU, (1, 5)),
    "Dropout": (lambda: nn.Dropout(0.5), (1, 5)),
    "Flatten": (nn.Flatten, (1, 4, 4, 2)),
}


def smallest(call: Callable[[], object]) -> float:
    """Return the microseconds of the fastest of many calls."""
    times = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times) * 1e6


def kernels_of(call: Callable[[], object]) -> float:
    """Return the microseconds of the kernels that a call launches, each on its own."""
    launches: list[tuple[ParallelKernel, tuple[object, ...]]] = []
    launch = ParallelKernel.__call__

    def noted(kernel: ParallelKernel, *arguments: object) -> None:
        launches.append((kernel, arguments))
        launch(kernel, *arguments)

    with mock.patch.object(ParallelKernel, "__call__", noted):
        call()
    return sum(smallest(functools.partial(_again, launch, kernel, arguments)) for kernel, arguments in launches)


def _again(launch: Callable[..., None], kernel: ParallelKernel, arguments: tuple[object, ...]) -> None:
    buffers.counter()  # all tasks are to be done again
    launch(kernel, *arguments)


def overhead(call: Callable[[], object]) -> float:
    """Return the microseconds of a call beside its kernels."""
    call()
    return max(0.0, smallest(call) - kernels_of(call))


def lenet_step() -> Callable[[], object]:
    """Return a training step of LeNet-5 on one image."""
    model = models.create("lenet5", (28, 28, 1), 10)
    optimizer, loss = optim.Adam(model.parameters()), nn.CrossEntropyLoss()
    x, labels = np.random.default_rng(0).random((1, 28, 28, 1), np.float32), np.array([3])

    def step() -> None:
        loss.forward(model.forward(x), labels)
        model.backward(loss.backward(), need_dx=False)
        optimizer.step()

    return step


def main() -> None:
    """Print a line for each layer, then one for a whole step."""
    threads.set_num_threads(1)
    print(f"{'microseconds beside kernels':28}{'forward':>9}{'both':>9}")
    for name, (make, shape) in LAYERS.items():
        layer, x = make(), np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        dy = layer.forward(x)
        both = overhead(lambda layer=layer, x=x, dy=dy: (layer.forward(x), layer.backward(dy)))  # type: ignore[misc]
        forward = overhead(lambda layer=layer, x=x: layer.forward(x))  # type: ignore[misc]
        print(f"{name:28}{forward:9.1f}{both:9.1f}")
    step = lenet_step()
    print(f"LeNet-5, a step on one image: {smallest(step):.0f}, of which {overhead(step):.0f} beside kernels")


if __name__ == "__main__":
    main()
