"""Tests that fail now and then: the suite again and again, each time in another order.

    python -m tests.flakes --runs 20                                    the whole suite
    python -m tests.flakes --runs 100 tests/test_threads.py -k locks    what else stands here goes to pytest

As a plugin (`-p tests.flakes --order SEED`) it puts the files, and the tests in each, in the order that a seed says; those
of a module stay together, since they share what it prepares.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser):
    parser.addoption("--order", type=int, help="seed of the order of tests")


def pytest_collection_modifyitems(config, items):
    seed = config.getoption("order")
    if seed is not None:
        draw = random.Random(seed)
        files = sorted({str(item.path) for item in items})
        draw.shuffle(files)
        place = {file: number for number, file in enumerate(files)}
        draw.shuffle(items)
        items.sort(key=lambda item: place[str(item.path)])


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.flakes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run's order; each further one is one more")
    settings, rest = parser.parse_known_args()
    failed = 0
    for seed in range(settings.first, settings.first + settings.runs):
        start = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-p", "tests.flakes", "--order", str(seed), "-n", "2", "--tb=short",
                   "-p", "no:cacheprovider", *rest]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
                              check=False)
        failed += done.returncode != 0
        print(f"order {seed}: {'failed' if done.returncode else 'passed'} in {time.monotonic() - start:.0f} s", flush=True)
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if line[:72].strip(".sFEx")]  # without the dots
            print("\n".join(lines[-60:]), done.stderr[-2000:], flush=True)
    print(f"{settings.runs} runs, {failed} with failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
