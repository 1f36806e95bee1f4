"""Domains, projects, users, groups, roles, assignments and the catalogue."""

from pathlib import Path
from typing import Any

import pytest
from keystone_cloud import PASSWORD, Cloud, by_password, cloud_at


async def test_user_keeps_what_it_does_not_know(cloud: Cloud) -> None:
    user = await cloud.user(email="a@b", extra={"x": 1}, options={"lock_password": False})
    assert user["email"] == "a@b" and user["extra"] == {"x": 1}
    assert "password" not in user and "password_hash" not in user
    assert user["links"]["self"] == f"http://ks/v3/users/{user['id']}"
    body = {"user": {"email": "c@d", "phone": 5}}
    changed = (await cloud.call("PATCH", f"/users/{user['id']}", json=body)).json()["user"]
    assert (changed["email"], changed["phone"], changed["extra"]) == ("c@d", 5, {"x": 1})


BAD = [
    ("/users", {"user": {"name": ""}}, "user.name"),
    ("/users", {"user": {"name": "x" * 256}}, "user.name"),
    ("/users", {"user": {"name": 7}}, "user.name"),
    ("/users", {"user": {}}, "user.name"),
    ("/users", {"user": {"name": "x", "enabled": "yes"}}, "user.enabled"),
    ("/users", {"user": {"name": "x", "password": 1}}, "user.password"),
    ("/users", {"usr": {"name": "x"}}, ""),
    ("/users", [], ""),
    ("/projects", {"project": {"name": "x" * 65}}, "project.name"),
    ("/projects", {"project": {"name": " "}}, "project.name"),
    ("/projects", {"project": {"name": "x", "tags": ["a,b"]}}, "project.tags"),
    ("/projects", {"project": {"name": "x", "tags": ["a/b"]}}, "project.tags"),
    ("/domains", {"domain": {"name": "x", "enabled": None}}, "domain.enabled"),
    ("/groups", {"group": {"description": "x"}}, "group.name"),
    ("/roles", {"role": {"name": "x" * 256}}, "role.name"),
    ("/services", {"service": {"name": "x"}}, "service.type"),
    ("/services", {"service": {"type": "x", "enabled": 1}}, "service.enabled"),
    (
        "/endpoints",
        {"endpoint": {"service_id": "x", "interface": "secret", "url": "http://x"}},
        "endpoint.interface",
    ),
    (
        "/endpoints",
        {"endpoint": {"service_id": "x", "interface": "public", "url": "nothing"}},
        "endpoint.url",
    ),
    (
        "/endpoints",
        {"endpoint": {"service_id": "gone", "interface": "public", "url": "http://x"}},
        "gone",
    ),
    ("/credentials", {"credential": {"type": "ec2", "blob": "{}"}}, "project_id"),
    ("/projects", {"project": {"name": "x", "is_domain": True, "domain_id": "default"}}, ""),
]


@pytest.mark.parametrize(("path", "body", "names"), BAD)
async def test_bad_bodies(cloud: Cloud, path: str, body: Any, names: str) -> None:
    reply = await cloud.call("POST", path, json=body)
    assert reply.status_code == 400, reply.text
    assert names in reply.json()["error"]["message"]


async def test_bodies_that_are_no_json(cloud: Cloud) -> None:
    headers = {"X-Auth-Token": cloud.admin}
    for raw, status in (
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 100_000, 400),
        (b'{"user": "' + b"x" * 200_000 + b'"}', 413),
    ):
        reply = await cloud.http.post("/v3/users", headers=headers, content=raw)
        assert reply.status_code == status, raw[:10]


async def test_duplicates_say_which(cloud: Cloud) -> None:
    for noun in ("user", "project", "group", "domain", "role"):
        first = await cloud.make(noun)
        reply = await cloud.call("POST", f"/{noun}s", json={noun: {"name": first["name"]}})
        assert reply.status_code == 409
        assert first["name"] in reply.json()["error"]["message"]
        other = await cloud.make(noun)
        body = {noun: {"name": first["name"]}}
        reply = await cloud.call("PATCH", f"/{noun}s/{other['id']}", json=body)
        assert reply.status_code == 409


async def test_unknown_ids(cloud: Cloud) -> None:
    for noun in ("user", "project", "group", "domain", "role", "region", "service", "endpoint"):
        reply = await cloud.call("GET", f"/{noun}s/unknown")
        assert reply.status_code == 404
        assert reply.json()["error"]["message"] == f"Could not find {noun}: unknown."


async def test_filters_and_pages(cloud: Cloud) -> None:
    for name in ("alpha", "Alpine", "beta"):
        await cloud.make("user", name=name, enabled=name != "beta")

    async def names(query: str) -> set[str]:
        return {u["name"] for u in (await cloud.get(f"/users?{query}"))["users"]}

    assert await names("name=alpha") == {"alpha"}
    assert await names("name__startswith=bet") == {"beta"}
    assert await names("name__icontains=ALP") == {"alpha", "Alpine"}
    assert await names("name__contains=%25") == set()
    assert await names("enabled=false") == {"beta"}
    assert await names("domain_id=nowhere") == set()
    page, found, pages = "/users?limit=2", set(), 0
    while page:
        answer = await cloud.get(page)
        found |= {u["name"] for u in answer["users"]}
        following = answer["links"]["next"]
        assert bool(following) == answer.get("truncated", False)
        page = following.removeprefix("http://ks/v3") if following else ""
        pages += 1
    assert found == {"admin", "alpha", "Alpine", "beta"} and pages == 2
    assert (await cloud.call("GET", "/users?limit=many")).status_code == 400


async def test_project_trees(cloud: Cloud) -> None:
    top = await cloud.make("project")
    branch = [top]
    for _ in range(4):
        branch.append(await cloud.make("project", parent_id=branch[-1]["id"]))
    assert top["parent_id"] == "default" and branch[1]["domain_id"] == "default"
    body = {"project": {"name": "too deep", "parent_id": branch[-1]["id"]}}
    assert (await cloud.call("POST", "/projects", json=body)).status_code == 403
    path = f"/projects/{branch[1]['id']}"
    shown = (await cloud.get(path + "?parents_as_ids&subtree_as_ids"))["project"]
    assert shown["parents"] == {top["id"]: None}
    assert shown["subtree"] == {branch[2]["id"]: {branch[3]["id"]: {branch[4]["id"]: None}}}
    shown = (await cloud.get(path + "?subtree_as_list"))["project"]
    assert len(shown["subtree"]) == 3
    assert (await cloud.call("DELETE", path)).status_code == 403
    body = {"project": {"enabled": False}}
    assert (await cloud.call("PATCH", path, json=body)).status_code == 403
    last = f"/projects/{branch[-1]['id']}"
    assert (await cloud.call("PATCH", last, json=body)).status_code == 200
    body = {"project": {"name": "below", "parent_id": branch[-1]["id"]}}
    assert (await cloud.call("POST", "/projects", json=body)).status_code == 400
    for project in reversed(branch):
        reply = await cloud.call("DELETE", f"/projects/{project['id']}")
        assert reply.status_code == 204, reply.text


async def test_tags(cloud: Cloud) -> None:
    project = await cloud.make("project", tags=["a", "b"])
    path = f"/projects/{project['id']}/tags"
    assert (await cloud.call("PUT", f"{path}/c")).status_code == 201
    assert (await cloud.get(path))["tags"] == ["a", "b", "c"]
    assert (await cloud.call("GET", f"{path}/c")).status_code == 204
    assert (await cloud.call("DELETE", f"{path}/a")).status_code == 204
    assert (await cloud.call("DELETE", f"{path}/a")).status_code == 404
    for query, hit in (
        ("tags=b,c", True),
        ("tags=a,b", False),
        ("tags-any=a,b", True),
        ("not-tags=b,c", False),
        ("not-tags-any=a", True),
    ):
        found = (await cloud.get(f"/projects?{query}"))["projects"]
        assert (project["id"] in {p["id"] for p in found}) == hit, query
    assert (await cloud.call("PUT", path, json={"tags": ["z"]})).json()["tags"] == ["z"]
    assert (await cloud.call("DELETE", path)).status_code == 204


async def test_a_domain_goes_with_all_that_is_in_it(cloud: Cloud) -> None:
    domain = await cloud.make("domain")
    inside = {"domain_id": domain["id"]}
    user, project = await cloud.user(**inside), await cloud.make("project", **inside)
    group, role = await cloud.make("group", **inside), await cloud.make("role", **inside)
    child = await cloud.make("project", parent_id=project["id"])
    await cloud.grant(f"/projects/{project['id']}/users/{user['id']}", "member")
    path = f"/domains/{domain['id']}"
    assert (await cloud.call("DELETE", path)).status_code == 403
    await cloud.call("PATCH", path, json={"domain": {"enabled": False}})
    assert (await cloud.call("DELETE", path)).status_code == 204
    for noun, item in (
        ("users", user),
        ("projects", project),
        ("projects", child),
        ("groups", group),
        ("roles", role),
    ):
        assert (await cloud.call("GET", f"/{noun}/{item['id']}")).status_code == 404
    assert (await cloud.get(f"/role_assignments?user.id={user['id']}"))["role_assignments"] == []
    assert (await cloud.call("DELETE", "/domains/default")).status_code == 403


async def test_groups_give_roles_while_one_is_in(cloud: Cloud) -> None:
    user, group = await cloud.user(), await cloud.make("group")
    project = await cloud.make("project")
    await cloud.grant(f"/projects/{project['id']}/groups/{group['id']}", "member")
    path = f"/groups/{group['id']}/users/{user['id']}"
    scope = {"project": {"id": project["id"]}}
    assert (await cloud.authenticate(by_password(user["id"]), scope)).status_code == 401
    assert (await cloud.call("PUT", path)).status_code == 204
    assert (await cloud.call("HEAD", path)).status_code == 204
    token = await cloud.log_in(user["id"], scope=scope)
    assert (await cloud.validate(token)).status_code == 200
    assert (await cloud.get(f"/users/{user['id']}/groups"))["groups"][0]["id"] == group["id"]
    assert (await cloud.get(f"/users/{user['id']}/projects", token))["projects"]
    assert (await cloud.call("DELETE", path)).status_code == 204
    assert (await cloud.call("DELETE", path)).status_code == 404
    assert (await cloud.validate(token)).status_code == 404


async def test_inherited_roles_count_below_only(cloud: Cloud) -> None:
    user, parent = await cloud.user(), await cloud.make("project")
    child = await cloud.make("project", parent_id=parent["id"])
    role = cloud.roles["member"]
    base = f"/OS-INHERIT/projects/{parent['id']}/users/{user['id']}/roles"
    path = f"{base}/{role}/inherited_to_projects"
    assert (await cloud.call("PUT", path)).status_code == 204
    assert (await cloud.call("HEAD", path)).status_code == 204
    assert (await cloud.get(f"{base}/inherited_to_projects"))["roles"][0]["id"] == role
    at = {"project": {"id": parent["id"]}}
    assert (await cloud.authenticate(by_password(user["id"]), at)).status_code == 401
    assert await cloud.log_in(user["id"], scope={"project": {"id": child["id"]}})
    query = f"/role_assignments?user.id={user['id']}"
    given = (await cloud.get(query))["role_assignments"]
    assert given[0]["scope"]["OS-INHERIT:inherited_to"] == "projects"
    effective = (await cloud.get(query + "&effective"))["role_assignments"]
    assert {a["scope"]["project"]["id"] for a in effective} == {child["id"]}
    assert {a["role"]["id"] for a in effective} == {role, cloud.roles["reader"]}
    assert (await cloud.call("DELETE", path)).status_code == 204
    assert (await cloud.call("DELETE", path)).status_code == 404


async def test_role_assignments_filters(cloud: Cloud) -> None:
    user, project, _ = await cloud.member()
    group = await cloud.make("group")
    await cloud.grant(f"/projects/{project['id']}/groups/{group['id']}", "reader")
    await cloud.call("PUT", f"/groups/{group['id']}/users/{user['id']}")
    await cloud.grant(f"/system/users/{user['id']}", "reader")

    async def found(query: str) -> list[Any]:
        return list((await cloud.get(f"/role_assignments?{query}"))["role_assignments"])

    at = f"scope.project.id={project['id']}"
    assert len(await found(at)) == 2
    assert len(await found(f"group.id={group['id']}")) == 1
    assert len(await found(f"user.id={user['id']}&scope.system=all")) == 1
    assert len(await found(f"{at}&role.id={cloud.roles['member']}")) == 1
    effective = await found(f"{at}&effective")
    assert {a["role"]["id"] for a in effective} == {cloud.roles["member"], cloud.roles["reader"]}
    assert all("user" in a for a in effective)
    named = await found(f"{at}&include_names")
    assert {a["role"]["name"] for a in named} == {"member", "reader"}
    assert named[0]["scope"]["project"]["domain"] == {"id": "default", "name": "Default"}
    for query in ("user.id=a&group.id=b", "effective&group.id=b", "include_subtree"):
        assert (await cloud.call("GET", f"/role_assignments?{query}")).status_code == 400


async def test_implied_roles(cloud: Cloud) -> None:
    prior, implied = await cloud.make("role"), await cloud.make("role")
    path = f"/roles/{prior['id']}/implies/{implied['id']}"
    assert (await cloud.call("PUT", path)).status_code == 201
    assert (await cloud.call("HEAD", path)).status_code == 204
    back = f"/roles/{implied['id']}/implies/{prior['id']}"
    assert (await cloud.call("PUT", back)).status_code == 403
    user, project = await cloud.user(), await cloud.make("project")
    cloud.roles["prior"] = prior["id"]
    await cloud.grant(f"/projects/{project['id']}/users/{user['id']}", "prior")
    token = await cloud.log_in(user["id"], scope={"project": {"id": project["id"]}})
    said = (await cloud.validate(token)).json()["token"]
    assert {r["id"] for r in said["roles"]} == {prior["id"], implied["id"]}
    assert (await cloud.call("DELETE", path)).status_code == 204
    said = (await cloud.validate(token)).json()["token"]
    assert {r["id"] for r in said["roles"]} == {prior["id"]}
    admin = f"/roles/{prior['id']}/implies/{cloud.roles['admin']}"
    assert (await cloud.call("PUT", admin)).status_code == 403
    assert (await cloud.call("DELETE", f"/roles/{cloud.roles['admin']}")).status_code == 403


async def test_catalogue(cloud: Cloud) -> None:
    service = await cloud.make("service", type="compute")
    url = "http://nova/v2.1/$(project_id)s"
    endpoint = await cloud.make(
        "endpoint", service_id=service["id"], interface="public", url=url, region="Elsewhere"
    )
    assert endpoint["region_id"] == "Elsewhere"
    _, project, token = await cloud.member()
    entries = (await cloud.validate(token)).json()["token"]["catalog"]
    compute = next(e for e in entries if e["type"] == "compute")
    assert compute["endpoints"][0]["url"] == f"http://nova/v2.1/{project['id']}"
    assert (await cloud.call("DELETE", "/regions/Elsewhere")).status_code == 409
    body = {"endpoint": {"enabled": False}}
    await cloud.call("PATCH", f"/endpoints/{endpoint['id']}", json=body)
    entries = (await cloud.validate(token)).json()["token"]["catalog"]
    assert next(e for e in entries if e["type"] == "compute")["endpoints"] == []
    assert (await cloud.call("DELETE", f"/services/{service['id']}")).status_code == 204
    assert (await cloud.call("GET", f"/endpoints/{endpoint['id']}")).status_code == 404
    assert (await cloud.call("DELETE", "/regions/Elsewhere")).status_code == 204


async def test_endpoint_filter(cloud: Cloud) -> None:
    service = await cloud.make("service", type="compute")
    endpoint = await cloud.make(
        "endpoint", service_id=service["id"], interface="public", url="http://x"
    )
    _, project, token = await cloud.member()
    path = f"/OS-EP-FILTER/projects/{project['id']}/endpoints/{endpoint['id']}"
    assert (await cloud.call("PUT", path)).status_code == 204
    entries = (await cloud.validate(token)).json()["token"]["catalog"]
    assert sum(len(e["endpoints"]) for e in entries) == 1
    assert (await cloud.call("DELETE", path)).status_code == 204
    entries = (await cloud.validate(token)).json()["token"]["catalog"]
    assert sum(len(e["endpoints"]) for e in entries) == 4


async def test_limits(cloud: Cloud) -> None:
    service, project = await cloud.make("service", type="x"), await cloud.make("project")
    default = {"service_id": service["id"], "resource_name": "cores", "default_limit": 10}
    body: Any = {"registered_limits": [default]}
    made = (await cloud.call("POST", "/registered_limits", json=body)).json()
    assert (await cloud.call("POST", "/registered_limits", json=body)).status_code == 409
    limit = {"service_id": service["id"], "resource_name": "cores", "resource_limit": 5}
    body = {"limits": [{**limit, "project_id": project["id"]}]}
    assert (await cloud.call("POST", "/limits", json=body)).status_code == 201
    assert (await cloud.call("POST", "/limits", json=body)).status_code == 409
    assert (await cloud.call("POST", "/limits", json={"limits": [limit]})).status_code == 400
    path = f"/registered_limits/{made['registered_limits'][0]['id']}"
    assert (await cloud.call("DELETE", path)).status_code == 403
    assert (await cloud.get("/limits/model"))["model"]["name"] == "flat"


async def test_a_description_that_was_never_given_is_null(cloud: Cloud) -> None:
    for noun, path, values in (
        ("endpoint_group", "/OS-EP-FILTER/endpoint_groups", {"filters": {"interface": "public"}}),
        ("consumer", "/OS-OAUTH1/consumers", {}),
        ("role", "/roles", {}),
    ):
        made = await cloud.make(noun, path[1:], **values)
        assert made["description"] is None
        for description in ("x", None):
            body = {noun: {"description": description}}
            reply = await cloud.call("PATCH", f"{path}/{made['id']}", json=body)
            assert reply.json()[noun]["description"] == description


async def test_a_tag_is_there_once(cloud: Cloud) -> None:
    project = await cloud.make("project", tags=["a"])
    path = f"/projects/{project['id']}"
    twice: Any = {"tags": ["b", "b"]}
    for method, url, body in (
        ("PUT", f"{path}/tags/a", None),
        ("PUT", f"{path}/tags", twice),
        ("PATCH", path, {"project": twice}),
        ("POST", "/projects", {"project": {"name": "other", **twice}}),
        ("POST", "/domains", {"domain": {"name": "other", **twice}}),
    ):
        assert (await cloud.call(method, url, json=body)).status_code == 400, url
    assert (await cloud.call("PUT", f"{path}/tags/b")).status_code == 201


async def test_a_domains_role_is_for_its_projects_and_any_domain(cloud: Cloud) -> None:
    domain, user = await cloud.make("domain"), await cloud.make("user")
    role = await cloud.make("role", domain_id=domain["id"])
    project = await cloud.make("project")
    for target, status in (
        (f"/domains/{user['domain_id']}", 204),
        (f"/projects/{project['id']}", 403),
        ("/system", 400),
    ):
        url = f"{target}/users/{user['id']}/roles/{role['id']}"
        assert (await cloud.call("PUT", url)).status_code == status, target
        if status != 204:
            assert (await cloud.call("GET", url)).status_code == 404, target


async def test_managers_of_domains_see_the_roles_that_they_may_give(cloud: Cloud) -> None:
    user = await cloud.user()
    await cloud.grant(f"/domains/default/users/{user['id']}", "manager")
    token = await cloud.log_in(user["id"], PASSWORD, {"domain": {"id": "default"}})
    for name, status in (("member", 200), ("admin", 403)):
        reply = await cloud.call("GET", f"/roles/{cloud.roles[name]}", token)
        assert reply.status_code == status, name


async def test_what_is_not_there_is_not_there_for_anybody(cloud: Cloud) -> None:
    _, _, token = await cloud.member()
    nowhere = "0" * 32
    for method, path, noun in (
        ("GET", "/roles", ""),
        ("PATCH", "/roles", "role"),
        ("DELETE", "/roles", ""),
        ("PATCH", "/domains", "domain"),
        ("DELETE", "/groups", ""),
        ("GET", "/users/x/credentials/OS-EC2", ""),
    ):
        body = {noun: {"description": "x"}} if noun else None
        reply = await cloud.call(method, f"{path}/{nowhere}", token, body)
        assert reply.status_code == 404, path


async def test_a_domain_sees_its_own_in_groups(cloud: Cloud) -> None:
    elsewhere = await cloud.make("domain")
    group, alien = await cloud.make("group"), await cloud.make("group", domain_id=elsewhere["id"])
    user = await cloud.user()
    other = await cloud.make("user", domain_id=elsewhere["id"])
    for member in (user, other):
        path = f"/groups/{group['id']}/users/{member['id']}"
        assert (await cloud.call("PUT", path)).status_code == 204
    assert (await cloud.call("PUT", f"/groups/{alien['id']}/users/{user['id']}")).is_success
    await cloud.grant(f"/domains/default/users/{user['id']}", "manager")
    token = await cloud.log_in(user["id"], PASSWORD, {"domain": {"id": "default"}})
    inside = (await cloud.get(f"/groups/{group['id']}/users", token))["users"]
    assert [one["id"] for one in inside] == [user["id"]]
    mine = (await cloud.get(f"/users/{user['id']}/groups", token))["groups"]
    assert [one["id"] for one in mine] == [group["id"]]


async def test_other_password_forms(cloud: Cloud) -> None:
    user = await cloud.make("user", password=None)
    assert (await cloud.authenticate(by_password(user["id"], ""))).status_code == 401
    assert (await cloud.authenticate(by_password(user["id"], PASSWORD))).status_code == 401


async def test_no_list_is_longer_than_the_operator_wants(tmp_path: Path) -> None:
    async with cloud_at(tmp_path, list_limit=2) as cloud:
        for _ in range(3):
            await cloud.make("group")
        for query, count in (("", 2), ("?limit=1", 1), ("?limit=3", 2)):
            found = await cloud.get(f"/groups{query}")
            assert len(found["groups"]) == count and found["truncated"] is True
        rest = (await cloud.get(f"/groups?marker={found['groups'][-1]['id']}"))["groups"]
        assert len(rest) == 1
