"""Who is let in, with which scope, and when a token stops to count."""

from pathlib import Path
from typing import Any

import pytest
from keystone_cloud import PASSWORD, Cloud, by_name, by_password, by_token, cloud_at


async def test_discovery_needs_no_token(cloud: Cloud) -> None:
    root = await cloud.http.get("/")
    assert root.status_code == 300
    assert root.json()["versions"]["values"][0]["id"] == "v3.14"
    assert (await cloud.http.get("/v3")).json()["version"]["links"][0]["href"] == "http://ks/v3/"
    assert (await cloud.http.get("/openapi.json")).json()["openapi"] == "3.1.0"


async def test_project_scope_says_who_where_what(cloud: Cloud) -> None:
    user, project, token = await cloud.member("manager")
    said = (await cloud.validate(token)).json()["token"]
    assert said["user"]["id"] == user["id"]
    assert said["user"]["domain"] == {"id": "default", "name": "Default"}
    assert said["project"]["id"] == project["id"]
    assert said["is_domain"] is False
    assert {r["name"] for r in said["roles"]} == {"manager", "member", "reader"}
    assert said["methods"] == ["password"]
    assert said["catalog"][0]["type"] == "identity"
    assert said["expires_at"].endswith(".000000Z")
    assert len(said["audit_ids"]) == 1


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("unscoped", 201),
        ({"unscoped": {}}, 201),
        ({"project": {"name": "admin", "domain": {"name": "Default"}}}, 201),
        ({"system": {"all": True}}, 201),
        ({"project": {"id": "nowhere"}}, 401),
        ({"project": {"name": "nothing", "domain": {"id": "default"}}}, 401),
        ({"domain": {"id": "default"}}, 401),
        ({"domain": {"name": "nothing"}}, 401),
        ({"project": {"name": "admin"}}, 400),
        ({"project": {}}, 400),
        ({"system": {}}, 400),
        ({"project": {"id": "x"}, "domain": {"id": "y"}}, 400),
        ({"galaxy": {}}, 400),
        ("galaxy", 400),
    ],
)
async def test_scopes(cloud: Cloud, scope: Any, status: int) -> None:
    reply = await cloud.authenticate(by_name("admin", PASSWORD, {"name": "Default"}), scope)
    assert reply.status_code == status, reply.text


@pytest.mark.parametrize(
    ("identity", "status"),
    [
        (by_name("admin", "wrong", {"id": "default"}), 401),
        (by_name("nobody", PASSWORD, {"id": "default"}), 401),
        (by_name("admin", PASSWORD, {"id": "nowhere"}), 401),
        (by_password("nobody"), 401),
        (by_token("gAAAAnonsense"), 404),
        (by_token("€uro"), 404),
        ({"methods": ["telepathy"]}, 401),
        ({"methods": []}, 401),
        ({"methods": ["password"]}, 400),
        ({"methods": "password"}, 400),
        ({"methods": ["password"], "password": {"user": {"password": "x"}}}, 400),
        ({"methods": ["password"], "password": {"user": {"name": "a", "password": "x"}}}, 400),
        ({"methods": ["password"], "password": {"user": {"id": 5, "password": "x"}}}, 400),
        ({"methods": ["password"], "password": {"user": {"id": "admin"}}}, 400),
        ({}, 400),
    ],
)
async def test_refusals_say_nothing(cloud: Cloud, identity: Any, status: int) -> None:
    reply = await cloud.authenticate(identity)
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert error["code"] == status
    if status == 401:
        assert reply.headers["www-authenticate"] == 'Keystone uri="http://ks"'
        if "telepathy" not in str(identity):
            assert error["message"] == "The request you have made requires authentication."


async def test_default_project_and_fall_back(cloud: Cloud) -> None:
    user, project, _ = await cloud.member()
    body = {"user": {"default_project_id": project["id"]}}
    await cloud.call("PATCH", f"/users/{user['id']}", json=body)
    said = (await cloud.authenticate(by_password(user["id"]))).json()["token"]
    assert said["project"]["id"] == project["id"]
    said = (await cloud.authenticate(by_password(user["id"]), "unscoped")).json()["token"]
    assert "project" not in said and "roles" not in said and "catalog" not in said
    await cloud.call("DELETE", f"/projects/{project['id']}")
    said = (await cloud.authenticate(by_password(user["id"]))).json()["token"]
    assert "project" not in said


async def test_exchanging_a_token_keeps_its_end_and_chain(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    first = (await cloud.validate(token)).json()["token"]
    reply = await cloud.authenticate(by_token(token), {"project": {"id": project["id"]}})
    second = reply.json()["token"]
    assert second["expires_at"] == first["expires_at"]
    assert second["audit_ids"][1] == first["audit_ids"][0]
    assert set(second["methods"]) == {"password", "token"}
    other = await cloud.make("project")
    denied = await cloud.authenticate(by_token(token), {"project": {"id": other["id"]}})
    assert denied.status_code == 401
    assert user["id"] == second["user"]["id"]


async def test_validation_forms(cloud: Cloud) -> None:
    _, _, token = await cloud.member("reader")
    subject = {"X-Subject-Token": token}
    head = await cloud.call("HEAD", "/auth/tokens", **subject)
    assert head.status_code == 200 and head.content == b""
    assert "catalog" not in (await cloud.call("GET", "/auth/tokens?nocatalog", **subject)).text
    own = await cloud.call("GET", "/auth/tokens", token, **subject)
    assert own.status_code == 200 and own.headers["x-subject-token"] == token
    foreign = await cloud.call("GET", "/auth/tokens", token, **{"X-Subject-Token": cloud.admin})
    assert foreign.status_code == 403
    assert (await cloud.validate("nonsense")).status_code == 404
    assert (await cloud.call("GET", "/auth/tokens")).status_code == 404
    assert (await cloud.call("GET", "/auth/tokens", "nonsense", **subject)).status_code == 401
    assert (await cloud.call("GET", "/auth/tokens", "", **subject)).status_code == 401


async def test_expiry_and_the_window_after_it(cloud: Cloud) -> None:
    _, _, token = await cloud.member()
    assert (await cloud.validate(token)).status_code == 200
    cloud.clock.time += 3601
    assert (await cloud.validate(token)).status_code == 401  # The admin's is over as well.
    scope = {"system": {"all": True}}
    identity = by_name("admin", PASSWORD, {"id": "default"})
    cloud.admin = (await cloud.authenticate(identity, scope)).headers["x-subject-token"]
    assert (await cloud.validate(token)).status_code == 404
    late = await cloud.call("GET", "/auth/tokens?allow_expired=1", **{"X-Subject-Token": token})
    assert late.status_code == 200
    assert (await cloud.validate(token)).status_code == 404
    cloud.clock.time += 172_800
    cloud.admin = (await cloud.authenticate(identity, scope)).headers["x-subject-token"]
    late = await cloud.call("GET", "/auth/tokens?allow_expired=1", **{"X-Subject-Token": token})
    assert late.status_code == 404


async def test_revoking_one_token_spares_the_others(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    other = await cloud.log_in(user["id"], scope={"project": {"id": project["id"]}})
    reply = await cloud.call("DELETE", "/auth/tokens", token, **{"X-Subject-Token": token})
    assert reply.status_code == 204
    assert (await cloud.validate(token)).status_code == 404
    assert (await cloud.call("GET", "/auth/projects", token)).status_code == 401
    assert (await cloud.validate(other)).status_code == 200


CHANGES = {
    "user disabled": ("PATCH", "/users/{user}", {"user": {"enabled": False}}),
    "user deleted": ("DELETE", "/users/{user}", None),
    "new password": ("PATCH", "/users/{user}", {"user": {"password": "another"}}),
    "project disabled": ("PATCH", "/projects/{project}", {"project": {"enabled": False}}),
    "project deleted": ("DELETE", "/projects/{project}", None),
    "role taken": ("DELETE", "/projects/{project}/users/{user}/roles/{role}", None),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_ends_tokens(cloud: Cloud, change: str) -> None:
    user, project, token = await cloud.member()
    _, _, bystander = await cloud.member()
    assert (await cloud.validate(token)).status_code == 200
    method, path, body = CHANGES[change]
    ids = {"user": user["id"], "project": project["id"], "role": cloud.roles["member"]}
    reply = await cloud.call(method, path.format(**ids), json=body)
    assert reply.status_code in (200, 204), reply.text
    assert (await cloud.validate(token)).status_code == 404
    assert (await cloud.call("GET", "/auth/projects", token)).status_code == 401
    assert (await cloud.validate(bystander)).status_code == 200


async def test_enabling_again_does_not_revive_tokens(cloud: Cloud) -> None:
    user, _, token = await cloud.member()
    for enabled in (False, True):
        await cloud.call("PATCH", f"/users/{user['id']}", json={"user": {"enabled": enabled}})
    assert (await cloud.validate(token)).status_code == 404
    assert await cloud.log_in(user["id"])


async def test_a_disabled_domain_lets_nobody_in(cloud: Cloud) -> None:
    domain = await cloud.make("domain")
    user = await cloud.user(domain_id=domain["id"])
    token = await cloud.log_in(user["id"])
    await cloud.call("PATCH", f"/domains/{domain['id']}", json={"domain": {"enabled": False}})
    assert (await cloud.validate(token)).status_code == 404
    assert (await cloud.authenticate(by_password(user["id"]))).status_code == 401


async def test_revocations_outlive_a_restart(tmp_path: Path) -> None:
    async with cloud_at(tmp_path) as cloud:
        _, _, token = await cloud.member()
        _, _, other = await cloud.member()
        await cloud.call("DELETE", "/auth/tokens", **{"X-Subject-Token": token})
    async with cloud_at(tmp_path) as cloud:
        assert (await cloud.validate(token)).status_code == 404
        assert (await cloud.validate(other)).status_code == 200
        assert len(cloud.roles) == 5  # The second bootstrap added nothing.


async def test_rotation_leaves_no_gap(cloud: Cloud) -> None:
    """Each token lives through max_active_keys - 2 rotations, however it was signed."""
    user, project, _ = await cloud.member()
    admin = (await cloud.get("/users?name=admin"))["users"][0]["id"]
    scope = {"project": {"id": project["id"]}}
    for _ in range(3):
        token = await cloud.log_in(user["id"], scope=scope)
        cloud.admin = await cloud.log_in(admin, scope={"system": {"all": True}})
        cloud.keystone.token_format.rotate()
        cloud.keystone.changed()
        assert (await cloud.validate(token)).status_code == 200


async def test_own_password(cloud: Cloud) -> None:
    user, _, token = await cloud.member()
    path = f"/users/{user['id']}/password"
    wrong = {"user": {"original_password": "nope", "password": "new"}}
    assert (await cloud.call("POST", path, token, wrong)).status_code == 401
    right = {"user": {"original_password": PASSWORD, "password": "new"}}
    assert (await cloud.call("POST", path, token, right)).status_code == 204
    assert (await cloud.validate(token)).status_code == 404
    assert await cloud.log_in(user["id"], "new")


async def test_long_passwords_count_to_72_bytes(cloud: Cloud) -> None:
    user = await cloud.make("user", password="x" * 100)
    assert await cloud.log_in(user["id"], "x" * 72)
    assert (await cloud.authenticate(by_password(user["id"], "x" * 71))).status_code == 401


async def test_what_a_token_may_become(cloud: Cloud) -> None:
    user, project, token = await cloud.member()
    found = (await cloud.get("/auth/projects", token))["projects"]
    assert [p["id"] for p in found] == [project["id"]]
    assert (await cloud.get("/auth/domains", token))["domains"] == []
    assert (await cloud.get("/auth/system", token))["system"] == []
    assert (await cloud.get("/auth/system"))["system"] == [{"all": True}]
    assert (await cloud.get("/auth/catalog", token))["catalog"]
    unscoped = await cloud.log_in(user["id"])
    assert (await cloud.call("GET", "/auth/catalog", unscoped)).status_code == 403


async def test_old_revocations_go_by_themselves(cloud: Cloud) -> None:
    user = await cloud.user()
    admin = (await cloud.get("/users?name=admin"))["users"][0]["id"]
    ks = cloud.keystone
    ks.revocations.crowded_at = 2
    for _ in range(3):
        token = await cloud.log_in(user["id"])
        await cloud.call("DELETE", "/auth/tokens", **{"X-Subject-Token": token})
    assert len(ks.revocations) == 3 and len((await cloud.get("/OS-REVOKE/events"))["events"]) == 3
    cfg = ks.config
    cloud.clock.time += cfg.expiration + cfg.allow_expired_window + cfg.revocation_buffer
    ks.revocations.crowded_at = 2
    cloud.admin = await cloud.log_in(admin, scope={"system": {"all": True}})
    token = await cloud.log_in(user["id"])
    await cloud.call("DELETE", "/auth/tokens", **{"X-Subject-Token": token})
    assert len(ks.revocations) == 1 and len((await cloud.get("/OS-REVOKE/events"))["events"]) == 1
    assert (await cloud.validate(token)).status_code == 404


async def test_scoped_tokens_may_be_held_to_their_scope(tmp_path: Path) -> None:
    async with cloud_at(tmp_path, allow_rescope_scoped_token=False) as cloud:
        user, project, token = await cloud.member()
        scope = {"project": {"id": project["id"]}}
        assert (await cloud.authenticate(by_token(token), scope)).status_code == 403
        unscoped = await cloud.log_in(user["id"], scope="unscoped")
        assert (await cloud.authenticate(by_token(unscoped), scope)).status_code == 201


async def test_tokens_of_the_system_stay_there(cloud: Cloud) -> None:
    admin = (await cloud.get("/users?name=admin"))["users"][0]["id"]
    token = await cloud.log_in(admin, scope={"system": {"all": True}})
    for scope, status in (
        ({"project": {"name": "admin", "domain": {"id": "default"}}}, 403),
        ({"domain": {"id": "default"}}, 403),
        ({"system": {"all": True}}, 201),
        ("unscoped", 201),
    ):
        assert (await cloud.authenticate(by_token(token), scope)).status_code == status, scope
