"""What this cloud asks identity providers, and how it describes itself to them.

Source: SAML 2.0 Bindings 3.4 (redirect), Profiles 4.2 (ECP), Metadata.
"""

import base64
import zlib
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from msgspec import Struct

from aerostat.services.keystone.saml import xml
from aerostat.services.keystone.saml.xml import Element

RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
MUST = {f"{{{xml.SOAP}}}mustUnderstand": "1"}
ACTOR = {f"{{{xml.SOAP}}}actor": "http://schemas.xmlsoap.org/soap/actor/next"}


class Question(Struct, frozen=True):
    """A request to log somebody in: its id, who asks, where the answer goes and how."""

    id: str
    issuer: str
    answer_url: str
    binding: str
    at: float


def authn_request(question: Question, destination: str = "") -> Element:
    """Return the request."""
    request = xml.make(
        "samlp:AuthnRequest",
        ID=question.id,
        Version="2.0",
        IssueInstant=xml.moment(question.at),
        AssertionConsumerServiceURL=question.answer_url,
        ProtocolBinding=question.binding,
        **({"Destination": destination} if destination else {}),
    )
    xml.add(request, "saml:Issuer", question.issuer)
    xml.add(request, "samlp:NameIDPolicy", AllowCreate="true")
    return request


def redirect_url(question: Question, destination: str, key_pem: bytes = b"") -> str:
    """Return the URL that takes a browser to its provider; signed if there is a key."""
    document = xml.write(authn_request(question, destination))
    packed = zlib.compress(document, 9)[2:-4]  # DEFLATE without zlib's frame.
    query = urlencode({"SAMLRequest": base64.b64encode(packed).decode()})
    if key_pem:
        query += "&" + urlencode({"SigAlg": RSA_SHA256})
        key = load_pem_private_key(key_pem, None)
        assert isinstance(key, rsa.RSAPrivateKey)
        signature = key.sign(query.encode(), padding.PKCS1v15(), hashes.SHA256())
        query += "&" + urlencode({"Signature": base64.b64encode(signature).decode()})
    return f"{destination}{'&' if '?' in destination else '?'}{query}"


def envelope(question: Question) -> bytes:
    """Return the request for a client that speaks PAOS and passes it on itself."""
    root = xml.make("soap:Envelope")
    header = xml.add(root, "soap:Header")
    ask = xml.add(
        header,
        "paos:Request",
        responseConsumerURL=question.answer_url,
        service=xml.ECP,
    )
    who = xml.add(header, "ecp:Request", IsPassive="0")
    for part in (ask, who):
        part.attrib.update({**MUST, **ACTOR})
    xml.add(who, "saml:Issuer", question.issuer)
    xml.add(root, "soap:Body").append(authn_request(question))
    return xml.write(root)


def response_in(raw: bytes) -> Element:
    """Return the response that a client brings in an envelope, or alone. Raises: Refused."""
    root = xml.parse(raw)
    if root.tag == xml.name("samlp:Response"):
        return root
    body = xml.child(root, "soap:Body") if root.tag == xml.name("soap:Envelope") else None
    found = None if body is None else xml.child(body, "samlp:Response")
    if found is None:
        raise xml.Refused("no envelope with a response")
    return xml.parse(xml.write(found))


def metadata(entity_id: str, answer_urls: tuple[str, str], certificate_pem: bytes = b"") -> bytes:
    """Return how this cloud describes itself; answers go to URLs for forms and for PAOS."""
    root = xml.make("md:EntityDescriptor", entityID=entity_id)
    role = xml.add(
        root,
        "md:SPSSODescriptor",
        protocolSupportEnumeration=xml.SAMLP,
        AuthnRequestsSigned="true" if certificate_pem else "false",
        WantAssertionsSigned="true",
    )
    if certificate_pem:
        describe_key(role, certificate_pem)
    for index, (binding, url) in enumerate(
        zip((xml.HTTP_POST, xml.BY_PAOS), answer_urls, strict=True)
    ):
        xml.add(
            role,
            "md:AssertionConsumerService",
            Binding=binding,
            Location=url,
            index=str(index),
            **({"isDefault": "true"} if index == 0 else {}),
        )
    return xml.write(root)


def describe_key(role: Element, certificate_pem: bytes) -> None:
    """Add the certificate that signs to a role of metadata."""
    der = x509.load_pem_x509_certificate(certificate_pem).public_bytes(Encoding.DER)
    key = xml.add(role, "md:KeyDescriptor", use="signing")
    data = xml.add(xml.add(key, "ds:KeyInfo"), "ds:X509Data")
    xml.add(data, "ds:X509Certificate", base64.b64encode(der).decode())
