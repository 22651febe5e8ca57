"""Mutation run: which small wrong changes of the source no test notices.

    python -m tests.mutants record                                      which test runs which line, and how long: once
    python -m tests.mutants run --files 'kernels/*' --sample 200        some mutants, drawn by --seed
    python -m tests.mutants report                                      what came of all so far, and who survived

A mutant meets the tests that run its line, at most `--budget` seconds of them, until one fails. Kernels run as plain Python
(NUMBA_DISABLE_JIT=1): to compile every mutant would take minutes. The process that has collected all tests forks for each
mutant, and the fork puts the mutant's code into the functions that exist. A mutant of what runs when a module is imported
meets its tests in a process of its own, in a copy of the tree. Nothing here changes the tree itself; results are kept in
`.mutants`.

Mutants that `tests/equivalent_mutants.txt` explains cannot be noticed by results, and count apart.
"""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import contextlib
import dataclasses
import fnmatch
import functools
import gc
import hashlib
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import coverage
import pytest

from fastcnn.kernels.jit.compile import dispatchers
from tests import mutation
from tests.mutation import Mutant

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".mutants"
PACKAGES = "kernels", "fastcnn/functional", "fastcnn/training", "fastcnn/data"
TREE = "fastcnn", "kernels", "tests", "bench", "examples", "docs", "pyproject.toml", "README.md", "CITATION.cff"
PATIENCE = 10, 5  # a test may take so many times as long as without the mutant, and seconds more
COPY_PATIENCE, COPY_TESTS = 300, 40  # seconds for a process of its own, which may have to compile, and its tests
MACHINERY = {"compile", "cache", "launch", "recording", "threads"}  # what all kernels are compiled and run by
MACHINERY_TESTS = "tests/test_cache.py", "tests/test_registry.py::test_trial[relu-"
WHOLE = 0, 1 << 30  # lines of a file
MEMORY = 4 << 30  # bytes that a mutant may take beyond what its parent has

KILLED = "killed", "timeout", "crashed"
SIGNATURES = "tests/test_house.py::test_twins_and_rows"  # looks at default values, without a call

Functions = dict[types.CodeType, list[types.FunctionType]]  # by their code

class Leg(NamedTuple):
    """Tests, and what they run with."""

    settings: dict[str, str]
    tests: list[str]
    options: list[str]
    warnings: list[str]


LEGS = {
    "plain": Leg({"NUMBA_DISABLE_JIT": "1"}, ["tests/test_registry.py", "tests/test_algorithms.py"],
                 ["--at-most", "0.5", "-k", "(normal or integers or workers) and float32 or small_winograd"],
                 ["-W", "ignore::RuntimeWarning"]),
    "compiled": Leg({}, ["tests"], [], []),
}


# Which test runs which line ------------------------------------------------------------------------------------------------


def record(leg: str, jobs: int, tests: list[str] | None = None) -> None:
    """Run the leg's tests and note what each runs; or some tests, whose lines are added to what is known."""
    KEPT.mkdir(exist_ok=True)
    chosen = LEGS[leg]
    data, seconds = KEPT / f"{leg}.coverage", KEPT / f"{leg}.json"
    known = json.loads(seconds.read_text()) if tests and seconds.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "coverage", "run", "-m", "pytest", "-p", "tests.contexts", "-n", str(jobs),
                        "--tb=no", "--seconds", str(seconds), *(tests or chosen.tests), *chosen.options, *chosen.warnings],
                       cwd=ROOT, env=environment(chosen.settings, COVERAGE_FILE=f"{folder}/{leg}"), check=False)
        subprocess.run([sys.executable, "-m", "coverage", "combine", "--quiet", *["--append"] * bool(known), "--data-file",
                        str(data), *map(str, Path(folder).iterdir())], cwd=ROOT, check=True)
    seconds.write_text(json.dumps(known | json.loads(seconds.read_text())))


def environment(settings: dict[str, str], root: Path = ROOT, **more: str) -> dict[str, str]:
    """Variables for a process that imports the tree at `root`."""
    return {**os.environ, "PYTHONPATH": str(root), **settings, **more}


class Lines:
    """What one leg runs: the tests of each line, and their seconds."""

    def __init__(self, leg: str) -> None:
        self.seconds: dict[str, float] = json.loads((KEPT / f"{leg}.json").read_text())
        self._data = coverage.CoverageData(str(KEPT / f"{leg}.coverage"))
        self._data.read()
        self._files: dict[str, dict[int, set[str]]] = {}

    def of(self, path: str) -> dict[int, set[str]]:
        """The tests of each line of a file; "" stands for the import."""
        if path not in self._files:
            place = next((name for name in self._data.measured_files() if name.endswith(f"/{path}")), path)
            known = self._data.contexts_by_lineno(place)
            self._files[path] = {line: set(tests) for line, tests in known.items()}
        return self._files[path]

    def tests(self, mutant: Mutant) -> list[str]:
        """The tests that run a line of the mutant."""
        first, last = mutant.lines
        found = set().union(*(tests for line, tests in self.of(mutant.path).items() if first <= line <= last))
        if mutant.change.startswith("def "):
            found.update(test for test in self.seconds if test.startswith(SIGNATURES))
        return self._in_turns(found & self.seconds.keys())

    def at_import(self, mutant: Mutant) -> bool:
        """Whether the mutant's line runs when modules are imported."""
        return "" in self.of(mutant.path).get(mutant.line, ())

    def callers(self, function: str) -> list[str]:
        """The tests that run a line which names the function of a kernel."""
        found: set[str] = set()
        for path in sorted((ROOT / "fastcnn" / "functional").rglob("*.py")) if function else ():
            lines = self.of(str(path.relative_to(ROOT)))
            for number, text in enumerate(path.read_text().splitlines(), 1):
                if f".{function}(" in text:
                    found |= lines.get(number, set())
        return self._in_turns(found & self.seconds.keys())

    def like(self, tests: list[str], path: str) -> list[str]:
        """The tests of this leg that are of the same groups, and those of the file's own."""
        place, groups = Path(path), set(map(group, tests))
        own = f"tests/test_{place.stem}.py", f"tests/{place.parent.name}/"
        return self._in_turns(test for test in self.seconds if group(test) in groups or test.startswith(own))

    def _in_turns(self, tests: Iterable[str]) -> list[str]:
        """One test of each group, fastest first, then the second of each, ..."""
        groups = defaultdict(list)
        for test in sorted(tests, key=lambda test: (self.seconds[test], test)):
            groups[group(test)].append(test)
        turns = itertools.zip_longest(*groups.values())
        return [test for turn in turns for test in turn if test is not None]

    def within(self, tests: list[str], budget: float) -> list[str]:
        """The first tests that together take no more than so many seconds."""
        ends = itertools.accumulate(self.seconds[test] for test in tests)
        return [test for test, end in zip(tests, ends, strict=True) if end <= budget]


def group(test: str) -> str:
    """What neighbours among the tests have in common: the function and its first argument, in the registry the row."""
    return test.partition("-")[0]


@functools.cache
def recorded(leg: str) -> Lines:
    """What `record` found for a leg."""
    return Lines(leg)


# One mutant ----------------------------------------------------------------------------------------------------------------


class Forks:
    """Pytest plugin that collects tests once and then, in place of running them, tries mutants in forks."""

    def __init__(self, lines: Lines, mutants: list[Mutant], settings: argparse.Namespace) -> None:
        self.lines, self.mutants, self.settings = lines, mutants, settings
        self.killers: dict[tuple[str, str], list[str]] = defaultdict(list)  # of neighbours: tried first

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        load_kernels()
        self.functions = functions_by_code()
        gc.freeze()
        with self.settings.out.open("a") as out:
            for mutant in self.mutants:
                start = time.perf_counter()
                outcome, by = self.outcome(mutant)
                if outcome == "killed":
                    self.killers[mutant.path, mutant.scope].insert(0, by)
                seconds = round(time.perf_counter() - start, 2)
                print(json.dumps({**result(mutant), "outcome": outcome, "by": by, "seconds": seconds}), file=out, flush=True)
        return True

    def outcome(self, mutant: Mutant) -> tuple[str, str]:
        """What became of the mutant, and by which test; a kernel that survives is compiled as a last resort."""
        outcome, by = self.first_outcome(mutant)
        if outcome in ("survived", "untested") and mutant.path.startswith("kernels/"):
            tests = compiled_tests(mutant)
            if tests:
                last, by = in_copy(mutant, tests, "compiled")
                return ("killed", by) if last == "killed" else (outcome, "")
        return outcome, by

    def first_outcome(self, mutant: Mutant) -> tuple[str, str]:
        tests = [test for test in self.lines.tests(mutant) if test in self.items]
        known = [test for test in dict.fromkeys(self.killers[mutant.path, mutant.scope]) if test in set(tests)]
        tests = list(dict.fromkeys([*known[:20], *tests]))
        if not tests:
            return "untested", ""
        change = self.change(mutant)
        if change is None:
            tests = list(dict.fromkeys([*known[:20], *self.lines.like(tests, mutant.path)]))  # read anywhere
            return in_copy(mutant, self.lines.within(tests, self.settings.budget), self.settings.leg)
        return self.in_fork(change, [self.items[test] for test in tests])

    def change(self, mutant: Mutant) -> Callable[[], None] | None:
        """What makes the mutant of this process; None where it has to be there when modules are imported."""
        path = str(ROOT / mutant.path)
        source = Path(path).read_text()
        function = mutation.default_change(source, mutant.number)
        if function is not None:
            return functools.partial(set_defaults, function, path, self.functions)
        codes = mutation.code_changes(source, mutant.number, path)
        if self.lines.at_import(mutant) or not codes or not all(self.functions.get(code) for code in codes):
            return None
        return functools.partial(set_code, codes, self.functions)

    def in_fork(self, change: Callable[[], None], items: list[pytest.Item]) -> tuple[str, str]:
        """Run the items in a process with the change."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                self.run_in_fork(change, items, Told(os.fdopen(writer, "w", buffering=1), self.lines, self.settings.budget))
            finally:
                os._exit(3)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            told = [line.split(" ", 1) for line in pipe.read().splitlines()]
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what the tests started
        for seconds, test in told[:-1] if status else told:
            self.lines.seconds[test] = float(seconds)
        return verdict(status), told[-1][1] if status and told else ""

    def run_in_fork(self, change: Callable[[], None], items: list[pytest.Item], told: Told) -> None:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        change()
        items[0].config.pluginmanager.register(told)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        os._exit(0)


class Told:
    """Pytest plugin in a fork: tells the seconds of each test, and ends the process at the first that fails.

    It ends it, too, when the budget is spent; and a signal does that nobody catches when a test takes far longer than usual.
    """

    def __init__(self, pipe: TextIO, lines: Lines, budget: float) -> None:
        self.pipe, self.lines, self.budget = pipe, lines, budget
        self.seconds = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        patience = PATIENCE[0] * self.lines.seconds[item.nodeid] + PATIENCE[1]
        signal.setitimer(signal.ITIMER_PROF, patience)
        signal.setitimer(signal.ITIMER_REAL, 40 * patience)  # of a test that waits, where others compute
        before = time.process_time()
        try:
            return (yield)
        finally:
            seconds = time.process_time() - before
            self.seconds += seconds
            print(f"{seconds:.4f} {item.nodeid}", file=self.pipe)
            if self.seconds > self.budget:
                os._exit(0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            print(f"0 {report.nodeid}", file=self.pipe)
            os._exit(1)


def compiled_tests(mutant: Mutant) -> list[str]:
    """Some tests of a kernel that has to be compiled to be tested."""
    plain, compiled = recorded("plain"), recorded("compiled")
    if Path(mutant.path).stem in MACHINERY:
        return [test for test in compiled.seconds if test.startswith(MACHINERY_TESTS)]
    tests = compiled.callers(mutant.scope) or plain.tests(mutant) or plain.tests(dataclasses.replace(mutant, lines=WHOLE))
    return compiled.like(tests, mutant.path)[:COPY_TESTS]


def set_code(codes: dict[types.CodeType, types.CodeType], functions: Functions) -> None:
    """Give the functions that have one code another."""
    for old, new in codes.items():
        for function in functions[old]:
            function.__code__ = new


def set_defaults(changed: ast.FunctionDef, path: str, functions: Functions) -> None:
    """Give the function that is defined here its new default values."""
    lines = {changed.lineno, *(decorator.lineno for decorator in changed.decorator_list)}
    for code in functions:
        if (code.co_filename, code.co_name) == (path, changed.name) and code.co_firstlineno in lines:
            for function in functions[code]:
                def value(node: ast.expr, names: dict[str, Any] = function.__globals__) -> Any:
                    return eval(compile(ast.fix_missing_locations(ast.Expression(node)), path, "eval"), names)

                arguments = changed.args
                function.__defaults__ = tuple(map(value, arguments.defaults))
                function.__kwdefaults__ = {argument.arg: value(default) for argument, default in
                                           zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default}


def load_kernels() -> None:
    """Load what is compiled, so that not every fork has to."""
    for dispatcher in list(dispatchers.values()):
        for signature, _ in dispatcher._cache._cache_file.stored_keys():
            dispatcher.compile(signature)


def verdict(status: int) -> str:
    """What an exit status says of a mutant."""
    if status in (-signal.SIGPROF, -signal.SIGALRM):
        return "timeout"
    return {0: "survived", 1: "killed"}.get(status, "crashed")


def functions_by_code() -> Functions:
    """Every function of the tree that exists, by its code."""
    found = defaultdict(list)
    for thing in gc.get_objects():
        if isinstance(thing, types.FunctionType) and thing.__code__.co_filename.startswith(str(ROOT)):
            found[thing.__code__].append(thing)
    return found


def in_copy(mutant: Mutant, tests: list[str], leg: str) -> tuple[str, str]:
    """Run tests in a process of their own and in a copy of the tree with the mutant in it."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder)
        for name in TREE:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, copy / name)
        source = (ROOT / mutant.path).read_text()
        (copy / mutant.path).write_text(mutation.unparsed(source, mutant.number))
        (copy / "chosen").write_text("\n".join(tests))
        variables = environment(LEGS[leg].settings, copy, FASTCNN_CACHE=str(copy)) if mutant.path.startswith("kernels") \
            else environment(LEGS[leg].settings, copy)
        running = subprocess.Popen(
            ["sh", "-c", f'ulimit -t {COPY_PATIENCE}; exec "$@"', "sh", sys.executable, "-m", "pytest", "-x", "-p",
             "no:cacheprovider", "-rfE", "--tb=no", *LEGS[leg].warnings, "@chosen"],
            cwd=copy, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        try:
            output = running.communicate(timeout=4 * COPY_PATIENCE)[0]
        except subprocess.TimeoutExpired:
            return "timeout", ""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if running.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "timeout", ""
    return ("survived", "") if running.returncode == 0 else ("killed", failed[0] if failed else "import")


# A run ---------------------------------------------------------------------------------------------------------------------


def result(mutant: Mutant) -> dict[str, Any]:
    """What is written of a mutant."""
    return {**dataclasses.asdict(mutant), "source": digest(mutant.path)}


def digest(path: str) -> str:
    return hashlib.sha256((ROOT / path).read_bytes()).hexdigest()[:16]


def chosen(settings: argparse.Namespace) -> list[Mutant]:
    """Mutants of the files that a pattern names, drawn by the seed, without those that have an outcome."""
    paths = [str(path.relative_to(ROOT)) for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    every = [mutant for path in paths if any(fnmatch.fnmatch(path, pattern) for pattern in settings.files)
             for mutant in mutation.mutants((ROOT / path).read_text(), path)]
    if settings.sample and settings.sample < len(every):
        every = random.Random(settings.seed).sample(every, settings.sample)
    known = {(mutant.path, mutant.number) for mutant, outcome in results()
             if outcome in KILLED or not settings.again}
    return [mutant for mutant in every if (mutant.path, mutant.number) not in known]


def results() -> list[tuple[Mutant, str]]:
    """All mutants of the source as it is that were tried, with what came of each: killed once is killed."""
    found: dict[tuple[str, int], tuple[Mutant, str]] = {}
    for path in sorted(KEPT.glob("outcomes*.jsonl")):
        for text in path.read_text().splitlines():
            line = json.loads(text)
            if (ROOT / line["path"]).exists() and digest(line["path"]) == line["source"]:
                mutant, outcome = mutant_of(line), line["outcome"]
                if outcome in KILLED or (mutant.path, mutant.number) not in found:
                    found[mutant.path, mutant.number] = mutant, outcome
    return list(found.values())


def mutant_of(line: dict[str, Any]) -> Mutant:
    """The mutant that was written as JSON."""
    fields = {field.name: line[field.name] for field in dataclasses.fields(Mutant)}
    return Mutant(**{**fields, "lines": tuple(fields["lines"])})


class Excuses:
    """The mutants that results cannot tell from the original: by how their key begins or, after "... ", what is in it."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        reason = ""
        for line in (ROOT / "tests" / "equivalent_mutants.txt").read_text().splitlines():
            if line.startswith("#"):
                reason = line.lstrip("# ")
            elif line:
                self._reasons[line] = reason

    def reason(self, key: str) -> str | None:
        """Why nothing can notice this mutant; None where something should."""
        return next((reason for part, reason in self._reasons.items()
                     if (part.removeprefix("... ") in key if part.startswith("... ") else key.startswith(part))), None)


def leg_of(mutant: Mutant) -> str:
    """The leg whose tests a mutant meets: plain Python for kernels that run there, else compiled code."""
    is_kernel = mutant.path.startswith("kernels/") and Path(mutant.path).stem not in MACHINERY
    return "plain" if is_kernel and recorded("plain").tests(mutant) else "compiled"


def run(settings: argparse.Namespace) -> None:
    """Try mutants, those of compiled functions that survive also as plain Python: there numpy checks every index."""
    mutants = chosen(settings)
    print(f"{len(mutants)} mutants to try", flush=True)
    share_out([(leg_of(mutant), mutant) for mutant in mutants], settings)
    alive = {(mutant.path, mutant.number) for mutant, outcome in results() if outcome not in KILLED}
    share_out([("plain", mutant) for mutant in mutants if mutant.path.startswith("fastcnn/functional/")
               and (mutant.path, mutant.number) in alive and recorded("plain").tests(mutant)], settings)
    report()


def share_out(mutants: list[tuple[str, Mutant]], settings: argparse.Namespace) -> None:
    """Try mutants in several processes at once, each of which takes its share of a leg's."""
    shares: dict[tuple[str, int], list[Mutant]] = defaultdict(list)
    for number, (leg, mutant) in enumerate(sorted(mutants, key=lambda pair: (pair[1].path, pair[1].number))):
        shares[leg, number % settings.jobs].append(mutant)
    with concurrent.futures.ThreadPoolExecutor(settings.jobs) as pool:
        list(pool.map(lambda share: _start(*share, settings), sorted(shares.items())))


def _start(place: tuple[str, int], mutants: list[Mutant], settings: argparse.Namespace) -> None:
    leg, job = place
    share = KEPT / f"share-{leg}-{job}.json"
    share.write_text(json.dumps([dataclasses.asdict(mutant) for mutant in mutants]))
    subprocess.run([sys.executable, "-m", "tests.mutants", "work", "--leg", leg, "--share", str(share), "--budget",
                    str(settings.budget), "--out", str(KEPT / f"outcomes-{leg}-{job}.jsonl")],
                   cwd=ROOT, env=environment(LEGS[leg].settings), stdout=subprocess.DEVNULL, check=True)


def work(settings: argparse.Namespace) -> None:
    """Try a share of the mutants, in this process and its forks."""
    mutants = [mutant_of(line) for line in json.loads(settings.share.read_text())]
    lines = recorded(settings.leg)
    files = sorted({test.partition("::")[0] for mutant in mutants for test in lines.tests(mutant)})
    pytest.main(["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:faulthandler", "-p", "no:benchmark", "--tb=no",
                 *LEGS[settings.leg].warnings, *(files or ["tests/test_house.py"])],
                plugins=[Forks(lines, mutants, settings)])


def report() -> None:
    """Print the score of every file and package, and the survivors."""
    excuses = Excuses()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    survivors = []
    for mutant, outcome in results():
        state = "killed" if outcome in KILLED else "equivalent" if excuses.reason(mutant.key) is not None else "survived"
        package = next(package for package in PACKAGES if mutant.path.startswith(package))
        for name in (mutant.path, package, "all"):
            counts[name][state] += 1
        if state == "survived":
            survivors.append((mutant, outcome))
    for mutant, outcome in sorted(survivors, key=lambda pair: (pair[0].path, pair[0].line)):
        print(f"{outcome:9} {mutant}")
    for name in sorted(counts, key=lambda name: (not name.endswith(".py"), name)):
        count = counts[name]
        tried = count["killed"] + count["survived"]
        every = tried + count["equivalent"]
        print(f"{name:36} {count['killed']:5} of {every:5} killed, {count['killed'] / every:6.1%}; "
              f"{count['killed'] / max(tried, 1):6.1%} without {count['equivalent']} that are equivalent")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["record", "run", "report", "work"])
    parser.add_argument("--leg", choices=LEGS, help="record: this leg alone")
    parser.add_argument("--tests", nargs="+", help="record: these tests alone")
    parser.add_argument("--files", nargs="+", default=["*"], help="patterns of the files to change")
    parser.add_argument("--sample", type=int, default=0, help="number of mutants to draw; 0 is all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="try those that survived once more")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--budget", type=float, default=20, help="seconds of tests that a mutant meets")
    parser.add_argument("--share", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.command == "record":
        for leg in [settings.leg] if settings.leg else LEGS:
            record(leg, settings.jobs, settings.tests)
    else:
        {"run": run, "work": work, "report": lambda _: report()}[settings.command](settings)


if __name__ == "__main__":
    main()
