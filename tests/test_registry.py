"""The test of all operations: every check that `fastcnn verify` knows, and that drawn cases reach every option."""

from __future__ import annotations

import inspect
import itertools
from unittest import mock

import numpy as np
import pytest

from fastcnn import functional, registry, shapes, verification
from fastcnn.registry import Draw

CHECKS = list(itertools.chain.from_iterable(map(verification.checks_of, registry.ROWS)))
# Arguments that no case draws: memory and types of results are checked elsewhere, sums in the check "finished".
NOT_DRAWN = {"algorithm", "out", "dtype", "add", "zero"}


@pytest.mark.parametrize("check", CHECKS, ids=str)
def test_trial(check):
    check.run()


@pytest.mark.parametrize("row", registry.ROWS, ids=lambda row: row.name)
def test_drawn_cases(row):
    failures = []
    for trial in verification.drawn(row, range(verification.USUAL)):
        try:
            trial.run()
        except Exception as problem:
            failures.append(trial.explain(problem))
    assert not failures, "\n".join(["", *failures])


def test_names_are_unique_and_can_be_repeated():
    names = [check.names for check in CHECKS]
    assert len(names) == len(set(names))
    assert not [name for name in names if set("\"'$`\\") & set("".join(name))]  # a shell would read them its own way


def test_a_failure_is_repeated_by_its_line():
    row = next(row for row in registry.ROWS if row.name == "avg_pool2d_backward")
    drawn, named = next(verification.drawn(row, [7])), next(verification.trials(row))
    for check in (drawn, named, verification.Refused(row, row.faults[0])):
        code = check.repeat.removeprefix('python -c "').removesuffix('"')
        with mock.patch.object(type(check), "run", autospec=True) as run:
            exec(code)
        assert run.call_args.args[0].names == check.names
    with pytest.raises(ValueError, match=r"repeat: no check \('relu', 'drawn', 'normal', 'float32'\), expected names"):
        verification.repeat("relu", "drawn", "normal", "float32")


# That drawn cases reach every option ---------------------------------------------------------------------------------------


def drawn_settings(row, count=1000):
    return [verification.drawn_case(row, number).settings for number in range(count)]


@pytest.mark.parametrize("row", [row for row in registry.ROWS if row.algorithm is None], ids=lambda row: row.name)
def test_drawn_cases_give_every_option_several_values(row):
    """An option that is never drawn, or always as it is by default, would never be checked."""
    options = {name: option.default for name, option in inspect.signature(row.fast).parameters.items()
               if option.default is not inspect.Parameter.empty and name not in NOT_DRAWN}
    seen = {name: set() for name in options}
    for number, settings in enumerate(drawn_settings(row, 100)):
        arguments = row.make(Draw(number, "float32", "normal"), **settings)
        for name, usual in options.items():
            value = arguments.get(name, usual)
            seen[name].add("array" if isinstance(value, np.ndarray) else repr(value))
    assert not [name for name, values in seen.items() if len(values) < 2]


def both(value):
    return (value, value) if isinstance(value, int) else value


def beyond(settings, extent):
    """Whether a stride is longer than the filter or window."""
    return any(step > size for step, size in zip(both(settings.get("stride") or 1), extent, strict=True))


def sides_differ(settings):
    padding = settings.get("padding", 0)
    return isinstance(padding, tuple) and isinstance(padding[0], tuple) and any(a != b for a, b in padding)


def larger_than_the_image(settings):
    """Whether the only window hangs over the padded image."""
    if not settings.get("ceil_mode") or settings.get("padding") == "same":
        return False
    padding = settings.get("padding", 0)
    around = (0, 0) if padding == "valid" else [sum(both(side)) for side in both(padding)]
    reach = [(size - 1) * space + 1 for size, space in
             zip(both(settings["kernel_size"]), both(settings.get("dilation", 1)), strict=True)]
    return any(extent > pixels + more for extent, pixels, more in zip(reach, settings["x"][1:3], around, strict=True))


ANY_IMAGE = {
    "one image": lambda s: s["x"][0] == 1,
    "one channel": lambda s: s["x"][3] == 1,
    "one pixel": lambda s: s["x"][1:3] == (1, 1),
    "more channels than a vector": lambda s: s["x"][3] > registry.row.LANES,
}
ANY_FILTER = {
    "stride beyond the filter": lambda s: beyond(s, s["weight"][:2]),
    "sides of the padding differ": sides_differ,
    "dilation": lambda s: max(both(s.get("dilation", 1))) > 1,
    "groups": lambda s: s.get("groups", 1) > 1,
    "a filter for each channel": lambda s: s.get("groups", 1) == s["x"][3] == s["weight"][3] > 1,
}
ANY_WINDOW = {
    "stride beyond the window": lambda s: beyond(s, both(s["kernel_size"])),
    "sides of the padding differ": sides_differ,
    "same padding": lambda s: s.get("padding") == "same",
    "window larger than the image": larger_than_the_image,
}
FEATURES = {
    "conv2d": {**ANY_IMAGE, **ANY_FILTER, "same padding": lambda s: s.get("padding") == "same",
               "a channel more than two tiles": lambda s: s["weight"][3] > 2 * registry.row.WIDTH,
               "more pixels than a tile": lambda s: max(s["x"][1:3]) > registry.row.TILE},
    "conv2d_backward[direct]": {**ANY_IMAGE, **ANY_FILTER},
    "conv2d[winograd]": ANY_IMAGE,
    "conv_transpose2d": {**ANY_IMAGE, **ANY_FILTER, "output padding of a stride and more": lambda s: any(
        more >= step for more, step in zip(both(s.get("output_padding", 0)), both(s["stride"]), strict=True))},
    "max_pool2d": {**ANY_IMAGE, **ANY_WINDOW, "dilation": lambda s: "dilation" in s, "ties": lambda s: "ties" in s,
                   "NaN": lambda s: "nans" in s},
    "max_pool2d_backward": ANY_WINDOW,
    "avg_pool2d": {**ANY_IMAGE, **ANY_WINDOW, "padding that does not count in a window that hangs over": lambda s: (
        s.get("count_include_pad") is False and s.get("ceil_mode") and s.get("padding", 0) not in (0, "valid"))},
    "avg_pool2d_backward": ANY_WINDOW,
    "adaptive_avg_pool2d": {**ANY_IMAGE, "more parts than pixels": lambda s: max(both(s["output_size"])) > max(s["x"][1:3])},
    "pad2d": {**ANY_IMAGE, "sides of the padding differ": sides_differ,
              "mirrored": lambda s: s.get("mode") == "reflect" and s["padding"] != 0},
    "batch_norm": {"rows": lambda s: len(s["x"]) == 2, "inference of one row": lambda s: s["x"][:-1] == (1,),
                   "two values in each channel": lambda s: s["x"][:-1] == (2,)},
}


@pytest.mark.parametrize(("name", "feature"), [(name, feature) for name in FEATURES for feature in FEATURES[name]])
def test_drawn_cases_reach_the_corners(name, feature):
    (row,) = (row for row in registry.ROWS if row.name == name)
    count = sum(bool(FEATURES[name][feature](settings)) for settings in drawn_settings(row))
    assert count >= 3, f"{count} of 1000 cases"


@pytest.mark.parametrize("row", registry.ROWS, ids=lambda row: row.name)
def test_drawn_cases_are_rarely_without_meaning(row):
    """Most results are neither mostly zero nor the same everywhere."""
    weak = 0
    for number in range(40):
        trial = verification.Trial(row, verification.drawn_case(row, number), "normal", "float32")
        try:
            verification.require_telling(row, verification.expected(row, trial.arguments("normal")))
        except verification.MismatchError:
            weak += 1
    assert weak <= 20, f"{weak} of 40"


def test_images_of_more_pixels_than_argmax_can_name_are_refused(monkeypatch):
    """One of 2**31 + 1 pixels takes 8 GB: a limit of 20 pixels stands for it."""
    monkeypatch.setattr(shapes, "MOST", 19)  # geometries are remembered: these sizes come up nowhere else
    fits, large = np.ones((1, 4, 5, 7), np.float32), np.ones((1, 3, 7, 7), np.float32)
    for pool in (lambda x: functional.max_pool2d(x, 1, stride=3), functional.global_max_pool2d,
                 lambda x: functional.adaptive_max_pool2d(x, 2)):
        pool(fits)
        with pytest.raises(shapes.ShapeError, match=r"max_pool2d: x has 21 pixels \(3 x 7\), expected at most 20"):
            pool(large)
