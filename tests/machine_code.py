"""What the machine code of the hot loops does beside its multiply-adds: `python -m tests.machine_code [KIND]`.

Compiles every kernel that the bench cases of the registry launch, for a kind of CPU that this machine need not have, and
prints the innermost loops with four multiply-adds of vectors and more, with the vectors that they move to and from the
stack. Nothing is run.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

LEAST = 4  # multiply-adds of a loop that counts
_LABEL = re.compile(r"^(\.LBB[0-9_]+):")
_JUMP = re.compile(r"^\s+j[a-z]+\s+(\.LBB[0-9_]+)")
_PRODUCT = re.compile(r"^\s+(vfm|vmulp)")
_VECTOR_ON_STACK = re.compile(r"^\s+v?[a-z0-9]+\s.*\(%rsp.*%[xyz]mm|^\s+v?[a-z0-9]+\s.*%[xyz]mm.*\(%rsp")


class Loop(NamedTuple):
    """An innermost loop of a function: its multiply-adds of vectors and the instructions with vectors on the stack."""

    function: str
    label: str
    products: int
    spills: int


def innermost_loops(assembly: str) -> Iterator[Loop]:
    """Give the loops of x86 assembly (AT&T) that contain no other and multiply vectors."""
    function, lines = "", assembly.splitlines()
    labels, ranges = {}, []
    for number, line in enumerate(lines):
        if line.startswith("\t.type") and "@function" in line:
            labels = {}
            function = line.split()[1].split(",")[0]
        elif found := _LABEL.match(line):
            labels[found[1]] = number
        elif (found := _JUMP.match(line)) and found[1] in labels:
            ranges.append((labels[found[1]], number, function, found[1]))
    for first, last, function, label in ranges:
        if any(first <= a and b <= last and (a, b) != (first, last) for a, b, *_ in ranges):
            continue
        body = lines[first:last + 1]
        products = sum(bool(_PRODUCT.match(line)) and "ss" not in line.split()[0][-2:] for line in body)
        if products >= LEAST:
            yield Loop(function, label, products, sum(bool(_VECTOR_ON_STACK.match(line)) for line in body))


def kernels() -> Iterator[tuple[str, str]]:
    """Give the name and the assembly of each kernel that a bench case launches."""
    from fastcnn import benchmark, set_num_threads, verification
    from fastcnn.kernels.jit.compile import launching
    from fastcnn.kernels.jit.internals import NullCache

    made = {}
    set_num_threads(1)

    def launched(kernel, arguments, workers):
        del workers
        if not hasattr(kernel, "_types"):
            return
        key = kernel.__name__, kernel._types(arguments)
        if key not in made:
            kernel.dispatcher._cache = NullCache()
            kernel._compiled(arguments)
            made[key] = kernel.dispatcher.overloads[list(kernel.dispatcher.overloads)[-1]].library.get_asm_str()

    for row, case in benchmark.cases():
        with launching(launched):
            verification.repeatable(row, verification.Trial(row, case, "normal", "float32").arguments("normal"))[0]()
    for (name, types), assembly in made.items():
        yield f"{name} {types}", assembly


def main() -> int:
    """Print the loops; return the number of those with vectors on the stack."""
    bad = 0
    seen = set()
    for name, assembly in kernels():
        for loop in innermost_loops(assembly):
            if loop.function + loop.label in seen: continue
            seen.add(loop.function + loop.label)
            bad += loop.spills > 0
            short = re.sub(r"B2v.*", "", loop.function.replace("_ZN7fastcnn7kernels", ""))
            print(f"{loop.products:4d} multiply-adds, {loop.spills:3d} on the stack: {short} {loop.label} in {name}"[:170], flush=True)
    print(bad, "loops with spills of", len(seen))
    return bad


if __name__ == "__main__":
    sys.exit(main())
