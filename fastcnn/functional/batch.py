"""A batch of normalised images out of a data set of bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import shapes
from ..kernels import batch as kernels
from ..kernels import threads
from ..shapes import DTypeError, ShapeError, same_shape
from . import arrays


def gather(images: Any, index: Any, mean: Any, std: Any, *, dtype: Any = None, out: Any = None) -> np.ndarray:
    """Pick images and return (image / 255 - mean) / std.

    images uint8 (M, H, W, C), index integers (N,), mean and std (C,) -> (N, H, W, C) of `dtype`, by default
    that of mean. ValueError: an index is not one of the M images, or std is not above 0.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise DTypeError(f"gather: images has dtype {images.dtype}, expected uint8")
    M, H, W, C = shapes.images("gather", "images", images.shape)
    images = np.require(images, requirements=["C", "A", "W"])
    chosen = _index(index, M)
    scale, offset = _scale_and_offset(mean, std, C, dtype)
    batch = arrays.as_output("gather", out, (len(chosen), H, W, C), scale.dtype)
    kernels.gather(images.reshape(-1), chosen, H * W * C, scale, offset, batch.reshape(-1),
                   threads.workers(batch.size))
    return batch


def _index(index: Any, M: int) -> np.ndarray:
    """Check that index (N,) holds numbers of images."""
    chosen = arrays.as_integers("gather", "index", index, arrays.INT64)
    if chosen.ndim != 1 or not len(chosen):
        raise ShapeError(f"gather: index has shape {chosen.shape}, expected (N,) with N of at least 1")
    if chosen.view(np.uint64).max() >= M:  # a negative index is a huge natural number
        first = int(((chosen < 0) | (chosen >= M)).argmax())
        raise ValueError(f"gather: index[{first}] is {chosen[first]}, expected 0 to {M - 1}")
    return chosen


def _scale_and_offset(mean: Any, std: Any, C: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return (scale, offset) with image * scale + offset = (image / 255 - mean) / std, repeated over some pixels."""
    mean, std = arrays.floats("gather", mean=mean, std=std)
    same_shape("gather", "mean", mean.shape, (C,), "the channels of images")
    same_shape("gather", "std", std.shape, (C,), "the channels of images")
    if not std.min() > 0:
        raise ValueError(f"gather: std holds {std.min()}, expected numbers above 0")
    result = np.dtype(mean.dtype if dtype is None else dtype)
    if result not in (arrays.FLOAT32, arrays.FLOAT64):
        raise DTypeError(f"gather: dtype is {result}, expected float32 or float64")
    channel = arrays.channel_of_lane(C)
    scale, offset = 1 / (255 * std.astype(np.float64)), -mean.astype(np.float64) / std
    return scale.astype(result)[channel], offset.astype(result)[channel]
