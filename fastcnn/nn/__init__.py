"""Layers, containers and losses: they own parameters and keep what backward needs."""

from types import ModuleType as _Module

from .activation import *
from .containers import *
from .conv import *
from .dropout import *
from .frozen import *
from .initialise import *
from .linear import *
from .loss import *
from .module import *
from .norm import *
from .parameter import *
from .pool import *
from .resample import *

# What the files above list: a new operation is added to its own file alone.
__all__ = sorted(name for name, value in globals().items() if name[0] != "_" and not isinstance(value, _Module))
