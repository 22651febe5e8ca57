"""Docstrings are plain text: `code` in single backticks, and no markup in |x| and *."""

import re

SPECIAL = re.compile(r"(``.*?``)|(?<!`)`([^`\n]+)`|([*|\\]|(?<=\w)_(?!\w))")


def plain(line):
    """Return a line as reStructuredText that shows what it says."""
    return SPECIAL.sub(lambda found: found[1] or (f"``{found[2]}``" if found[2] else "\\" + found[3]), line)


def process(app, what, name, obj, options, lines):
    """Change a docstring in place, but not its examples; formulas, indented before all sections, become code."""
    sections = next((number for number, line in enumerate(lines) if re.fullmatch("-{3,}", line)), len(lines))
    changed, formula, example = [], False, False
    for number, line in enumerate(lines):
        begins = 0 < number < sections and line.startswith(" ") and not lines[number - 1] and not formula
        changed += ["::", ""] if begins else []
        formula = begins or (formula and (line.startswith(" ") or not line))
        example = line.lstrip().startswith(">>>") or (example and bool(line))
        changed.append(line if formula or example else plain(line))
    lines[:] = changed


def setup(app):
    """Come before napoleon, which makes markup of sections."""
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True}
