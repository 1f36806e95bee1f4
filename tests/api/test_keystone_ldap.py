"""Domains whose users and groups are in LDAP, against a real OpenLDAP."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keystone_cloud import Cloud, by_name, by_password, cloud_at
from tests.slapd import ADMIN, SECRET, SUFFIX, Slapd

LDAP = {
    "user": ADMIN,
    "password": SECRET,
    "suffix": SUFFIX,
    "user_id_attribute": "uid",
    "user_name_attribute": "cn",
    "connection_timeout": 5,
}


@pytest.fixture(scope="module")
def server() -> Iterator[Slapd]:
    if not Slapd.program.exists():
        pytest.skip("needs Debian's slapd: apt-get install slapd")
    folder = Path(tempfile.mkdtemp(prefix="aerostat-slapd-"))
    folder.chmod(0o755)
    made = Slapd(folder / "server")
    made.start()
    yield made
    made.kill()
    shutil.rmtree(folder)


@pytest.fixture
def slapd(server: Slapd) -> Slapd:
    server.clear()
    ada = server.add_user("ada", "Ada", "engine", mail="ada@example.org")
    server.add_user("bob", "Bob", "builder")
    server.add_group("crew", "The crew", [ada])
    return server


async def ldap_domain(cloud: Cloud, slapd: Slapd, **options: Any) -> str:
    domain = (await cloud.make("domain"))["id"]
    config = {"identity": {"driver": "ldap"}, "ldap": {**LDAP, "url": slapd.url, **options}}
    reply = await cloud.call("PUT", f"/domains/{domain}/config", json={"config": config})
    assert reply.status_code == 201, reply.text
    assert SECRET not in reply.text
    return domain


async def users(cloud: Cloud, domain: str, **query: str) -> dict[str, Any]:
    words = "".join(f"&{k}={v}" for k, v in query.items())
    found = await cloud.get(f"/users?domain_id={domain}{words}")
    return {user["name"]: user for user in found["users"]}


async def log_in(cloud: Cloud, domain: str, name: str, password: str, scope: Any = None) -> Any:
    return await cloud.authenticate(by_name(name, password, {"id": domain}), scope)


async def test_users_are_listed_shown_and_found_by_name(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd)
    found = await users(cloud, domain)
    assert set(found) == {"Ada", "Bob"}
    ada = found["Ada"]
    # As keystone makes ids of directories, so that what operators have stays valid.
    assert ada["id"] == hashlib.sha256(f"{domain}userada".encode()).hexdigest()
    assert ada["email"] == "ada@example.org" and ada["enabled"] is True
    assert (await cloud.get(f"/users/{ada['id']}"))["user"] == ada
    assert set(await users(cloud, domain, name="Bob")) == {"Bob"}
    assert set(await users(cloud, domain, name__contains="d")) == {"Ada"}
    everybody = {u["id"] for u in (await cloud.get("/users"))["users"]}
    assert ada["id"] not in everybody  # Only the domains of the own database have no name asked.
    page = await cloud.get(f"/users?domain_id={domain}&limit=1")
    assert len(page["users"]) == 1 and page["links"]["next"]
    slapd.add_user("eve", "Eve", "apple")
    assert "Eve" in await users(cloud, domain)
    slapd.remove(f"uid=bob,ou=Users,{SUFFIX}")
    assert (await cloud.call("GET", f"/users/{found['Bob']['id']}")).status_code == 404
    assert "Bob" not in await users(cloud, domain)


async def test_groups_and_memberships(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd)
    [crew] = (await cloud.get(f"/groups?domain_id={domain}"))["groups"]
    found = await users(cloud, domain)
    ada, bob = found["Ada"]["id"], found["Bob"]["id"]
    assert crew["name"] == "The crew" and len(crew["id"]) == 64
    assert [u["id"] for u in (await cloud.get(f"/groups/{crew['id']}/users"))["users"]] == [ada]
    assert [g["id"] for g in (await cloud.get(f"/users/{ada}/groups"))["groups"]] == [crew["id"]]
    assert (await cloud.get(f"/users/{bob}/groups"))["groups"] == []
    base = f"/groups/{crew['id']}/users"
    assert (await cloud.call("HEAD", f"{base}/{ada}")).status_code == 204
    assert (await cloud.call("HEAD", f"{base}/{bob}")).status_code == 404
    everyone = [f"uid={u},ou=Users,{SUFFIX}" for u in ("ada", "bob", "nobody")]
    slapd.change(f"cn=crew,ou=UserGroups,{SUFFIX}", member=[*everyone, f"cn=admin,{SUFFIX}"])
    assert (await cloud.call("HEAD", f"{base}/{bob}")).status_code == 204
    assert {u["id"] for u in (await cloud.get(base))["users"]} == {ada, bob}


async def test_passwords_and_roles(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd)
    reply = await log_in(cloud, domain, "Ada", "engine")
    assert reply.status_code == 201, reply.text
    ada = reply.json()["token"]["user"]
    assert (ada["name"], ada["domain"]["id"]) == ("Ada", domain)
    assert (await cloud.authenticate(by_password(ada["id"], "engine"))).status_code == 201
    for name, password in (("Ada", "wrong"), ("Ada", "builder"), ("Nobody", "engine")):
        assert (await log_in(cloud, domain, name, password)).status_code == 401
    project = await cloud.make("project", domain_id=domain)
    scope = {"project": {"id": project["id"]}}
    assert (await log_in(cloud, domain, "Ada", "engine", scope)).status_code == 401
    await cloud.grant(f"/projects/{project['id']}/users/{ada['id']}", "reader")
    [crew] = (await cloud.get(f"/groups?domain_id={domain}"))["groups"]
    await cloud.grant(f"/projects/{project['id']}/groups/{crew['id']}", "member")
    reply = await log_in(cloud, domain, "Ada", "engine", scope)
    assert {r["name"] for r in reply.json()["token"]["roles"]} == {"reader", "member"}
    path = f"/role_assignments?effective&include_names&scope.project.id={project['id']}"
    effective = (await cloud.get(path))["role_assignments"]
    assert {a["user"]["name"] for a in effective} == {"Ada"}
    slapd.change(f"cn=crew,ou=UserGroups,{SUFFIX}", member=f"uid=bob,ou=Users,{SUFFIX}")
    effective = (await cloud.get(path))["role_assignments"]
    assert {a["user"]["name"] for a in effective} == {"Ada", "Bob"}
    reply = await log_in(cloud, domain, "Ada", "engine", scope)
    assert {r["name"] for r in reply.json()["token"]["roles"]} == {"reader"}


async def test_tokens_end_when_the_directory_says_so(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd, user_enabled_attribute="employeeType")
    token = (await log_in(cloud, domain, "Ada", "engine")).headers["x-subject-token"]
    assert (await cloud.validate(token)).status_code == 200
    slapd.change(f"uid=ada,ou=Users,{SUFFIX}", employeeType="FALSE")
    assert (await cloud.validate(token)).status_code == 200
    cloud.clock.time += 601  # What was remembered of her is old now.
    assert (await cloud.validate(token)).status_code == 404
    assert (await log_in(cloud, domain, "Ada", "engine")).status_code == 401
    assert (await users(cloud, domain))["Ada"]["enabled"] is False
    slapd.change(f"uid=ada,ou=Users,{SUFFIX}", employeeType="TRUE")
    assert (await log_in(cloud, domain, "Ada", "engine")).status_code == 201


@pytest.mark.parametrize("anonymous", ["", " "])
async def test_an_empty_password_lets_nobody_in(cloud: Cloud, slapd: Slapd, anonymous: str) -> None:
    # RFC 4513, 5.1.2: a bind with a name and no password succeeds as anonymous. CVE-2013-2157.
    domain = await ldap_domain(cloud, slapd)
    assert (await log_in(cloud, domain, "Ada", anonymous)).status_code == 401


@pytest.mark.parametrize(
    "name",
    ["*", "A*", "Ada)(uid=*", "Ada)(|(uid=bob", "x)(|(cn=*))(", "Ada\\2a", "Ada\0", "(", "\\"],
)
async def test_names_are_never_filters(cloud: Cloud, slapd: Slapd, name: str) -> None:
    domain = await ldap_domain(cloud, slapd)
    refused = 400 if "\0" in name else 401
    assert (await log_in(cloud, domain, name, "engine")).status_code == refused
    reply = await cloud.http.get(
        "/v3/users",
        params={"domain_id": domain, "name": name},
        headers={"X-Auth-Token": cloud.admin},
    )
    assert reply.status_code == 400 if "\0" in name else reply.json()["users"] == []


async def test_odd_names_are_found(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd)
    for number, name in enumerate(("O*Neil (jr)", "back\\slash", "Łucja, Ö=ß")):
        dn = slapd.add_user(f"odd{number}", name, "pass")
        slapd.add_group(f"odd{number}", f"odd group {number}", [dn])
        reply = await log_in(cloud, domain, name, "pass")
        assert reply.status_code == 201, name
        user_id = reply.json()["token"]["user"]["id"]
        groups = (await cloud.get(f"/users/{user_id}/groups"))["groups"]
        assert [g["name"] for g in groups] == [f"odd group {number}"]


async def test_directories_are_read_only(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd)
    found = await users(cloud, domain)
    ada, bob = f"/users/{found['Ada']['id']}", found["Bob"]["id"]
    [crew] = (await cloud.get(f"/groups?domain_id={domain}"))["groups"]
    group = f"/groups/{crew['id']}"
    own = await cloud.make("group")
    passwords = {"original_password": "engine", "password": "other"}
    tries = [
        ("POST", "/users", {"user": {"name": "new", "domain_id": domain}}),
        ("PATCH", ada, {"user": {"email": "x@example.org"}}),
        ("PATCH", ada, {"user": {"password": "other"}}),
        ("DELETE", ada, None),
        ("POST", f"{ada}/password", {"user": passwords}),
        ("POST", "/groups", {"group": {"name": "new", "domain_id": domain}}),
        ("PATCH", group, {"group": {"description": "x"}}),
        ("DELETE", group, None),
        ("PUT", f"{group}/users/{bob}", None),
        ("PUT", f"/groups/{own['id']}/users/{bob}", None),
        ("DELETE", f"{group}/users/{found['Ada']['id']}", None),
    ]
    for method, path, body in tries:
        reply = await cloud.call(method, path, json=body)
        assert reply.status_code == 403, (method, path, reply.text)
        assert "LDAP does not support write operations" in reply.text
    assert (await log_in(cloud, domain, "Ada", "engine")).status_code == 201


async def test_a_directory_that_is_away_is_503(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd)
    reply = await log_in(cloud, domain, "Ada", "engine")
    token, ada = reply.headers["x-subject-token"], reply.json()["token"]["user"]["id"]
    slapd.kill()
    assert (await log_in(cloud, domain, "Ada", "engine")).status_code == 503
    assert (await cloud.authenticate(by_password(ada, "engine"))).status_code == 503
    for path in (f"/users?domain_id={domain}", f"/users/{ada}", f"/groups?domain_id={domain}"):
        assert (await cloud.call("GET", path)).status_code == 503
    assert (await cloud.validate(token)).status_code == 200  # Looked at a moment ago.
    cloud.clock.time += 601
    assert (await cloud.validate(token)).status_code == 503
    assert (await cloud.call("GET", "/users")).status_code == 200
    slapd.start()
    assert (await cloud.validate(token)).status_code == 200


async def test_tls(cloud: Cloud, slapd: Slapd) -> None:
    known = {"tls_cacertfile": str(slapd.certificate)}
    start, ldaps = f"ldap://localhost:{slapd.port}", f"ldaps://localhost:{slapd.tls_port}"
    tries: list[tuple[dict[str, Any], int]] = [
        ({"url": start, "use_tls": True, **known}, 201),
        ({"url": ldaps, **known}, 201),
        ({"url": start, "use_tls": True}, 503),  # Nobody it knows signed the certificate.
        ({"url": ldaps}, 503),
        ({"url": f"ldaps://127.0.0.1:{slapd.tls_port}", **known}, 503),  # Another's certificate.
        ({"url": ldaps, "tls_req_cert": "never"}, 201),
        ({"url": ldaps, "tls_cacertfile": "/nowhere.pem"}, 503),
    ]
    for options, status in tries:
        domain = await ldap_domain(cloud, slapd, **options)
        reply = await log_in(cloud, domain, "Ada", "engine")
        assert reply.status_code == status, (options, reply.text)


async def test_changed_options_keep_tokens_and_rights(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd)
    [crew] = (await cloud.get(f"/groups?domain_id={domain}"))["groups"]
    project = await cloud.make("project", domain_id=domain)
    await cloud.grant(f"/projects/{project['id']}/groups/{crew['id']}", "member")
    scope = {"project": {"id": project["id"]}}
    reply = await log_in(cloud, domain, "Ada", "engine", scope)
    token, ada = reply.headers["x-subject-token"], reply.json()["token"]["user"]["id"]
    body = {"config": {"ldap": {"page_size": 100}}}
    config = f"/domains/{domain}/config"
    assert (await cloud.call("PATCH", config, json=body)).status_code == 200
    assert (await cloud.validate(token)).status_code == 200
    dn = f"uid=ada,ou=Users,{SUFFIX}"
    slapd.remove(dn)
    assert (await cloud.call("GET", f"/users/{ada}")).status_code == 404
    assert (await cloud.validate(token)).status_code == 404
    slapd.add_user("ada", "Ada", "engine")  # Back again, she has what she had.
    assert (await log_in(cloud, domain, "Ada", "engine", scope)).status_code == 201


async def test_every_process_looks_for_itself(cloud: Cloud, slapd: Slapd, tmp_path: Path) -> None:
    domain = await ldap_domain(cloud, slapd, user_enabled_attribute="employeeType")
    token = (await log_in(cloud, domain, "Ada", "engine")).headers["x-subject-token"]
    slapd.change(f"uid=ada,ou=Users,{SUFFIX}", employeeType="FALSE")
    async with cloud_at(tmp_path, shared=True, clock=cloud.clock) as other:
        assert (await other.validate(token)).status_code == 404


async def test_tokens_for_a_domain_list_no_other(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd)
    user = await cloud.user()
    await cloud.grant(f"/domains/default/users/{user['id']}", "admin")
    token = await cloud.log_in(user["id"], scope={"domain": {"id": "default"}})
    for noun in ("users", "groups"):
        assert (await cloud.get(f"/{noun}?domain_id={domain}", token))[noun] == []


async def test_keystones_own_account_is_refused(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd, password="wrong")
    assert (await log_in(cloud, domain, "Ada", "engine")).status_code == 503


async def test_pages_of_the_directory(cloud: Cloud, slapd: Slapd) -> None:
    for number in range(25):
        slapd.add_user(f"many{number}", f"Many {number}", "pass")
    domain = await ldap_domain(cloud, slapd, page_size=10)
    assert len(await users(cloud, domain)) == 27


async def test_scopes_filters_and_ids_as_members(cloud: Cloud, slapd: Slapd) -> None:
    slapd.put(f"ou=deep,ou=Users,{SUFFIX}", ["organizationalUnit"], ou="deep")
    dn = f"uid=dee,ou=deep,ou=Users,{SUFFIX}"
    slapd.put(dn, ["inetOrgPerson"], uid="dee", cn="Dee", sn="x", userPassword="pass")
    slapd.add_group("deepers", "Deepers", [dn])
    one = await ldap_domain(cloud, slapd)
    assert set(await users(cloud, one)) == {"Ada", "Bob"}
    groups = {g["name"]: g for g in (await cloud.get(f"/groups?domain_id={one}"))["groups"]}
    assert (await cloud.get(f"/groups/{groups['Deepers']['id']}/users"))["users"] == []
    sub = await ldap_domain(cloud, slapd, query_scope="sub", user_filter="(!(uid=bob))")
    assert set(await users(cloud, sub)) == {"Ada", "Dee"}
    assert (await log_in(cloud, sub, "Bob", "builder")).status_code == 401
    dn = f"cn=posix,ou=UserGroups,{SUFFIX}"
    slapd.put(dn, ["groupOfNames"], cn="posix", ou="Posix", member=dn, description="ada")
    options = {"group_members_are_ids": "TRUE", "group_member_attribute": "description"}
    ids = await ldap_domain(cloud, slapd, **options)
    groups = {g["name"]: g for g in (await cloud.get(f"/groups?domain_id={ids}"))["groups"]}
    members = (await cloud.get(f"/groups/{groups['Posix']['id']}/users"))["users"]
    assert [u["name"] for u in members] == ["Ada"]


@pytest.mark.parametrize(
    ("options", "value", "enabled"),
    [
        ({"user_enabled_mask": 2, "user_enabled_default": "512"}, "514", False),
        ({"user_enabled_mask": "2", "user_enabled_default": "512"}, "512", True),
        ({"user_enabled_mask": 2, "user_enabled_default": "512"}, None, True),
        ({"user_enabled_invert": "true", "user_enabled_default": "False"}, "TRUE", False),
        ({"user_enabled_invert": True, "user_enabled_default": "False"}, None, True),
        ({"user_enabled_default": "FALSE"}, None, False),
        ({"user_attribute_ignore": "enabled,email"}, "FALSE", True),
    ],
)
async def test_who_is_enabled(
    cloud: Cloud, slapd: Slapd, options: Any, value: str | None, enabled: bool
) -> None:
    if value is not None:
        slapd.change(f"uid=ada,ou=Users,{SUFFIX}", employeeType=value)
    domain = await ldap_domain(cloud, slapd, user_enabled_attribute="employeeType", **options)
    assert (await users(cloud, domain))["Ada"]["enabled"] is enabled
    status = 201 if enabled else 401
    assert (await log_in(cloud, domain, "Ada", "engine")).status_code == status


async def test_the_options_are_checked(cloud: Cloud, slapd: Slapd) -> None:
    domain = (await cloud.make("domain"))["id"]
    path = f"/domains/{domain}/config"
    for bad in ({"page_size": "many"}, {"query_scope": "tree"}, {"chase_referrals": True}):
        reply = await cloud.call("PUT", path, json={"config": {"ldap": bad}})
        assert reply.status_code == 400, reply.text
    reply = await cloud.call("PUT", path, json={"config": {"ldap": {"invented": 1}}})
    assert reply.status_code == 403
    ldap = {"config": {"identity": {"driver": "ldap"}}}
    reply = await cloud.call("PUT", "/domains/default/config", json=ldap)
    assert reply.status_code == 409  # Its users would be hidden, the administrator's too.


async def test_back_to_the_own_database(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd)
    token = (await log_in(cloud, domain, "Ada", "engine")).headers["x-subject-token"]
    option = f"/domains/{domain}/config/identity/driver"
    assert (await cloud.call("DELETE", option)).status_code == 204
    assert await users(cloud, domain) == {}
    assert (await cloud.validate(token)).status_code == 404
    assert (await log_in(cloud, domain, "Ada", "engine")).status_code == 401
    body = {"config": {"identity": {"driver": "ldap"}}}
    config = f"/domains/{domain}/config"
    assert (await cloud.call("PATCH", config, json=body)).status_code == 200
    assert (await log_in(cloud, domain, "Ada", "engine")).status_code == 201
    body = {"domain": {"enabled": False}}
    assert (await cloud.call("PATCH", f"/domains/{domain}", json=body)).status_code == 200
    assert (await log_in(cloud, domain, "Ada", "engine")).status_code == 401
    assert (await cloud.call("DELETE", f"/domains/{domain}")).status_code == 204


async def test_names_change_hands_and_are_shared(cloud: Cloud, slapd: Slapd) -> None:
    domain = await ldap_domain(cloud, slapd)
    before = await users(cloud, domain)
    slapd.change(f"uid=ada,ou=Users,{SUFFIX}", cn="Bob")
    slapd.change(f"uid=bob,ou=Users,{SUFFIX}", cn="Ada")
    after = await users(cloud, domain)
    assert after["Ada"]["id"] == before["Bob"]["id"]
    assert after["Bob"]["id"] == before["Ada"]["id"]
    slapd.change(f"uid=bob,ou=Users,{SUFFIX}", cn="Bob")
    assert len(await users(cloud, domain)) == 1  # A name is one user's.
