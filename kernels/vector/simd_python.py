"""Vectors and tiles in plain Python, for NUMBA_DISABLE_JIT=1: what the intrinsics in simd.py and its neighbours mean.

A tile is an array (rows, vectors * lanes). Slow, but a debugger steps through the kernels, and numpy checks every index.
"""

import numpy as np

from .simd import PIXELS, ROWS, TAPS, VECTOR_BYTES, together


def lanes_of(array):
    """Number of lanes in a vector of the array's element type."""
    return VECTOR_BYTES // array.itemsize


def _inside(array, start, count):
    """array[start : start + count], or IndexError where a kernel would leave its array."""
    if count > 0 and (start < 0 or start + count > len(array)):
        raise IndexError(f"elements {start} to {start + count} of an array of {len(array)}")
    return array[start:start + count] if count > 0 else array[:0]


def rows_of(width):
    """Number of rows of a tile."""
    return ROWS[len(width)]


def tile_positions(table, start, width):
    """Position of each row."""
    return tuple(_inside(table, start, rows_of(width)))


def tile_strided(start, stride, width):
    """Positions of rows at equal distances."""
    return tuple(start + row * stride for row in range(rows_of(width)))


def tile_zeros(array, width):
    """Tile of zeros."""
    return np.zeros((rows_of(width), len(width) * lanes_of(array)), array.dtype)


def tile_rows(w, w_offset, count, width):
    """Tile whose every row is w[w_offset : w_offset + count], then zeros."""
    row = np.zeros(len(width) * lanes_of(w), w.dtype)
    count = max(0, min(count, len(row)))
    row[:count] = _inside(w, w_offset, count)
    return np.tile(row, (rows_of(width), 1))


def tile_load(y, y_offset, width):
    """Tile read from consecutive memory."""
    rows, lanes = rows_of(width), len(width) * lanes_of(y)
    return _inside(y, y_offset, rows * lanes).reshape(rows, lanes).copy()


def tile_multiply_add(tile, x, positions, distance, w, w_offset):
    """Tile plus the outer product of one x per row and one row of w."""
    if not isinstance(positions, tuple):
        positions = range(positions, positions + len(tile))
    column = np.array([_inside(x, position + distance, 1)[0] for position in positions])
    return tile + np.outer(column, _inside(w, w_offset, tile.shape[1]))


def row_copy(target, target_offset, source, source_offset, width):
    """Copy as many elements as a tile's row has."""
    count = len(width) * lanes_of(source)
    _inside(target, target_offset, count)[:] = _inside(source, source_offset, count)


def tile_prefetch(x, positions, distance):
    """Nothing: a prefetch changes no values."""


def tile_store(tile, y, y_offset, stride):
    """Write the whole tile: row p to y[y_offset + p * stride]."""
    for p in range(len(tile)):
        _inside(y, y_offset + p * stride, tile.shape[1])[:] = tile[p]


def _not_below(values, floor):
    """The values, or the floor where they are below it; NaN is no floor."""
    return np.where(values < floor, values.dtype.type(floor), values)


def tile_scatter(tile, y, table, start, distance, rows, channels, floor, addend, adds):
    """Write the first `rows` rows and `channels` lanes (see tile.py)."""
    count = min(channels, tile.shape[1])
    for p in range(min(rows, len(tile))):
        place = _inside(table, start + p, 1)[0] + distance
        row = tile[p, :count] + _inside(addend, place, count) if adds else tile[p, :count]
        _inside(y, place, count)[:] = _not_below(row, floor)


def lanes_copy_all(target, target_offset, source, source_offset, count):
    """Copy one vector."""
    lanes = lanes_of(source)
    _inside(target, target_offset, lanes)[:] = _inside(source, source_offset, lanes)


def lanes_copy(target, target_offset, source, source_offset, count):
    """Copy the first `count` lanes of a vector."""
    count = max(0, min(count, lanes_of(source)))
    _inside(target, target_offset, count)[:] = _inside(source, source_offset, count)


def lanes_copy_padded(target, target_offset, source, source_offset, count):
    """Copy the first `count` lanes of a vector, then zeros."""
    count = max(0, min(count, lanes_of(source)))
    lanes = _inside(target, target_offset, lanes_of(source))
    lanes[:count] = _inside(source, source_offset, count)
    lanes[count:] = 0


def lanes_zero(array):
    """One vector of zeros."""
    return np.zeros(lanes_of(array), array.dtype)


def lanes_load(array, offset, count):
    """One vector: the first `count` lanes, then zeros."""
    return lanes_add(lanes_zero(array), array, offset, count)


def lanes_fill(array, value, count):
    """One vector: `value` in the first `count` lanes, then zeros."""
    vector = lanes_zero(array)
    vector[:max(0, count)] = value
    return vector


def lanes_sum(vector):
    """Sum of all lanes: the upper half is added to the lower one again and again."""
    while len(vector) > 1:
        vector = vector[:len(vector) // 2] + vector[len(vector) // 2:]
    return vector[0]


def lanes_add(vector, array, offset, count):
    """The vector plus the first `count` lanes of another."""
    count = max(0, min(count, len(vector)))
    total = vector.copy()
    total[:count] += _inside(array, offset, count)
    return total


def lanes_not_below(vector, floor):
    """The vector, or the floor where it is below it; NaN is no floor."""
    return _not_below(vector, floor)


def lanes_store(vector, array, offset, count):
    """Write the first `count` lanes."""
    count = max(0, min(count, len(vector)))
    _inside(array, offset, count)[:] = vector[:count]


def _maximum(x, offset, pairs, best, winner):
    """Larger of `best` and the numbers of x at the distances of pairs, and its number."""
    for distance, number in pairs:
        value = _inside(x, offset + distance, 1)[0]
        if value > best or (np.isnan(value) and not np.isnan(best)):
            best, winner = value, number
    return best, winner


def lanes_first_maximum(x, offset, a, b, c, d, y, argmax, target, count):
    """Put into y the largest of x at the distances a, b, c, d, into argmax its number (see simd.py)."""
    for lane in range(min(count, lanes_of(x))):
        first = _inside(x, offset + a[0] + lane, 1)[0]
        y[target + lane], argmax[target + lane] = _maximum(x, offset + lane, (b, c, d), first, a[1])


def lanes_next_maximum(x, offset, a, b, c, d, y, argmax, target, count):
    """The same, where y and argmax hold the largest until now."""
    for lane in range(min(count, lanes_of(x))):
        i = target + lane
        y[i], argmax[i] = _maximum(x, offset + lane, (a, b, c, d), y[i], argmax[i])


def lanes_route(dy, argmax, y, floor, source, dx, target, a, b, c, d, count):
    """Put the lanes of dy into dx at distances a, b, c, d, where argmax is the number there and y above the floor, else 0
    (see simd.py).
    """
    for lane in range(min(count, lanes_of(dy))):
        i = source + lane
        for distance, number in (a, b, c, d):
            passes = argmax[i] == number and not y[i] <= floor
            _inside(dx, target + distance + lane, 1)[0] = _inside(dy, i, 1)[0] if passes else 0


def planes_tile(bias, offset, count, vectors):
    """Tile of 8 rows, row k filled with bias[offset + k], or zeros from row `count` on."""
    rows = np.zeros((8, 1), bias.dtype)
    count = max(0, min(count, 8))
    rows[:count, 0] = _inside(bias, offset, count)
    return np.repeat(rows, vectors * lanes_of(bias), axis=1)


def planes_store(tile, y, y_offset, step, pixels, channels, floor):
    """Write a tile of channels by pixels as pixels by channels, nothing below the floor."""
    count = min(channels, 8)
    for pixel in range(min(pixels, tile.shape[1])):
        _inside(y, y_offset + pixel * step, count)[:] = _not_below(tile[:count, pixel], floor)


def zip_vectors(target, start, source, first, second):
    """Write two vectors of elements in turns."""
    lanes = lanes_of(source)
    pairs = np.stack([_inside(source, first, lanes), _inside(source, second, lanes)], axis=1)
    _inside(target, start, 2 * lanes)[:] = pairs.reshape(-1)


def filter_sums(array, offset, lines, run):
    """Tile of filter elements read from memory: (lines, elements * lanes)."""
    width = len(run) * lanes_of(array)
    return _inside(array, offset, len(lines) * width).reshape(len(lines), width).copy()


def filter_multiply_add(tile, x, start, taps, first, dy, offset, count, second, second_count, fold):
    """Tile plus the products of a vector of dy, of one pixel or two, and what these meet (see planes.py)."""
    lanes, pixels = lanes_of(dy), len(fold)
    gradient = np.zeros((lanes // pixels, pixels), dy.dtype)
    for pixel, (at, wanted) in enumerate([(offset, count), (second, second_count)][:pixels]):
        channels = max(0, min(wanted, lanes // pixels))
        gradient[:channels, pixel] = _inside(dy, at, channels)
    run = tile.shape[1] // lanes
    lines = [_inside(x, start + int(taps[first + line]), run * pixels) for line in range(len(tile))]
    inputs = np.reshape(lines, (len(tile), run, 1, pixels))
    return tile + (inputs * gradient).reshape(tile.shape)


def pixels_start(bias, offset):
    """Tile of one vector for each pixel, all equal to that of the bias."""
    return np.tile(_inside(bias, offset, lanes_of(bias)), (PIXELS, 1))


def pixels_multiply_add(tile, x, start, step, offsets, w, w_start, numbers, t):
    """Tile plus the products of a vector of x for each pixel and one vector of w."""
    lanes = lanes_of(x)
    at, weights = start + int(offsets[t]), _inside(w, w_start + int(numbers[t]), lanes)
    return tile + [_inside(x, at + p * step, lanes) * weights for p in range(PIXELS)]


def pixels_multiply_add_3(tile, x, start, step, offsets, w, w_start, numbers, t):
    """The same for three taps, each of which lies `step` behind the one before."""
    for s in range(3):
        tile = pixels_multiply_add(tile, x, start + s * step, step, offsets[t:t + 1], w, w_start, numbers[t + s:], 0)
    return tile


def pixels_store(tile, y, offset, step):
    """Write one vector for each pixel."""
    for p, vector in enumerate(tile):
        lanes_store(vector, y, offset + p * step, len(vector))


def pixels_prefetch(x, offset, step):
    """Do nothing: fetching ahead changes no result."""


def lanes_multiply_add(vector, x, x_offset, w, w_offset, count):
    """The vector plus the products of the first `count` lanes of two others."""
    return vector + lanes_load(x, x_offset, count) * lanes_load(w, w_offset, count)


def _listed(entries, first, last):
    """TAPS entries from `first` on; where the list ends, the first three of them, or fewer, again and again."""
    positions = [first + t if first + t < last else min(first + t % 3, last - 1) for t in range(TAPS)]
    return [int(_inside(entries, position, 1)[0]) for position in positions]


def taps_load(array, offset, numbers, first, last, count):
    """Tile of one vector for each of the listed taps."""
    count = lanes_of(array) if count is None else count
    return np.stack([lanes_load(array, offset + number, count) for number in _listed(numbers, first, last)])


def taps_multiply_add(tile, x, start, offsets, first, last, dy, dy_offset, count):
    """Tile plus the products of a vector of x for each tap and one vector of dy."""
    count = lanes_of(x) if count is None else count
    gradient = lanes_load(dy, dy_offset, count)
    return tile + [lanes_load(x, start + offset, count) * gradient for offset in _listed(offsets, first, last)]


def taps_multiply_add_3(tile, x, start, step, offsets, first, last, dy, dy_start, dy_step):
    """The same for PIXELS pixels, all lanes."""
    for p in range(PIXELS):
        tile = taps_multiply_add(tile, x, start + p * step, offsets, first, last, dy, dy_start + p * dy_step, None)
    return tile


def taps_store(tile, array, offset, numbers, first, last, count):
    """Write one vector for each of the listed taps."""
    for vector, number in zip(tile, _listed(numbers, first, last), strict=True):
        lanes_store(vector, array, offset + number, len(vector) if count is None else count)


def rows_together(array):
    """How many rows of an array with this type of elements are taken at once."""
    return together(array.itemsize)


def rows_at(array, first, count, K):
    """Positions of rows; from `count` on the last one again and again."""
    return tuple((first + min(p, count - 1)) * K for p in range(rows_together(array)))


def rows_fill(array, value):
    """Tile with the same number everywhere."""
    return np.full((rows_together(array), lanes_of(array)), value, array.dtype)


def rows_load(array, positions, i, count, rest):
    """Tile of the first `count` lanes of each row's vector, then `rest`."""
    tile = rows_fill(array, rest)
    count = max(0, min(count, lanes_of(array)))
    for p, position in enumerate(positions):
        tile[p, :count] = _inside(array, position + i, count)
    return tile


def rows_store(tile, array, positions, i, count):
    """Write the first `count` lanes of each vector to its row."""
    for vector, position in zip(tile, positions, strict=True):
        lanes_store(vector, array, position + i, count)


def _reduced(tile, combine):
    while tile.shape[1] > 1:
        tile = combine(tile[:, ::2], tile[:, 1::2])
    return tile[:, 0]


def rows_sum(tile):
    """Column of the sums of all lanes, neighbours first."""
    return _reduced(tile, np.add)


def rows_largest(tile):
    """Column of the largest lanes."""
    return _reduced(tile, lambda a, b: np.where(a < b, b, a))


def rows_spread(array, column):
    """Tile whose rows have their number of a column in all lanes."""
    return np.repeat(column[:, np.newaxis], lanes_of(array), axis=1)


def rows_weigh(weight, value):
    """weight * value, but 0 where the weight is 0."""
    return np.where(weight != 0, weight * value, weight.dtype.type(0))


def column_pick(array, positions, index, first, count, skipped):
    """Column of array[position + index] of each row, 0 instead of an index that is `skipped`."""
    chosen = [_inside(index, first + min(p, count - 1), 1)[0] for p in range(len(positions))]
    return np.array([_inside(array, position + (0 if one == skipped else int(one)), 1)[0]
                     for position, one in zip(positions, chosen, strict=True)])
