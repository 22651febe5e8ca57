"""Forward and backward of a training step: what one launches is recorded and made again by later ones.

In a step of a small network Python and the start of threads for each launch take as long as the kernels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import nn
from ..kernels.jit import threads
from ..kernels.jit.recording import Recording, current, is_possible, recorded
from ..nn.mode import mode
from ..nn.module import backward

# Modules that in training launch kernels and do nothing else, the same ones for all values of their inputs.
_RECORDED = {
    nn.Sequential, nn.Residual, nn.Concat,
    nn.Conv2D, nn.ConvTranspose2D, nn.Linear, nn.BatchNorm, nn.GroupNorm, nn.LayerNorm, nn.Dropout, nn.Dropout2D,
    nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Softplus, nn.Softsign,
    nn.Sigmoid, nn.Tanh, nn.Softmax, nn.LogSoftmax,
    nn.MaxPool2D, nn.AvgPool2D, nn.GlobalMaxPool2D, nn.GlobalAvgPool2D, nn.AdaptiveMaxPool2D, nn.AdaptiveAvgPool2D,
    nn.Pad2D, nn.Upsample2D, nn.Flatten, nn.Reshape, nn.Identity,
}
_LARGEST = 1 << 20  # bytes of an input: with more of them, Python's share of the time is small
_MOST = 1 << 24  # bytes that the launches of forward may keep: in a recorded step no memory is used twice


class Passes:
    """Forward and backward of a network that nothing changes between steps but its parameters.

    The first step runs as it is. The second one is recorded, and replayed by those that follow with inputs of its shape,
    which write and return the same as without. Other steps run as they are, and so do all where `is_recorded` is false.
    """

    def __init__(self, model: nn.Module, is_recorded: bool) -> None:
        """Begin with nothing recorded."""
        self.model = model
        self._is_possible = is_recorded and is_possible() and current() is None and mode.hook is None
        self._shared: tuple[Any, ...] = ()  # what steps that can share a recording have in common
        self._forward: Recording | None = None
        self._backward: Recording | None = None
        self._x = self._y = self._dy = np.empty(0)
        self._is_recorded = False  # whether the step that runs was or is

    def forward(self, x: np.ndarray) -> Any:
        """Return the network's output for x."""
        shared = x.shape, x.dtype, threads.get_num_threads()
        self._is_recorded = self._is_possible and shared == self._shared and x.nbytes <= _LARGEST
        self._shared = self._shared or shared
        if not self._is_recorded:
            return self.model.forward(x)
        if self._forward is None:
            self._x = x.copy()
            with recorded() as self._forward:
                self._y = self.model.forward(self._x)
            self._is_possible = self._is_recorded = self._forward.is_complete and self._forward.nbytes <= _MOST
            if not self._is_possible:
                self._forward = None  # which holds all arrays
        else:
            np.copyto(self._x, x)
            self._forward.replay()
        return self._y.copy()

    def backward(self, dy: Any) -> None:
        """Write all gradients."""
        if not self._is_recorded:
            backward(self.model, dy, need_dx=False)
        elif self._backward is None:
            self._dy = dy.copy()
            with recorded() as self._backward:
                backward(self.model, self._dy, need_dx=False)
            self._is_possible = self._backward.is_complete
            if not self._is_possible:
                self._forward = self._backward = None
        else:
            np.copyto(self._dy, dy)
            self._backward.replay()


def can_be_recorded(model: nn.Module, others: Iterable[Any]) -> bool:
    """Whether steps of a network may be recorded: its layers are known, and what else runs in fit belongs to fastcnn."""
    modules = [module for _, module in model.named_modules()]
    known = all(type(module) in _RECORDED and not module.replaced and not module.waiting for module in modules)
    return known and all(type(other).__module__.startswith("fastcnn.") for other in others)
