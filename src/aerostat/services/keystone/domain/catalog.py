"""Regions, services and endpoints: where the cloud's APIs are found."""

from typing import Any

from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.keystone.db import catalog as rows
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.domain import endpoint_policy, nouns
from aerostat.services.keystone.model.catalog import (
    Catalog,
    EndpointGroup,
    ProjectEndpoint,
    ProjectEndpointGroup,
    Region,
    Service,
    ServiceEndpoint,
)
from aerostat.services.keystone.runtime import Keystone

E = tables.endpoints.c
PE = tables.project_endpoints.c
PG = tables.project_endpoint_groups.c


async def catalog(keystone: Keystone, project_id: str) -> Catalog:
    """Return the catalogue as a project sees it."""
    return await keystone.remember(rows.catalog, project_id)


async def create_region(keystone: Keystone, region: Region) -> Region:
    """Store a region. Raises: Conflict, NotFound (its parent)."""

    def write(tx: Tx) -> Region:
        if stores.regions.get(tx, region.id) is not None:
            raise Conflict(
                f"Conflict occurred attempting to store region - Duplicate ID, {region.id}."
            )
        _parent(tx, region)
        stores.regions.insert(tx, region)
        return region

    return await keystone.change(write)


def _parent(tx: Tx, region: Region) -> None:
    seen, parent_id = {region.id}, region.parent_region_id
    while parent_id:
        if parent_id in seen:
            raise BadRequest("Circular region reference.", field="parent_region_id")
        seen.add(parent_id)
        parent_id = nouns.regions.must(tx, parent_id).parent_region_id


async def update_region(keystone: Keystone, region_id: str, changes: dict[str, Any]) -> Region:
    """Change a region. Raises: NotFound, BadRequest (a circle)."""

    def write(tx: Tx) -> Region:
        region = nouns.changed(nouns.regions.must(tx, region_id), changes)
        _parent(tx, region)
        stores.regions.update(tx, region)
        return region

    return await keystone.change(write)


async def delete_region(keystone: Keystone, region_id: str) -> None:
    """Delete a region and those below. Raises: NotFound, Conflict (endpoints are in it)."""

    def write(tx: Tx) -> None:
        nouns.regions.must(tx, region_id)
        layer = [region_id]
        while layer:
            if tx.first(select(E.id).where(E.region_id.in_(layer))):
                raise Conflict(
                    f"Unable to delete region {region_id} because it or its child regions have "
                    "associated endpoints."
                )
            below = stores.regions.all(tx, tables.regions.c.parent_region_id.in_(layer))
            stores.regions.delete(tx, tables.regions.c.id.in_(layer))
            for gone in layer:
                endpoint_policy.forget(tx, gone)
            layer = [region.id for region in below]

    await keystone.change(write)


async def create_service(keystone: Keystone, service: Service) -> Service:
    """Store a service."""
    await keystone.change(stores.services.insert, service)
    return service


async def update_service(keystone: Keystone, service_id: str, changes: dict[str, Any]) -> Service:
    """Change a service. Raises: NotFound."""

    def write(tx: Tx) -> Service:
        service = nouns.changed(nouns.services.must(tx, service_id), changes)
        stores.services.update(tx, service)
        return service

    return await keystone.change(write)


async def delete_service(keystone: Keystone, service_id: str) -> None:
    """Delete a service and its endpoints. Raises: NotFound."""

    def write(tx: Tx) -> None:
        nouns.services.must(tx, service_id)
        for endpoint in stores.endpoints.all(tx, E.service_id == service_id):
            _purge_endpoint(tx, endpoint.id)
        endpoint_policy.forget(tx, service_id)
        stores.services.delete(tx, tables.services.c.id == service_id)

    await keystone.change(write)


async def create_endpoint(keystone: Keystone, endpoint: ServiceEndpoint) -> ServiceEndpoint:
    """Store an endpoint. Raises: BadRequest (no such service or region)."""

    def write(tx: Tx) -> ServiceEndpoint:
        _endpoint_parts(tx, endpoint)
        stores.endpoints.insert(tx, endpoint)
        return endpoint

    return await keystone.change(write)


def _endpoint_parts(tx: Tx, endpoint: ServiceEndpoint) -> None:
    try:
        nouns.services.must(tx, endpoint.service_id)
        if endpoint.region_id:
            nouns.regions.must(tx, endpoint.region_id)
    except NotFound as why:
        raise BadRequest(why.message) from why


async def update_endpoint(
    keystone: Keystone, endpoint_id: str, changes: dict[str, Any]
) -> ServiceEndpoint:
    """Change an endpoint. Raises: NotFound, BadRequest."""

    def write(tx: Tx) -> ServiceEndpoint:
        endpoint = nouns.changed(nouns.endpoints.must(tx, endpoint_id), changes)
        _endpoint_parts(tx, endpoint)
        stores.endpoints.update(tx, endpoint)
        return endpoint

    return await keystone.change(write)


async def delete_endpoint(keystone: Keystone, endpoint_id: str) -> None:
    """Delete an endpoint. Raises: NotFound."""

    def write(tx: Tx) -> None:
        nouns.endpoints.must(tx, endpoint_id)
        _purge_endpoint(tx, endpoint_id)

    await keystone.change(write)


def _purge_endpoint(tx: Tx, endpoint_id: str) -> None:
    stores.project_endpoints.delete(tx, PE.endpoint_id == endpoint_id)
    stores.endpoints.delete(tx, E.id == endpoint_id)
    endpoint_policy.forget(tx, endpoint_id)


async def delete_policy(keystone: Keystone, policy_id: str) -> None:
    """Delete a policy document and what it is associated with. Raises: NotFound."""

    def write(tx: Tx) -> None:
        nouns.policies.must(tx, policy_id)
        stores.policies.delete(tx, tables.policies.c.id == policy_id)
        endpoint_policy.forget(tx, policy_id)

    await keystone.db.write(write)


async def associate(keystone: Keystone, link: ProjectEndpoint | ProjectEndpointGroup) -> None:
    """Show an endpoint or an endpoint group to a project. Raises: NotFound."""

    def write(tx: Tx) -> None:
        nouns.projects.must(tx, link.project_id)
        if isinstance(link, ProjectEndpoint):
            nouns.endpoints.must(tx, link.endpoint_id)
            if stores.project_endpoints.get(tx, link.project_id, link.endpoint_id) is None:
                stores.project_endpoints.insert(tx, link)
            return
        nouns.endpoint_groups.must(tx, link.endpoint_group_id)
        store = stores.project_endpoint_groups
        if store.get(tx, link.project_id, link.endpoint_group_id) is None:
            store.insert(tx, link)

    await keystone.change(write)


async def dissociate(keystone: Keystone, link: ProjectEndpoint | ProjectEndpointGroup) -> None:
    """Undo `associate`. Raises: NotFound."""

    def write(tx: Tx) -> None:
        if isinstance(link, ProjectEndpoint):
            gone = stores.project_endpoints.delete(
                tx, PE.project_id == link.project_id, PE.endpoint_id == link.endpoint_id
            )
        else:
            gone = stores.project_endpoint_groups.delete(
                tx,
                PG.project_id == link.project_id,
                PG.endpoint_group_id == link.endpoint_group_id,
            )
        if not gone:
            raise NotFound("Could not find the association of the endpoint with the project.")

    await keystone.change(write)


async def is_associated(keystone: Keystone, link: ProjectEndpoint | ProjectEndpointGroup) -> None:
    """Raises: NotFound, unless `link` is there."""

    def read(tx: Tx) -> bool:
        if isinstance(link, ProjectEndpoint):
            return bool(stores.project_endpoints.get(tx, link.project_id, link.endpoint_id))
        store = stores.project_endpoint_groups
        return bool(store.get(tx, link.project_id, link.endpoint_group_id))

    if not await keystone.db.read(read):
        raise NotFound("Could not find the association of the endpoint with the project.")


async def endpoints_of(keystone: Keystone, project_id: str) -> list[ServiceEndpoint]:
    """Return the endpoints shown to a project by association. Raises: NotFound."""

    def read(tx: Tx) -> list[ServiceEndpoint]:
        nouns.projects.must(tx, project_id)
        ids = {r[0] for r in tx.all(select(PE.endpoint_id).where(PE.project_id == project_id))}
        groups = rows.groups_of(tx, project_id)
        return [
            e
            for e in stores.endpoints.all(tx)
            if e.id in ids or any(rows.matches(g, e) for g in groups)
        ]

    return await keystone.db.read(read)


async def projects_of_endpoint(keystone: Keystone, endpoint_id: str) -> list[str]:
    """Return the ids of the projects an endpoint is shown to. Raises: NotFound."""

    def read(tx: Tx) -> list[str]:
        nouns.endpoints.must(tx, endpoint_id)
        return [r[0] for r in tx.all(select(PE.project_id).where(PE.endpoint_id == endpoint_id))]

    return await keystone.db.read(read)


async def groups_of(keystone: Keystone, project_id: str) -> list[EndpointGroup]:
    """Return the endpoint groups of a project."""
    return await keystone.db.read(rows.groups_of, project_id)


async def in_group(keystone: Keystone, group_id: str) -> list[ServiceEndpoint]:
    """Return the endpoints that match a group. Raises: NotFound."""
    group = await nouns.find(keystone, nouns.endpoint_groups, group_id)
    endpoints = await keystone.db.read(stores.endpoints.all)
    return [e for e in endpoints if rows.matches(group, e)]


async def projects_of_group(keystone: Keystone, group_id: str) -> list[str]:
    """Return the ids of the projects of an endpoint group."""

    def read(tx: Tx) -> list[str]:
        where = PG.endpoint_group_id == group_id
        return [r[0] for r in tx.all(select(PG.project_id).where(where))]

    return await keystone.db.read(read)
