"""The picture of the ladder: how fast one convolution runs on each rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import figure
from .figure import StrPath

_NUMPY, _LOOPS, _KERNELS = "0.6", figure.TEST, figure.TRAIN


@figure.picture
def ladder(rungs: Sequence[Mapping[str, Any]], path: StrPath | None = None, *, title: str = "", subtitle: str = "") -> Any:
    """Draw a bar for each rung, as the lines of `fastcnn bench ladder --json` give them, beside the machine's peak.

    MissingExtraError: matplotlib is not installed. ValueError: there are no rungs. OSError: no such folder.
    """
    if not rungs:
        raise ValueError("ladder: rungs is empty, expected at least one")
    picture = figure.new(8, 1.4 + 0.45 * len(rungs))
    axes = picture.subplots()
    rates = [rung["rate"] / 1e9 for rung in rungs]
    peak = rates[-1] / rungs[-1]["share_of_peak"]
    longest, last = max(*rates, peak), len(rungs) - 0.4
    axes.axvline(peak, color="0.35", linestyle="--", linewidth=1, zorder=0)
    axes.barh(range(len(rungs)), rates, color=[_colour(rung) for rung in rungs], height=0.62)
    for place, rung in enumerate(rungs):
        axes.text(rates[place] + 0.012 * longest, place, _words(rung), va="center", fontsize=9,
                  bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    axes.text(peak, last, f" peak: {peak:.0f}", color="0.35", fontsize=8.5, va="bottom")
    axes.set_yticks(range(len(rungs)), [_name(rung) for rung in rungs])
    axes.set(xlabel="GFLOP/s", xlim=(0, 1.5 * longest), ylim=(last, -0.5))
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    picture.suptitle("\n".join(filter(None, (title, subtitle))), fontsize=10)
    return figure.finished(picture, path)


def _name(rung: Mapping[str, Any]) -> str:
    count = rung["threads"]
    return rung["rung"] if count is None else f"{rung['rung']}, {count} thread{'s' * (count > 1)}"


def _colour(rung: Mapping[str, Any]) -> str:
    return _NUMPY if rung["threads"] is None else _LOOPS if "loops" in rung["rung"] else _KERNELS


def _words(rung: Mapping[str, Any]) -> str:
    gain = rung["times_as_fast_as_above"]
    return f"{rung['rate'] / 1e9:.1f}" + ("" if gain is None else f"   ({gain:.2f}x the rung above)")
