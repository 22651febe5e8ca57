"""The table of a network: shapes, parameters, work, memory and algorithms, found without running a kernel."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, NamedTuple

import numpy as np

from ..shapes import integer
from .deferred import build
from .memory import Memory, forecast
from .module import Layer, Module
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


class Summary:
    """Rows of a network in the order in which its layers run, and their totals; `str` makes the table.

    `training` is the memory of a training step on batches of `batch_size`, None where that was not asked for.
    """

    def __init__(self, rows: list[Row], parameters: int, parameter_bytes: int) -> None:
        """Take the rows and what all parameters amount to, each counted once."""
        self.rows, self.parameters, self.parameter_bytes = rows, parameters, parameter_bytes
        self.batch_size: int | None = None
        self.training: Memory | None = None

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one forward pass for one input."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def memory(self) -> int:
        """Bytes of all layers' outputs for one input."""
        return sum(row.memory for row in self.rows)

    def __str__(self) -> str:
        """Return the table."""
        head = ("name", "layer", "output", "parameters", "multiply-adds", "memory", "algorithm")
        body = [
            (
                row.name,
                row.layer,
                " x ".join(map(str, row.output_shape)),
                f"{row.parameters:,}",
                f"{row.multiply_adds:,}",
                _bytes(row.memory),
                row.algorithm,
            )
            for row in self.rows
        ]
        foot = ("total", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", _bytes(self.memory), "")
        lines = aligned([head, *body, foot])
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], self._note()])

    def _note(self) -> str:
        if self.training is None:
            return f"memory: outputs for one input; parameters and gradients take {_bytes(2 * self.parameter_bytes)}"
        parts = ", ".join(f"{name} {_bytes(count)}" for name, count in self.training._asdict().items())
        return (f"memory: outputs for one input; training on batches of {self.batch_size} takes "
                f"{_bytes(self.training.peak)}\n({parts})")


def summarise(
    model: Module, input_shape: tuple[int, ...], batch_size: int | None = None, optimizer_arrays: int = 2
) -> Summary:
    """Return the summary for one input of `input_shape` (H, W, C) or (features,).

    With `batch_size` also the memory of a training step on such batches; the optimizer keeps `optimizer_arrays`
    numbers for each parameter, two for Adam. ShapeError: the input does not fit the network.
    """
    sizes = input_sizes("summary", input_shape)
    build(model, sizes)
    parameters = [parameter for _, parameter in model.named_parameters()]
    dtype = parameters[0].dtype if parameters else np.dtype(np.float32)
    rows: list[Row] = []
    walk(model, (1, *sizes), dtype, lambda *seen: rows.append(_row(*seen)))
    summary = Summary(rows, model.num_parameters(), sum(parameter.data.nbytes for parameter in parameters))
    if batch_size is not None:
        summary.batch_size = integer("summary", "batch_size", batch_size, 1)
        kept = integer("summary", "optimizer_arrays", optimizer_arrays, 0)
        summary.training = forecast(model, (batch_size, *sizes), dtype, kept)
    return summary


def _row(name: str, layer: Module, x: Any, y: Any) -> Row:
    work, algorithm, memory = 0, "", y.size * y.dtype.itemsize
    if isinstance(layer, Layer):
        work, algorithm = layer.multiply_adds(x.shape), layer.algorithm_for(x.shape)
        memory *= not layer.is_view
    return Row(name, repr(layer), tuple(y.shape[1:]), layer.num_parameters(), work, memory, algorithm)


def _bytes(count: int) -> str:
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def aligned(rows: list[tuple[str, ...]], right: Container[int] = (3, 4, 5)) -> list[str]:
    """Return lines with columns of equal width: words to the left, numbers, those in the columns `right`, to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
