"""XML from strangers, and names of SAML's parts."""

from datetime import UTC, datetime
from typing import Any

from lxml import etree

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
PAOS = "urn:liberty:paos:2003-08"
ECP = "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"

BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
HTTP_POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
HTTP_REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
BY_PAOS = "urn:oasis:names:tc:SAML:2.0:bindings:PAOS"

SIZE_MAX = 524_288
"""Bytes of a document."""

NAMES = {
    **{"saml": SAML, "samlp": SAMLP, "md": MD, "soap": SOAP, "ecp": ECP, "paos": PAOS},
    **{"ds": DS, "xenc": XENC, "xenc11": XENC11},
}

Element = Any
"""An element of lxml, which has no types of its own."""


class Refused(ValueError):
    """A document that does not count; the text is for the log."""


def parse(raw: bytes) -> Element:
    """Return the root of a document without DOCTYPE: no entities, no files, no network.

    Raises: Refused.
    """
    if len(raw) > SIZE_MAX:
        raise Refused("the document is too long")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as why:
        raise Refused(f"not XML: {why}") from why
    if root is None or root.getroottree().docinfo.doctype:
        raise Refused("a document with a DOCTYPE")
    return root


def name(prefixed: str) -> str:
    """Return lxml's name of `saml:Assertion` and the like."""
    prefix, _, local = prefixed.partition(":")
    return f"{{{NAMES[prefix]}}}{local}"


def make(prefixed: str, text: str = "", **attributes: str) -> Element:
    """Return a new element."""
    prefix = prefixed.partition(":")[0]
    made = etree.Element(name(prefixed), attributes, nsmap={prefix: NAMES[prefix]})
    if text:
        made.text = text
    return made


def add(parent: Element, prefixed: str, text: str = "", **attributes: str) -> Element:
    """Return a new last child of `parent`."""
    made = make(prefixed, text, **attributes)
    parent.append(made)
    return made


def child(parent: Element, prefixed: str) -> Element | None:
    """Return the only child of this name. Raises: Refused (several)."""
    found = parent.findall(name(prefixed))
    if len(found) > 1:
        raise Refused(f"several {prefixed}")
    return found[0] if found else None


def text_of(element: Element | None) -> str:
    """Return all text in an element; a comment inside cuts nothing off."""
    return "" if element is None else str(element.xpath("string()")).strip()


def write(element: Element) -> bytes:
    """Return the document below `element`, and nothing behind it."""
    raw: bytes = etree.tostring(element, with_tail=False)
    return raw


def moment(at: float) -> str:
    """Return a time in seconds since the epoch as SAML writes it."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """Return SAML's time in seconds since the epoch. Raises: Refused."""
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as why:
        raise Refused(f"no time: {text[:40]}") from why
    return when.replace(tzinfo=when.tzinfo or UTC).timestamp()
