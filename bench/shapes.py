"""The convolutions of this tree's registry, where the fastcnn of another commit is imported, too."""

from __future__ import annotations

import runpy
from pathlib import Path

_layers = runpy.run_path(str(Path(__file__).parents[1] / "fastcnn" / "registry" / "layers.py"))
SHAPES, Shape = _layers["SHAPES"], _layers["Shape"]
