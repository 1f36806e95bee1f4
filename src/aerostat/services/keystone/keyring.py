"""Fernet keys in a directory, rotated so that no token in use stops to count.

File 0 is the staged key (known to all, used by nobody yet), the highest number is the primary
one that signs, those between were primary before. Source: keystone, "Fernet key rotation".
"""

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Keyring:
    """The keys under `path`; made at the first start, with mode 0600."""

    def __init__(self, path: Path, max_active_keys: int = 3) -> None:
        self._path = path
        self._max = max(max_active_keys, 2)
        self._seen: tuple[str, ...] = ()
        self._fernet = MultiFernet([Fernet(Fernet.generate_key())])
        if not self._numbers():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(0, Fernet.generate_key())
            self._write(1, Fernet.generate_key())
        self.reload()

    def encrypt(self, payload: bytes) -> str:
        """Return `payload` signed and encrypted with the primary key, without padding."""
        return self._fernet.encrypt(payload).decode().rstrip("=")

    def decrypt(self, text: str) -> bytes:
        """Return the payload. Raises: ValueError (not made by any of our keys)."""
        raw = text.encode("ascii", "replace")
        raw += b"=" * (-len(raw) % 4)
        try:
            return self._fernet.decrypt(raw)
        except InvalidToken as why:
            if not self.reload():  # Another process may have rotated the keys.
                raise ValueError("not signed by this cloud") from why
        try:
            return self._fernet.decrypt(raw)
        except InvalidToken as why:
            raise ValueError("not signed by this cloud") from why

    def reload(self) -> bool:
        """Read the keys again; tell whether they changed."""
        numbers = self._numbers()
        keys = tuple((self._path / str(number)).read_text().strip() for number in reversed(numbers))
        if keys == self._seen:
            return False
        self._seen = keys
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        return True

    def rotate(self) -> None:
        """Make the staged key the primary one, stage a new one, drop the oldest."""
        numbers = self._numbers()
        os.rename(self._path / "0", self._path / str(numbers[-1] + 1))
        self._write(0, Fernet.generate_key())
        numbers = self._numbers()
        for number in numbers[1 : 1 + max(len(numbers) - self._max, 0)]:
            (self._path / str(number)).unlink()
        self.reload()

    def _numbers(self) -> list[int]:
        if not self._path.is_dir():
            return []
        return sorted(int(p.name) for p in self._path.iterdir() if p.name.isdecimal())

    def _write(self, number: int, key: bytes) -> None:
        scratch = self._path / f".{number}.new"
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            f.write(key)
            os.fsync(f.fileno())
        os.rename(scratch, self._path / str(number))
