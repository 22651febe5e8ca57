"""The names of the networks."""

from __future__ import annotations

from collections.abc import Callable

from ..nn import Origin, Sequential
from ..shapes import ShapeError, integer, one_of
from .inception import inception
from .mobilenet import mobilenet
from .resnet import resnet9, resnet18, resnet20
from .simple import Shape, four_conv, lenet5, smallcnn, strided_cnn, two_conv
from .vgg import vgg, vgg11

_BUILDERS: dict[str, Callable[[Shape, int], Sequential]] = {
    builder.__name__: builder
    for builder in (
        lenet5, smallcnn, strided_cnn, two_conv, four_conv, vgg, vgg11, resnet9, resnet18, resnet20, inception, mobilenet,
    )
}


def names() -> tuple[str, ...]:
    """Return the names that `create` knows."""
    return tuple(_BUILDERS)


def describe(name: str) -> str:
    """Return one sentence about a network; ValueError: unknown name."""
    return " ".join((_builder("describe", name).__doc__ or "").partition("\n\n")[0].split())


def create(name: str, input_shape: tuple[int, ...], num_classes: int) -> Sequential:
    """Return a new network for images of one shape, with one output per class; its weights follow from `manual_seed`.

    Parameters
    ----------
    name : str
        One of `names()`.
    input_shape : (H, W, C)
    num_classes : int

    Returns
    -------
    model : Sequential

    Raises
    ------
    ValueError
        The name is unknown.
    ShapeError, DTypeError
        A size is out of range, or the images are too small for the network.

    Examples
    --------
    >>> model = models.create("lenet5", (28, 28, 1), 10)
    >>> model(np.zeros((8, 28, 28, 1), np.float32)).shape, model.num_parameters()
    ((8, 10), 61706)
    """
    builder = _builder("create", name)
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ShapeError(f"create: input_shape is {input_shape!r}, expected (H, W, C)")
    height, width, channels = (integer("create", "input_shape", size, 1) for size in input_shape)
    classes = integer("create", "num_classes", num_classes, 1)
    try:
        model = builder((height, width, channels), classes)
        model.output_shape((1, height, width, channels))
    except ShapeError as error:
        raise ShapeError(f"create: input_shape is {height, width, channels}, expected larger images for {name} "
                         f"({str(error).partition(': ')[2]})") from None
    model.origin = Origin(name, (height, width, channels), classes)
    return model


def _builder(function: str, name: str) -> Callable[[Shape, int], Sequential]:
    one_of(function, "name", name, _BUILDERS)
    return _BUILDERS[name]
