"""Every route with every persona: secure RBAC exactly as upstream's policy defaults have it.

A persona is a role on a scope. What they meet belongs to somebody else, in the personas' own
domain and then in another one. The expectations are facts of upstream's policies (keystone
2026.2), not read from ours: a GET is for READERS, all else for ADMINS, but for EXCEPTIONS.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from keystone_cloud import PASSWORD, Cloud, cloud_at
from keystone_world import GUARDED, attempt, world

from aerostat.kit.http.route import Route

ROLES = ("admin", "manager", "member", "reader")
SCOPES = ("system", "domain", "project")
SYSTEM = {f"system-{role}" for role in ROLES}
DOMAIN = {f"domain-{role}" for role in ROLES}
ADMINS = {f"{scope}-admin" for scope in SCOPES}
READERS = ADMINS | SYSTEM
MANAGERS = ADMINS | {"domain-manager"}
IN_DOMAIN = READERS | DOMAIN
ALL = {f"{scope}-{role}" for scope in SCOPES for role in ROLES}

EXCEPTIONS: dict[str, set[str]] = {
    "GET /v3/credentials": ALL,
    "GET /v3/OS-REVOKE/events": ADMINS,
    "GET /v3/auth/tokens/OS-PKI/revoked": ADMINS,
    "GET /v3/users/{user_id}/OS-OAUTH1/access_tokens": {"project-admin"},
    "GET /v3/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}": {"project-admin"},
    "GET /v3/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles": {"project-admin"},
    "GET /v3/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles/{role_id}": {
        "project-admin"
    },
    "DELETE /v3/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}": {"project-admin"},
    "PUT /v3/OS-OAUTH1/authorize/{request_token_id}": {"project-admin"},
    "GET /v3/auth/catalog": ALL,
    "GET /v3/auth/domains": ALL,
    "GET /v3/auth/projects": ALL,
    "GET /v3/OS-FEDERATION/domains": ALL,
    "GET /v3/OS-FEDERATION/projects": ALL,
    "GET /v3/auth/system": ALL,
    "GET /v3/domains/{domain_id}": ALL,
    "GET /v3/limits": ALL,
    "GET /v3/limits/model": ALL,
    "GET /v3/regions": ALL,
    "GET /v3/regions/{region_id}": ALL,
    "GET /v3/registered_limits": ALL,
    "GET /v3/registered_limits/{registered_limit_id}": ALL,
    "GET /v3/domains": IN_DOMAIN,
    "GET /v3/groups": IN_DOMAIN,
    "GET /v3/groups/{group_id}": IN_DOMAIN,
    "GET /v3/groups/{group_id}/users": IN_DOMAIN,
    "GET /v3/groups/{group_id}/users/{user_id}": IN_DOMAIN,
    "GET /v3/limits/{limit_id}": IN_DOMAIN,
    "GET /v3/projects": IN_DOMAIN,
    "GET /v3/projects/{project_id}": IN_DOMAIN,
    "GET /v3/projects/{project_id}/tags": IN_DOMAIN,
    "GET /v3/projects/{project_id}/tags/{tag}": IN_DOMAIN,
    "GET /v3/role_assignments": IN_DOMAIN,
    "GET /v3/users": IN_DOMAIN,
    "GET /v3/users/{user_id}": IN_DOMAIN,
    "GET /v3/users/{user_id}/groups": IN_DOMAIN,
    "GET /v3/users/{user_id}/projects": IN_DOMAIN,
    "DELETE /v3/groups/{group_id}": MANAGERS,
    "DELETE /v3/groups/{group_id}/users/{user_id}": MANAGERS,
    "DELETE /v3/projects/{project_id}": MANAGERS,
    "DELETE /v3/projects/{project_id}/tags": MANAGERS,
    "DELETE /v3/projects/{project_id}/tags/{tag}": MANAGERS,
    "DELETE /v3/users/{user_id}": MANAGERS,
    "PATCH /v3/groups/{group_id}": MANAGERS,
    "PATCH /v3/projects/{project_id}": MANAGERS,
    "PATCH /v3/users/{user_id}": MANAGERS,
    "POST /v3/groups": MANAGERS,
    "POST /v3/projects": MANAGERS,
    "POST /v3/users": MANAGERS,
    "PUT /v3/groups/{group_id}/users/{user_id}": MANAGERS,
    "PUT /v3/projects/{project_id}/tags": MANAGERS,
    "PUT /v3/projects/{project_id}/tags/{tag}": MANAGERS,
    "GET /v3/roles": READERS | MANAGERS,
    "POST /v3/OS-TRUST/trusts": set(),
    "POST /v3/users/{user_id}/application_credentials": set(),
    "GET /v3/users/{user_id}/access_rules": SYSTEM,
    "GET /v3/users/{user_id}/access_rules/{access_rule_id}": SYSTEM,
    "DELETE /v3/users/{user_id}/access_rules/{access_rule_id}": {"system-admin"},
}
"""Who may, where the caller's domain is that of what is asked for."""

GRANTS = re.compile(r"GET /v3/(OS-INHERIT/)?(projects|domains)/{\w+}/(users|groups)/{\w+}/roles")
"""Looking at grants on projects and domains: for IN_DOMAIN."""

OWN_LISTS = {
    "GET /v3/users",
    "GET /v3/groups",
    "GET /v3/projects",
    "GET /v3/domains",
    "GET /v3/role_assignments",
}
"""Lists that show a domain its own, whatever else there is."""

NEW_IN_OWN = {"POST /v3/users", "POST /v3/groups", "POST /v3/projects"}
"""What is made in the caller's domain where none is named."""


OF_DOMAINS = re.compile(
    r"\w+ /v3/(credentials|groups|projects|users)(/{\w+})?"
    r"|GET /v3/(domains|limits|regions|registered_limits|roles)(/{\w+})?"
    r"|GET /v3/limits/model|GET /v3/role_assignments"
    r"|GET /v3/domains/({\w+}/)?config/security_compliance.*"
    r"|\w+ /v3/(OS-INHERIT/)?(projects|domains)/{\w+}/(users|groups)/{\w+}/roles.*"
    r"|\w+ /v3/groups/{\w+}/users.*|\w+ /v3/users/{\w+}/(groups|projects)"
    r"|\w+ /v3/projects/{\w+}/tags.*|\w+ /v3/auth/(?!tokens/OS-PKI).*|\w+ /v3/(s3|ec2)tokens"
    r"|GET /v3/OS-FEDERATION/(projects|domains)"
)
"""What tokens of a domain are good for; upstream's other rules have scope_types without it."""


def expected(name: str, *, foreign: bool) -> set[str]:
    """Return the personas that `name` (method and path) is for."""
    everybody = _expected(name, foreign=foreign)
    return everybody if OF_DOMAINS.fullmatch(name) else everybody - DOMAIN


def _expected(name: str, *, foreign: bool) -> set[str]:
    usual = READERS if name.startswith("GET") else ADMINS
    if GRANTS.match(name):
        usual = IN_DOMAIN
    found = EXCEPTIONS.get(name, usual)
    if foreign and name not in OWN_LISTS | NEW_IN_OWN and name != "GET /v3/roles":
        if found == ALL and "{domain_id}" not in name:
            return found
        return found & (SYSTEM | ADMINS)
    return found


SERVICE = {
    "GET /v3/auth/tokens",
    "GET /v3/auth/tokens/OS-PKI/revoked",
    "GET /v3/OS-REVOKE/events",
    "POST /v3/ec2tokens",
    "POST /v3/s3tokens",
}
"""What the role service is for, beside what is for ALL."""

OWNER = {
    "GET /v3/auth/tokens",
    "DELETE /v3/auth/tokens",
    "GET /v3/users/{user_id}",
    "GET /v3/users/{user_id}/groups",
    "GET /v3/users/{user_id}/projects",
    "POST /v3/credentials",
    "GET /v3/credentials/{credential_id}",
    "PATCH /v3/credentials/{credential_id}",
    "DELETE /v3/credentials/{credential_id}",
    "GET /v3/users/{user_id}/credentials/OS-EC2",
    "GET /v3/users/{user_id}/credentials/OS-EC2/{access}",
    "GET /v3/users/{user_id}/application_credentials",
    "POST /v3/users/{user_id}/application_credentials",
    "GET /v3/users/{user_id}/application_credentials/{application_credential_id}",
    "DELETE /v3/users/{user_id}/application_credentials/{application_credential_id}",
    "GET /v3/users/{user_id}/access_rules",
    "GET /v3/users/{user_id}/access_rules/{access_rule_id}",
    "DELETE /v3/users/{user_id}/access_rules/{access_rule_id}",
    "POST /v3/OS-TRUST/trusts",
    "GET /v3/OS-TRUST/trusts/{trust_id}",
    "DELETE /v3/OS-TRUST/trusts/{trust_id}",
    "GET /v3/OS-TRUST/trusts/{trust_id}/roles",
    "GET /v3/OS-TRUST/trusts/{trust_id}/roles/{role_id}",
}
"""What everybody may do with what is their own, beside what is for ALL."""

IN_PROJECT = {
    "GET /v3/projects/{project_id}",
    "GET /v3/projects/{project_id}/tags",
    "GET /v3/projects/{project_id}/tags/{tag}",
    "GET /v3/limits/{limit_id}",
}
"""What everybody may see of the project of the token."""

MEMBER_OWNER = {
    "POST /v3/users/{user_id}/credentials/OS-EC2",
    "DELETE /v3/users/{user_id}/credentials/OS-EC2/{access}",
}
"""What needs the role member besides."""


async def log_in(cloud: Cloud, persona: str) -> str:
    scope, role = persona.split("-")
    user, project = await cloud.user(), await cloud.make("project")
    places = {
        "system": ("/system", {"system": {"all": True}}),
        "domain": ("/domains/default", {"domain": {"id": "default"}}),
        "project": (f"/projects/{project['id']}", {"project": {"id": project["id"]}}),
    }
    place, wanted = places[scope]
    await cloud.grant(f"{place}/users/{user['id']}", role)
    return await cloud.log_in(user["id"], PASSWORD, wanted)


def _order(route: Route) -> tuple[bool, bool, int]:
    """Put deletions last, the token's and those of parts before those of wholes."""
    deletes, token = route.method == "DELETE", route.path.endswith("/tokens")
    return deletes, not token, -len(route.path.split("/"))


@pytest.mark.parametrize("foreign", [False, True], ids=["own-domain", "foreign-domain"])
@pytest.mark.parametrize("persona", sorted(ALL))
async def test_routes(tmp_path: Path, persona: str, foreign: bool) -> None:
    async with cloud_at(tmp_path) as cloud:
        place = {"domain_id": (await cloud.make("domain"))["id"]} if foreign else {}
        ids = await world(cloud, **place)
        token = await log_in(cloud, persona)
        await hold(cloud, ids, token, lambda name: persona in expected(name, foreign=foreign))


async def hold(cloud: Cloud, ids: dict[str, str], token: str, may: Callable[[str], bool]) -> None:
    """Try every route, and fail if one refuses whom it is for, or lets somebody else in."""
    wrong = []
    for number, route in enumerate(sorted(GUARDED, key=_order)):
        name = f"{route.method} {route.path}"
        reply = await attempt(cloud, route, ids, token, number)
        refused = reply.status_code == 403 and "requested action: identity:" in reply.text
        if refused == may(name):
            wrong.append((name, reply.status_code, reply.text[:200]))
    assert not wrong, wrong


def for_all(name: str) -> bool:
    """Tell whether a route is for ALL, whatever their domain."""
    return expected(name, foreign=False) == ALL


@pytest.mark.parametrize("scope", SCOPES)
async def test_services(tmp_path: Path, scope: str) -> None:
    async with cloud_at(tmp_path) as cloud:
        ids = await world(cloud)
        token = await log_in(cloud, f"{scope}-service")
        more = {"GET /v3/limits/{limit_id}"} if scope == "domain" else set()
        less = {"GET /v3/domains/{domain_id}"} if scope == "system" else set()
        may = {n for n in SERVICE if scope != "domain" or OF_DOMAINS.fullmatch(n)} | more
        await hold(cloud, ids, token, lambda n: n in may or (for_all(n) and n not in less))


@pytest.mark.parametrize("role", ["reader", "member"])
async def test_owners(tmp_path: Path, role: str) -> None:
    async with cloud_at(tmp_path) as cloud:
        ids = await world(cloud, role)
        own = OWNER | (MEMBER_OWNER if role == "member" else set())
        scope = {"project": {"id": ids["project_id"]}}
        token = await cloud.log_in(ids["user_id"], PASSWORD, scope)
        await hold(cloud, ids, token, lambda n: n in own | IN_PROJECT or for_all(n))
