"""What a change that only moves code must not change: `python bench/same.py save FILE`, later `... compare FILE`.

Of each bench case of the registry: the kernels that are launched, with their plans (numbers, tuples, shapes of arrays, and
workers) and a digest of the machine code of each. Of three networks: a digest of all weights after 50 training steps, on one
thread and on two. Machine code is that of this CPU kind and this Numba: both sides are made on one machine. All is compiled
anew, in a minute or two, as Numba keeps no machine code of what comes from its cache.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import binding

from fastcnn import benchmark, fit, manual_seed, models, optim, set_num_threads, verification
from fastcnn.kernels.jit.compile import dispatchers, launching
from fastcnn.kernels.jit.internals import NullCache

NETWORKS = {"lenet5": (28, 28, 1), "resnet20": (32, 32, 3), "mobilenet": (32, 32, 3)}
BATCH, STEPS = 16, 50


def launches() -> Iterator[tuple[str, list[str]]]:
    """Give each bench case with the launches that its call makes, one a line."""
    for row, case in benchmark.cases():
        arguments = verification.Trial(row, case, "normal", "float32").arguments("normal")
        found: list[str] = []

        def note(kernel: Any, given: tuple[Any, ...], workers: int, found: list[str] = found) -> None:
            found.append(f"{kernel.__name__}({', '.join(map(_described, given))}) on {workers}")
            kernel.run(given, workers)

        with launching(note):
            verification.repeatable(row, arguments)[0]()
        yield f"{row.name}, {case.name}", found


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}"
    return f"({', '.join(map(_described, value))})" if isinstance(value, tuple) else repr(value)


def machine_code() -> Iterator[tuple[str, str]]:
    """Give each compiled kernel, by name and argument types, with a digest of its instructions."""
    for name, dispatcher in sorted(dispatchers.items()):
        for signature, compiled in dispatcher.overloads.items():
            sections = binding.ObjectFileRef.from_data(compiled.library._get_compiled_object()).sections()
            text = b"".join(section.data() for section in sections if section.is_text())
            types = ", ".join(map(str, signature)).replace("fastcnn.kernels.", "")
            yield f"{name.rpartition('.')[2]}({types})", hashlib.sha256(text).hexdigest()


def trained(name: str, threads: int) -> str:
    """Return a digest of the weights of a network after 50 steps on noise."""
    set_num_threads(threads)
    manual_seed(0)
    shape = NETWORKS[name]
    model = models.create(name, shape, 10)
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (BATCH * STEPS, *shape), np.uint8), random.integers(0, 10, BATCH * STEPS)
    fit(model, (images, labels), epochs=1, batch_size=BATCH, optimizer=optim.SGD(model.parameters(), 0.01, momentum=0.9),
        progress=False)
    weights = b"".join(array.tobytes() for _, array in sorted(model.state_dict().items()))
    return hashlib.sha256(weights).hexdigest()


def state() -> dict[str, dict[str, Any]]:
    """Return all of it."""
    for dispatcher in dispatchers.values():
        dispatcher._cache = NullCache()
    found = dict(launches())
    digests = {f"{name}, {threads} threads": trained(name, threads) for name in NETWORKS for threads in (1, 2)}
    return {"launches": found, "machine code": dict(machine_code()), "weights": digests}


def main() -> int:
    """Save, or compare and say what differs."""
    command, path = sys.argv[1], Path(sys.argv[2])
    own = state()
    if command == "save":
        path.write_text(json.dumps(own, indent=1))
    other = own if command == "save" else json.loads(path.read_text())
    differing = 0
    for part, values in own.items():
        names = values.keys() | other[part].keys()
        changed = sorted(name for name in names if values.get(name) != other[part].get(name))
        differing += len(changed)
        print(f"{part}: {len(names)}, {len(changed)} differ", *(name[:110] for name in changed), sep="\n  ")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main())
