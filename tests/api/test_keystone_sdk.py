"""The identity proxy of openstacksdk, unchanged: what Ansible and most programs call."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest
from keystone_cloud import PASSWORD, at, cloud_at, served

from aerostat.assembly.engines import free_port
from aerostat.kit.clock import SystemClock

RULES = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "x"}]}]


def connect(url: str) -> Any:
    return openstack.connect(
        auth_url=url,
        username="admin",
        password=PASSWORD,
        project_name="admin",
        user_domain_id="default",
        project_domain_id="default",
        identity_endpoint_override=url,
        identity_api_version="3",
    )


def ids(found: Iterator[Any]) -> list[str]:
    return sorted(item.id for item in found)


def life(conn: Any, noun: str, made: dict[str, Any], changes: dict[str, Any]) -> Any:
    """Make a thing, change it, find it by id and name and in the list."""
    identity = conn.identity
    plural = {"policy": "policies"}.get(noun, f"{noun}s")
    item = getattr(identity, f"create_{noun}")(**made)
    changed = getattr(identity, f"update_{noun}")(item, **changes)
    assert all(getattr(changed, name) == value for name, value in changes.items()), noun
    get = getattr(identity, f"get_{noun}")
    assert get(item.id).id == item.id
    if find := getattr(identity, f"find_{noun}", None):
        assert find(item.id).id == item.id
        place = {"domain_id": made["domain_id"]} if "domain_id" in made else {}
        if "name" in made:
            assert find(made["name"], **place).id == item.id
    assert item.id in ids(getattr(identity, plural)())
    return item


def things(conn: Any) -> None:
    domain = life(conn, "domain", {"name": "d"}, {"description": "x", "is_enabled": True})
    inside = {"domain_id": domain.id}
    project = life(conn, "project", {"name": "p", "tags": ["t"], **inside}, {"description": "x"})
    user = life(conn, "user", {"name": "u", "password": "pw", **inside}, {"email": "a@b"})
    group = life(conn, "group", {"name": "g", **inside}, {"description": "x"})
    role = life(conn, "role", {"name": "r"}, {"description": "x"})
    life(conn, "region", {"id": "north"}, {"description": "x"})
    service = life(conn, "service", {"name": "s", "type": "t"}, {"description": "x"})
    place = {"service_id": service.id, "interface": "public", "region_id": "north"}
    endpoint = life(conn, "endpoint", {"url": "http://a", **place}, {"url": "http://b"})
    life(conn, "policy", {"blob": "x", "type": "text/plain"}, {"blob": "y"})
    secret = {"user_id": user.id, "project_id": project.id, "type": "cert", "blob": "x"}
    life(conn, "credential", secret, {"blob": "y"})
    what = {"service_id": service.id, "resource_name": "n"}
    life(conn, "registered_limit", {**what, "default_limit": 5}, {"default_limit": 7})
    limit = {**what, "resource_limit": 3, "project_id": project.id}
    life(conn, "limit", limit, {"resource_limit": 2})
    life(conn, "identity_provider", {"id": "corp"}, {"description": "x"})
    life(conn, "service_provider", {"id": "far", "auth_url": "http://a", "sp_url": "http://b"}, {})
    life(conn, "mapping", {"id": "rules", "rules": RULES}, {"rules": RULES})
    spoken = conn.identity.create_federation_protocol("corp", id="saml2", mapping_id="rules")
    assert conn.identity.find_federation_protocol("corp", spoken.id).id == "saml2"
    groups = {"name": "eg", "filters": {"interface": "public"}}
    filters = life(conn, "endpoint_group", groups, {"description": "x"})
    _filters(conn.identity, project, endpoint, filters)
    _members(conn.identity, user, group)
    _rights(conn, role, {"project": project, "domain": domain}, {"user": user, "group": group})


def _filters(identity: Any, project: Any, endpoint: Any, group: Any) -> None:
    identity.associate_endpoint_with_project(project, endpoint)
    assert ids(identity.project_endpoints(project)) == [endpoint.id]
    assert ids(identity.endpoint_projects(endpoint)) == [project.id]
    identity.disassociate_endpoint_from_project(project, endpoint)
    identity.associate_project_with_endpoint_group(group, project)
    assert ids(identity.project_endpoint_groups(project)) == [group.id]
    assert ids(identity.endpoint_group_projects(group)) == [project.id]
    assert endpoint.id in ids(identity.endpoint_group_endpoints(group))
    identity.disassociate_project_from_endpoint_group(group, project)


def _members(identity: Any, user: Any, group: Any) -> None:
    assert identity.check_user_in_group(user, group) is False
    identity.add_user_to_group(user, group)
    assert identity.check_user_in_group(user, group) is True
    assert ids(identity.group_users(group)) == [user.id]
    assert ids(identity.user_groups(user)) == [group.id]
    identity.remove_user_from_group(user, group)


def _rights(conn: Any, role: Any, places: dict[str, Any], people: dict[str, Any]) -> None:
    identity = conn.identity
    for who, actor in people.items():
        for kind, place in places.items():
            for more in ({}, {"inherited": True}):
                args = (place, actor, role)
                getattr(identity, f"assign_{kind}_role_to_{who}")(*args, **more)
                if not more:
                    assert getattr(identity, f"validate_{who}_has_{kind}_role")(*args) is True
                query = {f"{who}_id": actor.id, f"scope_{kind}_id": place.id}
                assert len(list(identity.role_assignments(**query))) == 1
                getattr(identity, f"unassign_{kind}_role_from_{who}")(*args, **more)
                assert getattr(identity, f"validate_{who}_has_{kind}_role")(*args) is False
        getattr(identity, f"assign_system_role_to_{who}")(actor, role, "all")
        assert getattr(identity, f"validate_{who}_has_system_role")(actor, role, "all") is True
        getattr(identity, f"unassign_system_role_from_{who}")(actor, role, "all")
        place = {who: actor.id, "project": places["project"].id}
        assert conn.grant_role(role.name, **place) and conn.revoke_role(role.name, **place)


def own(conn: Any) -> None:
    """What people have: application credentials, trusts, tokens; and lists in pages."""
    identity, me = conn.identity, conn.current_user_id
    rule = {"path": "/x", "method": "GET", "service": "compute"}
    named = {"roles": [{"name": "admin"}], "access_rules": [rule]}
    made = identity.create_application_credential(me, "a", **named)
    assert identity.find_application_credential(me, "a").id == made.id
    (kept,) = identity.access_rules(me)
    identity.delete_application_credential(me, made)
    identity.delete_access_rule(me, kept)
    friend = identity.create_user(name="friend")
    trust = identity.create_trust(
        trustor_user_id=me,
        trustee_user_id=friend.id,
        project_id=conn.current_project_id,
        is_impersonation=True,
        roles=[{"name": "admin"}],
    )
    assert ids(identity.trusts()) == [trust.id]
    identity.delete_trust(trust)
    assert identity.check_token(conn.auth_token)
    for name in "abc":
        identity.create_project(name=name, tags=["paged"])
    assert len(ids(identity.projects(tags="paged", limit=2))) == 3


@pytest.mark.parametrize("calls", [things, own])
async def test_openstacksdk(tmp_path: Path, calls: Callable[[Any], None]) -> None:
    port = free_port()
    async with (
        cloud_at(tmp_path, clock=SystemClock(), **at(port)) as cloud,
        served(cloud, port) as url,
    ):
        await asyncio.to_thread(lambda: calls(connect(url)))
