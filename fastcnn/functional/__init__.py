"""One function per operation: check the arguments, choose the algorithm, allocate, call the kernel."""

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
