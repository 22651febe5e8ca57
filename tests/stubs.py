"""Stubs of kernels/, written from its source: `python -m tests.stubs`, compared by tests/test_house.py.

`kernels/` lies beside `fastcnn/` and is imported as `fastcnn.kernels`, where type checkers do not look. In stubs/ they find
what each module gives: kernels that are launched from Python with the types of their arguments and `workers` in place of
`worker, workers`, classes and functions with their signatures. What only compiled code calls is `Any`.
"""

from __future__ import annotations

import ast
from pathlib import Path

HOUSE = Path(__file__).parents[1]
KERNELS, STUBS = HOUSE / "kernels", HOUSE / "stubs" / "fastcnn"
ENTRIES = {"parallel_kernel", "interleaved_kernel", "njit(parallel=True)"}
HEAD = "# Written by `python -m tests.stubs`.\nfrom typing import Any"


def stub(source: str) -> str:
    """Return the stub of a module."""
    body = ast.parse(source).body
    return "\n".join([HEAD, *dict.fromkeys(line for node in body for line in _lines(node))]) + "\n"


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Imports as they are, but for those of compilers, of which nothing is said."""
    module = getattr(node, "module", None) or node.names[0].name
    if module == "__future__" or ast.unparse(node) == "from typing import Any":
        return []
    if module.split(".")[0] in ("numba", "llvmlite"):
        return [f"{(alias.asname or alias.name).split('.')[0]}: Any" for alias in node.names]
    return [ast.unparse(node)]


def _lines(node: ast.stmt) -> list[str]:
    """Lines of a stub for one statement of a module: its public names."""
    lines: list[str] = []
    if isinstance(node, ast.Import | ast.ImportFrom):
        lines = _imported(node)
    elif isinstance(node, ast.FunctionDef | ast.ClassDef):
        if not node.name.startswith("_"):
            lines = _function(node) if isinstance(node, ast.FunctionDef) else _class(node)
    elif isinstance(node, ast.AnnAssign):
        alias = node.value is not None and ast.unparse(node.annotation) == "TypeAlias"
        lines = [ast.unparse(node) if alias else f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}"]
    elif isinstance(node, ast.Assign):
        lines = _assigned(node)
    elif isinstance(node, ast.If):  # which of its parts runs follows from the CPU
        lines = [line.partition(":")[0] + ": Any" for each in [*node.body, *node.orelse] for line in _lines(each)]
    return lines


def _assigned(node: ast.Assign) -> list[str]:
    if isinstance(node.value, ast.Subscript) or ast.unparse(node.value).startswith("TypeVar("):  # a type
        return [ast.unparse(node)]
    names = [name.id for target in node.targets if not isinstance(target, ast.Attribute) for name in ast.walk(target)
             if isinstance(name, ast.Name) and not name.id.startswith("_")]
    kind = type(node.value.value).__name__ if isinstance(node.value, ast.Constant) else "Any"
    return [f"{name}: {kind}" for name in names]


def _function(node: ast.FunctionDef, indent: str = "") -> list[str]:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    if set(decorators) & ENTRIES:
        node.args.args = [one for one in node.args.args if one.arg != "worker"]
    elif node.returns is None:  # for compiled code alone
        return [f"{indent}{node.name}: Any"]
    kept = [f"{indent}@{one}" for one in decorators if one.split("(")[0].split(".")[-1] in
            {"property", "setter", "staticmethod", "classmethod", "abstractmethod", "contextmanager", "cache", "lru_cache"}]
    for defaults in (node.args.defaults, node.args.kw_defaults):
        defaults[:] = [default and ast.Constant(...) for default in defaults]
    returns = ast.unparse(node.returns) if node.returns else "None"
    return [*kept, f"{indent}def {node.name}({ast.unparse(node.args)}) -> {returns}: ..."]


def _class(node: ast.ClassDef) -> list[str]:
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    lines: list[str] = []
    for each in node.body:
        if isinstance(each, ast.FunctionDef):
            if not each.name.startswith("_") or each.name in ("__init__", "__call__"):
                lines += _function(each, "    ")
        elif isinstance(each, ast.AnnAssign):
            default = " = ..." if each.value is not None else ""
            lines.append(f"    {ast.unparse(each.target)}: {ast.unparse(each.annotation)}{default}")
    return ["\n".join([f"class {node.name}({bases}):" if bases else f"class {node.name}:", *(lines or ["    ..."])])]


def written() -> dict[Path, str]:
    """Return the text of every stub by its path."""
    modules = sorted(KERNELS.rglob("*.py"))
    return {STUBS / "__init__.pyi": HEAD,
            **{STUBS / "kernels" / path.relative_to(KERNELS).with_suffix(".pyi"): stub(path.read_text(encoding="utf-8"))
               for path in modules}}


def main() -> None:
    """Write all stubs, and remove those of modules that are gone."""
    texts = written()
    for path in set(STUBS.rglob("*.pyi")) - set(texts):
        path.unlink()
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
