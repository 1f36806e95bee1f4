"""Services go on with what a user began, although the user's token has expired meanwhile."""

from typing import Any

import httpx
from keystone_cloud import Cloud

from aerostat.kit.http import errors
from aerostat.kit.http.edge import Api, ApiSpec
from aerostat.kit.http.policy import Policy
from aerostat.kit.http.route import Request, Routes
from aerostat.services.keystone.provides import IdentityProvider

routes: Routes[None] = Routes("whoami")


@routes.get("/whoami", policy=None)
async def whoami(_service: None, req: Request[None]) -> dict[str, Any]:
    """Tell who asks."""
    ctx = req.ctx
    return {"user_id": ctx.user_id, "service_roles": ctx.extra.get("service_roles", [])}


async def ask(cloud: Cloud, token: str, service: str = "") -> httpx.Response:
    spec = ApiSpec("thing", [("", [routes])], errors.keystone, service_type="thing")
    app = Api(spec, None, Policy([]), IdentityProvider(cloud.keystone).authenticate)
    transport = httpx.ASGITransport(app=app)
    headers = {"X-Auth-Token": token, **({"X-Service-Token": service} if service else {})}
    async with httpx.AsyncClient(transport=transport, base_url="http://thing") as http:
        return await http.get("/whoami", headers=headers)


async def test_expired_tokens_with_a_service(cloud: Cloud) -> None:
    user, _, token = await cloud.member()
    nova, place, old = await cloud.member("service")
    assert (await ask(cloud, token)).json() == {"user_id": user["id"], "service_roles": []}
    said = (await ask(cloud, token, old)).json()
    assert said == {"user_id": user["id"], "service_roles": ["service"]}
    cloud.clock.time += cloud.keystone.config.expiration
    fresh = await cloud.log_in(nova["id"], scope={"project": {"id": place["id"]}})
    for service, status in (("", 401), ("forged", 401), (old, 401), (fresh, 200)):
        assert (await ask(cloud, token, service)).status_code == status, service
    assert (await ask(cloud, token)).status_code == 401  # It is not alive for others now.
    headers = {"X-Service-Token": fresh}
    assert (await cloud.call("GET", "/auth/projects", token, **headers)).status_code == 401
    cloud.clock.time += cloud.keystone.config.allow_expired_window
    fresh = await cloud.log_in(nova["id"], scope={"project": {"id": place["id"]}})
    assert (await ask(cloud, token, fresh)).status_code == 401


async def test_only_the_role_service_counts(cloud: Cloud) -> None:
    _, _, token = await cloud.member()
    member, place, _ = await cloud.member("manager")
    cloud.clock.time += cloud.keystone.config.expiration
    fresh = await cloud.log_in(member["id"], scope={"project": {"id": place["id"]}})
    assert (await ask(cloud, token, fresh)).status_code == 401


async def test_access_rules_do_not_bind_services(cloud: Cloud) -> None:
    user, _, token = await cloud.member()
    _, _, service = await cloud.member("service")
    rules = [{"service": "thing", "method": "GET", "path": "/other"}]
    path = f"users/{user['id']}/application_credentials"
    made = await cloud.make("application_credential", path, token, access_rules=rules)
    proof = {"id": made["id"], "secret": made["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": proof}
    limited = (await cloud.authenticate(identity)).headers["x-subject-token"]
    assert (await ask(cloud, limited)).status_code == 401
    assert (await ask(cloud, limited, service)).status_code == 200
