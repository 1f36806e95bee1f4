"""Assertions that this cloud makes for others. Source: keystone, federation/idp.py."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from aerostat.services.keystone.federation_config import SamlIdp
from aerostat.services.keystone.saml import xml
from aerostat.services.keystone.saml.request import KeyPair, describe_key, signed
from aerostat.services.keystone.saml.xml import Element

ENTITY = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
BY_URI = "urn:oasis:names:tc:SAML:2.0:bindings:URI"


class Statement(Struct, frozen=True):
    """Whom an assertion is about, for whom, and when; `ids` are the response's and its own."""

    issuer: str
    recipient: str
    user: str
    attributes: Mapping[str, Sequence[str]]
    ids: tuple[str, str]
    at: float
    until: float


def response(statement: Statement, pair: KeyPair) -> Element:
    """Return a response with a signed assertion."""
    root = xml.make(
        "samlp:Response",
        ID=statement.ids[0],
        Version="2.0",
        IssueInstant=xml.moment(statement.at),
        Destination=statement.recipient,
    )
    xml.add(root, "saml:Issuer", statement.issuer, Format=ENTITY)
    status = xml.add(root, "samlp:Status")
    xml.add(status, "samlp:StatusCode", Value=xml.SUCCESS)
    root.append(signed(_assertion(statement), pair))
    return root


def _assertion(statement: Statement) -> Element:
    now, until = xml.moment(statement.at), xml.moment(statement.until)
    assertion = xml.make("saml:Assertion", ID=statement.ids[1], Version="2.0", IssueInstant=now)
    xml.add(assertion, "saml:Issuer", statement.issuer, Format=ENTITY)
    xml.add(assertion, "ds:Signature", Id="placeholder")
    subject = xml.add(assertion, "saml:Subject")
    xml.add(subject, "saml:NameID", statement.user)
    confirmation = xml.add(subject, "saml:SubjectConfirmation", Method=xml.BEARER)
    xml.add(
        confirmation,
        "saml:SubjectConfirmationData",
        NotOnOrAfter=until,
        Recipient=statement.recipient,
    )
    xml.add(assertion, "saml:Conditions", NotBefore=now, NotOnOrAfter=until)
    login = xml.add(
        assertion,
        "saml:AuthnStatement",
        AuthnInstant=now,
        SessionIndex=statement.ids[1],
        SessionNotOnOrAfter=until,
    )
    context = xml.add(login, "saml:AuthnContext")
    xml.add(context, "saml:AuthnContextClassRef", PASSWORD)
    xml.add(context, "saml:AuthenticatingAuthority", statement.issuer)
    attributes = xml.add(assertion, "saml:AttributeStatement")
    for name, values in statement.attributes.items():
        attribute = xml.add(attributes, "saml:Attribute", Name=name)
        for value in values:
            xml.add(attribute, "saml:AttributeValue", value)
    return assertion


def envelope(message: Element, recipient: str, relay_state: str) -> bytes:
    """Return a response as a client passes it on to a service provider."""
    root = xml.make("soap:Envelope")
    header = xml.add(root, "soap:Header")
    marks = {
        f"{{{xml.SOAP}}}mustUnderstand": "1",
        f"{{{xml.SOAP}}}actor": "http://schemas.xmlsoap.org/soap/actor/next",
    }
    relay = xml.add(header, "ecp:RelayState", relay_state)
    answer = xml.add(header, "ecp:Response", AssertionConsumerServiceURL=recipient)
    for part in (relay, answer):
        part.attrib.update(marks)
    xml.add(root, "soap:Body").append(message)
    return xml.write(root)


def metadata(config: SamlIdp, certificate_pem: bytes) -> bytes:
    """Return how this cloud describes itself to clouds that are to trust it."""
    root = xml.make("md:EntityDescriptor", entityID=config.idp_entity_id)
    role = xml.add(root, "md:IDPSSODescriptor", protocolSupportEnumeration=xml.SAMLP)
    describe_key(role, certificate_pem)
    xml.add(role, "md:NameIDFormat", TRANSIENT)
    xml.add(role, "md:SingleSignOnService", Binding=BY_URI, Location=config.idp_sso_endpoint)
    organization = xml.add(root, "md:Organization")
    language = {"{http://www.w3.org/XML/1998/namespace}lang": "en"}
    for part, text in (
        ("md:OrganizationName", config.idp_organization_name),
        ("md:OrganizationDisplayName", config.idp_organization_display_name),
        ("md:OrganizationURL", config.idp_organization_url),
    ):
        xml.add(organization, part, text).attrib.update(language)
    if config.idp_contact_email:
        contact = xml.add(root, "md:ContactPerson", contactType="other")
        xml.add(contact, "md:EmailAddress", config.idp_contact_email)
    return xml.write(root)
