"""`fastcnn models` and `datasets`: what can be trained, and on what."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from .. import doctor
from .. import models as networks
from ..data.sources import SOURCES
from ..tables import Table
from .output import Output
from .recipes import RECIPES, home_of


def models(arguments: Namespace, output: Output) -> int:
    """Print a line for each model: its parameters for the images of the data set that it is usual for."""
    records: list[dict[str, Any]] = []
    for name in networks.names():
        home = home_of(name)
        parameters = networks.create(name, home.image, home.classes).num_parameters()
        records.append({"name": name, "parameters": parameters, "input_shape": home.image,
                        "description": networks.describe(name)})
    rows = [(record["name"], f"{record['parameters']:,}", " x ".join(map(str, record["input_shape"])), record["description"])
            for record in records]
    output.results(records, Table(("name", "parameters", "for images", "what it is"), rows, right=(1,), wordy=(3,)))
    return 0


def datasets(arguments: Namespace, output: Output) -> int:
    """Print a line for each data set: the shape of its images, its classes, and whether it is there."""
    present = doctor.present(arguments.data_dir)
    records: list[dict[str, Any]] = [{"name": name, "input_shape": RECIPES[name].image, "classes": source.classes,
                                      "present": name in present} for name, source in SOURCES.items()]
    rows = [(record["name"], " x ".join(map(str, record["input_shape"])), str(len(record["classes"])),
             "yes" if record["present"] else "no, downloaded on first use") for record in records]
    output.results(records, Table(("name", "images", "classes", "on this machine"), rows, right=(2,)))
    return 0
