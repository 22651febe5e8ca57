"""Depthwise convolution: one filter for each channel."""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from ...kernels import activation
from ...kernels.conv import depthwise as kernels
from ...kernels.jit import threads
from ...kernels.vector import simd
from ...runtime import buffers
from ...shapes import Window
from . import products


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


class _Tables(NamedTuple):
    """What the kernels read; all but counts are distances between elements of arrays.

    A row of the target has `source` and `weight`, where its tap 0 lies, and the range `first` to `last` of its taps
    inside. A run of `pixels` pixels of a row, `target_step` apart from `target` on, begins at `source`, where they are
    `step` apart, and meets `taps` columns of the filter. Where these lie, for one row of the filter after the other, is
    in offsets (source) and numbers (filter) from `list` on. `together`: in threes, of which each lies one step behind the
    one before.
    """

    rows: np.ndarray
    runs: np.ndarray
    offsets: np.ndarray
    numbers: np.ndarray


def _record(*fields: str) -> np.dtype:
    return np.dtype((np.record, [(field, np.int64) for field in fields]))


_ROW = _record("source", "weight", "first", "last")
_RUN = _record("target", "target_step", "pixels", "source", "step", "list", "taps", "together")
_STRIP = 2048  # elements of a run: as many as can be followed down the rows in the nearest cache


def fits(w: Window) -> bool:
    """Whether each channel has its own filter."""
    return w.C == w.K == w.groups


def pays(w: Window) -> bool:
    """Whether this is the fastest algorithm: one channel alone is not depthwise."""
    return fits(w) and w.groups > 1


class _Job(NamedTuple):
    """All that a kernel needs besides its arrays."""

    tables: _Tables
    nothing: np.ndarray  # a bias of zeros
    chunks: int  # of the weight gradient
    partial: tuple[int, int, int, int]  # shape of their partial sums
    work: int  # multiply-adds


@functools.lru_cache(maxsize=256)
def _job(w: Window, dtype: np.dtype, backward: bool) -> _Job:
    """Between output and input: from the output, or from the gradient of the output to that of the input."""
    chunks = min(w.N if w.N >= 8 else w.N * w.P, 32)
    return _Job(_gradient_tables(w) if backward else _tables(w), np.zeros(w.C, dtype), chunks, (chunks, w.R, w.S, w.C),
                w.N * w.P * w.Q * w.C * w.R * w.S)


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, w: Window, addend: np.ndarray, y: np.ndarray,
            relu: bool) -> None:
    """Write the convolution of x with weight, plus bias and addend (which may be empty), to y, or max(y, 0) with `relu`."""
    job, flat_y = _job(w, x.dtype, False), y.ravel()
    kernels.convolve(x.ravel(), *job.tables, w.N, w.C, weight.ravel(), bias if len(bias) else job.nothing, flat_y,
                     threads.workers(job.work))
    products.add_to(y, addend, relu)
    if relu and not len(addend):
        activation.rectify(flat_y, threads.workers(y.size))


def backward_input(dy: np.ndarray, weight: np.ndarray, w: Window, addend: np.ndarray, dx: np.ndarray) -> None:
    """Write the gradient of x, plus addend (which may be empty), to dx."""
    job = _job(w, dy.dtype, True)
    kernels.convolve(dy.ravel(), *job.tables, w.N, w.C, weight.ravel(), job.nothing, dx.ravel(), threads.workers(job.work))
    products.add_to(dx, addend)


def backward_weight(dy: np.ndarray, x: np.ndarray, w: Window, dweight: np.ndarray) -> None:
    """Write the gradient of the weight to dweight; partial sums of chunks are added in order."""
    job = _job(w, x.dtype, False)
    partial = buffers.empty(job.partial, x.dtype)
    kernels.backward_weight(x.ravel(), *job.tables, w.N, w.C, dy.ravel(), partial.ravel(), job.chunks,
                            threads.workers(job.work))
    np.add.reduce(partial, axis=0, out=dweight.reshape(job.partial[1:]))


def _tables(w: Window) -> _Tables:
    """From the output to the input."""
    rows = [_Axis(w.R, 0, 1, -w.top, w.dilation_rows, w.stride_rows)]
    columns = [_Axis(w.S, 0, 1, -w.left, w.dilation_columns, w.stride_columns)]
    return _cut(w, rows, columns, (w.P, w.Q), (w.H, w.W))


def _gradient_tables(w: Window) -> _Tables:
    """From the gradient of the output to that of the input."""
    rows = _phases(w.R, w.stride_rows, w.top, w.dilation_rows)
    columns = _phases(w.S, w.stride_columns, w.left, w.dilation_columns)
    return _cut(w, rows, columns, (w.H, w.W), (w.P, w.Q))


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


def _cut(w: Window, rows: list[_Axis], columns: list[_Axis], target: tuple[int, int], source: tuple[int, int]) -> _Tables:
    """Cut the target, whose rows and columns take turns in meeting the source by these axes, into runs."""
    row_table, run_table = [], []
    for i in range(target[0]):
        j, phase = divmod(i, len(rows))
        axis = rows[phase]
        row_table.append((axis.at(j) * source[1] * w.C, axis.tap * w.S * w.C, *axis.inside(j, source[0])))
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
            for j, count in _strips(members, max(simd.PIXELS, _STRIP // w.C)):
                run_table.append(((phase + j * len(columns)) * w.C, len(columns) * w.C, count, axis.at(j) * w.C,
                                  axis.step * w.C, listed, len(taps), together))
    return _Tables(np.array(row_table, _ROW), np.array(run_table, _RUN), np.concatenate(offsets), np.concatenate(numbers))


def _strips(pixels: list[int], size: int) -> list[tuple[int, int]]:
    """First pixel and number of parts of `size` pixels or a little more."""
    parts = max(1, len(pixels) // size)
    borders = [len(pixels) * part // parts for part in range(parts + 1)]
    return [(pixels[begin], end - begin) for begin, end in itertools.pairwise(borders)]
