"""The optimizers, with PyTorch's defaults; a step is one kernel call over the flat buffers of each group.

The arguments `parameters`, `lr` and `weight_decay` are those of `Optimizer`; the formulas are in `functional`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import functional
from .groups import Parameters
from .optimizer import Optimizer

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "RMSprop"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if it is above 0; see `functional.sgd`.

    Parameters
    ----------
    parameters, lr : list, float
        As in `Optimizer`.
    momentum : float
        At least 0.
    nesterov : bool
        Needs momentum.
    weight_decay : float
        As in `Optimizer`.

    Examples
    --------
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> layer.weight.data = np.array([[1.0], [2.0]], np.float32)
    >>> layer.weight.grad = np.array([[1.0], [-1.0]], np.float32)
    >>> optim.SGD(layer.parameters(), lr=0.5).step()
    >>> layer.weight.data.ravel()
    array([0.5, 2.5], dtype=float32)
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
    """Adam: steps by running means of the gradients and of their squares; weight decay is added to the gradient.

    See `functional.adam`.

    Parameters
    ----------
    parameters, lr : list, float
        As in `Optimizer`.
    betas : pair of float
        Decay of the two means, from 0 up to, but not including, 1.
    eps : float
        At least 0.
    weight_decay : float
        As in `Optimizer`.
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
    """Adam whose weight decay shrinks the parameters themselves; arguments as of `Adam`, see `functional.adam`."""

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
    """RMSprop: gradients divided by the root of a running mean of their squares.

    See `functional.rmsprop`.

    Parameters
    ----------
    parameters, lr : list, float
        As in `Optimizer`.
    alpha : float
        Decay of the mean, from 0 to 1.
    eps : float
        At least 0.
    weight_decay : float
        As in `Optimizer`.
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
    """Adagrad: gradients divided by the root of the sum of all their squares so far.

    See `functional.adagrad`.

    Parameters
    ----------
    parameters, lr : list, float
        As in `Optimizer`.
    eps : float
        At least 0.
    weight_decay : float
        As in `Optimizer`.
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
    """Adadelta: gradients times the ratio of two running roots, of squared changes and of squared gradients.

    See `functional.adadelta`.

    Parameters
    ----------
    parameters, lr : list, float
        As in `Optimizer`.
    rho : float
        Decay of the two means, from 0 to 1.
    eps : float
        At least 0.
    weight_decay : float
        As in `Optimizer`.
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
    """Adam with a decaying maximum of |gradient| in place of the root of squares; see `Adam` and `functional.adamax`."""

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
    """Lion: steps of size lr by the sign of a mean of gradients; weight decay shrinks the parameters themselves.

    See `functional.lion`.

    Parameters
    ----------
    parameters, lr : list, float
        As in `Optimizer`.
    betas : pair of float
        Decay of the mean in the step and in the state, from 0 up to, but not including, 1.
    weight_decay : float
        As in `Optimizer`.
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
