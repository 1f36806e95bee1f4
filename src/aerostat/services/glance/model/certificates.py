"""What glance needs of a key manager."""

from typing import Protocol


class Certificates(Protocol):
    """Keeps the certificates of those who sign images."""

    async def get(self, *, certificate_id: str) -> bytes:
        """Return an X.509 certificate in DER. Raises: NotFound, Unavailable."""
        ...
