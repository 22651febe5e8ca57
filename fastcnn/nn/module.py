"""Module: what layers, containers and whole models have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType, MappingProxyType, MethodType
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..shapes import CheckpointError, DTypeError, ShapeError, suggestion
from .mode import WAYS, changed, hooked, mode, without_self
from .parameter import Parameter

__all__ = ["Layer", "Module", "Normalisation", "Origin"]

Self = TypeVar("Self", bound="Module")
Weights = dict[str, tuple[np.ndarray | None, ...]]


class Origin(NamedTuple):
    """How a named model was made, so that loading a file can make it again."""

    name: str
    input_shape: tuple[int, ...]
    num_classes: int


class Normalisation(NamedTuple):
    """Mean and deviation of each channel where a byte is a number from 0 to 1: (C,) float32 each."""

    mean: np.ndarray
    std: np.ndarray


class Module:
    """A layer or a network: `forward(x)` gives y, `backward(dy)` gives dx and writes the parameters'
    gradients.

    Modules and Parameters set as attributes, also inside lists, tuples and dicts, belong to the module in the
    order in which they were set; nothing has to be registered and no base constructor has to be called.
    Layers keep what backward needs from their last forward until backward runs, so each backward belongs to the forward
    before it. A layer that is used twice in a step raises RuntimeError in its second backward: make a layer for each use.
    Backward overwrites gradients; a parameter is used once in a step, so that layers do not share one.
    Each forward and backward, also one that is set on an instance, goes through the hook of its thread (see `nn.mode`).
    """

    frozen = False
    buffers: tuple[str, ...] = ()
    forward_options: tuple[str, ...] = ()  # "relu" and "add", an array: max with 0, of the result plus another array
    backward_options: tuple[str, ...] = ()  # "need_dx", and "add", an array that dx is added to
    replaced = False  # whether forward or backward was set on the instance
    waiting = False  # whether parameters wait for the first input (see `Lazy`)
    origin: Origin | None = None
    _normalisation: Normalisation | None = None
    classes: tuple[str, ...] = ()
    torch_names: Mapping[str, str] = MappingProxyType({})  # of its layers, where `fastcnn.from_torch` has filled it
    output_activation: str | None = None  # what makes probabilities of the outputs, known from training (see `Loss`)
    _saved: Any = None

    @property
    def normalisation(self) -> Normalisation | None:
        """Mean and deviation of each channel by which uint8 images are normalised, None where there are none.

        Set by `fit`, or as a pair of lists or numbers, where a byte is a number from 0 to 1. DTypeError, ValueError: it is
        no such pair.
        """
        return self._normalisation

    @normalisation.setter
    def normalisation(self, pair: Any) -> None:
        self._normalisation = None if pair is None else _normalisation(pair)

    @property
    def training(self) -> bool:
        """Whether this module behaves as in training, as `train` and `eval` set it; while `evaluate` or `predict` runs,
        no module does in that thread.
        """
        return not mode.evaluates and vars(self).get("training", True)

    @training.setter
    def training(self, value: bool) -> None:
        vars(self)["training"] = value

    def __init_subclass__(cls, **options: Any) -> None:
        """Let forward and backward of the class, where it defines them, go through the hook of their thread.

        Those have no options but what the class itself says.
        """
        super().__init_subclass__(**options)
        for way in WAYS:
            if isinstance(function := vars(cls).get(way), FunctionType):
                setattr(cls, way, hooked(way, function))
                setattr(cls, f"{way}_options", vars(cls).get(f"{way}_options", ()))

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; `forward` and `backward` are functions of x and of dy, or methods of this module."""
        if mode.hook is not None and hasattr(self, name):
            mode.hook.changed(self)
        if name in WAYS:
            own = value.__func__ if getattr(value, "__self__", None) is self else without_self(value)
            value, self.replaced = MethodType(hooked(name, own), self), True
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        """Delete an attribute; forward and backward are again those of the class."""
        if mode.hook is not None:
            mode.hook.changed(self)
        super().__delattr__(name)
        if name in WAYS:
            self.replaced = any(way in vars(self) for way in WAYS)

    def forward(self, x: Any) -> Any:
        """Return the output for x; NotImplementedError in a class that defines none."""
        raise NotImplementedError(f"{type(self).__name__} has no forward: define forward(self, x)")

    def backward(self, dy: Any) -> Any:
        """Return dx and write the gradients; NotImplementedError in a class that defines none."""
        raise NotImplementedError(f"{type(self).__name__} has no backward: define backward(self, dy)")

    def __call__(self, x: Any) -> Any:
        """Return forward(x)."""
        return self.forward(x)

    def train(self: Self, mode: bool = True) -> Self:
        """Let this module and all inside it behave as in training; with mode=False as in evaluation."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self: Self) -> Self:
        """Let this module and all inside it behave as in evaluation: running statistics, no dropout."""
        return self.train(False)

    def freeze(self: Self, mode: bool = True) -> Self:
        """Leave this module and all inside it as they are in training; with mode=False train them again.

        Their parameters are none of `parameters()`, so that an optimizer made afterwards does not change them; convolutions
        and linear layers compute no gradients for them, and batch norms use their running statistics.
        """
        for _, module in self.named_modules():
            module.frozen = mode
        return self

    def unfreeze(self: Self) -> Self:
        """Undo `freeze`."""
        return self.freeze(False)

    def to(self: Self, dtype: Any) -> Self:
        """Convert parameters and buffers to float32 or float64; DTypeError for another type."""
        try:
            wanted = np.dtype(dtype)
        except TypeError:
            raise DTypeError(f"to: dtype is {dtype!r}, expected float32 or float64; a model is always in the memory of the "
                             "CPU, there is no other device") from None
        if dtype is None or wanted not in (np.dtype(np.float32), np.dtype(np.float64)):
            raise DTypeError(f"to: dtype is {None if dtype is None else wanted}, expected float32 or float64")
        for _, module in self.named_modules():
            for _, parameter in module._members(Parameter):
                parameter.to(wanted)
            for name in module.buffers:
                setattr(module, name, getattr(module, name).astype(wanted))
        return self

    def children(self) -> Iterator[tuple[str, Module | Parameter]]:
        """Give the modules and parameters that are attributes, by name, in the order they were set."""
        return _search(self.__getstate__().items())

    def _members(self, kind: type) -> list[tuple[str, Any]]:
        """Return the children of one kind, each once, under its first name."""
        once: dict[int, tuple[str, Any]] = {}
        for name, child in self.children():
            if isinstance(child, kind):
                once.setdefault(id(child), (name, child))
        return list(once.values())

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Give this module as "" and every module inside it under its dotted name, outer ones first, each
        once.
        """
        return self._walk("", set())

    def _walk(self, prefix: str, seen: set[int]) -> Iterator[tuple[str, Module]]:
        seen.add(id(self))
        yield prefix, self
        for name, child in self._members(Module):
            if id(child) not in seen:
                yield from child._walk(_join(prefix, name), seen)

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Give every parameter under its dotted name, each once; its `.name` becomes that name."""
        for name, parameter in self._named_parameters():
            parameter.name = name
            yield name, parameter

    def _named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Give every parameter under its dotted name, each once, and leave it as it is."""
        seen: set[int] = set()
        for prefix, module in self.named_modules():
            for name, parameter in module._members(Parameter):
                if id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield _join(prefix, name), parameter

    def parameters(self) -> list[Parameter]:
        """Return the parameters to train in the order of definition: all but those of frozen modules."""
        return self._trained(self.named_parameters())

    def _trained(self, parameters: Iterable[tuple[str, Parameter]]) -> list[Parameter]:
        """Return those that are to be trained."""
        frozen = {id(parameter) for _, module in self.named_modules() if module.frozen
                  for _, parameter in module._members(Parameter)}
        return [parameter for _, parameter in parameters if id(parameter) not in frozen]

    def num_parameters(self) -> int:
        """Return the number of trainable elements."""
        return sum(parameter.size for parameter in self._trained(self._named_parameters()))

    def _tensors(self) -> dict[str, np.ndarray]:
        """Return the memory of all parameters and buffers (such as running statistics) by name."""
        tensors = {name: parameter._data for name, parameter in self._named_parameters()}
        for prefix, module in self.named_modules():
            own = vars(module)
            tensors.update((_join(prefix, name), own[name] if name in own else getattr(module, name))
                           for name in module.buffers)
        return tensors

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of all parameters and buffers by name."""
        return {name: tensor.copy() for name, tensor in self._tensors().items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> None:
        """Copy parameters and buffers from `state`, all or none of them.

        CheckpointError lists every array whose shape or dtype differs and, if `strict`, every one that is
        missing or unknown. DTypeError: `state` is no mapping.
        """
        if not isinstance(state, Mapping):
            raise DTypeError(f"load_state_dict: state is {state!r}, expected names and their arrays (fastcnn.load reads a "
                             "file)")
        own = self._tensors()
        given = {name: np.asarray(value) for name, value in state.items()}
        problems = [problem for name in own if name in given for problem in _misfits(name, given[name], own[name])]
        if strict:
            problems += [f"{name} is missing, expected shape {own[name].shape}" for name in own if name not in given]
            problems += [f"{name} is unknown, shape {given[name].shape}" for name in given if name not in own]
        if problems:
            raise CheckpointError(_listing("load_state_dict: the state is of another model", problems))
        for name, tensor in own.items():
            if name in given:
                tensor[...] = given[name]
        changed()

    def _layers(self) -> dict[str, list[Parameter]]:
        """Return the parameters of every module that has some of its own, by the module's name."""
        layers = {
            name or type(self).__name__: [parameter for _, parameter in module._members(Parameter)]
            for name, module in self.named_modules()
        }
        return {name: parameters for name, parameters in layers.items() if parameters}

    def get_weights(self) -> Weights:
        """Return copies of the weights as {layer name: (W, b)}; b is None where a layer has none."""
        return {
            name: _pair([parameter.data.copy() for parameter in parameters]) for name, parameters in self._layers().items()
        }

    def get_dweights(self) -> Weights:
        """Return copies of the gradients as {layer name: (dW, db)}, like get_weights."""
        return {
            name: _pair([parameter.grad.copy() for parameter in parameters]) for name, parameters in self._layers().items()
        }

    def set_weights(self, weights: Mapping[str, Iterable[Any]]) -> None:
        """Copy weights in, {layer name: (W, b)} for all or some layers; all or nothing.

        CheckpointError: a layer is unknown or has another number of arrays. ShapeError, DTypeError: an array
        does not fit.
        """
        layers, pending = self._layers(), []
        for name, arrays in weights.items():
            if name not in layers:
                raise CheckpointError(f"set_weights: layer {name!r} is unknown, expected some of {', '.join(layers)}"
                                      f"{suggestion(name, layers)}")
            given = [array for array in arrays if array is not None]
            if len(given) != len(layers[name]):
                raise CheckpointError(
                    f"set_weights: layer {name!r} came with {len(given)} arrays, expected {len(layers[name])}"
                )
            pending += [
                (parameter, parameter._fitting("data", array)) for parameter, array in zip(layers[name], given, strict=True)
            ]
        for parameter, array in pending:
            parameter.data = array

    def build(self: Self, input_shape: tuple[int, ...]) -> Self:
        """Make the parameters of layers whose in_channels, in_features or channels is None, and return this module.

        `input_shape` is that of one input, such as (28, 28, 1); no kernel runs. Otherwise the first forward makes them; an
        optimizer can be given `parameters()` afterwards. Nothing happens where all are made. ShapeError: the input does not
        fit, or does not reach all of them; then none are made.
        """
        from .lazy import build

        build(self, input_shape)
        return self

    def set_algorithm(self: Self, algorithm: str) -> Self:
        """Let all convolutions inside use this algorithm of `functional.conv2d`, and return this module.

        "direct" gives each pixel from what it sees alone, "auto" takes the fastest, whose errors near numbers that are much
        larger than others follow these. A saved model does not remember it. ValueError: the name is unknown.
        """
        from .conv import set_algorithm

        set_algorithm("set_algorithm", self, algorithm)
        return self

    def summary(
        self, input_shape: tuple[int, ...], *, batch_size: int | None = None, optimizer_arrays: int = 2
    ) -> Any:
        """Return a table of the layers for one input of `input_shape`, such as (28, 28, 1); print it to read
        it.

        With `batch_size` it tells what memory a training step takes with an optimizer that keeps
        `optimizer_arrays` numbers for each parameter, two for Adam.
        """
        from .inspect.summary import summarise

        return summarise(self, input_shape, batch_size, optimizer_arrays)

    def profile(self, x: Any, *, repeats: int = 10) -> Any:
        """Return a table of each layer's time in training steps on the batch x, forward and backward; print it to read it.

        x is what the network takes, such as float32 images (N, H, W, C). ShapeError, DTypeError: it does not fit.
        """
        from .inspect.profile import profile

        return profile(self, x, repeats)

    def _repr_html_(self) -> str:
        """Return the layers and their parameters as a table, for a notebook."""
        from .inspect.summary import listing

        return listing(self)._repr_html_()

    def __getstate__(self) -> dict[str, Any]:
        """Give the attributes as they are now: a thread may add one while another goes through them."""
        return vars(self).copy()

    def _save(self, values: Any) -> None:
        """Hold `values` for backward, unless this thread saves nothing: then what is saved for another call stays."""
        if mode.saves:
            vars(self)["_saved"] = values

    def _take_saved(self) -> Any:
        """Return what forward saved and let go of it; RuntimeError when there is none."""
        saved, vars(self)["_saved"] = self._saved, None
        if saved is None:
            raise no_forward(self, "layer")
        return saved

    def _first_forward(self, run: Callable[..., Any], x: Any, **options: Any) -> Any:
        """Return run(x) where parameters wait for x."""
        raise NotImplementedError(f"{type(self).__name__} has no _first_forward: define it to make the parameters")

    def __repr__(self) -> str:
        """Name of the class."""
        return f"{type(self).__name__}()"


class Layer(Module):
    """A module without modules inside, whose output shape and work follow from the input shape alone."""

    is_view = False  # whether the output lies in the memory of the input

    def infer(self, x_shape: tuple[int, ...]) -> None:
        """Take note of the shape of the first input, batch included, where the layer does not know it yet."""

    def output_shape(self, x_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of forward's result, batch included; ShapeError when the input does not fit."""
        return x_shape

    def multiply_adds(self, x_shape: tuple[int, ...]) -> int:
        """Return the multiplications of forward that are summed up; element-wise work counts nothing."""
        return 0

    def algorithm_for(self, x_shape: tuple[int, ...]) -> str:
        """Return the name of the algorithm that forward takes, or "" where there is only one."""
        return ""


def _normalisation(pair: Any) -> Normalisation:
    expected = "mean and deviation of each channel where a byte is a number from 0 to 1, such as ([0.5, 0.4], [0.2, 0.3])"
    try:
        mean, std = (np.atleast_1d(np.array(part, np.float32)) for part in pair)
    except (TypeError, ValueError):
        raise DTypeError(f"normalisation is {pair!r}, expected {expected}, or None") from None
    if mean.ndim != 1 or mean.shape != std.shape or mean.size == 0:
        raise ShapeError(f"normalisation has a mean {mean.shape} and a deviation {std.shape}, expected {expected}")
    if not (np.isfinite(mean) & np.isfinite(std) & (std > 0) & (mean <= 1)).all():
        raise ValueError(f"normalisation has mean {mean.tolist()} and deviation {std.tolist()}, expected {expected}")
    return Normalisation(mean, std)


def no_forward(owner: object, kind: str) -> RuntimeError:
    """Return the error of a layer or loss whose backward finds nothing that forward kept for it."""
    return RuntimeError(f"{owner!r}: backward needs a forward of its own before it, outside nn.inference(); a {kind} that "
                        "is used twice in a step keeps what its last forward needs and no more: make one for each use")


def backward(module: Module, dy: Any, need_dx: bool) -> Any:
    """Run the module's backward; without `need_dx`, a module that can leaves out the work for dx."""
    if need_dx or module.replaced or "need_dx" not in module.backward_options:
        return module.backward(dy)
    return module.backward(dy, need_dx=False)  # type: ignore[call-arg]


def _search(items: Iterable[tuple[Any, Any]]) -> Iterator[tuple[str, Module | Parameter]]:
    for name, value in items:
        if isinstance(value, (Module, Parameter)):
            yield str(name), value
        elif isinstance(value, (list, tuple, dict)):
            inside = value.items() if isinstance(value, dict) else enumerate(value)
            for inner, child in _search(inside):
                yield f"{name}.{inner}", child


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _pair(arrays: list[np.ndarray]) -> tuple[np.ndarray | None, ...]:
    return (arrays[0], None) if len(arrays) == 1 else tuple(arrays)


def _misfits(name: str, given: np.ndarray, own: np.ndarray) -> list[str]:
    if given.shape != own.shape:
        return [f"{name} has shape {given.shape}, expected {own.shape}"]
    if given.dtype != own.dtype:
        return [f"{name} is {given.dtype}, expected {own.dtype}"]
    return []


def _listing(title: str, problems: list[str], limit: int = 12) -> str:
    more = [f"and {len(problems) - limit} more"] if len(problems) > limit else []
    return "\n  ".join([title, *problems[:limit], *more])
