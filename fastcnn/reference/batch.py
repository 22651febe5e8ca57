"""A batch of normalised images out of a data set of bytes."""

from __future__ import annotations

from ._types import Array, Integers


def gather(images: Integers, index: Integers, mean: Array, std: Array) -> Array:
    """Pick images and return (image / 255 - mean) / std, in the dtype of mean.

    images uint8 (M, H, W, C), index int64 (N,), mean (C,), std (C,) -> (N, H, W, C).
    """
    scale = 1 / (255 * std)
    offset = -mean / std
    return images[index].astype(mean.dtype) * scale + offset
