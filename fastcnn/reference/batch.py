"""Batches of normalised images out of a data set of bytes, as they are or changed at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._types import Array, Integers

__all__ = ["augment", "gather"]


def gather(images: Integers, index: Integers, mean: Array, std: Array) -> Array:
    """Pick images and return (image / 255 - mean) / std, in the dtype of mean.

    images uint8 (M, H, W, C), index int64 (N,), mean (C,), std (C,) -> (N, H, W, C).
    """
    scale = 1 / (255 * std)
    offset = -mean / std
    return images[index].astype(mean.dtype) * scale + offset


def augment(images: Any, index: Integers, changes: Any, mean: Array, std: Array) -> Array:
    """Pick images, change each as its record says, and return (image / 255 - mean) / std, in the dtype of mean.

    images uint8 (M, H, W, C), or floats, which are not divided by 255; index int64 (N,); changes (M,) with the fields
    matrix (2, 2), shift (2,), gain, lift, hole (4,), partner, share; mean and std (C,) -> (N, H, W, C).
    """
    own = np.stack([_changed(images[m], changes[m], mean, std) for m in index])
    other = np.stack([_changed(images[m], changes[m], mean, std) for m in changes["partner"][index]])
    share = changes["share"][index].reshape(-1, 1, 1, 1)
    return (share * own + (1 - share) * other).astype(mean.dtype)


def _changed(image: Any, change: Any, mean: Array, std: Array) -> Array:
    """Return one image (H, W, C) in new colours, moved, normalised and with a hole; all in float64."""
    colours = image * change["gain"] + change["lift"]
    if image.dtype == np.uint8:
        colours = np.clip(colours, 0, 255) / 255
    result = (_placed(colours, change["matrix"], change["shift"]) - mean) / std
    top, bottom, left, right = np.maximum(change["hole"], 0)
    result[top:bottom, left:right] = 0
    return np.asarray(result)


def _placed(image: Array, matrix: Array, shift: Array) -> Array:
    """Return the image (H, W, C) whose pixel (p, q) is that at matrix @ (p, q) + shift, both counted from the middle.

    Between pixels, each of the four around has the share that is left of 1 in both directions; outside are zeros.
    """
    H, W, _ = image.shape
    middle = np.array([H - 1, W - 1]) / 2
    place = (np.moveaxis(np.indices((H, W)), 0, -1) - middle) @ matrix.T + shift + middle
    result = np.zeros(image.shape)
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        pixel = np.floor(place).astype(int) + corner
        row, column = np.moveaxis(pixel, -1, 0)
        share = (1 - np.abs(place - pixel)).prod(axis=-1)
        inside = (row >= 0) & (row < H) & (column >= 0) & (column < W)
        result[inside] += share[inside, np.newaxis] * image[row[inside], column[inside]]
    return result
