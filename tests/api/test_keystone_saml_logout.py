"""Logouts that SAML providers ask for, and those that nobody may ask for."""

import base64
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from keystone_cloud import Cloud, by_password, by_token
from lxml import etree
from saml_forge import (
    IDP,
    ISSUER,
    NS,
    OTHER,
    SAML_AUTH,
    ask,
    bring,
    evil_of,
    response,
    saml_cloud,
    seal,
    sign,
    sign_whole,
)
from signxml.signer import XMLSigner
from tests.certificates import Pair, pair

from aerostat.kit.clock import iso

LOGOUT = SAML_AUTH.removesuffix("auth") + "logout"
SP = pair("sp")
REQUEST = """<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"
 xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{at}"
 Destination="{destination}" {until}><saml:Issuer>{issuer}</saml:Issuer>
<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#" Id="placeholder"/>
<saml:NameID>{name}</saml:NameID>{sessions}</samlp:LogoutRequest>"""
SESSION = "<samlp:SessionIndex>{0}</samlp:SessionIndex>"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"


@pytest.fixture
async def saml(tmp_path: Path) -> AsyncIterator[Cloud]:
    SP.write(tmp_path / "sp.pem", tmp_path / "sp.key")
    async with saml_cloud(tmp_path, key_file=str(tmp_path / "sp.key")) as cloud:
        yield cloud


async def log_in(cloud: Cloud, **said: str) -> str:
    reply = await bring(cloud, sign(response(cloud, await ask(cloud), **said)))
    return str(reply.headers["x-subject-token"])


def request(cloud: Cloud, **changes: str) -> Any:
    cloud.made += 1
    values = {
        "id": f"_{cloud.made}",
        "at": iso(cloud.clock.now()),
        "destination": f"http://ks{LOGOUT}",
        "until": "",
        "issuer": ISSUER,
        "name": "ada",
        "sessions": SESSION.format("s1"),
        **changes,
    }
    return etree.fromstring(REQUEST.format(**values))


def signed(document: Any, by: Pair = IDP) -> Any:
    signer = XMLSigner(c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#")
    uri, pem = f"#{document.get('ID')}", by.certificate_pem.decode()
    return signer.sign(document, key=by.key_pem, cert=pem, reference_uri=uri, id_attribute="ID")


async def by_form(cloud: Cloud, document: Any, **more: str) -> httpx.Response:
    text = base64.b64encode(etree.tostring(document)).decode()
    return await cloud.http.post(LOGOUT, data={"SAMLRequest": text, **more})


def query(document: Any, by: Pair | None = IDP, algorithm: str = RSA_SHA256) -> str:
    packed = base64.b64encode(zlib.compress(etree.tostring(document), 9)[2:-4]).decode()
    text = f"SAMLRequest={quote_plus(packed)}&RelayState=back&SigAlg={quote_plus(algorithm)}"
    if by is None:
        return text
    signature = base64.b64encode(by.key.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    return f"{text}&Signature={quote_plus(signature)}"


async def test_by_form_and_by_redirect(saml: Cloud) -> None:
    for way in ("form", "redirect"):
        token, other = await log_in(saml), await log_in(saml, name="bob")
        exchanged = (await saml.authenticate(by_token(token))).headers["x-subject-token"]
        document = request(saml)
        if way == "form":
            send = lambda d=document: by_form(saml, signed(d))  # noqa: E731
        else:
            send = lambda d=document: saml.http.get(f"{LOGOUT}?{query(d)}")  # noqa: E731
        reply = await send()
        assert reply.status_code == 200 and "logged out" in reply.text  # No URL for answers.
        statuses = [(await saml.validate(t)).status_code for t in (token, exchanged, other)]
        assert statuses == [404, 404, 200]
        token = await log_in(saml)
        assert (await send()).status_code == 401  # Once.
        assert (await saml.validate(token)).status_code == 200


async def test_sessions_of_others_stay(saml: Cloud) -> None:
    token = await log_in(saml)
    for changes in ({"sessions": SESSION.format("s2")}, {"name": "bob"}):
        assert (await by_form(saml, signed(request(saml, **changes)))).status_code == 200
        assert (await saml.validate(token)).status_code == 200
    assert (await by_form(saml, signed(request(saml, sessions="")))).status_code == 200
    assert (await saml.validate(token)).status_code == 404  # All of the user's.


async def test_an_encrypted_name(saml: Cloud) -> None:
    token, document = await log_in(saml), request(saml)
    name = document.find("saml:NameID", NS)
    document.replace(name, seal(name, SP, kind="ID"))
    assert (await by_form(saml, signed(document))).status_code == 200
    assert (await saml.validate(token)).status_code == 404


async def test_what_was_delegated_outlives_the_session(saml: Cloud) -> None:
    """Application credentials and trusts are for work that goes on when nobody is logged in.

    They end with the user, his rights, or themselves. Source: docs/rfd/0009-federation.md.
    """
    token = await log_in(saml)
    user = (await saml.validate(token)).json()["token"]["user"]["id"]
    project, trustee = await saml.make("project"), await saml.user()
    grants = f"/projects/{project['id']}/users/{user}"
    await saml.grant(grants, "member")
    here = {"project": {"id": project["id"]}}
    scoped = (await saml.authenticate(by_token(token), here)).headers["x-subject-token"]
    body = {"application_credential": {"name": "nightly", "secret": "long enough"}}
    reply = await saml.call("POST", f"/users/{user}/application_credentials", scoped, json=body)
    assert reply.status_code == 201, reply.text
    credential = {"id": reply.json()["application_credential"]["id"], "secret": "long enough"}
    by_credential = {
        "methods": ["application_credential"],
        "application_credential": credential,
    }
    parties = {"trustor_user_id": user, "trustee_user_id": trustee["id"]}
    given = {"project_id": project["id"], "roles": [{"name": "member"}], "impersonation": True}
    reply = await saml.call("POST", "/OS-TRUST/trusts", scoped, json={"trust": parties | given})
    assert reply.status_code == 201, reply.text
    trusted = {"OS-TRUST:trust": {"id": reply.json()["trust"]["id"]}}
    assert (await by_form(saml, signed(request(saml)))).status_code == 200
    assert (await saml.validate(scoped)).status_code == 404
    assert (await saml.authenticate(by_credential)).status_code == 201
    by_trustee = by_password(trustee["id"])
    assert (await saml.authenticate(by_trustee, trusted)).status_code == 201
    roles = (await saml.get("/roles?name=member"))["roles"]
    await saml.call("DELETE", f"{grants}/roles/{roles[0]['id']}")
    assert (await saml.authenticate(by_credential)).status_code in (401, 404)
    assert (await saml.authenticate(by_trustee, trusted)).status_code in (401, 403)


def _around(document: Any) -> Any:
    """A new request has the signed one inside, and its signature."""
    inner = signed(document)
    outer = etree.fromstring(etree.tostring(inner))
    outer.set("ID", "_evil")
    outer.find("saml:NameID", NS).text = "ada"
    holder = etree.SubElement(outer.find("ds:Signature", NS), f"{{{NS['ds']}}}Object")
    inner.remove(inner.find("ds:Signature", NS))
    holder.append(inner)
    return outer


async def test_what_ends_nothing(saml: Cloud) -> None:
    token, now = await log_in(saml), saml.clock.now()
    old = {"at": iso(now - 3600)}
    over = {"until": f'NotOnOrAfter="{iso(now - 120)}"'}
    for document in (
        request(saml),  # Not signed: the placeholder stays.
        signed(request(saml), by=OTHER),
        signed(request(saml, issuer="https://evil")),
        signed(request(saml, destination="https://other.example.org")),
        signed(request(saml, **old)),
        signed(request(saml, **over)),
        signed(request(saml, at=iso(now + 3600))),
        signed(request(saml, name="")),
        _around(request(saml, name="bob")),
        sign_whole(response(saml, "_x")),
        evil_of(response(saml, "_x")),
    ):
        assert (await by_form(saml, document)).status_code == 401, etree.tostring(document)
    good = query(request(saml))
    for text in (
        query(request(saml), by=OTHER),
        query(request(saml), by=None),
        query(request(saml), algorithm="http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        good.replace("RelayState=back", "RelayState=evil"),
        good.replace("&RelayState=back", ""),
        f"{good}&RelayState=evil",
        f"SAMLRequest=x&{good}",
        good.partition("&Signature")[0] + "&Signature=",
    ):
        assert (await saml.http.get(f"{LOGOUT}?{text}")).status_code == 401, text
    bomb = base64.b64encode(zlib.compress(bytes(50_000_000), 9)[2:-4]).decode()
    text = f"SAMLRequest={quote_plus(bomb)}&SigAlg={quote_plus(RSA_SHA256)}"
    signature = base64.b64encode(IDP.key.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    reply = await saml.http.get(f"{LOGOUT}?{text}&Signature={quote_plus(signature)}")
    assert reply.status_code == 401
    for form in ({}, {"SAMLRequest": "x"}, {"logout_token": "x"}):
        assert (await saml.http.post(LOGOUT, data=form)).status_code in (400, 401)
    assert (await saml.http.get(LOGOUT)).status_code == 400
    assert (await saml.validate(token)).status_code == 200
