"""Floor 0: tables, as lines of text and as HTML for notebooks. Standard library only."""

from __future__ import annotations

import textwrap
from collections.abc import Container, Iterator, Sequence
from html import escape

Cells = Sequence[str]


class Table:
    """Rows of cells under a head, with a foot for totals and notes below; `str` and `text` give lines, notebooks see HTML.

    Numbers, the cells of the columns `right`, are aligned to the right. The columns `wordy` get lines of their own below
    the others where all together are too wide.
    """

    def __init__(self, head: Cells, rows: Sequence[Cells], *, foot: Cells = (), notes: Sequence[str] = (),
                 right: Container[int] = (), wordy: Container[int] = ()) -> None:
        """Take the cells; each row has as many as the head."""
        self.head, self.rows, self.foot, self.notes = head, rows, foot, notes
        self.right, self.wordy = right, wordy

    def __str__(self) -> str:
        """Return the lines, however wide."""
        return self.text()

    def text(self, width: int | None = None) -> str:
        """Return the lines, at most `width` letters each where that can be done."""
        rows = [self.head, *self.rows, *([self.foot] if self.foot else [])]
        blocks = [[line] for line in aligned(rows, self.right)]
        if width is None:
            return "\n".join([*self._ruled(blocks), *self.notes])
        if max(len(line) for line, in blocks) > width:
            blocks = self._narrow(rows, width)
        notes = (line for note in self.notes for line in textwrap.wrap(note, width, break_long_words=False))
        return "\n".join([*self._ruled(blocks), *notes])

    def _narrow(self, rows: list[Cells], width: int) -> list[list[str]]:
        """Return the lines of each row, wordy cells below the others."""
        kept = [index for index in range(len(self.head)) if index not in self.wordy]
        right = [place for place, index in enumerate(kept) if index in self.right]
        lines = aligned([[row[index] for index in kept] for row in rows], right)
        return [[line, *self._words(row, width)] for line, row in zip(lines, rows, strict=True)]

    def _words(self, row: Cells, width: int) -> list[str]:
        """Return the lines of a row's wordy cells."""
        words = "  ".join(cell for index, cell in enumerate(row) if index in self.wordy and cell)
        return textwrap.wrap(words, width, initial_indent="    ", subsequent_indent="    ", break_long_words=False)

    def _ruled(self, blocks: list[list[str]]) -> Iterator[str]:
        """Give the lines of all rows, with rules around the body where there is a foot."""
        rule = ["-" * max(len(line) for block in blocks for line in block)] if self.foot else []
        body = blocks[1:-1] if self.foot else blocks[1:]
        yield from [*blocks[0], *rule]
        yield from (line for block in body for line in block)
        yield from [*rule, *(blocks[-1] if self.foot else [])]

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        body = "".join(self._html_row(row, "td") for row in self.rows)
        foot = f"<tfoot>{self._html_row(self.foot, 'th')}</tfoot>" if self.foot else ""
        notes = "".join(f"<div>{escape(note)}</div>" for note in self.notes)
        return f"<table><thead>{self._html_row(self.head, 'th')}</thead><tbody>{body}</tbody>{foot}</table>{notes}"

    def _html_row(self, row: Cells, tag: str) -> str:
        sides = ("right" if index in self.right else "left" for index in range(len(row)))
        cells = "".join(f'<{tag} style="text-align: {side}">{escape(cell)}</{tag}>'
                        for side, cell in zip(sides, row, strict=True))
        return f"<tr>{cells}</tr>"


class Tabular:
    """What has a table: prints as its lines, also where its value is shown, and as HTML in notebooks."""

    def table(self) -> Table:
        """Return the table."""
        raise NotImplementedError(f"{type(self).__name__} has no table: define table(self)")

    def __str__(self) -> str:
        """Return the lines of the table."""
        return str(self.table())

    def __repr__(self) -> str:
        """Return the lines of the table."""
        return str(self.table())

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return self.table()._repr_html_()


def aligned(rows: Sequence[Cells], right: Container[int] = ()) -> list[str]:
    """Return lines with columns of equal width: words to the left, numbers, those in the columns `right`, to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) if index in right else cell.ljust(width)
                      for index, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]
