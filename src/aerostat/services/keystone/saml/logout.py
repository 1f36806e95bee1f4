"""Providers that end a session: what they ask, and what they are answered.

Source: SAML 2.0 Core 3.7, Bindings 3.4 and 3.5, Profiles 4.4.
"""

import base64
import binascii
import zlib
from collections.abc import Sequence
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from msgspec import Struct

from aerostat.services.keystone.saml import response, xml
from aerostat.services.keystone.saml.encryption import Decrypter
from aerostat.services.keystone.saml.request import NO_PAIR, RSA_SHA256, KeyPair, signed
from aerostat.services.keystone.saml.xml import Element, Refused

GOOD_S = 600
"""How long a request counts that does not say so."""

MORE = "http://www.w3.org/2001/04/xmldsig-more#"
ALGORITHMS: dict[str, hashes.HashAlgorithm] = {
    RSA_SHA256: hashes.SHA256(),
    f"{MORE}rsa-sha384": hashes.SHA384(),
    f"{MORE}rsa-sha512": hashes.SHA512(),
}


class Asked(Struct, frozen=True):
    """Whose sessions are to end: all of the subject's if none are named; until when that counts."""

    id: str
    subject: str
    sessions: Sequence[str]
    until: float


def in_form(text: str, certificates: Sequence[x509.Certificate]) -> Element:
    """Return the request that a form brings, which is signed. Raises: Refused."""
    request = xml.parse(_decoded(text))
    if xml.child(request, "ds:Signature") is None:
        raise Refused("the request is not signed")
    return response.signed_part(request, certificates)


def in_query(raw: str, certificates: Sequence[x509.Certificate]) -> Element:
    """Return the request in a query string, which is signed as it was sent. Raises: Refused."""
    pairs = [part.partition("=") for part in raw.split("&")]
    given = {name: value for name, _, value in pairs}
    if len(given) != len(pairs):
        raise Refused("something is said twice")
    algorithm = ALGORITHMS.get(unquote(given.get("SigAlg", "")))
    if algorithm is None:
        raise Refused("the request is not signed, or in a way that does not count")
    order = ("SAMLRequest", "RelayState", "SigAlg")
    text = "&".join(f"{name}={given[name]}" for name in order if name in given).encode()
    signature = _decoded(unquote(given.get("Signature", "")))
    if not any(_signed_by(cert, signature, text, algorithm) for cert in certificates):
        raise Refused("the signature is not the provider's")
    inflate = zlib.decompressobj(-15)
    try:
        document = inflate.decompress(_decoded(unquote(given["SAMLRequest"])), xml.SIZE_MAX + 1)
    except (zlib.error, KeyError) as why:
        raise Refused("the request cannot be unpacked") from why
    return xml.parse(document)


def _signed_by(
    certificate: x509.Certificate, signature: bytes, text: bytes, algorithm: hashes.HashAlgorithm
) -> bool:
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        return False
    try:
        key.verify(signature, text, padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError) as why:
        raise Refused("not base64") from why


def read(request: Element, issuer: str, url: str, now: float, decrypter: Decrypter) -> Asked:
    """Return what a request that was verified asks of us. Raises: Refused."""
    if request.tag != xml.name("samlp:LogoutRequest"):
        raise Refused("not a logout")
    if xml.text_of(xml.child(request, "saml:Issuer")) != issuer:
        raise Refused("another issuer")
    if request.get("Destination", url) != url:
        raise Refused("for another destination")
    at = xml.seconds(request.get("IssueInstant", ""))
    until = min(at + GOOD_S, xml.seconds(request.get("NotOnOrAfter") or xml.moment(at + GOOD_S)))
    if at - response.SKEW_S > now or until + response.SKEW_S <= now:
        raise Refused("too old, or of the future")
    subject = xml.text_of(response.only(request, "saml:NameID", "saml:EncryptedID", decrypter))
    if not subject or not request.get("ID"):
        raise Refused("about nobody")
    sessions = [xml.text_of(part) for part in request.findall(xml.name("samlp:SessionIndex"))]
    return Asked(str(request.get("ID")), subject, sessions, until + response.SKEW_S)


def done(
    asked: Asked, own: tuple[str, str], destination: str, at: float, pair: KeyPair = NO_PAIR
) -> Element:
    """Return the answer to a request, signed if there is a key; `own` is its id, and our name."""
    message = xml.make(
        "samlp:LogoutResponse",
        ID=own[0],
        Version="2.0",
        IssueInstant=xml.moment(at),
        Destination=destination,
        InResponseTo=asked.id,
    )
    xml.add(message, "saml:Issuer", own[1])
    if pair.key:
        xml.add(message, "ds:Signature", Id="placeholder")
    xml.add(xml.add(message, "samlp:Status"), "samlp:StatusCode", Value=xml.SUCCESS)
    return signed(message, pair) if pair.key else message
