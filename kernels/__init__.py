"""Floor 1: the loops, compiled by Numba. They read arrays and write `out`; they check, allocate and raise nothing.

The folder stands at the top of the repository and is imported as `fastcnn.kernels`.
"""

if __name__ != "fastcnn.kernels":
    raise ImportError(f"this folder is imported as fastcnn.kernels, not as {__name__!r}: pip install -e .")
