"""Trainings that are killed with SIGKILL and resumed, compared with one that was not: `python -m tests.kills --n 50`.

Every run is `fastcnn train digits` in a process of its own. Half of the kills come after a random time, the others inside a
call of the system: before or after a random write, fsync, replace or unlink, or with half of the bytes written. A run may be
killed up to three times before it is resumed to the end. Then model.safetensors has the same bytes as that of the unbroken
run; history.jsonl the same bytes but for its measured fields, seconds and images_per_second, whose values are left out on
both sides; and the folder the same files, whose checkpoints hold the same arrays.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import safetensors

TRAIN = ["train", "digits", "--model", "smallcnn", "--epochs", "6", "--batch-size", "256", "--seed", "3", "--threads", "2"]
CALLS = {"write": 14, "fsync": 28, "replace": 9, "unlink": 4}  # about as many as an unbroken run makes of each

# What a killed process runs first: its call number `count` of os.`name` ends it.
DEADLY = """
import os, signal, sys
name, count, moment, *words = sys.argv[1:]
usual, calls = getattr(os, name), 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def deadly(*arguments, **options):
    global calls
    calls += 1
    if calls == int(count):
        if moment == "before":
            die()
        if moment == "half":
            usual(arguments[0], arguments[1][: len(arguments[1]) // 2])
            die()
        usual(*arguments, **options)
        die()
    return usual(*arguments, **options)

setattr(os, name, deadly)
"""
DRIVER = DEADLY + "from fastcnn.cli import main; sys.exit(main(words))"


def train(folder: Path, resume: bool = False, call: list[str] | None = None, seconds: float | None = None) -> int:
    """Run a training to its end, up to a call of the system, or for some seconds; return its exit code.

    One that was killed before it wrote anything has nothing to resume, as the command says: it begins again.
    """
    words = [*TRAIN, "--out", str(folder), *(["--resume"] if resume and (folder / "history.jsonl").exists() else [])]
    start = ["-m", "fastcnn"] if call is None else ["-c", DRIVER, *call]
    with subprocess.Popen([sys.executable, *start, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def contents(folder: Path) -> dict[str, object]:
    """Return what has to be equal: for each file its bytes, its records without measurements, or its arrays."""
    return {path.name: _content(path) for path in sorted(folder.iterdir())}


def _content(path: Path) -> object:
    if path.name == "history.jsonl":
        return re.sub(r'"(seconds|images_per_second)": [0-9.e+-]+', r'"\1": 0', path.read_text(encoding="utf-8"))
    if path.name.startswith("checkpoint-"):  # its history and its progress are measured, too
        with safetensors.safe_open(path, framework="numpy") as file:
            return json.loads(file.metadata()["fastcnn"])["sha256"]
    if path.suffix == ".png":  # drawn from numbers that were measured in part
        return "a picture"
    return path.read_bytes()


def kill(chance: random.Random, folder: Path, longest: float, resume: bool) -> str:
    """Run a training up to a random kill, and say which; it may end before."""
    if chance.random() < 0.5:
        seconds = chance.uniform(0.0, longest)
        code, words = train(folder, resume, seconds=seconds), f"after {seconds:.2f} s"
    else:
        name = chance.choice([*CALLS, "unlink"])
        moment = chance.choice(["before", "after", "half"] if name == "write" else ["before", "after"])
        count = chance.randint(1, CALLS[name])
        code, words = train(folder, resume, call=[name, str(count), moment]), f"{moment} {name} {count}"
    return words if code == -signal.SIGKILL else f"{words} (not reached)" if code == 0 else f"{words} (EXIT CODE {code})"


def compare(folder: Path, expected: dict[str, object]) -> str:
    """Return how a folder differs from what is expected; nothing where it does not."""
    found = contents(folder)
    if found.keys() != expected.keys():
        return f"files {', '.join(found)}"
    return ", ".join(name for name in expected if found[name] != expected[name])


def main() -> int:
    """Kill, resume and compare; 1 where a run differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=50, help="runs that are killed (50)")
    parser.add_argument("--seed", type=int, default=0, help="which kills (0)")
    arguments = parser.parse_args()
    chance, good = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as place:
        train(Path(place, "warm"))  # compiles what is missing
        began = time.perf_counter()
        if train(Path(place, "whole")):
            sys.exit("the unbroken run failed")
        longest = time.perf_counter() - began
        expected = contents(Path(place, "whole"))
        for number in range(1, arguments.n + 1):
            folder = Path(place, str(number))
            kills = [kill(chance, folder, longest, resume=bool(tries)) for tries in range(chance.choice([1, 1, 2, 3]))]
            code = train(folder, resume=True)
            differs = f"exit code {code}" if code else compare(folder, expected)
            good += not differs
            print(f"{number:3}  {differs or 'identical'}: killed {'; '.join(kills)}", flush=True)
    print(f"{good} of {arguments.n} resumed runs end identical to the unbroken one: {', '.join(expected)}")
    return int(good < arguments.n)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1]))
    sys.exit(main())
