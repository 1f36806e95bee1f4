"""Which answers of identity providers count. Source: SAML 2.0 Profiles, 4.1.4.3; Core, 2.

Only what the verifier gives back as signed is read: a signature elsewhere in the document, or
elements put around or beside what was signed, change nothing.
"""

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from lxml import etree
from msgspec import Struct
from msgspec.structs import replace
from signxml.algorithms import DigestAlgorithm, SignatureMethod
from signxml.exceptions import SignXMLException
from signxml.verifier import SignatureConfiguration, XMLVerifier

from aerostat.services.keystone.model.federation import Assertion
from aerostat.services.keystone.saml import xml
from aerostat.services.keystone.saml.encryption import Decrypter
from aerostat.services.keystone.saml.xml import Element, Refused

SKEW_S = 60
"""How far the clocks of a provider and of this cloud may differ."""

METHODS = frozenset(
    {
        *(SignatureMethod.RSA_SHA256, SignatureMethod.RSA_SHA384, SignatureMethod.RSA_SHA512),
        *(SignatureMethod.ECDSA_SHA256, SignatureMethod.ECDSA_SHA384),
        *(SignatureMethod.SHA256_RSA_MGF1, SignatureMethod.ECDSA_SHA512),
    }
)
DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
UNVERIFIED = (
    *(SignXMLException, etree.LxmlError, UnsupportedAlgorithm),
    *(ValueError, AttributeError, KeyError, TypeError),
)
"""How the verifier says no, and how it stumbles over what is no signature."""

TRANSFORMS = {
    "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
}


class Expected(Struct, frozen=True):
    """Who may answer, as whom we asked, where, and when; times in seconds since the epoch.

    `unasked`: an answer without a question counts too, and needs no audience. `contexts`: how
    somebody must have logged in, one of these; however they like if there are none.
    """

    issuer: str
    certificates: Sequence[x509.Certificate]
    audience: str
    url: str
    now: float
    decrypter: Decrypter
    contexts: Sequence[str] = ()
    unasked: bool = False


class Answer(Struct, frozen=True):
    """An assertion that counts: its id, which request it answers ("": none), until when.

    `logged_in_at` is when somebody proved to the provider who they are.
    """

    id: str
    in_response_to: str
    until: float
    logged_in_at: float
    said: Assertion


def believe(response: Element, expected: Expected) -> Answer:
    """Return what a response says. Raises: Refused."""
    if response.tag != xml.name("samlp:Response"):
        raise Refused("not a response")
    whole = xml.child(response, "ds:Signature") is not None
    if whole:
        response = signed_part(response, expected.certificates)
    _check_response(response, expected)
    assertion = only(response, "saml:Assertion", "saml:EncryptedAssertion", expected.decrypter)
    if assertion is None:
        raise Refused("no assertion")
    if xml.child(assertion, "ds:Signature") is not None:
        assertion = signed_part(assertion, expected.certificates)
    elif not whole:
        raise Refused("neither the response nor the assertion is signed")
    return _checked(assertion, expected)


def only(parent: Element, plain: str, encrypted: str, decrypter: Decrypter) -> Element | None:
    """Return the one child of this kind, be it readable or not. Raises: Refused (several)."""
    open_one, sealed = xml.child(parent, plain), xml.child(parent, encrypted)
    if open_one is not None and sealed is not None:
        raise Refused(f"several {plain}")
    return open_one if sealed is None else decrypter.opened(sealed, plain)


def signed_part(element: Element, certificates: Sequence[x509.Certificate]) -> Element:
    """Return what was signed, which is `element`, and nothing else. Raises: Refused."""
    alone = xml.parse(xml.write(element))
    own_id = alone.get("ID")
    if not own_id or len(alone.xpath("//*[@ID=$id]", id=own_id)) != 1:
        raise Refused("the id is missing, or not unique")
    for transform in alone.findall(f"./{xml.name('ds:Signature')}//{xml.name('ds:Transform')}"):
        if transform.get("Algorithm") not in TRANSFORMS:
            raise Refused("a transformation that is not for SAML")
    why: Exception | None = None
    for certificate in certificates:
        try:
            return _verified(alone, own_id, certificate)
        except UNVERIFIED as failure:
            why = failure
    raise Refused(f"the signature is not the provider's: {why}") from why


def _verified(alone: Element, own_id: str, certificate: x509.Certificate) -> Element:
    config = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=METHODS,
        digest_algorithms=DIGESTS,
        ignore_ambiguous_key_info=True,
        # Metadata say which keys count, however old their certificates are.
        verification_time=certificate.not_valid_before_utc,
    )
    result = XMLVerifier().verify(
        alone, x509_cert=certificate, id_attribute="ID", expect_config=config
    )
    assert not isinstance(result, list)
    signed = result.signed_xml
    if signed is None or signed.tag != alone.tag or signed.get("ID") != own_id:
        raise Refused("something else was signed")
    return signed


def _check_response(response: Element, expected: Expected) -> None:
    status = response.find(f"{xml.name('samlp:Status')}/{xml.name('samlp:StatusCode')}")
    if status is None or status.get("Value") != xml.SUCCESS:
        code = "none" if status is None else str(status.get("Value"))
        raise Refused(f"the provider let nobody in: {code[:100]}")
    if response.get("Destination", expected.url) != expected.url:
        raise Refused("for another destination")
    issuer = xml.child(response, "saml:Issuer")
    if issuer is not None and xml.text_of(issuer) != expected.issuer:
        raise Refused("another issuer")


def _checked(assertion: Element, expected: Expected) -> Answer:
    if assertion.get("Version") != "2.0":
        raise Refused("not SAML 2.0")
    if xml.text_of(xml.child(assertion, "saml:Issuer")) != expected.issuer:
        raise Refused("another issuer")
    subject = xml.child(assertion, "saml:Subject")
    if subject is None:
        raise Refused("about nobody")
    request_id, confirmed_until = _confirmation(subject, expected)
    conditions = xml.child(assertion, "saml:Conditions")
    until = _check_conditions(conditions, expected, lenient=not request_id)
    logged_in_at = _logged_in(assertion, expected)
    name_id = only(subject, "saml:NameID", "saml:EncryptedID", expected.decrypter)
    said = _said(_attributes(assertion, expected.decrypter), xml.text_of(name_id), expected.issuer)
    end = max(until, confirmed_until) + SKEW_S
    said = replace(said, subject=xml.text_of(name_id), session=_session(assertion))
    return Answer(str(assertion.get("ID")), request_id, end, logged_in_at, said)


def _session(assertion: Element) -> str:
    """Return what the provider calls its own session."""
    return str(assertion.find(xml.name("saml:AuthnStatement")).get("SessionIndex", ""))


def _logged_in(assertion: Element, expected: Expected) -> float:
    """Return when somebody logged in. Raises: Refused (nobody did, or not as they must)."""
    statement = assertion.find(xml.name("saml:AuthnStatement"))
    if statement is None:
        raise Refused("nobody logged in")
    _check_times(None, statement.get("SessionNotOnOrAfter"), expected)
    path = f"{xml.name('saml:AuthnContext')}/{xml.name('saml:AuthnContextClassRef')}"
    context = xml.text_of(statement.find(path))
    if expected.contexts and context not in expected.contexts:
        raise Refused(f"logged in by {context[:100]}")
    return xml.seconds(statement.get("AuthnInstant", ""))


def _check_times(start: str | None, end: str | None, expected: Expected) -> float:
    """Return the end. Raises: Refused (not yet, or no more)."""
    if start is not None and xml.seconds(start) - SKEW_S > expected.now:
        raise Refused("not yet valid")
    until = expected.now if end is None else xml.seconds(end)
    if end is not None and until + SKEW_S <= expected.now:
        raise Refused("expired")
    return until


def _check_conditions(conditions: Element | None, expected: Expected, *, lenient: bool) -> float:
    """Return the end; `lenient`: nobody asked, and the signed recipient is all that names us."""
    if conditions is None:
        if lenient:
            return expected.now
        raise Refused("no conditions")
    restrictions = conditions.findall(xml.name("saml:AudienceRestriction"))
    for restriction in restrictions:
        names = [xml.text_of(a) for a in restriction.findall(xml.name("saml:Audience"))]
        if expected.audience not in names:
            raise Refused("for another audience")
    if not restrictions and not lenient:
        raise Refused("for no audience")
    return _check_times(conditions.get("NotBefore"), conditions.get("NotOnOrAfter"), expected)


def _confirmation(subject: Element, expected: Expected) -> tuple[str, float]:
    """Return the request that is answered, "" for none, and until when that counts."""
    why = "nobody may come with it"
    for confirmation in subject.findall(xml.name("saml:SubjectConfirmation")):
        data = xml.child(confirmation, "saml:SubjectConfirmationData")
        if confirmation.get("Method") != xml.BEARER or data is None:
            continue
        try:
            if data.get("Recipient") != expected.url:
                raise Refused("for another recipient")
            if data.get("NotOnOrAfter") is None:
                raise Refused("for ever")
            until = _check_times(data.get("NotBefore"), data.get("NotOnOrAfter"), expected)
        except Refused as failure:
            why = str(failure)
            continue
        request_id = data.get("InResponseTo", "")
        if not request_id and not expected.unasked:
            raise Refused("an answer that nobody asked for")
        return str(request_id), until
    raise Refused(why)


def _attributes(assertion: Element, decrypter: Decrypter) -> list[Element]:
    found = []
    for statement in assertion.findall(xml.name("saml:AttributeStatement")):
        found += statement.findall(xml.name("saml:Attribute"))
        for sealed in statement.findall(xml.name("saml:EncryptedAttribute")):
            found.append(decrypter.opened(sealed, "saml:Attribute"))
    return found


def _said(attributes: Sequence[Element], name_id: str, issuer: str) -> Assertion:
    """Return attributes under the names that mod_shib and mod_auth_mellon give them."""
    named: dict[str, tuple[str, ...]] = {}
    for known_as in ("FriendlyName", "Name"):  # Names last: they are the ones that are unique.
        for attribute in attributes:
            values = tuple(
                text
                for value in attribute.findall(xml.name("saml:AttributeValue"))
                if (text := xml.text_of(value))
            )
            if (called := attribute.get(known_as)) and values:
                named[called] = values
    said = {**named, **{f"MELLON_{called}": values for called, values in named.items()}}
    for fixed in ("MELLON_IDP", "Shib-Identity-Provider"):
        said[fixed] = (issuer,)
    for fixed in ("MELLON_NAME_ID", "REMOTE_USER"):
        said[fixed] = (name_id,)
    return Assertion(issuer, said)
