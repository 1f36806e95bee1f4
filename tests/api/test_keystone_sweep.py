"""Every route without a token, and what domain managers and callers without a domain may not."""

from keystone_cloud import Cloud
from keystone_world import GUARDED, attempt, world


async def test_nobody_without_a_token(cloud: Cloud) -> None:
    ids = await world(cloud)
    for route in GUARDED:
        for token in ("", "forged"):
            assert (await attempt(cloud, route, ids, token)).status_code == 401, route.path


async def test_domain_manager_rules_the_own_domain_only(cloud: Cloud) -> None:
    mine, other = await cloud.make("domain"), await cloud.make("domain")
    boss = await cloud.user(domain_id=mine["id"])
    await cloud.grant(f"/domains/{mine['id']}/users/{boss['id']}", "manager")
    token = await cloud.log_in(boss["id"], scope={"domain": {"id": mine["id"]}})
    user = await cloud.make("user", token=token, domain_id=mine["id"])
    project = await cloud.make("project", token=token, domain_id=mine["id"])
    group = await cloud.make("group", token=token, domain_id=mine["id"])
    path = f"/groups/{group['id']}/users/{user['id']}"
    assert (await cloud.call("PUT", path, token)).status_code == 204
    base = f"/projects/{project['id']}/users/{user['id']}/roles"
    for role, status in (("member", 204), ("reader", 204), ("admin", 403), ("service", 403)):
        reply = await cloud.call("PUT", f"{base}/{cloud.roles[role]}", token)
        assert reply.status_code == status, role
    assert {u["id"] for u in (await cloud.get("/users", token))["users"]} == {
        boss["id"],
        user["id"],
    }
    foreign = await cloud.user(domain_id=other["id"])
    assert (await cloud.call("GET", f"/users/{foreign['id']}", token)).status_code == 403
    assert (await cloud.call("DELETE", f"/users/{foreign['id']}", token)).status_code == 403
    body = {"user": {"name": "x", "domain_id": other["id"]}}
    assert (await cloud.call("POST", "/users", token, body)).status_code == 403
    body = {"domain": {"enabled": False}}
    assert (await cloud.call("PATCH", f"/domains/{mine['id']}", token, body)).status_code == 403
    body = {"project": {"enabled": False}}
    assert (await cloud.call("PATCH", f"/projects/{mine['id']}", token, body)).status_code == 403


async def test_none_is_not_a_domain(cloud: Cloud) -> None:
    """A caller without a domain must not pass a rule because the target has none either."""
    _, _, token = await cloud.member("reader")
    for query in ("", "?domain_id=None", "?domain_id=", "?domain_id=null"):
        for noun in ("users", "groups", "projects"):
            reply = await cloud.call("GET", f"/{noun}{query}", token)
            assert reply.status_code == 403, (noun, query)
