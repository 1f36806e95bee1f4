"""Answers of a SAML provider as forgers make them: for tests of what must not count.

Source: "On Breaking SAML: Be Whoever You Want to Be" (2012).
"""

import base64
import copy
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from keystone_cloud import Cloud, cloud_at, trust
from lxml import etree
from signxml.signer import XMLSigner
from tests.certificates import Pair, pair

from aerostat.kit.clock import iso
from aerostat.services.keystone.federation_config import SamlPeer

ISSUER = "https://idp.example.org"
IDP, OTHER = pair("idp"), pair("other")
NS = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
SAML_AUTH = "/v3/OS-FEDERATION/identity_providers/corp/protocols/saml2/auth"
PAOS = {"Accept": "application/vnd.paos+xml", "PAOS": "urn:liberty:paos:2003-08"}

METADATA = """<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{issuer}">
<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data>
<X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
</IDPSSODescriptor></EntityDescriptor>"""

RESPONSE = """<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"
 xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r" Version="2.0" IssueInstant="{now}"
 Destination="{destination}" InResponseTo="{asked}"><saml:Issuer>{issuer}</saml:Issuer>
<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></samlp:Status>
<saml:Assertion ID="_a{asked}" Version="2.0" IssueInstant="{now}">
<saml:Issuer>{issuer}</saml:Issuer>
<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"/>
<saml:Subject><saml:NameID>{name}</saml:NameID><saml:SubjectConfirmation
 Method="urn:oasis:names:tc:SAML:2.0:cm:{method}"><saml:SubjectConfirmationData {in_response_to}
 Recipient="{recipient}" NotOnOrAfter="{confirmed}"/></saml:SubjectConfirmation></saml:Subject>
<saml:Conditions NotBefore="{start}" NotOnOrAfter="{end}">{audience}</saml:Conditions>
{login}<saml:AttributeStatement><saml:Attribute Name="uid"><saml:AttributeValue>{name}\
</saml:AttributeValue></saml:Attribute>{more}</saml:AttributeStatement></saml:Assertion>
</samlp:Response>"""
LOGIN = (
    '<saml:AuthnStatement AuthnInstant="{0}" SessionIndex="s1"><saml:AuthnContext>'
    "<saml:AuthnContextClassRef>x</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
)
FOR = "<saml:AudienceRestriction><saml:Audience>{0}</saml:Audience></saml:AudienceRestriction>"
RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "uid"}]}]


@asynccontextmanager
async def saml_cloud(path: Path, **options: Any) -> AsyncIterator[Cloud]:
    """Start a cloud that trusts IDP, with these options of SamlPeer."""
    body = "".join(IDP.certificate_pem.decode().splitlines()[1:-1])
    (path / "idp.xml").write_text(METADATA.format(issuer=ISSUER, certificate=body))
    peer = SamlPeer(**{"metadata_file": str(path / "idp.xml"), **options})
    async with cloud_at(path, federation={"corp": {"saml2": peer}}) as cloud:
        await trust(cloud, "saml2", RULES, ISSUER, remote_id_attribute="MELLON_IDP")
        yield cloud


async def ask(cloud: Cloud) -> str:
    """Begin a login by ECP; return the id of the request."""
    reply = await cloud.http.get(SAML_AUTH, headers=PAOS)
    assert reply.status_code == 200, reply.text
    found = etree.fromstring(reply.content).find(".//samlp:AuthnRequest", NS)
    assert found is not None
    return str(found.get("ID"))


def response(cloud: Cloud, asked: str, **changes: str) -> Any:
    """Return an unsigned response that is right but for `changes`."""
    now = cloud.clock.now()
    metadata = f"http://ks{SAML_AUTH.removesuffix('auth')}metadata"
    values = {
        "now": iso(now),
        "asked": asked,
        "in_response_to": f'InResponseTo="{asked}"',
        "destination": f"http://ks{SAML_AUTH}",
        "recipient": f"http://ks{SAML_AUTH}",
        "issuer": ISSUER,
        "status": "Success",
        "method": "bearer",
        "name": "ada",
        "start": iso(now - 10),
        "end": iso(now + 300),
        "confirmed": iso(now + 300),
        "audience": FOR.format(metadata),
        "login": LOGIN.format(iso(now)),
        "more": "",
        **changes,
    }
    return etree.fromstring(RESPONSE.format(**values))


class OldSigner(XMLSigner):
    """Signs with SHA-1 too, as forgers may."""

    def check_deprecated_methods(self) -> None:
        """Anything goes."""


def sign(document: Any, by: Pair = IDP, digest: str = "sha256") -> Any:
    """Return the response with its assertion signed."""
    assertion = document.find("saml:Assertion", NS)
    signer = OldSigner(
        signature_algorithm=f"rsa-{digest}",
        digest_algorithm=digest,
        c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
    )
    signed = signer.sign(
        assertion,
        key=by.key_pem,
        cert=by.certificate_pem.decode(),
        reference_uri=f"#{assertion.get('ID')}",
        id_attribute="ID",
    )
    document.replace(assertion, signed)
    return document


async def bring(cloud: Cloud, document: Any) -> httpx.Response:
    raw = document if isinstance(document, bytes) else etree.tostring(document)
    return await cloud.http.post(SAML_AUTH, content=raw)


def evil_of(document: Any) -> Any:
    """Return a copy of the assertion that speaks of admin."""
    evil = copy.deepcopy(document.find("saml:Assertion", NS))
    for place in (".//saml:AttributeValue", ".//saml:NameID"):
        evil.find(place, NS).text = "admin"
    return evil


def _bare(evil: Any) -> Any:
    evil.remove(evil.find("ds:Signature", NS))
    return evil


def _beside(document: Any, *, first: bool, own_id: bool) -> Any:
    evil, signed = _bare(evil_of(document)), document.find("saml:Assertion", NS)
    if own_id:
        evil.set("ID", "_evil")
    (signed.addprevious if first else signed.addnext)(evil)
    return document


def _around(document: Any, place: str) -> Any:
    """The evil assertion has the signature, and the signed one inside."""
    signed = document.find("saml:Assertion", NS)
    evil = evil_of(document)
    evil.set("ID", "_evil")
    signature = evil.find("ds:Signature", NS)
    holder = etree.SubElement(signature if place == "object" else evil, f"{{{NS['ds']}}}Object")
    document.replace(signed, evil)
    holder.append(_bare(signed))
    return document


def _same_id(document: Any) -> Any:
    """The same, under the id that was signed."""
    document = _around(document, "object")
    evil = document.find("saml:Assertion", NS)
    evil.set("ID", evil.find(".//saml:Assertion", NS).get("ID"))
    return document


def _extensions(document: Any) -> Any:
    """The signed one is in the response's extensions; the evil one has a copy of its signature."""
    signed = document.find("saml:Assertion", NS)
    evil = evil_of(document)
    evil.set("ID", "_evil")
    document.replace(signed, evil)
    holder = etree.Element(f"{{{NS['samlp']}}}Extensions")
    document.insert(1, holder)
    holder.append(signed)
    return document


def _response_around(document: Any) -> Any:
    """A new response is around the signed response's assertion."""
    outer = copy.deepcopy(document)
    signed = outer.find("saml:Assertion", NS)
    evil = _bare(evil_of(document))
    outer.replace(signed, evil)
    outer.append(signed.find("ds:Signature", NS))
    return outer


WRAPPED: dict[str, Callable[[Any], Any]] = {
    "before it": lambda d: _beside(d, first=True, own_id=True),
    "behind it": lambda d: _beside(d, first=False, own_id=True),
    "before it, same id": lambda d: _beside(d, first=True, own_id=False),
    "behind it, same id": lambda d: _beside(d, first=False, own_id=False),
    "around it, in the signature": lambda d: _around(d, "object"),
    "around it, in the assertion": lambda d: _around(d, "assertion"),
    "around it, same id": _same_id,
    "in extensions": _extensions,
    "signature of the assertion for the response": _response_around,
}


def sign_whole(document: Any, by: Pair = IDP) -> Any:
    """Return the response signed itself, around an assertion that is not."""
    placeholder = document.find(".//ds:Signature", NS)
    placeholder.getparent().remove(placeholder)
    document.find("saml:Issuer", NS).addnext(placeholder)
    signer = XMLSigner(c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")
    pem = by.certificate_pem.decode()
    return signer.sign(document, key=by.key_pem, cert=pem, reference_uri="#_r", id_attribute="ID")


XENC, XENC11 = "http://www.w3.org/2001/04/xmlenc#", "http://www.w3.org/2009/xmlenc11#"
SEALED = """<saml:Encrypted{kind} xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"
 xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">
<xenc:EncryptedData Type="http://www.w3.org/2001/04/xmlenc#Element">
<xenc:EncryptionMethod Algorithm="{cipher}"/>
<ds:KeyInfo><xenc:EncryptedKey>{method}<xenc:CipherData><xenc:CipherValue>{key}
</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>
<xenc:CipherData><xenc:CipherValue>{data}</xenc:CipherValue></xenc:CipherData>
</xenc:EncryptedData></saml:Encrypted{kind}>"""
METHOD = """<xenc:EncryptionMethod Algorithm="{uri}">{parts}</xenc:EncryptionMethod>"""
SHA256_URI = f"{XENC}sha256"
DIGEST = f'<ds:DigestMethod Algorithm="{SHA256_URI}"/>'
MASK = f'<xenc11:MGF xmlns:xenc11="{XENC11}" Algorithm="{XENC11}mgf1sha256"/>'
TRANSPORTS: dict[str, tuple[str, padding.AsymmetricPadding]] = {
    "mgf1p": (
        METHOD.format(uri=f"{XENC}rsa-oaep-mgf1p", parts=""),
        padding.OAEP(padding.MGF1(SHA1()), SHA1(), None),
    ),
    "mgf1p, SHA-256": (
        METHOD.format(uri=f"{XENC}rsa-oaep-mgf1p", parts=DIGEST),
        padding.OAEP(padding.MGF1(SHA1()), SHA256(), None),
    ),
    "1.1": (
        METHOD.format(uri=f"{XENC11}rsa-oaep", parts=""),
        padding.OAEP(padding.MGF1(SHA1()), SHA1(), None),
    ),
    "1.1, SHA-256, label": (
        METHOD.format(
            uri=f"{XENC11}rsa-oaep",
            parts=f"<xenc:OAEPparams>bGFiZWw=</xenc:OAEPparams>{DIGEST}{MASK}",
        ),
        padding.OAEP(padding.MGF1(SHA256()), SHA256(), b"label"),
    ),
    "RSA 1.5": (METHOD.format(uri=f"{XENC}rsa-1_5", parts=""), padding.PKCS1v15()),
}


def ciphertext(raw: bytes, cipher: str, key: bytes) -> bytes:
    """Return what XML Encryption makes of `raw`."""
    if cipher.endswith("gcm"):
        nonce = os.urandom(12)
        return nonce + AESGCM(key).encrypt(nonce, raw, None)
    vector, missing = os.urandom(16), 16 - len(raw) % 16
    encryptor = Cipher(AES(key), CBC(vector)).encryptor()
    padded = raw + os.urandom(missing - 1) + bytes([missing])
    return vector + encryptor.update(padded) + encryptor.finalize()


def seal(
    part: Any,
    reader: Pair,
    kind: str = "Assertion",
    cipher: str = "aes256-gcm",
    transport: str = "mgf1p",
) -> Any:
    """Return an element, or bytes, encrypted for `reader`."""
    raw = part if isinstance(part, bytes) else etree.tostring(part, with_tail=False)
    key = os.urandom(int(cipher[3:6]) // 8)
    method, scheme = TRANSPORTS[transport]
    public = reader.key.public_key()
    text = SEALED.format(
        kind=kind,
        cipher=(XENC11 if cipher.endswith("gcm") else XENC) + cipher,
        method=method,
        key=base64.b64encode(public.encrypt(key, scheme)).decode(),
        data=base64.b64encode(ciphertext(raw, cipher, key)).decode(),
    )
    return etree.fromstring(text)


def sealed(document: Any, reader: Pair, **how: str) -> Any:
    """Return the response with each of its assertions encrypted."""
    for assertion in document.findall("saml:Assertion", NS):
        document.replace(assertion, seal(assertion, reader, **how))
    return document
