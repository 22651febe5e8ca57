"""The table of operations: one row for each, and one for each algorithm of an operation.

A row says how cases become arguments, what the results are called, how exact they are, how they are differentiated, what
they cost and which calls are refused. The test (tests/test_registry.py), the bench (bench/test_bench.py) and the check on a
user's machine (`fastcnn verify`) walk the same rows. Fast function, reference and row share one name. A family has a file,
in which its cases, its bad calls and its rows stand together.
"""

from __future__ import annotations

from . import activation, arithmetic, batch, conv, dropout, linear, loss, norm, optim, pool, resample
from .row import LINEAR, Arguments, Bound, Case, Differences, Draw, Fault, Row

__all__ = ["LINEAR", "ROWS", "Arguments", "Bound", "Case", "Differences", "Draw", "Fault", "Row"]

ROWS: tuple[Row, ...] = (
    *conv.ROWS, *linear.ROWS, *pool.ROWS, *resample.ROWS, *arithmetic.ROWS, *activation.ROWS, *norm.ROWS, *dropout.ROWS,
    *loss.ROWS, *optim.ROWS, *batch.ROWS,
)
