"""Key pairs for tests: self-signed certificates, and authorities with what they signed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: RSAPrivateKey

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, certificate: Path, key: Path) -> None:
        certificate.write_bytes(self.certificate_pem)
        key.write_bytes(self.key_pem)


def pair(name: str, issuer: Pair | None = None, **more: str) -> Pair:
    """Return a pair for `name`, an RSA key, signed by `issuer` or itself.

    `more` are further parts of the subject by their names in NameOID, in lower case.
    """
    key = generate_private_key(65537, 2048)
    parts = {"common_name": name, **more}
    subject = x509.Name(
        [x509.NameAttribute(getattr(NameOID, part.upper()), text) for part, text in parts.items()]
    )
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), True)
        .sign(issuer.key if issuer else key, SHA256())
    )
    return Pair(certificate, key)


def write_pair(certificate: Path, key: Path, name: str) -> None:
    """Write a self-signed certificate and its key."""
    pair(name).write(certificate, key)
