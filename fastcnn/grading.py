"""Functions of your own, held against the registry: `fastcnn verify relu --candidate mine.py:relu` and `grade`.

A candidate is called in place of the operation with the cases, the reference and the bounds that the kernel is tested with.
It need not take every option: cases with an argument that it has no parameter for are left out, and counted.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np

from . import verification
from .registry import ROWS, Arguments, Row
from .shapes import suggestion
from .verification import FLOAT_TYPES, MismatchError, Trial

# Cases that fail, after which nothing more is tried: the first, on the smallest arrays, says most.
ENOUGH = 3
# A candidate may round so many times as much as the kernel, whose bounds are close.
ROUNDING = 4

Candidate = Callable[..., Any]


@dataclass(frozen=True)
class Failure:
    """A case that a candidate fails: the arguments, as shapes where they are arrays, and what is wrong."""

    case: str
    dtype: str
    arguments: str
    problem: str

    def __str__(self) -> str:
        """Two lines."""
        return f"FAILED {self.case}, {self.dtype}: {self.arguments}\n  {self.problem}"


@dataclass
class Grade:
    """What came of a candidate: checks passed, largest error in epsilon, failures, and cases left out by name."""

    candidate: str
    operation: str
    passed: int = 0
    error: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def __str__(self) -> str:
        """Say what failed, and the total in one line."""
        options = f"; {len(self.left_out)} cases left out, whose arguments it does not take" if self.left_out else ""
        state = f"error {self.error:.2f} epsilon" if self.ok else f"{len(self.failures)} failed"
        state += " and ended it" if len(self.failures) == ENOUGH else ""
        total = f"{self.candidate} as {self.operation}: {self.passed} checks passed, {state}{options}"
        return "\n".join([*map(str, self.failures), total])


def grade(candidate: Candidate, operation: str, *, cases: int = verification.FEW) -> Grade:
    """Check a function of your own as an operation of `fastcnn.functional`, the smallest arrays first.

    Parameters
    ----------
    candidate : callable
        Takes the arguments of the operation by name, all or those without a default, and returns what it returns.
    operation : str
        Name of the operation, such as ``"relu"`` or ``"relu_backward"``.
    cases : int
        Random cases beside the named ones.

    Returns
    -------
    Grade
        ``ok``, ``passed``, ``failures``, ``left_out``; printed, it says what failed, in which case, and by how much.
        After three failures nothing more is tried.

    Raises
    ------
    ValueError
        There is no such operation, or the candidate can take the arguments of no case.

    Examples
    --------
    >>> from fastcnn.grading import grade
    >>> print(grade(lambda x: x * (x > -1), "relu").failures[0].problem)
    y[...] is ..., expected ...
    """
    row = _row(operation)
    row = replace(row, bound=replace(row.bound, factor=ROUNDING * row.bound.factor))
    result = Grade(getattr(candidate, "__name__", type(candidate).__name__), operation)
    tried = [trial for trial in _trials(row, cases) if _takes(candidate, trial, result)]
    if not tried:
        raise ValueError(f"grade: {result.candidate} takes {inspect.signature(candidate)}, expected parameters named as in "
                         f"{operation}{inspect.signature(row.reference)}")
    stand_in = ModuleType(result.candidate)
    setattr(stand_in, row.operation, _called(candidate, row))
    for trial in sorted(tried, key=_size):
        if trial.case.name not in [failure.case for failure in result.failures]:
            _check(replace(trial, row=replace(row, home=stand_in, algorithm=None)), result)
        if len(result.failures) == ENOUGH:
            break
    return result


def _row(operation: str) -> Row:
    """Return the row of an operation, of several the one whose results are compared exactly; ValueError: there is none."""
    rows = [row for row in ROWS if row.operation == operation]
    if not rows:
        names = list(dict.fromkeys(row.operation for row in ROWS))
        raise ValueError(f"grade: operation is {operation!r}, expected one of {', '.join(names)}"
                         f"{suggestion(operation, names)}")
    return next((row for row in rows if row.exact), rows[0])


def _trials(row: Row, cases: int) -> Iterator[Trial]:
    """Give the comparisons with the reference, of named and of drawn cases."""
    drawn = [verification.drawn_case(row, number) for number in range(cases)]
    for case in [*(case for case in row.cases if not case.bench), *drawn]:
        for check in ["integers"] * row.exact + ["normal"]:
            yield from (Trial(row, case, check, dtype) for dtype in FLOAT_TYPES)
    if row.spoil:
        yield from (Trial(row, row.cases[0], special, "float32") for special in verification.SPECIALS)


def _takes(candidate: Candidate, trial: Trial, result: Grade) -> bool:
    """Whether the candidate has a parameter for each argument; if not, the case is noted."""
    try:
        inspect.signature(candidate).bind(**_given(candidate, trial.arguments("normal")))
    except TypeError:
        if trial.case.name not in result.left_out:
            result.left_out.append(trial.case.name)
        return False
    return True


def _given(candidate: Candidate, arguments: Arguments) -> Arguments:
    """Return the arguments without those that are None and unknown to the candidate."""
    known = inspect.signature(candidate).parameters
    return {name: value for name, value in arguments.items() if value is not None or name in known}


def _called(candidate: Candidate, row: Row) -> Candidate:
    """Return the candidate, but that a wrong number or kind of results is a MismatchError."""

    @functools.wraps(candidate)
    def call(**arguments: Any) -> Any:
        returned = candidate(**_given(candidate, arguments))
        results = returned if isinstance(returned, tuple) else () if returned is None else (returned,)
        expected = row.results or ("nothing, the arrays change in place",)
        if len(results) != len(row.results):
            raise MismatchError(f"{len(results)} results, expected {', '.join(expected)}")
        for name, value in zip(row.results, results, strict=True):
            if not isinstance(value, np.ndarray | np.generic | float | tuple | None):
                raise MismatchError(f"{name} is a {type(value).__name__}, expected an array of numpy")
        return tuple(map(_as_array, results)) or None

    return call


def _as_array(value: Any) -> Any:
    """Return an array in place of a number of numpy, in tuples too."""
    if isinstance(value, tuple):
        return tuple(map(_as_array, value))
    return np.asarray(value) if isinstance(value, np.generic) else value


def _check(trial: Trial, result: Grade) -> None:
    """Make one check, and note what comes of it."""
    try:
        with np.errstate(all="ignore"):
            error = trial.run()
    except MismatchError as problem:
        result.failures.append(_failure(trial, str(problem)))
    except Exception as problem:  # of the candidate, whose fault it is
        result.failures.append(_failure(trial, f"{type(problem).__name__}: {problem}"))
    else:
        result.passed += 1
        result.error = max(result.error, error)


def _failure(trial: Trial, problem: str) -> Failure:
    spoiled = f", {trial.check} in {trial.row.spoil}" if trial.check in verification.SPECIALS else ""
    return Failure(trial.case.name + spoiled, trial.dtype, _described(trial.arguments("normal")), problem)


def _size(trial: Trial) -> int:
    """Count the elements of all arguments: the work is about in proportion."""
    return sum(array.size for _, array in verification.arrays_of(trial.arguments("normal")))


def _described(arguments: Arguments) -> str:
    """Return the arguments in one line, arrays by their shape."""
    return ", ".join(f"{name} {value.shape}" if isinstance(value, np.ndarray) else f"{name}={value!r}"
                     for name, value in arguments.items() if value is not None)
