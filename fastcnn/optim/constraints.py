"""What weights must keep to, whatever the gradients say."""

from __future__ import annotations

from collections.abc import Iterable

from .. import functional
from ..nn import Parameter
from ..nn.mode import changed
from ..nn.parameter import distinct
from ..shapes import ShapeError, real

__all__ = ["MaxNorm"]


class MaxNorm:
    """Keeps the weights of each unit within a norm: those above are scaled down to it.

    A unit's weights are all numbers of a parameter (..., K) that lead to one of its K outputs, such as a filter of a
    convolution. `fit(constraint=optim.MaxNorm([layer.weight], 3.0))` asks for it after each step; in a loop of your own,
    call it after the optimizer's step. Srivastava et al., "Dropout", JMLR 15, 2014, section 5.1. ShapeError,
    DTypeError, ValueError: an argument is unfit.
    """

    def __init__(self, parameters: Iterable[Parameter], limit: float) -> None:
        """Take the parameters."""
        self.parameters = distinct("MaxNorm", parameters)
        for parameter in self.parameters:
            if len(parameter.shape) < 2:
                raise ShapeError(f"MaxNorm: parameters holds {parameter!r}, expected two axes or more, the last of outputs")
        self.limit = real("MaxNorm", "limit", limit, 0.0)

    def __call__(self) -> None:
        """Scale down what is above the norm."""
        for parameter in self.parameters:
            functional.clip_norms(parameter._data, self.limit)
        changed()
