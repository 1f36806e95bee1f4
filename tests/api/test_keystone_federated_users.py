"""Whom identity providers vouch for: shadow users, groups, projects, tokens and their end."""

import asyncio
from typing import Any

import pytest
from keystone_cloud import Cloud, by_token

from aerostat.kit.errors import Fault, Forbidden, Unauthorized
from aerostat.services.keystone.domain import federated_login
from aerostat.services.keystone.model.federation import Assertion

FED = "/OS-FEDERATION"
NAMED = {"user": {"name": "{0}"}}


async def put(cloud: Cloud, path: str, **body: Any) -> Any:
    reply = await cloud.call("PUT", f"{FED}/{path}", json=body)
    assert reply.status_code == 201, reply.text
    return reply.json()


async def provider(cloud: Cloud, rules: Any, version: str = "1.0", **fields: Any) -> str:
    """Make the identity provider corp with the protocol openid; return its domain."""
    await put(cloud, "mappings/rules", mapping={"rules": rules, "schema_version": version})
    made = await put(
        cloud, "identity_providers/corp", identity_provider={"enabled": True, **fields}
    )
    await put(cloud, "identity_providers/corp/protocols/openid", protocol={"mapping_id": "rules"})
    return str(made["identity_provider"]["domain_id"])


def rules(*local: Any, remote: Any = None) -> Any:
    return [{"local": list(local), "remote": remote or [{"type": "name"}]}]


async def come(cloud: Cloud, remote_id: str = "https://corp", **said: Any) -> str:
    """Log in with what the provider said; return the token."""
    values = {n: tuple(v) if isinstance(v, list) else (v,) for n, v in said.items()}
    way = await federated_login.way_in(cloud.keystone, "corp", "openid")
    found = await federated_login.log_in(cloud.keystone, way, Assertion(remote_id, values))
    return found.text


async def shown(cloud: Cloud, token: str) -> Any:
    reply = await cloud.validate(token)
    assert reply.status_code == 200, reply.text
    return reply.json()["token"]


async def rescope(cloud: Cloud, token: str, project_id: str, method: str = "token") -> Any:
    identity = (
        by_token(token) if method == "token" else {"methods": [method], method: {"id": token}}
    )
    return await cloud.authenticate(identity, {"project": {"id": project_id}})


async def test_a_user_of_groups(cloud: Cloud) -> None:
    group, project = await cloud.make("group"), await cloud.make("project")
    await cloud.grant(f"/projects/{project['id']}/groups/{group['id']}", "member")
    domain_id = await provider(cloud, rules(NAMED, {"group": {"id": group["id"]}}))
    unscoped = await come(cloud, name="Ada Løvelace")
    token = await shown(cloud, unscoped)
    assert token["methods"] == ["openid"] and "roles" not in token and "catalog" not in token
    assert token["user"] == {
        "id": token["user"]["id"],
        "name": "Ada Løvelace",
        "domain": {"id": domain_id, "name": domain_id},
        "OS-FEDERATION": {
            "groups": [{"id": group["id"]}],
            "identity_provider": {"id": "corp"},
            "protocol": {"id": "openid"},
        },
    }
    for path in ("/auth/projects", f"{FED}/projects"):
        found = await cloud.get(path, unscoped)
        assert [p["id"] for p in found["projects"]] == [project["id"]]
    assert (await cloud.get(f"{FED}/domains", unscoped))["domains"] == []
    for method in ("token", "openid", "mapped", "saml2"):
        reply = await rescope(cloud, unscoped, project["id"], method)
        assert reply.status_code == 201, reply.text
        scoped = reply.json()["token"]
        assert {r["name"] for r in scoped["roles"]} == {"member", "reader"}
        assert scoped["expires_at"] == token["expires_at"]
        assert scoped["user"] == token["user"]
        assert set(scoped["methods"]) == {"openid", method}
    user = (await cloud.get(f"/users/{token['user']['id']}"))["user"]
    called = {"protocol_id": "openid", "unique_id": "Ada%20L%C3%B8velace"}
    assert user["federated"] == [{"idp_id": "corp", "protocols": [called]}]
    found = await cloud.get("/users?idp_id=corp&unique_id=Ada%2520L%25C3%25B8velace")
    assert [u["id"] for u in found["users"]] == [user["id"]]
    assert (await cloud.get("/users?idp_id=other"))["users"] == []
    again = await shown(cloud, await come(cloud, name="Ada Løvelace"))
    assert again["user"]["id"] == user["id"]


async def test_a_login_like_the_last_one_makes_nobody_forget(cloud: Cloud) -> None:
    """What processes remember of tokens stays, however many federated users come."""
    await provider(cloud, rules(NAMED))
    await come(cloud, name="ada")
    before = cloud.keystone.generation
    await come(cloud, name="ada")
    assert cloud.keystone.generation == before
    await come(cloud, name="bob")
    assert cloud.keystone.generation > before


async def test_only_federated_tokens_are_rescoped_by_federated_methods(cloud: Cloud) -> None:
    _, project, token = await cloud.member()
    assert (await rescope(cloud, token, project["id"], "mapped")).status_code == 401
    claimed = {"identity_provider": "corp", "protocol": "openid"}
    reply = await cloud.authenticate({"methods": ["openid"], "openid": claimed})
    assert reply.status_code == 400


async def test_groups_end_with_their_time(cloud: Cloud) -> None:
    group, project = await cloud.make("group"), await cloud.make("project")
    await cloud.grant(f"/projects/{project['id']}/groups/{group['id']}", "member")
    named = {"groups": "{1}", "domain": {"id": "default"}}
    remote = [{"type": "name"}, {"type": "groups"}]
    await provider(cloud, rules(NAMED, named, remote=remote), authorization_ttl=10)
    unscoped = await come(cloud, name="ada", groups=[group["name"], "unknown to us"])
    user_id = (await shown(cloud, unscoped))["user"]["id"]
    seen = (await cloud.get(f"/users/{user_id}/groups"))["groups"]
    assert [g["id"] for g in seen] == [group["id"]] and seen[0]["membership_expires_at"]
    scoped = (await rescope(cloud, unscoped, project["id"])).headers["x-subject-token"]
    path = f"users/{user_id}/application_credentials"
    made = await cloud.make("application_credential", path, scoped)
    proof = {"id": made["id"], "secret": made["secret"]}
    identity = {"methods": ["application_credential"], "application_credential": proof}
    token = (await cloud.authenticate(identity)).headers["x-subject-token"]
    assert (await cloud.validate(token)).status_code == 200
    held = f"/role_assignments?effective&user.id={user_id}&scope.project.id={project['id']}"
    assert len((await cloud.get(held))["role_assignments"]) == 2
    cloud.clock.time += 600
    assert (await cloud.get(held))["role_assignments"] == []
    assert (await cloud.validate(token)).status_code == 404
    assert (await cloud.authenticate(identity)).status_code == 401
    assert (await cloud.get(f"/users/{user_id}/groups"))["groups"] == []
    assert (await cloud.validate(scoped)).status_code == 200  # Its groups are in itself.
    await come(cloud, name="ada", groups=group["name"])
    assert (await cloud.authenticate(identity)).status_code == 201
    await come(cloud, name="ada", groups="unknown to us")  # She left the group:
    assert (await cloud.authenticate(identity)).status_code == 401
    assert (await cloud.validate(scoped)).status_code == 404


@pytest.mark.parametrize("protocol", ["password", "application_credential", "kerberos"])
async def test_a_protocol_is_no_other_method(cloud: Cloud, protocol: str) -> None:
    """Whatever it is called: rules for several factors go by methods."""
    await provider(cloud, rules(NAMED))
    path = f"identity_providers/corp/protocols/{protocol}"
    await put(cloud, path, protocol={"mapping_id": "rules"})
    way = await federated_login.way_in(cloud.keystone, "corp", protocol)
    found = await federated_login.log_in(cloud.keystone, way, Assertion("", {"name": ("ada",)}))
    assert found.token.methods == ("mapped",) and found.token.protocol_id == protocol


async def test_who_is_let_in(cloud: Cloud) -> None:
    await provider(cloud, rules(NAMED), remote_ids=["https://corp"])
    await come(cloud, name="ada")
    with pytest.raises(Forbidden):
        await come(cloud, remote_id="https://other", name="ada")
    with pytest.raises(Unauthorized, match="Could not map"):
        await come(cloud, nickname="ada")
    for name in ("", "x" * 300, "a\0b"):
        with pytest.raises(Unauthorized):
            await come(cloud, name=name)
    body = {"protocol": {"mapping_id": "rules", "remote_id_attribute": "ISS"}}
    path = f"{FED}/identity_providers/corp/protocols/openid"
    await cloud.call("PATCH", path, json=body)
    with pytest.raises(Unauthorized, match="identifier"):
        await come(cloud, name="ada")
    await come(cloud, remote_id="anything", name="ada", ISS="https://corp")
    with pytest.raises(Forbidden):
        await come(cloud, name="ada", ISS=["https://corp", "https://other"])


async def test_groups_that_are_not_there(cloud: Cloud) -> None:
    await provider(cloud, rules(NAMED, {"group_ids": "{0}"}))
    with pytest.raises(Unauthorized, match="Group ada returned by mapping rules was not found"):
        await come(cloud, name="ada")
    assert (await cloud.get("/users?idp_id=corp"))["users"] == []


ENDS: dict[str, tuple[str, str, Any]] = {
    "provider disabled": (
        *("PATCH", f"{FED}/identity_providers/corp"),
        {"identity_provider": {"enabled": False}},
    ),
    "provider deleted": ("DELETE", f"{FED}/identity_providers/corp", None),
    "protocol deleted": ("DELETE", f"{FED}/identity_providers/corp/protocols/openid", None),
    "user disabled": ("PATCH", "/users/{user_id}", {"user": {"enabled": False}}),
    "user deleted": ("DELETE", "/users/{user_id}", None),
}


@pytest.mark.parametrize("how", ENDS)
async def test_what_ends_tokens(cloud: Cloud, how: str) -> None:
    await provider(cloud, rules(NAMED))
    token = await come(cloud, name="ada")
    user_id = (await shown(cloud, token))["user"]["id"]
    method, path, body = ENDS[how]
    reply = await cloud.call(method, path.format(user_id=user_id), json=body)
    assert reply.is_success, reply.text
    assert (await cloud.validate(token)).status_code == 404
    if how == "user deleted":
        await come(cloud, name="ada")
        return
    with pytest.raises(Fault):
        await come(cloud, name="ada")
    gone = how.endswith("deleted")
    assert (await cloud.call("GET", f"/users/{user_id}")).status_code == (404 if gone else 200)


async def test_mapping_and_groups_count_again_when_rescoping(cloud: Cloud) -> None:
    group, project = await cloud.make("group"), await cloud.make("project")
    await cloud.grant(f"/projects/{project['id']}/groups/{group['id']}", "member")
    await provider(cloud, rules(NAMED, {"group": {"id": group["id"]}}))
    token = await come(cloud, name="ada")
    user_id = (await shown(cloud, token))["user"]["id"]
    await cloud.grant(f"/projects/{project['id']}/users/{user_id}", "member")
    assert (await rescope(cloud, token, project["id"])).status_code == 201
    await cloud.call("DELETE", f"/groups/{group['id']}")
    assert (await rescope(cloud, token, project["id"])).status_code == 401


async def test_local_users(cloud: Cloud) -> None:
    user = await cloud.user()
    local = {"user": {"name": "{0}", "domain": {"id": "default"}, "type": "local"}}
    await provider(cloud, rules(local))
    token = await shown(cloud, await come(cloud, name=user["name"]))
    assert token["user"]["id"] == user["id"] and "OS-FEDERATION" not in token["user"]
    with pytest.raises(Unauthorized):
        await come(cloud, name="nobody")
    await cloud.call("PATCH", f"/users/{user['id']}", json={"user": {"enabled": False}})
    with pytest.raises(Unauthorized):
        await come(cloud, name=user["name"])


async def test_names_are_not_identities(cloud: Cloud) -> None:
    """A provider cannot make somebody a user that another one, or nobody, vouches for."""
    local = await cloud.user()
    same_domain = {"enabled": True, "domain_id": "default"}
    await provider(cloud, rules(NAMED), domain_id="default")
    await put(cloud, "identity_providers/other", identity_provider=same_domain)
    await put(cloud, "identity_providers/other/protocols/openid", protocol={"mapping_id": "rules"})
    ids = {local["id"]}
    for idp_id in ("corp", "other"):
        way = await federated_login.way_in(cloud.keystone, idp_id, "openid")
        said = Assertion("", {"name": (local["name"],)})
        found = await federated_login.log_in(cloud.keystone, way, said)
        user = (await shown(cloud, found.text))["user"]
        assert user["name"].startswith(local["name"]) and user["domain"]["id"] == "default"
        ids.add(user["id"])
    assert len(ids) == 3
    await cloud.log_in(local["id"])


async def test_users_that_were_linked_before(cloud: Cloud) -> None:
    await provider(
        cloud,
        rules(
            {"user": {"id": "{0}", "name": "{1}", "email": "{2}"}},
            remote=[{"type": "sub"}, {"type": "name"}, {"type": "email"}],
        ),
    )
    called = {"protocol_id": "openid", "unique_id": "4711"}
    links = [{"idp_id": "corp", "protocols": [called]}]
    user = await cloud.user(federated=links)
    assert user["federated"] == links
    await come(cloud, sub="4711", name="Ada", email="ada@corp")
    now = (await cloud.get(f"/users/{user['id']}"))["user"]
    assert (now["name"], now["email"]) == (user["name"], "ada@corp")
    body = {"user": {"name": "twice", "federated": links}}
    assert (await cloud.call("POST", "/users", json=body)).status_code == 409
    body["user"]["federated"] = [{"idp_id": "none", "protocols": [called]}]
    assert (await cloud.call("POST", "/users", json=body)).status_code == 400
    shadow = (await shown(cloud, await come(cloud, sub="1", name="Bob", email="b@c")))["user"]
    renamed = (await shown(cloud, await come(cloud, sub="1", name="Bobby", email="b@c")))["user"]
    assert (renamed["id"], renamed["name"]) == (shadow["id"], "Bobby")
    body = {
        "user": {"federated": [{"idp_id": "corp", "protocols": [{**called, "unique_id": "2"}]}]}
    }
    changed = await cloud.call("PATCH", f"/users/{user['id']}", json=body)
    assert changed.json()["user"]["federated"] == body["user"]["federated"]


async def test_projects(cloud: Cloud) -> None:
    roles = [{"name": "member"}]
    local = {"projects": [{"name": "{0}'s own", "roles": roles}]}
    domain_id = await provider(cloud, rules(NAMED, local))
    token = await come(cloud, name="ada")
    found = (await cloud.get("/auth/projects", token))["projects"]
    assert [(p["name"], p["domain_id"]) for p in found] == [("ada's own", domain_id)]
    scoped = await rescope(cloud, token, found[0]["id"])
    assert {r["name"] for r in scoped.json()["token"]["roles"]} == {"member", "reader"}
    await come(cloud, name="ada")
    made = (await cloud.get(f"/projects?domain_id={domain_id}"))["projects"]
    assert len(made) == 1
    wrong = rules(NAMED, {"projects": [{"name": "x", "roles": [{"name": "no role"}]}]})
    await cloud.call("PATCH", f"{FED}/mappings/rules", json={"mapping": {"rules": wrong}})
    with pytest.raises(Unauthorized):
        await come(cloud, name="ada")


async def test_projects_that_the_provider_names(cloud: Cloud) -> None:
    remote = [{"type": "name"}, {"type": "projects"}]
    local = {"projects_json": "{1}", "domain": {"id": "default"}}
    await provider(cloud, rules(NAMED, local, remote=remote), "3.0")
    both = '[{"name": "one", "roles": [{"name": "member"}]}, {"name": "two", "roles": []}]'
    token = await come(cloud, name="ada", projects=both)
    found = (await cloud.get("/auth/projects", token))["projects"]
    assert [(p["name"], p["domain_id"]) for p in found] == [("one", "default")]
    assert (await shown(cloud, token))["user"]["domain"]["id"] == "default"
    none = '[{"name": "two", "roles": [{"name": "reader"}]}]'
    token = await come(cloud, name="ada", projects=none)
    found = (await cloud.get("/auth/projects", token))["projects"]
    assert [p["name"] for p in found] == ["two"]
    with pytest.raises(Unauthorized):
        await come(cloud, name="ada", projects='{"name": "admin"}')


async def test_a_role_of_a_foreign_domain(cloud: Cloud) -> None:
    domain = await cloud.make("domain")
    role = await cloud.make("role", domain_id=domain["id"])
    local = {"projects": [{"name": "x", "roles": [{"name": role["name"]}]}]}
    await provider(cloud, rules(NAMED, local))
    with pytest.raises(Forbidden):
        await come(cloud, name="ada")


async def test_values_are_not_split(cloud: Cloud) -> None:
    admins = await cloud.make("group", name="admins")
    named = {"groups": "{1}", "domain": {"id": "default"}}
    remote = [{"type": "name"}, {"type": "groups"}]
    await provider(cloud, rules(NAMED, named, remote=remote))
    token = await shown(cloud, await come(cloud, name="ada", groups="x;admins"))
    assert token["user"]["OS-FEDERATION"]["groups"] == []
    token = await shown(cloud, await come(cloud, name="ada", groups=["x", "admins"]))
    assert token["user"]["OS-FEDERATION"]["groups"] == [{"id": admins["id"]}]


async def test_lists_show_what_is_ones_own(cloud: Cloud) -> None:
    """Source: CVE-2018-14432."""
    await cloud.make("project")
    await provider(cloud, rules(NAMED))
    _, own, token = await cloud.member()
    for path in ("projects", "domains"):
        found = (await cloud.get(f"{FED}/{path}", token))[path]
        assert found == (await cloud.get(f"/auth/{path}", token))[path]
        assert [p["id"] for p in found] == ([own["id"]] if path == "projects" else [])
    assert (await cloud.get(f"{FED}/projects", await come(cloud, name="ada")))["projects"] == []


async def test_roles_come_from_the_own_groups_only(cloud: Cloud) -> None:
    """Source: CVE-2017-2673."""
    project, mine, theirs = (
        await cloud.make("project"),
        await cloud.make("group"),
        await cloud.make("group"),
    )
    for group, role in ((mine, "reader"), (theirs, "admin")):
        await cloud.grant(f"/projects/{project['id']}/groups/{group['id']}", role)
    other = await cloud.make("project")
    await cloud.grant(f"/projects/{other['id']}/groups/{theirs['id']}", "admin")
    await provider(cloud, rules(NAMED, {"group": {"id": mine["id"]}}))
    token = await come(cloud, name="ada")
    scoped = await rescope(cloud, token, project["id"])
    assert [r["name"] for r in scoped.json()["token"]["roles"]] == ["reader"]
    assert (await rescope(cloud, token, other["id"])).status_code == 401


async def test_many_first_logins_at_once(cloud: Cloud) -> None:
    await provider(cloud, rules(NAMED))
    tokens = await asyncio.gather(*(come(cloud, name="ada") for _ in range(8)))
    users = {(await shown(cloud, token))["user"]["id"] for token in tokens}
    assert len(users) == 1
