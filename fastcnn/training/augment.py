"""Random changes of training images: functions of seed, epoch and image alone, whatever the batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..functional.batch import CHANGE
from ..shapes import DTypeError, integer, real, suggestion

_MOST = 1e3  # of mixup: shares are a half then


@dataclass(frozen=True)
class Augment:
    """Random changes of each training image, drawn anew in every epoch; without arguments, none.

    `crop`: a shift by up to so many whole pixels in each direction; `flip`: half of the images are mirrored, left and
    right. `translate`: a shift by up to this share of height and width; `rotate`: a turn by up to so many degrees; `scale`:
    a size from 1 - scale to 1 + scale. All of these bring in black from outside. `brightness`: up to this share of the range
    of a byte, more or less; `contrast`: differences from the middle of that range, times 1 - contrast to 1 + contrast.
    `cutout`: a square of so many pixels a side, anywhere and perhaps partly outside, becomes the mean (DeVries and Taylor,
    "Improved Regularization of Convolutional Neural Networks with Cutout", arXiv 1708.04552, 2017, section 3). `mixup`:
    image and target become a mixture with those of another image, in shares from a beta distribution with both parameters
    `mixup` (Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018, section 2).
    ShapeError, DTypeError, ValueError: an argument is not valid.
    """

    crop: int = 0
    flip: bool = False
    cutout: int = 0
    translate: float = 0.0
    rotate: float = 0.0
    scale: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        if not isinstance(self.flip, bool):
            raise DTypeError(f"Augment: flip is {self.flip!r}, expected True or False")
        checked: dict[str, float] = {name: integer("Augment", name, getattr(self, name), 0) for name in ("crop", "cutout")}
        for name, most in (("translate", 1), ("rotate", 180), ("brightness", 1), ("contrast", 1), ("mixup", _MOST)):
            checked[name] = real("Augment", name, getattr(self, name), 0, most)
        checked["scale"] = real("Augment", "scale", self.scale, 0, below=1)
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def changes_colours(self) -> bool:
        """Whether values change, which needs images of bytes."""
        return bool(self.brightness or self.contrast)

    def draw(self, count: int, H: int, W: int, seed: int, epoch: int) -> np.ndarray:
        """Return what happens to each of `count` images (H, W, C) in an epoch, as records (count,) of functional.CHANGE.

        A record depends on the sizes, the seed, the epoch and the number of its image; the partner in mixup on `count` too.
        """
        draws = _Draws(count, seed, epoch)
        changes = np.empty(count, CHANGE)
        changes["matrix"] = self._matrix(draws)
        changes["shift"] = self._shift(draws, H, W)
        changes["gain"] = 1 + self.contrast * draws.around("contrast")
        changes["lift"] = 255 * (self.brightness * draws.around("brightness") + (1 - changes["gain"]) / 2)
        changes["hole"] = self._hole(draws, H, W)
        changes["share"] = draws.beta("share", self.mixup) if self.mixup else 1
        changes["partner"] = draws.below("partner", count)
        return changes

    def _matrix(self, draws: _Draws) -> np.ndarray:
        """Return from where pixels of the result come (count, 2, 2): the inverse of mirroring, turning and scaling."""
        angle = np.radians(self.rotate * draws.around("rotate"))
        cos, sin = np.cos(angle), np.sin(angle)
        mirror = 1 - 2.0 * (draws.below("flip", 2) if self.flip else 0)
        matrix = np.stack([cos, -sin * mirror, sin, cos * mirror], axis=1).reshape(-1, 2, 2)
        size = 1 + self.scale * draws.around("scale")
        return np.asarray(matrix / size[:, np.newaxis, np.newaxis])

    def _shift(self, draws: _Draws, H: int, W: int) -> np.ndarray:
        """Return rows and columns (count, 2) by which pixels move."""
        pixels = [draws.below(f"crop {axis}", 2 * self.crop + 1) - self.crop for axis in ("rows", "columns")]
        parts = [size * draws.around(f"translate {axis}") for axis, size in (("rows", H), ("columns", W))]
        return np.stack(pixels, axis=1) + self.translate * np.stack(parts, axis=1)

    def _hole(self, draws: _Draws, H: int, W: int) -> np.ndarray:
        """Return first and last + 1 row and column (count, 4) of a square around a pixel."""
        top, left = (draws.below(f"hole {axis}", size) - self.cutout // 2 for axis, size in (("rows", H), ("columns", W)))
        return np.stack([top, top + self.cutout, left, left + self.cutout], axis=1)


class _Draws:
    """Random numbers for `count` images; each kind has a sequence of its own, whose i-th number belongs to image i."""

    _KINDS = ("order", "contrast", "brightness", "share", "partner", "rotate", "flip", "scale", "crop rows", "crop columns",
              "translate rows", "translate columns", "hole rows", "hole columns")  # the order of images is drawn elsewhere

    def __init__(self, count: int, seed: int, epoch: int) -> None:
        self.count, self.seed, self.epoch = count, seed, epoch

    def _sequence(self, kind: str) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(key=[self.seed, self.epoch], counter=[0, 0, 0, self._KINDS.index(kind)]))

    def around(self, kind: str) -> np.ndarray:
        """Return numbers from -1 to 1."""
        return 2 * self._sequence(kind).random(self.count) - 1

    def below(self, kind: str, limit: int) -> np.ndarray:
        """Return whole numbers from 0 to limit - 1."""
        return (limit * self._sequence(kind).random(self.count)).astype(np.int64)

    def beta(self, kind: str, parameter: float) -> np.ndarray:
        """Return numbers from 0 to 1 of the symmetric beta distribution."""
        return self._sequence(kind).beta(parameter, parameter, self.count)


NAMED = {
    # He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2.
    "crop-flip": Augment(crop=4, flip=True),
    "crop-flip-cutout": Augment(crop=4, flip=True, cutout=16),
    "crop-flip-colour": Augment(crop=4, flip=True, brightness=0.2, contrast=0.2),
    "crop-flip-mixup": Augment(crop=4, flip=True, mixup=1.0),
    "shift": Augment(translate=0.1, rotate=10.0, scale=0.1),  # for digits, which a mirror would make wrong
}
AUGMENTATIONS = (None, *NAMED)


def named(function: str, augment: Augment | str | None) -> Augment | None:
    """Return the changes that `augment` is or names; ValueError, DTypeError."""
    if augment is None or isinstance(augment, Augment):
        return augment
    if not isinstance(augment, str):
        raise DTypeError(f"{function}: augment is {augment!r}, expected an Augment, None or one of {', '.join(NAMED)}")
    if augment not in NAMED:
        raise ValueError(f"{function}: augment is {augment!r}, expected an Augment, None or one of {', '.join(NAMED)}"
                         f"{suggestion(augment, NAMED)}")
    return NAMED[augment]


def mixed(targets: np.ndarray, others: np.ndarray, share: np.ndarray, classes: int) -> np.ndarray:
    """Return share * targets + (1 - share) * others as floats like `share` (N,).

    Labels (N,) become probabilities (N, classes); ValueError: one is no class.
    """
    both = [_one_hot(part, classes, share.dtype) for part in (targets, others)]
    mine = share.reshape(-1, *[1] * (both[0].ndim - 1))
    return np.asarray(mine * both[0] + (1 - mine) * both[1])


def _one_hot(targets: np.ndarray, classes: int, dtype: np.dtype) -> np.ndarray:
    """Return labels (N,) as rows with a 1, and other targets as floats."""
    if targets.dtype != np.int64 or targets.ndim != 1:
        return targets.astype(dtype)
    if targets.min() < 0 or targets.max() >= classes:
        raise ValueError(f"fit: labels hold {targets.min()} to {targets.max()}, expected 0 to {classes - 1} for mixup")
    return np.eye(classes, dtype=dtype)[targets]
