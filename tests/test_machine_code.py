"""Innermost loops with multiply-adds move no vectors to or from the stack, as machine code shows."""

import platform
import subprocess
import sys

import numba
import pytest

from tests.machine_code import innermost_loops

SPILLING = """
	.type	outer,@function
outer:
	vmovups	%ymm0, 8(%rsp)
.LBB0_1:
	vmovups	%ymm0, 16(%rsp)
.LBB0_2:
	vfmadd231ps	(%rdi), %ymm1, %ymm2
	vfmadd231ps	(%rdi), %ymm1, %ymm3
	vmovups	%ymm3, 24(%rsp)
	jne	.LBB0_4
	vfmadd231ps	24(%rsp), %ymm1, %ymm4
	vmulps	%ymm5, %ymm1, %ymm4
	movq	32(%rsp), %rax
.LBB0_4:
	jne	.LBB0_2
	jne	.LBB0_1
	retq
	.type	scalar,@function
scalar:
.LBB1_1:
	vfmadd231ss	(%rdi), %xmm1, %xmm2
	vfmadd231ss	(%rdi), %xmm1, %xmm2
	vfmadd231ss	(%rdi), %xmm1, %xmm2
	vfmadd231ss	(%rdi), %xmm1, %xmm2
	jne	.LBB1_1
	retq
	.type	clean,@function
clean:
	jmp	.LBB2_3
.LBB2_1:
	vmovups	%zmm0, 8(%rsp)
	retq
.LBB2_3:
	vfmadd231ps	%zmm0, %zmm1, %zmm2
	vfmadd231pd	%zmm0, %zmm1, %zmm3
	vfmadd231ps	%zmm0, %zmm1, %zmm4
	vfmadd231ps	%zmm0, %zmm1, %zmm5
	je	.LBB2_1
	jmp	.LBB2_3
"""


def test_loops_are_read():
    """The outer loop, loops of scalars and what a loop leads to do not count; an integer from the stack is no vector."""
    loops = {loop.function: loop for loop in innermost_loops(SPILLING)}
    assert loops.keys() == {"outer", "clean"}
    assert loops["outer"][1:] == (".LBB0_2", 4, 2)
    assert loops["clean"][1:] == (".LBB2_3", 4, 0)


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="reads machine code")
@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="reads x86 machine code")
def test_hot_loops_of_this_cpu_keep_their_vectors_in_registers():
    """Other kinds: `python -m tests.machine_code avx512`, likewise `avx2`."""
    outcome = subprocess.run([sys.executable, "-m", "tests.machine_code"], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
