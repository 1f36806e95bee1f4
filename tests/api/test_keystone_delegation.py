"""Application credentials, trusts and credentials never give more than their maker has."""

import json
from pathlib import Path
from typing import Any

import httpx
from keystone_cloud import Cloud, by_password, by_token, cloud_at
from sqlalchemy import text

from aerostat.kit.clock import iso
from aerostat.kit.db.engine import Tx


async def _make(cloud: Cloud, user: Any, token: str, **body: Any) -> httpx.Response:
    cloud.made += 1
    doc = {"application_credential": {"name": f"ac-{cloud.made}", **body}}
    return await cloud.call("POST", f"/users/{user['id']}/application_credentials", token, doc)


def _proof(made: Any) -> Any:
    proof = {"id": made["id"], "secret": made["secret"]}
    return {"methods": ["application_credential"], "application_credential": proof}


async def _use(cloud: Cloud, made: Any) -> str:
    reply = await cloud.authenticate(_proof(made))
    assert reply.status_code == 201, reply.text
    return str(reply.headers["x-subject-token"])


async def test_acts_in_its_project_with_its_roles(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    reply = await _make(cloud, user, token, roles=[{"name": "reader"}])
    made = reply.json()["application_credential"]
    said = (await cloud.validate(await _use(cloud, made))).json()["token"]
    assert said["project"]["id"] == project["id"]
    assert [r["name"] for r in said["roles"]] == ["reader"]
    assert said["application_credential"]["restricted"] is True
    shown = await cloud.get(f"/users/{user['id']}/application_credentials/{made['id']}", token)
    assert "secret" not in shown["application_credential"]
    named = {"name": made["name"], "user": {"id": user["id"]}, "secret": made["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": named}
    assert (await cloud.authenticate(identity)).status_code == 201
    named["secret"] = "wrong"
    assert (await cloud.authenticate(identity)).status_code == 401


async def test_never_more_than_the_user_has(cloud: Cloud) -> None:
    user, project, token = await cloud.member("reader")
    reply = await _make(cloud, user, token, roles=[{"id": cloud.roles["admin"]}])
    assert reply.status_code == 400
    made = (await _make(cloud, user, token)).json()["application_credential"]
    secret = await _use(cloud, made)
    scope = {"project": {"id": project["id"]}}
    assert (await cloud.authenticate(_proof(made), scope)).status_code == 401
    for other in ({"system": {"all": True}}, {"domain": {"id": "default"}}):
        assert (await cloud.authenticate(by_token(secret), other)).status_code == 401


async def test_exchanged_token_stays_limited(cloud: Cloud) -> None:
    user, project, token = await cloud.member("member")
    made = (await _make(cloud, user, token, roles=[{"name": "reader"}])).json()
    secret = await _use(cloud, made["application_credential"])
    reply = await cloud.authenticate(by_token(secret), {"project": {"id": project["id"]}})
    assert reply.status_code == 201
    said = reply.json()["token"]
    assert [r["name"] for r in said["roles"]] == ["reader"]
    assert said["application_credential"]["restricted"] is True


async def test_restricted_ones_make_nothing_more(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    made = (await _make(cloud, user, token)).json()["application_credential"]
    secret = await _use(cloud, made)
    assert (await _make(cloud, user, secret)).status_code == 403
    path = f"/users/{user['id']}/application_credentials/{made['id']}"
    assert (await cloud.call("DELETE", path, secret)).status_code == 403
    ec2 = {"tenant_id": project["id"]}
    path = f"/users/{user['id']}/credentials/OS-EC2"
    assert (await cloud.call("POST", path, secret, ec2)).status_code == 403
    blob = {"credential": {"type": "totp", "blob": "x"}}
    assert (await cloud.call("POST", "/credentials", secret, blob)).status_code == 403
    trust = {"trustor_user_id": user["id"], "trustee_user_id": user["id"], "impersonation": True}
    assert (
        await cloud.call("POST", "/OS-TRUST/trusts", secret, {"trust": trust})
    ).status_code == 403
    free = (await _make(cloud, user, token, unrestricted=True)).json()["application_credential"]
    assert (await _make(cloud, user, await _use(cloud, free))).status_code == 201


async def test_unrestricted_one_with_fewer_roles_gives_no_more(cloud: Cloud) -> None:
    user, _, token = await cloud.member("member")
    reply = await _make(cloud, user, token, roles=[{"name": "reader"}], unrestricted=True)
    secret = await _use(cloud, reply.json()["application_credential"])
    assert (await _make(cloud, user, secret, roles=[{"name": "member"}])).status_code == 400
    again = (await _make(cloud, user, secret)).json()["application_credential"]
    assert [r["name"] for r in again["roles"]] == ["reader"]


async def test_ends_with_deletion_role_and_time(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    made = (await _make(cloud, user, token)).json()["application_credential"]
    secret = await _use(cloud, made)
    await cloud.call("DELETE", f"/users/{user['id']}/application_credentials/{made['id']}")
    assert (await cloud.validate(secret)).status_code == 404
    assert (await cloud.authenticate(_proof(made))).status_code == 401
    soon = "2023-11-14T22:30:00"
    made = (await _make(cloud, user, token, expires_at=soon)).json()["application_credential"]
    secret = await _use(cloud, made)
    assert (await cloud.validate(secret)).json()["token"]["expires_at"][:19] == soon
    cloud.clock.time += 1200
    assert (await cloud.validate(secret)).status_code == 404
    assert (await cloud.authenticate(_proof(made))).status_code == 401
    made = (await _make(cloud, user, token)).json()["application_credential"]
    role = cloud.roles["member"]
    await cloud.call("DELETE", f"/projects/{project['id']}/users/{user['id']}/roles/{role}")
    assert (await cloud.authenticate(_proof(made))).status_code == 401


async def test_belongs_to_its_user_alone(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    other, _, foreign = await cloud.member(project=project)
    made = (await _make(cloud, user, token)).json()["application_credential"]
    assert (await _make(cloud, user, foreign)).status_code == 403
    assert (await _make(cloud, user, cloud.admin)).status_code == 403
    path = f"/users/{user['id']}/application_credentials/{made['id']}"
    assert (await cloud.call("GET", path, foreign)).status_code == 403
    path = f"/users/{other['id']}/application_credentials/{made['id']}"
    assert (await cloud.call("GET", path, foreign)).status_code == 404
    assert (await cloud.call("DELETE", path, foreign)).status_code == 404
    same = {"name": made["name"]}
    assert (await _make(cloud, user, token, **same)).status_code == 409
    past = {"expires_at": "2001-01-01T00:00:00"}
    assert (await _make(cloud, user, token, **past)).status_code == 400


async def test_access_rules_limit_requests(cloud: Cloud) -> None:
    user, _, token = await cloud.member()
    rules = [{"service": "identity", "method": "GET", "path": "/v3/users/{user}"}]
    made = (await _make(cloud, user, token, access_rules=rules)).json()["application_credential"]
    secret = await _use(cloud, made)
    assert (await cloud.call("GET", f"/users/{user['id']}", secret)).status_code == 200
    assert (await cloud.call("GET", "/auth/projects", secret)).status_code == 401
    assert (await cloud.call("GET", f"/users/{user['id']}/groups", secret)).status_code == 401
    headers = {"X-Subject-Token": secret}
    knows = {"OpenStack-Identity-Access-Rules": "1.0"}
    old = {"OpenStack-Identity-Access-Rules": "0.9"}
    for sent, status in (({}, 404), (knows, 200), (old, 404), ({}, 404)):
        reply = await cloud.call("GET", "/auth/tokens", **headers, **sent)
        assert reply.status_code == status  # Only services that hold clients to the rules.
    found = (await cloud.get(f"/users/{user['id']}/access_rules", token))["access_rules"]
    path = f"/users/{user['id']}/access_rules/{found[0]['id']}"
    assert (await cloud.call("DELETE", path, token)).status_code == 403
    await cloud.call("DELETE", f"/users/{user['id']}/application_credentials/{made['id']}", token)
    assert (await cloud.call("DELETE", path, token)).status_code == 204


async def test_credentials_have_owners_and_rest_encrypted(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    _, _, foreign = await cloud.member(project=project)
    body = {"credential": {"type": "totp", "blob": "sesame", "user_id": user["id"]}}
    assert (await cloud.call("POST", "/credentials", foreign, body)).status_code == 403
    made = (await cloud.call("POST", "/credentials", token, body)).json()["credential"]
    path = f"/credentials/{made['id']}"
    for method, doc in (("GET", None), ("PATCH", {"credential": {"blob": "x"}}), ("DELETE", None)):
        assert (await cloud.call(method, path, foreign, doc)).status_code == 403
    assert (await cloud.get("/credentials", foreign))["credentials"] == []
    assert (await cloud.get(path, token))["credential"]["blob"] == "sesame"
    other = (await cloud.get("/users?name=admin"))["users"][0]["id"]
    steal = {"credential": {"user_id": other}}
    assert (await cloud.call("PATCH", path, token, steal)).status_code == 403
    another = {"access": "a", "secret": "s"}
    change = {"type": "ec2", "blob": json.dumps(another), "project_id": project["id"]}
    changed = (await cloud.call("PATCH", path, json={"credential": change})).json()["credential"]
    assert (changed["type"], changed["project_id"]) == ("ec2", project["id"])
    assert (await cloud.call("PATCH", path, json={"credential": {"project_id": other}})).is_success
    forged = {"blob": json.dumps({**another, "trust_id": "x"})}
    assert (await cloud.call("PATCH", path, json={"credential": forged})).status_code == 400
    rests = await cloud.keystone.db.read(_blobs)
    assert len(rests) == 1 and "sesame" not in rests[0]


def _blobs(tx: Tx) -> list[str]:
    return [
        row[0] for row in tx.all(text("SELECT keystone_credentials.blob FROM keystone_credentials"))
    ]


async def test_a_trust_acts_for_its_trustor(cloud: Cloud) -> None:
    trustor, project, token = await cloud.member()
    trustee = await cloud.user()
    body = {
        "trustor_user_id": trustor["id"],
        "trustee_user_id": trustee["id"],
        "project_id": project["id"],
        "impersonation": True,
        "roles": [{"name": "member"}],
        "remaining_uses": 1,
    }
    more = {**body, "roles": [{"name": "admin"}]}
    assert (await cloud.call("POST", "/OS-TRUST/trusts", token, {"trust": more})).status_code == 404
    assert (await cloud.call("POST", "/OS-TRUST/trusts", None, {"trust": body})).status_code == 403
    reply = await cloud.call("POST", "/OS-TRUST/trusts", token, {"trust": body})
    assert reply.status_code == 201, reply.text
    trust_id = reply.json()["trust"]["id"]
    scope = {"OS-TRUST:trust": {"id": trust_id}}
    stranger = await cloud.user()
    assert (await cloud.authenticate(by_password(stranger["id"]), scope)).status_code == 403
    reply = await cloud.authenticate(by_password(trustee["id"]), scope)
    assert reply.status_code == 201, reply.text
    said, acting = reply.json()["token"], reply.headers["x-subject-token"]
    assert said["user"]["id"] == trustor["id"] and said["project"]["id"] == project["id"]
    assert (await cloud.authenticate(by_password(trustee["id"]), scope)).status_code == 401
    assert (await cloud.authenticate(by_token(acting))).status_code == 403
    assert (
        await cloud.call("POST", "/OS-TRUST/trusts", acting, {"trust": body})
    ).status_code == 403
    path = f"/OS-TRUST/trusts/{trust_id}"
    assert (await cloud.call("DELETE", path, token)).status_code == 204
    assert (await cloud.validate(acting)).status_code == 404


async def trust(cloud: Cloud, token: str, status: int = 201, **body: Any) -> Any:
    """Make a trust of member with `body`."""
    body = {"impersonation": True, "roles": [{"name": "member"}], **body}
    reply = await cloud.call("POST", "/OS-TRUST/trusts", token, {"trust": body})
    assert reply.status_code == status, reply.text
    return reply.json().get("trust")


async def test_trusts_are_passed_on_as_far_as_allowed(cloud: Cloud) -> None:
    first, project, token = await cloud.member()
    second, third = await cloud.user(), await cloud.user()
    place = {"project_id": project["id"]}
    parties = {"trustor_user_id": first["id"], "trustee_user_id": second["id"], **place}
    await trust(cloud, token, 403, **parties, allow_redelegation=True, redelegation_count=4)
    await trust(cloud, token, 400, **parties, allow_redelegation=True, remaining_uses=1)
    top = await trust(cloud, token, **parties, allow_redelegation=True, redelegation_count=1)
    assert top["redelegation_count"] == 1
    acting = await cloud.log_in(second["id"], scope={"OS-TRUST:trust": {"id": top["id"]}})
    onward = {"trustor_user_id": first["id"], "trustee_user_id": third["id"], **place}
    await trust(cloud, acting, 403, **onward, remaining_uses=1)
    late = "2099-01-01T00:00:00Z"
    below = await trust(cloud, acting, **onward, allow_redelegation=True, expires_at=late)
    assert below["redelegated_trust_id"] == top["id"] and below["redelegation_count"] == 0
    again = await cloud.log_in(third["id"], scope={"OS-TRUST:trust": {"id": below["id"]}})
    assert (await cloud.validate(again)).json()["token"]["user"]["id"] == first["id"]
    await trust(cloud, again, 403, **{**onward, "trustee_user_id": second["id"]})
    await cloud.call("DELETE", f"/OS-TRUST/trusts/{top['id']}", token)
    assert (await cloud.validate(again)).status_code == 404
    reply = await cloud.call("GET", f"/OS-TRUST/trusts/{below['id']}", token)
    assert reply.status_code == 404


async def test_a_trust_that_is_passed_on_gives_no_more(cloud: Cloud) -> None:
    first, project, token = await cloud.member("manager")
    second, third = await cloud.user(), await cloud.user()
    place = {"project_id": project["id"]}
    parties = {"trustor_user_id": first["id"], "trustee_user_id": second["id"], **place}
    soon = {"expires_at": iso(cloud.clock.now() + 600)}
    top = await trust(cloud, token, **parties, **soon, impersonation=False, allow_redelegation=True)
    acting = await cloud.log_in(second["id"], scope={"OS-TRUST:trust": {"id": top["id"]}})
    onward = {"trustor_user_id": second["id"], "trustee_user_id": third["id"], **place}
    onward["impersonation"] = False
    for more in (
        {"roles": [{"name": "manager"}]},
        {"impersonation": True},
        {"expires_at": iso(cloud.clock.now() + 1200)},
        {"project_id": (await cloud.make("project"))["id"]},
    ):
        body = {"impersonation": False, "roles": [{"name": "member"}], **onward, **more}
        reply = await cloud.call("POST", "/OS-TRUST/trusts", acting, {"trust": body})
        assert reply.status_code in (403, 404), more
    below = await trust(cloud, acting, **onward)
    assert below["expires_at"] == top["expires_at"]
    # Nobody in the chain but the first has the role, and that is enough.
    given = await cloud.log_in(third["id"], scope={"OS-TRUST:trust": {"id": below["id"]}})
    said = (await cloud.validate(given)).json()["token"]
    assert said["user"]["id"] == third["id"]
    assert {r["name"] for r in said["roles"]} == {"member", "reader"}
    path = f"/projects/{project['id']}/users/{first['id']}/roles/{cloud.roles['manager']}"
    assert (await cloud.call("DELETE", path)).status_code == 204
    assert (await cloud.validate(given)).status_code == 404


async def test_a_use_is_counted_only_when_it_gives_a_token(cloud: Cloud) -> None:
    first, project, token = await cloud.member()
    second = await cloud.user()
    parties = {"trustor_user_id": first["id"], "trustee_user_id": second["id"]}
    made = await trust(cloud, token, **parties, project_id=project["id"], remaining_uses=1)
    scope = {"OS-TRUST:trust": {"id": made["id"]}}
    off, on = {"project": {"enabled": False}}, {"project": {"enabled": True}}
    await cloud.call("PATCH", f"/projects/{project['id']}", json=off)
    assert (await cloud.authenticate(by_password(second["id"]), scope)).status_code == 401
    await cloud.call("PATCH", f"/projects/{project['id']}", json=on)
    assert (await cloud.authenticate(by_password(second["id"]), scope)).status_code == 201
    assert (await cloud.authenticate(by_password(second["id"]), scope)).status_code == 401


async def test_users_have_so_many_secrets_and_no_more(tmp_path: Path) -> None:
    async with cloud_at(tmp_path, user_limit=1, user_credential_limit=2) as cloud:
        user, _, token = await cloud.member()
        assert (await _make(cloud, user, token)).status_code == 201
        assert (await _make(cloud, user, token)).status_code == 403
        body = {"credential": {"type": "x", "blob": "y", "user_id": user["id"]}}
        made = [(await cloud.call("POST", "/credentials", json=body)).status_code for _ in range(3)]
        assert made == [201, 201, 403]
