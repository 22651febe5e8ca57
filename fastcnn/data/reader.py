"""Files read once, front to back: gzip is unpacked on the way, and what comes out is bounded."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..shapes import DataFormatError

CHUNK = 1 << 18
GZIP_RATIO = 1032  # deflate never packs better than this
_PACKED_CHUNK = 1 << 14  # small: each member of a gzip file copies what is left of it
_GZIP_START = b"\x1f\x8b"
Fault = Callable[[str, str], DataFormatError]  # of what came and what was expected


def require_file(path: Path, fault: Fault) -> None:
    """Refuse folders, and pipes and devices, which might never end."""
    if path.is_dir():
        raise fault("a folder", "a file")
    if path.exists() and not path.is_file():
        raise fault("a pipe or a device", "a regular file")


def is_packed(file: io.BufferedReader) -> bool:
    """Whether a file that is about to be read is gzipped."""
    return file.peek(2)[:2] == _GZIP_START


class Reader(io.RawIOBase):
    """Reads an open file, and never gives more than `most` bytes in all; what is wrong becomes a `fault`.

    A gzip file may have several members, as `cat a.gz b.gz` and bgzip make them, and zeros behind them.
    """

    def __init__(self, file: BinaryIO, most: float, fault: Fault, *, packed: bool) -> None:
        """Begin with the first member."""
        self.most = most
        self.given = 0
        self.fault = fault
        self._file = file
        # zlib itself rather than the gzip module: a member's header is read in C, where none is too long.
        self._unpacker = zlib.decompressobj(wbits=31) if packed else None
        self.capacity = os.fstat(file.fileno()).st_size * (GZIP_RATIO if packed else 1)

    def readable(self) -> bool:
        """Return True, as a text wrapper wants to know."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill part of the buffer; 0 at the end of the file."""
        data = self.piece(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def piece(self, size: int) -> bytes:
        """Return 1 to `size` bytes, none at the end of the file."""
        data = self._file.read(size) if self._unpacker is None else self._inflate(size)
        self.given += len(data)
        if self.given > self.most:
            raise self.fault(f"more than {self.most} bytes unpacked", "no more than that")
        return data

    def _inflate(self, size: int) -> bytes:
        assert self._unpacker is not None
        while True:
            packed = self._unpacker.unconsumed_tail or self._unpacker.unused_data or self._file.read(_PACKED_CHUNK)
            if self._unpacker.eof:
                packed = self._next_member(packed)
                if not packed:
                    return b""
            try:
                data = self._unpacker.decompress(packed, size)
            except zlib.error as error:
                raise self.fault(f"damaged gzip data ({error})", "an intact gzip file") from None
            if data:
                return data
            if not packed and not self._unpacker.eof:
                raise self.fault("the gzip data ends early", "a complete file")

    def _next_member(self, packed: bytes) -> bytes:
        """Begin the next member and return its bytes, none at the end of the file."""
        while packed and not packed.strip(b"\0"):
            packed = self._file.read(_PACKED_CHUNK)
        packed = packed.lstrip(b"\0")
        if packed:
            packed += self._file.read(1) if len(packed) == 1 else b""
            if packed[:2] != _GZIP_START:
                raise self.fault("more bytes after the end of the gzip data", "nothing there")
            self._unpacker = zlib.decompressobj(wbits=31)
        return packed

    def chunks(self, size: int, what: str) -> Iterator[bytes]:
        """Give exactly `size` bytes, piece by piece."""
        while size:
            data = self.piece(min(size, CHUNK))
            if not data:
                raise self.fault(f"the file ends within {what}", f"{size} more bytes")
            size -= len(data)
            yield data

    def take(self, size: int, what: str) -> bytes:
        """Return exactly `size` bytes in one piece."""
        return b"".join(self.chunks(size, what))

    def skip(self, size: int) -> None:
        """Pass over `size` bytes."""
        for _ in self.chunks(size, "a part that is passed over"):
            pass

    def expect_end(self) -> None:
        """Raise DataFormatError unless the file, and its gzip checksum, end here."""
        if self.piece(1):
            raise self.fault(f"more bytes after the first {self.given - 1}", "the end of the file")
