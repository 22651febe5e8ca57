"""What the ways to compute a convolution share: values near float64, the same training, the same bits however it is cut."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numba
import numpy as np
import pytest

import fastcnn
from fastcnn import functional, nn, optim, registry, shapes, verification
from fastcnn.functional import norm
from fastcnn.functional.conv import direct, problem, winograd
from fastcnn.kernels import arithmetic, loops
from fastcnn.kernels.jit import compile as jit
from fastcnn.nn.module import backward
from fastcnn.runtime import caches


def arrays(N, H, W, C, K, dtype=np.float32, taps=3):
    random = np.random.default_rng(0)
    shapes = (N, H, W, C), (taps, taps, C, K), (N, H, W, K)
    return tuple(random.standard_normal(shape).astype(dtype) for shape in shapes)


def results(x, weight, dy, algorithm):
    dx, dweight, _ = functional.conv2d_backward(dy, x, weight, padding="same", algorithm=algorithm)
    return functional.conv2d(x, weight, padding="same", algorithm=algorithm), dx, dweight


@pytest.mark.parametrize(("shape", "taps"), [((8, 32, 32, 16, 16), 3), ((4, 14, 13, 96, 130), 3), ((2, 7, 7, 256, 256), 3),
                                             ((4, 14, 13, 32, 70), 5)])
def test_winograd_is_within_2e_4_of_the_largest_value(shape, taps):
    single = results(*arrays(*shape, taps=taps), "winograd")
    double = results(*arrays(*shape, np.float64, taps), "direct")
    for ours, exact in zip(single, double, strict=True):
        assert np.abs(ours - exact).max() <= 2e-4 * np.abs(exact).max()


def test_winograd_errs_as_little_with_5x5_filters_as_with_3x3():
    worst = {}
    for taps in (3, 5):
        single, double = (results(*arrays(2, 16, 16, 64, 32, dtype, taps), algorithm)
                          for dtype, algorithm in ((np.float32, "winograd"), (np.float64, "direct")))
        worst[taps] = [np.abs(ours - exact).max() / exact.std() for ours, exact in zip(single, double, strict=True)]
    for large, small in zip(worst[5], worst[3], strict=True):
        assert 1e-7 < small < 5e-5 and large < 2 * small


def losses(algorithm, size):
    fastcnn.manual_seed(0)
    layers = [nn.Conv2D(3, 16, 3, padding=1, algorithm="direct"), nn.ReLU(),
              nn.Conv2D(16, 32, size, padding="same", algorithm=algorithm), nn.BatchNorm(32), nn.ReLU(), nn.MaxPool2D(2),
              nn.Conv2D(32, 32, size, padding="same", algorithm=algorithm), nn.ReLU(), nn.GlobalAvgPool2D(),
              nn.Linear(32, 10)]
    model, loss = nn.Sequential(*layers), nn.CrossEntropyLoss()
    optimizer, random = optim.Adam(model.parameters(), lr=3e-3), np.random.default_rng(1)
    x, labels = random.standard_normal((32, 12, 12, 3), np.float32), random.integers(0, 10, 32)
    curve = []
    for _ in range(40):
        curve.append(loss.forward(model.forward(x), labels))
        backward(model, loss.backward(), need_dx=False)
        optimizer.step()
    return np.array(curve)


@pytest.mark.parametrize("size", [3, 5])
def test_winograd_trains_as_direct_does(size):
    curve = losses("winograd", size)
    assert curve[-1] < 0.2 * curve[0]
    np.testing.assert_allclose(curve, losses("direct", size), rtol=0.02, atol=0.005)


def in_stages(monkeypatch, stage):
    """Let Winograd convolve in stages of so many bytes, however small the filter is."""
    monkeypatch.setattr(winograd, "_STAGED_BYTES", 0)
    monkeypatch.setattr(winograd, "_STAGE_BYTES", stage)
    for known in (winograd._forward_plan, winograd._input_plan):
        monkeypatch.setattr(winograd, known.__name__, getattr(known, "__wrapped__", known))  # remembers nothing


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("stage", [1 << 24, 1], ids=["one pass", "a pass for each block"])
def test_a_small_winograd_convolution_in_stages_is_the_direct_one(monkeypatch, stage, taps):
    x, weight, dy = arrays(2, 6, 5, 3, 5, taps=taps)
    wanted = results(x, weight, dy, "direct")
    in_stages(monkeypatch, stage)
    for came, near in zip(results(x, weight, dy, "winograd"), wanted, strict=True):
        assert np.abs(came - near).max() <= 1e-5 * np.abs(near).max()


@pytest.mark.parametrize(("workers", "taps"), [(1, 3), (2, 3), (2, 5)])
def test_passes_and_groups_of_blocks_change_no_bit(monkeypatch, workers, taps):
    before = fastcnn.get_num_threads()
    x, weight, dy = arrays(5, 9, 10, 40, 70, taps=taps)
    expected = results(x, weight, dy, "winograd")
    fastcnn.set_num_threads(workers)
    try:
        for stage in (1, 100_000, 1 << 24):
            in_stages(monkeypatch, stage)
            for ours, bits in zip(results(x, weight, dy, "winograd"), expected, strict=True):
                np.testing.assert_array_equal(ours, bits)
    finally:
        fastcnn.set_num_threads(before)


POOLED = {
    "LeNet-5": ((3, 28, 28, 1), (5, 5, 1, 6), {"padding": 2}),
    "a row and a column are left over": ((2, 9, 11, 2), (3, 3, 2, 5), {}),
    "stride and dilation, pooled": ((2, 12, 13, 3), (3, 2, 3, 4), {"stride": (2, 1), "dilation": (1, 2), "padding": 1}),
    "one window": ((1, 2, 2, 1), (1, 1, 1, 1), {}),
    "a row of windows": ((1, 1, 4, 1), (2, 1, 1, 2), {"padding": (1, 0)}),
    "several bands, tiles of channels and of pixels": ((2, 90, 71, 1), (3, 3, 1, 13), {"padding": 1}),
}


def pooled(x, weight, relu=True, window=(2, None, 0, 1, False), algorithm="few_channels", dtype=np.float32, **options):
    """A convolution of whole numbers, many of them alike, and its maxima: in one pass, and one after the other."""
    random = np.random.default_rng(0)
    x, weight, bias = (random.integers(-2, 3, shape).astype(dtype) for shape in (x, weight, weight[-1:]))
    x.reshape(-1)[::97], x.reshape(-1)[1::101] = np.nan, -np.inf
    options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "algorithm": algorithm, **options}
    y, argmax = functional.conv.conv2d_max_pool2d(x, weight, bias, window, relu=relu, **options)
    kernel_size, stride, padding, dilation, ceil_mode = window
    between = functional.conv2d(x, weight, bias, **options)
    single = functional.max_pool2d(between, kernel_size, stride=stride, padding=padding, dilation=dilation,
                                   ceil_mode=ceil_mode, relu=relu)
    return (y, argmax), single


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("name", "dtype"), [*((name, np.float32) for name in POOLED),
                                             ("stride and dilation, pooled", np.float64)])
def test_pooling_in_the_pass_of_a_convolution_changes_no_bit(name, dtype, threads):
    x, weight, options = POOLED[name]
    with np.errstate(invalid="ignore"), verification.spread_over(threads):
        for relu in (False, True):
            together, single = pooled(x, weight, relu, dtype=dtype, **options)
            for came, meant in zip(together, single, strict=True):
                np.testing.assert_array_equal(came, meant)


@pytest.mark.parametrize(("algorithm", "window"), [
    ("direct", (2, None, 0, 1, False)), ("few_channels", (2, None, 0, 1, True)), ("few_channels", (3, 2, 1, 1, False)),
    ("few_channels", (2, 1, 0, 1, False)), ("few_channels", (2, 2, 0, 2, False)), ("auto", ((2, 3), None, 0, 1, False))])
def test_what_is_not_pooled_in_the_pass_is_pooled_after_it(algorithm, window):
    with np.errstate(invalid="ignore"):
        together, single = pooled((2, 9, 11, 2), (3, 3, 2, 5), window=window, algorithm=algorithm)
    for came, meant in zip(together, single, strict=True):
        np.testing.assert_array_equal(came, meant)


SUMMED = {
    "chunks of images": ((40, 32, 32, 8), (3, 3, 8, 16), {"padding": 1, "algorithm": "winograd"}),
    "chunks of rows": ((2, 112, 80, 4), (3, 3, 4, 16), {"padding": 1, "algorithm": "winograd"}),
    "blocks over the edge": ((20, 23, 22, 8), (5, 5, 8, 24), {"padding": 2, "algorithm": "winograd"}),
    "in stages": ((64, 6, 6, 96), (3, 3, 96, 40), {"padding": 1, "algorithm": "winograd"}),
    "several parts of the filter, stride": ((24, 15, 14, 64), (3, 3, 64, 300), {"stride": 2, "algorithm": "direct"}),
    "groups": ((9, 16, 16, 32), (3, 3, 8, 64), {"groups": 4, "padding": 1, "algorithm": "direct"}),
    "pixels, a chunk begins within a row of them": ((30, 7, 9, 40), (1, 1, 40, 48), {"algorithm": "matmul"}),
    "few channels": ((30, 24, 24, 1), (5, 5, 1, 6), {"padding": 2, "algorithm": "few_channels"}),
    "few channels, bands of rows": ((2, 200, 96, 3), (3, 3, 3, 10), {"padding": 1, "algorithm": "few_channels"}),
    "depthwise": ((10, 20, 20, 33), (3, 3, 1, 33), {"groups": 33, "padding": 1, "algorithm": "depthwise"}),
    "depthwise, rows, stride": ((2, 112, 64, 24), (3, 3, 1, 24), {"groups": 24, "stride": 2, "algorithm": "depthwise"}),
    "textbook": ((3, 9, 9, 2), (3, 3, 2, 4), {"algorithm": "loops"}),
}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("name", "dtype"), [*((name, np.float32) for name in SUMMED), ("chunks of images", np.float64)])
def test_moments_summed_by_a_convolution_are_those_of_what_it_writes(monkeypatch, name, dtype, threads):
    monkeypatch.setattr(winograd, "_STAGED_BYTES", 1 << (10 if name == "in stages" else 40))
    monkeypatch.setattr(norm, "_MOMENTS", 4096)
    norm._job.cache_clear(), winograd._forward_plan.cache_clear()
    shape, of_weight, options = SUMMED[name]
    random = np.random.default_rng(0)
    x, weight, bias = (random.standard_normal(size).astype(dtype) for size in (shape, of_weight, of_weight[-1:]))
    options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **options}
    with verification.spread_over(threads):
        y, moments = functional.conv.conv2d_moments(x, weight, bias, **options)
        values = moments.values.copy()
        single = functional.conv2d(x, weight, bias, **options)
    np.testing.assert_array_equal(y, single)
    again = norm.moments_of(y.shape)
    norm.sum_now(y, again)
    np.testing.assert_array_equal(values, again.values)
    norm._job.cache_clear(), winograd._forward_plan.cache_clear()
    assert again.chunks > 1 or name == "textbook"
    parts = np.split(y.astype(float).ravel(), range(again.size, y.size, again.size))
    chunks = [part.reshape(-1, y.shape[-1]) for part in parts]
    exact = [(chunk[0], (chunk - chunk[0]).sum(0), ((chunk - chunk[0]) ** 2).sum(0)) for chunk in chunks]
    of_channels = values.reshape(again.chunks, 3, -1)[..., :again.C]
    np.testing.assert_allclose(of_channels, np.array(exact), rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(("x", "weight", "options", "reason"), [
    ((2, 9, 9, 4), (3, 5, 4, 4), {}, "not 3x5"), ((2, 9, 9, 4), (3, 3, 4, 4), {"stride": (1, 2)}, "stride 1"),
    ((2, 9, 9, 4), (3, 3, 4, 4), {"dilation": (2, 1)}, "no dilation"),
    ((2, 9, 9, 4), (3, 3, 2, 4), {"groups": 2}, "one group"),
])
def test_winograd_says_why_it_does_not_fit(x, weight, options, reason):
    w = shapes.conv2d("conv2d", x, weight, **{"stride": 1, "padding": 1, "dilation": 1, "groups": 1, **options})
    fit = winograd.fits(w)
    assert not fit and reason in fit.why_not
    with pytest.raises(shapes.ShapeError, match=f"algorithm is 'winograd', but .*{reason}"):
        functional.conv2d(np.ones(x, np.float32), np.ones(weight, np.float32), padding=1, algorithm="winograd", **options)


def test_bands_and_parts_change_no_bit(monkeypatch):
    x, weight, dy = arrays(3, 9, 10, 40, 70)
    expected = results(x, weight, dy, "direct")
    for name, value in (("_BAND_PIXELS", 30), ("_BAND_BYTES", 1 << 14), ("_PART_BYTES", 1 << 12), ("_TASKS", 64)):
        direct._forward_plan.cache_clear()
        monkeypatch.setattr(direct, name, value)
        np.testing.assert_array_equal(functional.conv2d(x, weight, padding=1, algorithm="direct"), expected[0])
    direct._forward_plan.cache_clear()


def test_cache_sizes_are_those_the_system_tells(tmp_path):
    caches_told = ("1", "Instruction", "64K"), ("1", "Data", "48K"), ("2", "Unified", "2M"), ("3", "Unified", "?")
    for index, told in enumerate(caches_told):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in zip(("level", "type", "size"), told, strict=True):
            (folder / name).write_text(text + "\n")
    assert [caches.size(level, 7, tmp_path) for level in (1, 2, 3, 4)] == [48 << 10, 2 << 20, 7, 7]
    assert caches.size(1, 7, tmp_path / "missing") == 7


# The textbook kernels

def test_auto_never_takes_the_textbook_kernels():
    (row,) = (row for row in registry.ROWS if row.name == "conv2d")
    for number in range(200):
        settings = verification.drawn_case(row, number).settings
        geometry = {name: settings[name] for name in ("stride", "padding", "dilation", "groups") if name in settings}
        assert functional.conv.choose(settings["x"], settings["weight"], **geometry).name != "loops"


def test_textbook_kernels_are_compiled_when_they_are_called_alone():
    code = """if True:
        import numpy as np
        from fastcnn import functional, registry, warmup
        from fastcnn.kernels.jit import compile
        functional.conv2d(np.ones((1, 4, 4, 1), np.float32), np.ones((3, 3, 1, 1), np.float32))
        nests = [kernel for name, kernel in compile.dispatchers.items() if name.startswith("fastcnn.kernels.loops.")]
        print(len(nests), sum(len(kernel.signatures) for kernel in nests))"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, compiled = map(int, result.stdout.split())
    assert count >= 9 and compiled == 0


def test_textbook_kernels_run_on_the_threads_that_are_set():
    before, x, weight = fastcnn.get_num_threads(), *arrays(4, 5, 6, 3, 4)[:2]
    numba_threads, seen, run = numba.get_num_threads(), [], loops.conv2d.dispatcher
    try:
        watched = mock.MagicMock(side_effect=lambda *arguments: seen.append(numba.get_num_threads()))
        with mock.patch.object(loops.conv2d, "dispatcher", watched):
            for count in (1, 2, 1000):
                fastcnn.set_num_threads(count)
                functional.conv2d(x, weight, algorithm="loops")
    finally:
        fastcnn.set_num_threads(before)
    most = numba.config.NUMBA_NUM_THREADS
    assert seen == [1, min(2, most), most]
    assert numba.get_num_threads() == numba_threads and loops.conv2d.dispatcher is run


def test_textbook_kernels_are_safe_from_several_python_threads():
    x, weight, dy = arrays(4, 8, 9, 5, 6)
    wanted = results(x, weight, dy, "loops")
    with ThreadPoolExecutor(4) as pool:
        for came in pool.map(lambda _: results(x, weight, dy, "loops"), range(40)):
            for one, other in zip(came, wanted, strict=True):
                np.testing.assert_array_equal(one, other)


def test_transposed_convolution_by_the_textbook_kernels_is_that_by_the_direct_ones():
    x, weight, dy = integers(2, 5, 4, 6), integers(3, 3, 2, 6), integers(2, 11, 9, 4)
    geometry = {"stride": 2, "groups": 2}
    came, wanted = ((functional.conv_transpose2d(x, weight, algorithm=algorithm, **geometry),
                     *functional.conv_transpose2d_backward(dy, x, weight, algorithm=algorithm, **geometry))
                    for algorithm in ("loops", "direct"))
    for one, other in zip(came, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_breakpoint_of_the_ladder_is_in_the_innermost_loop():
    house = Path(__file__).parents[1]
    (number,) = re.findall(r"break kernels/loops\.py:(\d+)", (house / "docs" / "ladder.md").read_text())
    line = (house / "kernels" / "loops.py").read_text().splitlines()[int(number) - 1]
    assert line.strip() == "y[n, p, q, g, k] += x[n, h, w, g, c] * weight[r, s, c, g, k]"


def integers(*shape):
    return np.random.default_rng(0).integers(-8, 9, shape).astype(np.float32)


# What is said of an algorithm

@pytest.mark.parametrize(("word", "geometry"), [
    ("n64h32w32c64k128r3s3pad1", {"padding": 1}),
    ("n1h9w12c2k3r3s5stride2,1dilation1,2pad1,0", {"stride": (2, 1), "dilation": (1, 2), "padding": (1, 0)}),
    ("n1h5w5c4k8r2s2pad0,1,1,2groups4", {"padding": ((0, 1), (1, 2)), "groups": 4}),
])
def test_a_convolution_is_written_as_one_word(word, geometry):
    given = problem.parse(word)
    assert str(given) == word
    groups = geometry.get("groups", 1)
    x, weight = np.zeros(given.x, np.float32), np.zeros(given.weight, np.float32)
    assert weight.shape[2] * groups == x.shape[3]
    chosen = functional.conv.choose(x.shape, weight.shape, **geometry)
    assert chosen.y_shape == functional.conv2d(x, weight, **geometry).shape
    assert problem.parse(str(chosen).split(":")[0]) == given == problem.of(chosen.window)


@pytest.mark.parametrize("word", ["", "n1", "n1h2w2c2k1r1s1x3", "n1h2w2c2k1r1s1pad1,2,3", "n1h2w2c2k1r1s1groups0",
                                  "n1h2w2c3k2r1s1groups2", "n1n1h2w2c2k1r1s1", "n1h2w2c2k1r1s1 and more"])
def test_words_that_are_no_convolution(word):
    with pytest.raises(fastcnn.ShapeError, match="convolution"):
        problem.parse(word)


def test_an_algorithm_that_does_not_fit_says_why():
    (row,) = (row for row in registry.ROWS if row.name == "conv2d")
    for number in range(100):
        settings = verification.drawn_case(row, number).settings
        geometry = {name: settings[name] for name in ("stride", "padding", "dilation", "groups") if name in settings}
        chosen = functional.conv.choose(settings["x"], settings["weight"], **geometry)
        found = functional.conv.candidates(chosen.window)
        assert [one.name for one in found] == list(functional.conv.ALGORITHMS[1:])
        for name, fit, costs in found:
            assert bool(fit) == bool(costs) == (not fit.why_not)
            if not fit:
                with pytest.raises(fastcnn.ShapeError, match=re.escape(fit.why_not)):
                    functional.conv.choose(settings["x"], settings["weight"], **geometry, algorithm=name)
            else:
                assert all(cost.why and cost.time > 0 for cost in costs)
                assert costs[0].time >= {one.name: one.costs for one in found}[chosen.name][0].time


def test_a_launch_with_other_types_than_were_compiled_is_refused(monkeypatch):
    monkeypatch.setattr(jit, "CHECKED", True)
    x, y = np.ones(8, np.float32), np.empty(8, np.float32)
    for workers in (1, 2):
        arithmetic.add(x, x, False, y, workers)
        for wrong in (0, 0.0):
            with pytest.raises(TypeError, match="add: launched with"):
                arithmetic.add(x, x, wrong, y, workers)
