"""Every operation in plain numpy, short enough to check by eye; imports neither kernels nor shapes.

Names and signatures of `fastcnn.functional` (without algorithm and out); any float dtype in, the same out.
Layout NHWC: N images, H W rows and columns, C input channels, K output channels, R S filter, P Q output.
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
