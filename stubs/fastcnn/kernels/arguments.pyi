# Written by `python -m tests.stubs`.
from typing import Any
from typing import Any, NamedTuple, TypeAlias
import numpy as np
from numpy.typing import NDArray
Floats: TypeAlias = NDArray[np.floating[Any]]
Integers: TypeAlias = NDArray[np.int64]
Indices: TypeAlias = NDArray[np.int32]
Bytes: TypeAlias = NDArray[np.uint8]
Booleans: TypeAlias = NDArray[np.bool_]
Geometry: TypeAlias = NDArray[np.void]
Width: TypeAlias = tuple[int, ...]
class Follower(NamedTuple):
    written: Integers
    frame: Bytes
    address: int
    entry: int
    size: int
NO_FOLLOWER: Any
class Epilogue(NamedTuple):
    bias: Floats
    residual: Floats
    relu: bool
    follower: Follower = ...
class Maxima(NamedTuple):
    y: Floats
    argmax: Indices
    relu: bool
class Workspace(NamedTuple):
    floats: Floats
    integers: Integers
    counter: Integers
