"""What may be done with keypairs; a private key is shown once and never kept."""

import base64
import hashlib
import re
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, QuotaExceeded
from aerostat.services.nova.db import keypairs as rows
from aerostat.services.nova.db.keypairs import Keypair
from aerostat.services.nova.domain import quotas
from aerostat.services.nova.runtime import Nova

__all__ = ["Keypair"]

NAME = re.compile(r"^[A-Za-z0-9_\-. @]+$")
RSA_BITS = 2048
MS_UPN = ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
"""The principal name that Windows takes for the user."""


async def find(nova: Nova, user_id: str, marker: str | None, limit: int | None) -> list[Keypair]:
    """Return a page of a user's keypairs. Raises: BadRequest."""
    return await nova.db.read(rows.find, user_id, marker, limit)


async def get(nova: Nova, user_id: str, name: str) -> Keypair:
    """Raises: NotFound."""
    return await nova.db.read(rows.get, user_id, name)


async def create(
    nova: Nova, user_id: str, name: str, kind: str, public_key: str | None
) -> tuple[Keypair, str | None]:
    """Import `public_key`, or generate a pair and return the private half too.

    Raises: BadRequest (name, type or key), Conflict (name taken), QuotaExceeded (key_pairs).
    """
    if not NAME.match(name) or name != name.strip():
        raise BadRequest(f"Keypair data is invalid: name '{name}'", field="name")
    if kind not in ("ssh", "x509"):
        raise BadRequest(f"Invalid keypair type {kind}", field="type")
    private = None
    if public_key is None:
        public_key, private = generate() if kind == "ssh" else generate_x509(user_id)
    keypair = Keypair(
        id=0,
        user_id=user_id,
        name=name,
        type=kind,
        fingerprint=fingerprint(public_key) if kind == "ssh" else x509_fingerprint(public_key),
        public_key=public_key,
        created_at=nova.clock.now(),
    )

    def write(tx: Tx) -> Keypair:
        limit = quotas.DEFAULTS["key_pairs"]
        if rows.count(tx, user_id) >= limit:
            raise QuotaExceeded("Quota exceeded, too many key pairs.", field="key_pairs")
        return rows.add(tx, keypair)

    return await nova.db.write(write), private


async def delete(nova: Nova, user_id: str, name: str) -> None:
    """Raises: NotFound."""
    await nova.db.write(rows.remove, user_id, name)


def generate() -> tuple[str, str]:
    """Return a new RSA pair: the public half in OpenSSH's form, the private one in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return f"{public.decode()} Generated-by-Nova", private.decode()


def generate_x509(user_id: str) -> tuple[str, str]:
    """Return a new self-signed certificate for WinRM's client logins, and its key, both in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user_id)])
    now = datetime.now(UTC)
    upn = x509.OtherName(
        MS_UPN, b"\x0c" + bytes([len(user_id) + 10]) + f"{user_id}@localhost".encode()
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([upn]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def fingerprint(public_key: str) -> str:
    """Return the MD5 fingerprint of an OpenSSH public key. Raises: BadRequest."""
    words = public_key.split()
    try:
        serialization.load_ssh_public_key(" ".join(words[:2]).encode())
        digest = hashlib.md5(base64.b64decode(words[1]), usedforsecurity=False).hexdigest()
    except (ValueError, IndexError, UnsupportedAlgorithm) as why:
        raise BadRequest(
            "Keypair data is invalid: failed to generate fingerprint", field="public_key"
        ) from why
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def x509_fingerprint(certificate: str) -> str:
    """Return the SHA-1 fingerprint of a PEM certificate. Raises: BadRequest."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
    except ValueError as why:
        raise BadRequest("Keypair data is invalid: no certificate", field="public_key") from why
    return ":".join(f"{b:02x}" for b in found.fingerprint(hashes.SHA1()))
