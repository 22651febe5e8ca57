"""Networks as they are evaluated: frozen copies, whose norms are folded, weights packed and launches recorded.

A frozen copy has arrays of its own, so that nothing in it goes stale. `nn.Frozen` makes one to keep; an `inference` block
makes one of each network that it meets, or of its parts where the network itself is a class of the user's, and forgets them
when its thread changes a parameter.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import numpy as np

from ..runtime import packed
from ..runtime.replay import Replay, key
from .containers import Sequential
from .fusion import FusedNorm, FusedReLU
from .mode import Hook, mode, using
from .module import Module
from .parameter import Parameter

__all__ = ["Frozen", "evaluation", "inference"]


_MOST = 64  # recordings of a frozen copy in a thread


class _Replays(threading.local):
    """A thread's recorded calls, by what calls that share a recording have in common; beyond `_MOST` the first ones go."""

    def __init__(self) -> None:
        self._of: dict[Hashable, Replay] = {}

    def of(self, shared: Hashable) -> Replay:
        """Return the recording of such calls, which may have to be made."""
        if shared not in self._of:
            if len(self._of) == _MOST:
                del self._of[next(iter(self._of))]
            self._of[shared] = Replay()
        return self._of[shared]


class Frozen(Module):
    """A network as it is now, in evaluation mode: a copy with arrays of its own, for many fast calls of forward.

    Batch norms are folded into the convolutions and linear layers before them and weights packed, once; from the third call
    with few inputs of a shape on, forward only launches kernels. Values are those of `forward` in an `inference` block.
    Threads may share it. `predict` and `evaluate` take it as they take the network; it has no parameters and no backward.
    Modules of classes of your own are deep copies. RuntimeError: parameters wait for the first input.

    >>> from fastcnn import nn
    >>> nn.Frozen(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm(3), nn.ReLU()))
    Frozen(Sequential(
      FusedReLU(Linear(4, 3)),
    ))
    """

    def __init__(self, model: Module) -> None:
        """Copy the network; later changes of the model do not reach the copy."""
        self.normalisation, self.classes = model.normalisation, model.classes
        self.output_activation = model.output_activation
        self._is_known = all(map(_is_known, _everything(model)))
        arrays: list[np.ndarray] = []
        self.network = _snapshot(model, arrays) if self._is_known else _deep_copy(model)
        self._prepare(arrays if self._is_known else _weights(self.network))

    def _prepare(self, arrays: list[np.ndarray]) -> None:
        """Have no recordings and no packed weights yet."""
        self.dtype = arrays[0].dtype if arrays else np.dtype(np.float32)
        self._replays = _Replays()
        self._parts = None if self._is_known else _Block()
        self._store = packed.Store(arrays)

    def forward(self, x: Any) -> Any:
        """Return the network's output for x; errors as in its own forward."""
        return self.answer(x)

    def answer(self, x: Any, *others: Any, **options: Any) -> Any:
        """Return what the network's forward gives, by the launches of an earlier call where these are known to be the same.

        This is forward past the hook of the thread, with all arguments that the network's forward takes.
        """
        if others or options:
            return self._run(x, *others, **options)
        shared = key(x) if self._is_known else None  # whose layers launch kernels and do nothing else
        return self._run(x) if shared is None else self._replays.of(shared)(self._run, x)

    def _run(self, *arguments: Any, **options: Any) -> Any:
        with using(hook=self._parts, saves=False), packed.stored(self._store):
            return self.network.forward(*arguments, **options)

    def children(self) -> Iterator[tuple[str, Module | Parameter]]:
        """Give nothing: what it holds is its own."""
        return iter(())

    def _tensors(self) -> dict[str, np.ndarray]:
        raise RuntimeError("Frozen: a frozen copy has no state, expected the network that it was made of")

    def __getstate__(self) -> dict[str, Any]:
        """Give what a copy needs: it has recordings and packed weights of its own."""
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_replays", "_parts", "_store")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become a copy."""
        vars(self).update(state)
        self._prepare(_weights(self.network))

    def __repr__(self) -> str:
        """Constructor call, of the network as it runs."""
        return f"Frozen({self.network!r})"


class _Met:
    """A module that a block has met."""

    def __init__(self, module: Module) -> None:
        modules = list(_everything(module))
        self.module = module  # lives as long as its id is a key
        self.is_known = all(map(_is_known, modules))
        self.is_layer = len(modules) == 1
        self.trains = any(vars(inner).get("training", True) for inner in modules)

    @functools.cached_property
    def frozen(self) -> Frozen:
        """The copy, made at the first call."""
        with using(hook=None):
            return Frozen(self.module)


class _Block(Hook):
    """What an `inference` block does with a forward: a frozen copy runs where all modules inside are known and evaluate."""

    def __init__(self) -> None:
        self._met: dict[int, _Met] = {}
        self._store = packed.Store()

    def forward(self, module: Module, run: Callable[..., Any], x: Any, *others: Any, **options: Any) -> Any:
        met = self._met.get(id(module))
        if met is None:
            met = self._met[id(module)] = self._meet(module)
        evaluates = mode.evaluates or not met.trains
        if met.is_known and evaluates:
            return met.frozen.answer(x, *others, **options)
        if not met.is_layer or module.waiting or not _is_from_here(run):
            return run(x, *others, **options)
        try:  # the forward of a layer from here, for a subclass of it or in training
            mode.hook = None
            with packed.stored(self._store if evaluates else None):
                return run(x, *others, **options)
        finally:
            mode.hook = self

    def _meet(self, module: Module) -> _Met:
        met = _Met(module)
        if met.is_layer and not module.waiting:
            self._store.add(parameter._data for _, parameter in module._members(Parameter))
        return met

    def changed(self, module: Module | None = None) -> None:
        """Forget all copies, where the change could be one of theirs."""
        if module is None or _is_from_here(type(module)):
            self._met.clear()
            self._store = packed.Store()

    def view(self, array: np.ndarray) -> np.ndarray:
        """Return a view that is not to be written to: copies would not follow."""
        view = array.view()
        view.flags.writeable = False
        return view


@contextlib.contextmanager
def inference() -> Iterator[None]:
    """Let layers save nothing for backward, in this thread, inside the `with` block; what they saved before it stays.

    Networks in eval mode run as `Frozen` copies, which the (outermost) block makes at their first call, so that one block
    around many calls is faster than one for each. Parameters may change inside it by `step` of an optimizer,
    `load_state_dict`, `set_weights` and assignment to `.data`, in this thread: the next call sees it. The array that `.data`
    gives is read-only inside; what is written to one that was taken before the block is not seen.
    """
    with using(saves=False, hook=mode.hook if isinstance(mode.hook, _Block) else _Block()):
        yield


@contextlib.contextmanager
def evaluation() -> Iterator[None]:
    """Let all modules behave as in eval mode, in this thread, inside the `with` block, and save nothing, as in `inference`.

    Nothing is written to them, so that other threads may run or train them meanwhile.
    """
    with using(evaluates=True), inference():
        yield


def _is_from_here(kind: Any) -> bool:
    """Whether a class, or the function of a partial one, is of this package."""
    return getattr(kind, "func", kind).__module__.startswith(__package__ + ".")


def _is_known(module: Module) -> bool:
    """Whether nothing of a module can be other than its class in this package says."""
    return _is_from_here(type(module)) and type(module) is not Frozen and not module.replaced and not module.waiting


def _everything(module: Module) -> Iterator[Module]:
    """Give a module and all inside it; of one whose class is not from here, perhaps not all."""
    yield module
    for value in module.layers if isinstance(module, Sequential) else module.__getstate__().values():
        for part in value if type(value) is tuple else (value,):
            if isinstance(part, Module):
                yield from _everything(part)


def _snapshot(module: Module, arrays: list[np.ndarray]) -> Module:
    """Return a copy of a known module in evaluation mode; what can run as one is one. Its weights are added to `arrays`."""
    if isinstance(module, FusedNorm):
        folded = {name: _parameter(array, arrays) for name, array in module.folded().items()}
        layer = _twin(module.layer, arrays, folded)
        return FusedReLU(layer) if module.relu else layer
    if isinstance(module, Sequential):
        steps = tuple(_snapshot(step, arrays) for step in module._fused)
        return _twin(module, arrays, {"layers": steps, "_steps": steps, "_fused": steps})
    return _twin(module, arrays, {})


def _twin(module: Module, arrays: list[np.ndarray], others: dict[str, Any]) -> Module:
    """Return a copy of a module, but for some attributes that are others."""
    twin, others = object.__new__(type(module)), {**others, "training": False, "_saved": None}
    vars(twin).update((name, _copied(value, arrays)) for name, value in module.__getstate__().items() if name not in others)
    vars(twin).update(others)
    return twin


def _copied(value: Any, arrays: list[np.ndarray]) -> Any:
    """Return an attribute of a known module for its copy."""
    if isinstance(value, Module):
        return _snapshot(value, arrays)
    if isinstance(value, Parameter):
        return _parameter(value.data, arrays)
    if isinstance(value, np.ndarray):
        return value.copy()
    return tuple(_copied(part, arrays) for part in value) if type(value) is tuple else value


def _parameter(array: np.ndarray, arrays: list[np.ndarray]) -> Parameter:
    parameter = Parameter(array, dtype=array.dtype)
    arrays.append(parameter.data)
    return parameter


def _deep_copy(model: Module) -> Module:
    """Return a deep copy in evaluation mode, without what layers saved for backward."""
    saved = [module._saved for _, module in model.named_modules()]
    twin = copy.deepcopy(model, {id(values): values for values in saved}).eval()
    for _, module in twin.named_modules():
        vars(module)["_saved"] = None
    return twin


def _weights(model: Module) -> list[np.ndarray]:
    return [parameter.data for _, parameter in model._named_parameters()]
