"""What this cloud asks identity providers, and how it describes itself to them.

Source: SAML 2.0 Bindings 3.4 (redirect), 3.5 (POST), Profiles 4.2 (ECP), Metadata.
"""

import base64
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from msgspec import Struct
from signxml.signer import XMLSigner

from aerostat.services.keystone.saml import xml
from aerostat.services.keystone.saml.encryption import CIPHERS, OAEP
from aerostat.services.keystone.saml.xml import Element

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
MUST = {f"{{{xml.SOAP}}}mustUnderstand": "1"}
ACTOR = {f"{{{xml.SOAP}}}actor": "http://schemas.xmlsoap.org/soap/actor/next"}


class KeyPair(Struct, frozen=True):
    """What signs, as PEM; empty if nothing does. The certificate may be missing."""

    key: bytes = b""
    certificate: bytes = b""


NO_PAIR = KeyPair()


@lru_cache(maxsize=64)
def private_key(pem: bytes) -> rsa.RSAPrivateKey:
    """Return a key, which takes 30 ms to be checked the first time. Raises: ValueError."""
    try:
        key = load_pem_private_key(pem, None)
    except TypeError as why:
        raise ValueError("the key has a password") from why
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key


class Question(Struct, frozen=True):
    """A request to log somebody in: its id, who asks, where the answer goes and how.

    `force`: whoever it is has to prove it anew; `contexts`: in one of these ways.
    """

    id: str
    issuer: str
    answer_url: str
    binding: str
    at: float
    force: bool = False
    name_id_format: str = ""
    contexts: Sequence[str] = ()


def authn_request(question: Question, destination: str = "", pair: KeyPair = NO_PAIR) -> Element:
    """Return the request, signed if there is a key."""
    optional = {"Destination": destination, "ForceAuthn": "true" if question.force else ""}
    request = xml.make(
        "samlp:AuthnRequest",
        ID=question.id,
        Version="2.0",
        IssueInstant=xml.moment(question.at),
        AssertionConsumerServiceURL=question.answer_url,
        ProtocolBinding=question.binding,
        **{name: value for name, value in optional.items() if value},
    )
    xml.add(request, "saml:Issuer", question.issuer)
    if pair.key:
        xml.add(request, "ds:Signature", Id="placeholder")
    policy = xml.add(request, "samlp:NameIDPolicy", AllowCreate="true")
    if question.name_id_format:
        policy.set("Format", question.name_id_format)
    if question.contexts:
        wanted = xml.add(request, "samlp:RequestedAuthnContext", Comparison="exact")
        for context in question.contexts:
            xml.add(wanted, "saml:AuthnContextClassRef", context)
    return signed(request, pair) if pair.key else request


def signed(element: Element, pair: KeyPair) -> Element:
    """Return a request or assertion with its signature, where it has a placeholder for that."""
    signer = XMLSigner(
        signature_algorithm="rsa-sha256", digest_algorithm="sha256", c14n_algorithm=EXCLUSIVE
    )
    return signer.sign(
        element,
        key=pair.key,
        cert=pair.certificate.decode() or None,
        reference_uri=f"#{element.get('ID')}",
        id_attribute="ID",
    )


def form(question: Question, destination: str, pair: KeyPair) -> dict[str, str]:
    """Return the fields of the form that takes a browser to its provider."""
    return {"SAMLRequest": encoded(authn_request(question, destination, pair))}


def encoded(message: Element) -> str:
    """Return a message as a field of a form."""
    return base64.b64encode(xml.write(message)).decode()


def redirect_url(question: Question, destination: str, pair: KeyPair) -> str:
    """Return the URL that takes a browser to its provider; signed if there is a key."""
    return redirect({"SAMLRequest": authn_request(question, destination)}, destination, pair)


def redirect(said: Mapping[str, Element | str], destination: str, pair: KeyPair) -> str:
    """Return the URL that takes messages, and text, to a provider; signed if there is a key."""
    query = urlencode({name: v if isinstance(v, str) else _deflated(v) for name, v in said.items()})
    if pair.key:
        query += "&" + urlencode({"SigAlg": RSA_SHA256})
        signature = private_key(pair.key).sign(query.encode(), padding.PKCS1v15(), hashes.SHA256())
        query += "&" + urlencode({"Signature": base64.b64encode(signature).decode()})
    return f"{destination}{'&' if '?' in destination else '?'}{query}"


def _deflated(message: Element) -> str:
    packed = zlib.compress(xml.write(message), 9)[2:-4]  # DEFLATE without zlib's frame.
    return base64.b64encode(packed).decode()


def envelope(question: Question, pair: KeyPair) -> bytes:
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
    xml.add(root, "soap:Body").append(authn_request(question, pair=pair))
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


def metadata(
    entity_id: str,
    urls: tuple[str, str, str],
    certificate_pem: bytes = b"",
    ciphers: Sequence[str] = (),
) -> bytes:
    """Return how this cloud describes itself, with its `urls` for forms, for PAOS, for logouts.

    What is for us may be encrypted by the certificate, with these `ciphers`.
    """
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
        encryption = describe_key(role, certificate_pem, "encryption")
        for uri in (*(CIPHERS[name].uri for name in ciphers), OAEP):
            xml.add(encryption, "md:EncryptionMethod", Algorithm=uri)
    for binding in (xml.HTTP_REDIRECT, xml.HTTP_POST):
        xml.add(role, "md:SingleLogoutService", Binding=binding, Location=urls[2])
    for index, binding in enumerate((xml.HTTP_POST, xml.BY_PAOS)):
        xml.add(
            role,
            "md:AssertionConsumerService",
            Binding=binding,
            Location=urls[index],
            index=str(index),
            **({"isDefault": "true"} if index == 0 else {}),
        )
    return xml.write(root)


def describe_key(role: Element, certificate_pem: bytes, use: str = "signing") -> Element:
    """Return what says in a role of metadata which certificate signs, or encrypts."""
    der = x509.load_pem_x509_certificate(certificate_pem).public_bytes(Encoding.DER)
    key = xml.add(role, "md:KeyDescriptor", use=use)
    data = xml.add(xml.add(key, "ds:KeyInfo"), "ds:X509Data")
    xml.add(data, "ds:X509Certificate", base64.b64encode(der).decode())
    return key
