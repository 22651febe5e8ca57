"""Random changes of training images: functions of seed, epoch and image alone, whatever the batch."""

from __future__ import annotations

import numpy as np

AUGMENTATIONS = (None, "crop-flip")
_REACH = 4  # pixels


class CropFlip:
    """Shifts each image by up to 4 pixels in each direction, zeros coming in, and mirrors every other one.

    He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
    """

    def __init__(self, count: int, seed: int, epoch: int) -> None:
        """Draw the changes of `count` images for an epoch."""
        random = np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, 0, 1]))
        self.shifts = random.integers(0, 2 * _REACH + 1, (2, count), np.uint8)
        self.mirrored = random.integers(0, 2, count, np.uint8).astype(bool)

    def __call__(self, images: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Return images[index], (N, H, W, C), changed."""
        _, H, W, _ = images.shape
        padded = np.pad(images[index], ((0, 0), (_REACH, _REACH), (_REACH, _REACH), (0, 0)))
        rows = self.shifts[0, index, None] + np.arange(H)
        columns = self.shifts[1, index, None] + np.arange(W)
        columns = np.where(self.mirrored[index, None], columns[:, ::-1], columns)
        return padded[np.arange(len(index))[:, None, None], rows[:, :, None], columns[:, None, :]]
