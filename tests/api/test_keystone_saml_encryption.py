"""Encrypted answers of SAML providers: what is read, and what must not count or be told.

Source: XML Encryption 1.1; "How to Break XML Encryption" (2011); "Bleichenbacher's Attack Strikes
Again: Breaking PKCS#1 v1.5 in XML Encryption" (2012).
"""

import asyncio
import base64
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from keystone_cloud import Cloud
from lxml import etree
from saml_forge import (
    NS,
    OTHER,
    PAOS,
    SAML_AUTH,
    TRANSPORTS,
    WRAPPED,
    XENC,
    ask,
    bring,
    evil_of,
    response,
    saml_cloud,
    seal,
    sealed,
    sign,
    sign_whole,
)
from tests.certificates import pair

from aerostat.services.keystone.saml.encryption import CIPHERS

SP, OLD = pair("sp"), pair("old")
XMLSECLIBS = Path("/usr/share/simplesamlphp/vendor/robrichards/xmlseclibs/xmlseclibs.php")


@pytest.fixture
async def saml(tmp_path: Path) -> AsyncIterator[Cloud]:
    SP.write(tmp_path / "sp.pem", tmp_path / "sp.key")
    OLD.write(tmp_path / "old.pem", tmp_path / "old.key")
    files = {"key_file": str(tmp_path / "sp.key"), "certificate_file": str(tmp_path / "sp.pem")}
    old = (str(tmp_path / "old.key"),)
    async with saml_cloud(tmp_path, **files, old_key_files=old) as cloud:
        yield cloud


@pytest.mark.parametrize("transport", [name for name in TRANSPORTS if name != "RSA 1.5"])
@pytest.mark.parametrize("cipher", CIPHERS)
async def test_what_is_read(saml: Cloud, cipher: str, transport: str) -> None:
    document = sign(response(saml, await ask(saml)))
    reply = await bring(saml, sealed(document, SP, cipher=cipher, transport=transport))
    assert reply.status_code == 201 and reply.json()["token"]["user"]["name"] == "ada"


async def test_a_signed_response_with_an_encrypted_assertion(saml: Cloud) -> None:
    document = response(saml, await ask(saml))
    unsigned = document.find(".//ds:Signature", NS)
    held = etree.fromstring(etree.tostring(unsigned))
    unsigned.getparent().remove(unsigned)
    document = sealed(document, SP)
    document.find("saml:Issuer", NS).addnext(held)
    document = sign_whole(document)
    assert (await bring(saml, document)).status_code == 201
    evil = response(saml, await ask(saml))
    evil.find(".//saml:AttributeValue", NS).text = "admin"
    other = seal(evil.find("saml:Assertion", NS), SP)
    document.replace(document.find("saml:EncryptedAssertion", NS), other)
    assert (await bring(saml, document)).status_code == 401


async def test_keys_for_several_readers_beside_the_data(saml: Cloud) -> None:
    """Shibboleth may put keys behind the data, and has one for each reader."""
    for reader in (SP, OLD):
        document = sign(response(saml, await ask(saml)))
        part = seal(document.find("saml:Assertion", NS), reader)
        foreign = seal(b"<x/>", OTHER).find(f".//{{{XENC}}}EncryptedKey")
        info = part.find(".//ds:KeyInfo", NS)
        part.append(foreign)
        part.append(info[0])
        info.getparent().remove(info)
        document.replace(document.find("saml:Assertion", NS), part)
        reply = await bring(saml, document)
        assert reply.status_code == 201, reply.text


async def test_encrypted_names_and_attributes(saml: Cloud) -> None:
    document = response(saml, await ask(saml))
    for path, kind in ((".//saml:NameID", "ID"), (".//saml:Attribute", "Attribute")):
        part = document.find(path, NS)
        part.getparent().replace(part, seal(part, SP, kind=kind))
    signed = sign(document)
    assert b">ada<" not in etree.tostring(signed)
    assert (await bring(saml, signed)).json()["token"]["user"]["name"] == "ada"


def by_xmlseclibs(folder: Path, part: Any, cipher: str, transport: str) -> bytes:
    (folder / "in.xml").write_bytes(etree.tostring(part, with_tail=False))
    program = f"""require '{XMLSECLIBS}';
        use RobRichards\\XMLSecLibs\\XMLSecEnc; use RobRichards\\XMLSecLibs\\XMLSecurityKey;
        $document = new DOMDocument(); $document->load('{folder}/in.xml');
        $public = new XMLSecurityKey(XMLSecurityKey::{transport}, ['type' => 'public']);
        $public->loadKey('{folder}/sp.pem', true, true);
        $key = new XMLSecurityKey(XMLSecurityKey::{cipher}); $key->generateSessionKey();
        $sealed = new XMLSecEnc(); $sealed->setNode($document->documentElement);
        $sealed->type = XMLSecEnc::Element; $sealed->encryptKey($public, $key);
        $node = $sealed->encryptNode($key); echo $node->ownerDocument->saveXML($node);"""
    made = subprocess.run(["php", "-r", program], capture_output=True, check=True)
    return made.stdout


@pytest.mark.skipif(not XMLSECLIBS.exists(), reason="needs Debian's SimpleSAMLphp")
@pytest.mark.parametrize("transport", ["RSA_OAEP_MGF1P", "RSA_OAEP"])
@pytest.mark.parametrize("cipher", ["AES128_GCM", "AES256_GCM", "AES256_CBC"])
async def test_what_another_library_encrypts(
    saml: Cloud, tmp_path: Path, cipher: str, transport: str
) -> None:
    document = sign(response(saml, await ask(saml)))
    assertion = document.find("saml:Assertion", NS)
    sealed_there = await asyncio.to_thread(by_xmlseclibs, tmp_path, assertion, cipher, transport)
    holder = etree.Element(f"{{{NS['saml']}}}EncryptedAssertion")
    holder.append(etree.fromstring(sealed_there))
    document.replace(assertion, holder)
    assert (await bring(saml, document)).status_code == 201


def _changed(document: Any, place: str, change: Callable[[bytes], bytes]) -> Any:
    part = document.find(place)
    part.text = base64.b64encode(change(base64.b64decode(part.text))).decode()
    return document


DATA = f".//{{{XENC}}}EncryptedData/{{{XENC}}}CipherData/{{{XENC}}}CipherValue"
KEY = f".//{{{XENC}}}EncryptedKey//{{{XENC}}}CipherValue"


def _instead(document: Any, raw: bytes) -> Any:
    document.replace(document.find("saml:Assertion", NS), seal(raw, SP))
    return document


def _beside(document: Any, *, evil_sealed: bool, first: bool) -> Any:
    signed, evil = document.find("saml:Assertion", NS), evil_of(document)
    evil.remove(evil.find("ds:Signature", NS))
    evil.set("ID", "_evil")
    if evil_sealed:
        evil = seal(evil, SP)
    else:
        sealed(document, SP)
        signed = document.find("saml:EncryptedAssertion", NS)
    (signed.addprevious if first else signed.addnext)(evil)
    return document


def _twice(document: Any) -> Any:
    sealed(document, SP)
    part = document.find("saml:EncryptedAssertion", NS)
    part.addnext(etree.fromstring(etree.tostring(part)))
    return document


def _two_in_one(document: Any) -> Any:
    raw = etree.tostring(document.find("saml:Assertion", NS), with_tail=False)
    return _instead(document, raw + raw)


REFUSED: dict[str, Callable[[Any], Any]] = {
    "not signed": lambda d: sealed(d, SP),
    "signed by somebody else": lambda d: sealed(sign(d, by=OTHER), SP),
    "for somebody else": lambda d: sealed(sign(d), OTHER),
    "the key wrapped by RSA 1.5": lambda d: sealed(sign(d), SP, transport="RSA 1.5"),
    "another key": lambda d: _changed(sealed(sign(d), SP), KEY, lambda b: b[::-1]),
    "no key": lambda d: _changed(sealed(sign(d), SP), KEY, lambda _: b""),
    "another end": lambda d: _changed(sealed(sign(d), SP), DATA, lambda b: b[:-1] + b"\0"),
    "another middle, CBC": lambda d: _changed(
        sealed(sign(d), SP, cipher="aes128-cbc"), DATA, lambda b: b[:40] + bytes(8) + b[48:]
    ),
    "another padding, CBC": lambda d: _changed(
        sealed(sign(d), SP, cipher="aes128-cbc"), DATA, lambda b: b[:-17] + b"\0" + b[-16:]
    ),
    "half a block, CBC": lambda d: _changed(
        sealed(sign(d), SP, cipher="aes128-cbc"), DATA, lambda b: b[:-8]
    ),
    "a vector alone, CBC": lambda d: _changed(
        sealed(sign(d), SP, cipher="aes128-cbc"), DATA, lambda b: b[:16]
    ),
    "nothing": lambda d: _changed(sealed(sign(d), SP), DATA, lambda _: b""),
    "empty text": lambda d: _instead(d, b""),
    "no XML": lambda d: _instead(d, b"<"),
    "another element": lambda d: _instead(d, b"<x/>"),
    "entities": lambda d: _instead(d, b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///x">]><x>&e;</x>'),
    "an end of what is around": lambda d: _instead(d, b"</around><around>"),
    "two in one": lambda d: _two_in_one(sign(d)),
    "twice": lambda d: _twice(sign(d)),
    "sealed evil before it": lambda d: _beside(sign(d), evil_sealed=True, first=True),
    "sealed evil behind it": lambda d: _beside(sign(d), evil_sealed=True, first=False),
    "evil before what is sealed": lambda d: _beside(sign(d), evil_sealed=False, first=True),
    "evil behind what is sealed": lambda d: _beside(sign(d), evil_sealed=False, first=False),
    **{f"wrapped {how}": lambda d, w=wrap: sealed(w(sign(d)), SP) for how, wrap in WRAPPED.items()},
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_is_refused(saml: Cloud, what: str) -> None:
    """All of it in the same words: nobody learns what a ciphertext means."""
    plain = await bring(saml, response(saml, await ask(saml)))  # Not signed.
    reply = await bring(saml, REFUSED[what](response(saml, await ask(saml))))
    assert (reply.status_code, reply.content) == (401, plain.content)
    assert set(reply.headers) == set(plain.headers)


async def test_without_a_key_and_with_fewer_ciphers(tmp_path: Path) -> None:
    SP.write(tmp_path / "sp.pem", tmp_path / "sp.key")
    for options, cipher, status in (
        ({}, "aes256-gcm", 401),
        ({"key_file": str(tmp_path / "sp.key"), "ciphers": ("aes256-gcm",)}, "aes256-gcm", 201),
        ({"key_file": str(tmp_path / "sp.key"), "ciphers": ("aes256-gcm",)}, "aes256-cbc", 401),
    ):
        path = tmp_path / f"{len(options)}{cipher}"
        path.mkdir()
        async with saml_cloud(path, **options) as cloud:
            document = sign(response(cloud, await ask(cloud)))
            reply = await bring(cloud, sealed(document, SP, cipher=cipher))
            assert reply.status_code == status, reply.text


async def test_metadata_say_how_to_encrypt(saml: Cloud) -> None:
    shown = await saml.http.get(SAML_AUTH.removesuffix("auth") + "metadata")
    root = etree.fromstring(shown.content)
    keys = root.findall(".//{urn:oasis:names:tc:SAML:2.0:metadata}KeyDescriptor")
    assert [key.get("use") for key in keys] == ["signing", "encryption"]
    methods = [m.get("Algorithm") for m in keys[1] if m.get("Algorithm")]
    assert methods[0].endswith("#aes256-gcm") and methods[-1] == f"{XENC}rsa-oaep-mgf1p"


@pytest.mark.parametrize("what", ["a password", "no RSA", "no key"])
async def test_keys_that_cannot_be_used(tmp_path: Path, what: str) -> None:
    keys = {
        "a password": SP.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
        ),
        "no RSA": ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
        "no key": b"x",
    }
    (tmp_path / "sp.key").write_bytes(keys[what])
    async with saml_cloud(tmp_path, key_file=str(tmp_path / "sp.key")) as cloud:
        assert (await cloud.http.get(SAML_AUTH, headers=PAOS)).status_code == 503
        assert (await bring(cloud, response(cloud, "_x"))).status_code == 503
