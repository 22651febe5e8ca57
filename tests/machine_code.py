"""Innermost loops whose vectors move to and from the stack: `python -m tests.machine_code [KIND]`.

Compiles the kernels that the bench cases of convolution, linear layers and pooling launch, for a kind of CPU that this
machine need not have, and prints their innermost loops with four multiply-adds of vectors or more. Nothing is run.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

import llvmlite.binding

LEAST = 4  # multiply-adds of a loop that counts
HOT = "conv", "linear", "pool"
# A host of each kind, to LLVM: a processor, and what its list of features names.
HOSTS = {"avx512": ("skylake-avx512", ("avx512f", "avx512dq", "avx512bw", "avx512vl", "avx2", "fma")),
         "avx2": ("haswell", ("avx2", "fma")), "baseline": ("x86-64", ("sse2",))}

_FUNCTION = re.compile(r"^\s+\.type\s+([^,]+),@function")
_LABEL = re.compile(r"^(\.LBB\w+):")
_JUMP = re.compile(r"^\s+j(\w+)\s+(\.LBB\w+)")
_END = re.compile(r"^\s+(jmp|ret)")
_PRODUCT = re.compile(r"^\s+(vfm\w+p[sd]|v?mulp[sd])\s")
_ON_STACK = re.compile(r"^\s+v?\w+\s.*\(%rsp.*%[xyz]mm|^\s+v?\w+\s.*%[xyz]mm.*\(%rsp")


class Loop(NamedTuple):
    """An innermost loop: its multiply-adds of vectors, and its instructions with a vector register and the stack."""

    function: str
    label: str
    products: int
    spills: int


class Block(NamedTuple):
    """Instructions that run one after the other, and the labels of the blocks that may follow."""

    lines: list[str]
    following: set[str]


def blocks(assembly: str) -> Iterator[tuple[str, dict[str, Block]]]:
    """Give the functions of x86 assembly, as LLVM writes it, as blocks by label."""
    function, graph, label, falls = "", {}, "", False
    for line in assembly.splitlines():
        if found := _FUNCTION.match(line):
            if graph:
                yield function, graph
            function, label = found[1], "entry"
            graph, falls = {label: Block([], set())}, True
        elif graph and ((found := _LABEL.match(line)) or falls is None):
            before, label = label, found[1] if found else f"{label}'"  # what follows a conditional jump is a block, too
            graph[label] = Block([] if found else [line], set())
            if falls is not False:
                graph[before].following.add(label)
            falls = True
        elif graph:
            graph[label].lines.append(line)
        if graph and (found := _JUMP.match(line)):
            graph[label].following.add(found[2])
            falls = None
        if _END.match(line):
            falls = False
    if graph:
        yield function, graph


def cycles(labels: set[str], graph: dict[str, Block]) -> Iterator[set[str]]:
    """Give the largest sets of blocks of which each leads to all others (Tarjan, 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[set[str]] = []

    def visit(label: str) -> None:
        order[label] = lowest[label] = len(order)
        path.append(label)
        for other in graph[label].following & labels:
            if other not in order:
                visit(other)
            if other in path:
                lowest[label] = min(lowest[label], lowest[other])
        if lowest[label] == order[label]:
            members = set(path[path.index(label):])
            del path[path.index(label):]
            if len(members) > 1 or label in graph[label].following:
                found.append(members)

    for label in sorted(labels):
        if label not in order:
            visit(label)
    yield from found


def innermost(labels: set[str], graph: dict[str, Block]) -> Iterator[set[str]]:
    """Give the loops that contain no other: without the block that it is entered by, such a loop is none."""
    for loop in cycles(labels, graph):
        heads = {label for outside in graph.keys() - loop for label in graph[outside].following} & loop
        inner = list(innermost(loop - (heads or {min(loop)}), graph))
        yield from inner or [loop]


def innermost_loops(assembly: str) -> Iterator[Loop]:
    """Give the innermost loops that multiply vectors."""
    for function, graph in blocks(assembly):
        for loop in innermost(set(graph), graph):
            body = [line for label in loop for line in graph[label].lines]
            products = sum(bool(_PRODUCT.match(line)) for line in body)
            if products >= LEAST:
                yield Loop(function, min(loop), products, sum(bool(_ON_STACK.match(line)) for line in body))


def pretend(kind: str) -> None:
    """Let LLVM find a host of this kind; before fastcnn and Numba are imported."""
    name, features = HOSTS[kind]
    os.environ.update(NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES="")
    found = llvmlite.binding.FeatureMap(dict.fromkeys(features, True))
    llvmlite.binding.get_host_cpu_features = lambda: found


def hot_loops() -> Iterator[Loop]:
    """Compile the hot kernels and give each of their innermost loops once."""
    from fastcnn import benchmark, set_num_threads, verification
    from fastcnn.kernels.jit.compile import ParallelKernel, launching
    from fastcnn.kernels.jit.internals import NullCache

    compiled, seen = set(), set()

    def compile_only(kernel, arguments, workers):
        if not isinstance(kernel, ParallelKernel):  # a textbook loop: fast code is not its purpose
            return
        kernel.dispatcher._cache = NullCache()
        kernel._compiled(arguments)
        compiled.add(kernel)

    set_num_threads(1)
    for row, case in benchmark.cases():
        if row.name.startswith(HOT):
            arguments = verification.Trial(row, case, "normal", "float32").arguments("normal")
            with launching(compile_only):
                verification.repeatable(row, arguments)[0]()
    for kernel in compiled:
        for overload in kernel.dispatcher.overloads.values():
            for loop in innermost_loops(overload.library.get_asm_str()):
                if (loop.function, loop.label) not in seen:
                    seen.add((loop.function, loop.label))
                    yield loop


def main() -> int:
    """Print the loops; return 1 where one of them has vectors on the stack, or none was found."""
    if len(sys.argv) > 1:
        pretend(sys.argv[1])
    loops = sorted(hot_loops(), key=lambda loop: (-loop.spills, loop.function))
    for loop in loops:
        name = ".".join(re.findall(r"\d+([a-z_]\w*?)(?=\d|B\d)", loop.function)[2:5])
        print(f"{loop.products:4d} multiply-adds, {loop.spills:3d} on the stack: {name} {loop.label}")
    spilled = sum(loop.spills > 0 for loop in loops)
    print(f"{spilled} of {len(loops)} loops move vectors to or from the stack")
    return int(spilled > 0 or not loops)


if __name__ == "__main__":
    sys.exit(main())
