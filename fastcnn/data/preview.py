"""What a notebook shows of a split: its size, and an image of each of its first classes."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import extras

_SHOWN = 10  # classes
_SIDE = 56  # pixels of a shown image on the page


def html(images: NDArray[Any], labels: NDArray[np.int64], classes: tuple[str, ...]) -> str:
    """Return what there is of each class, as HTML; pictures only where Pillow is installed and can draw them."""
    N, H, W, C = images.shape
    size = f"{N:,} images of {H} x {W} x {C}, {images.dtype}; {len(classes)} class{'es' * (len(classes) != 1)}"
    counts = np.bincount(labels, minlength=len(classes))
    columns = [f"<td>{_picture(images, labels, index)}<br/>{escape(name)}<br/>{counts[index]:,}</td>"
               for index, name in enumerate(classes[:_SHOWN])]
    more = f"<td>and {len(classes) - _SHOWN:,} more classes</td>" if len(classes) > _SHOWN else ""
    return f"<div>{size}</div><table><tr>{''.join(columns)}{more}</tr></table>"


def _picture(images: NDArray[Any], labels: NDArray[np.int64], index: int) -> str:
    """Return the first image of a class as an element of HTML, or nothing."""
    own = labels == index
    if not own.any() or images.shape[3] not in (1, 3) or not extras.is_installed("image"):
        return ""
    pixels = _as_bytes(images[own.argmax()])
    file = io.BytesIO()
    extras.require("image", "Image").fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    code = base64.b64encode(file.getvalue()).decode()
    return f'<img style="height: {_SIDE}px; image-rendering: pixelated" src="data:image/png;base64,{code}"/>'


def _as_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return bytes as they are, floats from their smallest in black to their largest in white."""
    if image.dtype == np.uint8:
        return image
    finite = np.nan_to_num(image.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = finite.min(), finite.max()
    shares: NDArray[Any] = (finite - low) / (high - low if high > low else 1.0)
    return (255 * shares).astype(np.uint8)
