"""Lists and bodies to the letter: filters, pages, and what is refused as upstream refuses it.

Source: keystone, tests/unit/test_v3_{filters,resource,identity,catalog}.py, api-ref.
"""

from typing import Any

import pytest
from keystone_cloud import PASSWORD, Cloud, by_password


async def names(cloud: Cloud, plural: str, query: str) -> list[str]:
    return sorted(item["name"] for item in (await cloud.get(f"/{plural}?{query}"))[plural])


async def refused(cloud: Cloud, method: str, path: str, body: Any = None) -> str:
    reply = await cloud.call(method, path, json=body)
    assert reply.status_code == 400, (path, body, reply.text)
    return str(reply.json()["error"]["message"])


@pytest.mark.parametrize("plural", ["users", "groups", "projects", "domains"])
async def test_markers_must_be_there(cloud: Cloud, plural: str) -> None:
    reply = await cloud.call("GET", f"/{plural}?marker=nobody")
    assert reply.status_code == 404
    assert reply.json()["error"]["message"] == "Marker nobody could not be found."


async def test_flags(cloud: Cloud) -> None:
    on, off = await cloud.user(), await cloud.user(enabled=False)
    for value, wanted in (
        ("", on),
        ("=", on),
        ("=true", on),
        ("=Y", on),
        ("=0", off),
        ("=OFF", off),
    ):
        found = await names(cloud, "users", f"name__startswith=user&enabled{value}")
        assert found == [wanted["name"]], value
    for plural in ("users", "projects", "domains"):
        assert "enabled" in await refused(cloud, "GET", f"/{plural}?enabled=maybe")


async def test_values_that_nothing_has(cloud: Cloud) -> None:
    for query in ("users?name=", "projects?domain_id=a%20b", "groups?domain_id=", "users?limit=x"):
        await refused(cloud, "GET", f"/{query}")
    await cloud.make("project", name="ab")
    assert await names(cloud, "projects", "name__startswith=a&name__startswith=b") == []
    assert await names(cloud, "projects", "name__istartswith=A&name__endswith=b") == ["ab"]
    assert await names(cloud, "projects", "name=ab&nonsense=1") == ["ab"]


async def test_tags_and_pages(cloud: Cloud) -> None:
    """A page holds as many projects with the tag as it may, whatever stands between them."""
    tagged = {(await cloud.make("project", tags=["a", str(n % 2)]))["id"] for n in range(6)}
    for _ in range(3):
        await cloud.make("project")
    seen: list[str] = []
    path: str | None = "/projects?tags=a&limit=2"
    while path:
        page = await cloud.get(path)
        seen += [p["id"] for p in page["projects"]]
        following = page["links"]["next"]
        assert bool(following) is bool(page.get("truncated"))
        path = following and following.partition("/v3")[2]
    assert set(seen) == tagged and len(seen) == 6
    some = await cloud.get("/projects?tags-any=0,b&not-tags=1")
    assert len(some["projects"]) == 3


async def test_tags_are_there_once(cloud: Cloud) -> None:
    project = await cloud.make("project", tags=["a"])
    path = f"/projects/{project['id']}/tags"
    await refused(cloud, "PUT", path, {"tags": ["b", "b"]})
    await refused(cloud, "PUT", f"{path}/a")
    await refused(cloud, "POST", "/projects", {"project": {"name": "x", "tags": ["b", "b"]}})
    assert (await cloud.call("PUT", f"{path}/A")).status_code == 201


async def test_ids_stay(cloud: Cloud) -> None:
    for noun in ("user", "group", "project", "domain", "role", "service", "region"):
        more = {"type": "x"} if noun == "service" else {}
        made = await cloud.make(noun, **more)
        path = f"/{noun}s/{made['id']}"
        message = await refused(cloud, "PATCH", path, {noun: {"id": "other", "description": "x"}})
        assert message == "Cannot change ID"
        body = {noun: {"id": made["id"], "description": "x"}}
        assert (await cloud.call("PATCH", path, json=body)).json()[noun]["description"] == "x"
        if noun != "project":  # As upstream.
            await refused(cloud, "PATCH", path, {noun: {}})


async def test_a_default_project_is_no_domain(cloud: Cloud) -> None:
    user = await cloud.user()
    body = {"user": {"name": "x", "default_project_id": "default"}}
    assert "cannot be a domain" in await refused(cloud, "POST", "/users", body)
    assert "cannot be a domain" in await refused(cloud, "PATCH", f"/users/{user['id']}", body)
    body["user"]["default_project_id"] = "unknown"  # May come later, says upstream.
    assert (await cloud.call("PATCH", f"/users/{user['id']}", json=body)).status_code == 200


async def test_projects_nowhere(cloud: Cloud) -> None:
    for place in ("domain_id", "parent_id"):
        message = await refused(cloud, "POST", "/projects", {"project": {"name": "x", place: "no"}})
        assert (
            message
            == f"Could not find {place.removesuffix('_id').replace('parent', 'project')}: no."
        )


async def test_limits_above_and_below(cloud: Cloud) -> None:
    service = await cloud.make("service", type="compute")
    default = {"service_id": service["id"], "resource_name": "servers", "default_limit": 5}
    body = {"registered_limits": [default]}
    assert (await cloud.call("POST", "/registered_limits", json=body)).status_code == 201
    top = await cloud.make("project")
    leaf = await cloud.make("project", parent_id=top["id"])
    own = {"service_id": service["id"], "resource_name": "servers", "resource_limit": 3}
    body = {"limits": [{**own, "project_id": p["id"]} for p in (top, leaf)]}
    assert (await cloud.call("POST", "/limits", json=body)).status_code == 201
    query = "include_limits&parents_as_list&subtree_as_list"
    shown = (await cloud.get(f"/projects/{top['id']}?{query}"))["project"]
    assert shown["parents"] == [] and "limits" not in shown
    (below,) = shown["subtree"]
    assert [x["resource_limit"] for x in below["project"]["limits"]] == [3]
    shown = (await cloud.get(f"/projects/{top['id']}?subtree_as_list&include_limits=0"))["project"]
    assert "limits" not in shown["subtree"][0]["project"]
    await _who_sees_limits(cloud, top)


async def _who_sees_limits(cloud: Cloud, project: Any) -> None:
    """Services ask for everybody's limits (oslo.limit), others see their own."""
    _, _, service = await cloud.member("service")
    _, _, member = await cloud.member("reader", project)
    user, _, stranger = await cloud.member("reader")
    counts = [len((await cloud.get("/limits", t))["limits"]) for t in (service, member, stranger)]
    assert counts == [2, 1, 0]
    unscoped = await cloud.log_in(user["id"], PASSWORD, "unscoped")
    assert (await cloud.get("/limits", unscoped))["limits"] == []
    await cloud.grant(f"/domains/default/users/{user['id']}", "reader")
    scope = {"domain": {"id": "default"}}
    reply = await cloud.authenticate(by_password(user["id"]), scope)
    assert len((await cloud.get("/limits", reply.headers["x-subject-token"]))["limits"]) == 2


async def test_options_of_domains(cloud: Cloud) -> None:
    domain = await cloud.make("domain")
    path = f"/domains/{domain['id']}/config"
    other = {"config": {"identity": {"driver": "sql"}}}
    assert (await cloud.call("PUT", path, json=other)).status_code == 201
    wrong = {"config": {"nonsense": {"x": 1}}}
    for method, where, body, status in (
        ("GET", "/nonsense", None, 403),
        ("GET", "/ldap/nonsense", None, 403),
        ("DELETE", "/nonsense", None, 403),
        ("GET", "/ldap", None, 404),
        ("PATCH", "/nonsense", wrong, 403),
        ("PATCH", "/identity", wrong, 403),
        ("PATCH", "/identity", {"config": {"ldap": {}}}, 403),
        ("PATCH", "/identity/driver", {"config": {"list_limit": 1}}, 403),
        ("PATCH", "/identity/list_limit", {"config": {"list_limit": 1}}, 404),
        ("PATCH", "/identity/driver", {"config": {"driver": "sql"}}, 200),
        ("PATCH", "/identity", other, 200),
    ):
        reply = await cloud.call(method, f"{path}{where}", json=body)
        assert reply.status_code == status, (method, where, body, reply.text)


async def test_access_rules_are_found(cloud: Cloud) -> None:
    user, _, token = await cloud.member()
    base = f"/users/{user['id']}"
    rules = [
        {"service": "compute", "method": "GET", "path": "/v2.1/servers"},
        {"service": "image", "method": "GET", "path": "/v2/images"},
    ]
    body = {"application_credential": {"name": "a", "access_rules": rules}}
    reply = await cloud.call("POST", f"{base}/application_credentials", token, body)
    assert reply.status_code == 201
    for query, count in (("service=image", 1), ("method=GET", 2), ("path=/x", 0), ("x=y", 2)):
        found = await cloud.get(f"{base}/access_rules?{query}", token)
        assert len(found["access_rules"]) == count, query
    for role, status in (({"id": "none"}, 400), ({"name": "none"}, 404)):
        body = {"application_credential": {"name": "b", "roles": [role]}}
        reply = await cloud.call("POST", f"{base}/application_credentials", token, body)
        assert reply.status_code == status
    consumer = await cloud.make("consumer", "OS-OAUTH1/consumers")
    await refused(
        cloud, "PATCH", f"/OS-OAUTH1/consumers/{consumer['id']}", {"consumer": {"secret": "x"}}
    )


@pytest.mark.parametrize("noun", ["user", "group"])
async def test_users_and_groups_in_order_page_by_page(cloud: Cloud, noun: str) -> None:
    domain = await cloud.make("domain")
    made = {}
    for name in ("b", "d", "a", "c"):
        made[name] = (await cloud.make(noun, name=name, domain_id=domain["id"]))["id"]
    by_id = sorted(made.values())
    for order, ids in (
        ("", by_id),
        ("&sort_key=id&sort_dir=desc", by_id[::-1]),
        ("&sort_dir=desc", by_id[::-1]),
        ("&sort_key=name", [made[name] for name in "abcd"]),
        ("&sort_key=name&sort_dir=desc", [made[name] for name in "dcba"]),
        ("&sort_key=domain_id&sort_dir=desc", by_id),
    ):
        path, found = f"/{noun}s?domain_id={domain['id']}&limit=2{order}", []
        while path:
            page = await cloud.get(path)
            found += [item["id"] for item in page[f"{noun}s"]]
            path = (page["links"]["next"] or "").partition("/v3")[2]
        assert found == ids, order
    for query in ("sort_dir=up", "sort_key=password_hash"):
        await refused(cloud, "GET", f"/{noun}s?{query}")
