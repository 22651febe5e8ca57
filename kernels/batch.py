"""Batches of normalised images out of a data set of bytes, as they are or changed at random."""

from __future__ import annotations

import math
from typing import NamedTuple

from .arguments import Bytes, Floats, Geometry, Integers
from .jit.compile import inline_kernel, kernel, parallel_kernel
from .vector.scalar import ONE, ZERO, unsigned


class Colours(NamedTuple):
    """How values become a batch: those below `low` or above `high` are cut off, the result is value * scale + offset.

    scale and offset repeat with their own length.
    """

    scale: Floats
    offset: Floats
    low: float
    high: float


class Picks(NamedTuple):
    """What becomes an image of the batch: the image at an index, changed as a record says.

    Both have one element for each image of the batch; where any is mixed, those of the partners follow.
    """

    index: Integers
    changes: Geometry  # records of functional.batch.CHANGE


@kernel
def _normalise(images, source, scale, offset, batch, target, count):
    """batch = images * scale + offset for `count` bytes; scale and offset repeat with their own length."""
    period = len(scale)
    for first in range(0, count, period):
        read, write = unsigned(source + first), unsigned(target + first)
        for i in range(unsigned(min(period, count - first))):
            batch[write + i] = batch.dtype.type(images[read + i]) * scale[i] + offset[i]


@parallel_kernel
def gather(images: Bytes, index: Integers, pixels: int, scale: Floats, offset: Floats, batch: Floats, worker: int,
           workers: int) -> None:
    """batch (N, pixels) = images[index] * scale + offset, for images (M, pixels) of bytes."""
    N = len(index)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        _normalise(images, index[n] * pixels, scale, offset, batch, n * pixels, pixels)


# A changed image is made in working memory: from position `framed` on lies (H + 2, W + 2, C), the image in a border of black
# pixels, and from `image` on (H, W, C), what becomes of it.


@kernel
def _blacken(workspace, framed, count, offset):
    """Make `count` elements of a frame black."""
    period = len(offset)
    for first in range(0, count, period):
        write = unsigned(framed + first)
        for i in range(unsigned(min(period, count - first))):
            workspace[write + i] = offset[i]


@kernel
def _colour(images, source, size, change, colours, workspace, framed):
    """The inside of the frame = an image with brightness and contrast changed, normalised."""
    real, scale, offset = workspace.dtype.type, colours.scale, colours.offset
    gain, lift, least, most = real(change.gain), real(change.lift), real(colours.low), real(colours.high)
    period, width = len(scale), size.W * size.C
    for p in range(size.H):
        row, inside = source + p * width, framed + ((p + 1) * (size.W + 2) + 1) * size.C
        for first in range(0, width, period):
            read, write = unsigned(row + first), unsigned(inside + first)
            for i in range(unsigned(min(period, width - first))):
                value = real(images[read + i]) * gain + lift
                workspace[write + i] = min(max(value, least), most) * scale[i] + offset[i]


@inline_kernel
def _is_move(change):
    """Whether whole pixels come from whole pixels: shifts and mirrors."""
    matrix, shift = change.matrix, change.shift
    straight = matrix[0, 0] == 1 and matrix[0, 1] == 0 and matrix[1, 0] == 0 and abs(matrix[1, 1]) == 1
    return straight and shift[0] == math.floor(shift[0]) and shift[1] == math.floor(shift[1])


@kernel
def _copy(workspace, source, target, count):
    """Copy `count` elements."""
    read, write = unsigned(source), unsigned(target)
    for i in range(unsigned(count)):
        workspace[write + i] = workspace[read + i]


@kernel
def _copy_mirrored(workspace, source, C, target, count):
    """Copy `count` pixels that lie from right to left, the first of them at `source`."""
    for q in range(count):
        read, write = unsigned(source - q * C), unsigned(target + q * C)
        for c in range(unsigned(C)):
            workspace[write + c] = workspace[read + c]


@kernel
def _move(workspace, framed, H, W, C, change, image):
    """Take pixels that lie shift[0] rows and shift[1] columns away, perhaps mirrored.

    Columns before `first` and from `last` on come from outside: they are those of the first framed row, which is black.
    """
    down, right, mirrored = int(change.shift[0]), min(max(int(change.shift[1]), -W), W), change.matrix[1, 1] < 0
    first = max(right if mirrored else -right, 0)
    last = W + min(right if mirrored else -right, 0)
    for p in range(H):
        row = framed + (min(max(p + down + 1, 0), H + 1) * (W + 2) + 1) * C
        target = image + p * W * C
        _copy(workspace, framed, target, first * C)
        if mirrored:
            _copy_mirrored(workspace, row + (right + W - 1 - first) * C, C, target + first * C, last - first)
        else:
            _copy(workspace, row + (right + first) * C, target + first * C, (last - first) * C)
        _copy(workspace, framed, target + last * C, (W - last) * C)


@kernel
def _warp(workspace, framed, H, W, C, change, image):
    """Take what lies at the places matrix @ (p, q) + shift, by bilinear interpolation.

    A place beyond the black border is as black as the border itself.
    """
    real, matrix = workspace.dtype.type, change.matrix
    middle, centre = (H - 1) / 2, (W - 1) / 2
    pixel, line = unsigned(C), unsigned((W + 2) * C)
    for p in range(H):
        y0 = matrix[0, 0] * (p - middle) - matrix[0, 1] * centre + change.shift[0] + middle + 1
        x0 = matrix[1, 0] * (p - middle) - matrix[1, 1] * centre + change.shift[1] + centre + 1
        for q in range(W):
            y = min(max(y0 + matrix[0, 1] * q, 0.0), H + 1.0)
            x = min(max(x0 + matrix[1, 1] * q, 0.0), W + 1.0)
            row, column = min(int(y), H), min(int(x), W)
            down, right = real(y - row), real(x - column)
            up, left = ONE - down, ONE - right
            read, write = unsigned(framed + (row * (W + 2) + column) * C), unsigned(image + (p * W + q) * C)
            for c in range(read, read + pixel):  # from 0, LLVM would make vectors of these few steps, at thrice the time
                upper = workspace[c] * left + workspace[c + pixel] * right
                lower = workspace[c + line] * left + workspace[c + line + pixel] * right
                workspace[write + c - read] = upper * up + lower * down


@kernel
def _cut(workspace, H, W, C, change, image):
    """Set the part of a hole that lies in the image to zero, which is the mean."""
    hole = change.hole
    left = min(max(hole[2], 0), W)
    right = min(max(hole[3], left), W)
    for p in range(max(hole[0], 0), min(hole[1], H)):
        row = image + p * W * C
        for i in range(unsigned(row + left * C), unsigned(row + right * C)):
            workspace[i] = ZERO


@kernel
def _add(workspace, image, share, batch, target, count, first):
    """batch = share * image, or that much more where it is not the first."""
    read, write = unsigned(image), unsigned(target)
    for i in range(unsigned(count)):
        before = ZERO if first else batch[write + i]
        batch[write + i] = before + workspace[read + i] * share


@parallel_kernel
def augment(images: Bytes | Floats, picks: Picks, sizes: Geometry, colours: Colours, workspace: Floats, batch: Floats,
            worker: int, workers: int) -> None:
    """batch (N, H, W, C) = picked images, changed and normalised. Workspace: a framed image and an image of each worker."""
    size, changes = sizes[0], picks.changes
    H, W, C = size.H, size.W, size.C
    pixels, room = H * W * C, (H + 2) * (W + 2) * C
    framed = worker * (room + pixels)
    image, N = framed + room, len(batch) // pixels
    _blacken(workspace, framed, room, colours.offset)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        share = batch.dtype.type(changes[n].share)
        for m in range(n, n + 1 if share == ONE else n + N + 1, N):  # the image, then its partner
            change = changes[m]
            _colour(images, picks.index[m] * pixels, size, change, colours, workspace, framed)
            if _is_move(change):
                _move(workspace, framed, H, W, C, change, image)
            else:
                _warp(workspace, framed, H, W, C, change, image)
            _cut(workspace, H, W, C, change, image)
            _add(workspace, image, share if m == n else ONE - share, batch, n * pixels, pixels, m == n)
