"""What a command line can get wrong. Standard library only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..shapes import DTypeError


class UsageError(ValueError):
    """What the command line asks for does not exist, is out of range or does not go together: exit code 2."""


@contextlib.contextmanager
def blaming(option: str, argument: str) -> Iterator[None]:
    """Inside the `with` block, an invalid `argument` of a function is an invalid `option` of the line: UsageError."""
    try:
        yield
    except (ValueError, DTypeError) as error:
        function, found, rest = str(error).partition(f": {argument} is ")
        if not found or not function.isidentifier():
            raise
        raise UsageError(f"{option} is {rest}") from error
