"""One function per operation and one per gradient: check the arguments, choose the algorithm, allocate, call the kernel.

Arrays are float32 or float64, one dtype for all arrays of a call, which the results have too; float16 becomes float32.
Any memory layout is accepted. The gradient of `operation` is `operation_backward(dy, ...)`: dy is the gradient of the
result, the other arguments are what `operation` was given or returned, and gradients come in the order of its arguments.

Every function raises ShapeError (a ValueError) where shapes do not fit, DTypeError (a TypeError) where types do not, and
ValueError where a number is out of range; the message says the argument, what came and what was expected. A section
"Raises" says what is not obvious from the shapes.

The examples assume

>>> import numpy as np
>>> from fastcnn import functional as F
"""

from types import ModuleType as _Module

from .activation import *
from .arithmetic import *
from .batch import *
from .conv import *
from .dropout import *
from .linear import *
from .loss import *
from .norm import *
from .optim import *
from .pool import *
from .resample import *

# What the files above list: a new operation is added to its own file alone.
__all__ = sorted(name for name, value in globals().items() if name[0] != "_" and not isinstance(value, _Module))
