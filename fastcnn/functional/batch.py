"""Batches of normalised images out of a data set of bytes, as they are or changed at random."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import shapes
from ..kernels import batch as kernels
from ..kernels.batch import Colours, Picks
from ..kernels.jit import threads
from ..runtime import buffers
from ..shapes import DTypeError, ShapeError, same_shape
from . import arrays

__all__ = ["CHANGE", "augment", "gather"]

# What is done to one image: see `augment`.
CHANGE = np.dtype((np.record, [
    ("matrix", np.float64, (2, 2)), ("shift", np.float64, (2,)), ("gain", np.float64), ("lift", np.float64),
    ("hole", np.int64, (4,)), ("partner", np.int64), ("share", np.float64)]))
_BYTE = np.dtype(np.uint8)
_FARTHEST = 1e6  # so that no place in an image overflows
_LARGEST = 1e38  # of what multiplies an image or is added to it
_GRAIN = 1 << 15  # elements that are worth a thread of their own


class _Size(NamedTuple):
    H: int
    W: int
    C: int


def gather(images: Any, index: Any, mean: Any, std: Any, *, dtype: Any = None, out: Any = None) -> np.ndarray:
    """Pick images of a data set and normalise them: y[n] = (images[index[n]] / 255 - mean) / std.

    Parameters
    ----------
    images : (M, H, W, C) array of uint8
    index : (N,) array of int
    mean, std : (C,) array
        On a scale on which a byte is a number from 0 to 1.
    dtype : float32 or float64, optional
        Of the result; by default that of mean.
    out : (N, H, W, C) array, optional
        Receives the result.

    Returns
    -------
    y : (N, H, W, C) array

    Raises
    ------
    ValueError
        An index is not from 0 to M - 1, or std is not above 0.

    Examples
    --------
    >>> images = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    >>> F.gather(images, [2, 1], mean=np.zeros(1), std=np.ones(1)).ravel()
    array([1. , 0.2])
    """
    images = np.asarray(images)
    if images.dtype != _BYTE:
        raise DTypeError(f"gather: images has dtype {images.dtype}, expected uint8")
    M, H, W, C = shapes.images("gather", "images", images.shape)
    images = np.require(images, requirements=["C", "A", "W"])
    chosen = _index("gather", index, M)
    scale, offset = _scale_and_offset("gather", mean, std, C, 255, dtype)
    batch = arrays.as_output("gather", out, (len(chosen), H, W, C), scale.dtype)
    kernels.gather(images.reshape(-1), chosen, H * W * C, scale, offset, batch.reshape(-1),
                   threads.workers(batch.size))
    return batch


def augment(images: Any, index: Any, changes: Any, mean: Any, std: Any, *, dtype: Any = None, out: Any = None) -> np.ndarray:
    """Pick images, change each as its record says, and normalise them: y = (image / 255 - mean) / std.

    Parameters
    ----------
    images : (M, H, W, C) array of uint8 or floats
        Floats are not divided by 255.
    index : (N,) array of int
    changes : (M,) array of dtype `CHANGE`
        A record for each image, see Notes.
    mean, std : (C,) array
    dtype : float32 or float64, optional
        Of the result; by default that of mean.
    out : (N, H, W, C) array, optional
        Receives the result.

    Returns
    -------
    y : (N, H, W, C) array

    Raises
    ------
    ValueError
        An index or partner is not from 0 to M - 1, std is not above 0, or a field of a record in use is out of range.

    Notes
    -----
    The fields of a record, in the order in which they are applied:

    - `gain`, `lift`: a value becomes value * gain + lift, and bytes are clipped to 0 to 255.
    - `matrix`, `shift`: pixel (row, column), counted from the middle of the image, takes the value at
      matrix @ (row, column) + shift, by bilinear interpolation, with zeros around the image.
    - `hole`: rows hole[0] to hole[1] - 1 of columns hole[2] to hole[3] - 1 become the mean, as far as the image has them.
    - `share`, `partner`: the result is share times this image plus 1 - share times image `partner`, which is changed as its
      own record says but not mixed.

    Examples
    --------
    >>> images = np.array([0, 51, 102], np.uint8).reshape(1, 1, 3, 1)
    >>> changes = np.zeros(1, F.CHANGE)
    >>> changes["gain"], changes["share"], changes["matrix"] = 1, 1, [[1, 0], [0, -1]]
    >>> F.augment(images, [0], changes, mean=np.zeros(1), std=np.ones(1)).ravel()  # mirrored, left and right
    array([0.4, 0.2, 0. ])
    """
    images = np.asarray(images)
    if images.dtype != _BYTE:
        images = arrays.as_floats("augment", "images", images)
    M, H, W, C = shapes.images("augment", "images", images.shape)
    images = np.require(images, requirements=["C", "A", "W"])
    low, high, unit = (0.0, 255.0, 255) if images.dtype == _BYTE else (-math.inf, math.inf, 1)
    chosen = _index("augment", index, M)
    scale, offset = _scale_and_offset("augment", mean, std, C, unit, dtype)
    batch = arrays.as_output("augment", out, (len(chosen), H, W, C), scale.dtype)
    workers = threads.workers(batch.size, _GRAIN)
    kernels.augment(images.reshape(-1), _picks(chosen, changes, M), arrays.record(_Size(H, W, C)),
                    Colours(scale, offset, low, high),
                    buffers.workspace("augment", workers * ((H + 2) * (W + 2) + H * W) * C, scale.dtype), batch.reshape(-1),
                    workers)
    return batch


def _index(function: str, index: Any, M: int) -> np.ndarray:
    """Check that index (N,) holds numbers of images."""
    chosen = arrays.as_integers(function, "index", index, arrays.INT64)
    if chosen.ndim != 1 or not len(chosen):
        raise ShapeError(f"{function}: index has shape {chosen.shape}, expected (N,) with N of at least 1")
    _require_images(function, "index", chosen, M)
    return chosen


def _require_images(function: str, name: str, places: np.ndarray, M: int) -> None:
    """ValueError unless all of `places` are numbers of images."""
    if places.view(np.uint64).max() >= M:  # a negative index is a huge natural number
        first = int(((places < 0) | (places >= M)).argmax())
        raise ValueError(f"{function}: {name}[{first}] is {places[first]}, expected 0 to {M - 1}")


def _picks(chosen: np.ndarray, changes: Any, M: int) -> Picks:
    """Return index and records of the chosen images and, where any is mixed, behind them those of the partners."""
    table = np.asarray(changes)
    if not np.can_cast(table.dtype, CHANGE, "equiv"):
        raise DTypeError(f"augment: changes has dtype {table.dtype}, expected functional.CHANGE")
    same_shape("augment", "changes", table.shape, (M,), "one for each image")
    records = np.require(table[chosen], CHANGE, ["C", "A", "W"])
    _require_within("share", records["share"], 0, 1)
    if records["share"].min() < 1:
        partners = np.ascontiguousarray(records["partner"])
        _require_images("augment", "partner", partners, M)
        chosen = np.concatenate([chosen, partners])
        records = np.require(table[chosen], CHANGE, ["C", "A", "W"])
    for name in ("matrix", "shift", "gain", "lift"):
        _require_within(name, records[name], -_FARTHEST, _FARTHEST)
    return Picks(chosen, records)


def _require_within(name: str, values: np.ndarray, least: float, most: float) -> None:
    """ValueError unless all values lie from least to most."""
    if not (values.min() >= least and values.max() <= most):
        raise ValueError(f"augment: changes hold a {name} from {values.min()} to {values.max()}, "
                         f"expected numbers from {least:g} to {most:g}")


def _scale_and_offset(function: str, mean: Any, std: Any, C: int, unit: int, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return (scale, offset) with image * scale + offset = (image / unit - mean) / std, repeated over some pixels."""
    mean, std = arrays.floats(function, mean=mean, std=std)
    same_shape(function, "mean", mean.shape, (C,), "the channels of images")
    same_shape(function, "std", std.shape, (C,), "the channels of images")
    if not std.min() > 0:
        raise ValueError(f"{function}: std holds {std.min()}, expected numbers above 0")
    result = np.dtype(mean.dtype if dtype is None else dtype)
    if result not in (arrays.FLOAT32, arrays.FLOAT64):
        raise DTypeError(f"{function}: dtype is {result}, expected float32 or float64")
    channel = arrays.channel_of_lane(C)
    scale, offset = 1 / (unit * std.astype(np.float64)), -mean.astype(np.float64) / std
    if not (scale.min() > 0 and scale.max() < _LARGEST and np.abs(offset).max() < _LARGEST):
        raise ValueError(f"{function}: mean is {mean} and std {std}, expected finite numbers whose quotients are finite too")
    return scale.astype(result)[channel], offset.astype(result)[channel]
