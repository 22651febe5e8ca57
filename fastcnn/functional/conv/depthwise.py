"""Depthwise convolution: one filter for each channel."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from ...kernels.arguments import Epilogue, Floats, Geometry
from ...kernels.conv import depthwise as kernels
from ...kernels.conv.depthwise import Row, Run, Sizes, Walk
from ...kernels.jit import threads
from ...kernels.kinds import KIND
from ...runtime import buffers
from ...shapes import Window
from .. import arrays
from . import products
from .algorithm import Fit, Plan, Work, bytes_of, fits_if, multiply_adds

_STRIP = 2048  # elements of a run: as many as can be followed down the rows in the nearest cache


class _Axis(NamedTuple):
    """Rows or columns: tap i of position j of the target meets the source at origin + j * step + i * distance.

    That is element tap + i * tap_step of the filter.
    """

    taps: int
    tap: int
    tap_step: int
    origin: int
    distance: int
    step: int

    def at(self, j: int) -> int:
        """Give the position of tap 0."""
        return self.origin + j * self.step

    def inside(self, j: int, source: int) -> tuple[int, int]:
        """Give the half-open range of the taps that lie inside the source."""
        first = max(0, -(self.at(j) // self.distance))
        return first, max(first, min(self.taps, (source - 1 - self.at(j)) // self.distance + 1))


def fits(w: Window) -> Fit:
    """Whether each channel has its own filter."""
    return fits_if((w.groups == w.C, f"each of {w.groups} groups has {w.C // w.groups} input channels, not 1"),
                   (w.groups == w.K, f"each of {w.groups} groups has {w.K // w.groups} output channels, not 1"))


def work(w: Window, step: str) -> Work:
    """What it does in a pass: the same products in all three, slower on a vector that is not full."""
    products, (whole, rest) = w.N * w.P * w.Q * w.R * w.S, divmod(w.C, KIND.lanes)
    kernels = "depthwise weight" if step == "weight" else "depthwise"
    return Work(kernels, products * whole, products * (rest > 0), bytes_of(w))


@functools.lru_cache(maxsize=1024)
def _plan(w: Window) -> Plan[Walk]:
    """From the output to the input: the result, and the gradient of the weight."""
    rows = [_Axis(w.R, 0, 1, -w.top, w.dilation_rows, w.stride_rows)]
    columns = [_Axis(w.S, 0, 1, -w.left, w.dilation_columns, w.stride_columns)]
    return Plan(_cut(w, rows, columns, (w.P, w.Q), (w.H, w.W)), multiply_adds(w))


@functools.lru_cache(maxsize=1024)
def _input_plan(w: Window) -> Plan[Walk]:
    """From the gradient of the output to that of the input."""
    rows = _phases(w.R, w.stride_rows, w.top, w.dilation_rows)
    columns = _phases(w.S, w.stride_columns, w.left, w.dilation_columns)
    return Plan(_cut(w, rows, columns, (w.H, w.W), (w.P, w.Q)), multiply_adds(w))


def forward(x: Floats, weight: Floats, epilogue: Epilogue, w: Window, y: Floats) -> None:
    """Write the convolution of x with weight, and its epilogue, to y."""
    _convolve(x, weight, epilogue, _plan(w), y)


def backward_input(dy: Floats, weight: Floats, residual: Floats, w: Window, dx: Floats) -> None:
    """Write the gradient of x, plus the residual, to dx."""
    _convolve(dy, weight, Epilogue(arrays.NOTHING[dy.dtype], residual, False), _input_plan(w), dx)


def _convolve(x: Floats, weight: Floats, epilogue: Epilogue, plan: Plan[Walk], y: Floats) -> None:
    # Fewer multiply-adds are worth a thread here than where a tile makes them: each takes several times as long.
    kernels.convolve(x.ravel(), weight.ravel(), epilogue, y.ravel(), plan.walk, threads.workers(plan.work))


def backward_weight(dy: Floats, x: Floats, w: Window, dweight: Floats, dbias: Floats) -> None:
    """Write the gradients of weight and bias to dweight and dbias; partial sums of chunks are added in order."""
    plan = _plan(w)
    partial = buffers.empty((_chunks(w), w.R, w.S, w.C), x.dtype)
    kernels.backward_weight(x.ravel(), dy.ravel(), partial.ravel(), plan.walk, threads.workers(plan.work))
    products.add_sums(partial.reshape(-1), dweight.reshape(-1))
    products.column_sums(dy, dbias)


def _chunks(w: Window) -> int:
    """Chunks of output rows whose products are summed apart."""
    return min(w.N if w.N >= 8 else w.N * w.P, 32)


def _phases(extent: int, stride: int, before: int, dilation: int) -> list[_Axis]:
    """Axes of every stride-th position of the input: these meet the same filter elements, and outputs side by side."""
    period = stride // math.gcd(stride, dilation)
    axes = []
    for phase in range(stride):
        taps = [tap for tap in range(extent) if (phase + before - tap * dilation) % stride == 0]
        last = taps[-1] if taps else 0
        origin = (phase + before - last * dilation) // stride
        axes.append(_Axis(len(taps), last, -period, origin, dilation * period // stride, 1))
    return axes


def _cut(w: Window, rows: list[_Axis], columns: list[_Axis], target: tuple[int, int], source: tuple[int, int]) -> Walk:
    """Cut the target, whose rows and columns take turns in meeting the source by these axes, into runs."""
    row_table, run_table = [], []
    for i in range(target[0]):
        j, phase = divmod(i, len(rows))
        axis = rows[phase]
        row_table.append(Row(axis.at(j) * source[1] * w.C, axis.tap * w.S * w.C, *axis.inside(j, source[0])))
    lines = np.arange(max(axis.taps for axis in rows))[:, None]
    offsets, numbers = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for phase, axis in enumerate(columns):
        pixels = range(-(-(target[1] - phase) // len(columns)))
        inside = [axis.inside(j, source[1]) for j in pixels]
        for (first, last), group in itertools.groupby(pixels, inside.__getitem__):
            members, taps = list(group), np.arange(first, last)
            listed = sum(map(len, offsets))
            offsets.append((lines * rows[0].distance * source[1] + taps * axis.distance).ravel() * w.C)
            numbers.append((lines * rows[0].tap_step * w.S + axis.tap + taps * axis.tap_step).ravel() * w.C)
            together = len(taps) % 3 == 0 and axis.distance == axis.step
            for j, count in _strips(members, max(KIND.strip, _STRIP // w.C)):
                run_table.append(Run((phase + j * len(columns)) * w.C, len(columns) * w.C, count, axis.at(j) * w.C,
                                     axis.step * w.C, listed, len(taps), together))
    sizes = Sizes(source[0] * source[1] * w.C, target[1] * w.C, _chunks(w))
    new_rows, new_columns = rows[0].step, columns[0].step if rows[0].step > 1 else 0
    fresh = [(column - row * source[1]) * w.C for row in range(new_rows) for column in range(new_columns)]
    return Walk(arrays.record(w, sizes), _table(row_table), _table(run_table), np.concatenate(offsets),
                np.concatenate(numbers), np.array(fresh, np.int64))


def _table(records: list[Any]) -> Geometry:
    """NamedTuples of integers as an array of records, whose fields a kernel reads by name."""
    return np.array(records, np.dtype((np.record, [(field, np.int64) for field in records[0]._fields])))


def _strips(pixels: list[int], size: int) -> list[tuple[int, int]]:
    """First pixel and number of parts of `size` pixels or a little more."""
    parts = max(1, len(pixels) // size)
    borders = [len(pixels) * part // parts for part in range(parts + 1)]
    return [(pixels[begin], end - begin) for begin, end in itertools.pairwise(borders)]
