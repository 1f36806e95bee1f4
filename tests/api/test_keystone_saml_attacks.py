"""Answers of a SAML provider that must not let anybody in: forged, wrapped, for somebody else.

Source: RFD 0009, "What must hold"; "On Breaking SAML: Be Whoever You Want to Be" (2012);
CVE-2017-11427 (comments).
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from keystone_cloud import Cloud, Heard
from lxml import etree
from saml_forge import (
    FOR,
    LOGIN,
    NS,
    OTHER,
    SAML_AUTH,
    WRAPPED,
    ask,
    bring,
    response,
    saml_cloud,
    sign,
)

from aerostat.kit.clock import iso


@pytest.fixture
async def saml(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with saml_cloud(tmp_path) as cloud:
        yield cloud


async def test_the_right_one_counts_and_only_once(saml: Cloud) -> None:
    document = sign(response(saml, await ask(saml)))
    saml.keystone.notifier = heard = Heard()
    reply = await bring(saml, document)
    assert reply.status_code == 201 and reply.json()["token"]["user"]["name"] == "ada"
    assert (await bring(saml, document)).status_code == 401
    good, bad = (event.payload for event in heard.events)
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


async def test_an_old_login_where_a_new_one_was_asked_for(tmp_path: Path) -> None:
    """The request is in the hands of whoever logs in, who may take ForceAuthn out of it."""
    async with saml_cloud(tmp_path, force_authn=True) as cloud:
        for age_s, status in ((3600, 401), (0, 201)):
            login = LOGIN.format(iso(cloud.clock.now() - age_s))
            document = sign(response(cloud, await ask(cloud), login=login))
            assert (await bring(cloud, document)).status_code == status


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
