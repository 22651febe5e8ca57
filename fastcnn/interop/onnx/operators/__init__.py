"""The operators of ONNX on arrays, by the functions of `fastcnn.functional`; images are (N, C, H, W) as in the standard.

Each takes the `Call` and its inputs, None for those that are left out, and returns an array or a tuple of arrays.
"""

from collections.abc import Callable
from typing import Any

from . import activation, loss, norm, optim, pool, quantised, shape, spatial

TABLE: dict[str, Callable[..., Any]] = {
    **activation.TABLE, **loss.TABLE, **norm.TABLE, **optim.TABLE, **pool.TABLE, **quantised.TABLE, **shape.TABLE,
    **spatial.TABLE,
}
