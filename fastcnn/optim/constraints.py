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
    """Scale the weights of each unit down to a norm where theirs is larger.

    The weights of a unit are those of a parameter (..., K) that lead to one of its K outputs, such as a filter of a
    convolution. Pass it to `fit` as `constraint`, or call it after the step of the optimizer.

    Parameters
    ----------
    parameters : iterable of Parameter
        With two axes or more.
    limit : float
        At least 0.

    Raises
    ------
    ShapeError, DTypeError, ValueError
        An argument is out of range.

    References
    ----------
    Srivastava et al., "Dropout", JMLR 15, 2014, section 5.1.

    Examples
    --------
    >>> layer = nn.Linear(2, 1)
    >>> layer.weight.data = np.array([[3.0], [4.0]], np.float32)
    >>> optim.MaxNorm([layer.weight], limit=1.0)()
    >>> layer.weight.data.ravel().round(4)
    array([0.6, 0.8], dtype=float32)
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
