"""The drawing of a network, as SVG and as text, from its summary alone: nothing has to be installed for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..nn import Concat, Layer, Module, Residual, Sequential, activation, dropout, norm
from ..nn.inspect.summary import Row
from ..shapes import ShapeError
from ..training.writing import write_atomically
from .figure import StrPath, picture

# Layers that share the box of the one before them: activations, norms and dropouts.
_JOINED = {name for family in (activation, norm, dropout) for name, kind in vars(family).items()
           if isinstance(kind, type) and issubclass(kind, Layer) and kind.__module__ == family.__name__}
# Fill and edge of a box by what is in it; dark letters are readable on all of them.
_COLOURS = {"Conv": ("#dbe9f9", "#2f6db3"), "Linear": ("#fde8cf", "#c77a1c"), "Pool": ("#d9f2e0", "#2e8b57"),
            "": ("#f0f0f2", "#7a7a85")}
_LETTER, _LINE, _GAP, _MARGIN = 7.3, 30, 22, 16  # width of a letter, height of a box, between boxes, around all


@dataclass
class _Box:
    """Layers that are drawn as one, what they give, and the block that they are part of: a Residual or a Concat's branch."""

    layers: list[str]
    shape: tuple[int, ...]
    parameters: int
    group: str
    bypass: bool = False
    branch: str = ""

    @property
    def place(self) -> tuple[str, str]:
        return self.group, self.branch

    @property
    def words(self) -> str:
        return ("around: " if self.bypass else "") + " + ".join(self.layers)

    @property
    def gives(self) -> str:
        return " x ".join(map(str, self.shape))


class Drawing(str):
    """The text of an SVG file, which notebooks show as a picture."""

    def _repr_svg_(self) -> str:
        """Return the text."""
        return str(self)


@picture
def architecture(model: Module, path: StrPath | None = None, *, input_shape: Sequence[int] | None = None) -> Any:
    """Draw the network as SVG, returned or written: a box for each layer, with the shape that it gives and its parameters.

    Norms and activations share the box of the layer before them; a residual block has a line around it, and branches have
    lines that part before them and meet behind them. A block inside another one is a single box.
    `input_shape` is (H, W, C), that of the model's origin where not given. ShapeError: it does not fit, or none is
    known; OSError: the file cannot be written.
    """
    shape = _input_shape(model, input_shape)
    drawing = Drawing(_svg(_boxes(model, shape), shape))
    if path is None:
        return drawing
    write_atomically(path, drawing.encode())
    return None


def architecture_text(model: Module, input_shape: Sequence[int] | None = None) -> str:
    """Return the same drawing as text; errors as for `architecture`."""
    shape = _input_shape(model, input_shape)
    boxes = _boxes(model, shape)
    width = max(len("input"), *(len(box.words) + 2 * bool(box.group) for box in boxes))
    lines = [f"{'input':{width}}   {' x '.join(map(str, shape))}"]
    group = branch = ""
    for box in boxes:
        if group and box.group != group:
            lines.append(_end(branch))
        if box.branch and box.place != (group, branch):
            lines.append(f"+-- branch {box.branch}")
        elif box.group and box.group != group:
            lines.append("+--.")
        group, branch = box.place
        words = ("| " if box.group else "") + box.words
        counted = f"   {box.parameters:,} parameters" if box.parameters else ""
        lines.append(f"{words:{width}}   {box.gives}{counted}")
    return "\n".join([*lines, _end(branch)] if group else lines)


def _end(branch: str) -> str:
    return "+-> concat" if branch else "+-> sum"


def _input_shape(model: Module, given: Sequence[int] | None) -> tuple[int, ...]:
    if given is not None:
        return tuple(given)
    if model.origin is None:
        raise ShapeError("architecture: input_shape is None, expected (H, W, C) for a model that models.create has not made")
    return model.origin.input_shape


def _boxes(model: Module, input_shape: tuple[int, ...]) -> list[_Box]:
    """Return the layers in the order in which they run, joined where they belong together."""
    blocks = {name: module for name, module in model.named_modules() if isinstance(module, (Residual, Concat))}
    boxes: list[_Box] = []
    for row in _in_one_row(model.summary(input_shape).rows, blocks):
        block = next((name for name in blocks if _inside(row.name, name)), None)
        kind = row.layer.partition("(")[0]
        part = "" if block is None else row.name.removeprefix(f"{block}.").partition(".")[0]
        group = "" if block is None else f"block {block}"
        branch, bypass = part if isinstance(blocks.get(block or ""), Concat) else "", part == "shortcut"
        last = boxes[-1] if boxes else None
        if last is not None and kind in _JOINED and (last.place, last.bypass) == ((group, branch), bypass):
            last.layers.append(kind)
            last.parameters += row.parameters
        else:
            words = row.layer if len(row.layer) <= 60 else kind
            boxes.append(_Box([words], row.output_shape, row.parameters, group, bypass, branch))
    return boxes


def _in_one_row(rows: Sequence[Row], blocks: Mapping[str, Module]) -> Iterator[Row]:
    """Give the rows, with those of a block that is inside another block as one."""
    def inner_block(row: Row) -> str | None:
        around = (name for name in blocks if _inside(row.name, name))  # outer ones come first
        return next(itertools.islice(around, 1, None), None)

    for name, group in itertools.groupby(rows, inner_block):
        members = list(group)
        if name is None:
            yield from members
        else:
            words = f"{type(blocks[name]).__name__} of {len(members)} layers"
            parameters = sum(row.parameters for row in members)
            yield Row(name, words, _gives(name, blocks[name], members), parameters, 0, 0, "")


def _gives(name: str, module: Module, rows: Sequence[Row]) -> tuple[int, ...]:
    """Return the shape that a module gives, by the rows of the layers in it."""
    parts: dict[str, Any] = dict(module.children())
    if isinstance(module, Concat):
        shapes = [_gives(f"{name}.{part}", branch, rows) for part, branch in parts.items()]
        return *shapes[0][:-1], sum(shape[-1] for shape in shapes)
    if isinstance(module, (Residual, Sequential)) and parts:
        last = "main" if isinstance(module, Residual) else next(reversed(parts))
        return _gives(f"{name}.{last}", parts[last], rows)
    return next(row.output_shape for row in reversed(rows) if row.name == name or _inside(row.name, name))


def _inside(name: str, block: str) -> bool:
    return not block or name.startswith(f"{block}.")


def _svg(boxes: list[_Box], input_shape: tuple[int, ...]) -> str:
    inside = max(len(box.words) for box in boxes) * _LETTER + 24
    left = _MARGIN + 34
    right = max(len(f"{box.gives}   {box.parameters:,} parameters") for box in boxes) * _LETTER
    width = left + inside + 20 + right + _MARGIN
    height = 2 * _MARGIN + (len(boxes) + 1) * (_LINE + _GAP) - _GAP
    parts = list(_parts(boxes, input_shape, left, inside))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
            f'viewBox="0 0 {width:.0f} {height}" font-family="DejaVu Sans Mono, Menlo, monospace" font-size="12">\n'
            '<rect width="100%" height="100%" fill="white"/>\n' + "\n".join(parts) + "\n</svg>\n")


def _parts(boxes: list[_Box], input_shape: tuple[int, ...], left: float, inside: float) -> Iterator[str]:
    """Give the elements of the drawing from top to bottom."""
    middle = left + inside / 2
    tops = [_MARGIN + (index + 1) * (_LINE + _GAP) for index in range(len(boxes))]
    yield from (_arrow(middle, _end_of_main(boxes, index), top)
                for index, top in enumerate(tops) if not boxes[index].bypass and not _begins_late(boxes, index))
    if boxes[-1].group:  # no arrow leads on from the end of this block
        yield f'<path d="M{middle:.0f} {tops[-1] + _LINE} V{tops[-1] + _LINE + 8}" stroke="#7a7a85" fill="none"/>'
    yield from _box(_Box(["input"], input_shape, 0, ""), _MARGIN, left, inside)
    for index, (box, top) in enumerate(zip(boxes, tops, strict=True)):
        yield from _box(box, top, left, inside)
        if box.group and (index == 0 or boxes[index - 1].group != box.group):
            yield (_branches if box.branch else _way_around)(boxes, index, left, middle)


def _box(box: _Box, top: float, left: float, inside: float) -> Iterator[str]:
    fill, edge = next(colours for kind, colours in _COLOURS.items() if kind in box.layers[0])
    middle = top + _LINE / 2 + 4
    dashes = ' stroke-dasharray="5 3"' if box.bypass else ""
    yield (f'<rect x="{left:.0f}" y="{top}" width="{inside:.0f}" height="{_LINE}" rx="5" fill="{fill}" '
           f'stroke="{edge}"{dashes}/>')
    yield f'<text x="{left + inside / 2:.0f}" y="{middle}" text-anchor="middle" fill="#1b1b1f">{escape(box.words)}</text>'
    counted = f"   {box.parameters:,} parameters" if box.parameters else ""
    yield (f'<text x="{left + inside + 20:.0f}" y="{middle}" fill="#44444c" xml:space="preserve">'
           f"{escape(box.gives + counted)}</text>")


def _arrow(x: float, top: float, bottom: float) -> str:
    return (f'<path d="M{x:.0f} {top} V{bottom - 1}" stroke="#7a7a85" fill="none"/>'
            f'<path d="M{x - 4:.0f} {bottom - 6} L{x:.0f} {bottom} L{x + 4:.0f} {bottom - 6} Z" fill="#7a7a85"/>')


def _end_of_main(boxes: list[_Box], index: int) -> float:
    """Return where the arrow to a box begins: below the last box before it that is not on the way around."""
    before = index - 1
    while before >= 0 and boxes[before].bypass:
        before -= 1
    return _MARGIN + (before + 1) * (_LINE + _GAP) + _LINE


def _begins_late(boxes: list[_Box], index: int) -> bool:
    """Whether the box is the first of a branch that is not the first one."""
    return index > 0 and boxes[index].group == boxes[index - 1].group and boxes[index].branch != boxes[index - 1].branch


def _span(boxes: list[_Box], first: int) -> tuple[int, int, int]:
    """Return the last box of the block that begins at `first`, and the heights between it and what is around it."""
    last = first
    while last + 1 < len(boxes) and boxes[last + 1].group == boxes[first].group:
        last += 1
    above = _MARGIN + (first + 1) * (_LINE + _GAP) - _GAP + 8
    return last, above, above + (last + 1 - first) * (_LINE + _GAP)


def _branches(boxes: list[_Box], first: int, left: float, middle: float) -> str:
    """Return the lines that part before the branches of a Concat and meet behind them; the first and last need none."""
    last, top, bottom = _span(boxes, first)
    parts = []
    for index in range(first + 1, last + 1):
        if _begins_late(boxes, index):
            height = _MARGIN + (index + 1) * (_LINE + _GAP) + _LINE // 2
            before = height - _LINE - _GAP
            parts.append(f'<path d="M{middle:.0f} {top} H{left - 22} V{height} H{left}" stroke="#2f6db3" fill="none"/>'
                         f'<path d="M{left - 6} {height - 4} L{left} {height} L{left - 6} {height + 4} Z" fill="#2f6db3"/>'
                         f'<path d="M{left} {before} H{left - 11} V{bottom} H{middle:.0f}" stroke="#b3482f" fill="none"/>')
    return "".join(parts)


def _way_around(boxes: list[_Box], first: int, left: float, middle: float) -> str:
    """Return the line from before a residual block to the sum behind it."""
    _, top, bottom = _span(boxes, first)
    x = left - 22
    line = 'stroke="#b3482f" stroke-width="1.5"'
    return (f'<path d="M{middle:.0f} {top} H{x} V{bottom} H{middle:.0f}" fill="none" {line}/>'
            f'<circle cx="{middle:.0f}" cy="{bottom}" r="6" fill="white" {line}/>'
            f'<path d="M{middle - 3.5:.1f} {bottom} h7 M{middle:.0f} {bottom - 3.5} v7" {line}/>')
