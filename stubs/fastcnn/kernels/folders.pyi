# Written by `python -m tests.stubs`.
from typing import Any
import os
from pathlib import Path
import platformdirs
NONE: str
def cache() -> Path | None: ...
