"""`fastcnn models`: what can be trained."""

from __future__ import annotations

from argparse import Namespace

from .. import models as networks
from ..tables import aligned
from .recipes import home_of


def models(arguments: Namespace) -> int:
    """Print a line for each model: its parameters for the images of the data set that it is usual for."""
    rows: list[tuple[str, ...]] = [("name", "parameters", "for images", "what it is")]
    for name in networks.names():
        home = home_of(name)
        parameters = networks.create(name, home.image, home.classes).num_parameters()
        rows.append((name, f"{parameters:,}", " x ".join(map(str, home.image)), networks.describe(name)))
    print("\n".join(aligned(rows, right=(1,))))
    return 0
