"""The rules of the house, read from its source: imports go down, kernels raise nothing, every operation has a row."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from numba import types

from fastcnn import functional, registry, verification
from fastcnn.functional import conv
from fastcnn.kernels.jit import compile as jit
from tests import stubs

HOUSE = Path(__file__).parents[1]
PACKAGE, KERNELS = HOUSE / "fastcnn", HOUSE / "kernels"

# Level of each part; a part imports parts of lower levels, and itself.
FLOORS = {"shapes": 0, "extras": 0, "tables": 0, "signals": 0, "streams": 0, "kernels": 1, "reference": 1, "runtime": 2,
          "functional": 2, "nn": 3, "optim": 3, "data": 3, "models": 4, "training": 4, "metrics": 4, "explain": 5,
          "registry": 5, "verification": 5, "benchmark": 5}
# Parts that import less than their level allows.
NARROW = {"shapes": set(), "tables": set(), "signals": set(), "streams": set(), "kernels": set(), "reference": set(),
          "runtime": {"shapes", "kernels"}, "functional": {"shapes", "kernels", "runtime"},
          "nn": {"shapes", "functional", "runtime", "tables"},
          "optim": {"shapes", "functional", "runtime", "nn"}, "data": {"shapes", "extras", "tables", "streams", "kernels"},
          "metrics": {"shapes", "tables"}}
FACE = 6  # command line, plots, interoperation
STANDARD = {"__future__"} | set(__import__("sys").stdlib_module_names)
OUTSIDE = {"shapes": STANDARD, "extras": STANDARD, "tables": STANDARD, "signals": STANDARD, "streams": STANDARD,
           "reference": STANDARD | {"numpy"}, "runtime": STANDARD | {"numpy"}, "functional": STANDARD | {"numpy"},
           "kernels": STANDARD | {"numpy", "numba", "llvmlite", "platformdirs"}}
# One family, one file name: kernels, reference, functional (and the layers, where there are any).
LIKE = {"linear": "conv"}  # families whose kernels are those of another: a linear layer is a convolution of one pixel
FAMILIES = ("activation", "arithmetic", "batch", "conv", "dropout", "linear", "loss", "norm", "optim", "pool",
            "resample")

FILES = sorted([*PACKAGE.rglob("*.py"), *KERNELS.rglob("*.py")])
SOURCES = {path: ast.parse(path.read_text(), str(path)) for path in FILES}


def name(path):
    return str(path.relative_to(HOUSE))


def module_of(path):
    """Import name of a file, as a list of parts."""
    inside = path.relative_to(HOUSE).with_suffix("")
    parts = ["fastcnn", *inside.parts] if inside.parts[0] == "kernels" else list(inside.parts)
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports_of(path):
    """Every imported name in full, also of imports inside functions."""
    package = module_of(path) if path.name == "__init__.py" else module_of(path)[:-1]
    for node in ast.walk(SOURCES[path]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) + 1 - node.level] if node.level else []
            full = ".".join([*base, *([node.module] if node.module else [])])
            yield from ([f"fastcnn.{alias.name}" for alias in node.names] if full == "fastcnn" else [full])


def part_of(module):
    """The part of the house that a full import name belongs to, or None for the outside."""
    parts = module.split(".")
    return None if parts[0] != "fastcnn" else parts[1] if len(parts) > 1 else "fastcnn"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_imports_go_down(path):
    own = part_of(".".join(module_of(path)))
    if own in ("fastcnn", "__main__"):
        return
    for imported in imports_of(path):
        part = part_of(imported)
        if part is None:
            allowed = OUTSIDE.get(own)
            assert allowed is None or imported.split(".")[0] in allowed, f"{name(path)} imports {imported}"
        elif part not in (own, "fastcnn", "__version__"):
            assert FLOORS.get(part, FACE) <= FLOORS.get(own, FACE), f"{name(path)} imports {imported}, which lies above it"
            assert own not in NARROW or part in NARROW[own], f"{name(path)} imports {imported}"


# The three corridors of kernels/, each with those that it may import from, and itself; what stands in none holds loops.
CORRIDORS = {"arguments": set(), "kinds": set(), "jit": {"arguments", "kinds"}, "vector": {"arguments", "kinds", "jit"},
             "loops": {"arguments", "kinds", "jit", "vector"}}


def corridor_of(module):
    """The corridor that a module of kernels/ belongs to."""
    part = module.split(".")[2] if module.count(".") > 1 else ""
    return part if part in CORRIDORS else "loops"


@pytest.mark.parametrize("path", sorted(KERNELS.rglob("*.py")), ids=name)
def test_loops_stand_on_vectors_and_vectors_on_the_compiler(path):
    own = corridor_of(".".join(module_of(path)))
    for imported in imports_of(path):
        if part_of(imported) == "kernels" and imported != "fastcnn.kernels":  # whose one file here says where folders are
            assert corridor_of(imported) in {own, *CORRIDORS[own]}, f"{name(path)} imports {imported}"


def decorators(node):
    return {ast.unparse(decorator) for decorator in node.decorator_list}


NEST = "njit(parallel=True)"  # a loop nest with parallel loops of its own
ENTRIES = {"parallel_kernel", "interleaved_kernel", NEST}
KERNEL_FUNCTIONS = [(path, node) for path in sorted(KERNELS.rglob("*.py")) for node in ast.walk(SOURCES[path])
                    if isinstance(node, ast.FunctionDef)
                    and decorators(node) & {"kernel", "ordered_kernel", "rolled_kernel", "inline_kernel", *ENTRIES}]


def test_there_are_kernels():
    assert len(KERNEL_FUNCTIONS) > 40
    assert sum(NEST in decorators(node) for _, node in KERNEL_FUNCTIONS) >= 9


def test_textbook_kernels_have_few_parameters_and_one_loop_in_parallel():
    """One that runs over an axis of the output, so that no two threads write one element."""
    for path, node in KERNEL_FUNCTIONS:
        if NEST in decorators(node):
            assert path.name == "loops.py" and len(node.args.args) <= 8, node.name
            shared = [loop for loop in ast.walk(node) if isinstance(loop, ast.For) and "prange" in ast.unparse(loop.iter)]
            assert len(shared) == 1, node.name


@pytest.mark.parametrize(("path", "node"), KERNEL_FUNCTIONS,
                         ids=[f"{path.stem}.{node.name}" for path, node in KERNEL_FUNCTIONS])
def test_kernels_raise_nothing_and_allocate_nothing(path, node):
    for inside in ast.walk(node):
        assert not isinstance(inside, ast.Raise | ast.Assert | ast.Try), f"{path.name}:{inside.lineno}"
        if isinstance(inside, ast.Call):
            called = ast.unparse(inside.func)
            shared = set() if NEST in decorators(node) else {"prange"}
            assert called not in {"np.empty", "np.zeros", "np.ones", "np.full", "np.dot", *shared}, \
                f"{path.name}:{inside.lineno} calls {called}"
    if decorators(node) & ENTRIES:
        assert not any(isinstance(inside, ast.Return) and inside.value is not None for inside in ast.walk(node))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_compiler_options_have_one_home(path):
    if path == KERNELS / "jit" / "compile.py":
        return
    ours = "from .jit.compile import njit" in path.read_text()
    nests = {inside for node in ast.walk(SOURCES[path]) if isinstance(node, ast.FunctionDef) and ours
             for decorator in node.decorator_list if ast.unparse(decorator) == NEST for inside in ast.walk(decorator)}
    for node in set(ast.walk(SOURCES[path])) - nests:
        if isinstance(node, ast.keyword):
            assert node.arg not in {"fastmath", "parallel", "error_model", "nogil"}, f"{name(path)}:{node.value.lineno}"
        if isinstance(node, ast.Name | ast.Attribute):
            used = ast.unparse(node).removeprefix("numba.")
            assert used not in {"njit", "jit", "vectorize", "guvectorize"}, f"{name(path)}:{node.lineno} uses {used}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_is_private_to_numba_has_one_home(path):
    if path == KERNELS / "jit" / "internals.py":
        return
    for node in ast.walk(SOURCES[path]):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in ("numba", "llvmlite"):
            assert node.module in {"numba", "numba.extending", "llvmlite"}, f"{name(path)} imports {node.module}"
            assert not [alias.name for alias in node.names if alias.name.startswith("_")], name(path)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_runs_what_a_file_says(path):
    for imported in imports_of(path):
        assert imported.split(".")[0] not in {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}, name(path)
    for node in ast.walk(SOURCES[path]):
        if isinstance(node, ast.keyword):
            assert node.arg != "allow_pickle", f"{name(path)}:{node.value.lineno}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "compile", "__import__", "np.load"}, f"{name(path)}:{node.lineno}"
            assert not called.endswith((".extractall", ".extract")), f"{name(path)}:{node.lineno} unpacks to disk"


@pytest.mark.parametrize("family", FAMILIES)
def test_families_have_a_file_on_each_level(family):
    for place in (KERNELS / LIKE.get(family, family), PACKAGE / "reference" / family, PACKAGE / "functional" / family):
        assert place.is_dir() or place.with_suffix(".py").is_file(), name(place)


def test_files_of_functional_belong_to_families():
    assert {path.stem for path in (PACKAGE / "functional").iterdir() if path.suffix in ("", ".py")} - {"__pycache__"} == {
        *FAMILIES, "__init__", "arrays", "loops"}


def test_algorithms_of_convolution_have_a_file_with_their_loops():
    algorithms = {module.__name__.split(".")[-1] for module in conv._MODULES.values()} - {"loops"}  # of several families
    files = {path.stem for path in (PACKAGE / "functional" / "conv").glob("*.py")}
    beside = {"algorithm", "cost_model", "problem"}  # what they share beside loops
    assert files == {"__init__", "products", *beside, *algorithms}
    assert {path.stem for path in (KERNELS / "conv").glob("*.py")} == files - beside


def public(module):
    return {key for key, value in vars(module).items()
            if inspect.isfunction(value) and not key.startswith("_") and value.__module__.startswith("fastcnn.")}


def test_every_operation_has_a_row():
    assert {row.operation for row in registry.ROWS} == public(functional)


def test_every_algorithm_has_rows():
    for operation in ("conv2d", "conv2d_backward"):
        algorithms = {row.algorithm or "auto" for row in registry.ROWS if row.operation == operation}
        assert algorithms == set(conv.ALGORITHMS)


@pytest.mark.parametrize("row", registry.ROWS, ids=lambda row: row.name)
def test_twins_and_rows_are_complete(row):
    verification.Complete(row).run()


def test_stubs_are_those_of_the_source():
    """mypy and editors see through them what `functional` gives to kernels."""
    wanted = stubs.written()
    found = {path: path.read_text(encoding="utf-8") for path in stubs.STUBS.rglob("*.pyi")}
    assert found == wanted, "python -m tests.stubs writes them"


def test_entries_say_their_types():
    for path, node in KERNEL_FUNCTIONS:
        if decorators(node) & ENTRIES:
            assert all(argument.annotation for argument in node.args.args), f"{name(path)}: {node.name}"
            assert ast.unparse(node.returns) == "None", f"{name(path)}: {node.name}"


@pytest.mark.parametrize("path", sorted(KERNELS.rglob("*.py")), ids=name)
def test_functions_of_kernels_have_few_parameters_and_lines(path):
    for node in ast.walk(SOURCES[path]):
        if isinstance(node, ast.FunctionDef):
            assert len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs) <= 8, f"{name(path)}: {node.name}"
            assert node.end_lineno - node.lineno < 60, f"{name(path)}: {node.name}"


ENTERED = [f"{'.'.join(module_of(path))}.{node.name}" for path, node in KERNEL_FUNCTIONS
           if decorators(node) & ENTRIES]


def without_width(signature):
    """A signature, or the fields of a record, without the tuple that chooses one of four tiles."""
    return tuple(without_width(argument.types) if isinstance(argument, types.BaseNamedTuple) else argument
                 for argument in signature if type(argument) is not types.UniTuple)


def test_one_signature_for_each_type():
    """Each further signature of a kernel costs a user a second or more; how arrays lie must not make one.

    A launch finds its compiled code by the types of few arguments, which must decide those of all others.
    """
    meant = {}

    def watched(kernel, arguments, workers):
        if isinstance(kernel, jit.ParallelKernel):
            meant.setdefault((kernel.__name__, kernel._types(arguments)), set()).add(jit._signature(arguments))
        kernel.run(arguments, workers)

    with jit.launching(watched):
        for row in registry.ROWS:
            for trial in verification.trials(row):
                if trial.case is row.cases[0] and trial.check not in ("gradient", "adjoint"):
                    trial.run()
    assert len(meant) > 60
    assert not {types: found for types, found in meant.items() if len(found) > 1}
    signatures = {kernel: jit.dispatchers[kernel].signatures for kernel in ENTERED if kernel in jit.dispatchers}
    for kernel, found in signatures.items():
        first = [next(argument for argument in one if isinstance(argument, types.Array)) for one in found]
        inputs = {isinstance(array.dtype, types.Integer) for array in first}  # bytes, floats, or both where tests ran before
        assert len({without_width(one) for one in found}) <= 2 * len(inputs), kernel
    assert sum(len(found) for found in signatures.values()) > 60
