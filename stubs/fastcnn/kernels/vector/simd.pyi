# Written by `python -m tests.stubs`.
from typing import Any
import functools
import operator
llvmlite: Any
import numpy as np
ir: Any
types: Any
lower_builtin: Any
models: Any
register_model: Any
type_callable: Any
from ..jit.internals import cgutils
from .operation import inside, limited, operation
INDEX: Any
INT64: Any
VECTOR_BYTES: Any
REGISTERS: Any
ROWS: Any
MOST_ROWS: Any
PLANES: int
PIXELS: int
TAPS: int
def together(itemsize: int) -> int: ...
class Tile(types.Type):
    def __init__(self, rows: int, vectors: int, element: Any, lanes: int=...) -> None: ...
def array_data(context: Any, builder: Any, array_type: Any, array: Any) -> Any: ...
def fields(context: Any, builder: Any, record: Any, value: Any) -> list[Any]: ...
def vector_at(builder: Any, pointer: Any, offset: Any, vector: Any) -> Any: ...
def load_vector(builder: Any, pointer: Any, offset: Any, vector: Any) -> Any: ...
def lane_offset(builder: Any, offset: Any, lanes: int) -> Any: ...
def broadcast(builder: Any, scalar: Any, vector: Any) -> Any: ...
def suffix(vector: Any) -> str: ...
def lanes_below(builder: Any, count: Any, lanes: int) -> Any: ...
def masked_load(builder: Any, pointer: Any, mask: Any, vector: Any, rest: Any=...) -> Any: ...
def masked_store(builder: Any, value: Any, pointer: Any, mask: Any) -> None: ...
def not_below(builder: Any, value: Any, floor: Any) -> Any: ...
lanes_copy_all: Any
lanes_copy: Any
lanes_copy_padded: Any
lanes_zero: Any
lanes_load: Any
lanes_fill: Any
integers_fill: Any
integers_load: Any
lanes_sum: Any
lanes_add: Any
lanes_not_below: Any
lanes_store: Any
lanes_of: Any
def width_of(kind: Any) -> int: ...
def splat(kind: Any, number: float) -> Any: ...
def of_each(builder: Any, signature: Any, args: Any, of_one: Any) -> Any: ...
where: Any
