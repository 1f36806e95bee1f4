"""Logouts by SAML 2: a provider sends the browser round, and its tokens here end."""

from collections.abc import Callable, Sequence

from cryptography import x509
from msgspec import Struct

from aerostat.services.keystone.domain import federated_sessions, pending_logins
from aerostat.services.keystone.domain.federated_login import Way
from aerostat.services.keystone.domain.saml import (
    Departure,
    Ends,
    decrypter_of,
    own_id,
    pair_of,
    peer_of,
)
from aerostat.services.keystone.domain.tokens import refusal
from aerostat.services.keystone.federation_config import SamlPeer
from aerostat.services.keystone.runtime import Keystone
from aerostat.services.keystone.saml import logout, request
from aerostat.services.keystone.saml.logout import Asked
from aerostat.services.keystone.saml.peer import Peer
from aerostat.services.keystone.saml.xml import Element, Refused


class Brought(Struct, frozen=True):
    """What a browser brings: what its request is once it is verified, and text to give back."""

    opened: Callable[[Sequence[x509.Certificate]], Element]
    relay_state: str


class Ended(Struct, frozen=True):
    """How many logins ended, and where the browser goes on (None: nowhere)."""

    logins: int
    then: Departure | None


def by_form(text: str, relay_state: str) -> Brought:
    """Return what a form brings."""
    return Brought(lambda certificates: logout.in_form(text, certificates), relay_state)


def by_query(raw: str, relay_state: str) -> Brought:
    """Return what a query string brings, as it was written."""
    return Brought(lambda certificates: logout.in_query(raw, certificates), relay_state)


async def log_out(
    keystone: Keystone, way: Way, config: SamlPeer, ends: Ends, brought: Brought
) -> Ended:
    """End the tokens of those whom the provider logs out. Raises: Unauthorized, Unavailable."""
    provider = await peer_of(keystone, config)
    now = keystone.clock.now()
    try:
        asked = logout.read(
            brought.opened(provider.certificates),
            provider.entity_id,
            ends.logout,
            now,
            decrypter_of(config),
        )
    except Refused as why:
        raise refusal(str(why)) from why
    await pending_logins.once(keystone, provider.entity_id, asked.id, asked.until)
    who = (way.provider.id, way.protocol_id)
    logins = 0
    for session in asked.sessions or [""]:
        logins += await federated_sessions.end(keystone, who, asked.subject, session)
    own = (f"_{pending_logins.random_text(keystone)}", own_id(config, ends))
    return Ended(logins, _answer(asked, provider, config, (own, now), brought.relay_state))


def _answer(
    asked: Asked,
    provider: Peer,
    config: SamlPeer,
    own: tuple[tuple[str, str], float],
    relay_state: str,
) -> Departure | None:
    pair = pair_of(config)
    relay = {"RelayState": relay_state} if relay_state else {}
    if url := provider.logout_redirect_url:
        said = {"SAMLResponse": logout.done(asked, own[0], url, own[1]), **relay}
        return Departure(request.redirect(said, url, pair))
    if url := provider.logout_post_url:
        message = logout.done(asked, own[0], url, own[1], pair)
        return Departure(url, {"SAMLResponse": request.encoded(message), **relay})
    return None
