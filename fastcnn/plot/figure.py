"""What all pictures share: a figure, a grid of small images, and writing the file whole or not at all."""

from __future__ import annotations

import functools
import inspect
import io
import os
import reprlib
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np

from .. import extras
from ..shapes import DTypeError, ShapeError
from ..training.writing import write_atomically

StrPath = str | os.PathLike[str]
TRAIN, TEST = "#1f6fb4", "#d1495b"
RIGHT, WRONG = "#1a7f37", "#c62828"
_FINE = 48  # pixels of an image in a mosaic at least, beside which the lines are thin
_POINTS = 8  # size of letters above an image
_BESIDE = 0.5  # inches that they take beside a name, as " 100%" or "truth: "
_WIDEST = 2.4  # inches that a place for an image may grow to, so that names fit
P = ParamSpec("P")


def picture(draw: Callable[P, Any]) -> Callable[P, Any]:
    """Check the order of a drawing function's arguments: data, a path or None, the rest by name. DTypeError: another one."""
    signature = inspect.signature(draw)
    data = [name for name, parameter in signature.parameters.items() if parameter.default is parameter.empty]
    options = [name for name, parameter in signature.parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    order = f"expected {draw.__name__}({', '.join([*data, 'path=None', *(f'{name}=...' for name in options)])})"

    @functools.wraps(draw)
    def drawn(*arguments: P.args, **others: P.kwargs) -> Any:
        try:
            given = signature.bind(*arguments, **others).arguments
        except TypeError as error:
            raise DTypeError(f"{draw.__name__}: {error}; {order}") from None
        for name in (*data, "path"):
            is_path, value = isinstance(given.get(name), (str, os.PathLike)), given.get(name)
            if is_path != (name == "path") and not (name == "path" and value is None):
                came = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else reprlib.repr(value)
                raise DTypeError(f"{draw.__name__}: {name} is {came}; {order}")
        return draw(*arguments, **others)

    return drawn


def new(width: float, height: float) -> Any:
    """Return an empty figure of a size in inches, which notebooks show though pyplot does not know of it."""
    return _kind(extras.require("plot", "figure").Figure)(figsize=(width, height), dpi=120, layout="constrained")


@functools.cache
def _kind(base: Any) -> Any:
    """Return the class of the figures, once matplotlib is there."""
    class Picture(base):  # type: ignore[misc]
        """A figure that notebooks show."""

        def _repr_png_(self) -> bytes:
            content = io.BytesIO()
            self.savefig(content, format="png", facecolor="white")
            return content.getvalue()

    return Picture


def finished(figure: Any, path: StrPath | None) -> Any:
    """Return the figure; with a path, write it to that file, whose name says the format, and return None."""
    for words in figure.findobj(lambda part: hasattr(part, "set_parse_math")):
        words.set_parse_math(False)  # names with two dollars are no formulas
    if path is None:
        return figure
    content = io.BytesIO()
    figure.savefig(content, format=Path(path).suffix.lstrip(".") or "png", facecolor="white")
    write_atomically(path, content.getvalue())
    return None


def grid(count: int, *, side: float, width: float, room: float) -> tuple[Any, Iterator[Any]]:
    """Return a figure with `count` places for images of `side` inches, about square, and the places one by one.

    Each place is `width` inches wide and has `room` inches above its image, for words.
    """
    rows, columns = _rows_and_columns(count)
    figure = new(max(2.4, columns * width), rows * (side + room) + 0.1)
    places = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for place in places[count:]:
        place.axis("off")
    return figure, iter(places[:count])


def _rows_and_columns(count: int) -> tuple[int, int]:
    """Return how `count` places are arranged: about square, with few of them empty."""
    usual = max(1, round(np.sqrt(1.4 * count)))
    columns = min(range(max(1, usual - 1), usual + 3), key=lambda columns: (-count % columns, abs(columns - usual)))
    return -(-count // columns), columns


def mosaic(images: Sequence[np.ndarray], title: str, *, side: float) -> Any:
    """Return a figure of images (H, W) or (H, W, C) of one size, `side` inches each, drawn as one: many axes take seconds.

    Grey ones go from their smallest value in black to their largest in white.
    """
    H, W = images[0].shape[:2]
    zoom = -(-_FINE // max(H, W))
    height, width, gap = zoom * H, zoom * W, max(2, zoom * max(H, W) // 16)
    rows, columns = _rows_and_columns(len(images))
    whole = np.ones((rows * (height + gap), columns * (width + gap), 3))
    corners = [(row * (height + gap), column * (width + gap)) for row in range(rows) for column in range(columns)]
    for image, (top, left) in zip(images, corners, strict=False):
        whole[top : top + height, left : left + width] = _coloured(image).repeat(zoom, axis=0).repeat(zoom, axis=1)
    longest = max(map(len, title.splitlines()))
    picture = new(max(2.4, columns * side, 0.075 * longest), rows * side * max(1.0, H / W) + 0.6)
    picture.suptitle(title, fontsize=10)
    place = picture.subplots()
    place.imshow(whole, interpolation="nearest")
    place.axis("off")
    for top, left in corners[: len(images)]:  # white images need an edge on a white page
        place.plot([left - 0.5, left + width - 0.5, left + width - 0.5, left - 0.5, left - 0.5],
                   [top - 0.5, top - 0.5, top + height - 0.5, top + height - 0.5, top - 0.5], color="0.6", linewidth=0.5)
    return picture


def _coloured(image: np.ndarray) -> np.ndarray:
    """Return an image (H, W), (H, W, 1) or (H, W, 3) as (H, W, 3), 0 to 1."""
    if image.ndim == 3 and image.shape[2] == 3:
        return image / 255 if image.dtype == np.uint8 else image
    return np.repeat(scaled(image).reshape(*image.shape[:2], 1), 3, axis=2)


def show(place: Any, image: np.ndarray, **options: Any) -> None:
    """Draw an image (H, W), (H, W, 1) or (H, W, 3) without smoothing its pixels."""
    flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if flat.ndim == 2:
        options.setdefault("cmap", "gray")
    place.imshow(flat, interpolation="nearest", **options)
    place.set(xticks=[], yticks=[])
    for edge in place.spines.values():  # white images need one on a white page
        edge.set(color="0.6", linewidth=0.5)


def pictures(function: str, images: Any) -> np.ndarray:
    """Return images (N, H, W, 1 or 3) as they can be drawn: bytes as they are, floats scaled to 0 to 1."""
    array = np.asarray(images)
    if array.ndim != 4 or array.shape[3] not in (1, 3) or not array.size:
        raise ShapeError(f"{function}: images have shape {array.shape}, expected (N, H, W, 1) or (N, H, W, 3)")
    return array if array.dtype == np.uint8 else scaled(array)


def scaled(array: np.ndarray) -> np.ndarray:
    """Return floats from 0 for the smallest element to 1 for the largest; what is infinite is 0 or 1, NaN is 1."""
    finite = array[np.isfinite(array)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    shares = (array.astype(np.float64) - low) / (high - low if high > low else 1.0)
    return np.clip(np.nan_to_num(shares, nan=1.0), 0.0, 1.0)


def names(function: str, classes: Sequence[str], count: int) -> list[str]:
    """Return the names of the classes, or their numbers where there are no names."""
    if len(classes) and len(classes) != count:
        raise ShapeError(f"{function}: classes has {len(classes)} names, expected {count}")
    return [str(name) for name in classes] or [str(number) for number in range(count)]


def room_for(words: Sequence[str], least: float) -> tuple[float, list[str]]:
    """Return the width in inches, from `least` on, of places for images below names, and the names that fit there.

    The middle of longer ones is left out.
    """
    width = min(_WIDEST, max(least, _BESIDE + max(map(_inches, words))))
    return width, [_fitting(word, width - _BESIDE) for word in words]


def _fitting(word: str, inches: float) -> str:
    """Return a word, or as many of its letters as fit, two at least."""
    if _inches(word) <= inches:
        return word
    return shortened(word, 2 + bisect(range(3, len(word)), inches, key=lambda letters: _inches(shortened(word, letters))))


def _inches(word: str) -> float:
    """Return the width of a word above an image."""
    plain = word.replace("$", "S")  # two of which would make a formula
    path = extras.require("plot", "textpath").TextPath((0, 0), plain or " ", size=_POINTS)
    return float(path.get_extents().width) / 72


def shortened(word: str, letters: int) -> str:
    """Return a name, its middle left out where it has more letters."""
    return word if len(word) <= letters else f"{word[:letters // 2]}…{word[-(letters // 2):]}"
