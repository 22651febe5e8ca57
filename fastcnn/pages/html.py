"""Parts of a page: tables, pictures and sections, as HTML; all text that is given is escaped."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources

from ..tables import Cells, Table

# A page needs nothing from elsewhere, and may load nothing: class names and paths in it come from files of others.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_DENSE = 8  # columns beyond which letters are small


def asset(name: str) -> str:
    """Return the text of a file of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def page(title: str, body: str) -> str:
    """Return a whole page, whose parts are all in it."""
    return (f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
            f"<title>{escape(title)}</title>\n<style>\n{asset('style.css')}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n")


def section(title: str, *parts: str) -> str:
    """Return a section under a heading, which a link can name."""
    anchor = title.lower().replace(" ", "-")
    return f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n<h2 id="{anchor}-title">{escape(title)}</h2>\n' \
        + "\n".join(filter(None, parts)) + "\n</section>"


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def column(*parts: str) -> str:
    """Return parts below each other, as one part of those that are side by side."""
    return "<div>\n" + "\n".join(parts) + "\n</div>"


def beside(*parts: str) -> str:
    """Return parts side by side, below each other where the page is narrow."""
    return '<div class="beside">\n' + "\n".join(filter(None, parts)) + "\n</div>"


def folded(title: str, *parts: str) -> str:
    """Return parts that a click unfolds."""
    return f"<details>\n<summary>{escape(title)}</summary>\n" + "\n".join(parts) + "\n</details>"


def figure(content: bytes, kind: str, alt: str, caption: str, *, drawn: bool = False) -> str:
    """Return a picture, whose file is `content` of the media type `kind`, with words for who does not see it.

    `drawn`: lines on white, which a dark page shows as lines on dark.
    """
    source = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
    style = ' class="drawn"' if drawn else ""
    return f'<figure{style}><img src="{source}" alt="{escape(alt)}"><figcaption>{escape(caption)}</figcaption></figure>'


def table(content: Table, caption: str, *, share: int | None = None) -> str:
    """Return a table with a caption, whose first column names the rows; the column `share` also has its shares as bars."""
    dense = ' class="dense"' if len(content.head) > _DENSE else ""
    head = "".join(f'<th scope="col"{_side(content, index)}>{escape(cell)}</th>' for index, cell in enumerate(content.head))
    body = "\n".join(_row(content, row, share) for row in content.rows)
    foot = f"<tfoot>{_row(content, content.foot, None)}</tfoot>" if content.foot else ""
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in content.notes)
    words = escape(caption)
    return (f'<div class="wide" tabindex="0" role="region" aria-label="{words}"><table{dense}><caption>{words}</caption>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>{foot}</table></div>{notes}")


def facts(named: Mapping[str, str]) -> str:
    """Return names with what each of them is."""
    return f"<dl>{_pairs(named.items())}</dl>"


def tiles(named: Mapping[str, str]) -> str:
    """Return few numbers in large type, with their names."""
    return f'<dl class="tiles">{_pairs(named.items())}</dl>'


def _pairs(named: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in named)


def _row(content: Table, row: Cells, share: int | None) -> str:
    first, *others = row
    cells = "".join(_cell(cell, _side(content, index), index == share) for index, cell in enumerate(others, 1))
    return f'<tr><th scope="row"{_side(content, 0)}>{escape(first)}</th>{cells}</tr>'


def _cell(cell: str, side: str, is_share: bool) -> str:
    bar = f'<span class="bar" style="width: {0.6 * float(cell.rstrip("%")):.1f}px"></span>' if is_share and cell else ""
    return f"<td{side}>{bar}{escape(cell)}</td>"


def _side(content: Table, index: int) -> str:
    return ' class="number"' if index in content.right else ""


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence has them: a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
