"""A drawing on a square of grey pixels becomes an image as a model knows it from its training."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

SIDE = 280  # pixels of a drawing, in rows and columns
_INK = 16  # what is darker belongs to the ground


class Frame(NamedTuple):
    """How a data set has what was written: the longer side of its box and the place of its centre of mass, in pixels of an
    image, and the width of a pen, in pixels of a drawing, that makes strokes like those.
    """

    box: int
    centre: float
    pen: int


# By the rows of an image. MNIST: 20 pixels of 28, the centre of mass in the middle of pixel 14 (LeCun, Cortes and Burges,
# "The MNIST database of handwritten digits"); digits: as high as the image (Alpaydin and Kaynak, "Optical recognition of
# handwritten digits").
_FRAMES = {28: Frame(20, 14.5, 26), 8: Frame(8, 4.0, 40)}


def frame(shape: tuple[int, ...]) -> Frame:
    """Return how images of `shape` (H, W, C) have what was written, in the largest square of them."""
    side = min(shape[:2])
    return _FRAMES.get(side) or Frame(max(1, round(side * 20 / 28)), side / 2, 26)


def as_image(drawing: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a drawing (SIDE, SIDE), light on dark, as an image of `shape` (H, W, C), all channels alike.

    What is drawn is scaled to fit the box that the images of the data set have, and moved so that its centre of mass lies
    where theirs does, as far as the image reaches. Without ink the image is black.
    """
    H, W, C = shape
    image = np.zeros((H, W), np.float64)
    ink = drawing > _INK
    if ink.any():
        box, centre, _ = frame(shape)
        scaled = _scaled(drawing[_extent(ink.any(axis=1)), _extent(ink.any(axis=0))].astype(np.float64), box)
        rows, columns = (_place(scaled.sum(axis=1 - axis), size, centre + (size - min(H, W)) / 2)
                         for axis, size in enumerate((H, W)))
        image[rows, columns] = scaled
    grey = np.rint(image).astype(np.uint8)
    return np.repeat(grey[..., None], C, axis=2)


def _extent(occupied: Any) -> slice:
    """Return the range from the first row, or column, with ink to the last."""
    places = np.flatnonzero(occupied)
    return slice(int(places[0]), int(places[-1]) + 1)


def _scaled(pixels: np.ndarray, box: int) -> np.ndarray:
    """Return pixels whose longer side is `box`, in the same proportions."""
    longer = max(pixels.shape)
    height, width = (max(1, round(size * box / longer)) for size in pixels.shape)
    return _averages(pixels.shape[0], height) @ pixels @ _averages(pixels.shape[1], width).T


def _averages(size: int, wanted: int) -> np.ndarray:
    """Return the matrix (wanted, size) that takes a row of pixels to another number of them: means over what each covers."""
    edges = np.linspace(0, size, wanted + 1)
    pixel = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.maximum(overlap, 0) * (wanted / size)


def _place(masses: np.ndarray, size: int, centre: float) -> slice:
    """Return where to put pixels of these masses, in an image of `size`, to have the centre of mass at `centre`."""
    own = masses @ (np.arange(len(masses)) + 0.5) / masses.sum()
    start = min(max(round(centre - own), 0), size - len(masses))
    return slice(start, start + len(masses))
