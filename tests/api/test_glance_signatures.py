"""Signed images: every type of key, and everything that can be wrong."""

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from glance_cloud import Cloud, cloud_in

from aerostat.kit.errors import NotFound

DATA = b"signed data" * 1000
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])


class Barbican:
    """Certificates by id."""

    def __init__(self) -> None:
        self.known: dict[str, bytes] = {}

    async def get(self, *, certificate_id: str) -> bytes:
        if certificate_id not in self.known:
            raise NotFound()
        return self.known[certificate_id]


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud_in(tmp_path) as cloud:
        cloud.glance.certificates = Barbican()
        yield cloud


def _certificate(key: Any) -> bytes:
    signer = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .sign(signer, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.DER)


def _signed(kind: str, data: bytes = DATA) -> tuple[bytes, bytes]:
    """Return a certificate and a signature of `data`."""
    key: Any
    if kind == "RSA-PSS":
        key = rsa.generate_private_key(65537, 2048)
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)
        return _certificate(key), key.sign(data, pss, hashes.SHA256())
    if kind == "DSA":
        key = dsa.generate_private_key(2048)
        return _certificate(key), key.sign(data, hashes.SHA256())
    key = ec.generate_private_key(getattr(ec, kind.removeprefix("ECC_"))())
    return _certificate(key), key.sign(data, ec.ECDSA(hashes.SHA256()))


async def _try(cloud: Cloud, kind: str, data: bytes = DATA, **changed: str) -> tuple[int, str]:
    certificate, signature = _signed(kind)
    assert isinstance(cloud.glance.certificates, Barbican)
    cloud.glance.certificates.known["the-id"] = certificate
    properties = {
        "img_signature": b64encode(signature).decode(),
        "img_signature_hash_method": "SHA-256",
        "img_signature_key_type": kind,
        "img_signature_certificate_uuid": "the-id",
        **changed,
    }
    image = await cloud.image(**properties)
    reply = await cloud.upload(image["id"], data)
    status = (await cloud.show(image["id"]))["status"]
    assert status == ("active" if reply.status_code == 204 else "queued")
    return reply.status_code, reply.text


@pytest.mark.parametrize("kind", ["RSA-PSS", "DSA", "ECC_SECP384R1", "ECC_SECP521R1"])
async def test_what_was_signed_is_taken_and_nothing_else(cloud: Cloud, kind: str) -> None:
    assert (await _try(cloud, kind))[0] == 204
    assert (await _try(cloud, kind, DATA[:-1]))[0] == 400
    assert cloud.files() != [] and (await cloud.names("status=queued")) == ["i"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"img_signature": "no base 64!"}, "base64"),
        ({"img_signature": "AAAA"}, "verification failed"),
        ({"img_signature_hash_method": "MD5"}, "hash method: MD5"),
        ({"img_signature_hash_method": "SHA-512"}, "verification failed"),
        ({"img_signature_key_type": "none"}, "key type: none"),
        ({"img_signature_key_type": "RSA-PSS"}, "Invalid public key type"),
        ({"img_signature_key_type": "ECC_SECP521R1"}, "Invalid public key type"),
        ({"img_signature_certificate_uuid": "other"}, "certificate with ID: other"),
    ],
)
async def test_what_is_wrong_is_said(cloud: Cloud, changed: dict[str, str], said: str) -> None:
    status, text = await _try(cloud, "ECC_SECP384R1", **changed)
    assert status == 400 and said in text


async def test_without_a_key_manager(cloud: Cloud) -> None:
    _, signature = _signed("ECC_SECP384R1")
    cloud.glance.certificates = None
    image = await cloud.image(
        img_signature=b64encode(signature).decode(),
        img_signature_hash_method="SHA-256",
        img_signature_key_type="ECC_SECP384R1",
        img_signature_certificate_uuid="the-id",
    )
    reply = await cloud.upload(image["id"], DATA)
    assert reply.status_code == 400 and "Unable to retrieve" in reply.text
