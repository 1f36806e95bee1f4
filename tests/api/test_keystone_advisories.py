"""Upstream's advisories that no other test is about; docs/advisories.md lists all."""

from typing import Any

import pytest
from keystone_cloud import PASSWORD, Cloud, by_password, by_token


def count_hashes(cloud: Cloud) -> list[str]:
    """Return a list that grows with every password that is checked."""
    checked: list[str] = []
    verify = cloud.keystone.hasher.verify

    async def counted(password: str, hashed: str) -> bool:
        checked.append(password)
        return await verify(password, hashed)

    cloud.keystone.hasher.verify = counted  # type: ignore[method-assign]
    return checked


async def test_nobody_learns_who_exists(cloud: Cloud) -> None:
    """Unknown users cost the same work and get the same words. CVE-2018-20170, CVE-2021-38155."""
    user = await cloud.user()
    off = await cloud.user(enabled=False)
    checked = count_hashes(cloud)
    answers = []
    for user_id in (user["id"], off["id"], "nobody"):
        before = len(checked)
        reply = await cloud.authenticate(by_password(user_id, "wrong"))
        answers.append((reply.status_code, reply.json(), len(checked) - before))
    assert answers[0] == answers[1] == answers[2]


async def test_a_method_that_is_named_often_is_tried_once(cloud: Cloud) -> None:
    """CVE-2014-2828: repeated methods must not multiply the work."""
    user = await cloud.user()
    checked = count_hashes(cloud)
    identity = {**by_password(user["id"]), "methods": ["password"] * 1000}
    reply = await cloud.authenticate(identity)
    assert reply.status_code == 201 and len(checked) == 1
    assert reply.json()["token"]["methods"] == ["password"]


async def test_every_character_of_a_secret_counts(cloud: Cloud) -> None:
    """CVE-2021-3563: bcrypt looks at 72 bytes, secrets are longer."""
    user, _, token = await cloud.member()
    path = f"users/{user['id']}/application_credentials"
    made = await cloud.make("application_credential", path, token)
    chosen = await cloud.make("application_credential", path, token, secret="x" * 72 + "end")
    for item in (made, chosen):
        assert len(item["secret"]) > 72
        for secret, status in ((item["secret"], 201), (item["secret"][:-1] + "~", 401)):
            proof = {"id": item["id"], "secret": secret}
            identity = {"methods": ["application_credential"], "application_credential": proof}
            assert (await cloud.authenticate(identity)).status_code == status


async def test_urls_of_the_catalogue_tell_nothing_else(cloud: Cloud) -> None:
    """CVE-2014-3621: a URL may hold the ids of project and user, and no option of keystone."""
    service = await cloud.make("service", type="thing")
    place = {"service_id": service["id"], "interface": "public"}
    for bad in ("$(admin_token)s", "%(password)s", "$(config.db)s", "%(user_id)", "%"):
        body = {"endpoint": {**place, "url": f"http://x/{bad}"}}
        assert (await cloud.call("POST", "/endpoints", json=body)).status_code == 400, bad
    made = await cloud.make("endpoint", **place, url="http://x/$(project_id)s/%(user_id)s")
    user, project, token = await cloud.member()

    async def shown() -> list[str]:
        said = (await cloud.validate(token)).json()["token"]["catalog"]
        return [e["url"] for s in said if s["type"] == "thing" for e in s["endpoints"]]

    assert await shown() == [f"http://x/{project['id']}/{user['id']}"]
    changed = {"endpoint": {"url": "http://x/$(admin_token)s/$(project_id)s"}}
    await cloud.call("PATCH", f"/endpoints/{made['id']}", json=changed)
    assert await shown() == []


async def test_tokens_of_tokens_end_with_the_first(cloud: Cloud) -> None:
    """CVE-2012-3426, CVE-2014-5251: exchanging a token never prolongs it, however often."""
    user = await cloud.user()
    first = await cloud.authenticate(by_password(user["id"]), "unscoped")
    token, end = first.headers["x-subject-token"], first.json()["token"]["expires_at"]
    for _ in range(3):
        cloud.clock.time += 60
        reply = await cloud.authenticate(by_token(token))
        token = reply.headers["x-subject-token"]
        assert reply.json()["token"]["expires_at"] == end


@pytest.mark.parametrize("what", ["user", "project", "domain"])
async def test_disabling_ends_what_was_given_out(cloud: Cloud, what: str) -> None:
    """CVE-2012-4457, CVE-2013-2059, CVE-2013-4222, CVE-2014-5253; CVE-2013-0282 for EC2."""
    domain = await cloud.make("domain")
    place = {"domain_id": domain["id"]}
    project, user = await cloud.make("project", **place), await cloud.user(**place)
    await cloud.grant(f"/projects/{project['id']}/users/{user['id']}", "member")
    await cloud.grant(f"/domains/{domain['id']}/users/{user['id']}", "member")
    scopes: dict[str, Any] = {
        "user": "unscoped",
        "project": {"project": {"id": project["id"]}},
        "domain": {"domain": {"id": domain["id"]}},
    }
    token = await cloud.log_in(user["id"], scope=scopes[what])
    item = {"user": user, "project": project, "domain": domain}[what]
    body = {what: {"enabled": False}}
    assert (await cloud.call("PATCH", f"/{what}s/{item['id']}", json=body)).status_code == 200
    assert (await cloud.validate(token)).status_code == 404


async def test_roles_in_a_token_are_those_of_now(cloud: Cloud) -> None:
    """CVE-2012-4413, CVE-2013-4477: what is taken away is gone, and nothing comes in its place."""
    user, project, token = await cloud.member("manager")
    await cloud.grant(f"/projects/{project['id']}/users/{user['id']}", "service")
    path = f"/projects/{project['id']}/users/{user['id']}/roles/{cloud.roles['manager']}"
    assert (await cloud.call("DELETE", path)).status_code == 204
    fresh = await cloud.log_in(user["id"], scope={"project": {"id": project["id"]}})
    for one in (token, fresh):
        said = (await cloud.validate(one)).json()["token"]
        assert [r["name"] for r in said["roles"]] == ["service"]
    other = f"/projects/{project['id']}/users/{user['id']}/roles/{cloud.roles['admin']}"
    assert (await cloud.call("DELETE", other)).status_code == 404
    assert [r["name"] for r in (await cloud.get(path.rpartition("/")[0]))["roles"]] == ["service"]


async def test_bodies_cannot_pretend_to_be_targets(cloud: Cloud) -> None:
    """Keystone bug 2148398: what a client sends must not take a policy's target's place."""
    victim = await cloud.user()
    user, _, token = await cloud.member()
    forged = {"target": {"user": {"id": user["id"]}}, "user_id": user["id"]}
    body = {**forged, "user": {**forged, "email": "x", "id": user["id"]}}
    reply = await cloud.call("PATCH", f"/users/{victim['id']}", token, body)
    assert reply.status_code in (400, 403)
    query = f"/users/{victim['id']}?user_id={user['id']}&target.user.id={user['id']}"
    assert (await cloud.call("GET", query, token)).status_code == 403


async def test_long_names_cost_nothing(cloud: Cloud) -> None:
    """CVE-2013-0247, CVE-2013-2014: oversized logins are refused before anything is done."""
    huge = {"id": "x" * 200_000, "password": PASSWORD}
    identity = {"methods": ["password"], "password": {"user": huge}}
    assert (await cloud.authenticate(identity)).status_code in (400, 413)
