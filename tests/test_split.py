"""Work is split: a worker that is alone leaves to the others what is theirs.

Bits that are the same on any number of workers do not show it: a kernel that lets each of them do everything has them, too.
"""

import ast
import functools
from pathlib import Path

import numpy as np

from fastcnn import functional, registry, verification
from fastcnn.kernels import activation
from fastcnn.kernels.jit.compile import LoopNest, launching
from fastcnn.runtime import buffers
from tests.test_algorithms import POOLED, in_stages, pooled

WORKERS = 3
KERNELS = Path(__file__).parents[1] / "kernels"
ENTRIES = {"parallel_kernel", "interleaved_kernel"}
UNUSED = {"multiply_add", "negate"}  # of machine.py, which measures: no operation launches them


def entered():
    """Names of all kernels that are launched from Python."""
    nodes = (node for path in KERNELS.rglob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)
            and any(getattr(decorator, "id", "") in ENTRIES for decorator in node.decorator_list)}


def leaves(value):
    """What lies in records, and in records of records."""
    return [leaf for part in value for leaf in leaves(part)] if isinstance(value, tuple) else [value]


def leaves_work(kernel, arguments):
    """Whether worker 0 of several, alone and with no task left at the counter, writes less than all of them do."""
    arrays = [value for value in leaves(arguments) if isinstance(value, np.ndarray) and value.flags.writeable]
    before = [array.copy() for array in arrays]
    for array in arrays:
        if np.shares_memory(array, buffers._thread.counter):
            array[0] = 1 << 40
    entry = kernel._compiled(arguments)
    entry(*arguments, 0, WORKERS)
    alone = [array.copy() for array in arrays]
    for array, values in zip(arrays, before, strict=True):
        array[...] = values
    kernel.run(arguments, WORKERS)
    return any(written(array, values).sum() > written(own, values).sum()
               for array, own, values in zip(arrays, alone, before, strict=True)
               if not np.shares_memory(array, buffers._thread.counter))


def written(array, before):
    """Which bytes have changed."""
    return array.reshape(-1).view(np.uint8) != before.reshape(-1).view(np.uint8)


def calls_of(rows):
    """A call of each case."""
    for row in rows:
        for case in row.cases:
            if not case.bench:
                arguments = verification.Trial(row, case, "normal", "float32").arguments("normal")
                yield functools.partial(verification.fast, row, arguments)


def split(calls):
    """The kernels that these calls launch on one worker, on several, and those that leave work to others in some call."""
    alone, shared, proven = set(), set(), set()

    def watched(kernel, arguments, workers):
        if isinstance(kernel, LoopNest):  # whose loop Numba splits
            kernel.run(arguments, workers)
            return
        (shared if workers > 1 else alone).add(kernel.__name__)
        if workers == 1 or kernel.__name__ in proven:
            kernel.run(arguments, workers)
        elif leaves_work(kernel, arguments):
            proven.add(kernel.__name__)

    with launching(watched), verification.poisoned(), verification.spread_over(WORKERS):
        for call in calls:
            call()
    return alone, shared, proven


def in_place():
    x = np.linspace(-1, 1, 1000, dtype=np.float32)
    functional.relu(x, out=x)


def with_pooling():
    x, weight, options = POOLED["LeNet-5"]
    with np.errstate(invalid="ignore"):
        pooled(x, weight, **options)


def test_every_kernel_leaves_work_to_other_workers(monkeypatch):
    usual = split([*calls_of(registry.ROWS), in_place, with_pooling])
    in_stages(monkeypatch, 1 << 24)  # as for filters beyond the caches
    staged = split(calls_of(row for row in registry.ROWS if row.algorithm == "winograd"))
    alone, shared, proven = (one | other for one, other in zip(usual, staged, strict=True))
    assert alone | shared >= entered() - UNUSED
    assert proven == shared and len(proven) > 60


def test_a_kernel_that_ignores_its_worker_is_found(monkeypatch):
    relu = [row for row in registry.ROWS if row.name == "relu"]
    assert split(calls_of(relu)) == (set(), {"relu"}, {"relu"})
    entry = activation.relu.dispatcher
    monkeypatch.setattr(activation.relu, "_compiled", lambda arguments: lambda *given: entry(*given[:-2], 0, 1))
    assert split(calls_of(relu)) == (set(), {"relu"}, set())
