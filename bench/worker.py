"""A process that times rows with the fastcnn of one folder, for bench/against.py: `python bench/worker.py FOLDER THREADS`.

Requests and answers are JSON, one a line. The first answer tells what was imported. Then `{"open": [TABLE, TITLE]}` makes
the call of a row, and `{"time": COUNT}` gives the seconds of a call, measured over so many. An answer with "error" says what
failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

Answer = dict[str, Any]


class Worker:
    """Times the calls of one row at a time."""

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()
        self._call: Any = None

    def load(self, folder: str, threads: int) -> Answer:
        """Import fastcnn from its folder; give the kind of CPU, "unknown" where it has none."""
        # An editable installation would answer for modules that the folder lacks.
        sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in getattr(finder, "__module__", "")]
        import fastcnn

        if (found := Path(fastcnn.__file__).resolve().parents[1]) != Path(folder).resolve():
            raise ImportError(f"fastcnn is imported from {found}, expected {folder}")
        if folder not in fastcnn.__path__:
            fastcnn.__path__.append(folder)  # where its kernels lie, which older commits find only when they are installed
        fastcnn.set_num_threads(threads)
        try:
            from fastcnn.kernels.kinds import KIND
        except ImportError:
            return {"fastcnn": fastcnn.__version__, "kind": "unknown"}
        return {"fastcnn": fastcnn.__version__, "kind": KIND.name}

    def open(self, table: str, title: str) -> Answer:
        """Make the call of a row and call it, which compiles; give the size of its result, and calls of a sample."""
        import numpy as np
        from rows import ROWS
        from turns import count_for, timed

        self.close()
        row = next(row for row in ROWS[table] if row.title == title)
        self._call = self._opened.enter_context(row.call(*row.inputs()))
        result = np.asarray(self._call())
        norm = float(np.linalg.norm(result.astype(np.float64).ravel()))
        return {"shape": result.shape, "norm": norm, "count": count_for(min(timed(self._call), timed(self._call)))}

    def time(self, count: int) -> Answer:
        """Give the seconds of a call of the row that is open."""
        from turns import sample

        return {"seconds": sample(self._call, count)}

    def close(self) -> None:
        """Let go of the row that is open."""
        self._call = None
        self._opened.close()

    def answer(self, name: str, *values: Any) -> Answer:
        """Do what is asked, or say in a line what failed."""
        try:
            return {"load": self.load, "open": self.open, "time": self.time}[name](*values)
        except Exception as error:  # whatever the code of another commit raises
            return {"error": f"{type(error).__name__}: {error}".partition("\n")[0]}


def main() -> None:
    """Answer until there are no more requests."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    worker = Worker()
    print(json.dumps(worker.answer("load", sys.argv[1], int(sys.argv[2]))), file=answers, flush=True)
    for line in sys.stdin:
        (name, values), = json.loads(line).items()
        print(json.dumps(worker.answer(name, *(values if isinstance(values, list) else [values]))), file=answers, flush=True)
    worker.close()


if __name__ == "__main__":
    main()
