"""A batch of normalised images out of a data set of bytes."""

from ._jit import kernel, parallel_kernel
from .scalar import natural


@kernel
def _normalise(images, source, scale, offset, batch, target, count):
    """batch = images * scale + offset for `count` bytes; scale and offset repeat with their own length."""
    period = len(scale)
    for first in range(0, count, period):
        read, write = natural(source + first), natural(target + first)
        for i in range(natural(min(period, count - first))):
            batch[write + i] = batch.dtype.type(images[read + i]) * scale[i] + offset[i]


@parallel_kernel
def gather(images, index, pixels, scale, offset, batch, worker, workers):
    """batch (N, pixels) = images[index] * scale + offset, for images (M, pixels) of bytes.

    A whole image at a time: where an augmented one is to be made, it takes the place of `_normalise`.
    """
    N = len(index)
    for n in range(N * worker // workers, N * (worker + 1) // workers):
        _normalise(images, index[n] * pixels, scale, offset, batch, n * pixels, pixels)
