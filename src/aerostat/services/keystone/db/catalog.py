"""The catalogue: the enabled services with their enabled endpoints, for everybody or a project."""

from typing import Any

from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.model.catalog import Catalog, EndpointGroup, ServiceEndpoint


def catalog(tx: Tx, project_id: str) -> Catalog:
    """Return the catalogue of a project; all of it where no filter names the project."""
    endpoints = stores.endpoints.all(tx, tables.endpoints.c.enabled.is_(True))
    if project_id:
        endpoints = _filtered(tx, project_id, endpoints)
    of_service: dict[str, list[ServiceEndpoint]] = {}
    for endpoint in endpoints:
        of_service.setdefault(endpoint.service_id, []).append(endpoint)
    services = stores.services.all(tx, tables.services.c.enabled.is_(True))
    return Catalog([(s, of_service.get(s.id, [])) for s in services])


def groups_of(tx: Tx, project_id: str) -> list[EndpointGroup]:
    """Return the endpoint groups that a project is associated with."""
    c = tables.project_endpoint_groups.c
    rows = tx.all(select(c.endpoint_group_id).where(c.project_id == project_id))
    return stores.endpoint_groups.among(tx, [row[0] for row in rows])


def matches(group: EndpointGroup, endpoint: ServiceEndpoint) -> bool:
    """Tell whether `endpoint` is in `group`."""
    return all(_same(getattr(endpoint, k, None), v) for k, v in group.filters.items())


def _same(have: Any, want: Any) -> bool:
    return bool(have == want)


def _filtered(tx: Tx, project_id: str, endpoints: list[ServiceEndpoint]) -> list[ServiceEndpoint]:
    c = tables.project_endpoints.c
    named = {r[0] for r in tx.all(select(c.endpoint_id).where(c.project_id == project_id))}
    groups = groups_of(tx, project_id)
    chosen = [e for e in endpoints if e.id in named or any(matches(g, e) for g in groups)]
    return chosen if named or groups else endpoints
