"""The first start: what must be there before anybody can log in. Running it again is harmless."""

from typing import Any

from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.domain import revocation
from aerostat.services.keystone.model.actors import NO_DOMAIN, Project, User
from aerostat.services.keystone.model.catalog import INTERFACES, Region, Service, ServiceEndpoint
from aerostat.services.keystone.model.roles import (
    DEFAULT_IMPLICATIONS,
    DEFAULT_ROLES,
    Assignment,
    Implication,
    Role,
)
from aerostat.services.keystone.model.tokens import SYSTEM_TARGET
from aerostat.services.keystone.runtime import Keystone

P, U, R = tables.projects.c, tables.users.c, tables.roles.c


async def bootstrap(
    keystone: Keystone,
    *,
    admin_password: str,
    region: str = "RegionOne",
    base_url: str = "",
) -> None:
    """Make the default domain, roles, the admin with its project, "service" and the region.

    `base_url` is keystone's own ("http://host:5000/v3"); "" leaves the catalogue to `register`.
    What is there already stays as it is, the admin's password too. Afterwards keystone knows
    its revocations and may serve.
    """
    await revocation.load(keystone)
    domain_id = keystone.config.default_domain_id
    admin = await keystone.db.read(_admin, domain_id)
    hashed = "" if admin else await keystone.hasher.hash(admin_password)

    def write(tx: Tx) -> None:
        _domain(tx, domain_id)
        role_ids = _roles(keystone, tx)
        project_id = _project(keystone, tx, domain_id, "admin", "Bootstrap project.")
        _project(keystone, tx, domain_id, "service", "Projects of the services.")
        user_id = admin or _user(keystone, tx, domain_id, hashed)
        _grant(tx, Assignment("user", user_id, "project", project_id, role_ids["admin"], False))
        _grant(tx, Assignment("user", user_id, "system", SYSTEM_TARGET, role_ids["admin"], False))
        _region(tx, region)
        if base_url:
            put_service(keystone, tx, region, ("keystone", "identity", "Identity", base_url))

    await keystone.change(write)


def _admin(tx: Tx, domain_id: str) -> str:
    user = stores.users.first(tx, U.domain_id == domain_id, U.name == "admin")
    return user.id if user else ""


def _domain(tx: Tx, domain_id: str) -> None:
    if stores.projects.get(tx, domain_id) is None:
        about = "The default domain"
        row = Project(domain_id, "Default", NO_DOMAIN, "", True, True, about, [], {}, {})
        stores.projects.insert(tx, row)


def _roles(keystone: Keystone, tx: Tx) -> dict[str, str]:
    known = {r.name: r.id for r in stores.roles.all(tx, R.domain_id == NO_DOMAIN)}
    for name in DEFAULT_ROLES:
        if name not in known:
            known[name] = keystone.ids()
            options: dict[str, Any] = {"immutable": True}
            stores.roles.insert(tx, Role(known[name], name, NO_DOMAIN, "", options, {}))
    for prior, implied in DEFAULT_IMPLICATIONS:
        if stores.implications.get(tx, known[prior], known[implied]) is None:
            stores.implications.insert(tx, Implication(known[prior], known[implied]))
    return known


def _project(keystone: Keystone, tx: Tx, domain_id: str, name: str, about: str) -> str:
    found = stores.projects.first(tx, P.domain_id == domain_id, P.name == name)
    if found is not None:
        return found.id
    row = Project(keystone.ids(), name, domain_id, domain_id, False, True, about, [], {}, {})
    stores.projects.insert(tx, row)
    return row.id


def _user(keystone: Keystone, tx: Tx, domain_id: str, hashed: str) -> str:
    now = keystone.clock.now()
    user = User(keystone.ids(), "admin", domain_id, True, "", hashed, None, {}, {}, now)
    stores.users.insert(tx, user)
    return user.id


def _grant(tx: Tx, a: Assignment) -> None:
    key = (a.actor_kind, a.actor_id, a.target_kind, a.target_id, a.role_id, a.inherited)
    if stores.assignments.get(tx, *key) is None:
        stores.assignments.insert(tx, a)


def _region(tx: Tx, region: str) -> None:
    if stores.regions.get(tx, region) is None:
        stores.regions.insert(tx, Region(region, "", "", {}))


def endpoint_url(tx: Tx, kind: str, region: str, interface: str) -> str:
    """Return the URL of a service by its type, or nothing."""
    s, e = tables.services.c, tables.endpoints.c
    for service in stores.services.all(tx, s.type == kind, s.enabled.is_(True)):
        for found in stores.endpoints.all(tx, e.service_id == service.id, e.region_id == region):
            if found.interface == interface and found.enabled:
                return found.url
    return ""


def put_service(keystone: Keystone, tx: Tx, region: str, entry: tuple[str, str, str, str]) -> None:
    """Make the catalogue hold a service (name, type, description, url) with three endpoints."""
    name, kind, about, url = entry
    _region(tx, region)
    s, e = tables.services.c, tables.endpoints.c
    service = stores.services.first(tx, s.type == kind, s.name == name)
    if service is None:
        service = Service(keystone.ids(), kind, name, True, about, {})
        stores.services.insert(tx, service)
    mine = {
        x.interface: x
        for x in stores.endpoints.all(tx, e.service_id == service.id, e.region_id == region)
    }
    for interface in INTERFACES:
        known = mine.get(interface)
        if known is None:
            row = ServiceEndpoint(keystone.ids(), service.id, region, interface, url, True, {})
            stores.endpoints.insert(tx, row)
        elif known.url != url:
            stores.endpoints.update(tx, replace(known, url=url))
