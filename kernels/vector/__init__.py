"""Vectors and tiles of numbers in registers, as intrinsics in LLVM IR with their meaning in numpy."""
