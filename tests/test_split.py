"""Work is split: a worker that is alone leaves to the others what is theirs.

Bits that are the same on any number of workers do not show it: a kernel that lets each of them do everything has them, too.
"""

import ast
from pathlib import Path

import numpy as np

from fastcnn import registry, verification
from fastcnn.kernels.jit.compile import dispatchers, launching
from fastcnn.runtime import buffers

WORKERS = 3
KERNELS = Path(__file__).parents[1] / "kernels"
ENTRIES = {"parallel_kernel", "interleaved_kernel"}
UNUSED = {"multiply_add", "negate"}  # of machine.py, which measures: no operation launches them


def entered():
    """Names of all kernels that are launched from Python."""
    nodes = (node for path in KERNELS.rglob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)
            and any(getattr(decorator, "id", "") in ENTRIES for decorator in node.decorator_list)}


def leaves_work(kernel, arguments):
    """Whether worker 0 of several, alone and with no task left in a queue, writes less than all of them do."""
    arrays = [value for value in arguments if isinstance(value, np.ndarray) and value.flags.writeable]
    before = [array.copy() for array in arrays]
    for array in arrays:
        if np.shares_memory(array, buffers._thread.queue):
            array[0] = 1 << 40
    entry = kernel._compiled(arguments)
    entry(*arguments, 0, WORKERS)
    alone = [array.copy() for array in arrays]
    for array, values in zip(arrays, before, strict=True):
        array[...] = values
    kernel.run(arguments, WORKERS)
    return any(written(array, values).sum() > written(own, values).sum()
               for array, own, values in zip(arrays, alone, before, strict=True)
               if not np.shares_memory(array, buffers._thread.queue))


def written(array, before):
    """Which bytes have changed."""
    return array.reshape(-1).view(np.uint8) != before.reshape(-1).view(np.uint8)


def split(rows):
    """The kernels that these rows launch, and those of them that leave work to other workers in some case."""
    launched, proven = set(), set()

    def watched(kernel, arguments, workers):
        launched.add(kernel.__name__)
        if kernel.__name__ in proven or workers != WORKERS:
            kernel.run(arguments, workers)
        elif leaves_work(kernel, arguments):
            proven.add(kernel.__name__)

    with launching(watched), verification.poisoned(), verification.spread_over(WORKERS):
        for row in rows:
            for case in row.cases:
                if not case.bench:
                    row.fast(**verification.Trial(row, case, "normal", "float32").arguments("normal"))
    return launched, proven


def test_every_kernel_leaves_work_to_other_workers():
    launched, proven = split(registry.ROWS)
    assert launched == entered() - UNUSED
    assert proven == launched


def test_a_kernel_that_ignores_its_worker_is_found(monkeypatch):
    relu = next(row for row in registry.ROWS if row.name == "relu")
    assert split([relu])[1]
    name = next(name for name in dispatchers if name.endswith("activation.relu"))
    monkeypatch.setattr(registry.activation.functional.activation.kernels.relu, "_compiled",
                        lambda arguments: lambda *given: dispatchers[name](*given[:-2], 0, 1))
    assert not split([relu])[1]
