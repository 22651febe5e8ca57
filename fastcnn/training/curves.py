"""Curves of a training for notebooks: loss and accuracy of each epoch as SVG, with nothing installed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

_WIDTH, _HEIGHT = 300, 150  # of a panel
_LEFT, _TOP, _RIGHT, _BOTTOM = 52, 22, 12, 22  # around its lines, for words
_LINES = (("train", "training", "#1f6fb4"), ("test", "validation", "#d1495b"))
Points = list[tuple[int, float]]


def svg(history: Sequence[Mapping[str, Any]]) -> str:
    """Return a panel for loss and one for accuracy; what was not measured, or is not finite, has no point."""
    panels = "".join(_panel(history, quantity, index * _WIDTH) for index, quantity in enumerate(("loss", "accuracy")))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * _WIDTH}" height="{_HEIGHT}" font-family="sans-serif" '
            f'font-size="11" fill="currentColor">{panels}</svg>')


def _panel(history: Sequence[Mapping[str, Any]], quantity: str, x: int) -> str:
    """Return the curves of a quantity, the ends of its axes and what the colours mean."""
    curves = [(label, colour, points) for name, label, colour in _LINES
              if (points := _points(history, f"{name}_{quantity}"))]
    every = [point for _, _, points in curves for point in points]
    if not every:
        return ""
    (first, last), (low, high) = ((min(axis), max(axis)) for axis in zip(*every, strict=True))
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    words = [_text(_LEFT, 14, quantity, "start"), _text(_LEFT - 5, _TOP + 8, _number(high, quantity), "end"),
             _text(_LEFT, bottom + 15, f"epoch {first}", "start")]
    if low < high:
        words.append(_text(_LEFT - 5, bottom, _number(low, quantity), "end"))
    if first < last:
        words.append(_text(right, bottom + 15, str(last), "end"))
    frame = f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>'
    drawn = []
    for index, (label, colour, points) in enumerate(curves):
        places = [(_between(epoch, first, last, _LEFT + 4, right - 4), _between(value, low, high, bottom - 4, _TOP + 4))
                  for epoch, value in points]
        line = " ".join(f"{across:.1f},{down:.1f}" for across, down in places)
        dots = "".join(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="2" fill="{colour}"/>' for across, down in places)
        drawn.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>{dots}'
                     f'{_text(right - 70 * (len(curves) - 1 - index), 14, label, "end", colour)}')
    return f'<g transform="translate({x} 0)">{frame}{"".join(words)}{"".join(drawn)}</g>'


def _points(history: Sequence[Mapping[str, Any]], key: str) -> Points:
    return [(record["epoch"], record[key]) for record in history
            if record[key] is not None and math.isfinite(record[key])]


def _between(value: float, low: float, high: float, start: float, end: float) -> float:
    """Return where a value from low to high lies between start and end; in the middle where all are one."""
    share = (value - low) / (high - low) if high > low else 0.5
    return start + share * (end - start)


def _number(value: float, quantity: str) -> str:
    return f"{value:.1%}" if quantity == "accuracy" else f"{value:.3g}"


def _text(x: float, y: float, words: str, anchor: str, colour: str = "currentColor") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}">{words}</text>'
