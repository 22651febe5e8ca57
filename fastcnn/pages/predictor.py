"""What the demo says about one image: classes with their probabilities, and feature maps."""

from __future__ import annotations

import base64
import io
import time
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import explain, extras, training
from ..data.image_files import ImageReader
from ..nn import Module
from ..plot.figure import scaled
from ..shapes import DataFormatError, ShapeError
from . import drawing, pictures

_ANSWERS = 10  # classes that are shown; where there are a few more, all of them
_ALL = 12
_LAYERS, _CHANNELS, _SIDE = 6, 16, 64  # of feature maps that are sent, and the pixels of a side
_MOST_PIXELS = 1 << 25  # of an image file


class Predictor:
    """Answers questions about one model, one at a time, whatever thread asks."""

    def __init__(self, model: Module) -> None:
        """Take a model; ShapeError: it does not say which images it takes."""
        if model.origin is None:
            raise ShapeError("demo: the model does not say which images it takes, expected one made by models.create")
        self.model, self.shape = model, model.origin.input_shape
        outputs = model.origin.num_classes
        count = max(2, outputs)  # one output tells two classes apart
        self.classes = model.classes if len(model.classes) == count else tuple(map(str, range(count)))
        self.takes_files = extras.is_installed("image") and self.shape[2] in (1, 3)
        self.busy = Lock()

    def about(self) -> dict[str, Any]:
        """Return what the page says of the model."""
        name = self.model.origin.name if self.model.origin else ""
        return {"name": name, "shape": self.shape, "classes": len(self.classes), "side": drawing.SIDE,
                "pen": drawing.frame(self.shape).pen, "parameters": self.model.num_parameters(),
                "takes_files": self.takes_files, "install": extras.install("image")}

    def of_drawing(self, content: bytes) -> dict[str, Any]:
        """Answer for a drawing, a byte for each of its pixels; DataFormatError: there are more or fewer."""
        expected = drawing.SIDE * drawing.SIDE
        if len(content) != expected:
            raise DataFormatError(f"a drawing has {len(content):,} bytes, expected {expected:,}: {drawing.SIDE} x "
                                  f"{drawing.SIDE} pixels of grey")
        pixels = np.frombuffer(content, np.uint8).reshape(drawing.SIDE, drawing.SIDE)
        return self.of_image(drawing.as_image(pixels, self.shape))

    def of_file(self, content: bytes, invert: bool) -> dict[str, Any]:
        """Answer for the bytes of an image file.

        DataFormatError: they are no image, or a large one; ShapeError: the model takes no such images; MissingExtraError:
        Pillow is not installed.
        """
        reader = ImageReader("demo", self.shape, max_pixels=_MOST_PIXELS, invert=invert)
        with self.busy:  # decoding takes memory
            image = reader.decode(io.BytesIO(content), "the file")
        return self.of_image(image)

    def of_image(self, image: NDArray[np.uint8]) -> dict[str, Any]:
        """Answer for an image (H, W, C) of bytes."""
        with self.busy:
            began = time.perf_counter()
            (outputs,) = training.predict(self.model, image[None])
            seconds = time.perf_counter() - began
            maps = self._maps(image)
        probabilities = np.array([1 - outputs[0], outputs[0]]) if len(outputs) == 1 else outputs
        return {"answers": self._answers(probabilities), "seconds": seconds, "image": _picture(image), "maps": maps}

    def _answers(self, probabilities: NDArray[Any]) -> list[dict[str, Any]]:
        """Return few classes in their order, or the likeliest of many; none where an output is not finite."""
        if not np.isfinite(probabilities).all():
            return []
        ranked = np.argsort(-probabilities, kind="stable")
        best = int(ranked[0])
        shown = range(len(ranked)) if len(ranked) <= _ALL else ranked[:_ANSWERS].tolist()
        return [{"class": self.classes[index], "probability": float(probabilities[index]), "best": index == best}
                for index in shown]

    def _maps(self, image: NDArray[np.uint8]) -> list[dict[str, Any]]:
        """Return what some convolutions make of the image."""
        outputs = explain.activations(self.model, image[None])
        layers = [(name, layer) for name, layer in pictures.convolutions(self.model) if name in outputs]
        found = []
        for name, layer in pictures.spread(layers, _LAYERS):
            whole = outputs[name][0]
            step = -(-max(whole.shape[:2]) // _SIDE)
            channels = [_picture(np.rint(255 * scaled(part)).astype(np.uint8)[..., None])
                        for part in whole[::step, ::step, :_CHANNELS].transpose(2, 0, 1)]
            found.append({"layer": name, "words": repr(layer), "channels": channels, "of": whole.shape[2]})
        return found


def _picture(image: NDArray[np.uint8]) -> dict[str, Any]:
    """Return an image (H, W, C) as JSON has it; of other than 1 or 3 channels the first."""
    seen = image if image.shape[2] in (1, 3) else image[..., :1]
    height, width, channels = seen.shape
    content = base64.b64encode(seen.tobytes()).decode("ascii")
    return {"height": height, "width": width, "channels": channels, "bytes": content}
