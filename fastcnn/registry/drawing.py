"""Random settings of cases. A drawer makes them from random numbers, always such that the operation takes them.

Here is what the drawers of several families draw alike. Sizes are small, now and then as many as a vector or a tile holds.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from .row import LANES, TILE, WIDTH

Drawer = Callable[[Random], dict[str, Any]]


def chance(random: Random, share: float) -> bool:
    """Say yes in this share of the cases."""
    return random.random() < share


def channels(random: Random) -> int:
    """Draw a number of channels: a few, or about as many as a vector, two of them or a tile more."""
    if chance(random, 0.85):
        return random.randint(1, 6)
    return random.choice((LANES - 1, LANES, LANES + 1, WIDTH - 1, WIDTH + 1, 2 * WIDTH + 1))


def twice(random: Random, *values: int) -> tuple[Any, tuple[int, int]]:
    """Draw one value for rows and columns, or one for each: as an argument, and as a pair."""
    rows, columns = random.choice(values), random.choice(values)
    return random.choice(((rows, (rows, rows)), ((rows, columns), (rows, columns))))


def given(random: Random, **options: tuple[Any, ...]) -> dict[str, Any]:
    """Give each option one of its values, or leave it out."""
    return {name: random.choice(values) for name, values in options.items() if chance(random, 0.5)}


def padding(random: Random, most: tuple[int, int], *names: str) -> tuple[Any, tuple[int, int] | None]:
    """Draw a padding in any form, or one of the names, with at most so many rows and columns on a side.

    It comes with the rows and columns of both sides together, which "same" does not know.
    """
    form = random.choice(("nothing", "number", "pair", "sides", *names))
    rows, columns = random.randint(0, most[0]), random.randint(0, most[1])
    if form == "number":
        both = min(rows, columns)
        return both, (2 * both, 2 * both)
    if form == "pair":
        return (rows, columns), (2 * rows, 2 * columns)
    if form == "sides":
        bottom, right = random.randint(0, most[0]), random.randint(0, most[1])
        return ((rows, bottom), (columns, right)), (rows + bottom, columns + right)
    return 0 if form == "nothing" else form, None if form == "same" else (0, 0)


def size(random: Random, extent: int, stride: int, padded: int | None) -> int:
    """Draw a number of pixels, beside those of padding, with room for one to five windows, some for a tile of them.

    The last stride may leave some over.
    """
    if padded is None:
        return random.randint(1, 9)
    windows = TILE + random.randint(-1, 2) if chance(random, 0.03) else random.randint(1, 5)
    return max(1, extent + (windows - 1) * stride + random.randrange(stride) - padded)


def images(random: Random, H: int, W: int, C: int) -> tuple[int, int, int, int]:
    """Give the shape of one to three images."""
    return random.randint(1, 3), H, W, C


def small_images(random: Random) -> tuple[int, int, int, int]:
    """Draw the shape of images of any size from one pixel on."""
    return images(random, random.randint(1, 9), random.randint(1, 9), channels(random))


def any_shape(random: Random) -> tuple[int, ...]:
    """Draw a shape of one to four axes: of a few elements, or of one axis that ends near vectors or shares."""
    if chance(random, 0.3):
        return (random.choice((1, LANES, WIDTH, 128)) * random.randint(1, 5) + random.randint(0, 2),)
    return (*(random.randint(1, 4) for _ in range(random.randint(0, 3))), channels(random))


def elements_of(**options: tuple[Any, ...]) -> Drawer:
    """Make a drawer of numbers of any shape, small and large ones, with some options of the operation.

    The scales that make numbers smaller are powers of two: such whole numbers add up exactly still.
    """

    def draw(random: Random) -> dict[str, Any]:
        return {"x": any_shape(random), **given(random, scale=(2.0**-20, 0.125, 10.0, 40.0)), **given(random, **options)}

    return draw
