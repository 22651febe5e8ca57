"""The memory of a training step, found by going through the step without doing its work, and what batches fit.

The step runs as ever, with the same layers, buffers and lifetimes, but kernels do nothing and memory that nobody writes to
costs nothing. What it allocates is counted.
"""

from __future__ import annotations

import contextlib
import copy
import math
import threading
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from ...runtime import buffers
from ...runtime.forks import hold_over_forks
from ..module import Module, backward

_STEPS = 4  # until every request finds a buffer
_SOME = 16  # inputs: so many that what single ones round up does not show
_counting = threading.RLock()
hold_over_forks(_counting)


class Memory(NamedTuple):
    """Bytes of a training step at its peak."""

    parameters: int
    gradients: int
    optimizer: int  # what the optimizer keeps
    activations: int  # the images, what layers keep for backward, and results on their way
    scratch: int  # working memory of kernels

    @property
    def peak(self) -> int:
        """All of them."""
        return sum(self)


def forecast(model: Module, x_shape: tuple[int, ...], dtype: np.dtype, optimizer_arrays: int) -> Memory:
    """Return the memory of a training step on a batch of `x_shape`, such as (128, 28, 28, 1).

    The optimizer keeps `optimizer_arrays` numbers for each parameter. What layers of your own write in plain numpy is
    done for real. ShapeError: the batch does not fit.
    """
    rehearsed = copy.deepcopy(model).train()
    with buffers.rehearsal():
        peak = _peak_of(lambda: _train(rehearsed, x_shape, dtype))
        scratch = buffers.workspace_bytes()
    everything = sum(parameter.data.nbytes for _, parameter in model._named_parameters())
    trained = sum(parameter.data.nbytes for parameter in model._trained(model._named_parameters()))
    return Memory(everything, everything, optimizer_arrays * trained, peak - scratch, scratch)


def largest_batch(model: Module, input_shape: tuple[int, ...], dtype: np.dtype, optimizer_arrays: int, room: int) -> int:
    """Return the largest power of two of inputs whose training step takes at most `room` bytes, 0 where not even one does.

    Activations grow in proportion to the batch: those of two small batches tell nearly where to look.
    """
    def at(batch: int) -> Memory:
        return forecast(model, (batch, *input_shape), dtype, optimizer_arrays)

    def fits(batch: int) -> bool:
        try:
            return at(batch).peak <= room
        except MemoryError:  # the system does not even promise so much
            return False

    some, more = at(_SOME), at(2 * _SOME)
    each = max((more.activations - some.activations) // _SOME, more.activations // (4 * _SOME), 1)
    batch = 2 ** math.floor(math.log2(max(1.0, (room - more.peak) / each + 2 * _SOME)))
    while batch and not fits(batch):
        batch //= 2
    while batch and fits(2 * batch):
        batch *= 2
    return batch


def free_memory() -> int | None:
    """Return the bytes that can still be had: of the machine, or of the container or the process's limit where these have
    less; None: the system does not tell.
    """
    try:
        free = psutil.virtual_memory().available
        return max(0, min([free, *_left_to_groups(Path("/sys/fs/cgroup")), *_left_to_process()]))
    except (OSError, psutil.Error):
        return None


_GROUP_FILES = (  # of both versions of control groups: limit, use, and what copies of files take of it, which gives way
    ("", "memory.max", "memory.current", "inactive_file"),
    ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def _left_to_groups(root: Path, own: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Give the bytes that each control group with a limit, the process's own and those around it, still has."""
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            for controller, *files in _GROUP_FILES:
                if controller in controllers.split(","):
                    yield from _left_below(root / controller, name, files)


def _left_below(root: Path, name: str, files: Sequence[str]) -> Iterator[int]:
    """Give what the group `name` and those around it have left; inside a container, its own group is often the root."""
    limit, used, reclaimable = files
    inner = root / name.strip("/")
    for group in (inner, *inner.parents):
        if group != root and root not in group.parents:
            return
        with contextlib.suppress(OSError, ValueError, KeyError):
            most, now = int((group / limit).read_text()), int((group / used).read_text())
            statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
            yield most - now + int(statistics[reclaimable])


def _left_to_process() -> Iterator[int]:
    """Give the bytes of addresses that the process may still take (`ulimit -v`), where there is a limit."""
    try:
        import resource
    except ImportError:  # Windows has none
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        yield limit - psutil.Process().memory_info().vms


def readable(count: int) -> str:
    """Return a number of bytes as people write it."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def _train(model: Module, x_shape: tuple[int, ...], dtype: np.dtype) -> None:
    for _ in range(_STEPS):
        x = buffers.empty(x_shape, dtype)
        prediction = model.forward(x)
        backward(model, buffers.empty(prediction.shape, prediction.dtype), need_dx=False)


def _peak_of(work: Callable[[], None]) -> int:
    """Return how many bytes the work has allocated at most at any time."""
    with _counting:
        began = not tracemalloc.is_tracing()
        if began:
            tracemalloc.start()
        try:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            work()
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            if began:
                tracemalloc.stop()
