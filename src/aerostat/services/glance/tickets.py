"""Download tickets: proof, for some minutes, that the holder may read one image."""

import contextlib
import hmac
import os
from pathlib import Path

KEY_BYTES = 32
UPLOAD = "upload:"
"""Before an image's id: the ticket is for giving it its data, not for reading it."""


class Tickets:
    """Signs with the key in the file `path`, which is made at the first start (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self._key = _key(path)

    def issue(self, image_id: str, expires_at: int) -> str:
        """Return a ticket that opens `image_id` until `expires_at` (seconds since the epoch)."""
        return f"{expires_at}.{self._sign(image_id, expires_at)}"

    def opens(self, ticket: str, image_id: str, now: float) -> bool:
        """Tell whether `ticket` opens `image_id` now."""
        text, _, signature = ticket.partition(".")
        if not (text.isascii() and text.isdecimal() and len(text) < 16 and signature.isascii()):
            return False
        expected = self._sign(image_id, int(text))
        return hmac.compare_digest(expected, signature) and now < int(text)

    def _sign(self, image_id: str, expires_at: int) -> str:
        return hmac.new(self._key, f"{image_id}\n{expires_at}".encode(), "sha256").hexdigest()


def _key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(os.urandom(KEY_BYTES))
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):  # Copies that start together have one.
        os.link(scratch, path)
    scratch.unlink()
    return path.read_bytes()
