"""The optimizers, with PyTorch's defaults; one kernel over the flat buffers makes a step."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .. import functional
from ..nn.parameter import Parameter
from ..shapes import ShapeError
from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum where asked.

    Sutskever, Martens, Dahl and Hinton, "On the importance of initialization and momentum", ICML 2013,
    section 2. ValueError: a number is out of range, or `nesterov` without momentum.
    """

    slots = ("velocity",)

    def __init__(
        self,
        parameters: Iterable[Parameter],
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

    def _update(self, data: np.ndarray, grad: np.ndarray, *, scale: float, zero: bool) -> None:
        functional.sgd(
            data,
            grad,
            self.state["velocity"],
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            step=self.steps,
            scale=scale,
            zero=zero,
        )


class Adam(Optimizer):
    """Steps of the size lr, by the means of gradients and of their squares; weight decay joins the gradient.

    Kingma and Ba, "Adam", ICLR 2015, algorithm 1. ValueError: a number is out of range.
    """

    slots = ("first", "second")
    _decoupled = False

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        """Check the numbers and gather the parameters."""
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ShapeError(f"{type(self).__name__}: betas is {betas!r}, expected a pair of numbers")
        self.betas = self._real("betas[0]", betas[0], below=1.0), self._real("betas[1]", betas[1], below=1.0)
        self.eps = self._real("eps", eps)
        super().__init__(parameters, lr, weight_decay)

    def _update(self, data: np.ndarray, grad: np.ndarray, *, scale: float, zero: bool) -> None:
        functional.adam(
            data,
            grad,
            self.state["first"],
            self.state["second"],
            lr=self.lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            eps=self.eps,
            weight_decay=self.weight_decay,
            decoupled=self._decoupled,
            step=self.steps,
            scale=scale,
            zero=zero,
        )


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters themselves.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, algorithm 2.
    """

    _decoupled = True

    def __init__(
        self,
        parameters: Iterable[Parameter],
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
        parameters: Iterable[Parameter],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        """Check the numbers and gather the parameters."""
        self.alpha, self.eps = self._real("alpha", alpha, maximum=1.0), self._real("eps", eps)
        super().__init__(parameters, lr, weight_decay)

    def _update(self, data: np.ndarray, grad: np.ndarray, *, scale: float, zero: bool) -> None:
        functional.rmsprop(
            data,
            grad,
            self.state["square"],
            lr=self.lr,
            alpha=self.alpha,
            eps=self.eps,
            weight_decay=self.weight_decay,
            scale=scale,
            zero=zero,
        )


class Adagrad(Optimizer):
    """Gradients divided by the root of the sum of all their squares so far.

    Duchi, Hazan and Singer, "Adaptive Subgradient Methods", JMLR 12, 2011, section 1.3. ValueError: a number
    is out of range.
    """

    slots = ("square",)

    def __init__(
        self, parameters: Iterable[Parameter], lr: float = 1e-2, eps: float = 1e-10, weight_decay: float = 0.0
    ) -> None:
        """Check the numbers and gather the parameters."""
        self.eps = self._real("eps", eps)
        super().__init__(parameters, lr, weight_decay)

    def _update(self, data: np.ndarray, grad: np.ndarray, *, scale: float, zero: bool) -> None:
        functional.adagrad(
            data,
            grad,
            self.state["square"],
            lr=self.lr,
            eps=self.eps,
            weight_decay=self.weight_decay,
            scale=scale,
            zero=zero,
        )
