"""Optimizers, which change parameters by their gradients, constraints of these, and schedules of the learning rate."""

from types import ModuleType as _Module

from .constraints import *
from .groups import *
from .optimizer import *
from .optimizers import *
from .schedules import *

# What the files above list: a new operation is added to its own file alone.
__all__ = sorted(name for name, value in globals().items() if name[0] != "_" and not isinstance(value, _Module))
