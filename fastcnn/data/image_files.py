"""Image files, read by Pillow: the extra `image`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import extras
from ..shapes import DataFormatError, ShapeError
from .sources import StrPath


def read_image(function: str, path: StrPath, shape: tuple[int, ...], *, invert: bool = False) -> np.ndarray:
    """Read an image file as uint8 of `shape` (H, W, C), scaled, in grey where C is 1 and in colour where it is 3.

    Of pixels of 16 bits the upper 8 count; transparency is left out.

    DataFormatError: it is no image, too large a one, or one of 32 bits; OSError: it cannot be read; ShapeError: C is
    another number.
    """
    image_module, operations = extras.require("image", "Image"), extras.require("image", "ImageOps")
    height, width, channels = shape
    if channels not in (1, 3):
        raise ShapeError(f"{function}: images are to have {channels} channels, expected 1 or 3, as image files have")
    if Path(path).is_dir():
        raise DataFormatError(f"{function}: {path} is a folder, expected an image file")
    try:
        with image_module.open(path) as file:
            upright = operations.exif_transpose(file)
            if upright.mode == "F" or (upright.mode == "I" and file.format != "PNG"):
                raise ValueError("its pixels have 32 bits, expected 8 or 16")
            if upright.mode.startswith("I"):  # Pillow would cut off what is above 255
                upright = image_module.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            image = upright.convert("L" if channels == 1 else "RGB")
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, image_module.DecompressionBombError) as error:
        raise DataFormatError(f"{function}: {path} cannot be read as an image ({error})") from error
    if image.size != (width, height):
        image = image.resize((width, height), image_module.Resampling.LANCZOS)
    pixels = np.asarray(operations.invert(image) if invert else image, np.uint8)
    return pixels.reshape(shape)
