"""A part of a file, for those who want its bytes and for those who hand it to the kernel."""

from collections.abc import AsyncIterator
from pathlib import Path

ZERO_COPY = "http.response.zerocopysend"
"""The ASGI extension by which a server takes a file instead of its bytes."""


class FileSpan:
    """`length` bytes of the file `path` from `start`; iterated, it yields `pieces`."""

    def __init__(self, path: Path, start: int, length: int, pieces: AsyncIterator[bytes]) -> None:
        self.path, self.start, self.length = path, start, length
        self._pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)
