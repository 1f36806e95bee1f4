"""Signed images: data that is not what its owner signed is refused.

Source: glance documentation, "Image Signature Verification"; names and messages as in cursive.
"""

import binascii
from base64 import b64decode
from pathlib import Path
from typing import Any

from aerostat.kit.errors import BadRequest, Fault
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.runtime import Glance

SIGNATURE, HASH_METHOD, KEY_TYPE, CERTIFICATE = (
    "img_signature",
    "img_signature_hash_method",
    "img_signature_key_type",
    "img_signature_certificate_uuid",
)
NAMES = frozenset({SIGNATURE, HASH_METHOD, KEY_TYPE, CERTIFICATE})
HASHES = {"SHA-224": "sha224", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
CURVES = ("SECT571K1", "SECT409K1", "SECT571R1", "SECT409R1", "SECP521R1", "SECP384R1")
KEY_TYPES = ("RSA-PSS", "DSA", *(f"ECC_{name}" for name in CURVES))


async def verify(glance: Glance, image: Image, source: Path) -> None:
    """Check the file against the image's signature, if it has one. Raises: BadRequest."""
    if not image.properties.keys() >= NAMES:
        return
    given = image.properties
    try:
        signature = b64decode(given[SIGNATURE], validate=True)
    except (binascii.Error, ValueError) as why:
        raise _failed("The signature data was not properly encoded using base64") from why
    if given[HASH_METHOD] not in HASHES:
        raise _failed(f"Invalid signature hash method: {given[HASH_METHOD]}")
    if given[KEY_TYPE] not in KEY_TYPES:
        raise _failed(f"Invalid signature key type: {given[KEY_TYPE]}")
    key = _key(await _certificate(glance, given[CERTIFICATE]), given[KEY_TYPE])
    algo = HASHES[given[HASH_METHOD]]
    _check(key, signature, await glance.staging.hashed(source, algo), algo)


async def _certificate(glance: Glance, certificate_id: str) -> bytes:
    if glance.certificates is None:
        raise _failed(f"Unable to retrieve certificate with ID: {certificate_id}")
    try:
        return await glance.certificates.get(certificate_id=certificate_id)
    except Fault as why:
        raise _failed(f"Unable to retrieve certificate with ID: {certificate_id}") from why


def _key(certificate: bytes, kind: str) -> Any:
    from cryptography import x509  # heavy: only signed images need it
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except ValueError as why:
        raise _failed("Invalid certificate format") from why
    wanted = {"RSA-PSS": rsa.RSAPublicKey, "DSA": dsa.DSAPublicKey}
    if not isinstance(key, wanted.get(kind, ec.EllipticCurvePublicKey)):
        raise _failed(f"Invalid public key type for signature key type: {kind}")
    if isinstance(key, ec.EllipticCurvePublicKey) and kind != f"ECC_{key.curve.name.upper()}":
        raise _failed(f"Invalid public key type for signature key type: {kind}")
    return key


def _check(key: Any, signature: bytes, digest: bytes, algo: str) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

    hashing = {
        "sha224": hashes.SHA224(),
        "sha256": hashes.SHA256(),
        "sha384": hashes.SHA384(),
        "sha512": hashes.SHA512(),
    }[algo]
    known = utils.Prehashed(hashing)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashing), padding.PSS.AUTO)
            key.verify(signature, digest, pss, known)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, digest, ec.ECDSA(known))
        else:
            key.verify(signature, digest, known)
    except InvalidSignature as why:
        raise _failed("Signature verification failed") from why


def _failed(reason: str) -> BadRequest:
    return BadRequest(f"Signature verification for the image failed: {reason}.")
