# Written by `python -m tests.stubs`.
from typing import Any
import os
import platform
from collections.abc import Mapping
from typing import NamedTuple
llvmlite: Any
class Kind(NamedTuple):
    name: str
    vector_bytes: int
    registers: int
    features: tuple[str, ...]
    rows: dict[int, int]
    speeds: dict[int, float]
    planes: tuple[tuple[int, ...], int]
    filters: tuple[tuple[int, int], ...]
    strip: int
    gradient_strip: int
    taps: int
    @property
    def lanes(self) -> int: ...
    def holds(self, vectors: int, rows: int) -> bool: ...
KINDS: Any
def host_features() -> dict[str, bool]: ...
def of_host(features: Mapping[str, bool], machine: str) -> Kind: ...
def choose(asked: str | None, host: Kind) -> Kind: ...
def held(kind: Kind, features: Mapping[str, bool]) -> tuple[str, str]: ...
HOST: Any
KIND: Any
