"""Image files, read by Pillow: the extra `image`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .. import extras
from ..shapes import DataFormatError, ShapeError, integer, one_of
from .reader import require_file
from .sources import StrPath

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
ENDINGS = frozenset({".apng", ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm",
                     ".ppm", ".tif", ".tiff", ".webp"})
RESIZINGS = ("stretch", "crop", "pad")
MAX_PIXELS = 1 << 26  # a photograph of 64 megapixels; decoding takes up to 8 bytes for each
_GAP = 64.0  # Lanczos' filter over more pixels than this is a long one: whole blocks are averaged before
_TILE_TAGS = 322, 323  # width and length of a tile in TIFF
_STRIP_TAG, _ONE_STRIP = 278, (1 << 32) - 1


@dataclass(frozen=True)
class ImageReader:
    """Reads image files as uint8 of `shape` (H, W, C), in grey where C is 1 and in colour where it is 3.

    `resize` says how an image of another size gets there: "stretch" changes its proportions, "crop" cuts off what is beyond
    them in equal parts, "pad" keeps all and adds black. ShapeError: C is another number; ValueError: no such `resize`.
    """

    function: str
    shape: tuple[int, ...]
    resize: str = "stretch"
    max_pixels: int = MAX_PIXELS
    invert: bool = False

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.shape[2] not in (1, 3):
            raise ShapeError(f"{self.function}: images are to have {self.shape[2]} channels, expected 1 or 3, as image "
                             "files have")
        one_of(self.function, "resize", self.resize, RESIZINGS)
        integer(self.function, "max_pixels", self.max_pixels, 1)

    def read(self, path: StrPath) -> NDArray[np.uint8]:
        """Return the image in a file; of pixels of 16 bits the upper 8 count, and transparency is left out.

        DataFormatError: it is no image, one of more than `max_pixels`, or one of 32 bits; OSError: it cannot be opened.
        MissingExtraError: Pillow is not installed.
        """
        extras.require("image", "Image")
        require_file(Path(path), partial(self._fault, path))
        with open(path, "rb") as file:
            return self.decode(file, path)

    def decode(self, file: BinaryIO, name: StrPath) -> NDArray[np.uint8]:
        """Return the image in an open file, which errors call `name`; errors as for `read`."""
        pillow, operations = extras.require("image", "Image"), extras.require("image", "ImageOps")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a damaged note about the camera, and of sizes, which are checked here
            try:
                with pillow.open(file, formats=FORMATS) as image:
                    self._require_size(image)
                    operations.exif_transpose(image, in_place=True)
                    pixels = self._pixels(pillow, operations, image)
            except Exception as error:  # a decoder raises anything where bytes are not what it takes them for
                raise self._unreadable(name, pillow, error) from error
        return pixels.reshape(self.shape)

    def _pixels(self, pillow: Any, operations: Any, image: Any) -> NDArray[np.uint8]:
        if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
            raise ValueError("its pixels have 32 bits, expected 8 or 16")
        if image.mode.startswith("I"):  # Pillow would cut off what is above 255
            image = pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        mode = "L" if self.shape[2] == 1 else "RGB"
        sized = self._resized(pillow, image if image.mode == mode else image.convert(mode))
        return np.asarray(operations.invert(sized) if self.invert else sized, np.uint8)

    def _resized(self, pillow: Any, image: Any) -> Any:
        height, width = self.shape[:2]
        if image.size == (width, height):
            return image
        scale = {"stretch": None, "crop": max, "pad": min}[self.resize]
        to_size = partial(image.resize, resample=pillow.Resampling.LANCZOS, reducing_gap=_GAP)
        if scale is None:
            return to_size((width, height))
        factor = scale(width / image.width, height / image.height)
        if self.resize == "crop":
            left, top = (image.width - width / factor) / 2, (image.height - height / factor) / 2
            box = (max(left, 0), max(top, 0), min(image.width - left, image.width), min(image.height - top, image.height))
            return to_size((width, height), box=box)
        inner = max(round(image.width * factor), 1), max(round(image.height * factor), 1)
        padded = pillow.new(image.mode, (width, height))
        padded.paste(to_size(inner), ((width - inner[0]) // 2, (height - inner[1]) // 2))
        return padded

    def _require_size(self, image: Any) -> None:
        """Raise ValueError where decoding would take memory for more than `max_pixels`; so far only the header is read."""
        largest = image.width * image.height
        if image.format == "TIFF":
            tile = [_number(image.tag_v2.get(tag, 0)) for tag in _TILE_TAGS]
            rows = _number(image.tag_v2.get(_STRIP_TAG, 0))
            largest = max(largest, tile[0] * tile[1], image.width * rows if rows != _ONE_STRIP else 0)
        if largest > self.max_pixels:
            raise ValueError(f"it takes {largest:,} pixels, expected at most {self.max_pixels:,}, which max_pixels says")

    def _unreadable(self, name: StrPath, pillow: Any, error: Exception) -> DataFormatError:
        reason = str(error) or type(error).__name__
        if isinstance(error, pillow.UnidentifiedImageError):
            reason = f"it is none of {', '.join(FORMATS)}"
        if isinstance(error, pillow.DecompressionBombError):  # before its size could be checked here
            reason = (f"it takes more than {2 * pillow.MAX_IMAGE_PIXELS:,} pixels, twice PIL.Image.MAX_IMAGE_PIXELS; "
                      f"max_pixels says {self.max_pixels:,}")
        return DataFormatError(f"{self.function}: {name} cannot be read as an image ({reason})")

    def _fault(self, path: StrPath, came: str, expected: str) -> DataFormatError:
        return DataFormatError(f"{self.function}: {path} is {came}, expected {expected.replace('a file', 'an image file')}")


def _number(value: Any) -> int:
    """Return the number in a tag, which may be a tuple of one."""
    return int(value[0] if isinstance(value, tuple) and value else value)
