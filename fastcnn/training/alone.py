"""One training of a model at a time: two would write the same parameters, each over the other's."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from ..nn import Module
from ..runtime.forks import hold_over_forks

_lock = threading.RLock()
_training: set[int] = set()  # modules and parameters that a call of `fit` writes now
hold_over_forks(_lock)


@contextlib.contextmanager
def alone(model: Module) -> Iterator[None]:
    """Keep the model to this call of `fit` inside the `with` block; RuntimeError: another one trains a part of it."""
    own = {id(model), *(id(child) for _, module in model.named_modules() for _, child in module.children())}
    with _lock:
        if not own.isdisjoint(_training):
            raise RuntimeError("fit: model, or a part of it, is in training in another call of fit; expected one at a time "
                               "(train a copy: copy.deepcopy(model))")
        _training.update(own)
    try:
        yield
    finally:
        with _lock:
            _training.difference_update(own)
