"""The table of a network: shapes, parameters, work, memory and algorithms, found without running a kernel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...shapes import Caller, integer
from ...tables import Table, Tabular
from ..lazy import Lazy, build
from ..module import Layer, Module
from ..parameter import Parameter
from .memory import Memory, forecast, free_memory, largest_batch, readable
from .trace import input_sizes, walk


class Row(NamedTuple):
    """One layer at work on one input; `memory` is the bytes of its output, 0 where that is its input
    reshaped.
    """

    name: str
    layer: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    memory: int
    algorithm: str


class Summary(Tabular):
    """Rows of a network in the order in which its layers run, and their totals; it prints as a table.

    `training` is the memory of a training step on batches of `batch_size`, None where that was not asked for; `free` the
    bytes that this machine still has, None where it does not tell, and `largest_batch` the power of two of inputs that fit.
    """

    def __init__(self, rows: list[Row], parameters: int, parameter_bytes: int) -> None:
        """Take the rows and what all parameters amount to, each counted once."""
        self.rows, self.parameters, self.parameter_bytes = rows, parameters, parameter_bytes
        self.batch_size: int | None = None
        self.training: Memory | None = None
        self.free: int | None = None
        self.largest_batch = 0

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one forward pass for one input."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def memory(self) -> int:
        """Bytes of all layers' outputs for one input."""
        return sum(row.memory for row in self.rows)

    def table(self) -> Table:
        """Return the table."""
        body = [(row.name, row.layer, " x ".join(map(str, row.output_shape)), f"{row.parameters:,}",
                 f"{row.multiply_adds:,}", readable(row.memory), row.algorithm) for row in self.rows]
        foot = ("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", readable(self.memory), "")
        head = ("name", "layer", "output", "parameters", "multiply-adds", "memory", "algorithm")
        return Table(head, body, foot=foot, notes=self._notes(), right=(3, 4, 5), wordy=(1,))

    def as_dict(self) -> dict[str, Any]:
        """Return the rows and totals as numbers, strings, lists and dicts, memory in bytes."""
        return {"layers": [row._asdict() for row in self.rows], "parameters": self.parameters,
                "multiply_adds": self.multiply_adds, "memory": self.memory, "batch_size": self.batch_size,
                "training_memory": self.training and {**self.training._asdict(), "peak": self.training.peak},
                "free_memory": self.free, "largest_batch": None if self.free is None else self.largest_batch}

    def _notes(self) -> list[str]:
        if self.training is None:
            return [f"memory: outputs for one input; parameters and gradients take {readable(2 * self.parameter_bytes)}"]
        parts = ", ".join(f"{name} {readable(count)}" for name, count in self.training._asdict().items())
        return [f"memory: outputs for one input; training on batches of {self.batch_size} takes "
                f"{readable(self.training.peak)}", f"({parts})", *self._advice()]

    def _advice(self) -> list[str]:
        if self.free is None:
            return []
        fits = f"batches of up to {self.largest_batch:,} fit" if self.largest_batch else "not even batches of 1 fit"
        return [f"{fits} into the {readable(self.free)} that are free here"]


def listing(model: Module) -> Table:
    """Return a table of the layers of a network, in the order of definition, for which no input has to be known."""
    layers = {name: module for name, module in model.named_modules()
              if isinstance(module, Lazy) or module._members(Parameter) or not module._members(Module)}
    sizes = {name: _own_parameters(module) for name, module in layers.items()}
    rows = [(name or "model", repr(module), _counted(sizes[name])) for name, module in layers.items()]
    total = None if None in sizes.values() else sum(parameter.size for _, parameter in model.named_parameters())
    return Table(("name", "layer", "parameters"), rows, foot=("total", "", _counted(total)), right=(2,))


def _own_parameters(module: Module) -> int | None:
    """Return how many numbers belong to a module itself, None where they wait for the first input."""
    if isinstance(module, Lazy) and not module.is_built:
        return None
    return sum(parameter.size for _, parameter in module._members(Parameter))


def _counted(count: int | None) -> str:
    return "not known yet" if count is None else f"{count:,}"


def summarise(
    model: Module, input_shape: tuple[int, ...], batch_size: int | None = None, optimizer_arrays: int = 2
) -> Summary:
    """Return the summary for one input of `input_shape` (H, W, C) or (features,).

    With `batch_size` also the memory of a training step on such batches; the optimizer keeps `optimizer_arrays`
    numbers for each parameter, two for Adam. ShapeError: the input does not fit the network.
    """
    sizes = input_sizes("summary", input_shape)
    rows: list[Row] = []
    with Caller("summary", f"input_shape is {sizes}"):
        build(model, sizes)
        parameters = [parameter for _, parameter in model._named_parameters()]
        dtype = parameters[0].dtype if parameters else np.dtype(np.float32)
        walk(model, (1, *sizes), dtype, lambda *seen: rows.append(_row(*seen)))
    summary = Summary(rows, model.num_parameters(), sum(parameter.data.nbytes for parameter in parameters))
    if batch_size is not None:
        summary.batch_size = integer("summary", "batch_size", batch_size, 1)
        kept = integer("summary", "optimizer_arrays", optimizer_arrays, 0)
        summary.training = forecast(model, (batch_size, *sizes), dtype, kept)
        summary.free = free_memory()
        if summary.free is not None:
            summary.largest_batch = largest_batch(model, sizes, dtype, kept, summary.free)
    return summary


def _row(name: str, layer: Module, x: Any, y: Any) -> Row:
    work, algorithm, memory = 0, "", y.size * y.dtype.itemsize
    if isinstance(layer, Layer):
        work, algorithm = layer.multiply_adds(x.shape), layer.algorithm_for(x.shape)
        memory *= not layer.is_view
    return Row(name, repr(layer), tuple(y.shape[1:]), layer.num_parameters(), work, memory, algorithm)
