"""What changed images cost: `python bench/augment.py` times batches of 128 images of 32x32x3 beside a step of ResNet-20.

All are called in turns; the medians count. Results are shares of the step, which has a batch of its own.
"""

from __future__ import annotations

import statistics
from functools import partial

import numpy as np

from fastcnn import functional, models, nn, optim
from fastcnn.benchmark import timed
from fastcnn.kernels.jit import threads
from fastcnn.training import Augment
from fastcnn.training.augment import NAMED

_IMAGES, _BATCH, _ROUNDS = 5000, 128, 15
_EVERYTHING = Augment(
    crop=4, flip=True, cutout=8, translate=0.1, rotate=10, scale=0.1, brightness=0.1, contrast=0.1, mixup=1)


def resnet_step() -> None:
    """Make a training step of ResNet-20 on a batch that is there already."""
    _loss.forward(_model.forward(_x), _labels)
    _model.backward(_loss.backward(), need_dx=False)
    _optimizer.step()


def main() -> None:
    """Print a line for each way to change images."""
    images, index = _random.integers(0, 256, (_IMAGES, 32, 32, 3), np.uint8), _random.permutation(_IMAGES)[:_BATCH]
    calls = {"step of ResNet-20": resnet_step, "plain": partial(functional.gather, images, index, *_scale)}
    for name, augment in {**NAMED, "everything": _EVERYTHING}.items():
        changes = augment.draw(_IMAGES, 32, 32, seed=0, epoch=1)
        calls[name] = partial(functional.augment, images, index, changes, *_scale)
    for call in calls.values():
        call()
    samples = [[timed(call) for call in calls.values()] for _ in range(_ROUNDS)]
    times = [statistics.median(column) for column in zip(*samples, strict=True)]
    print(f"{threads.get_num_threads()} threads")
    for name, seconds in zip(calls, times, strict=True):
        print(f"{name:20}{1e3 * seconds:9.2f} ms{seconds / times[0]:9.2%}")


_random = np.random.default_rng(0)
_scale = np.ones((2, 3), np.float32)
_x, _labels = _random.standard_normal((_BATCH, 32, 32, 3), np.float32), _random.integers(0, 10, _BATCH)
_model, _loss = models.create("resnet20", (32, 32, 3), 10), nn.CrossEntropyLoss()
_optimizer = optim.SGD(_model.parameters(), 1e-3)

if __name__ == "__main__":
    main()
