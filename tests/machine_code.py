"""Innermost loops whose vectors move to and from the stack: `python -m tests.machine_code [KIND [OPERATION ...]]`.

Compiles the kernels that the bench cases of convolution, linear layers and pooling launch, or those of operations whose
names begin as said, for a kind of CPU that this machine need not have, and prints their innermost loops with four
multiply-adds of vectors or more. No kernel is run, so that an x86-64 machine reads ARM64's code, too.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import llvmlite.binding

LEAST = 4  # multiply-adds of a loop that counts
HOT = "conv", "linear", "pool"  # beginnings of the names of operations


class Instructions(NamedTuple):
    """What a line of assembly says, in an instruction set."""

    jump: re.Pattern[str]  # goes on at a label, always or on a condition
    end: re.Pattern[str]  # does not go on at the next line
    product: re.Pattern[str]  # multiplies vectors
    on_stack: re.Pattern[str]  # has a vector register and the stack
    framing: re.Pattern[str] | None = None  # makes a register that of the stack, too,
    on_frame: re.Pattern[str] | None = None  # and has it and a vector register


X86 = Instructions(jump=re.compile(r"^\s+j\w+\s+(\.LBB\w+)"), end=re.compile(r"^\s+(jmp|ret)"),
                   product=re.compile(r"^\s+(vfm\w+p[sd]|v?mulp[sd])\s"),
                   on_stack=re.compile(r"^\s+v?\w+\s.*\(%rsp.*%[xyz]mm|^\s+v?\w+\s.*%[xyz]mm.*\(%rsp"))
ARM64 = Instructions(jump=re.compile(r"^\s+(?:b|b\.\w+|cbn?z|tbn?z)\s.*?(\.LBB\w+)"),
                     end=re.compile(r"^\s+(b|br|ret)(\s|$)"), product=re.compile(r"^\s+(fml[as]|fmul)\s+v\d+\.\d[sd]"),
                     on_stack=re.compile(r"^\s+(ld|st)\w+\s.*\b[sdqv]\d+\b.*\[sp"),
                     framing=re.compile(r"^\s+(mov|add)\s+x29, sp"),
                     on_frame=re.compile(r"^\s+(ld|st)\w+\s.*\b[sdqv]\d+\b.*\[x29, #"))


class Host(NamedTuple):
    """A host of a kind, to LLVM."""

    processor: str
    features: tuple[str, ...]  # that its list names
    machine: str = "x86_64"  # as `platform` calls it


HOSTS = {"avx512": Host("skylake-avx512", ("avx512f", "avx512dq", "avx512bw", "avx512vl", "avx2", "fma")),
         "avx2": Host("haswell", ("avx2", "fma")), "baseline": Host("x86-64", ("sse2",)),
         "arm64": Host("neoverse-n1", ("neon",), "aarch64")}

_FUNCTION = re.compile(r"^\s+\.type\s+([^,]+),@function")
_LABEL = re.compile(r"^(\.LBB\w+):")


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


def blocks(assembly: str, instructions: Instructions) -> Iterator[tuple[str, dict[str, Block]]]:
    """Give the functions of assembly, as LLVM writes it, as blocks by label."""
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
        if graph and (found := instructions.jump.match(line)):
            graph[label].following.add(found[1])
            falls = None
        if instructions.end.match(line):
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


def lines_of(group: Iterable[Block]) -> list[str]:
    """Give the lines of some blocks."""
    return [line for block in group for line in block.lines]


def innermost_loops(assembly: str, instructions: Instructions) -> Iterator[Loop]:
    """Give the innermost loops that multiply vectors."""
    for function, graph in blocks(assembly, instructions):
        has_frame = instructions.framing and any(map(instructions.framing.match, lines_of(graph.values())))
        on_stack = [pattern for pattern in (instructions.on_stack, has_frame and instructions.on_frame) if pattern]
        for loop in innermost(set(graph), graph):
            body = lines_of(graph[label] for label in loop)
            products = sum(bool(instructions.product.match(line)) for line in body)
            if products >= LEAST:
                spills = sum(any(pattern.match(line) for pattern in on_stack) for line in body)
                yield Loop(function, min(loop), products, spills)


def pretend(kind: str) -> None:
    """Let Python, Numba and LLVM find a host of this kind; before fastcnn and Numba are imported."""
    host = HOSTS[kind]
    found = llvmlite.binding.FeatureMap(dict.fromkeys(host.features, True))
    triple = f"{host.machine}-unknown-linux-gnu"
    llvmlite.binding.initialize_all_targets()
    llvmlite.binding.initialize_all_asmprinters()
    target = llvmlite.binding.Target.from_triple(triple)
    os.environ.update(NUMBA_CPU_NAME=host.processor, NUMBA_CPU_FEATURES="")
    platform.machine = lambda: host.machine
    llvmlite.binding.get_host_cpu_features = lambda: found
    llvmlite.binding.get_process_triple = lambda: triple
    llvmlite.binding.Target.from_default_triple = lambda: target


def hot_loops(operations: tuple[str, ...]) -> Iterator[Loop]:
    """Compile the kernels of these operations and give each of their innermost loops once."""
    from fastcnn import benchmark, set_num_threads, verification
    from fastcnn.kernels.jit.compile import ParallelKernel, launching
    from fastcnn.kernels.jit.internals import NullCache
    from fastcnn.kernels.kinds import KIND

    instructions = ARM64 if KIND.name == "arm64" else X86
    compiled, seen = set(), set()

    def compile_only(kernel, arguments, workers):
        if not isinstance(kernel, ParallelKernel):  # a textbook loop: fast code is not its purpose
            return
        kernel.dispatcher._cache = NullCache()
        kernel._compiled(arguments)
        compiled.add(kernel)

    set_num_threads(1)
    calls = []
    for row, case in benchmark.cases():
        if row.name.startswith(operations):
            arguments = verification.Trial(row, case, "normal", "float32").arguments("normal")
            calls.append(verification.repeatable(row, arguments)[0])
    if "conv2d_max_pool2d".startswith(operations):
        calls.append(pooled_convolution)
    with launching(compile_only):
        for call in calls:
            call()
    for kernel in compiled:
        for overload in kernel.dispatcher.overloads.values():
            for loop in innermost_loops(overload.library.get_asm_str(), instructions):
                if (loop.function, loop.label) not in seen:
                    seen.add((loop.function, loop.label))
                    yield loop


def pooled_convolution() -> None:
    """Launch what no operation does, but layers that run as one."""
    import numpy as np

    from fastcnn import nn

    layers = nn.Conv2D(1, 6, 5, algorithm="few_channels"), nn.MaxPool2D(2)
    nn.Sequential(*layers).forward(np.zeros((1, 28, 28, 1), np.float32))


def main() -> int:
    """Print the loops; return 1 where one of them has vectors on the stack, or none was found."""
    if len(sys.argv) > 1:
        pretend(sys.argv[1])
    loops = sorted(hot_loops(tuple(sys.argv[2:]) or HOT), key=lambda loop: (-loop.spills, loop.function))
    for loop in loops:
        name = ".".join(re.findall(r"\d+([a-z_]\w*?)(?=\d|B\d)", loop.function)[2:5])
        print(f"{loop.products:4d} multiply-adds, {loop.spills:3d} on the stack: {name} {loop.label}")
    spilled = sum(loop.spills > 0 for loop in loops)
    print(f"{spilled} of {len(loops)} loops move vectors to or from the stack")
    return int(spilled > 0 or not loops)


if __name__ == "__main__":
    sys.exit(main())
