# Written by `python -m tests.stubs`.
from typing import Any
