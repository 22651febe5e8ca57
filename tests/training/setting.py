"""What the tests of training share: tiny networks and data."""

import os
import signal

import numpy as np

import fastcnn
from fastcnn import data, nn
from fastcnn.training import (
    Augment,
    Callback,
)

DIGITS = data.load("digits")
FEW = DIGITS.train.subset(64)
EVERYTHING = Augment(
    crop=1, flip=True, cutout=2, translate=0.1, rotate=10, scale=0.1, brightness=0.1, contrast=0.1, mixup=0.5
)


def network(dropout=0.0, norm=True):
    fastcnn.manual_seed(5)
    layers = [nn.Conv2D(1, 4, 3, padding=1), *([nn.BatchNorm(4)] if norm else []), nn.ReLU(), nn.MaxPool2D(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(64, 10))


def train(model, split=FEW, **options):
    return fastcnn.fit(model, split, **{"epochs": 1, "batch_size": 16, "progress": False, **options})


def same(model, other):
    state, expected = model.state_dict(), other.state_dict()
    return state.keys() == expected.keys() and all(np.array_equal(state[name], expected[name]) for name in state)


class Interrupter(Callback):
    """Presses Ctrl-C at one batch."""

    def __init__(self, step, times=1):
        self.step, self.times = step, times

    def on_batch_end(self, run):
        if run.step == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGINT)


IMAGES, LABELS = FEW.images, FEW.labels
