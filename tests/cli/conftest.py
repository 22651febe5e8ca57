"""Fixtures of the tests of this folder."""

import pytest

from fastcnn.cli import main
from tests.cli.setting import QUICK


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a finished run of two epochs."""
    folder = tmp_path_factory.mktemp("runs") / "finished"
    assert main([*QUICK, "--epochs", "2", "--out", str(folder)]) == 0
    return folder
