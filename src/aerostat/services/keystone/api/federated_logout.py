"""Where identity providers say that somebody logged out there: tokens of that login end.

Source: OpenID Connect Back-Channel Logout 1.0.
"""

from urllib.parse import parse_qs

from aerostat.kit.errors import BadRequest, Unauthorized
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.kit.log import Logger
from aerostat.services.keystone.api.federated_auth import PAIR, body_of, config_of, way_of
from aerostat.services.keystone.api.sso_pages import NO_STORE
from aerostat.services.keystone.domain import openid
from aerostat.services.keystone.federation_config import OpenIdClient
from aerostat.services.keystone.runtime import Keystone

log = Logger("keystone")
routes: Routes[Keystone] = Routes("federated_logout")


@routes.post(f"/OS-FEDERATION/{PAIR}/logout", policy=None, public=True, stream=True, status=200)
async def log_out(keystone: Keystone, req: Request[None]) -> Reply:
    """Take a provider's word that a user, or one session, has ended."""
    way = await way_of(keystone, req)
    config = config_of(keystone, way.provider.id, way.protocol_id)
    form = parse_qs((await body_of(req)).decode("latin-1"))
    tokens = form.get("logout_token", [])
    if not isinstance(config, OpenIdClient) or len(tokens) != 1:
        raise BadRequest("A logout token is needed.", field="logout_token")
    try:
        ended = await openid.log_out(keystone, way, config, tokens[0])
    except Unauthorized as why:
        raise BadRequest("The logout token is refused.", field="logout_token") from why
    log.info("federation.logged_out", idp_id=way.provider.id, logins=ended)
    return Reply(raw=b"", status=200, headers=NO_STORE)
