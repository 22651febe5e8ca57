"""Pictures of a report: figures of `fastcnn.plot` as files in memory, with words that say the same."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .. import explain, plot
from ..data import Split
from ..nn import Conv2D, Module
from . import html

_LAYERS, _CHANNELS = 6, 16  # whose maps are shown


def curves(history: Sequence[Mapping[str, Any]]) -> str:
    """Return loss and accuracy by epoch."""
    alt = f"Two line charts of {len(history)} epochs, loss and accuracy of training and validation; table below."
    return html.figure(_svg(plot.curves(history)), "image/svg+xml", alt, "Loss and accuracy after each epoch.", drawn=True)


def confusion(matrix: np.ndarray, classes: Sequence[str]) -> str:
    """Return the confusion matrix as a picture."""
    alt = f"Confusion matrix of {len(matrix)} classes; the most frequent confusions are in the table below."
    caption = "True classes in rows, predicted classes in columns; colours are shares of each row."
    return html.figure(_svg(plot.confusion_matrix(matrix, classes=classes)), "image/svg+xml", alt, caption, drawn=True)


def mistakes(test: Split, probabilities: np.ndarray, index: np.ndarray) -> str:
    """Return the test images of `index` with what they were taken for."""
    picture = plot.predictions(test.images[index], probabilities[index], labels=test.labels[index], classes=test.classes)
    alt = f"{len(index)} test images that the model got wrong, the hardest first; their classes are in the table below."
    return html.figure(_png(picture), "image/png", alt, "Predicted class with its probability, and the true class.")


def filters(model: Module) -> str:
    """Return the filters of the first convolution, or nothing where the model has none."""
    name, layer = next(convolutions(model), ("", None))
    if layer is None:
        return ""
    K = layer.weight.data.shape[3]
    return html.figure(_png(plot.filters(model)), "image/png", f"Filters of layer {name}, {K} small pictures.",
                       f"What the {K} filters of the first convolution, layer {name}, look for.")


def feature_maps(model: Module, image: np.ndarray) -> Iterator[str]:
    """Give what some convolutions, spread over the depth of the network, make of one image (H, W, C)."""
    outputs = explain.activations(model, image[None])
    layers = [(name, layer) for name, layer in convolutions(model) if name in outputs]
    for name, layer in spread(layers, _LAYERS):
        maps = outputs[name][0]
        picture = plot.channels(maps, title=f"layer {name}: {layer!r}", most=_CHANNELS)
        shown = min(_CHANNELS, maps.shape[2])
        yield html.figure(_png(picture), "image/png", f"{shown} feature maps of layer {name}, small grey pictures.",
                          f"Layer {name}: {shown} of {maps.shape[2]} channels.")


def image(test: Split, index: int, words: str) -> str:
    """Return one test image."""
    picture = plot.predictions(test.images[index:index + 1], np.eye(len(test.classes))[test.labels[index:index + 1]],
                               classes=test.classes)
    alt = f"Test image {index}, of class {test.classes[test.labels[index]]}."
    return html.figure(_png(picture), "image/png", alt, words)


def architecture(model: Module) -> str:
    """Return the drawing of the network."""
    return html.figure(plot.architecture(model).encode(), "image/svg+xml", "Drawing of the network; the table names its "
                       "layers.", "Boxes are layers, with the shapes that they give.", drawn=True)


def convolutions(model: Module) -> Iterator[tuple[str, Conv2D]]:
    """Give the convolutions by name."""
    return ((name, module) for name, module in model.named_modules() if isinstance(module, Conv2D))


def spread(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most `most` of the items, the first and the last among them, at equal distances."""
    if len(items) <= most:
        return list(items)
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, most)]


def confused(matrix: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Return the pairs (true class, predicted class) that are confused most often, the most frequent first."""
    wrong = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(order, wrong.shape)
    return [(int(row), int(column)) for row, column in zip(rows, columns, strict=True) if wrong[row, column]]


def _svg(figure: Any) -> bytes:
    return _file(figure, format="svg", metadata={"Date": None})


def _png(figure: Any) -> bytes:
    return _file(figure, format="png")


def _file(figure: Any, **options: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, facecolor="white", **options)
    return content.getvalue()
