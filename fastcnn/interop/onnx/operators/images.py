"""Between the axes of ONNX, (N, C, H, W), and those of fastcnn."""

from __future__ import annotations

import numpy as np

from ..calls import UnsupportedError


def channels_last(x: np.ndarray, what: str = "x") -> np.ndarray:
    """Return (N, H, W, C); UnsupportedError: it is no batch of images."""
    if x.ndim != 4:
        raise UnsupportedError(f"{what} has {x.ndim} dimensions, expected 4: images")
    return x.transpose(0, 2, 3, 1)


def channels_first(y: np.ndarray) -> np.ndarray:
    """Return (N, C, H, W)."""
    return y.transpose(0, 3, 1, 2)


def filters_last(weight: np.ndarray) -> np.ndarray:
    """Return filters (R, S, C // groups, K), or those of a transposed convolution (R, S, K // groups, C)."""
    if weight.ndim != 4:
        raise UnsupportedError(f"weight has {weight.ndim} dimensions, expected 4: filters of images")
    return weight.transpose(2, 3, 1, 0)
