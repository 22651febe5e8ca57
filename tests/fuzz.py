"""Mutated files against every reader: only errors of fastcnn leave it, in time and without much memory.

    python -m tests.fuzz --count 1000000                   all formats, on both cores
    python -m tests.fuzz --format npz --first 4711 --count 1   one input again, as the line of a failure says

An input follows from format, seed and number alone.
"""

from __future__ import annotations

import argparse
import faulthandler
import gzip
import io
import json
import multiprocessing
import multiprocessing.pool
import os
import random
import resource
import signal
import struct
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from fastcnn import data, models, nn, optim, training
from fastcnn.data import formats
from fastcnn.data.image_files import ImageReader
from fastcnn.interop.onnx import export_onnx, import_onnx
from fastcnn.interop.onnx.schema import Model
from fastcnn.interop.onnx.wire import decoded, encoded
from fastcnn.shapes import CheckpointError, DataFormatError, DTypeError, ShapeError
from fastcnn.training import files
from fastcnn.training.checkpoint import save_checkpoint
from fastcnn.training.diagnosis import NonFiniteError

MOST_SECONDS = 1.0  # of one core
MOST_MEMORY = 16 << 20  # bytes, and twice the file
MAX_PIXELS = 1 << 20
OURS = (DataFormatError, ShapeError, DTypeError, CheckpointError)
Random = random.Random
Mutation = Callable[[Random, bytes], bytes]


# Mutations of bytes


NUMBERS = (0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1,
           (1 << 63) - 1, (1 << 64) - 1)
JUNK = (None, True, -1, 0, 1, 3, 2000, 65536, 2**31, 2**63, 10**30, -0.5, 1e308, float("nan"),
        "", "x", "\0", "é" * 50, [], [1], [[]], {},
        {"array": "model/x"}, {"a": {"b": []}}, [10**6] * 3, "F32", "U8", "BF16")


def place(chance: Random, size: int) -> int:
    """A position, in the header half of the time."""
    return chance.randrange(min(size, 64) if chance.random() < 0.5 else size)


def flip(chance: Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        changed[place(chance, len(raw))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwrite(chance: Random, raw: bytes) -> bytes:
    start = place(chance, len(raw))
    size = chance.choice((1, 2, 4, 8))
    number = chance.choice(NUMBERS) & ((1 << 8 * size) - 1)
    return raw[:start] + number.to_bytes(size, chance.choice(("big", "little"))) + raw[start + size :]


def truncate(chance: Random, raw: bytes) -> bytes:
    return raw[: place(chance, len(raw))]


def insert(chance: Random, raw: bytes) -> bytes:
    start = place(chance, len(raw))
    return raw[:start] + chance.randbytes(chance.choice((1, 2, 8, 100))) + raw[start:]


def append(chance: Random, raw: bytes) -> bytes:
    return raw + chance.choice((b"\0", b"\0" * 600, chance.randbytes(9), raw))


def delete(chance: Random, raw: bytes) -> bytes:
    start = place(chance, len(raw))
    return raw[:start] + raw[start + chance.choice((1, 2, 4, 64)) :]


def repeat(chance: Random, raw: bytes) -> bytes:
    start = place(chance, len(raw))
    return raw[:start] + raw[start : start + chance.choice((1, 16, 512))] * chance.choice((2, 3, 100)) + raw[start:]


GENERIC: tuple[Mutation, ...] = (flip, flip, overwrite, overwrite, truncate, insert, append, delete, repeat)


def mutated(chance: Random, raw: bytes, others: list[bytes], own: tuple[Mutation, ...]) -> bytes:
    """One to three mutations; those that know the format half of the time."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if not raw:
            break
        if chance.random() < 0.05:
            other = chance.choice(others)
            raw = raw[: place(chance, len(raw))] + other[place(chance, len(other)) :]
        else:
            raw = chance.choice(own if own and chance.random() < 0.5 else GENERIC)(chance, raw)
    return raw


def inside_gzip(inner: tuple[Mutation, ...] = GENERIC) -> Mutation:
    def change(chance: Random, raw: bytes) -> bytes:
        try:
            plain = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error):
            return flip(chance, raw)
        return gzip.compress(chance.choice(inner)(chance, plain) if plain else plain, 1, mtime=0)

    return change


# Mutations that know a format


def tar_header(chance: Random, raw: bytes) -> bytes:
    """Change a field of a header and set its checksum right."""
    blocks = [start for start in range(0, len(raw) - 511, 512) if raw[start + 257 : start + 262] == b"ustar"]
    if not blocks:
        return flip(chance, raw)
    start = chance.choice(blocks)
    header = bytearray(raw[start : start + 512])
    first, size = chance.choice(((0, 100), (100, 8), (124, 12), (124, 12), (156, 1), (157, 100), (257, 6), (345, 155)))
    values = (b"", b"\xff" * size, b"7" * size, b"a.bin", b"t.bin", b"00000000000", b"\x80" + b"\0" * 7 + b"\xff" * 4,
              chance.choice((b"2", b"3", b"L", b"x", b"g", b"S", b"5")), chance.randbytes(size))
    header[first : first + size] = chance.choice(values)[:size].ljust(size, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return raw[:start] + bytes(header) + raw[start + 512 :]


def changed_tree(chance: Random, tree: Any) -> Any:
    """The same tree of JSON with one branch replaced, dropped or renamed."""
    if isinstance(tree, dict) and tree and chance.random() < 0.85:
        name = chance.choice(list(tree))
        kept = {key: value for key, value in tree.items() if key != name}
        what = chance.random()
        return kept if what < 0.08 else {**kept, f"{name}x": tree[name]} if what < 0.14 else {
            **tree, name: changed_tree(chance, tree[name])}
    if isinstance(tree, list) and tree and chance.random() < 0.7:
        index = chance.randrange(len(tree))
        return [*tree[:index], changed_tree(chance, tree[index]), *tree[index + chance.choice((1, 1, 1, 0, 2)) :]]
    return chance.choice(JUNK)


def tensors_header(chance: Random, raw: bytes) -> bytes:
    """Change the JSON in the header of a safetensors file and set its length right."""
    with suppress(ValueError, struct.error, RecursionError):
        length, = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8 : 8 + length])
        text = json.dumps(changed_tree(chance, header)).encode()
        return struct.pack("<Q", len(text)) + text + raw[8 + length :]
    return flip(chance, raw)


def signed_tensors(chance: Random, raw: bytes) -> bytes:
    """Change description or arrays of a file of fastcnn, and sign it anew."""
    with suppress(Exception):
        tensors = safetensors.numpy.load(raw)
        length, = struct.unpack("<Q", raw[:8])
        description = json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["fastcnn"])
        if chance.random() < 0.6:
            description = changed_tree(chance, description)
        else:
            tensors = changed_arrays(chance, tensors)
        if isinstance(description, dict) and "sha256" in description:
            description["sha256"] = files._digest(tensors)
        return safetensors.numpy.save(tensors, metadata={"fastcnn": json.dumps(description)})
    return flip(chance, raw)


def changed_arrays(chance: Random, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    changed = dict(tensors)
    name = chance.choice(sorted(tensors))
    array = changed.pop(name)
    others = (np.zeros(0, np.float32), array.astype(np.float64), array.astype(np.int16), array.reshape(-1), array[None],
              np.float32(3.0), np.full_like(array, 1), np.full(array.shape, np.nan, np.float32),
              np.full(array.shape, 3e38, np.float32), array.astype(bool))
    if chance.random() < 0.8:
        changed[chance.choice((name, name, name, f"{name}x", "model/x", "x"))] = np.asarray(chance.choice(others))
    return changed


def npy_header(chance: Random, raw: bytes) -> bytes:
    """Change the header of an array in an .npz file."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = [(info, archive.read(info)) for info in archive.infolist()]
        chosen = chance.randrange(len(members))
    except Exception:
        return flip(chance, raw)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members with one name
        for index, (info, content) in enumerate(members):
            name = chance.choice((info.filename, "images.npy", "x", "\udcff.npy", "a" * 300)) if chance.random() < 0.1 else (
                info.filename)
            method = chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
            archive.writestr(name.encode("utf-8", "replace").decode(),
                             changed_npy(chance, content) if index == chosen and content else content, method)
    return buffer.getvalue()


def changed_npy(chance: Random, content: bytes) -> bytes:
    old, new = chance.choice(((b"|u1", b"|O"), (b"|u1", b"<f8"), (b"<i8", b"<U1"), (b"<i8", b"<f4"), (b"|u1", b"|b1"),
                              (b"|u1", b"<U999999"), (b"<i8", b"<M8"), (b"False", b"True"), (b"(", b"((("), (b",)", b",-1)"),
                              (b"(", b"(99999999999,"), (b"(", b"(0,"), (b"(", b"(1,"), (b"descr", b"shape"),
                              (b"{", b"[" * 3000), (b"'|u1'", b"[('a', '|u1')]"), (b"\x01\x00", b"\x02\x00"),
                              (b"\x01\x00", b"\x03\x00"), (b"", b"")))
    if old and old in content:
        return content.replace(old, new, 1)
    return chance.choice(GENERIC)(chance, content)


CELLS = ("", "-1", "256", "1e999", "nan", "inf", '"', '""', '"a', "\0", "٣", "9" * 400, "0x10", "1_0", "5.0", "5.5", " 7 ",
         "cat", "1,2", "\n", "\r", "\r\n", "\t", ";", "=1+1", "\ufeff", "é")


def table_cell(chance: Random, raw: bytes) -> bytes:
    rows = [line.split(",") for line in raw.decode("utf-8", "replace").split("\n")]
    row = chance.choice(rows)
    row[chance.randrange(len(row))] = chance.choice(CELLS)
    if chance.random() < 0.2:
        rows.insert(chance.randrange(len(rows)), list(chance.choice(rows)))
    return "\n".join(",".join(row) for row in rows).encode("utf-8", chance.choice(("replace", "backslashreplace")))


def onnx_field(chance: Random, raw: bytes) -> bytes:
    """Change one field of a message in an ONNX file and set all lengths right."""
    with suppress(Exception):
        model = decoded(Model, raw)
        message: Any = model
        while chance.random() < 0.85:
            inner = [value for value in vars(message).values() for value in (value if isinstance(value, list) else [value])
                     if is_dataclass(value)]
            if not inner:
                break
            message = chance.choice(inner)
        name = chance.choice(list(vars(message)))
        setattr(message, name, other_value(chance, getattr(message, name)))
        return encoded(model)
    return flip(chance, raw)


def other_value(chance: Random, value: Any) -> Any:
    if isinstance(value, list) and value:
        index = chance.randrange(len(value))
        others = (value[:index] + value[index + 1 :], [*value, value[index]], value[::-1], value * chance.choice((2, 50)))
        if chance.random() < 0.5 or not isinstance(value[index], int | float | str):
            return chance.choice(others)
        return [*value[:index], other_value(chance, value[index]), *value[index + 1 :]]
    if isinstance(value, str):
        return chance.choice(("", "x", "input", "output", "../x", "Conv", "Mul", "Gather", "Reshape", "Concat", value * 2))
    if isinstance(value, float):
        return chance.choice((0.0, -1.0, 1e30, float("nan"), float("inf"), 2 * value))
    if isinstance(value, int):
        return chance.choice((*NUMBERS, -1, -2, -(1 << 63), value + 1, value - 1))
    return None if value is None else bytes(value)[: chance.randrange(len(value) + 1)]


def png_chunk(chance: Random, raw: bytes) -> bytes:
    """Change the inside of a chunk and set its length and checksum right."""
    chunks, start = [], 8
    while start + 12 <= len(raw):
        size = struct.unpack(">I", raw[start : start + 4])[0]
        if start + 12 + size > len(raw):
            break
        chunks.append((raw[start + 4 : start + 8], raw[start + 8 : start + 8 + size]))
        start += 12 + size
    if not chunks:
        return flip(chance, raw)
    index = chance.randrange(len(chunks))
    kind, content = chunks[index]
    if kind == b"IDAT" and chance.random() < 0.5:
        with suppress(zlib.error):
            content = zlib.compress(chance.choice(GENERIC)(chance, zlib.decompress(content)))
    elif content:
        content = chance.choice(GENERIC)(chance, content)
    kind = chance.choice((kind, kind, kind, b"tRNS", b"PLTE", b"eXIf", b"iCCP", b"zTXt", b"acTL"))
    chunks[index] = (kind, content)
    return raw[:8] + b"".join(struct.pack(">I", len(inner)) + name + inner + struct.pack(">I", zlib.crc32(name + inner))
                              for name, inner in chunks)


def tiff_tag(chance: Random, raw: bytes) -> bytes:
    """Change an entry of the first directory of a TIFF file."""
    if len(raw) < 8 or raw[:2] != b"II":
        return flip(chance, raw)
    start = struct.unpack("<I", raw[4:8])[0]
    count = struct.unpack("<H", raw[start : start + 2])[0] if start + 2 <= len(raw) else 0
    if not count:
        return flip(chance, raw)
    place = start + 2 + 12 * chance.randrange(min(count, 30))
    what, size = chance.choice(((0, 2), (2, 2), (4, 4), (8, 4), (8, 4), (8, 4)))
    number = chance.choice((*NUMBERS, 256, 257, 258, 277, 278, 322, 323, 339, 34665)) & ((1 << 8 * size) - 1)
    return raw[: place + what] + number.to_bytes(size, "little") + raw[place + what + size :]


# Readers


def read_idx_images(path: Path) -> None:
    images = formats.read_idx_images(path, max_bytes=10_000)
    assert images.dtype == np.uint8 and images.ndim == 4 and images.size


def read_idx_labels(path: Path) -> None:
    labels = formats.read_idx_labels(path, 10, max_bytes=10_000)
    assert labels.min() >= 0 and labels.max() <= 9


def read_cifar10(path: Path) -> None:
    images, labels = formats.read_cifar([path], (10,), 5)
    data.Split(images, labels, list("0123456789"))


def read_cifar100(path: Path) -> None:
    images, labels = formats.read_cifar([path], (20, 100), 5)
    data.Split(images, labels, [str(number) for number in range(100)])


def read_archive(path: Path) -> None:
    for images, labels in formats.read_cifar_archive(path, "inner", [["a.bin"], ["t.bin"]], (10,), 5):
        data.Split(images, labels, list("0123456789"))


def read_csv(path: Path) -> None:
    split = data.from_csv(path, (2, 3))
    assert split.images.shape[1:] == (2, 3, 1)
    with suppress(DataFormatError):
        assert data.from_csv(path, label=None).dtype == np.uint8


def read_npz(path: Path) -> None:
    split = data.from_npz(path)
    assert split.images.ndim == 4 and split.labels.max() < len(split.classes)


def read_image(path: Path) -> None:
    image = ImageReader("fuzz", (8, 8, 3), "crop", MAX_PIXELS).read(path)
    assert image.shape == (8, 8, 3)


def read_folder(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        split = data.from_folder(path.parent.parent, (4, 4), on_error="skip", max_pixels=MAX_PIXELS, resize="pad")
    assert split.images.shape[1:] == (4, 4, 3) and len(split) in (1, 2)


def read_model(path: Path) -> None:
    model = training.load(path)
    assert all(np.isfinite(array).all() for array in model.state_dict().values())


def read_checkpoint(path: Path) -> None:
    assert isinstance(training.load_checkpoint(path), dict)


def read_onnx(path: Path) -> None:
    assert isinstance(import_onnx(path), nn.Module)


def resume(path: Path) -> None:
    model, arguments = small_training()
    training.fit(model, **arguments, epochs=2, resume=path)


def small_training() -> tuple[nn.Module, dict[str, Any]]:
    """A network and what `fit` takes for it, but for the epochs."""
    nn.manual_seed(0)
    model = models.create("strided_cnn", (8, 8, 1), 3)
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), np.uint8)
    return model, {"train": data.Split(images, np.arange(6) % 3), "optimizer": optim.Adam(model.parameters(), 1e-3),
                   "schedule": optim.CosineLR(), "batch_size": 3, "progress": False}


# Seeds


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x800 | array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def batch(count: int, labels: int = 1) -> bytes:
    planes = np.random.default_rng(count).integers(0, 256, (count, labels + 3072), np.uint8)
    planes[:, :labels] = np.arange(count)[:, None]
    return planes.tobytes()


def archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (("inner/readme.html", b"hello"), ("inner/a.bin", batch(2)), ("inner/t.bin", batch(1))):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def pictures() -> list[bytes]:
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    colour, seeds = Image.fromarray(pixels), []
    grey = colour.convert("L")
    for image, kind, options in (
            (colour, "PNG", {}), (grey, "PNG", {}), (colour.quantize(8), "PNG", {}), (grey.convert("I;16"), "PNG", {}),
            (colour, "JPEG", {}), (grey, "JPEG", {"progressive": True}), (colour.quantize(8), "GIF", {}),
            (colour, "TIFF", {}), (colour, "TIFF", {"compression": "tiff_lzw"}), (colour, "BMP", {}), (colour, "PPM", {}),
            (grey, "TIFF", {"compression": "tiff_deflate"}), (colour, "WEBP", {}), (colour, "WEBP", {"lossless": True}),
            (grey.convert("I;16"), "PPM", {})):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        seeds.append(buffer.getvalue())
    return seeds


def saved(write: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "file.safetensors")
        return next(Path(folder).iterdir()).read_bytes()


def checkpoint() -> bytes:
    def write(path: Path) -> None:
        model, arguments = small_training()
        training.fit(model, **arguments, epochs=1, callbacks=[training.Checkpoint(path.parent)])
        written = next(path.parent.iterdir())
        state = training.load_checkpoint(written)
        del state["model"]
        for timed in (state, *state["history"]):  # the same bytes in every process
            timed |= {name: 1.0 for name in ("seconds", "images_per_second") if name in timed}
        save_checkpoint(model, written, state)

    return saved(write)


def graphs() -> list[bytes]:
    """Networks with most of what a graph can have, small enough for mutations to hit all of it."""
    nn.manual_seed(1)
    block = nn.Sequential(nn.Conv2D(2, 2, 3, padding=1, groups=2), nn.GroupNorm(1, 2), nn.SiLU())
    branches = nn.Concat(nn.Identity(), nn.AvgPool2D(3, 1, 1), nn.AdaptiveMaxPool2D((4, 5)))
    large = nn.Sequential(nn.ConvTranspose2D(1, 2, 2), nn.BatchNorm(2), nn.Residual(block), branches, nn.Pad2D(1),
                          nn.Upsample2D(2), nn.GELU(), nn.Flatten(), nn.Dropout(), nn.Linear(1008, 3))
    small = nn.Sequential(nn.Reshape(3, 2, 1), nn.LayerNorm(1), nn.Softplus(2.0), nn.GlobalAvgPool2D(), nn.Softmax())
    seeds = []
    for model, shape in ((large, (3, 4, 1)), (small, (6,))):
        seeds.append(saved(lambda path, model=model, shape=shape: export_onnx(model, path, shape)))  # type: ignore[misc]
    return seeds


def packed(raw: bytes) -> bytes:
    return gzip.compress(raw, 1, mtime=0)


LABELS = np.array([0, 9, 3, 3, 1])
IMAGES = np.random.default_rng(1).integers(0, 256, (5, 4, 3), np.uint8)
TABLE = b"label,a,b,c,d,e,f\n" + b"".join(b"%d,%d,5,6,7,8,255\n" % (row, row * 9) for row in range(8))


@dataclass(frozen=True)
class Format:
    """A kind of file: intact ones, what reads it, mutations that know it, and its share of the inputs."""

    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], None]
    own: tuple[Mutation, ...] = ()
    share: int = 10
    ending: str = ""
    memory: int = MOST_MEMORY
    errors: tuple[type[Exception], ...] = OURS


FORMATS = {
    "idx": Format(lambda: [idx(IMAGES), idx(LABELS)], read_idx_images, share=20),
    "idx-labels": Format(lambda: [idx(LABELS)], read_idx_labels, share=20),
    "idx-gz": Format(lambda: [packed(idx(IMAGES))], read_idx_images, (inside_gzip(),), 20),
    "cifar10": Format(lambda: [batch(2), batch(1)], read_cifar10),
    "cifar100": Format(lambda: [batch(2, 2)], read_cifar100),
    "tar": Format(lambda: [archive()], read_archive, (tar_header,)),
    "tar-gz": Format(lambda: [packed(archive())], read_archive, (inside_gzip((*GENERIC, *[tar_header] * 9)),), 5),
    "csv": Format(lambda: [TABLE, TABLE.replace(b"\n0", b'\n"x"'), TABLE[18:]], read_csv, (table_cell,), 20),
    "csv-gz": Format(lambda: [packed(TABLE)], read_csv, (inside_gzip((*GENERIC, *[table_cell] * 9)),), 10, ".csv.gz"),
    "npz": Format(lambda: [npz(images=IMAGES, labels=LABELS, classes=np.array(list("abcdefghij"))), npz(x=IMAGES, y=LABELS)],
                  read_npz, (npy_header,), 10, ".npz"),
    "image": Format(pictures, read_image, (png_chunk, tiff_tag), 20, "", MOST_MEMORY + 12 * MAX_PIXELS),
    "folder": Format(pictures, read_folder, (png_chunk, tiff_tag), 3, ".png", MOST_MEMORY + 12 * MAX_PIXELS),
    "safetensors": Format(lambda: [saved(lambda path: training.save(small_training()[0], path))], read_model,
                          (tensors_header, signed_tensors, signed_tensors), 5),
    "checkpoint": Format(lambda: [checkpoint()], read_checkpoint, (tensors_header, signed_tensors), 10),
    "onnx": Format(graphs, read_onnx, (onnx_field, onnx_field), 5),
    # A run that goes on may compile kernels.
    "resume": Format(lambda: [checkpoint()], resume, (signed_tensors,), 1, "", 6 * MOST_MEMORY, (*OURS, NonFiniteError)),
}


@cache
def seeds_of(name: str) -> list[bytes]:
    """The intact files of a format."""
    return FORMATS[name].seeds()


def made(name: str, seed: int, number: int) -> bytes:
    """The mutated input of this number."""
    chance = Random(f"{name} {seed} {number}")
    raw = chance.choice(seeds_of(name))
    return mutated(chance, raw, seeds_of(name), FORMATS[name].own)


# Running


@dataclass
class Report:
    """What became of the inputs of one format."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    memory: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Count another report in."""
        self.inputs += other.inputs
        self.outcomes += other.outcomes
        self.seconds, self.memory = max(self.seconds, other.seconds), max(self.memory, other.memory)
        self.failures += other.failures

    def line(self, name: str) -> str:
        """One line of the table."""
        refused = ", ".join(f"{kind} {count:,}" for kind, count in self.outcomes.most_common() if kind != "accepted")
        return (f"{name:12}{self.inputs:>9,}{self.outcomes['accepted']:>10,}{self.seconds:>9.3f}{self.memory / 2**20:>8.1f}"
                f"{len(self.failures):>9}  {refused}")


def again(name: str, seed: int, number: int) -> str:
    """The command that repeats one input."""
    return f"python -m tests.fuzz --format {name} --seed {seed} --first {number} --count 1"


def peak() -> int:
    """Bytes that the process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def held() -> int:
    """Bytes that the process holds now, where the system tells."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return peak()


class Runner:
    """Tries inputs of one format, one after the other, in a file of its own."""

    def __init__(self, name: str, seed: int, folder: Path, keep: Path | None = None) -> None:
        """Write the intact file beside it where the format is a folder, and read each seed once."""
        self.name, self.seed, self.keep, self.format = name, seed, keep, FORMATS[name]
        self.path = folder / f"{name}-{os.getpid()}" / "class" / f"file{self.format.ending}"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if name == "folder":
            (self.path.parent / "good.png").write_bytes(seeds_of(name)[0])
        for raw in seeds_of(name):
            self.path.write_bytes(raw)
            with suppress(*self.format.errors):
                self.format.read(self.path)

    def run(self, number: int, report: Report) -> None:
        """Try one input and count what came of it."""
        raw = made(self.name, self.seed, number)
        self.path.write_bytes(raw)
        before, highest, started = held(), peak(), time.process_time()
        outcome, fault = "accepted", ""
        try:
            self.format.read(self.path)
        except self.format.errors as error:
            outcome = type(error).__name__
        except Exception as error:
            outcome = f"{type(error).__name__}!"
            frame = traceback.extract_tb(error.__traceback__)[-1]
            fault = f"{type(error).__name__}: {str(error)[:150]!r} at {Path(frame.filename).name}:{frame.lineno}"
        seconds, reached = time.process_time() - started, peak()
        memory = reached - before if reached > highest else 0  # else no more than an input before
        if not fault and seconds > MOST_SECONDS:
            fault = f"{seconds:.1f} s"
        if not fault and memory > self.format.memory + 2 * len(raw):
            fault = f"{memory:,} bytes of memory for {len(raw):,}"
        report.inputs += 1
        report.outcomes[outcome] += 1
        report.seconds, report.memory = max(report.seconds, seconds), max(report.memory, memory)
        if fault:
            report.failures.append(f"{again(self.name, self.seed, number)}   # {fault}")
            if self.keep is not None:
                self.keep.mkdir(parents=True, exist_ok=True)
                (self.keep / f"{self.name}-{self.seed}-{number}{self.format.ending}").write_bytes(raw)


Task = tuple[str, int, int, int]  # format, seed, first number, how many
_LONGEST_WAIT = 30.0  # seconds for one input, in which a busy machine does what takes it a tenth of one


def tasks(names: list[str], seed: int, first: int, count: int, size: int = 2000) -> Iterator[Task]:
    """Divide the inputs among the formats, and into pieces."""
    total = sum(FORMATS[name].share for name in names)
    for name in names:
        share = -(-count * FORMATS[name].share // total)
        for start in range(first, first + share, size):
            yield name, seed, start, min(size, first + share - start)


def work(task: Task, folder: str, keep: Path | None, connection: Any) -> None:
    """Run one piece in a process of its own, and tell after each input how far it is."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what decoders in C print
    name, seed, first, count = task
    runner, report = Runner(name, seed, Path(folder), keep), Report()
    for number in range(first, first + count):
        connection.send(number)
        faulthandler.dump_traceback_later(_LONGEST_WAIT, exit=True)
        runner.run(number, report)
    faulthandler.cancel_dump_traceback_later()
    connection.send(report)


def run_piece(task: Task, folder: str, keep: Path | None) -> Report:
    """Run a piece; what ends or stops the process is a failure, and the rest goes on behind it."""
    name, seed, first, count = task
    total = Report()
    while count:
        receiver, sender = multiprocessing.Pipe(False)
        piece = (name, seed, first, count)
        process = multiprocessing.get_context("fork").Process(target=work, args=(piece, folder, keep, sender))
        process.start()
        sender.close()
        number, report = first - 1, None
        with suppress(EOFError):
            while report is None:
                came = receiver.recv()
                number, report = (came, None) if isinstance(came, int) else (number, came)
        process.join()
        if report is not None:
            total.add(report)
            break
        ended = f"signal {signal.Signals(-process.exitcode).name}" if process.exitcode < 0 else "no answer in time"
        failure = f"{again(name, seed, number)}   # {ended}"
        total.add(Report(number + 1 - first, Counter({"process ended!": 1}), failures=[failure]))
        count -= number + 1 - first
        first = number + 1
    return total


def main() -> int:
    """Run what the command line says and print the table; 1 where an input failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", action="append", choices=sorted(FORMATS), help="all, where not given")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each format")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--keep", type=Path, help="folder for inputs that failed")
    arguments = parser.parse_args()
    names = arguments.format or list(FORMATS)
    reports = {name: Report() for name in names}
    for name in names:
        seeds_of(name)  # once, before the processes divide
    started = time.monotonic()
    root = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=root) as folder, multiprocessing.pool.ThreadPool(arguments.jobs) as pool:
        pieces = list(tasks(names, arguments.seed, arguments.first, arguments.count))
        results = pool.imap_unordered(lambda task: (task[0], run_piece(task, folder, arguments.keep)), pieces)
        for name, report in results:
            reports[name].add(report)
            for failure in report.failures:
                print(failure, flush=True)
    print(f"{'format':12}{'inputs':>9}{'accepted':>10}{'slowest':>9}{'MiB':>8}{'failures':>9}  refused")
    for name in names:
        print(reports[name].line(name))
    total, seconds = sum(report.inputs for report in reports.values()), time.monotonic() - started
    print(f"{total:,} inputs in {seconds:.0f} s, {total / seconds:,.0f} a second")
    return int(any(report.failures for report in reports.values()))


if __name__ == "__main__":
    sys.exit(main())
