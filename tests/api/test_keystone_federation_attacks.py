"""What must not let anybody in: forged, wrapped, misdirected and repeated evidence.

Source: RFD 0009, "What must hold"; "On Breaking SAML: Be Whoever You Want to Be" (2012);
CVE-2017-11427 (comments); RFC 8725 (JWT best current practices).
"""

import base64
import copy
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt
from keystone_cloud import Cloud, cloud_at
from lxml import etree
from signxml.signer import XMLSigner
from tests.certificates import Pair, pair

from aerostat.assembly.engines import free_port
from aerostat.contracts.events import Event
from aerostat.kit.clock import iso
from aerostat.kit.http.serve import HttpServer
from aerostat.services.keystone.db import stores
from aerostat.services.keystone.domain import pending_logins
from aerostat.services.keystone.federation_config import OpenIdClient, SamlPeer
from aerostat.services.keystone.model import openid

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
    '<saml:AuthnStatement AuthnInstant="{0}"><saml:AuthnContext><saml:AuthnContextClassRef>x'
    "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
)
FOR = "<saml:AudienceRestriction><saml:Audience>{0}</saml:Audience></saml:AudienceRestriction>"
RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "uid"}]}]


async def trust(cloud: Cloud, protocol: str, rules: Any, remote_id: str) -> None:
    provider = {"enabled": True, "remote_ids": [remote_id]}
    spoken = {"mapping_id": "rules"}
    if protocol == "saml2":
        spoken["remote_id_attribute"] = "MELLON_IDP"
    for url, body in (
        ("mappings/rules", {"mapping": {"rules": rules}}),
        ("identity_providers/corp", {"identity_provider": provider}),
        (f"identity_providers/corp/protocols/{protocol}", {"protocol": spoken}),
    ):
        reply = await cloud.call("PUT", f"/OS-FEDERATION/{url}", json=body)
        assert reply.status_code == 201, reply.text


@pytest.fixture
async def saml(tmp_path: Path) -> AsyncIterator[Cloud]:
    body = "".join(IDP.certificate_pem.decode().splitlines()[1:-1])
    (tmp_path / "idp.xml").write_text(METADATA.format(issuer=ISSUER, certificate=body))
    peer = SamlPeer(metadata_file=str(tmp_path / "idp.xml"))
    async with cloud_at(tmp_path, federation={"corp": {"saml2": peer}}) as cloud:
        await trust(cloud, "saml2", RULES, ISSUER)
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


class Heard:
    """Keeps the events that it is told."""

    def __init__(self) -> None:
        self.payloads: list[dict[str, Any]] = []

    def emit(self, event: Event) -> None:
        self.payloads.append(event.payload)


async def test_the_right_one_counts_and_only_once(saml: Cloud) -> None:
    document = sign(response(saml, await ask(saml)))
    saml.keystone.notifier = heard = Heard()
    reply = await bring(saml, document)
    assert reply.status_code == 201 and reply.json()["token"]["user"]["name"] == "ada"
    assert (await bring(saml, document)).status_code == 401
    good, bad = heard.payloads
    assert (good["outcome"], bad["outcome"]) == ("success", "failure")
    assert good["initiator"]["username"] == "ada"
    assert good["initiator"]["credential"]["identityProvider"] == "corp"
    assert "login waits" in bad["reason"]["reasonCode"]


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://evil.example.org"},
    "another destination": {"destination": "https://other.example.org"},
    "another recipient": {"recipient": "https://other.example.org"},
    "another audience": {"audience": FOR.format("https://other.example.org")},
    "no audience": {"audience": ""},
    "an answer to another request": {"in_response_to": 'InResponseTo="_other"'},
    "an answer to no request": {"in_response_to": ""},
    "not a bearer's": {"method": "holder-of-key"},
    "denied": {"status": "Responder"},
    "no login": {"login": ""},
    "ended": {"end": iso(1_600_000_000)},
    "confirmation ended": {"confirmed": iso(1_600_000_000)},
    "not yet": {"start": iso(1_900_000_000)},
    "no time": {"end": "soon"},
}


@pytest.mark.parametrize("what", WRONG)
async def test_signed_but_wrong(saml: Cloud, what: str) -> None:
    document = sign(response(saml, await ask(saml), **WRONG[what]))
    reply = await bring(saml, document)
    assert reply.status_code == 401, reply.text


async def test_what_was_said_to_another_service(saml: Cloud) -> None:
    """Whoever runs another service of the provider gets assertions, and can send any Host."""
    there = SAML_AUTH.replace("/v3/", "https://evil.example.org/v3/", 1)
    audience = FOR.format(there.removesuffix("auth") + "metadata")
    document = response(
        saml, await ask(saml), destination=there, recipient=there, audience=audience
    )
    raw = etree.tostring(sign(document))
    lies = {"Host": "evil.example.org", "X-Forwarded-Proto": "https"}
    reply = await saml.http.post(SAML_AUTH, content=raw, headers=lies)
    assert reply.status_code == 401


async def test_signatures(saml: Cloud) -> None:
    for number, forge in enumerate(
        (
            lambda d: d,  # Not signed at all: the placeholder stays.
            lambda d: sign(d, by=OTHER),
            lambda d: sign(d, digest="sha1"),
        )
    ):
        reply = await bring(saml, forge(response(saml, await ask(saml))))
        assert reply.status_code == 401, number
    document = sign(response(saml, await ask(saml)))
    document.find(".//saml:AttributeValue", NS).text = "admin"
    assert (await bring(saml, document)).status_code == 401
    document = sign(response(saml, await ask(saml)))
    signature = document.find(".//ds:Signature", NS)
    signature.getparent().remove(signature)
    assert (await bring(saml, document)).status_code == 401


async def test_nothing_may_be_missing(saml: Cloud) -> None:
    """Every part of a signed assertion is taken away or emptied in turn; nothing breaks."""
    count = len(list(response(saml, "_x").iter()))
    for number in range(1, count):
        for empty in (False, True):
            document = sign(response(saml, await ask(saml)))
            part = list(document.iter())[number]
            names = {etree.QName(a).localname for a in (part, *part.iterancestors())}
            # Which key counts is in the metadata, so what the message says of it does not matter.
            inside = "Assertion" in names and "KeyInfo" not in names
            if empty:
                part.clear()
            else:
                part.getparent().remove(part)
            reply = await bring(saml, document)
            assert reply.status_code in ((401,) if inside else (201, 401)), part.tag


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


@pytest.mark.parametrize("how", WRAPPED)
async def test_wrapping(saml: Cloud, how: str) -> None:
    document = WRAPPED[how](sign(response(saml, await ask(saml))))
    reply = await bring(saml, document)
    assert reply.status_code == 401, reply.text


async def test_comments_cut_nothing_off(saml: Cloud) -> None:
    """Canonical XML leaves comments out, so anybody may add them to what is signed."""
    document = sign(response(saml, await ask(saml), name="ada.evil.example.org"))
    for place in (".//saml:AttributeValue", ".//saml:NameID"):
        part = document.find(place, NS)
        part.text = "ada"
        comment = etree.Comment("")
        comment.tail = ".evil.example.org"
        part.append(comment)
    reply = await bring(saml, document)
    assert reply.json()["token"]["user"]["name"] == "ada.evil.example.org"


async def test_attributes_cannot_be_what_we_say_ourselves(saml: Cloud) -> None:
    more = "".join(
        f'<saml:Attribute Name="{name}"><saml:AttributeValue>https://elsewhere'
        "</saml:AttributeValue></saml:Attribute>"
        for name in ("MELLON_IDP", "IDP")
    )
    document = sign(response(saml, await ask(saml), more=more))
    assert (await bring(saml, document)).status_code == 201


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>',
    ],
)
async def test_documents_with_entities(saml: Cloud, head: str) -> None:
    document = etree.tostring(sign(response(saml, await ask(saml))))
    assert (await bring(saml, head.encode() + document)).status_code == 401


@pytest.mark.parametrize(
    "raw", [b"<", b"<x/>", b"\xff\xfe", b"<x>" * 20_000, b"<!--" + b"x" * 600_000 + b"--><x/>"]
)
async def test_what_is_no_response(saml: Cloud, raw: bytes) -> None:
    assert (await bring(saml, raw)).status_code == 401


# OpenID Connect

AUTH = "/v3/OS-FEDERATION/identity_providers/corp/protocols/openid"
WEBSSO = "/v3/auth/OS-FEDERATION/identity_providers/corp/protocols/openid/websso"
DASHBOARD = "http://dashboard/"
KEY = jwk.RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})
FOREIGN = jwk.RSAKey.generate_key(2048, {"kid": "k1", "use": "sig"})


class Provider:
    """A provider that says what a test wants, at a port of loopback."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.tokens: dict[str, Any] = {}
        self.form: dict[str, list[str]] = {}
        self.userinfo: dict[str, Any] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        if path == "/token":
            self.form = parse_qs((await receive())["body"].decode())
        answers: dict[str, Any] = {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "jwks_uri": f"{self.url}/keys",
            },
            "/keys": {"keys": [KEY.as_dict(private=False)]},
            "/token": self.tokens,
            "/userinfo": self.userinfo,
        }
        raw = json.dumps(answers[path]).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": raw})


@asynccontextmanager
async def openid_cloud(path: Path) -> AsyncIterator[tuple[Cloud, Provider]]:
    port = free_port()
    provider = Provider(port)
    server = HttpServer(provider, "127.0.0.1", port)
    await server.start()
    client = OpenIdClient(issuer=provider.url, client_id="cloud")
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "OIDC-sub"}]}]
    options = {"federation": {"corp": {"openid": client}}, "trusted_dashboard": (DASHBOARD,)}
    async with cloud_at(path, **options) as cloud:
        await trust(cloud, "openid", rules, provider.url)
        yield cloud, provider
    await server.stop()


def token_of(claims: dict[str, Any], key: Any = KEY, **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": "k1", **header}, claims, key, algorithms=["RS256"])


def _part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unsigned(claims: dict[str, Any], alg: str = "none") -> str:
    return f"{_part({'alg': alg, 'kid': 'k1'})}.{_part(claims)}."


def by_public_key(claims: dict[str, Any]) -> str:
    """Return a token whose HMAC was made with what everybody knows: the public key."""
    signed = f"{_part({'alg': 'HS256', 'kid': 'k1'})}.{_part(claims)}"
    digest = hmac.digest(KEY.as_pem(private=False), signed.encode(), hashlib.sha256)
    return f"{signed}.{_part(digest)}"


async def test_bearer_tokens(tmp_path: Path) -> None:
    async with openid_cloud(tmp_path) as (cloud, provider):
        now = int(cloud.clock.now())
        good = {"iss": provider.url, "aud": "cloud", "sub": "ada", "exp": now + 300, "iat": now}

        async def status(token: str) -> int:
            sent = {"Authorization": f"Bearer {token}"}
            return (await cloud.http.post(f"{AUTH}/auth", headers=sent)).status_code

        assert await status(token_of(good)) == 201
        own_key = FOREIGN.as_dict(private=False)
        bad = {
            "none": unsigned(good),
            "None": unsigned(good, "None"),
            "empty": unsigned(good, ""),
            "HMAC with the public key": by_public_key(good),
            "another key": token_of(good, FOREIGN),
            "its own key": token_of(good, FOREIGN, jwk=own_key),
            "no signature": token_of(good).rsplit(".", 1)[0] + ".",
            "another issuer": token_of({**good, "iss": "https://evil"}),
            "no issuer": token_of({k: v for k, v in good.items() if k != "iss"}),
            "another audience": token_of({**good, "aud": ["other"]}),
            "no audience": token_of({k: v for k, v in good.items() if k != "aud"}),
            "expired": token_of({**good, "exp": now - 61}),
            "for ever": token_of({k: v for k, v in good.items() if k != "exp"}),
            "a time as text": token_of({**good, "exp": "9999999999"}),
            "not yet": token_of({**good, "nbf": now + 120}),
            "of the future": token_of({**good, "iat": now + 120}),
            "nobody's": token_of({**good, "sub": ""}),
            "a logout token": token_of({**good, "events": {}}),
        }
        let_in = [what for what, token in bad.items() if await status(token) != 401]
        assert let_in == []
        provider.userinfo = {"sub": "admin"}  # Of somebody else: does not count.
        assert await status(token_of(good)) == 201
        users = (await cloud.get("/users?idp_id=corp"))["users"]
        assert [u["name"] for u in users] == ["ada"]


async def test_id_tokens(tmp_path: Path) -> None:
    async with openid_cloud(tmp_path) as (cloud, provider):
        now = int(cloud.clock.now())
        good = {"iss": provider.url, "aud": "cloud", "sub": "ada", "exp": now + 300, "iat": now}

        async def finish(**changes: Any) -> httpx.Response:
            begun = await cloud.http.get(f"{WEBSSO}?origin={DASHBOARD}")
            query = parse_qs(urlsplit(begun.headers["location"]).query)
            claims = {**good, "nonce": query["nonce"][0], **changes}
            claims = {name: value for name, value in claims.items() if value is not None}
            provider.tokens = {"id_token": token_of(claims), "access_token": "x"}
            answer = {"code": "c", "state": query["state"][0]}
            reply = await cloud.http.get(f"{WEBSSO}?{urlencode(answer)}")
            verifier = provider.form["code_verifier"][0]
            digest = hashlib.sha256(verifier.encode()).digest()
            assert _part(digest) == query["code_challenge"][0]
            return reply

        page = await finish()
        assert page.status_code == 200 and DASHBOARD in page.text
        assert (await finish(aud=["cloud", "other"], azp="cloud")).status_code == 200
        for changes in (
            {"nonce": "another"},
            {"nonce": None},
            {"aud": "other"},
            {"aud": ["cloud", "other"]},
            {"azp": "other"},
            {"iss": "https://evil"},
            {"exp": now - 61},
        ):
            assert (await finish(**changes)).status_code == 401, changes
        begun = await cloud.http.get(f"{WEBSSO}?origin={DASHBOARD}")
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        mixed = urlencode({"code": "c", "state": state, "iss": "https://another.provider"})
        assert (await cloud.http.get(f"{WEBSSO}?{mixed}")).status_code == 401


@pytest.mark.parametrize(
    "origin",
    [
        "http://dashboard",
        "http://dashboard/x",
        "http://dashboard/?",
        "http://evil@dashboard/",
        "http://dashboard.evil/",
        "HTTP://dashboard/",
        "//dashboard/",
        "javascript:alert(1)//http://dashboard/",
    ],
)
async def test_tokens_go_to_trusted_dashboards_only(tmp_path: Path, origin: str) -> None:
    async with openid_cloud(tmp_path) as (cloud, _):
        for url in (WEBSSO, "/v3/auth/OS-FEDERATION/websso/openid"):
            reply = await cloud.http.get(url, params={"origin": origin})
            assert reply.status_code == 401, url


async def test_logins_wait_for_ten_minutes(tmp_path: Path) -> None:
    async with openid_cloud(tmp_path) as (cloud, _):
        begun = await cloud.http.get(f"{WEBSSO}?origin={DASHBOARD}")
        state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
        cloud.clock.time += 601
        answer = urlencode({"code": "c", "state": state})
        assert (await cloud.http.get(f"{WEBSSO}?{answer}")).status_code == 401


async def test_beginning_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending_logins, "PENDING_MAX", 3)
    async with openid_cloud(tmp_path) as (cloud, _):
        states = []
        for _ in range(6):
            begun = await cloud.http.get(f"{WEBSSO}?origin={DASHBOARD}")
            states += parse_qs(urlsplit(begun.headers["location"]).query)["state"]
        kept = await cloud.keystone.db.read(stores.federation_requests.all)
        assert {row.id for row in kept} == {pending_logins.hashed(state) for state in states[3:]}


async def test_any_copy_takes_the_answer(tmp_path: Path) -> None:
    """A login begins at one process and ends at another one; then it is over for both."""
    async with openid_cloud(tmp_path) as (cloud, provider):
        config = cloud.keystone.config
        options = {"federation": config.federation, "trusted_dashboard": (DASHBOARD,)}
        async with cloud_at(tmp_path, shared=True, clock=cloud.clock, **options) as copied:
            begun = await cloud.http.get(f"{WEBSSO}?origin={DASHBOARD}")
            query = parse_qs(urlsplit(begun.headers["location"]).query)
            now = int(cloud.clock.now())
            claims = {"iss": provider.url, "aud": "cloud", "sub": "ada", "exp": now + 300}
            claims["nonce"] = query["nonce"][0]
            provider.tokens = {"id_token": token_of(claims), "access_token": "x"}
            answer = urlencode({"code": "c", "state": query["state"][0]})
            sent = {"Cookie": begun.headers["set-cookie"].split(";")[0]}
            for client, status in ((copied, 200), (cloud, 401), (copied, 401)):
                reply = await client.http.get(f"{WEBSSO}?{answer}", headers=sent)
                assert reply.status_code == status


def test_names_that_look_alike_as_headers() -> None:
    claims = {
        "SUB": "admin",
        "Sub": "admin",
        "sub": "ada",
        "Iss": "https://evil",
        "_x-y": [1, True],
    }
    said = openid.assertion(claims, "https://idp").attributes
    assert said["HTTP_OIDC_SUB"] == said["OIDC-sub"] == ("ada",)
    assert said["HTTP_OIDC_ISS"] == ("https://idp",) and said["HTTP_OIDC__X_Y"] == ("1", "1")
    assert said["REMOTE_USER"] == ("ada@https://idp",)
