"""What the benches time of fastcnn: the rows of the tables `layers`, `steps` and `inference`.

Names of fastcnn are looked up when a row is made, so that a commit that lacks some of them times the other rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from shapes import SHAPES, Shape

import fastcnn

Call = Callable[..., Any]

# Name, images (N, H, W, C)
STEPS = (
    *(("lenet5", (batch, 28, 28, 1)) for batch in (64, 128, 256)),
    *(("strided_cnn", (batch, 28, 28, 1)) for batch in (64, 128, 256)),
    ("four_conv", (64, 32, 32, 3)),
    ("resnet20", (128, 32, 32, 3)),
    ("airbench94", (256, 32, 32, 3)),
)
INFERENCE = (
    *(("lenet5", (batch, 28, 28, 1)) for batch in (1, 256)),
    *(("resnet20", (batch, 32, 32, 3)) for batch in (1, 256)),
    *(("resnet18", (batch, 32, 32, 3)) for batch in (1, 256)),  # the last takes each library seconds a call
)
FROZEN = ("airbench94",)  # networks that do not train the filters of the first layer
CLASSES = 10
RATE = 1e-6  # the weights stay about what they are, so that the last step is the same work as the first


@dataclass(frozen=True)
class Convolution:
    """A convolution in one direction; its work is operations."""

    shape: Shape
    direction: str

    @property
    def title(self) -> str:
        """Name, sizes and direction."""
        return f"{self.shape}, {self.direction}"

    @property
    def flops(self) -> int:
        """Operations of a call that does its multiply-adds directly, two for each."""
        return self.shape.flops

    work = flops

    @property
    def geometry(self) -> dict[str, int]:
        """How the filters move."""
        shape = self.shape
        return {"stride": shape.stride, "padding": shape.padding, "dilation": shape.dilation, "groups": shape.groups}

    def inputs(self) -> tuple[np.ndarray, ...]:
        """Draw images, filters and gradient."""
        random, shape = np.random.default_rng(0), self.shape
        sizes = ((shape.N, shape.H, shape.W, shape.C), (shape.R, shape.R, shape.C // shape.groups, shape.K),
                 (shape.N, shape.P, shape.Q, shape.K))
        return tuple(random.standard_normal(size, np.float32) for size in sizes)

    @contextlib.contextmanager
    def call(self, *inputs: np.ndarray) -> Iterator[Call]:
        """Give the call that is timed."""
        yield partial(DIRECTIONS[self.direction], *inputs, **self.geometry)


def _forward(x: np.ndarray, weight: np.ndarray, _: np.ndarray, **geometry: int) -> np.ndarray:
    return fastcnn.functional.conv2d(x, weight, **geometry)


def _input(x: np.ndarray, weight: np.ndarray, dy: np.ndarray, **geometry: int) -> np.ndarray:
    return fastcnn.functional.conv2d_backward(dy, x, weight, need_dweight=False, need_dbias=False, **geometry)[0]


def _weight(x: np.ndarray, weight: np.ndarray, dy: np.ndarray, **geometry: int) -> np.ndarray:
    return fastcnn.functional.conv2d_backward(dy, x, weight, need_dx=False, need_dbias=False, **geometry)[1]


DIRECTIONS: dict[str, Callable[..., np.ndarray]] = {
    "forward": _forward, "backward input": _input, "backward weight": _weight}


@dataclass(frozen=True)
class Network:
    """A network at work on images of `shape` (N, H, W, C); its work is images."""

    name: str
    shape: tuple[int, ...]

    @property
    def work(self) -> int:
        """Images of a call."""
        return self.shape[0]

    def model(self) -> Any:
        """Make the network."""
        fastcnn.manual_seed(0)
        if self.name == "airbench94":
            from airbench import airbench94

            return airbench94(CLASSES)
        return fastcnn.models.create(self.name, self.shape[1:], CLASSES)

    def inputs(self) -> tuple[Any, np.ndarray]:
        """Make the network, and draw images."""
        return self.model(), np.random.default_rng(0).standard_normal(self.shape, np.float32)

    def multiply_adds(self) -> list[int]:
        """Count the multiply-adds of forward, done directly, of each layer that has any."""
        rows = self.model().summary(self.shape[1:]).rows
        return [self.shape[0] * row.multiply_adds for row in rows if row.multiply_adds]


@dataclass(frozen=True)
class Step(Network):
    """A training step: forward, cross-entropy, backward and Adam, as in `fit`; the call gives the loss."""

    @property
    def title(self) -> str:
        """Name and batch."""
        return f"{self.name}, batch {self.work}, step"

    @property
    def flops(self) -> int:
        """Operations of forward and of both gradients; the images need none, and the filters only where they are trained."""
        first, *others = self.multiply_adds()
        return 2 * ((1 if self.name in FROZEN else 2) * first + 3 * sum(others))

    def labels(self) -> np.ndarray:
        """Draw a class for each image."""
        return np.random.default_rng(1).integers(0, CLASSES, self.work)

    @contextlib.contextmanager
    def call(self, model: Any, x: np.ndarray) -> Iterator[Call]:
        """Give the call that is timed."""
        from fastcnn import nn, optim

        model.train()
        forward, backward = _passes(model)
        labels, loss, optimizer = self.labels(), nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=RATE)

        def step() -> float:
            value = loss.forward(forward(x), labels)
            backward(loss.backward())
            optimizer.step()
            return value

        yield step


def _passes(model: Any) -> tuple[Call, Call]:
    """Give forward and backward as `fit` calls them: of a small network the second step is recorded, and replayed later."""
    try:
        from fastcnn.training.passes import Passes, can_be_recorded
    except ImportError:  # a commit that records nothing
        from fastcnn.nn.module import backward

        return model.forward, partial(backward, model, need_dx=False)
    passes = Passes(model, can_be_recorded(model, ()))
    return passes.forward, passes.backward


@dataclass(frozen=True)
class Inference(Network):
    """A network in use; the call gives its outputs."""

    @property
    def title(self) -> str:
        """Name and batch."""
        return f"{self.name}, batch {self.work}, inference"

    @property
    def flops(self) -> int:
        """Operations of forward."""
        return 2 * sum(self.multiply_adds())

    @contextlib.contextmanager
    def call(self, model: Any, x: np.ndarray) -> Iterator[Call]:
        """Give the call that is timed, as around the requests to a server."""
        model.eval()
        with fastcnn.nn.inference():
            yield partial(model.forward, x)


ROWS: dict[str, tuple[Any, ...]] = {
    "layers": tuple(Convolution(shape, direction) for shape in SHAPES for direction in DIRECTIONS),
    "steps": tuple(Step(*network) for network in STEPS),
    "inference": tuple(Inference(*network) for network in INFERENCE),
}
