"""JSON web signatures (ES256) under keys that rotate like Fernet's. Source: RFC 7515, RFC 7518."""

import base64
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from aerostat.services.keystone.keyring import KeyRepository

HEADER = {"alg": "ES256", "typ": "JWT"}
_ES256 = ec.ECDSA(hashes.SHA256())


class Signer:
    """Signs with the primary key and knows what any key of the repository signed."""

    def __init__(self, path: Path, max_active_keys: int = 3) -> None:
        self._repository = KeyRepository(path, _new_key, max_active_keys)
        self._keys = [_load(pem) for pem in self._repository.keys]

    def sign(self, payload: bytes) -> str:
        """Return the compact serialization of `payload`."""
        self._refresh()
        signed = f"{_text(msgspec.json.encode(HEADER))}.{_text(payload)}"
        r, s = utils.decode_dss_signature(self._keys[0].sign(signed.encode(), _ES256))
        return f"{signed}.{_text(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def verify(self, text: str) -> bytes:
        """Return the payload. Raises: ValueError (another algorithm, or not signed by us)."""
        signed, _, signature = text.rpartition(".")
        header, _, payload = signed.partition(".")
        raw = _raw(signature)
        if len(raw) != 64 or msgspec.json.decode(_raw(header)).get("alg") != HEADER["alg"]:
            raise ValueError("not signed by this cloud")
        half = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
        der = utils.encode_dss_signature(*half)
        for sure in (False, True):
            self._refresh(sure=sure)
            if any(_signed(key, der, signed.encode()) for key in self._keys):
                return _raw(payload)
        raise ValueError("not signed by this cloud")

    def rotate(self) -> None:
        """Make the staged key the primary one; what the others signed stays good."""
        self._repository.rotate()
        self._keys = [_load(pem) for pem in self._repository.keys]

    def _refresh(self, *, sure: bool = False) -> None:
        if self._repository.reload(sure=sure):
            self._keys = [_load(pem) for pem in self._repository.keys]


def _new_key() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _load(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def _signed(key: ec.EllipticCurvePrivateKey, signature: bytes, data: bytes) -> bool:
    try:
        key.public_key().verify(signature, data, _ES256)
    except InvalidSignature:
        return False
    return True


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _raw(text: str) -> bytes:
    """Return what `text` encodes. Raises: ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
