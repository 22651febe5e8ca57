"""Kinds of CPU: which one a host is, what FASTCNN_CPU may ask for, and that a process is held to it."""

import os
import platform
import subprocess
import sys

import pytest

from fastcnn.kernels import kinds
from fastcnn.kernels.kinds import HOST, KINDS
from fastcnn.kernels.vector import simd

SKYLAKE = dict.fromkeys(("avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd", "avx2", "avx", "fma", "sse2"), True)
HASWELL = {name: has and not name.startswith("avx512") for name, has in SKYLAKE.items()}
KNIGHTS_LANDING = {**SKYLAKE, "avx512bw": False}
SANDY_BRIDGE = {**HASWELL, "avx2": False, "fma": False}


@pytest.mark.parametrize(("features", "machine", "name"), [
    (SKYLAKE, "x86_64", "avx512"), (HASWELL, "AMD64", "avx2"), (KNIGHTS_LANDING, "x86_64", "avx2"),
    (SANDY_BRIDGE, "x86_64", "baseline"), ({}, "x86_64", "baseline"), ({}, "aarch64", "arm64"), ({}, "arm64", "arm64"),
    ({"neon": False}, "ARM64", "arm64"), ({}, "riscv64", "baseline")])
def test_kind_of_a_host(features, machine, name):
    assert kinds.of_host(features, machine).name == name


def test_kind_of_this_host():
    assert (HOST.name == "arm64") == (platform.machine().lower() in ("arm64", "aarch64"))


@pytest.mark.parametrize(("asked", "host", "name"), [
    (None, "avx512", "avx512"), ("", "avx2", "avx2"), ("avx2", "avx512", "avx2"), ("baseline", "avx2", "baseline"),
    ("avx512", "avx512", "avx512"), (None, "arm64", "arm64"), ("arm64", "arm64", "arm64")])
def test_what_may_be_asked_for(asked, host, name):
    assert kinds.choose(asked, KINDS[host]).name == name


@pytest.mark.parametrize(("asked", "host", "reason"), [
    ("avx512", "avx2", "this CPU cannot do that; choose 'avx2' or 'baseline', or unset it for 'avx2'"),
    ("avx2", "arm64", "this CPU cannot do that; choose 'arm64', or unset it for 'arm64'"),
    ("arm64", "avx2", "this CPU cannot do that"), ("AVX2", "avx2", "there is no such kind"), ("sse", "arm64", "no such")])
def test_what_may_not_be_asked_for(asked, host, reason):
    with pytest.raises(ValueError, match=f"FASTCNN_CPU is '{asked}': .*{reason}"):
        kinds.choose(asked, KINDS[host])


def test_a_held_kind_has_no_features_beyond_it():
    name, features = kinds.held(KINDS["avx2"], SKYLAKE)
    assert name == "haswell"
    assert set(features.split(",")) == {"+avx", "+avx2", "+fma", "+sse2", "-avx512bw", "-avx512cd", "-avx512dq", "-avx512f",
                                        "-avx512vl"}
    assert set(kinds.held(KINDS["baseline"], HASWELL)[1].split(",")) >= {"-avx", "-avx2", "-fma", "+sse2"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_tiles_fit_the_registers(kind):
    product = kind.name == "baseline"  # which takes a register before it is added
    for vectors, rows in kind.rows.items():
        assert kind.holds(vectors, rows)
        assert rows * vectors + vectors + 1 + product <= kind.registers
    channels, vectors = kind.planes
    assert max(channels) * vectors + vectors + 1 + product <= kind.registers
    assert kind.strip + 3 + 1 + product <= kind.registers
    assert all(lines * run + 2 + product <= kind.registers for lines, run in kind.filters)
    assert 9 + kind.gradient_strip + 1 + product <= kind.registers
    assert kind.rows.keys() == kind.speeds.keys()


def run(kind, *code):
    return subprocess.run([sys.executable, *code], env={**os.environ, "FASTCNN_CPU": kind}, capture_output=True, text=True,
                          check=False)


HELD = """
from fastcnn import functional as F, reference as R
import numpy as np
from fastcnn.kernels.jit import cache
from fastcnn.kernels import dropout
from fastcnn.kernels.activation import relu
from fastcnn.kernels.vector import simd
from fastcnn.kernels.jit.internals import NullCache
relu.dispatcher._cache = NullCache()
x = np.linspace(-1, 1, 100, dtype=np.float32)
assert (F.relu(x) == R.relu(x)).all()
code = "".join(overload.library.get_asm_str() for overload in relu.dispatcher.overloads.values())
assert "mm0" in code and "ymm" not in code and "zmm" not in code, code
print(simd.VECTOR_BYTES, cache.folder())
"""


@pytest.mark.skipif(HOST.name not in ("avx512", "avx2"), reason="this host can do no other kind")
def test_a_process_is_held_to_a_kind():
    """Vectors, machine code and cache are those of the kind."""
    outcome = run("baseline", "-c", HELD)
    assert outcome.returncode == 0, outcome.stderr
    own = run("", "-c", "from fastcnn.kernels.jit import cache; print(cache.folder())")
    assert outcome.stdout.split()[0] == "16"
    assert outcome.stdout.split()[1] != own.stdout.strip()


@pytest.mark.skipif(HOST.name not in ("avx512", "avx2"), reason="this host can do no other kind")
def test_doctor_names_the_kind():
    outcome = run("baseline", "-m", "fastcnn", "doctor")
    assert f"baseline, 16 registers of 4 float32 lanes (FASTCNN_CPU; this CPU can do {HOST.name})" in outcome.stdout


def test_a_kind_that_does_not_exist_is_one_line():
    outcome = run("mmx", "-m", "fastcnn", "doctor")
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("fastcnn: FASTCNN_CPU is 'mmx': there is no such kind; choose ")
    assert outcome.stderr.count("\n") == 1


@pytest.mark.skipif(HOST.name not in ("avx512", "avx2"), reason="this host can do no other kind")
def test_numba_must_not_have_compiled_before():
    outcome = run("baseline", "-c", "import numba; numba.njit(lambda x: x)(1); import fastcnn.functional")
    assert outcome.stderr.splitlines()[-1] == (
        f"ImportError: FASTCNN_CPU is 'baseline', but Numba has already compiled for '{HOST.name}' in this process: "
        "import fastcnn.functional before")


def test_vectors_are_those_of_the_kind():
    assert kinds.KIND.vector_bytes == simd.VECTOR_BYTES
