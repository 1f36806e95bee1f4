"""Passwords and secrets as bcrypt hashes, made in a few threads so that the loop goes on."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import bcrypt

BCRYPT_BYTES_MAX = 72
"""What bcrypt looks at; upstream cuts longer passwords, and so do we."""


class Hasher:
    """Hashes and checks; `rounds` is the cost as a power of two."""

    def __init__(self, rounds: int, threads: int) -> None:
        self._rounds = max(4, min(rounds, 31))
        self._pool = ThreadPoolExecutor(threads, "bcrypt")
        self._dummy = ""

    async def hash(self, password: str) -> str:
        """Return the `$2b$` hash of `password`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._hash, password)

    async def verify(self, password: str, hashed: str) -> bool:
        """Tell whether `password` is the one; an empty hash costs as much and is never it."""
        known = hashed or await self._decoy()
        loop = asyncio.get_running_loop()
        same = await loop.run_in_executor(self._pool, _check, password, known)
        return same and bool(hashed)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False)

    async def _decoy(self) -> str:
        if not self._dummy:
            self._dummy = await self.hash("nobody has this password")
        return self._dummy

    def _hash(self, password: str) -> str:
        return bcrypt.hashpw(_cut(password), bcrypt.gensalt(self._rounds)).decode()


def _check(password: str, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(_cut(password), hashed.encode())
    except ValueError:
        return False


def _cut(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")[:BCRYPT_BYTES_MAX]
