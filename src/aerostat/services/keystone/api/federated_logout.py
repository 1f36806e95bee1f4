"""Where identity providers say that somebody logged out there: tokens of that login end.

Source: OpenID Connect Back-Channel Logout 1.0; SAML 2.0 Profiles 4.4.
"""

from urllib.parse import parse_qs

from aerostat.kit.errors import BadRequest, Unauthorized
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.kit.log import Logger
from aerostat.services.keystone.api import sso_pages
from aerostat.services.keystone.api.federated_auth import (
    PAIR,
    body_of,
    config_of,
    ends_of,
    way_of,
)
from aerostat.services.keystone.domain import openid, saml_logout
from aerostat.services.keystone.domain.federated_login import Way
from aerostat.services.keystone.domain.saml_logout import Brought
from aerostat.services.keystone.federation_config import OpenIdClient, SamlPeer
from aerostat.services.keystone.runtime import Keystone

log = Logger("keystone")
routes: Routes[Keystone] = Routes("federated_logout")

LOGOUT = f"/OS-FEDERATION/{PAIR}/logout"


@routes.post(LOGOUT, policy=None, public=True, stream=True, status=200)
async def log_out(keystone: Keystone, req: Request[None]) -> Reply:
    """Take a provider's word, by itself or in a browser's form, that a session has ended."""
    way = await way_of(keystone, req)
    config = config_of(keystone, way.provider.id, way.protocol_id)
    form = parse_qs((await body_of(req)).decode("latin-1"))
    if isinstance(config, SamlPeer):
        relay_state = form.get("RelayState", [""])[0]
        brought = saml_logout.by_form(_one(form, "SAMLRequest"), relay_state)
        return await _by_browser(keystone, way, config, brought)
    return await _by_token(keystone, way, config, _one(form, "logout_token"))


def _one(form: dict[str, list[str]], name: str) -> str:
    given = form.get(name, [])
    if len(given) != 1:
        raise BadRequest(f"One {name} is needed.", field=name)
    return given[0]


async def _by_token(keystone: Keystone, way: Way, config: OpenIdClient, token: str) -> Reply:
    try:
        ended = await openid.log_out(keystone, way, config, token)
    except Unauthorized as why:
        raise BadRequest("The logout token is refused.", field="logout_token") from why
    log.info("federation.logged_out", idp_id=way.provider.id, logins=ended)
    return Reply(raw=b"", status=200, headers=sso_pages.NO_STORE)


@routes.get(LOGOUT, policy=None, public=True)
async def log_out_by_redirect(keystone: Keystone, req: Request[None]) -> Reply:
    """Take a SAML provider's word that a session has ended, and send the browser back."""
    way = await way_of(keystone, req)
    config = config_of(keystone, way.provider.id, way.protocol_id)
    if not isinstance(config, SamlPeer) or "SAMLRequest" not in req.query:
        raise BadRequest("A SAMLRequest is needed.", field="SAMLRequest")
    brought = saml_logout.by_query(req.raw_query, req.query.get("RelayState") or "")
    return await _by_browser(keystone, way, config, brought)


async def _by_browser(keystone: Keystone, way: Way, config: SamlPeer, brought: Brought) -> Reply:
    ended = await saml_logout.log_out(keystone, way, config, ends_of(keystone, way), brought)
    log.info("federation.logged_out", idp_id=way.provider.id, logins=ended.logins)
    if ended.then is None:
        return sso_pages.say("You are logged out.")
    if ended.then.fields:
        return sso_pages.send(ended.then.url, ended.then.fields, {}, "You are logged out.")
    return Reply(status=302, headers={"Location": ended.then.url, **sso_pages.NO_STORE})
