"""Operations on vectors: compiled, they do what they mean in plain Python, on which the tests of kernels as Python rely.

The functions here are run twice: compiled, and as they stand.
"""

from __future__ import annotations

import functools
import math
import types
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import float32, float64

from fastcnn.kernels.arguments import NO_FOLLOWER, Epilogue
from fastcnn.kernels.vector import planes, rows, scalar, simd, strided, strips, tile
from fastcnn.kernels.vector.operation import _Operation

pytestmark = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="compares compiled code with Python")

I = types.ModuleType("operations")  # noqa: E741
for _module in (planes, rows, simd, strided, strips, tile):
    vars(I).update({name: value for name, value in vars(_module).items() if isinstance(value, _Operation)})

FLOATS = "float32", "float64"
WIDTHS = [("float32", (0, 0, 0)), ("float32", (0,)), ("float64", (0, 0))]  # of tiles, in vectors


def whole_numbers(dtype, size, seed=0):
    """Numbers whose sums and products are exact."""
    return np.random.default_rng(seed).integers(-8, 9, size).astype(dtype)


@functools.cache
def compiled(function):
    return numba.njit(function, error_model="numpy")


def require_same(function, *arguments):
    """Compiled, the function leaves in its arrays what it leaves there as plain Python."""
    kept = []
    for run in (compiled(function), function):
        own = [argument.copy() if isinstance(argument, np.ndarray) else argument for argument in arguments]
        with np.errstate(invalid="ignore"):
            run(*own)
        kept.append([array for array in own if isinstance(array, np.ndarray)])
    for came, meant in zip(*kept, strict=True):
        np.testing.assert_array_equal(came, meant)
    return kept[0]


def test_every_operation_is_compared():
    source = Path(__file__).read_text(encoding="utf-8")
    assert {name for name in vars(I) if isinstance(getattr(I, name), _Operation) and f"I.{name}(" not in source} == set()


def unwritten(dtype, size=2000):
    return np.full(size, np.nan, dtype)


# Tiles ---------------------------------------------------------------------------------------------------------------------


def tile_products(x, w, table, y, doubles, count, width):
    positions = I.tile_positions(table, 1, width)
    sums = I.tile_rows(w, 3, count, width)
    sums = I.tile_multiply_add(sums, x, positions, 5, w, 1)
    I.tile_prefetch(x, positions, 1)
    I.tile_store(sums, y, 7, 110)
    sums = I.tile_multiply_add(I.tile_zeros(w, width), x, I.tile_strided(2, 3, width), 1, w, 2)
    sums = I.tile_multiply_add(sums, x, 4, 6, w, 0)
    I.tile_store(sums, y, 900, 101)
    I.tile_store(I.tile_load(x, 3, width), y, 1800, 102)
    I.tile_add_doubles(I.tile_load(x, 8, width), doubles, 5)
    I.row_copy(y, 2700, x, 11, width)
    y[2900] = I.rows_of(width)


@pytest.mark.parametrize(("dtype", "width"), WIDTHS)
def test_tile_products(dtype, width):
    x, w = whole_numbers(dtype, 900), whole_numbers(dtype, 100, 1)
    table = np.random.default_rng(2).permutation(50)[:simd.MOST_ROWS + 1]
    for count in (-1, 1, len(width) * I.lanes_of(x) - 1, 200):
        require_same(tile_products, x, w, table, unwritten(dtype, 3000), whole_numbers("float64", 300), count, width)


def tall_products(x, w, y, height, width):
    sums = I.tile_multiply_add(I.lines_zeros(w, height, width), x, I.pixels_at(2, 3, height), 1, w, 2)
    I.tile_store(sums, y, 7, 110)


@pytest.mark.parametrize(("dtype", "width"), WIDTHS)
def test_products_of_any_height(dtype, width):
    x, w = whole_numbers(dtype, 100), whole_numbers(dtype, 100, 1)
    for height in ((0,), (0, 0, 0)):
        require_same(tall_products, x, w, unwritten(dtype), height, width)


def tile_scattered(x, y, table, residual, numbers, relu, width):
    distance, count, channels = numbers
    I.tile_scatter(I.tile_load(x, 0, width), tile.Target(y, table, distance, channels), 1, count,
                   Epilogue(x, residual, relu, NO_FOLLOWER))


@pytest.mark.parametrize(("dtype", "width"), WIDTHS)
def test_tile_scatter(dtype, width):
    x, residual = whole_numbers(dtype, 900), whole_numbers(dtype, 2000, 1)
    x[::7] = np.nan
    table = np.random.default_rng(2).permutation(15)[:simd.MOST_ROWS + 1] * 100
    for numbers in ((3, 2, 5), (0, 100, 1000), (1, 3, len(width) * I.lanes_of(x) - 1)):
        for more in (residual, residual[:0]):
            for relu in (False, True):
                require_same(tile_scattered, x, unwritten(dtype), table, more, numbers, relu, width)


# Vectors -------------------------------------------------------------------------------------------------------------------


def lanes_in_turn(x, y, count):
    I.lanes_copy_all(y, 1, x, 2, 3)
    I.lanes_copy(y, 101, x, 3, count)
    I.lanes_copy_padded(y, 201, x, 4, count)
    vector = I.lanes_add(I.lanes_load(x, 5, count), x, 40, count - 1)
    I.lanes_store(vector, y, 301, count)
    I.lanes_store(I.where(vector < 1.0, 1.0, vector), y, 401, 99)
    I.lanes_store(I.lanes_fill(x, 3, count), y, 501, 99)
    I.lanes_store(I.lanes_load(x, 1, 99) + I.lanes_load(x, 30, count) * I.lanes_load(x, 60, count), y, 601, 99)
    y[701] = I.lanes_sum(I.lanes_add(I.lanes_zero(x), x, 9, count))
    y[702] = I.lanes_of(x)


@pytest.mark.parametrize("dtype", FLOATS)
def test_lanes(dtype):
    lanes = I.lanes_of(np.zeros(0, dtype))
    for count in (-1, 0, 1, lanes - 1, lanes, lanes + 1):
        require_same(lanes_in_turn, whole_numbers(dtype, 200), unwritten(dtype, 800), count)


def vectors_at_equal_distances(x, y, count, like):
    I.strided_store(I.strided_load(x, 3, 21, count, like), y, 2, 31, 99)
    I.strided_store(I.strided_load(x, 5, 20, 99, like), y, 402, 40, count)
    I.square_transpose(y, 801, 23, x, 7, 21)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("like", [(0,) * 2, (0,) * 5])
def test_strided(dtype, like):
    lanes = I.lanes_of(np.zeros(0, dtype))
    for count in (-1, 0, 1, lanes - 1, lanes, lanes + 1):
        require_same(vectors_at_equal_distances, whole_numbers(dtype, 400), unwritten(dtype, 1200), count, like)


def compared(x, numbers, y, places, count):
    a, b = I.lanes_load(x, 3, 99), I.lanes_load(x, 60, count)
    for place, mask in enumerate((a < b, a <= b, a > b, a >= b, a == b, a != b, ~(a < b), (a <= b) & (b <= a), a < 1.0)):
        I.lanes_store(I.where(mask, a, b), y, 100 * place, 99)
        I.lanes_store(I.where(mask, 2, I.integers_load(a, numbers, 5, count)), places, 100 * place, 99)
        I.lanes_store(I.where(mask, I.integers_fill(b, -7), 3), places, 100 * place + 50, count)
    of_numbers = I.integers_load(a, numbers, 8, count)
    for place, mask in enumerate((of_numbers == 2, of_numbers != 2, of_numbers < 2, of_numbers <= 2)):
        I.lanes_store(I.where(mask, 0.5, b), y, 1000 + 100 * place, 99)


@pytest.mark.parametrize("dtype", FLOATS)
def test_comparisons(dtype):
    x, numbers = whole_numbers(dtype, 300) // 4, whole_numbers(np.int32, 100, 1)  # many are equal
    x[::7], x[::11] = np.nan, -0.0
    for count in (-1, 1, I.lanes_of(x) - 1, 99):
        require_same(compared, x, numbers, unwritten(dtype), np.full(2000, -1, np.int32), count)


# Planes and filters --------------------------------------------------------------------------------------------------------


def planes_of_two_vectors(bias, x, y, count, pixels, lowest, channels):
    sums = I.planes_tile(bias, 1, count, channels)
    I.planes_store(sums, y, 3, 9, pixels, count, bias.dtype.type(lowest))
    I.planes_store(sums, y, 503, 11, 99, 99, bias.dtype.type(lowest))
    I.zip_vectors(y, 1000, x, 1, 50)
    I.lanes_store(I.by_turns(x, 2, count, 40, pixels), y, 1100, 99)


@pytest.mark.parametrize("channels", [(0,) * size for size in (4, 6, 8)], ids=len)
@pytest.mark.parametrize("dtype", FLOATS)
def test_planes(dtype, channels):
    lanes = I.lanes_of(np.zeros(0, dtype))
    for count, pixels, lowest in ((8, 2 * lanes, math.nan), (5, lanes + 1, 0.0), (1, 1, -3.0), (8, 3, math.nan)):
        require_same(planes_of_two_vectors, whole_numbers(dtype, 20), whole_numbers(dtype, 100, 1), unwritten(dtype, 1200),
                     count, pixels, lowest, channels)


def planes_pooled(bias, x, y, argmax, channels):
    upper = I.planes_tile(bias, 0, 99, channels)
    lower = I.tile_multiply_add(upper, bias, 8, 0, x, 0)
    upper = I.tile_multiply_add(upper, bias, 16, 0, x, 40)
    I.planes_store(I.planes_pool(upper, lower), y, 3, 9, 99, 99, bias.dtype.type(-3.0))
    I.planes_store(I.planes_winners(upper, lower, 5, 100), argmax, 3, 9, 99, 99, None)
    I.planes_store(I.planes_winners(upper, lower, 7, 90), argmax, 503, 9, 3, 2, None)


@pytest.mark.parametrize(("dtype", "channels"), [("float32", (0,) * 6), ("float64", (0,) * 4)])
def test_planes_pooled(dtype, channels):
    x = whole_numbers(dtype, 100, 1) // 4  # many are equal
    x[::7] = np.nan
    y, argmax = require_same(planes_pooled, whole_numbers(dtype, 40), x, unwritten(dtype, 1200),
                             np.full(1200, -1, np.int32), channels)[2:]
    assert np.isnan(y[3:]).any() and argmax.max() > 100


def filter_products(x, taps, dy, y, counts, lines, run, fold):
    sums = I.lines_load(x, 3, lines, run)
    gradient = I.lanes_load(dy, 5, counts[0]) if len(fold) == 1 else I.by_turns(dy, 5, counts[0], 40, counts[1])
    sums = I.filter_multiply_add(sums, x, 2, I.entries(taps, 1, lines), gradient, fold)
    I.tile_store(sums, y, 1, 101)


@pytest.mark.parametrize("fold", [(0,), (0, 0)], ids=len)
@pytest.mark.parametrize("dtype", FLOATS)
def test_filter_products(dtype, fold):
    x, dy, taps = whole_numbers(dtype, 900), whole_numbers(dtype, 100, 1), np.random.default_rng(2).permutation(20)
    for counts in ((99, 99), (3, 1), (1, 0)):
        for lines, run in (((0, 0, 0), (0, 0, 0)), ((0,), (0, 0))):
            require_same(filter_products, x, taps, dy, unwritten(dtype), counts, lines, run, fold)


def line_products(x, w, places, wanted, y, rows, run):
    lines = I.tile_multiply_add(I.lines_zeros(x, (0, 0), run), x, I.pixels_at(3, 5, (0, 0)), 4, w, 5)
    I.lines_add(lines, y, I.pixels_at(7, 3, (0, 0)), rows, places, wanted, 1)


@pytest.mark.parametrize("dtype", FLOATS)
def test_lines(dtype):
    """Places overlap, as those of neighbouring pixels do; NaN in a lane that is not wanted stays out."""
    lanes = I.lanes_of(np.zeros(0, dtype))
    w, wanted = whole_numbers(dtype, 200, 1), np.random.default_rng(2).integers(0, 2, 8 * lanes).astype(dtype)
    w[5:5 + lanes][wanted[lanes:2 * lanes] == 0] = np.nan
    for count in (1, 2):
        y = require_same(line_products, whole_numbers(dtype, 20), w, np.array([0, 40, 3, 90]), wanted, np.zeros(200, dtype),
                         count, (0,) * 3)[-1]
        assert np.isfinite(y).all()


# Pixels and taps -----------------------------------------------------------------------------------------------------------


THREE = (0, 0, 0)
STRIP = (0, 0, 0, 0, 0)
BESIDE = (*STRIP, 0, 0)


def pixel_products(x, w, numbers, y):
    sums = I.pixels_start(I.lanes_load(x, 3, 99), STRIP)
    sums = I.pixels_multiply_add(sums, x, I.pixels_at(5, 17, BESIDE), 3, w, 2, (numbers[1],))
    I.rows_store(sums, y, I.pixels_at(1, 101, STRIP), 0, None)
    sums = I.pixels_multiply_add(sums, x, I.pixels_at(4, 13, BESIDE), 9, w, 1, I.entries(numbers, 2, THREE))
    sums = sums + I.rows_load(x, I.pixels_at(2, 11, STRIP), 3, None, 0)
    I.rows_store(sums, y, I.pixels_at(1001, 103, STRIP), 2, None)


@pytest.mark.parametrize("dtype", FLOATS)
def test_pixel_products(dtype):
    numbers = np.random.default_rng(4).permutation(30)
    require_same(pixel_products, whole_numbers(dtype, 400), whole_numbers(dtype, 200, 1), numbers, unwritten(dtype))


def tap_products(x, dy, numbers, y, first, last, count):
    taps = I.taps_at(numbers, first, last)
    sums = I.rows_load(x, taps, 2, count, 0)
    sums = I.taps_multiply_add(sums, x, (3,), taps, I.lanes_load(dy, 7, count), count)
    I.rows_store(sums, y, taps, 5, count)


def tap_products_of_whole_vectors(x, dy, numbers, y, first, last):
    taps = I.taps_at(numbers, first, last)
    sums = I.rows_load(x, taps, 2, None, 0)
    sums = I.taps_multiply_add(sums, x, (3,), taps, I.lanes_load(dy, 7, 99), None)
    gradients = I.rows_load(dy, I.pixels_at(3, 11, STRIP), 0, None, 0)
    sums = I.taps_multiply_add(sums, x, I.pixels_at(1, 4, BESIDE), taps, gradients, None)
    I.rows_store(sums, y, taps, 5, None)


@pytest.mark.parametrize("dtype", FLOATS)
def test_tap_products(dtype):
    x, dy = whole_numbers(dtype, 2000), whole_numbers(dtype, 200, 1)
    scattered = np.random.default_rng(2).permutation(20) * 50
    step = 4
    in_threes = np.repeat(np.arange(6) * 100, 3) + np.tile(np.arange(3) * step, 6)  # as taps of several pixels lie
    for first, last in ((0, 9), (3, 18), (12, 15), (9, 15)):
        for count in (1, I.lanes_of(x) - 1, 99):
            require_same(tap_products, x, dy, scattered, unwritten(dtype), first, last, count)
        require_same(tap_products_of_whole_vectors, x, dy, in_threes, unwritten(dtype), first, last)
    require_same(tap_products, x, dy, scattered, unwritten(dtype), 2, 4, 3)


# Rows ----------------------------------------------------------------------------------------------------------------------


def rows_in_turn(x, index, y, first, count, lanes):
    K = 40
    positions = I.rows_at(x, first, count, K)
    values = I.rows_load(x, positions, 2, lanes, -100)
    sums, largest = I.rows_sum(values), I.rows_largest(values)
    goals = I.rows_at(x, 0, 99, 100)
    I.rows_store(values, y, goals, 1, lanes)
    I.rows_store(I.rows_spread(x, sums), y, goals, 401, 99)
    I.rows_store(I.rows_spread(x, largest), y, goals, 801, 99)
    index_of_row = I.column_load(index, I.rows_at(x, first, count, 1), 0)
    index_of_row = I.where(index_of_row == 3, 0, index_of_row)
    I.rows_store(I.rows_spread(x, I.column_load(x, positions, index_of_row)), y, goals, 1201, 99)
    I.rows_store(I.where(values != 0.0, values * I.rows_fill(x, np.inf), 0.0), y, goals, 1601, lanes)
    mixed = (values + x.dtype.type(1)) * (values - I.rows_spread(x, sums)) / I.rows_fill(x, 4)
    I.rows_store(mixed, y, goals, 2001, lanes)
    y[2500] = I.rows_together(x)


@pytest.mark.parametrize("dtype", FLOATS)
def test_rows(dtype):
    x, index = whole_numbers(dtype, 400), np.random.default_rng(2).integers(0, 8, 10)
    for first, count, lanes in ((0, 4, 99), (2, 1, 1), (3, 3, 3), (1, 2, 0)):
        require_same(rows_in_turn, x, index, unwritten(dtype, 2600), first, count, lanes)


# Numbers -------------------------------------------------------------------------------------------------------------------

cubic = scalar.polynomial((1.0, -2.0, 0.5, 3.0), (2.0, -1.0, 4.0, -3.0))
third = scalar.constant(1 / 3, 2 / 3)


@numba.njit
def numbers_of(x, limit):
    n, mantissa = scalar.exponent_mantissa(x)
    rounded = scalar.rounder(x) + x
    return (cubic(x), third(x), scalar.at_least(x, limit), scalar.at_most(x, limit), scalar.zero_below(limit, x, limit),
            scalar.quotient(x, limit), n, mantissa, rounded - scalar.rounder(x), scalar.power_of_two(rounded),
            scalar.raised_power_of_two(rounded) * scalar.lowered(x))


@pytest.mark.parametrize("kind", [float32, float64], ids=str)
def test_numbers(kind):
    dtype = np.dtype(str(kind)).type
    single = kind is float32
    for x in (1.25, 3.5, 0.0625, 7.0, 60.75):
        value, limit = dtype(x), dtype(3.0)
        coefficients = (1.0, -2.0, 0.5, 3.0) if single else (2.0, -1.0, 4.0, -3.0)
        polynomial = sum(coefficient * x**power for power, coefficient in enumerate(coefficients))
        mantissa, exponent = math.frexp(x)
        if mantissa < math.sqrt(0.5):
            mantissa, exponent = 2 * mantissa, exponent - 1
        wanted = (polynomial, dtype(1 / 3 if single else 2 / 3), max(x, 3.0), min(x, 3.0), 3.0 if x >= 3 else 0.0,
                  value / limit, exponent, mantissa, round(x), 2.0**round(x), 2.0**round(x))
        came = numbers_of(value, limit)
        assert came[:1] == pytest.approx(wanted[:1], rel=4 * float(np.finfo(dtype).eps))
        assert came[1:] == wanted[1:]
        assert {np.dtype(type(number)) for number in came} <= {np.dtype(float), np.dtype(dtype)}
    for limit in (math.nan, 1.0):
        assert numbers_of(dtype(math.nan), dtype(limit))[2] != numbers_of(dtype(math.nan), dtype(limit))[2]
        assert np.isnan(numbers_of(dtype(math.nan), dtype(limit))[3])
    assert numbers_of(dtype(2), dtype(math.nan))[2:4] == (2, 2)
