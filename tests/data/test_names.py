"""Names, the table, lazy imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fastcnn import data
from fastcnn.data import sources


def test_names() -> None:
    assert data.names() == ("digits", "mnist", "fashion-mnist", "cifar10", "cifar100")
    for name in ("imagenet", "", "MNIST", None, ["mnist"]):
        with pytest.raises(ValueError, match=r"load: name is .*expected one of digits, mnist, fashion-mnist"):
            data.load(name)


def test_table() -> None:
    for name, source in sources.SOURCES.items():
        files = source.files if isinstance(source, sources.IdxSource) else (source.archive,)
        assert len(set(source.classes)) == (100 if name == "cifar100" else 10)
        assert list(source.classes) == sorted(source.classes) or not name.startswith("cifar")
        for file in files:
            assert len(file.sha256) == 64 and int(file.sha256, 16) and file.size > 0
            assert bool(file.mirrors) == (name != "digits")
            assert all(url.startswith("https://") and url.endswith("/" + file.name) for url in file.mirrors)


PUBLISHED_BYTES = {
    "digits": [35643, 453, 9073, 194],
    "mnist": [9912422, 28881, 1648877, 4542],
    "fashion-mnist": [26421880, 29515, 4422102, 5148],
    "cifar10": [170052171],
    "cifar100": [168513733],
}


@pytest.mark.parametrize("name", PUBLISHED_BYTES)
def test_what_was_published(name: str) -> None:
    """A download of another size is refused, and files of more images than these."""
    source = sources.SOURCES[name]
    files = source.files if isinstance(source, sources.IdxSource) else (source.archive,)
    assert [file.size for file in files] == PUBLISHED_BYTES[name]
    if isinstance(source, sources.IdxSource):
        assert source.max_counts == ((1442, 355) if name == "digits" else (60_000, 10_000))
        assert source.image_size == ((8, 8) if name == "digits" else (28, 28))
    else:
        assert (source.limits, source.capacity) == (((10,), 10_000) if name == "cifar10" else ((20, 100), 50_000))
        parts = {"cifar10": (tuple(f"data_batch_{number}.bin" for number in (1, 2, 3, 4, 5)), ("test_batch.bin",))}
        assert (source.train, source.test) == parts.get(name, (("train.bin",), ("test.bin",)))


def test_import_is_light() -> None:
    heavy = "{'numba', 'pooch', 'requests', 'urllib3', 'matplotlib', 'tqdm'}"
    code = f"import sys, fastcnn.data as d; d.load('digits'); print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
