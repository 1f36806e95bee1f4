"""Which policy document an endpoint should use. Source: api-ref, OS-ENDPOINT-POLICY."""

from sqlalchemy import ColumnElement, or_

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.domain import nouns
from aerostat.services.keystone.model.catalog import (
    PolicyAssociation,
    PolicyBlob,
    ServiceEndpoint,
)
from aerostat.services.keystone.runtime import Keystone

A = tables.policy_associations.c


async def associate(keystone: Keystone, link: PolicyAssociation) -> None:
    """Make a policy the one of an endpoint, a service, or a service in a region.

    Raises: NotFound (any part of `link`).
    """

    def write(tx: Tx) -> None:
        _parts(tx, link)
        stores.policy_associations.delete(tx, *_target(link))
        stores.policy_associations.insert(tx, link)

    await keystone.db.write(write)


async def check(keystone: Keystone, link: PolicyAssociation) -> None:
    """Raises: NotFound, unless `link` is there."""

    def read(tx: Tx) -> bool:
        _parts(tx, link)
        mine = (*_target(link), A.policy_id == link.policy_id)
        return stores.policy_associations.first(tx, *mine) is not None

    if not await keystone.db.read(read):
        raise _missing()


async def dissociate(keystone: Keystone, link: PolicyAssociation) -> None:
    """Undo `associate`. Raises: NotFound (a part of `link`, or `link` itself)."""

    def write(tx: Tx) -> None:
        _parts(tx, link)
        mine = (*_target(link), A.policy_id == link.policy_id)
        if not stores.policy_associations.delete(tx, *mine):
            raise _missing()

    await keystone.db.write(write)


def _parts(tx: Tx, link: PolicyAssociation) -> None:
    nouns.policies.must(tx, link.policy_id)
    if link.endpoint_id:
        nouns.endpoints.must(tx, link.endpoint_id)
    if link.service_id:
        nouns.services.must(tx, link.service_id)
    if link.region_id:
        nouns.regions.must(tx, link.region_id)


def _target(link: PolicyAssociation) -> tuple[ColumnElement[bool], ...]:
    return (
        A.endpoint_id == link.endpoint_id,
        A.service_id == link.service_id,
        A.region_id == link.region_id,
    )


def _missing() -> NotFound:
    return NotFound("Could not find policy association.")


async def policy_of(keystone: Keystone, endpoint_id: str) -> PolicyBlob:
    """Return the policy of an endpoint: its own, its service's in its region or a region above
    it, or its service's. Raises: NotFound."""

    def read(tx: Tx) -> PolicyBlob | None:
        endpoint = nouns.endpoints.must(tx, endpoint_id)
        places = [(endpoint_id, "", "")]
        places += [("", endpoint.service_id, r) for r in _regions_above(tx, endpoint.region_id)]
        for place in (*places, ("", endpoint.service_id, "")):
            found = stores.policy_associations.get(tx, *place)
            if found is not None:
                return stores.policies.get(tx, found.policy_id)
        return None

    policy = await keystone.db.read(read)
    if policy is None:
        raise NotFound(f"No policy is associated with endpoint {endpoint_id}.")
    return policy


def _regions_above(tx: Tx, region_id: str) -> list[str]:
    found: list[str] = []
    while region_id and region_id not in found:
        found.append(region_id)
        region = stores.regions.get(tx, region_id)
        region_id = region.parent_region_id if region else ""
    return found


async def endpoints_of(keystone: Keystone, policy_id: str) -> list[ServiceEndpoint]:
    """Return the endpoints that a policy is for, by any of its associations. Raises: NotFound."""

    def read(tx: Tx) -> list[ServiceEndpoint]:
        nouns.policies.must(tx, policy_id)
        links = stores.policy_associations.all(tx, A.policy_id == policy_id)
        return [e for e in stores.endpoints.all(tx) if any(_covers(tx, link, e) for link in links)]

    return await keystone.db.read(read)


def _covers(tx: Tx, link: PolicyAssociation, endpoint: ServiceEndpoint) -> bool:
    if link.endpoint_id:
        return link.endpoint_id == endpoint.id
    if link.service_id != endpoint.service_id:
        return False
    return not link.region_id or link.region_id in _regions_above(tx, endpoint.region_id)


def forget(tx: Tx, item_id: str) -> None:
    """Delete every association of a policy, endpoint, service or region that is being deleted."""
    any_part = or_(*(c == item_id for c in (A.policy_id, A.endpoint_id, A.service_id, A.region_id)))
    stores.policy_associations.delete(tx, any_part)
