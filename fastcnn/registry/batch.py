"""Batches of images and their changes: cases, bad calls and rows."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from .. import functional
from ..shapes import DTypeError, ShapeError
from ..training import Augment
from .drawing import given, small_images
from .row import Arguments, Bound, Draw, Row, bad, bench, case, ones


def gather_arguments(draw: Draw, images: tuple[int, ...], N: int) -> Arguments:
    """Bytes, which of the images, and mean and deviation of each channel."""
    C = images[3]
    return {"images": draw.below(256, *images).astype(np.uint8), "index": draw.below(images[0], N),
            "mean": np.asarray(draw.random.random(C), draw.dtype), "std": draw.positive(C)}


def augment_arguments(draw: Draw, images: tuple[int, ...], N: int, floats: bool = False, **options: Any) -> Arguments:
    """Those of gather, and changes by chance; images of floats where they are wanted."""
    arguments = gather_arguments(draw, images, N)
    if floats:
        arguments["images"] = draw(*images)
    M, H, W, _ = images
    return {**arguments, "changes": Augment(**options).draw(M, H, W, seed=5, epoch=1)}


def augment_error(a: Arguments) -> float:
    """Roundings of products and sums; in float64 those of places too, which grow with the rows and columns."""
    return 3 if a["mean"].dtype == np.float32 else 2 + sum(a["images"].shape[1:3]) / 2


def augment_size(a: Arguments) -> dict[str, float]:
    """Of the new colours, of which places at the border take a small share."""
    change, images = a["changes"], a["images"]
    colours = 1.0 if images.dtype == np.uint8 else np.abs(images).max() * change["gain"].max() + np.abs(change["lift"]).max()
    return {"batch": float((colours + np.abs(a["mean"]).max()) / a["std"].min())}


def gather_bytes(a: Arguments, results: Arguments) -> int:
    """A byte read and a number written for each pixel of the batch."""
    return int(results["batch"].size + results["batch"].nbytes)


BATCHES = (
    case("colour images", images=(9, 4, 5, 3), N=6),
    case("grey images", images=(9, 4, 5, 1), N=6),
    case("one image", images=(1, 3, 4, 2), N=1),
    case("the same image again and again", images=(2, 3, 4, 3), N=9),
    case("many channels", images=(4, 2, 3, 70), N=3),
    case("threads meet", images=(40, 16, 18, 3), N=120),
    bench("128 of 32x32x3", images=(5000, 32, 32, 3), N=128),
)

EVERYTHING: dict[str, Any] = {"crop": 1, "flip": True, "cutout": 2, "translate": 0.1, "rotate": 15, "scale": 0.2,
                              "brightness": 0.2, "contrast": 0.3, "mixup": 0.8}

CHANGED = (
    case("everything together", images=(9, 6, 7, 3), N=7, **EVERYTHING),
    case("nothing", images=(9, 4, 5, 3), N=6),
    case("shifts by whole pixels", images=(9, 6, 5, 3), N=20, crop=2),
    case("shifts out of the image", images=(9, 3, 4, 2), N=30, crop=6),
    case("mirrored", images=(9, 4, 6, 3), N=8, flip=True),
    case("mirrored and shifted, grey", images=(9, 5, 7, 1), N=20, crop=3, flip=True),
    case("shifts by parts of pixels", images=(9, 6, 5, 3), N=20, translate=0.3),
    case("shifts by parts of pixels out of the image", images=(9, 3, 4, 2), N=30, translate=1.0),
    case("turned by any angle", images=(9, 7, 5, 3), N=20, rotate=180),
    case("smaller and larger", images=(9, 6, 7, 3), N=20, scale=0.9),
    case("turned, shifted and mirrored, grey", images=(9, 8, 8, 1), N=20, flip=True, translate=0.2, rotate=30),
    case("holes", images=(9, 7, 6, 3), N=20, cutout=3),
    case("a hole of one pixel", images=(9, 3, 4, 2), N=20, cutout=1),
    case("brightness", images=(9, 4, 5, 3), N=8, brightness=1.0),
    case("contrast", images=(9, 4, 5, 3), N=8, contrast=1.0),
    case("mixed", images=(9, 4, 5, 3), N=8, mixup=1.0),
    case("mixed, shifted and mirrored", images=(9, 4, 5, 3), N=8, crop=1, flip=True, mixup=0.2),
    case("one row", images=(9, 1, 9, 2), N=9, **EVERYTHING),
    case("one column", images=(9, 9, 1, 3), N=9, **EVERYTHING),
    case("one pixel", images=(9, 1, 1, 4), N=9, brightness=0.2, mixup=1.0),
    case("one image, mixed with itself", images=(1, 4, 5, 3), N=2, **EVERYTHING),
    case("more channels than a run", images=(3, 3, 4, 270), N=4, rotate=20, brightness=0.2),
    case("rows of several runs", images=(3, 2, 140, 2), N=4, crop=1, contrast=0.2, flip=True),
    case("floats", images=(9, 6, 7, 3), N=7, floats=True, crop=1, flip=True, rotate=15, cutout=2, mixup=0.8),
    case("threads meet", images=(40, 16, 18, 3), N=90, **EVERYTHING),
    bench("128 of 32x32x3: shifted, mirrored", images=(5000, 32, 32, 3), N=128, crop=4, flip=True),
    bench("128 of 32x32x3: turned, scaled, shifted", images=(5000, 32, 32, 3), N=128, translate=0.1, rotate=10, scale=0.1),
    bench("128 of 32x32x3: everything", images=(5000, 32, 32, 3), N=128, **EVERYTHING),
)

BATCH_FAULTS = (
    bad("float images", DTypeError, r"gather: images has dtype float32, expected uint8", images=ones(9, 4, 5, 3)),
    bad("images of rank 3", ShapeError, r"gather: images has 3 dimensions", images=ones(4, 5, 3, dtype=np.uint8)),
    bad("index -1", ValueError, r"gather: index\[0\] is -1, expected 0 to 8", index=np.array([-1])),
    bad("index beyond the images", ValueError, r"gather: index\[1\] is 9, expected 0 to 8", index=np.array([0, 9])),
    bad("float index", DTypeError, r"gather: index has dtype float64, expected", index=np.array([0.5])),
    bad("no index", ShapeError, r"gather: index has shape \(0,\), expected \(N,\) with N of at least 1",
        index=np.zeros(0, np.int64)),
    bad("mean of another length", ShapeError, r"gather: mean has shape \(1,\), expected \(3,\)", mean=ones(1)),
    bad("std 0", ValueError, r"gather: std holds 0\.0, expected numbers above 0", std=np.zeros(3, np.float32)),
    bad("std infinite", ValueError, r"gather: .* std \[inf", std=np.full(3, np.inf, np.float32)),
    bad("std whose inverse is infinite", ValueError, r"gather: .* quotients are finite", std=np.full(3, 1e-42, np.float32)),
    bad("mean infinite", ValueError, r"gather: mean is \[inf", mean=np.full(3, np.inf, np.float32)),
    bad("mean NaN", ValueError, r"gather: mean is \[nan", mean=np.full(3, np.nan, np.float32)),
    bad("std NaN", ValueError, r"gather: std holds nan, expected numbers above 0", std=np.full(3, np.nan, np.float32)),
)


def changes(**fields: Any) -> np.ndarray:
    """Give records for nine images that change nothing, but for what is at fault in all of them."""
    records = np.zeros(9, functional.CHANGE)
    for name, value in {"matrix": np.eye(2), "gain": 1, "share": 1, **fields}.items():
        records[name] = value
    return records


CHANGE_FAULTS = (
    bad("images of integers", DTypeError, r"augment: images has dtype int64, expected float32",
        images=ones(9, 6, 7, 3, dtype=int)),
    bad("images of rank 3", ShapeError, r"augment: images has 3 dimensions", images=ones(6, 7, 3, dtype=np.uint8)),
    bad("no images", ShapeError, r"augment: images is empty", images=ones(0, 6, 7, 3, dtype=np.uint8)),
    bad("index -1", ValueError, r"augment: index\[0\] is -1, expected 0 to 8", index=np.array([-1])),
    bad("index beyond the images", ValueError, r"augment: index\[1\] is 9, expected 0 to 8", index=np.array([0, 9])),
    bad("no index", ShapeError, r"augment: index has shape \(0,\), expected \(N,\)", index=np.zeros(0, np.int64)),
    bad("std 0", ValueError, r"augment: std holds 0\.0, expected numbers above 0", std=np.zeros(3, np.float32)),
    bad("std infinite", ValueError, r"augment: .* std \[inf", std=np.full(3, np.inf, np.float32)),
    bad("std whose inverse is infinite", ValueError, r"augment: .* quotients are finite", std=np.full(3, 1e-42, np.float32)),
    bad("mean infinite", ValueError, r"augment: mean is \[inf", mean=np.full(3, np.inf, np.float32)),
    bad("mean NaN", ValueError, r"augment: mean is \[nan", mean=np.full(3, np.nan, np.float32)),
    bad("mean of another length", ShapeError, r"augment: mean has shape \(1,\), expected \(3,\)", mean=ones(1)),
    bad("numbers for changes", DTypeError, r"augment: changes has dtype float32, expected functional\.CHANGE",
        changes=ones(9)),
    bad("other records", DTypeError, r"augment: changes has dtype \[\('gain', '<f8'\)\], expected functional\.CHANGE",
        changes=ones(9, dtype=[("gain", float)])),
    bad("changes of the batch", ShapeError, r"augment: changes has shape \(7,\), expected \(9,\) \(one for each image",
        changes=changes()[:7]),
    bad("a matrix of NaN", ValueError, r"augment: changes hold a matrix from nan to nan, expected numbers from -1e\+06",
        changes=changes(matrix=np.nan)),
    bad("a matrix beyond all bounds", ValueError, r"augment: changes hold a matrix from 1e\+300 to",
        changes=changes(matrix=1e300)),
    bad("an infinite shift", ValueError, r"augment: changes hold a shift from inf to inf", changes=changes(shift=np.inf)),
    bad("an infinite gain", ValueError, r"augment: changes hold a gain from -inf to -inf", changes=changes(gain=-np.inf)),
    bad("a lift of NaN", ValueError, r"augment: changes hold a lift from nan", changes=changes(lift=np.nan)),
    bad("a share above 1", ValueError, r"augment: changes hold a share from 1\.5 to 1\.5, expected numbers from 0 to 1",
        changes=changes(share=1.5)),
    bad("a share of NaN", ValueError, r"augment: changes hold a share from nan to nan", changes=changes(share=np.nan)),
    bad("a partner beyond the images", ValueError, r"augment: partner\[0\] is 9, expected 0 to 8",
        changes=changes(share=0.5, partner=9)),
    bad("partner -1", ValueError, r"augment: partner\[0\] is -1, expected 0 to 8", changes=changes(share=0.5, partner=-1)),
    bad("dtype of integers", DTypeError, r"augment: dtype is int64, expected float32 or float64", dtype=np.int64),
    bad("out of another shape", ShapeError, r"augment: out has shape \(9, 6, 7, 3\), expected \(7, 6, 7, 3\)",
        out=ones(9, 6, 7, 3)),
)


def batches(random: Random) -> dict[str, Any]:
    """Draw images and the size of a batch of some of them."""
    return {"images": (random.randint(1, 9), *small_images(random)[1:]), "N": random.randint(1, 12)}


def changed(random: Random) -> dict[str, Any]:
    """Draw images, of bytes or of floats, and changes of any kinds together."""
    return {**batches(random), **given(random, floats=(True,), crop=(1, 3), flip=(True,), cutout=(1, 3),
                                       translate=(0.1, 1.0), rotate=(15, 180), scale=(0.2, 0.9), brightness=(0.2, 1.0),
                                       contrast=(0.3, 1.0), mixup=(0.2, 1.0))}


ROWS: tuple[Row, ...] = (
    Row("gather", gather_arguments, BATCHES, ("batch",), Bound(2), bytes=gather_bytes, faults=BATCH_FAULTS, drawer=batches),
    Row("augment", augment_arguments, CHANGED, ("batch",), Bound(augment_error, size=augment_size),
        bytes=gather_bytes, faults=CHANGE_FAULTS, drawer=changed),
)
