"""The checks over the registry: every row against its reference, its gradients, itself on more threads, and odd input.

The test suite runs all trials; `fastcnn verify` runs a representative part on the user's machine. A trial is one check of
one case of one row in one element type, and its random numbers follow from its name.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

from . import functional
from .functional import arrays
from .kernels import threads
from .registry import LINEAR, ROWS, Arguments, Case, Draw, Row

FLOAT_TYPES = "float32", "float64"
WORKERS = 1, 2, 3
ADJOINT_BOUND = 1e-13
# Below this many times the smallest normal number, intermediate results lose bits.
SMALLEST = 256
# What scratch memory holds before a kernel runs: arbitrary, but finite, as `arrays.scratch` promises.
STALE = 12345.0

Results = dict[str, Any]
Each = Callable[[np.ndarray], np.ndarray]


class MismatchError(AssertionError):
    """A result is not what it must be."""


@dataclass(frozen=True)
class Trial:
    """One check of one case of one row."""

    row: Row
    case: Case
    check: str
    dtype: str

    def __str__(self) -> str:
        """Name of the test: what is wrong when it fails."""
        return f"{self.row.name}-{self.case.name}-{self.check}-{self.dtype}"

    @property
    def seed(self) -> int:
        """Seed of the random numbers: one for each row and case."""
        return zlib.crc32(f"{self.row.name} {self.case.name}".encode())

    @property
    def repeat(self) -> str:
        """Command line that repeats this trial."""
        names = self.row.name, self.case.name, self.check, self.dtype
        return f'python -c "from fastcnn import verification; verification.repeat{names!r}"'

    def run(self) -> float:
        """Return the largest error, in units of epsilon of what was compared; MismatchError when it is too large."""
        return CHECKS[self.check](self)

    def arguments(self, kind: str) -> Arguments:
        """Give the arguments, the same at every call."""
        return self.row.make(Draw(self.seed, self.dtype, kind), **self.case.settings)


def trials(row: Row) -> Iterator[Trial]:
    """Give all trials of a row."""
    cases = [case for case in row.cases if not case.bench]
    finishes = not {"relu", "add"}.isdisjoint(inspect.signature(row.fast).parameters)
    always = ["integers"] * row.exact + ["normal", "workers"] + ["finished"] * finishes
    differentiated = ["gradient"] * bool(row.wrt) + ["adjoint"] * (bool(row.wrt) and row.differences is LINEAR)
    for case in cases:
        yield from (Trial(row, case, check, dtype) for check in always for dtype in FLOAT_TYPES)
        if case.telling:
            yield from (Trial(row, case, check, "float64") for check in differentiated)
    yield from (Trial(row, cases[0], layout, "float32") for layout in LAYOUTS)
    yield from (Trial(row, cases[0], special, dtype) for special in SPECIALS for dtype in FLOAT_TYPES if row.spoil)


# What a call gives ---------------------------------------------------------------------------------------------------------


def fast(row: Row, arguments: Arguments) -> Results:
    """Call the fast function; its results by name."""
    return _call(row, row.fast, {**arguments, **_options(row)})


def _options(row: Row) -> Arguments:
    return {} if row.algorithm is None else {"algorithm": row.algorithm}


def repeatable(row: Row, arguments: Arguments) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Give calls of the fast function and of the reference, each on its own copies of the arrays that it changes."""
    calls = []
    for function, options in ((row.fast, _options(row)), (row.reference, {})):
        own = {name: arguments[name].copy() for name in row.updates}
        calls.append(functools.partial(function, **{**arguments, **options, **own}))
    return calls[0], calls[1]


def expected(row: Row, arguments: Arguments) -> Results:
    """Call the reference in float64; its results by name."""
    wide = {name: _map(_widened, value) for name, value in arguments.items()}
    with np.errstate(all="ignore"):
        return _call(row, row.reference, wide)


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
    """Fill all new memory with NaN, and all working memory with stale numbers: what no kernel writes is seen."""
    allocate = np.empty

    def empty(shape: Any, dtype: Any = float, order: Any = "C") -> np.ndarray:
        array = allocate(shape, dtype, order)
        if array.dtype.kind in "fiu":
            array.fill(np.nan if array.dtype.kind == "f" else np.iinfo(array.dtype).max)
        return array

    def scratch(function: str, size: int, dtype: np.dtype) -> np.ndarray:
        return np.full(size, STALE, dtype)

    with (mock.patch.object(np, "empty", empty), mock.patch.object(arrays, "empty", empty),
          mock.patch.object(arrays, "scratch", scratch)):
        yield


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
    with mock.patch.object(threads, "workers", lambda work, grain=0: count):
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
    dy, gradients = _gradients(row, arguments, trial.seed)
    worst = 0.0
    for name, gradient in gradients.items():
        direction = np.copysign(np.random.default_rng(trial.seed + 1).standard_normal(gradient.shape), gradient)
        above, below = (fast(row, {**arguments, name: arguments[name] + sign * differences.step * direction})[row.results[0]]
                        for sign in (1, -1))
        slope = (np.asarray(above) - below) / (2 * differences.step)
        worst = max(worst, _relative(np.vdot(gradient, direction), np.vdot(dy, slope),
                                     np.linalg.norm(dy) * np.linalg.norm(slope), name, differences.bound))
    return worst


def _adjoint(trial: Trial) -> float:
    """<dy, K x> = <K* dy, x> for each argument that the operation is linear in."""
    row = trial.row
    arguments = trial.arguments("normal")
    dy, gradients = _gradients(row, arguments, trial.seed)
    y = fast(row, arguments)["y"]
    worst = 0.0
    for name, gradient in gradients.items():
        change = y - fast(row, {**arguments, name: np.zeros_like(arguments[name])})["y"]
        worst = max(worst, _relative(np.vdot(gradient, arguments[name]), np.vdot(dy, change),
                                     np.linalg.norm(dy) * np.linalg.norm(y), name, ADJOINT_BOUND))
    return worst


def _relative(came: Any, wanted: Any, scale: Any, name: str, bound: float) -> float:
    error = abs(came - wanted) / scale
    if not error <= bound:
        raise MismatchError(f"gradient of {name}: {came!r} along a direction, expected {wanted!r}: {error:.2g} relative, "
                            f"at most {bound:.2g} allowed")
    return float(error / np.finfo(np.float64).eps)


def _gradients(row: Row, arguments: Arguments, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Give a random dy and the gradients by argument; a loss has dy 1 and gives its gradients itself."""
    results = fast(row, arguments)
    wrt = [name for name in row.wrt if arguments[name] is not None]
    backward = getattr(functional, f"{row.operation}_backward", None)
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
    """What came of one row: trials passed, largest error against the reference in epsilon, and what failed."""

    row: str
    passed: int = 0
    error: float = 0.0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line, and two for each failure."""
        state = f"{len(self.failures)} FAILED" if self.failures else "ok"
        line = f"{self.row:32} {self.passed:4} passed  {state:10} largest error {self.error:6.2f} epsilon"
        return "\n".join([line, *self.failures])


@dataclass
class Report:
    """What came of all rows."""

    outcomes: list[Outcome]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not any(outcome.failures for outcome in self.outcomes)

    def __str__(self) -> str:
        """One line in all."""
        passed = sum(outcome.passed for outcome in self.outcomes)
        failed = sum(len(outcome.failures) for outcome in self.outcomes)
        return f"{passed} checks passed, {failed} failed, {len(self.outcomes)} rows, {self.seconds:.0f} s"


def run(progress: Callable[[Outcome], object] = print, *, rows: Iterable[Row] = ROWS, everything: bool = False) -> Report:
    """Run a representative part of the trials, or `everything`; `progress` gets each row's outcome when it is done."""
    start = time.perf_counter()
    outcomes = []
    for row in rows:
        outcome = _outcome(row, trials(row) if everything else representative(row))
        outcomes.append(outcome)
        progress(outcome)
    return Report(outcomes, time.perf_counter() - start)


def representative(row: Row) -> list[Trial]:
    """Every case against the reference, and all checks of the first and of the largest case.

    In float32 alone: to compile the kernels for float64 too, which few use, would take as long again.
    """
    whole = {row.cases[0].name, *(case.name for case in row.cases if case.name.endswith("threads meet"))}
    first = "integers" if row.exact else "normal"
    return [trial for trial in trials(row)
            if trial.dtype == "float32" and (trial.check == first or trial.case.name in whole)]


def _outcome(row: Row, chosen: Any) -> Outcome:
    outcome = Outcome(row.name)
    for trial in chosen:
        try:
            error = trial.run()
        except Exception as problem:  # whatever goes wrong, the others run too
            outcome.failures.append(f"  {trial}: {type(problem).__name__}: {problem}\n  repeat: {trial.repeat}")
        else:
            outcome.passed += 1
            if trial.check in ("integers", "normal"):
                outcome.error = max(outcome.error, error)
    return outcome


def repeat(row: str, case: str, check: str, dtype: str) -> float:
    """Run one trial by the names that a failure prints; MismatchError when it fails again."""
    wanted = row, case, check, dtype
    for trial in (trial for known in ROWS if known.name == row for trial in trials(known)):
        if (trial.row.name, trial.case.name, trial.check, trial.dtype) == wanted:
            return trial.run()
    raise ValueError(f"repeat: no trial {wanted!r}, expected names as a failure prints them")
