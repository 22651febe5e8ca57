"""The checks over the registry: every row against its reference, its gradients, itself on more threads, and odd input.

The test suite makes every check; `fastcnn verify` makes a representative part of the same list on the user's machine, or all
of it. A trial is one check of one case of one row in one element type, and its random numbers follow from its name. Cases
are the named ones of the row, and any number of drawn ones. Other checks are of calls that must be refused, and of the rows
themselves.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import math
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

from . import functional, reference
from .functional.conv import problem
from .kernels.jit import threads
from .registry import LINEAR, ROWS, Arguments, Case, Draw, Fault, Row
from .runtime import buffers

FLOAT_TYPES = "float32", "float64"
WORKERS = 1, 2, 3
ADJOINT_BOUND = 1e-13
# Below this many times the smallest normal number, intermediate results lose bits.
SMALLEST = 256
# Whole numbers in memory that no kernel has written; floats are NaN there.
STALE = 12345
# Bytes behind each array that nothing may write to, and what they hold.
GUARD, GUARDED = 512, 0xA5
# Drawn cases of a row that `fastcnn verify` looks at where no number is given; the tests look at more.
FEW, USUAL = 10, 100
_DRAWN = "drawn "
# Operations whose cases can be said by the word of a convolution.
SHAPED = "conv2d", "conv2d_backward"

Results = dict[str, Any]
Each = Callable[[np.ndarray], np.ndarray]


class MismatchError(AssertionError):
    """A result is not what it must be."""


class Check:
    """Something that is tried: `names` tell it from all others."""

    @property
    def names(self) -> tuple[str, str, str, str]:
        """What is checked, in which case, how, and in which element type."""
        raise NotImplementedError

    def run(self) -> float:
        """Return the largest error, in units of epsilon of what was compared; MismatchError when something is wrong."""
        raise NotImplementedError

    def __str__(self) -> str:
        """Name of the test: what is wrong when it fails."""
        return "-".join(self.names)

    @property
    def repeat(self) -> str:
        """Command line that repeats this check."""
        return f'python -c "from fastcnn import verification; verification.repeat{self.names!r}"'

    def explain(self, problem: Exception) -> str:
        """Say what failed, with which settings where no name tells them, and how to repeat it."""
        return f"FAILED {self}: {type(problem).__name__}: {problem}\n  repeat: {self.repeat}"


@dataclass(frozen=True)
class Trial(Check):
    """One check of one case of one row."""

    row: Row
    case: Case
    check: str
    dtype: str

    @property
    def names(self) -> tuple[str, str, str, str]:
        """Row, case, check and element type."""
        return self.row.name, self.case.name, self.check, self.dtype

    @property
    def seed(self) -> int:
        """Seed of the random numbers: one for each row and case."""
        return zlib.crc32(f"{self.row.name} {self.case.name}".encode())

    def explain(self, problem: Exception) -> str:
        """Say what failed, with the settings of a drawn case, and how to repeat it."""
        settings = f"\n  with {self.case.settings}" if self.case.name.startswith(_DRAWN) else ""
        return super().explain(problem) + settings

    def run(self) -> float:
        """Return the largest error, in units of epsilon of what was compared; MismatchError when it is too large."""
        return CHECKS[self.check](self)

    def arguments(self, kind: str) -> Arguments:
        """Give the arguments, the same at every call."""
        return self.row.make(Draw(self.seed, self.dtype, kind), **self.case.settings)


def trials(row: Row) -> Iterator[Trial]:
    """Give all trials of a row's named cases."""
    cases = [case for case in row.cases if not case.bench]
    always = ["integers"] * row.exact + ["normal", "workers"] + ["finished"] * _finishes(row)
    for case in cases:
        yield from (Trial(row, case, check, dtype) for check in always for dtype in FLOAT_TYPES)
        if case.telling:
            yield from (Trial(row, case, check, "float64") for check in _differentiated(row))
    yield from (Trial(row, cases[0], layout, "float32") for layout in LAYOUTS)
    yield from (Trial(row, cases[0], special, dtype) for special in SPECIALS for dtype in FLOAT_TYPES if row.spoil)


def _finishes(row: Row) -> bool:
    """Whether a sum or ReLU can be part of the operation."""
    return not {"relu", "add"}.isdisjoint(inspect.signature(row.fast).parameters)


def _differentiated(row: Row) -> list[str]:
    """Name the checks of the gradients."""
    return ["gradient"] * bool(row.wrt) + ["adjoint"] * (bool(row.wrt) and row.differences is LINEAR)


def _shows_in_differences(row: Row, case: Case) -> bool:
    """Whether differences tell a gradient: large numbers lie where functions are flat, and ReLU is not linear."""
    scale = case.settings.get("scale")
    return not (isinstance(scale, float) and scale > 1) and not (row.differences is LINEAR and case.settings.get("relu"))


def drawn_case(row: Row, number: int) -> Case:
    """Draw the case of a row that belongs to a number."""
    assert row.drawer is not None, f"{row.name} has no drawer"
    return Case(f"{_DRAWN}{number}", row.drawer(Random(f"{row.name} {number}")), telling=False)


def shaped_case(row: Row, text: str) -> Case:
    """Return the case of a row of convolution that a word says, as a plan prints it; ShapeError: it is none."""
    given = problem.parse(text)
    return Case(text, {"x": given.x, "weight": given.weight, **given.geometry}, telling=False)


def shaped(row: Row, text: str) -> Iterator[Trial]:
    """Give the trials of a convolution that a word says, for a row of convolution whose algorithm fits it."""
    if row.operation not in SHAPED:
        return
    case, window = shaped_case(row, text), problem.parse(text).window("verify")
    if row.algorithm is None or row.algorithm in [one.name for one in functional.conv.candidates(window) if one.fit]:
        for check in ["integers"] * row.exact + ["normal", "workers"] + _differentiated(row):
            yield from (Trial(row, case, check, dtype) for dtype in FLOAT_TYPES[check in ("gradient", "adjoint"):])


def drawn(row: Row, numbers: Iterable[int]) -> Iterator[Trial]:
    """Give the trials of the drawn cases with these numbers.

    Each is compared with the reference, on whole numbers or on others, and on more workers; element types take turns. Some
    are differentiated, and some end in a sum and ReLU.
    """
    for number in numbers:
        case, dtype = drawn_case(row, number), FLOAT_TYPES[number % 2]
        checks = ["integers" if row.exact and number % 4 < 2 else "normal", "workers"]
        checks += _differentiated(row) if number % 8 == 1 and _shows_in_differences(row, case) else []
        checks += ["finished"] if number % 8 in (3, 6) and _finishes(row) else []
        yield from (Trial(row, case, check, dtype) for check in checks)


@dataclass(frozen=True)
class Refused(Check):
    """A call of an operation that must be refused, with the arguments of the first case but for what is at fault."""

    row: Row
    fault: Fault

    @property
    def names(self) -> tuple[str, str, str, str]:
        """Row and fault."""
        return self.row.name, self.fault.name, "refused", "float32"

    def run(self) -> float:
        """Return 0; MismatchError: the call is not refused as it should be, or changes an argument."""
        arguments = Trial(self.row, self.row.cases[0], "normal", "float32").arguments("normal") | self.fault.changes
        with untouched(self.row, arguments):
            _require_refused(self.fault, lambda: self.row.fast(**self.row.options | arguments))
        return 0.0


def _require_refused(fault: Fault, call: Callable[[], Any]) -> None:
    try:
        result = call()
    except fault.error as error:
        if not re.search(fault.pattern, str(error)):
            raise MismatchError(f"the message is {str(error)!r}, expected a match of {fault.pattern!r}") from error
    except Exception as error:
        raise MismatchError(f"{type(error).__name__}: {error}, expected a {fault.error.__name__}") from error
    else:
        raise MismatchError(f"the call gives {type(result).__name__}, expected a {fault.error.__name__} that matches "
                            f"{fault.pattern!r}")


@dataclass(frozen=True)
class Complete(Check):
    """Whether a row has all that belongs to it."""

    row: Row

    @property
    def names(self) -> tuple[str, str, str, str]:
        """The row itself."""
        return self.row.name, "the row", "complete", "float32"

    def run(self) -> float:
        """Return 0; MismatchError says what is missing."""
        row, names = self.row, [case.name for case in self.row.cases]
        if row.algorithm is None and not row.faults:
            raise MismatchError(f"{row.name} has no faults, expected some calls that must be refused")
        if row.drawer is None:
            raise MismatchError(f"{row.name} has no drawer, expected one over all of its options")
        if not any(name.endswith("threads meet") for name in names):
            raise MismatchError(f"{row.name} has no case named '... threads meet', expected one that is large enough")
        twice = {name for name in [*names, *(fault.name for fault in row.faults)] if names.count(name) > 1}
        if twice:
            raise MismatchError(f"{row.name} has several cases named {sorted(twice)}")
        _require_twins(row)
        return 0.0


def _require_twins(row: Row) -> None:
    """Raise MismatchError unless the fast function and its reference take the same arguments."""
    only_fast = {"algorithm", "out", "dtype"}
    fast = [one for one in inspect.signature(row.fast).parameters.values() if one.name not in only_fast]
    twin = list(inspect.signature(row.reference).parameters.values())
    if [(one.name, one.kind) for one in fast] != [(one.name, one.kind) for one in twin]:
        raise MismatchError(f"{row.name} takes {[one.name for one in fast]}, its reference {[one.name for one in twin]}")
    for one, other in zip(fast, twin, strict=True):
        if one.default != other.default and inspect.Parameter.empty not in (one.default, other.default):
            raise MismatchError(f"{one.name} of {row.name} is {one.default!r} where not given, {other.default!r} of its "
                                "reference")


def checks_of(row: Row) -> Iterator[Check]:
    """Give every check of a row but for those of drawn cases."""
    yield Complete(row)
    yield from trials(row)
    yield from (Refused(row, fault) for fault in row.faults)


# What a call gives ---------------------------------------------------------------------------------------------------------


def fast(row: Row, arguments: Arguments) -> Results:
    """Call the fast function; its results by name."""
    return results(row, row.home, {**arguments, **row.options})


def results(row: Row, module: ModuleType, arguments: Arguments) -> Results:
    """Call the function of a module, the row's home or `reference`; its results by name."""
    return _call(row, getattr(module, row.operation), arguments)


def repeatable(row: Row, arguments: Arguments) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Give calls of the fast function and of the reference, each on its own copies of the arrays that it changes."""
    calls = []
    for function, options in ((row.fast, row.options), (row.reference, {})):
        own = {name: arguments[name].copy() for name in row.updates}
        calls.append(functools.partial(function, **{**arguments, **options, **own}))
    return calls[0], calls[1]


def expected(row: Row, arguments: Arguments) -> Results:
    """Call the reference in float64; its results by name."""
    wide = {name: _map(_widened, value) for name, value in arguments.items()}
    with np.errstate(all="ignore"):
        return results(row, reference, wide)


def _call(row: Row, function: Callable[..., Any], arguments: Arguments) -> Results:
    own = {**arguments, **{name: arguments[name].copy() for name in row.updates}}
    returned = function(**own)
    several = returned if isinstance(returned, tuple) else () if returned is None else (returned,)
    return {**dict(zip(row.results, several, strict=True)), **{name: own[name] for name in row.updates}}


def _map(change: Each, value: Any) -> Any:
    """Change every array in a value or a tuple of values."""
    if isinstance(value, tuple):
        return tuple(_map(change, inside) for inside in value)
    return change(value) if isinstance(value, np.ndarray) else value


def _widened(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64) if array.dtype.kind == "f" else array.copy()


def arrays_of(values: Results) -> Iterator[tuple[str, np.ndarray]]:
    """Give name and array of all that is an array or a number in floating point."""
    for name, value in values.items():
        if isinstance(value, tuple):
            yield from arrays_of({f"{name}[{i}]": inside for i, inside in enumerate(value)})
        elif isinstance(value, (np.ndarray, float)):
            yield name, np.asarray(value)


# How results are compared --------------------------------------------------------------------------------------------------


def compare(row: Row, arguments: Arguments, came: Results, wanted: Results, *, exact: bool) -> float:
    """Return the largest error in units of epsilon; MismatchError when a bound of the row is exceeded."""
    both = dict(arrays_of(came)), dict(arrays_of(wanted))
    if both[0].keys() != both[1].keys():
        raise MismatchError(f"results are {', '.join(both[0])}, expected {', '.join(both[1])}")
    dtype = next((array.dtype for _, array in arrays_of(arguments) if array.dtype.kind == "f"), np.dtype(np.float32))
    sizes = row.bound.size(arguments)
    double = 2 if dtype == np.float64 else 1  # in float64 the reference rounds as much as the kernel
    worst = 0.0
    for name, array in both[0].items():
        units = 0.0 if exact else row.bound.of(arguments, name) * double
        size = None if row.bound.each else sizes.get(name, 0.0)
        worst = max(worst, _error(name, array, both[1][name], dtype, units, size))
    return worst


def _error(name: str, came: np.ndarray, wanted: np.ndarray, dtype: np.dtype, units: float, size: float | None) -> float:
    """Return the largest error in epsilon times the size, at least the largest value, or of each value for size None."""
    if came.shape != wanted.shape:
        raise MismatchError(f"{name} has shape {came.shape}, expected {wanted.shape}")
    if wanted.dtype.kind != "f":
        _require_same(name, came, wanted)
        return 0.0
    if came.ndim and came.dtype != dtype:
        raise MismatchError(f"{name} is {came.dtype}, expected {dtype}")
    with np.errstate(all="ignore"):
        rounded = wanted.astype(dtype)
        finite = np.isfinite(rounded)
        _require_same(name, np.where(finite, 0, came), np.where(finite, 0, rounded))
        if units == 0:
            _require_same(name, came.astype(dtype), rounded)
        values = np.abs(np.where(finite, wanted, 0))
        scale = np.maximum(values if size is None else max(values.max(), size), SMALLEST * np.finfo(dtype).tiny)
        error = np.where(finite, np.abs(came - wanted), 0) / (scale * np.finfo(dtype).eps)
    at = np.unravel_index(error.argmax(), error.shape)
    if not error.max() <= max(units, 0.5):
        raise MismatchError(f"{name}{_index(at)} is {came[at]!r}, expected {wanted[at]!r}: {error.max():.3g} epsilon, "
                            f"at most {units:.3g} allowed")
    return float(error.max())


def _require_same(name: str, came: np.ndarray, wanted: np.ndarray) -> None:
    unequal = came != wanted
    different = unequal & ~(np.isnan(came) & np.isnan(wanted)) if came.dtype.kind == "f" else unequal
    if different.any():
        at = np.unravel_index(different.argmax(), different.shape)
        raise MismatchError(f"{name}{_index(at)} is {came[at]!r}, expected exactly {wanted[at]!r} "
                            f"({different.sum()} of {different.size} differ)")


def _index(at: tuple[Any, ...]) -> str:
    return f"[{', '.join(str(int(i)) for i in at)}]" if at else ""


def require_telling(row: Row, wanted: Results) -> None:
    """Refuse a case that proves little: a result mostly zero, or the same everywhere."""
    for name, array in arrays_of(wanted):
        if array.dtype.kind == "f":
            count = np.count_nonzero(array)
            if count < int(row.nonzero * array.size):
                raise MismatchError(f"weak case: {count} of {array.size} in {name} are not zero, expected {row.nonzero:.0%}")
            if array.size > 7 and np.isfinite(array.flat[0]) and (array == array.flat[0]).all():
                raise MismatchError(f"weak case: {name} is {array.flat[0]} everywhere")


# The conditions of a call --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def poisoned() -> Iterator[None]:
    """Fill all new memory, working memory included, with NaN: what no kernel writes is seen.

    MismatchError when something was written behind the end of an array.
    """
    allocate, guards = np.empty, []

    def empty(shape: Any, dtype: Any = float, order: Any = "C") -> np.ndarray:
        kind = np.dtype(dtype)
        size = math.prod(shape if isinstance(shape, Iterable) else (shape,)) * kind.itemsize
        memory = allocate(size + GUARD, np.uint8)
        guards.append(memory[size:])
        guards[-1].fill(GUARDED)
        array: np.ndarray = memory[:size].view(kind).reshape(shape, order="F" if order == "F" else "C")
        if kind.kind in "fiu":
            array.fill(np.nan if kind.kind == "f" else np.iinfo(kind).max)
        return array

    def workspace(function: str, size: int, dtype: np.dtype) -> np.ndarray:
        array = empty(size, dtype)
        array.fill(np.nan if dtype.kind == "f" else STALE)
        return array

    with (mock.patch.object(np, "empty", empty), mock.patch.object(buffers, "empty", empty),
          mock.patch.object(buffers, "workspace", workspace)):
        yield
    if any((guard != GUARDED).any() for guard in guards):
        raise MismatchError("something was written behind the end of an array")


@contextlib.contextmanager
def untouched(row: Row, arguments: Arguments) -> Iterator[None]:
    """MismatchError when an argument has changed at the end of the block, unless it is one that the row updates."""
    kept = {name: array for name, array in arrays_of(arguments) if name not in row.updates}
    before = {name: array.tobytes() for name, array in kept.items()}
    yield
    for name, array in kept.items():
        if array.tobytes() != before[name]:
            raise MismatchError(f"{name} was changed")


@contextlib.contextmanager
def spread_over(count: int) -> Iterator[None]:
    """Let every kernel share its work among `count` workers, however small the work is."""
    with mock.patch.multiple(threads, workers=lambda work, grain=0: count, get_num_threads=lambda: count):
        yield


# The checks ----------------------------------------------------------------------------------------------------------------


def _reference(kind: str, trial: Trial) -> float:
    """Results are the reference's, all of them written, and no argument is changed or handed back."""
    row, arguments = trial.row, trial.arguments(kind)
    with poisoned(), untouched(row, arguments):
        came = fast(row, arguments)
    for name, array in arrays_of(came):
        for other, argument in arrays_of(arguments):
            if np.may_share_memory(array, argument):
                raise MismatchError(f"{name} lies in the memory of {other}")
    wanted = expected(row, arguments)
    if trial.case.telling:
        require_telling(row, wanted)
    return compare(row, arguments, came, wanted, exact=kind == "integers")


def _workers(trial: Trial) -> float:
    """Any number of workers gives the same bits."""
    arguments = trial.arguments("normal")
    bits = []
    for count in WORKERS:
        with spread_over(count), poisoned():
            bits.append({name: array.tobytes() for name, array in arrays_of(fast(trial.row, arguments))})
        for name in bits[0]:
            if bits[-1][name] != bits[0][name]:
                raise MismatchError(f"{name} differs between {WORKERS[0]} and {count} workers")
    return 0.0


def _gradient(trial: Trial) -> float:
    """Gradients are those of central differences along a random direction of each argument, in float64.

    The direction has the signs of the gradient: else what many elements contribute cancels, and rounding errors remain.
    """
    row, differences = trial.row, trial.row.differences
    arguments = trial.arguments(differences.kind)
    results = fast(row, arguments)
    dy, slopes = gradients(row, arguments, results, trial.seed)
    eps, size = np.finfo(np.float64).eps, np.linalg.norm(dy) * np.linalg.norm(results[row.results[0]])
    rounding = size / differences.step * (3 if differences.extrapolated else 1)  # with half the step twice as much, by 4/3
    worst = 0.0
    for name, gradient in slopes.items():
        direction = np.copysign(np.random.default_rng(trial.seed + 1).standard_normal(gradient.shape), gradient)
        slope = _slope(row, arguments, name, direction, differences.step)
        if differences.extrapolated:
            slope = (4 * _slope(row, arguments, name, direction, differences.step / 2) - slope) / 3
        worst = max(worst, _relative(np.vdot(gradient, direction), np.vdot(dy, slope),
                                     np.linalg.norm(dy) * np.linalg.norm(slope), name, differences.bound,
                                     eps * (rounding + np.linalg.norm(direction))))
    return worst


def _slope(row: Row, arguments: Arguments, name: str, direction: np.ndarray, step: float) -> np.ndarray:
    """Return the difference of the results along a direction of one argument, by the length of the way."""
    above, below = (np.asarray(fast(row, {**arguments, name: arguments[name] + sign * step * direction})[row.results[0]])
                    for sign in (1, -1))
    changed = above != below  # windows that see padding alone give -inf on both sides
    return np.subtract(above, below, where=changed, out=np.zeros_like(above)) / (2 * step)


def _adjoint(trial: Trial) -> float:
    """<dy, K x> = <K* dy, x> for each argument that the operation is linear in."""
    row = trial.row
    arguments = trial.arguments("normal")
    forward = fast(row, arguments)
    dy, slopes = gradients(row, arguments, forward, trial.seed)
    y = forward["y"]
    worst = 0.0
    for name, gradient in slopes.items():
        change = y - fast(row, {**arguments, name: np.zeros_like(arguments[name])})["y"]
        worst = max(worst, _relative(np.vdot(gradient, arguments[name]), np.vdot(dy, change),
                                     np.linalg.norm(dy) * np.linalg.norm(y), name, ADJOINT_BOUND))
    return worst


def _relative(came: Any, wanted: Any, scale: Any, name: str, bound: float, rounding: float = 0.0) -> float:
    error = abs(came - wanted)
    if not error <= bound * scale + rounding:
        raise MismatchError(f"gradient of {name}: {came!r} along a direction, expected {wanted!r}: an error of {error:.2g}, "
                            f"at most {bound:.2g} of {scale:.3g} allowed")
    return float(error / (scale * np.finfo(np.float64).eps)) if error and scale else 0.0


def gradients(row: Row, arguments: Arguments, results: Results, seed: int, module: ModuleType | None = None,
              ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Give a random dy and the gradients by argument; a loss has dy 1 and gives its gradients itself.

    `results` are those of the arguments, from the same module: the row's home, where none is given, or `reference`.
    """
    wrt = [name for name in row.wrt if arguments[name] is not None]
    backward = getattr(module or row.home, f"{row.operation}_backward", None)
    if backward is None:
        return np.ones(()), dict(zip(wrt, list(results.values())[1:], strict=True))
    y = results[row.results[0]]
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    known = {**arguments, **results, "dy": dy, "algorithm": row.algorithm or "auto"}
    if "x" in arguments:
        known["x_shape"] = arguments["x"].shape
    wanted = inspect.signature(backward).parameters
    if "y" in wanted and wanted["y"].default is None and not arguments.get("relu"):
        del known["y"]  # of a gradient that asks for y where forward rectified
    given = {name: known[name] for name in wanted if name in known}
    returned = backward(**given)
    return dy, dict(zip(wrt, returned if isinstance(returned, tuple) else (returned,), strict=False))


def _layout(change: Each, trial: Trial) -> float:
    """Arrays in any layout give the bits of their C-contiguous copies in the native byte order."""
    row, arguments = trial.row, trial.arguments("integers")
    fixed = {name: arguments[name] for name in row.updates}
    odd = {name: _map(change, value) for name, value in arguments.items()} | fixed
    plain = {name: _map(_plain, value) for name, value in odd.items()} | fixed
    with untouched(row, odd):
        came = fast(row, odd)
    for (name, array), (_, wanted) in zip(arrays_of(came), arrays_of(fast(row, plain)), strict=True):
        if array.dtype != wanted.dtype:
            raise MismatchError(f"{name} is {array.dtype}, expected {wanted.dtype}")
        _require_same(name, array, wanted)
    return 0.0


def _special(value: float, trial: Trial) -> float:
    """One NaN or infinity among the arguments comes out where it comes out of the reference, and nowhere else.

    A row that blurs may spread it, and make NaN of infinity, but never hide it.
    """
    row, arguments = trial.row, trial.arguments("integers")
    assert row.spoil is not None
    spoiled = arguments[row.spoil]
    spoiled.flat[spoiled.size // 2] = value
    wanted = expected(row, arguments)
    if np.isnan(value) and all(np.isfinite(array).all() for _, array in arrays_of(wanted)):
        raise MismatchError(f"weak case: {value} in {row.spoil} comes out nowhere")
    came = fast(row, arguments)
    if not row.blurs:
        return compare(row, arguments, came, wanted, exact=False)
    for (name, array), (_, other) in zip(arrays_of(came), arrays_of(wanted), strict=True):
        if (np.isfinite(array) & ~np.isfinite(other)).any():
            raise MismatchError(f"{name} is finite where {value} should come out")
    return 0.0


def _finished(trial: Trial) -> float:
    """What `add` and `relu` make of a result is what a sum and ReLU make of it afterwards, to the last bit, NaN included."""
    row, arguments = trial.row, trial.arguments("normal")
    assert row.spoil is not None
    result, spoiled, options = row.results[0], arguments[row.spoil], inspect.signature(row.fast).parameters
    for value in (spoiled.flat[-1], np.nan):
        spoiled.flat[-1] = value
        for relu in [{"relu": False}, {"relu": True}] if "relu" in options else [{}]:
            alone = fast(row, arguments | dict.fromkeys(relu, False))[result]
            if alone is not None and any(relu.values()):
                _require_same(result, fast(row, arguments | relu)[result], functional.relu(alone))
            if alone is not None and "add" in options:
                more = Draw(trial.seed + 1, trial.dtype, "normal")(*alone.shape)
                wanted = functional.add(alone, more, relu=any(relu.values()))
                _require_same(result, fast(row, arguments | relu | {"add": more})[result], wanted)
    return 0.0


def _plain(array: np.ndarray) -> np.ndarray:
    """Give a C-contiguous copy in the native byte order; float16 becomes float32."""
    return np.array(array, np.float32 if array.dtype == np.float16 else array.dtype.newbyteorder("="), order="C")


def _apart(array: np.ndarray) -> np.ndarray:
    """Give a view with a gap after each element."""
    wide = np.zeros((*array.shape[:-1], array.shape[-1], 2), array.dtype)
    wide[..., 0] = array
    return wide[..., 0]


def _unaligned(array: np.ndarray) -> np.ndarray:
    """Give a copy that begins at an odd address."""
    memory = np.zeros(array.nbytes + 1, np.uint8)
    memory[1:] = array.reshape(-1).view(np.uint8)
    return memory[1:].view(array.dtype).reshape(array.shape)


def _read_only(array: np.ndarray) -> np.ndarray:
    frozen = array.copy()
    frozen.flags.writeable = False
    return frozen


LAYOUTS: dict[str, Each] = {
    "Fortran order": np.asfortranarray,
    "negative strides": lambda array: np.flip(np.flip(array).copy()),
    "gaps": _apart,
    "unaligned": _unaligned,
    "read-only": _read_only,
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "float16": lambda array: array.astype(np.float16) if array.dtype.kind == "f" else array,
}
SPECIALS = {"NaN": np.nan, "infinity": np.inf, "minus infinity": -np.inf}
CHECKS: dict[str, Callable[[Trial], float]] = {
    "integers": functools.partial(_reference, "integers"),
    "normal": functools.partial(_reference, "normal"),
    "workers": _workers,
    "finished": _finished,
    "gradient": _gradient,
    "adjoint": _adjoint,
    **{name: functools.partial(_layout, change) for name, change in LAYOUTS.items()},
    **{name: functools.partial(_special, value) for name, value in SPECIALS.items()},
}


# On the user's machine -----------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of one row: checks passed, largest error against the reference in epsilon, what failed, and what could
    not be tried because an extra is not installed.
    """

    row: str
    passed: int = 0
    error: float = 0.0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line."""
        state = f"{len(self.failures)} FAILED" if self.failures else "ok"
        return f"{self.row:32} {self.passed:4} passed  {state:10} error {self.error:6.2f} epsilon"


@dataclass
class Report:
    """What came of all rows."""

    outcomes: list[Outcome]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not any(outcome.failures for outcome in self.outcomes)

    @property
    def passed(self) -> int:
        """How many checks passed."""
        return sum(outcome.passed for outcome in self.outcomes)

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(len(outcome.failures) for outcome in self.outcomes)

    def __str__(self) -> str:
        """One line in all."""
        return f"{self.passed} checks passed, {self.failed} failed, {len(self.outcomes)} rows, {self.seconds:.0f} s"


def run(progress: Callable[[Outcome], object] = print, fail: Callable[[str], object] = print, *,
        rows: tuple[Row, ...] = ROWS, everything: bool = False, cases: int | None = None,
        shape: str | None = None) -> Report:
    """Make a representative part of the checks, or `everything` that the test makes.

    `cases` is how many drawn cases of each row are tried, in both element types; None means a few in float32, or as many as
    the test tries. `shape`, the word of a convolution, is tried alone, in the rows of convolution. `fail` gets what each
    failure says, at once; `progress` each row's outcome when it is done, or ended by Ctrl-C.
    """
    start = time.perf_counter()
    usual = range(USUAL) if everything else range(0, 2 * FEW, 2)
    numbers = usual if cases is None else range(cases)
    outcomes = []
    for row in rows:
        named = checks_of(row) if everything else representative(row)
        checks = itertools.chain(named, drawn(row, numbers)) if shape is None else shaped(row, shape)
        first = next(checks, None)
        if first is None:  # a row of another operation than the shape's, or an algorithm that does not fit it
            continue
        with _outcome(row.name, progress) as outcome:
            _make(itertools.chain([first], checks), outcome, fail)
        outcomes.append(outcome)
    return Report(outcomes, time.perf_counter() - start)


def representative(row: Row) -> list[Check]:
    """Every case against the reference, all checks of the first and of the largest case, and all calls to be refused.

    In float32 alone: to compile the kernels for float64 too, which few use, would take as long again.
    """
    whole = {row.cases[0].name, *(case.name for case in row.cases if case.name.endswith("threads meet"))}
    first = "integers" if row.exact else "normal"
    return [check for check in checks_of(row) if not isinstance(check, Trial)
            or (check.dtype == "float32" and (check.check == first or check.case.name in whole))]


@contextlib.contextmanager
def _outcome(name: str, progress: Callable[[Outcome], object]) -> Iterator[Outcome]:
    """Inside the `with` block, note what comes of a row; `progress` gets it in the end."""
    outcome = Outcome(name)
    try:
        yield outcome
    finally:
        progress(outcome)


def _make(checks: Iterable[Check], outcome: Outcome, fail: Callable[[str], object]) -> None:
    """Make checks and note what comes of them."""
    for check in checks:
        try:
            error = check.run()
        except Exception as problem:  # whatever goes wrong, the others run too
            outcome.failures.append(check.explain(problem))
            fail(outcome.failures[-1])
        else:
            outcome.passed += 1
            if isinstance(check, Trial) and check.check in ("integers", "normal"):
                outcome.error = max(outcome.error, error)


def repeat(row: str, case: str, check: str, dtype: str) -> float:
    """Make one check by the names that a failure prints; MismatchError when it fails again."""
    wanted = row, case, check, dtype
    known = [one for one in ROWS if one.name == row]
    if known and check in CHECKS and re.fullmatch(rf"{_DRAWN}\d+", case):
        return Trial(known[0], drawn_case(known[0], int(case.removeprefix(_DRAWN))), check, dtype).run()
    for one in itertools.chain.from_iterable(map(checks_of, known)):
        if one.names == wanted:
            return one.run()
    if known and known[0].operation in SHAPED and check in CHECKS:
        return Trial(known[0], shaped_case(known[0], case), check, dtype).run()
    raise ValueError(f"repeat: no check {wanted!r}, expected names as a failure prints them")
