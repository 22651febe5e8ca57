"""Where on this machine is kept what can be made again: compiled kernels and downloaded data sets. Needs no compiler."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

NONE = "there is no cache folder, because no home folder is known: set FASTCNN_CACHE to a folder, or HOME to a full path"


def cache() -> Path | None:
    """Folder that `FASTCNN_CACHE` names, else the user's cache folder; None where no home folder is known to hold one."""
    chosen = os.environ.get("FASTCNN_CACHE")
    if chosen:
        return Path(os.path.expanduser(chosen)).absolute()
    try:
        usual = Path(platformdirs.user_cache_dir("fastcnn", appauthor=False))
    except RuntimeError:  # no HOME, and no entry for the user's number
        return None
    return usual if usual.is_absolute() else None
