"""Innermost loops with multiply-adds move no vectors to or from the stack, as machine code shows."""

import platform
import subprocess
import sys

import numba
import pytest

from tests.machine_code import ARM64, X86, innermost_loops

SPILLING_X86 = """
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


SPILLING_ARM64 = """
	.type	outer,@function
outer:
	add	x29, sp, #16
	str	q0, [sp, #16]
.LBB0_1:
	stp	q0, q1, [sp, #32]
.LBB0_2:
	fmla	v2.4s, v1.4s, v0.s[0]
	fmla	v3.4s, v1.4s, v0.s[1]
	stur	q3, [x29, #-64]
	ldr	q7, [x29, x8]
	tbz	w8, #0, .LBB0_4
	ld1r	{ v4.4s }, [sp]
	fmla	v4.2d, v1.2d, v5.2d
	fmul	v5.4s, v1.4s, v4.4s
	ldr	x8, [sp, #80]
	ldr	q6, [x9, x8]
.LBB0_4:
	cbnz	x9, .LBB0_2
	b.ne	.LBB0_1
	ret
	.type	scalar,@function
scalar:
.LBB1_1:
	fmadd	s0, s1, s2, s0
	fmadd	s0, s1, s2, s0
	fmadd	s0, s1, s2, s0
	fmadd	s0, s1, s2, s0
	b.ne	.LBB1_1
	ret
	.type	clean,@function
clean:
	b	.LBB2_3
.LBB2_1:
	str	q0, [sp, #16]
	ret
.LBB2_3:
	fmla	v2.4s, v1.4s, v0.s[0]
	fmls	v3.4s, v1.4s, v0.s[0]
	fmla	v4.4s, v1.4s, v0.s[0]
	fmla	v5.4s, v1.4s, v0.s[0]
	ldur	q6, [x29, #-64]
	cbz	x8, .LBB2_1
	b	.LBB2_3
"""


@pytest.mark.parametrize(("assembly", "instructions"), [(SPILLING_X86, X86), (SPILLING_ARM64, ARM64)], ids=["x86", "arm64"])
def test_loops_are_read(assembly, instructions):
    """The outer loop, loops of scalars and what a loop leads to do not count; an integer from the stack is no vector.

    Where x29 of ARM64 was not made from the stack pointer, it is a register like others.
    """
    loops = {loop.function: loop for loop in innermost_loops(assembly, instructions)}
    assert loops.keys() == {"outer", "clean"}
    assert loops["outer"][1:] == (".LBB0_2", 4, 2)
    assert loops["clean"][1:] == (".LBB2_3", 4, 0)


reads_elf = pytest.mark.skipif(
    numba.config.DISABLE_JIT or platform.machine().lower() not in ("x86_64", "amd64", "aarch64"),
    reason="reads machine code in ELF's format")


def require_no_spills(*which):
    outcome = subprocess.run([sys.executable, "-m", "tests.machine_code", *which], capture_output=True, text=True,
                             check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@reads_elf
def test_hot_loops_of_this_cpu_keep_their_vectors_in_registers():
    """Other kinds: `python -m tests.machine_code avx512`, likewise `avx2` and `arm64`."""
    require_no_spills()


@reads_elf
def test_so_do_those_of_arm64():
    """Of the linear layers, which compile fastest."""
    require_no_spills("arm64", "linear")
