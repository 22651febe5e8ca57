"""Processes that fork while threads run: the locks of all floors above the kernels are held the way theirs are."""

from ..kernels.jit.threads import ForkSafetyError, hold_over_forks

__all__ = ["ForkSafetyError", "hold_over_forks"]
