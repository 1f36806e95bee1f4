"""Has images written in another format by qemu-img, in a limited process of its own.

It gets the format that the inspection found and never guesses. Source: OSSA-2024-001.
"""

import asyncio
import contextlib
from pathlib import Path

from aerostat.kit.errors import Unavailable, Unsupported
from aerostat.kit.log import Logger

log = Logger("glance.converter")
QEMU_NAMES = {"vhd": "vpc"}
MEMORY_BYTES = 1 << 30
SAID_MAX = 500


async def convert(source: Path, kind: str, to: Path, wanted: str, limit: tuple[int, float]) -> None:
    """Write `source`, which is of format `kind`, to the file `to` as `wanted`.

    `limit`: bytes of the result at most, and seconds. Raises: Unsupported (it cannot be
    converted), Unavailable (qemu-img is missing, or takes too long).
    """
    most, timeout_s = limit
    names = QEMU_NAMES.get(kind, kind), QEMU_NAMES.get(wanted, wanted)
    limits = [f"--as={MEMORY_BYTES}", f"--fsize={most}", f"--cpu={int(timeout_s) + 1}"]
    command = ["prlimit", *limits, "--", "qemu-img", "convert", "-f", names[0], "-O", names[1]]
    try:
        child = await asyncio.create_subprocess_exec(
            *command, str(source), str(to),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, env={"PATH": "/usr/bin:/bin"}, cwd="/",
        )  # fmt: skip
    except OSError as why:
        raise Unavailable("Images cannot be converted now.", detail=repr(why)) from why
    try:
        _, said = await asyncio.wait_for(child.communicate(), timeout_s)
    except BaseException as why:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        if isinstance(why, TimeoutError):
            raise Unavailable("The image took too long to convert.") from why
        raise
    if child.returncode == 127:
        raise Unavailable("Images cannot be converted: qemu-img is missing.")
    if child.returncode:
        log.warning("converter.failed", said=said[:SAID_MAX].decode("latin-1"))
        raise Unsupported(f"The image cannot be converted from {kind} to {wanted}.")
