"""Child processes of drivers: never through a shell, always with an end, limited when asked."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE

from msgspec import Struct

from aerostat.kit.errors import Unavailable

STDERR_CHARS_MAX = 2000


class Limits(Struct, frozen=True):
    """What a child that reads hostile data may use. Source: nova, oslo.concurrency prlimit."""

    cpu_s: int = 30
    address_space_bytes: int = 1 << 30

    def argv(self) -> list[str]:
        """Return the prefix of a command that runs under these limits."""
        return ["prlimit", f"--cpu={self.cpu_s}", f"--as={self.address_space_bytes}", "--"]


class CommandFailed(Unavailable):
    """A program on the host failed."""

    code = "command_failed"

    def __init__(self, argv: tuple[str, ...], status: int | None, stderr: str) -> None:
        super().__init__(f"{argv[0]} failed on the host.", detail=f"{argv}: {status}: {stderr}")
        self.status = status
        self.stderr = stderr


async def run(*argv: str, timeout_s: float = 120.0, limits: Limits | None = None) -> bytes:
    """Return what the program printed, when it ended well. Raises: CommandFailed."""
    full = [*(limits.argv() if limits else []), *argv]
    child = await asyncio.create_subprocess_exec(*full, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
    try:
        out, err = await asyncio.wait_for(child.communicate(), timeout_s)
    except BaseException as why:
        if child.returncode is None:
            child.kill()
            await child.wait()
        if isinstance(why, TimeoutError):
            raise CommandFailed(argv, None, f"no end after {timeout_s} s") from why
        raise
    if child.returncode != 0:
        raise CommandFailed(
            argv, child.returncode, err.decode(errors="replace")[-STDERR_CHARS_MAX:]
        )
    return out
