"""One of each noun of keystone, and a right request for every route."""

from typing import Any

import httpx
from keystone_cloud import Cloud

from aerostat.kit.http.route import Route
from aerostat.services.keystone.service import manifest

GUARDED = [route for route in manifest.api.routes() if not route.public]


async def world(cloud: Cloud, role: str = "member", **place: str) -> dict[str, str]:
    """Make one of each noun and return their ids.

    What belongs to somebody is a user's who has `role` on the project, and whose token is
    "token". `place` may name the domain_id in which all is.
    """
    project = await cloud.make("project", **place)
    user = await cloud.user(**place)
    await cloud.grant(f"/projects/{project['id']}/users/{user['id']}", role)
    token = await cloud.log_in(user["id"], scope={"project": {"id": project["id"]}})
    group, service = await cloud.make("group", **place), await cloud.make("service", type="thing")
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
    rules = [{"service": "identity", "method": "GET", "path": "/v3/users"}]
    made = await cloud.make("application_credential", base, token, access_rules=rules)
    owned = f"/users/{user['id']}"
    rule = (await cloud.get(f"{owned}/access_rules", token))["access_rules"][0]
    tenant = {"tenant_id": project["id"]}
    ec2 = (await cloud.call("POST", f"{owned}/credentials/OS-EC2", json=tenant)).json()
    parties = {"trustor_user_id": user["id"], "trustee_user_id": user["id"]}
    trust = {"trust": {**parties, "impersonation": False}}
    trust = (await cloud.call("POST", "/OS-TRUST/trusts", token, trust)).json()["trust"]
    consumer = await cloud.make("consumer", "OS-OAUTH1/consumers")
    federation = await _federation(cloud)
    return {
        "user_id": user["id"],
        "project_id": project["id"],
        "domain_id": place.get("domain_id", "default"),
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
        "access_rule_id": rule["id"],
        "trust_id": trust["id"],
        "access_token_id": "unknown",
        "request_token_id": "unknown",
        "access": ec2["credential"]["access"],
        "tag": "blue",
        "group": "identity",
        "option": "driver",
        "token": token,
        **federation,
    }


RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "name"}]}]
SERVICE_PROVIDER = {"auth_url": "http://sp/v3", "sp_url": "http://sp/saml"}


async def _federation(cloud: Cloud) -> dict[str, str]:
    for path, body in (
        ("mappings/rules", {"mapping": {"rules": RULES}}),
        ("identity_providers/corp", {"identity_provider": {"enabled": True}}),
        ("identity_providers/corp/protocols/saml2", {"protocol": {"mapping_id": "rules"}}),
        ("service_providers/far", {"service_provider": SERVICE_PROVIDER}),
    ):
        reply = await cloud.call("PUT", f"/OS-FEDERATION/{path}", json=body)
        assert reply.status_code == 201, reply.text
    ids = {"idp_id": "corp", "protocol_id": "saml2"}
    return {**ids, "mapping_id": "rules", "service_provider_id": "far"}


def body_for(route: Route, ids: dict[str, str], number: int) -> Any:
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
        "IdentityProviderCreate": {"identity_provider": {"enabled": True}},
        "IdentityProviderUpdate": {"identity_provider": {"description": "x"}},
        "ProtocolCreate": {"protocol": {"mapping_id": "rules"}},
        "ProtocolUpdate": {"protocol": {"mapping_id": "rules"}},
        "MappingPut": {"mapping": {"rules": RULES}},
        "ServiceProviderCreate": {"service_provider": SERVICE_PROVIDER},
        "ServiceProviderUpdate": {"service_provider": {"description": "x"}},
        "AuthPost": {"auth": {"identity": {"methods": []}}},
    }
    return None if route.body is None else bodies[route.body.__name__]


async def attempt(
    cloud: Cloud, route: Route, ids: dict[str, str], token: str, number: int = 0
) -> httpx.Response:
    """Call `route` on what `ids` name, with a token whose owner they are not."""
    path = route.path.removeprefix("/v3").format(**ids)
    subject = {"X-Subject-Token": ids["token"]}
    body = body_for(route, ids, number)
    reply = await cloud.call(route.method, path, token, body, **subject)
    assert reply.status_code < 500, (route.method, path, reply.text)
    if reply.status_code >= 400:
        error = reply.json()["error"]
        assert error["code"] == reply.status_code and error["message"] and error["title"]
    return reply
