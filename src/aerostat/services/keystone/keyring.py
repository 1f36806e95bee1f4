"""Keys in a directory, rotated so that no token in use stops to count.

File 0 is the staged key (known to all, used by nobody yet), the highest number is the primary
one that signs, those between were primary before. Copies that share the directory, or are
given its files in turn, never meet a token whose key they lack: a key is staged for a whole
rotation before it signs. Source: keystone, "Fernet key rotation".
"""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class KeyRepository:
    """The keys under `path`; made by `make` at the first start, with mode 0600."""

    def __init__(self, path: Path, make: Callable[[], bytes], max_active_keys: int = 3) -> None:
        self._path, self._make = path, make
        self._max = max(max_active_keys, 2)
        self._stamp = 0
        self.keys: tuple[bytes, ...] = ()
        if not self._numbers():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._first(0)
            self._first(1)
        self.reload()

    def reload(self, *, sure: bool = False) -> bool:
        """Read the keys again, primary first, if the directory changed (`sure`: in any case).

        Tells whether the keys are others now.
        """
        stamp = self._path.stat().st_mtime_ns
        if stamp == self._stamp and not sure:
            return False
        before, self.keys, self._stamp = self.keys, self._read(), stamp
        return self.keys != before

    def _read(self) -> tuple[bytes, ...]:
        while True:
            try:
                files = [self._path / str(number) for number in reversed(self._numbers())]
                return tuple(file.read_bytes().strip() for file in files)
            except FileNotFoundError:
                continue  # A rotation renamed one meanwhile; it takes a moment.

    def rotate(self) -> None:
        """Make the staged key the primary one, stage a new one, drop the oldest."""
        numbers = self._numbers()
        os.rename(self._path / "0", self._path / str(numbers[-1] + 1))
        self._write(0, self._make())
        numbers = self._numbers()
        for number in numbers[1 : 1 + max(len(numbers) - self._max, 0)]:
            (self._path / str(number)).unlink()
        self.reload()

    def _numbers(self) -> list[int]:
        if not self._path.is_dir():
            return []
        return sorted(int(p.name) for p in self._path.iterdir() if p.name.isdecimal())

    def _first(self, number: int) -> None:
        """Make a key, unless another process that starts at the same time made it."""
        scratch = self._scratch(self._make())
        try:
            os.link(scratch, self._path / str(number))
        except FileExistsError:
            pass
        finally:
            scratch.unlink()

    def _write(self, number: int, key: bytes) -> None:
        os.rename(self._scratch(key), self._path / str(number))

    def _scratch(self, key: bytes) -> Path:
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".new", dir=self._path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            os.fsync(file.fileno())
        return Path(name)


class Keyring:
    """Fernet keys: signs and encrypts with the primary one, reads what any of them made."""

    def __init__(self, path: Path, max_active_keys: int = 3) -> None:
        self._repository = KeyRepository(path, Fernet.generate_key, max_active_keys)
        self._fernet = MultiFernet([Fernet(key) for key in self._repository.keys])

    def encrypt(self, payload: bytes) -> str:
        """Return `payload` signed and encrypted with the primary key, without padding."""
        self._refresh()
        return self._fernet.encrypt(payload).decode().rstrip("=")

    def decrypt(self, text: str) -> bytes:
        """Return the payload. Raises: ValueError (not made by any of our keys)."""
        raw = text.encode("ascii", "replace")
        raw += b"=" * (-len(raw) % 4)
        for sure in (False, True):
            self._refresh(sure=sure)
            try:
                return self._fernet.decrypt(raw)
            except InvalidToken as why:
                if sure:
                    raise ValueError("not signed by this cloud") from why
        raise AssertionError

    @property
    def primary_hash(self) -> str:
        """A name of the primary key that does not give it away."""
        self._refresh()
        return hashlib.sha256(self._repository.keys[0]).hexdigest()

    def rotate(self) -> None:
        """Make the staged key the primary one; what was made with the others stays readable."""
        self._repository.rotate()
        self._fernet = MultiFernet([Fernet(key) for key in self._repository.keys])

    def _refresh(self, *, sure: bool = False) -> None:
        if self._repository.reload(sure=sure):  # Another process rotated the keys.
            self._fernet = MultiFernet([Fernet(key) for key in self._repository.keys])
