"""Kinds of CPU: how long vectors are, how many registers hold them, and the tiles that fit.

All that kernels know of the machine stands here. A tile's sums, weights and broadcasts together must fit the registers:
where they do not, sums move to the stack and back in the innermost loop, at less than half the speed (measured, AVX2: 40
GFLOP/s with 17 registers wanted, 103 with 15). `tests/test_machine_code.py` reads the machine code of every kind for that.

FASTCNN_CPU in the environment holds a process to a kind that its host can do: `avx512`, `avx2` or `baseline`.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from typing import NamedTuple

import llvmlite.binding


class Kind(NamedTuple):
    """One kind of CPU; the tables of tiles are measured."""

    name: str
    vector_bytes: int
    registers: int
    features: tuple[str, ...]  # LLVM's names of what it needs
    rows: dict[int, int]  # rows of a tile of so many vectors
    speeds: dict[int, float]  # multiply-adds a second on such a tile, as a share of the best
    planes: tuple[tuple[int, ...], int]  # output channels, and vectors of pixels, of tiles of few channels
    filters: tuple[tuple[int, int], ...]  # lines and elements of filters whose gradients a tile holds
    strip: int  # neighbouring pixels that a depthwise convolution computes together,
    gradient_strip: int  # and whose products with filter elements it sums,
    taps: int  # so many of these at once, in threes

    @property
    def lanes(self) -> int:
        """Numbers of float32 in a vector."""
        return self.vector_bytes // 4

    def holds(self, vectors: int, rows: int) -> bool:
        """Whether the registers hold a tile: its sums, a row of weights, a broadcast, and a product that is not fused."""
        return rows * vectors + vectors + 1 + (self.name == "baseline") <= self.registers


_WITH_32 = {1: 8, 2: 8, 3: 8, 4: 6}  # eight sums or more hide the latency of a multiply-add; four vectors load least
_WITH_16 = {1: 8, 2: 6, 3: 4}
_FILTERS = (3, 3), (3, 6), (3, 9), (5, 5), (1, 8)
_FEW_FILTERS = (3, 3), (1, 8), (5, 2)

KINDS = {kind.name: kind for kind in (
    # Speeds measured on Zen 5.
    Kind("avx512", 64, 32, ("avx512f", "avx512dq", "avx512bw", "avx512vl"), _WITH_32,
         {1: 0.80, 2: 0.93, 3: 0.98, 4: 1.0}, ((8, 6), 2), _FILTERS, 6, 6, 9),
    # On one core of Zen 3, one to three vectors: 83.7, 103.1 and 101.0 GFLOP/s; 3 rows of 4 vectors, which do not fit: 39.9.
    Kind("avx2", 32, 16, ("avx2", "fma"), _WITH_16, {1: 0.81, 2: 1.0, 3: 0.98}, ((4, 6), 2), _FEW_FILTERS, 4, 4, 9),
    # Not measured: what fits, with the speeds of AVX-512.
    Kind("arm64", 16, 32, (), _WITH_32, {1: 0.80, 2: 0.93, 3: 0.98, 4: 1.0}, ((4, 6), 4), _FILTERS, 6, 6, 9),
    # Not measured: what fits beside the product, which is rounded before it is added, with about the speeds of AVX2.
    Kind("baseline", 16, 16, (), {1: 6, 2: 4}, {1: 0.81, 2: 1.0}, ((4,), 2), _FEW_FILTERS, 4, 2, 6),
)}

_X86 = "avx512", "avx2", "baseline"  # each does what those behind it do
# What a kind is held to on a host that can do more: a processor that LLVM makes code for, and the beginnings of the names of
# features that it lacks.
_HELD = {"avx2": ("haswell", ("avx512", "avx10", "amx")),
         "baseline": ("x86-64", ("avx", "fma", "f16c", "xop", "amx", "vaes", "vpclmul", "sse3", "ssse3", "sse4", "popcnt",
                                 "bmi", "lzcnt", "movbe", "gfni", "sha", "sm"))}


def host_features() -> dict[str, bool]:
    """LLVM's features of this CPU; none where it cannot tell, as on some ARM64 systems."""
    try:
        return dict(llvmlite.binding.get_host_cpu_features())
    except RuntimeError:
        return {}


def of_host(features: Mapping[str, bool], machine: str) -> Kind:
    """The fastest kind that a host can do; ARM64 is known by its name, as its list of features may name nothing."""
    if machine.lower() in ("arm64", "aarch64"):
        return KINDS["arm64"]
    return next(kind for kind in (KINDS[name] for name in _X86) if all(map(features.get, kind.features)))


def choose(asked: str | None, host: Kind) -> Kind:
    """The kind that is asked for; ValueError where there is none of that name, or the host cannot do it."""
    if not asked:
        return host
    possible = _X86[_X86.index(host.name):] if host.name in _X86 else (host.name,)
    if asked not in possible:
        reason = "this CPU cannot do that" if asked in KINDS else "there is no such kind"
        raise ValueError(f"FASTCNN_CPU is {asked!r}: {reason}; choose {' or '.join(map(repr, possible))}, or unset it for "
                         f"{host.name!r}")
    return KINDS[asked]


def held(kind: Kind, features: Mapping[str, bool]) -> tuple[str, str]:
    """LLVM's name of a processor of this kind, and the host's features without those beyond it."""
    name, beyond = _HELD[kind.name]
    allowed = {feature: has and not feature.startswith(beyond) for feature, has in sorted(features.items())}
    return name, ",".join(f"{'+' if has else '-'}{feature}" for feature, has in allowed.items())


HOST = of_host(host_features(), platform.machine())
KIND = choose(os.environ.get("FASTCNN_CPU"), HOST)
