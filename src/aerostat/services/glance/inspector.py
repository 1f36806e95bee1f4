"""Has image files inspected by a limited process of its own."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from msgspec import Struct

from aerostat.kit.errors import Unavailable, Unsupported
from aerostat.kit.log import Logger

SCRIPT = Path(__file__).with_name("inspection.py")
ANSWER_MAX = 4096
PARALLEL = 4
RAW_ALIKE = frozenset({"raw", "ami", "ari", "aki"})

log = Logger("glance.inspection")


class UnacceptableImage(Unsupported):
    """The image data is not what the image says, or must never be opened."""

    code = "unacceptable_image"


class Finding(Struct, frozen=True):
    """What the data is: the format, named as disk_format names it, and its size in bytes."""

    disk_format: str
    virtual_size: int


class Inspector:
    """Runs inspections, a few at a time."""

    def __init__(self, timeout_s: float, memory_mib: int) -> None:
        self._timeout_s, self._memory = timeout_s, str(memory_mib << 20)
        self._slots = asyncio.Semaphore(PARALLEL)

    async def inspect(self, path: Path) -> Finding:
        """Return what the file at `path` is. Raises: UnacceptableImage, Unavailable."""
        async with self._slots:
            answer = await self._ask(path)
        verdict, _, said = answer.partition(" ")
        if verdict == "ok":
            name, size = said.split(" ")
            return Finding(name, int(size))
        if verdict == "hostile":
            raise UnacceptableImage(f"Image is unacceptable: {said}.")
        raise UnacceptableImage("Image is unacceptable: it cannot be inspected.")

    async def _ask(self, path: Path) -> str:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", str(SCRIPT), self._memory,
                stdin=fd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                env={}, cwd="/", close_fds=True,
            )  # fmt: skip
        except OSError as why:
            raise Unavailable("The image cannot be inspected now.", detail=repr(why)) from why
        finally:
            os.close(fd)
        try:
            out, _ = await asyncio.wait_for(child.communicate(), self._timeout_s)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):  # It may just have ended.
                child.kill()
            await child.wait()
            return ""
        if child.returncode != 0:
            log.warning("inspection.died", returncode=child.returncode)
            return ""
        return out[:ANSWER_MAX].decode("utf-8", "replace")


def check(finding: Finding, disk_format: str) -> None:
    """Refuse data that is not what `disk_format` says. Raises: UnacceptableImage."""
    found = finding.disk_format
    if found == disk_format or (found == "raw" and disk_format in RAW_ALIKE):
        return
    raise UnacceptableImage(
        f"Image content does not match disk_format: it is {found}, not {disk_format}."
    )
