"""Unpacks compressed image data piece by piece: gzip, xz, bzip2, and zip with one file in it."""

import bz2
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from aerostat.kit.errors import Unsupported

PIECE_BYTES = 1 << 20


def unpack(path: Path) -> Iterator[bytes] | None:
    """Return what is in the file, None if it is not compressed; at most 1 MiB at a time.

    Raises (while it is read): Unsupported (broken, or several files).
    """
    with path.open("rb") as file:
        head = file.read(6)
    for magic, opened in OPEN.items():
        if head.startswith(magic):
            return _pieces(path, opened)
    return None


def _zipped(path: Path) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    names = archive.namelist()
    if len(names) != 1:
        raise Unsupported("The archive must hold one file.")
    return archive.open(names[0])


def _pieces(path: Path, opened: Callable[[Path], Any]) -> Iterator[bytes]:
    try:
        with opened(path) as file:
            while piece := file.read(PIECE_BYTES):
                yield piece
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError) as why:
        raise Unsupported("The compressed data is broken.") from why


def _gzipped(path: Path) -> Any:
    import gzip

    return gzip.open(path)


OPEN: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": _gzipped,
    b"\xfd7zXZ\0": lzma.open,
    b"BZh": bz2.open,
    b"PK\x03\x04": _zipped,
}
"""Signature -> what opens such a file."""
