"""Every route with every persona: nothing fails with a 500, nobody gets what is not theirs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from keystone_cloud import PASSWORD, Cloud, cloud_at

from aerostat.kit.http.route import Route
from aerostat.services.keystone import policies
from aerostat.services.keystone.service import manifest

ROUTES = manifest.api.routes()
PERSONAS = ("manager", "member", "reader", "unscoped")
OPEN = {
    ("GET", "/v3/regions"),
    ("GET", "/v3/regions/{region_id}"),
    ("GET", "/v3/credentials"),
    ("GET", "/v3/registered_limits"),
    ("GET", "/v3/registered_limits/{registered_limit_id}"),
    ("GET", "/v3/limits"),
    ("GET", "/v3/limits/model"),
    ("GET", "/v3/auth/projects"),
    ("GET", "/v3/auth/domains"),
    ("GET", "/v3/auth/system"),
}
"""What everybody with a token may read, whatever the roles."""

SCOPED = {("GET", "/v3/auth/catalog")}
"""What everybody with roles somewhere may read."""

READERS = {("GET", "/v3/domains/{domain_id}")}
"""What readers may see: the domain of their own project."""


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud_at(tmp_path) as started:
        yield started


async def _world(cloud: Cloud) -> dict[str, str]:
    """Make one of each noun, none of them the personas', and return their ids."""
    user, project, token = await cloud.member()
    group, service = await cloud.make("group"), await cloud.make("service", type="thing")
    endpoint = await cloud.make(
        "endpoint", service_id=service["id"], interface="public", url="http://x"
    )
    filters = {"interface": "public"}
    group_e = await cloud.make("endpoint_group", "OS-EP-FILTER/endpoint_groups", filters=filters)
    policy = await cloud.make("policy", "policies", type="x", blob="y")
    credential = await cloud.make("credential", type="x", blob="y", user_id=user["id"])
    role, implied = await cloud.make("role"), await cloud.make("role")
    default = {"service_id": service["id"], "resource_name": "r", "default_limit": 3}
    doc = {"registered_limits": [default]}
    reply = await cloud.call("POST", "/registered_limits", json=doc)
    registered = reply.json()["registered_limits"][0]
    limit = {
        "service_id": service["id"],
        "resource_name": "r",
        "resource_limit": 3,
        "project_id": project["id"],
    }
    reply = await cloud.call("POST", "/limits", json={"limits": [limit]})
    base = f"users/{user['id']}/application_credentials"
    made = await cloud.make("application_credential", base, token)
    consumer = await cloud.make("consumer", "OS-OAUTH1/consumers")
    return {
        "user_id": user["id"],
        "project_id": project["id"],
        "domain_id": "default",
        "group_id": group["id"],
        "role_id": role["id"],
        "implied_role_id": implied["id"],
        "region_id": "RegionOne",
        "service_id": service["id"],
        "endpoint_id": endpoint["id"],
        "endpoint_group_id": group_e["id"],
        "policy_id": policy["id"],
        "credential_id": credential["id"],
        "registered_limit_id": registered["id"],
        "limit_id": reply.json()["limits"][0]["id"],
        "application_credential_id": made["id"],
        "consumer_id": consumer["id"],
        "access_rule_id": "unknown",
        "trust_id": "unknown",
        "access_token_id": "unknown",
        "request_token_id": "unknown",
        "access": "unknown",
        "tag": "blue",
        "group": "identity",
        "option": "driver",
    }


def _body(route: Route, ids: dict[str, str], number: int) -> Any:
    """Return a body that is right for `route`, so that only the policy can refuse it."""
    name = f"new-{number}"
    user_id, project_id, service_id = ids["user_id"], ids["project_id"], ids["service_id"]
    limit = {"service_id": service_id, "resource_name": name}
    trust = {"trustor_user_id": user_id, "trustee_user_id": user_id, "impersonation": False}
    group = {"name": name, "filters": {"interface": "admin"}}
    endpoint = {"service_id": service_id, "interface": "admin", "url": "http://y"}
    bodies: dict[str, Any] = {
        "UserCreate": {"user": {"name": name, "password": "x"}},
        "UserUpdate": {"user": {"email": "x"}},
        "PasswordPost": {"user": {"original_password": "x", "password": "y"}},
        "GroupCreate": {"group": {"name": name}},
        "GroupUpdate": {"group": {"description": "x"}},
        "ProjectCreate": {"project": {"name": name}},
        "ProjectUpdate": {"project": {"description": "x"}},
        "TagsPut": {"tags": ["red"]},
        "DomainCreate": {"domain": {"name": name}},
        "DomainUpdate": {"domain": {"description": "x"}},
        "DomainConfigGroups": {"config": {"identity": {"driver": "x"}}},
        "DomainConfigOptions": {"config": {"driver": "x"}},
        "RoleCreate": {"role": {"name": name}},
        "RoleUpdate": {"role": {"description": "x"}},
        "RegionCreate": {"region": {"description": "x"}},
        "RegionUpdate": {"region": {"description": "x"}},
        "ServiceCreate": {"service": {"type": "x"}},
        "ServiceUpdate": {"service": {"name": "x"}},
        "EndpointCreate": {"endpoint": endpoint},
        "EndpointUpdate": {"endpoint": {"url": "http://z"}},
        "EndpointGroupCreate": {"endpoint_group": group},
        "EndpointGroupUpdate": {"endpoint_group": {"name": "x"}},
        "PolicyCreate": {"policy": {"type": "x", "blob": "y"}},
        "PolicyUpdate": {"policy": {"type": "x"}},
        "CredentialCreate": {"credential": {"type": "x", "blob": "y", "user_id": user_id}},
        "CredentialUpdate": {"credential": {"blob": "z"}},
        "Ec2Create": {"tenant_id": project_id},
        "ApplicationCredentialCreate": {"application_credential": {"name": name}},
        "TrustCreate": {"trust": trust},
        "ConsumerCreate": {"consumer": {}},
        "ConsumerUpdate": {"consumer": {"description": "x"}},
        "RegisteredLimitsCreate": {"registered_limits": [{**limit, "default_limit": 1}]},
        "RegisteredLimitUpdate": {"registered_limit": {"default_limit": 2}},
        "LimitsCreate": {"limits": [{**limit, "resource_limit": 1, "project_id": project_id}]},
        "LimitUpdate": {"limit": {"resource_limit": 2}},
        "RequestTokenPut": {"roles": [{"name": "member"}]},
        "SignedPost": {"credentials": {"access": "x"}},
        "AuthPost": {"auth": {"identity": {"methods": []}}},
    }
    return None if route.body is None else bodies[route.body.__name__]


async def _try(cloud: Cloud, route: Route, ids: dict[str, str], token: str, number: int = 0) -> int:
    path = route.path.removeprefix("/v3").format(**ids)
    subject = {"X-Subject-Token": cloud.admin}
    body = _body(route, ids, number)
    reply = await cloud.call(route.method, path, token, body, **subject)
    assert reply.status_code < 500, (route.method, path, reply.text)
    if reply.status_code >= 400:
        error = reply.json()["error"]
        assert error["code"] == reply.status_code and error["message"] and error["title"]
    return reply.status_code


def _guarded() -> list[Route]:
    return [r for r in ROUTES if not r.public]


async def test_nobody_without_a_token(cloud: Cloud) -> None:
    ids = await _world(cloud)
    for route in _guarded():
        assert await _try(cloud, route, ids, "") == 401, route.path
        assert await _try(cloud, route, ids, "forged") == 401, route.path


@pytest.mark.parametrize("persona", PERSONAS)
async def test_others_get_only_what_is_open(cloud: Cloud, persona: str) -> None:
    ids = await _world(cloud)
    user, _, token = await cloud.member("member" if persona == "unscoped" else persona)
    if persona == "unscoped":
        token = await cloud.log_in(user["id"], scope="unscoped")
    allowed = set(OPEN)
    if persona != "unscoped":
        allowed |= SCOPED | READERS
    passed = set()
    for number, route in enumerate(_guarded()):
        status = await _try(cloud, route, ids, token, number)
        if status < 400:
            passed.add((route.method, route.path))
        elif (route.method, route.path) not in allowed:
            assert status in (403, 404), (route.method, route.path, status)
    assert passed == allowed


@pytest.mark.parametrize("persona", ["project admin", "system admin", "domain admin"])
async def test_admins_meet_no_refusal(cloud: Cloud, persona: str) -> None:
    ids = await _world(cloud)
    admin = (await cloud.get("/users?name=admin"))["users"][0]["id"]
    await cloud.grant(f"/domains/default/users/{admin}", "admin")
    scopes = {
        "project admin": {"project": {"name": "admin", "domain": {"id": "default"}}},
        "system admin": {"system": {"all": True}},
        "domain admin": {"domain": {"id": "default"}},
    }
    token = await cloud.log_in(admin, PASSWORD, scopes[persona])
    own = {policies.CREATE_APPLICATION_CREDENTIAL.name, policies.CREATE_TRUST.name}
    assert own
    for number, route in enumerate(_guarded()):
        if route.method == "DELETE":
            continue
        status = await _try(cloud, route, ids, token, number)
        theirs = "application_credentials" in route.path or "OS-TRUST" in route.path
        signed = route.body is not None and route.body.__name__ == "SignedPost"
        if not (theirs and route.method == "POST"):
            expected = (200, 201, 204, 400, 403, 404, 409, *([401] if signed else []))
            assert status in expected, (route.method, route.path, status)
            if route.policy is not None:
                assert status != 403 or "config" in route.path, (route.path, status)


async def test_deleting_everything_as_admin(cloud: Cloud) -> None:
    ids = await _world(cloud)
    for route in [r for r in _guarded() if r.method == "DELETE"]:
        await _try(cloud, route, ids, cloud.admin)


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
