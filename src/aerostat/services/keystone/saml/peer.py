"""An identity provider as its metadata describe it. Source: SAML 2.0 Metadata."""

import textwrap
from typing import Protocol

from cryptography import x509
from msgspec import Struct

from aerostat.services.keystone.federation_config import SamlPeer
from aerostat.services.keystone.saml import xml
from aerostat.services.keystone.saml.xml import Element, Refused


class Peer(Struct, frozen=True):
    """An identity provider: its name, the certificates it signs with, where logins begin.

    `wants_signed`: it answers requests only that are signed. Answers to logouts go to the last
    two URLs.
    """

    entity_id: str
    certificates: list[x509.Certificate]
    redirect_url: str
    post_url: str
    wants_signed: bool
    logout_redirect_url: str
    logout_post_url: str


class Peers(Protocol):
    """How the metadata of a provider are reached."""

    async def __call__(self, config: SamlPeer, now: float, *, again: bool = False) -> Peer:
        """Return the provider; `again`: what was said before may be old.

        Raises: Unavailable.
        """


def peer(raw: bytes, entity_id: str = "") -> Peer:
    """Return the identity provider of metadata, or the one that is called `entity_id`.

    Raises: Refused (there is none, or several and no name).
    """
    root = xml.parse(raw)
    entities = [root] if root.tag == xml.name("md:EntityDescriptor") else []
    entities += root.findall(f".//{xml.name('md:EntityDescriptor')}")
    found = [
        (entity, role)
        for entity in entities
        if entity_id in ("", entity.get("entityID"))
        and (role := entity.find(xml.name("md:IDPSSODescriptor"))) is not None
    ]
    if len(found) != 1:
        raise Refused(f"metadata describe {len(found)} identity providers")
    entity, role = found[0]
    certificates = [
        _certificate(xml.text_of(text))
        for key in role.findall(xml.name("md:KeyDescriptor"))
        if key.get("use", "signing") == "signing"
        for text in key.findall(f".//{xml.name('ds:X509Certificate')}")
    ]
    if not certificates:
        raise Refused("metadata have no certificate for signatures")
    return Peer(
        entity.get("entityID", ""),
        certificates,
        redirect_url=_url(role, "md:SingleSignOnService", xml.HTTP_REDIRECT),
        post_url=_url(role, "md:SingleSignOnService", xml.HTTP_POST),
        wants_signed=role.get("WantAuthnRequestsSigned", "") in ("true", "1"),
        logout_redirect_url=_url(role, "md:SingleLogoutService", xml.HTTP_REDIRECT),
        logout_post_url=_url(role, "md:SingleLogoutService", xml.HTTP_POST),
    )


def _certificate(text: str) -> x509.Certificate:
    body = "\n".join(textwrap.wrap("".join(text.split()), 64))
    pem = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as why:
        raise Refused("a certificate of the metadata cannot be read") from why


def _url(role: Element, service_name: str, binding: str) -> str:
    for service in role.findall(xml.name(service_name)):
        if service.get("Binding") == binding:
            return str(service.get("ResponseLocation") or service.get("Location", ""))
    return ""
