"""The optimizers, with PyTorch's defaults; one kernel over the flat buffers makes a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import functional
from .groups import Parameters
from .optimizer import Optimizer

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "RMSprop"]


class SGD(Optimizer):
    """Gradient descent, with momentum where asked.

    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum", ICML 2013,
    section 2. ValueError: a number is out of range, or `nesterov` without momentum.
    """

    slots = ("velocity",)

    def __init__(
        self,
        parameters: Parameters,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        """Check the numbers and gather the parameters."""
        self.momentum, self.nesterov = self._real("momentum", momentum), bool(nesterov)
        if nesterov and not self.momentum:
            raise ValueError("SGD: nesterov is True, expected False where momentum is 0")
        super().__init__(parameters, lr, weight_decay)

    def _update(self, data: np.ndarray, grad: np.ndarray, state: Sequence[np.ndarray], **options: Any) -> None:
        functional.sgd(data, grad, *state, momentum=self.momentum, nesterov=self.nesterov, step=self.steps, **options)


class Adam(Optimizer):
    """Steps of the size lr, by the means of gradients and of their squares; weight decay joins the gradient.

    Kingma and Ba, "Adam", ICLR 2015, algorithm 1. ValueError: a number is out of range.
    """

    slots = ("first", "second")
    _decoupled = False

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        """Check the numbers and gather the parameters."""
        self.betas = self._pair_of_betas(betas)
        self.eps = self._real("eps", eps)
        super().__init__(parameters, lr, weight_decay)

    def _update(self, data: np.ndarray, grad: np.ndarray, state: Sequence[np.ndarray], **options: Any) -> None:
        functional.adam(data, grad, *state, beta1=self.betas[0], beta2=self.betas[1], eps=self.eps,
                        decoupled=self._decoupled, step=self.steps, **options)


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters themselves.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.
    """

    _decoupled = True

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        """Check the numbers and gather the parameters."""
        super().__init__(parameters, lr, betas, eps, weight_decay)


class RMSprop(Optimizer):
    """Gradients divided by the root of a running mean of their squares.

    Tieleman and Hinton, "Neural Networks for Machine Learning", 2012, lecture 6.5. ValueError: a number is
    out of range.
    """

    slots = ("square",)

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        """Check the numbers and gather the parameters."""
        self.alpha, self.eps = self._real("alpha", alpha, maximum=1.0), self._real("eps", eps)
        super().__init__(parameters, lr, weight_decay)

    def _update(self, data: np.ndarray, grad: np.ndarray, state: Sequence[np.ndarray], **options: Any) -> None:
        functional.rmsprop(data, grad, *state, alpha=self.alpha, eps=self.eps, **options)


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares so far.

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods", JMLR 12, 2011, section 1.3. ValueError: a number
    is out of range.
    """

    slots = ("square",)

    def __init__(
        self, parameters: Parameters, lr: float = 1e-2, eps: float = 1e-10, weight_decay: float = 0.0
    ) -> None:
        """Check the numbers and gather the parameters."""
        self.eps = self._real("eps", eps)
        super().__init__(parameters, lr, weight_decay)

    def _update(self, data: np.ndarray, grad: np.ndarray, state: Sequence[np.ndarray], **options: Any) -> None:
        functional.adagrad(data, grad, *state, eps=self.eps, **options)


class Adadelta(Optimizer):
    """Gradients times the ratio of two running roots, of squared changes and of squared gradients.

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1. ValueError: a number is out of range.
    """

    slots = ("square", "change")

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        """Check the numbers and gather the parameters."""
        self.rho, self.eps = self._real("rho", rho, maximum=1.0), self._real("eps", eps)
        super().__init__(parameters, lr, weight_decay)

    def _update(self, data: np.ndarray, grad: np.ndarray, state: Sequence[np.ndarray], **options: Any) -> None:
        functional.adadelta(data, grad, *state, rho=self.rho, eps=self.eps, **options)


class Adamax(Optimizer):
    """Adam with a fading maximum of the gradients' sizes in place of the root of their squares.

    Kingma and Ba, "Adam", ICLR 2015, algorithm 2. ValueError: a number is out of range.
    """

    slots = ("first", "largest")

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        """Check the numbers and gather the parameters."""
        self.betas, self.eps = self._pair_of_betas(betas), self._real("eps", eps)
        super().__init__(parameters, lr, weight_decay)

    def _update(self, data: np.ndarray, grad: np.ndarray, state: Sequence[np.ndarray], **options: Any) -> None:
        functional.adamax(data, grad, *state, beta1=self.betas[0], beta2=self.betas[1], eps=self.eps, step=self.steps,
                          **options)


class Lion(Optimizer):
    """Steps of the size lr against the sign of a mean of gradients; weight decay shrinks the parameters themselves.

    Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, algorithm 2. ValueError: a number is out of
    range.
    """

    slots = ("first",)

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        """Check the numbers and gather the parameters."""
        self.betas = self._pair_of_betas(betas)
        super().__init__(parameters, lr, weight_decay)

    def _update(self, data: np.ndarray, grad: np.ndarray, state: Sequence[np.ndarray], **options: Any) -> None:
        functional.lion(data, grad, *state, beta1=self.betas[0], beta2=self.betas[1], **options)
