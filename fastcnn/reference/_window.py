"""Where a sliding window lies: paddings, and the pixels that one filter element meets."""

from __future__ import annotations

import numpy as np

from ._types import Padding, Pair, Sides


def pair(value: Pair) -> tuple[int, int]:
    """Return (rows, columns) of a setting given as one number or as two."""
    rows, columns = np.broadcast_to(value, 2).tolist()
    return rows, columns


def sides(
    padding: Padding, image: tuple[int, int], kernel: tuple[int, int], stride: Pair, dilation: Pair
) -> Sides:
    """Return ((top, bottom), (left, right)) for any form of padding; image is (H, W), kernel (R, S).

    "same" makes ceil(H / stride) output rows; of an odd total, the larger half goes to the bottom and right.
    """
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        outputs = -(-np.array(image) // pair(stride))
        last_start = (outputs - 1) * pair(stride)
        extent = (np.array(kernel) - 1) * pair(dilation) + 1
        total = np.maximum(0, last_start + extent - image)
        (top, left), (bottom, right) = (total // 2).tolist(), (total - total // 2).tolist()
    else:
        given = np.array(padding)
        per_axis = given[:, np.newaxis] if given.ndim == 1 else given
        (top, bottom), (left, right) = np.broadcast_to(per_axis, (2, 2)).tolist()
    return (top, bottom), (left, right)


def window(
    padded: np.ndarray, row: int, column: int, outputs: tuple[int, int], stride: tuple[int, int]
) -> np.ndarray:
    """View what the filter element at (row, column) meets for every output pixel.

    padded (N, H + padding, W + padding, C) -> (N, P, Q, C); outputs is (P, Q).
    """
    rows = slice(row, row + (outputs[0] - 1) * stride[0] + 1, stride[0])
    columns = slice(column, column + (outputs[1] - 1) * stride[1] + 1, stride[1])
    return padded[:, rows, columns]
