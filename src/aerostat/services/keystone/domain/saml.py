"""Logins by SAML 2: in a browser, by a client of its own (ECP), and from cloud to cloud."""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from aerostat.kit.errors import Unavailable
from aerostat.services.keystone.domain import pending_logins
from aerostat.services.keystone.domain.federated_login import Way
from aerostat.services.keystone.domain.tokens import refusal
from aerostat.services.keystone.federation_config import SamlPeer
from aerostat.services.keystone.model.federation import Assertion
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.saml import request, response, xml
from aerostat.services.keystone.saml.encryption import Decrypter
from aerostat.services.keystone.saml.peer import Peer
from aerostat.services.keystone.saml.request import KeyPair, Question
from aerostat.services.keystone.saml.response import Expected
from aerostat.services.keystone.saml.xml import Element, Refused


class Ends(Struct, frozen=True):
    """Our own URLs for a provider and protocol, as clients reach them."""

    auth: str
    websso: str
    metadata: str
    logout: str


class Departure(Struct, frozen=True):
    """Where a browser goes to log in; with fields if it has to bring a form."""

    url: str
    fields: Mapping[str, str] = {}


class Answer(Struct, frozen=True):
    """What a browser brings from its provider, and its cookie."""

    response: str
    cookie: str


async def peer_of(keystone: Keystone, config: SamlPeer, *, again: bool = False) -> Peer:
    """Return a provider; `again`: what it said before may be old. Raises: Unavailable."""
    if keystone.saml is None:
        raise Unavailable("No identity provider can be reached from here.")
    return await keystone.saml(config, keystone.clock.now(), again=again)


def _pem(file: str) -> bytes:
    try:
        return Path(file).read_bytes() if file else b""
    except OSError as why:
        raise _keyless(why) from why


def _keyless(why: Exception) -> Unavailable:
    return Unavailable("The keys for SAML cannot be read.", detail=str(why))


def pair_of(config: SamlPeer) -> KeyPair:
    """Return what signs for us. Raises: Unavailable."""
    pair = KeyPair(_pem(config.key_file), _pem(config.certificate_file))
    try:
        if pair.key:
            request.private_key(pair.key)
    except ValueError as why:
        raise _keyless(why) from why
    return pair


def decrypter_of(config: SamlPeer) -> Decrypter:
    """Return what reads what is encrypted for us. Raises: Unavailable."""
    files = [file for file in (config.key_file, *config.old_key_files) if file]
    try:
        return Decrypter([request.private_key(_pem(file)) for file in files], config.ciphers)
    except ValueError as why:
        raise _keyless(why) from why


def own_id(config: SamlPeer, ends: Ends) -> str:
    """Return what this cloud calls itself."""
    return config.entity_id or ends.metadata


def metadata(config: SamlPeer, ends: Ends) -> bytes:
    """Return how this cloud describes itself to the provider."""
    certificate = _pem(config.certificate_file)
    urls = (ends.websso, ends.auth, ends.logout)
    return request.metadata(own_id(config, ends), urls, certificate, config.ciphers)


async def begin(
    keystone: Keystone, way: Way, config: SamlPeer, ends: Ends, browser: tuple[str, str]
) -> Departure:
    """Return where at the provider a browser goes: by redirect if the provider takes that.

    `browser` is the dashboard where it began and its cookie. Raises: Unavailable.
    """
    provider, pair = await _asked(keystone, config)
    question = _question(keystone, config, ends, browser=True)
    origin, cookie = browser
    data = {"origin": origin, "cookie": pending_logins.hashed(cookie), "at": str(question.at)}
    await pending_logins.put(keystone, (question.id, way.provider.id, way.protocol_id), data)
    if url := provider.redirect_url:
        return Departure(request.redirect_url(question, url, pair))
    if url := provider.post_url:
        return Departure(url, request.form(question, url, pair))
    raise Unavailable("The identity provider cannot be used.", detail="no binding for browsers")


async def _asked(keystone: Keystone, config: SamlPeer) -> tuple[Peer, KeyPair]:
    """Return whom to ask, and the keys for it. Raises: Unavailable (it wants signatures)."""
    provider, pair = await peer_of(keystone, config), pair_of(config)
    if provider.wants_signed and not pair.key:
        raise _keyless(ValueError("the provider wants signed requests, and there is no key_file"))
    return provider, pair


def _question(keystone: Keystone, config: SamlPeer, ends: Ends, *, browser: bool) -> Question:
    return Question(
        id=f"_{pending_logins.random_text(keystone)}",
        issuer=own_id(config, ends),
        answer_url=ends.websso if browser else ends.auth,
        binding=xml.HTTP_POST if browser else xml.BY_PAOS,
        at=keystone.clock.now(),
        force=config.force_authn,
        name_id_format=config.name_id_format,
        contexts=config.authn_contexts,
    )


async def finish(
    keystone: Keystone, way: Way, config: SamlPeer, ends: Ends, answer: Answer
) -> tuple[Assertion, str]:
    """Return whom the provider let in, and the dashboard where that began.

    Raises: Unauthorized, Unavailable.
    """
    try:
        document = xml.parse(base64.b64decode(answer.response, validate=False))
    except (Refused, binascii.Error) as why:
        raise refusal(str(why)) from why
    found = await _believed(keystone, config, document, (own_id(config, ends), ends.websso))
    login = (found.in_response_to, way.provider.id, way.protocol_id)
    waiting = await pending_logins.take(keystone, login, answer.cookie)
    if "origin" not in waiting:
        raise refusal("the login did not begin in a browser")
    _check_fresh(config, found, float(waiting["at"]))
    await _once(keystone, found)
    return found.said, waiting["origin"]


async def begin_ecp(keystone: Keystone, way: Way, config: SamlPeer, ends: Ends) -> bytes:
    """Return the envelope that a client takes to the provider."""
    _, pair = await _asked(keystone, config)
    question = _question(keystone, config, ends, browser=False)
    data = {"at": str(question.at)}
    await pending_logins.put(keystone, (question.id, way.provider.id, way.protocol_id), data)
    return request.envelope(question, pair)


async def finish_ecp(
    keystone: Keystone, way: Way, config: SamlPeer, ends: Ends, raw: bytes
) -> Assertion:
    """Return whom the provider let in, by the envelope that a client brings.

    It answers a request of ours, or (`unsolicited`) none. Raises: Unauthorized, Unavailable.
    """
    try:
        document = request.response_in(raw)
    except Refused as why:
        raise refusal(str(why)) from why
    whom = (own_id(config, ends), ends.auth)
    found = await _believed(keystone, config, document, whom, unasked=config.unsolicited)
    began_at = keystone.clock.now()
    if found.in_response_to:
        login = (found.in_response_to, way.provider.id, way.protocol_id)
        waiting = await pending_logins.take(keystone, login)
        if "origin" in waiting:
            raise refusal("the login began in a browser")
        began_at = float(waiting["at"])
    _check_fresh(config, found, began_at)
    await _once(keystone, found)
    return found.said


async def _believed(
    keystone: Keystone,
    config: SamlPeer,
    document: Element,
    whom: tuple[str, str],
    *,
    unasked: bool = False,
) -> response.Answer:
    provider, failure = None, Refused("no provider")
    for again in (False, True):
        found = await peer_of(keystone, config, again=again)
        if found == provider:
            break
        provider = found
        expected = Expected(
            provider.entity_id,
            provider.certificates,
            *whom,
            now=keystone.clock.now(),
            decrypter=decrypter_of(config),
            contexts=config.authn_contexts,
            unasked=unasked,
        )
        try:
            return response.believe(document, expected)
        except Refused as why:
            failure = why
    raise refusal(str(failure)) from failure


def _check_fresh(config: SamlPeer, found: response.Answer, began_at: float) -> None:
    """Raises: Unauthorized (an old login, where a new one was asked for; a browser may lie)."""
    if config.force_authn and found.logged_in_at + response.SKEW_S < began_at:
        raise refusal("the provider did not ask again who it is")


async def _once(keystone: Keystone, found: response.Answer) -> None:
    await pending_logins.once(keystone, found.said.remote_id, found.id, found.until)
