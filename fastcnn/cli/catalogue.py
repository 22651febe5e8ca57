"""`fastcnn models`: what can be trained."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from .. import models as networks
from ..tables import Table
from .output import Output
from .recipes import home_of


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
