"""Reading what an identity provider encrypted for this cloud.

Anybody may encrypt for us, so what comes out is as strange as what came in: who wrote it is for
the signature to say. All failures are one and the same to outside, so that nobody can ask us
what a ciphertext means. Source: XML Encryption 1.1; SAML 2.0 Core, 2.2.4, 2.3.4, 2.7.3.2.
"""

import base64
import binascii
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree
from msgspec import Struct

from aerostat.services.keystone.saml import xml
from aerostat.services.keystone.saml.xml import Element, Refused

KEYS_MAX = 8
"""Encrypted keys that are tried: a document may be for several readers."""

BLOCK_BYTES = 16
"""Bytes of a block of AES, and of the vector that begins a ciphertext in CBC mode."""

NONCE_BYTES = 12
"""Bytes that begin a ciphertext in GCM mode."""


class Decrypter(Struct, frozen=True):
    """Our keys, newest first, and the ciphers that count (names as in CIPHERS)."""

    keys: Sequence[rsa.RSAPrivateKey]
    ciphers: Sequence[str]

    def opened(self, parent: Element, wanted: str) -> Element:
        """Return the element that an EncryptedAssertion, -ID or -Attribute stands for.

        Raises: Refused.
        """
        if not self.keys:
            raise Refused(f"a {wanted} is encrypted, and there is no key_file to read it with")
        data = xml.child(parent, "xenc:EncryptedData")
        if data is None:
            raise Refused("nothing was encrypted")
        cipher = _cipher(data, self.ciphers)
        text = _plain(cipher, _bytes(data), self._session_keys(parent, cipher.key_bytes))
        return _element(text, data, wanted)

    def _session_keys(self, parent: Element, size: int) -> list[bytes]:
        """Return what may be the key, of this many bytes. Raises: Refused (nothing may)."""
        found = []
        for wrapped in list(parent.iter(xml.name("xenc:EncryptedKey")))[:KEYS_MAX]:
            scheme, raw = _transport(wrapped), _bytes(wrapped)
            for key in self.keys:
                try:
                    session_key = key.decrypt(raw, scheme)
                except (ValueError, UnsupportedAlgorithm):
                    continue
                if len(session_key) == size:
                    found.append(session_key)
        if not found:
            raise Refused("it was not encrypted for us")
        return found


def _cbc(key: bytes, raw: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.CBC(raw[:BLOCK_BYTES])).decryptor()
    text = decryptor.update(raw[BLOCK_BYTES:]) + decryptor.finalize()
    if not text or not 1 <= text[-1] <= BLOCK_BYTES:
        raise ValueError("not padded")
    return text[: -text[-1]]


def _gcm(key: bytes, raw: bytes) -> bytes:
    return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None)


class _Cipher(Struct, frozen=True):
    uri: str
    key_bytes: int
    decrypt: Callable[[bytes, bytes], bytes]


CIPHERS = {
    **{
        f"aes{bits}-gcm": _Cipher(f"{xml.XENC11}aes{bits}-gcm", bits // 8, _gcm)
        for bits in (128, 192, 256)
    },
    **{
        f"aes{bits}-cbc": _Cipher(
            f"http://www.w3.org/2001/04/xmlenc#aes{bits}-cbc", bits // 8, _cbc
        )
        for bits in (128, 192, 256)
    },
}

OAEP = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
"""Key transport whose mask is always made with SHA-1."""

OAEP_11 = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
"""Key transport that says how its mask is made. RSA 1.5 is not here: Bleichenbacher (1998)."""

DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "http://www.w3.org/2000/09/xmldsig#sha1": hashes.SHA1(),
    "http://www.w3.org/2001/04/xmlenc#sha256": hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#sha384": hashes.SHA384(),
    "http://www.w3.org/2001/04/xmlenc#sha512": hashes.SHA512(),
}
MASKS: dict[str, hashes.HashAlgorithm] = {
    "http://www.w3.org/2009/xmlenc11#mgf1sha1": hashes.SHA1(),
    "http://www.w3.org/2009/xmlenc11#mgf1sha256": hashes.SHA256(),
    "http://www.w3.org/2009/xmlenc11#mgf1sha384": hashes.SHA384(),
    "http://www.w3.org/2009/xmlenc11#mgf1sha512": hashes.SHA512(),
}


def _cipher(data: Element, allowed: Sequence[str]) -> _Cipher:
    uri = _algorithm(xml.child(data, "xenc:EncryptionMethod"))
    for name in allowed:
        if CIPHERS[name].uri == uri:
            return CIPHERS[name]
    raise Refused(f"a cipher that does not count: {uri[:100]}")


def _transport(wrapped: Element) -> padding.AsymmetricPadding:
    """Return how a key was wrapped. Raises: Refused."""
    method = xml.child(wrapped, "xenc:EncryptionMethod")
    uri = _algorithm(method)
    if method is None or uri not in (OAEP, OAEP_11):
        raise Refused(f"a key that was not wrapped by OAEP: {uri[:100]}")
    digest = _listed(DIGESTS, xml.child(method, "ds:DigestMethod"))
    mask: hashes.HashAlgorithm = hashes.SHA1()
    if uri == OAEP_11:
        mask = _listed(MASKS, xml.child(method, "xenc11:MGF"))
    label = _decoded(xml.text_of(xml.child(method, "xenc:OAEPparams")))
    return padding.OAEP(padding.MGF1(mask), digest, label or None)


def _listed(
    known: dict[str, hashes.HashAlgorithm], element: Element | None
) -> hashes.HashAlgorithm:
    """Return the hash that is named; the first of `known` if none is. Raises: Refused."""
    uri = next(iter(known)) if element is None else _algorithm(element)
    if uri not in known:
        raise Refused(f"a hash that does not count: {uri[:100]}")
    return known[uri]


def _algorithm(method: Element | None) -> str:
    return "" if method is None else str(method.get("Algorithm", ""))


def _bytes(element: Element) -> bytes:
    data = xml.child(element, "xenc:CipherData")
    value = None if data is None else xml.child(data, "xenc:CipherValue")
    return _decoded(xml.text_of(value))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as why:
        raise Refused("what was encrypted is not base64") from why


def _plain(cipher: _Cipher, raw: bytes, keys: Sequence[bytes]) -> bytes:
    for key in keys:
        try:
            return cipher.decrypt(key, raw)
        except (ValueError, InvalidTag):
            continue
    raise Refused("what was encrypted cannot be read")


def _element(text: bytes, data: Element, wanted: str) -> Element:
    """Return the one element that `text` is, in the place of `data`: names are known there."""
    around = etree.Element("around", nsmap=data.nsmap)
    begin = xml.write(around).removesuffix(b"/>") + b">"
    root = xml.parse(begin + text + b"</around>")
    beside = [root.text, *(part.tail for part in root)]
    if len(root) != 1 or root[0].tag != xml.name(wanted) or any((t or "").strip() for t in beside):
        raise Refused("something else was encrypted")
    return xml.parse(xml.write(root[0]))
