"""Arguments that kernels of several families share: types of arrays, and records of arrays and numbers with names.

A kernel has at most eight parameters. What belongs together comes in one record: a NamedTuple of arrays and numbers, whose
fields compiled code reads as if each were an argument of its own, or an array of one record of integers (a geometry).
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]  # float32 or float64, contiguous; flat where a kernel says nothing else
Integers: TypeAlias = NDArray[np.int64]
Indices: TypeAlias = NDArray[np.int32]  # positions of pixels in an image, -1 for none
Bytes: TypeAlias = NDArray[np.uint8]
Booleans: TypeAlias = NDArray[np.bool_]
Geometry: TypeAlias = NDArray[np.void]  # one record (1,) of integers, such as those of a window
Width: TypeAlias = tuple[int, ...]  # an element for each vector of a tile's row: its length chooses among compiled tiles


class Follower(NamedTuple):
    """A launch whose shares read a chunk of y each, of `size` elements: run when it is written, while it is in the caches.

    There is none where there are no chunks.
    """

    written: Integers  # (chunks,) outputs of each chunk that are there so far
    frame: Bytes  # the launch, as `ParallelKernel.store` writes it,
    address: int  # of the frame,
    entry: int  # and of what runs a share of it
    size: int


NO_FOLLOWER = Follower(np.empty(0, np.int64), np.empty(0, np.uint8), 0, 0, 0)


class Epilogue(NamedTuple):
    """What is done to sums on their way to memory: y = sum + bias + residual, or 0 where that is below 0 with `relu`.

    `bias` (channels,) and `residual`, flat and of the size of y, are empty where there is none.
    """

    bias: Floats
    residual: Floats
    relu: bool
    follower: Follower = NO_FOLLOWER


class Maxima(NamedTuple):
    """What max pooling gives: y (N, P, Q, C), the pixel h * W + w that each element is from, and whether ReLU follows."""

    y: Floats
    argmax: Indices
    relu: bool


class Workspace(NamedTuple):
    """Working memory of one launch: each worker uses its own part of the floats and the integers."""

    floats: Floats
    integers: Integers
    counter: Integers  # of the tasks that workers claim: see `jit.launch.next_task`
