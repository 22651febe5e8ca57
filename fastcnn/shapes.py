"""Floor 0: error types, argument checks and output sizes. Standard library only.

Every public function checks its arguments here before a kernel runs. A message names the function and the argument, what
came and what was expected.
"""

from __future__ import annotations


class ShapeError(ValueError):
    """An array's shape, or a size given as a number, does not fit the operation."""


class DTypeError(TypeError):
    """An array's element type, or the type of an argument, does not fit the operation."""


class DataFormatError(ValueError):
    """A data file is not what its name or its header says."""


class CheckpointError(ValueError):
    """A saved model or checkpoint cannot be used: damaged, foreign, or made for another model."""
