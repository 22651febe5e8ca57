"""Batches of normalised images out of a data set of bytes, as they are or changed at random."""

import math

from .jit.compile import inline_kernel, kernel, parallel_kernel
from .vector.scalar import ONE, ZERO, unsigned


@kernel
def _normalise(images, source, scale, offset, batch, target, count):
    """batch = images * scale + offset for `count` bytes; scale and offset repeat with their own length."""
    period = len(scale)
    for first in range(0, count, period):
        read, write = unsigned(source + first), unsigned(target + first)
        for i in range(unsigned(min(period, count - first))):
            batch[write + i] = batch.dtype.type(images[read + i]) * scale[i] + offset[i]


@parallel_kernel
def gather(images, index, pixels, scale, offset, batch, worker, workers):
    """batch (N, pixels) = images[index] * scale + offset, for images (M, pixels) of bytes."""
    N = len(index)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        _normalise(images, index[n] * pixels, scale, offset, batch, n * pixels, pixels)


# A changed image is made in working memory: from position `framed` on lies (H + 2, W + 2, C), the image in a border of black
# pixels, and from `image` on (H, W, C), what becomes of it.


@kernel
def _blacken(scratch, framed, H, W, C, offset):
    """Make all that is framed black."""
    period, count = len(offset), (H + 2) * (W + 2) * C
    for first in range(0, count, period):
        write = unsigned(framed + first)
        for i in range(unsigned(min(period, count - first))):
            scratch[write + i] = offset[i]


@kernel
def _colour(images, source, H, W, C, change, low, high, scale, offset, scratch, framed):
    """The inside of the frame = an image with brightness and contrast changed, normalised."""
    real = scratch.dtype.type
    gain, lift, least, most = real(change.gain), real(change.lift), real(low), real(high)
    period, width = len(scale), W * C
    for p in range(H):
        row, inside = source + p * width, framed + ((p + 1) * (W + 2) + 1) * C
        for first in range(0, width, period):
            read, write = unsigned(row + first), unsigned(inside + first)
            for i in range(unsigned(min(period, width - first))):
                value = real(images[read + i]) * gain + lift
                scratch[write + i] = min(max(value, least), most) * scale[i] + offset[i]


@inline_kernel
def _is_move(change):
    """Whether whole pixels come from whole pixels: shifts and mirrors."""
    matrix, shift = change.matrix, change.shift
    straight = matrix[0, 0] == 1 and matrix[0, 1] == 0 and matrix[1, 0] == 0 and abs(matrix[1, 1]) == 1
    return straight and shift[0] == math.floor(shift[0]) and shift[1] == math.floor(shift[1])


@kernel
def _copy(scratch, source, target, count):
    """Copy `count` elements."""
    read, write = unsigned(source), unsigned(target)
    for i in range(unsigned(count)):
        scratch[write + i] = scratch[read + i]


@kernel
def _copy_mirrored(scratch, source, C, target, count):
    """Copy `count` pixels that lie from right to left, the first of them at `source`."""
    for q in range(count):
        read, write = unsigned(source - q * C), unsigned(target + q * C)
        for c in range(unsigned(C)):
            scratch[write + c] = scratch[read + c]


@kernel
def _move(scratch, framed, H, W, C, change, image):
    """Take pixels that lie shift[0] rows and shift[1] columns away, perhaps mirrored.

    Columns before `first` and from `last` on come from outside: they are those of the first framed row, which is black.
    """
    down, right, mirrored = int(change.shift[0]), min(max(int(change.shift[1]), -W), W), change.matrix[1, 1] < 0
    first = max(right if mirrored else -right, 0)
    last = W + min(right if mirrored else -right, 0)
    for p in range(H):
        row = framed + (min(max(p + down + 1, 0), H + 1) * (W + 2) + 1) * C
        target = image + p * W * C
        _copy(scratch, framed, target, first * C)
        if mirrored:
            _copy_mirrored(scratch, row + (right + W - 1 - first) * C, C, target + first * C, last - first)
        else:
            _copy(scratch, row + (right + first) * C, target + first * C, (last - first) * C)
        _copy(scratch, framed, target + last * C, (W - last) * C)


@kernel
def _warp(scratch, framed, H, W, C, change, image):
    """Take what lies at the places matrix @ (p, q) + shift, by bilinear interpolation.

    A place beyond the black border is as black as the border itself.
    """
    real, matrix = scratch.dtype.type, change.matrix
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
                upper = scratch[c] * left + scratch[c + pixel] * right
                lower = scratch[c + line] * left + scratch[c + line + pixel] * right
                scratch[write + c - read] = upper * up + lower * down


@kernel
def _cut(scratch, H, W, C, change, image):
    """Set the part of a hole that lies in the image to zero, which is the mean."""
    hole = change.hole
    left = min(max(hole[2], 0), W)
    right = min(max(hole[3], left), W)
    for p in range(max(hole[0], 0), min(hole[1], H)):
        row = image + p * W * C
        for i in range(unsigned(row + left * C), unsigned(row + right * C)):
            scratch[i] = ZERO


@kernel
def _add(scratch, image, share, batch, target, count, first):
    """batch = share * image, or that much more where it is not the first."""
    read, write = unsigned(image), unsigned(target)
    for i in range(unsigned(count)):
        before = ZERO if first else batch[write + i]
        batch[write + i] = before + scratch[read + i] * share


@parallel_kernel
def augment(images, index, H, W, C, changes, low, high, scale, offset, scratch, batch, worker, workers):
    """batch (N, H, W, C) = images[index] changed as `changes` say, normalised.

    index and changes have one element for each image of the batch; where any is mixed, those of the partners follow.
    Values before normalisation stay from low to high. scratch has room for a framed image and an image of each worker.
    """
    pixels, room = H * W * C, (H + 2) * (W + 2) * C
    framed = worker * (room + pixels)
    image, N = framed + room, len(batch) // pixels
    _blacken(scratch, framed, H, W, C, offset)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        share = batch.dtype.type(changes[n].share)
        for m in range(n, n + 1 if share == ONE else n + N + 1, N):  # the image, then its partner
            change = changes[m]
            _colour(images, index[m] * pixels, H, W, C, change, low, high, scale, offset, scratch, framed)
            if _is_move(change):
                _move(scratch, framed, H, W, C, change, image)
            else:
                _warp(scratch, framed, H, W, C, change, image)
            _cut(scratch, H, W, C, change, image)
            _add(scratch, image, share if m == n else ONE - share, batch, n * pixels, pixels, m == n)
