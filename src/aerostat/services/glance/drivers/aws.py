"""Signs requests as Amazon's services want it. Source: AWS Signature Version 4, S3 variant."""

import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from aerostat.kit.clock import Clock

EMPTY = hashlib.sha256(b"").hexdigest()
PIECE_BYTES = 1 << 20


class Signer:
    """Signs with one key for one region's S3."""

    def __init__(self, access_key: str, secret_key: str, region: str, clock: Clock) -> None:
        self._access, self._secret = access_key, secret_key
        self._region, self._clock = region, clock

    def headers(
        self, method: str, host: str, where: tuple[str, dict[str, str]], hashed: str
    ) -> dict[str, str]:
        """Return the headers that sign a request for `where` (quoted path, query).

        `hashed`: the SHA-256 of the body in hexadecimal.
        """
        path, query = where
        stamp = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        signed = {"host": host, "x-amz-content-sha256": hashed, "x-amz-date": stamp}
        pairs = sorted((quote(k, safe="~"), quote(v, safe="~")) for k, v in query.items())
        names = ";".join(signed)
        canonical = "\n".join([
            method, path, "&".join(f"{k}={v}" for k, v in pairs),
            *(f"{k}:{v}" for k, v in signed.items()), "", names, hashed,
        ])  # fmt: skip
        scope = f"{stamp[:8]}/{self._region}/s3/aws4_request"
        hashed_request = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashed_request}"
        signature = hmac.new(self._key(stamp[:8]), text.encode(), "sha256").hexdigest()
        credential = f"Credential={self._access}/{scope}"
        signed["authorization"] = (
            f"AWS4-HMAC-SHA256 {credential},SignedHeaders={names},Signature={signature}"
        )
        return signed

    def _key(self, day: str) -> bytes:
        key = f"AWS4{self._secret}".encode()
        for part in (day, self._region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), "sha256").digest()
        return key


def digest(source: Path | bytes, start: int = 0, length: int = 0) -> str:
    """Return the SHA-256 of bytes, or of `length` bytes of a file from `start`."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    hashing = hashlib.sha256()
    with source.open("rb") as file:
        file.seek(start)
        while length and (piece := file.read(min(PIECE_BYTES, length))):
            hashing.update(piece)
            length -= len(piece)
    return hashing.hexdigest()
