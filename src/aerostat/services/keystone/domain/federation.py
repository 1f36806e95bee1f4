"""Identity providers, their protocols, mappings, and the clouds that trust us."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.domain import nouns, revocation, users
from aerostat.services.keystone.model.actors import NO_DOMAIN, Project
from aerostat.services.keystone.model.federation import (
    FederationProtocol,
    IdentityProvider,
    Mapping,
    RemoteId,
    ServiceProvider,
)
from aerostat.services.keystone.model.listing import Listing
from aerostat.services.keystone.model.revocations import USER
from aerostat.services.keystone.runtime import Keystone

IDP, R = tables.identity_providers.c, tables.remote_ids.c
P, M = tables.federation_protocols.c, tables.mappings.c
S, F = tables.service_providers.c, tables.federated_users.c
E = tables.expiring_memberships.c


class Provider(Struct, frozen=True):
    """An identity provider with what it calls itself."""

    row: IdentityProvider
    remote_ids: list[str]

    @property
    def id(self) -> str:
        """The provider's id, by which pages go on."""
        return self.row.id


def _duplicate(kind: str, what: str) -> Conflict:
    return Conflict(f"Conflict occurred attempting to store {kind} - Duplicate {what}.")


async def create_provider(
    keystone: Keystone, row: IdentityProvider, remote_ids: list[str]
) -> Provider:
    """Store an identity provider, with a domain of its own if it names none.

    Raises: Conflict (the id, a remote id), NotFound (its domain).
    """

    def write(tx: Tx) -> Provider:
        if stores.identity_providers.get(tx, row.id) is not None:
            raise _duplicate("identity_provider", f"entry: {row.id}")
        made = row if row.domain_id else replace(row, domain_id=_own_domain(keystone, tx, row.id))
        if not nouns.domains.must(tx, made.domain_id).is_domain:
            raise nouns.domains.missing(made.domain_id)
        stores.identity_providers.insert(tx, made)
        return Provider(made, _name(tx, row.id, remote_ids))

    return await keystone.change(write)


def _own_domain(keystone: Keystone, tx: Tx, idp_id: str) -> str:
    domain_id = keystone.ids()
    about = f"Auto generated federated domain for Identity Provider: {idp_id}"
    rest: tuple[Any, ...] = (NO_DOMAIN, "", True, True, about, [], {}, {})
    stores.projects.insert(tx, Project(domain_id, domain_id, *rest))
    return domain_id


def _name(tx: Tx, idp_id: str, remote_ids: list[str]) -> list[str]:
    stores.remote_ids.delete(tx, R.idp_id == idp_id)
    for remote_id in remote_ids:
        if stores.remote_ids.get(tx, remote_id) is not None:
            raise _duplicate("identity_provider", f"remote ID: {remote_id}")
        stores.remote_ids.insert(tx, RemoteId(remote_id, idp_id))
    return sorted(remote_ids)


def provider_of(tx: Tx, idp_id: str) -> Provider:
    """Return an identity provider. Raises: NotFound."""
    row = nouns.identity_providers.must(tx, idp_id)
    return Provider(row, [r.remote_id for r in stores.remote_ids.all(tx, R.idp_id == idp_id)])


async def provider(keystone: Keystone, idp_id: str) -> Provider:
    """Return an identity provider. Raises: NotFound."""
    return await keystone.db.read(provider_of, idp_id)


async def providers(keystone: Keystone, wanted: Listing) -> list[Provider]:
    """Return the identity providers that `wanted` asks for, and one more if there is more."""

    def read(tx: Tx) -> list[Provider]:
        known: dict[str, list[str]] = {}
        for r in stores.remote_ids.all(tx):
            known.setdefault(r.idp_id, []).append(r.remote_id)
        rows = stores.identity_providers.page(tx, wanted)
        return [Provider(row, known.get(row.id, [])) for row in rows]

    return await keystone.db.read(read)


async def update_provider(
    keystone: Keystone, idp_id: str, changes: dict[str, Any], remote_ids: list[str] | None
) -> Provider:
    """Change an identity provider; its tokens end with `enabled`. Raises: NotFound, Conflict."""

    def write(tx: Tx) -> Provider:
        before = provider_of(tx, idp_id)
        row = replace(before.row, **changes)
        stores.identity_providers.update(tx, row)
        names = before.remote_ids if remote_ids is None else _name(tx, idp_id, remote_ids)
        return Provider(row, names)

    return await keystone.change(write)


async def delete_provider(keystone: Keystone, idp_id: str) -> None:
    """Delete an identity provider, its protocols, and the users it alone vouched for.

    Raises: NotFound.
    """

    def write(tx: Tx) -> None:
        nouns.identity_providers.must(tx, idp_id)
        forget_provider(keystone, tx, idp_id)

    await keystone.change(write)


def forget_provider(keystone: Keystone, tx: Tx, idp_id: str) -> None:
    """Delete an identity provider with everything that hangs on it."""
    stores.federation_protocols.delete(tx, P.idp_id == idp_id)
    stores.remote_ids.delete(tx, R.idp_id == idp_id)
    stores.expiring_memberships.delete(tx, E.idp_id == idp_id)
    stores.identity_providers.delete(tx, IDP.id == idp_id)
    _unlink(keystone, tx, F.idp_id == idp_id)


def _unlink(keystone: Keystone, tx: Tx, *where: Any) -> None:
    """Take links to users away, and the users whom nothing else lets in."""
    gone = {link.user_id for link in stores.federated_users.all(tx, *where)}
    stores.federated_users.delete(tx, *where)
    for user_id in sorted(gone):
        linked = stores.federated_users.first(tx, F.user_id == user_id)
        user = stores.users.get(tx, user_id)
        if linked is None and user is not None and not user.password_hash:
            users.purge(keystone, tx, user_id)
        else:
            revocation.record(keystone, tx, USER, user_id)


def _no_protocol(idp_id: str, protocol_id: str) -> NotFound:
    return NotFound(
        f"Could not find federated protocol {protocol_id} for Identity Provider: {idp_id}."
    )


def protocol_of(tx: Tx, idp_id: str, protocol_id: str) -> FederationProtocol:
    """Return a protocol of an identity provider. Raises: NotFound."""
    found = stores.federation_protocols.get(tx, idp_id, protocol_id)
    if found is None:
        raise _no_protocol(idp_id, protocol_id)
    return found


async def protocol(keystone: Keystone, idp_id: str, protocol_id: str) -> FederationProtocol:
    """Return a protocol of an identity provider. Raises: NotFound."""
    return await keystone.db.read(protocol_of, idp_id, protocol_id)


async def protocols(keystone: Keystone, idp_id: str) -> list[FederationProtocol]:
    """Return the protocols of an identity provider."""
    return await keystone.db.read(stores.federation_protocols.all, P.idp_id == idp_id)


async def create_protocol(keystone: Keystone, row: FederationProtocol) -> FederationProtocol:
    """Store a protocol. Raises: NotFound (its provider), BadRequest (mapping), Conflict."""

    def write(tx: Tx) -> FederationProtocol:
        nouns.identity_providers.must(tx, row.idp_id)
        if stores.federation_protocols.get(tx, row.idp_id, row.id) is not None:
            raise _duplicate("federation_protocol", f"entry found with ID {row.id}")
        _mapped(tx, row)
        stores.federation_protocols.insert(tx, row)
        return row

    return await keystone.change(write)


def _mapped(tx: Tx, row: FederationProtocol) -> None:
    if stores.mappings.get(tx, row.mapping_id) is None:
        raise BadRequest(f"Invalid mapping id: {row.mapping_id}", field="protocol.mapping_id")


async def update_protocol(
    keystone: Keystone, idp_id: str, protocol_id: str, changes: dict[str, Any]
) -> FederationProtocol:
    """Change a protocol. Raises: NotFound, BadRequest (the mapping)."""

    def write(tx: Tx) -> FederationProtocol:
        row = replace(protocol_of(tx, idp_id, protocol_id), **changes)
        _mapped(tx, row)
        stores.federation_protocols.update(tx, row)
        return row

    return await keystone.change(write)


async def delete_protocol(keystone: Keystone, idp_id: str, protocol_id: str) -> None:
    """Delete a protocol, and the users it alone let in. Raises: NotFound."""

    def write(tx: Tx) -> None:
        protocol_of(tx, idp_id, protocol_id)
        stores.federation_protocols.delete(tx, P.idp_id == idp_id, P.id == protocol_id)
        _unlink(keystone, tx, F.idp_id == idp_id, F.protocol_id == protocol_id)

    await keystone.change(write)


async def create_mapping(keystone: Keystone, row: Mapping) -> Mapping:
    """Store a mapping. Raises: Conflict."""

    def write(tx: Tx) -> Mapping:
        if stores.mappings.get(tx, row.id) is not None:
            raise _duplicate("mapping", f"entry found with ID {row.id}")
        stores.mappings.insert(tx, row)
        return row

    return await keystone.change(write)


async def update_mapping(keystone: Keystone, row: Mapping) -> Mapping:
    """Replace the rules of a mapping. Raises: NotFound."""

    def write(tx: Tx) -> Mapping:
        nouns.mappings.must(tx, row.id)
        stores.mappings.update(tx, row)
        return row

    return await keystone.change(write)


async def create_service_provider(keystone: Keystone, row: ServiceProvider) -> ServiceProvider:
    """Store a service provider; tokens show it if it is enabled. Raises: Conflict."""

    def write(tx: Tx) -> ServiceProvider:
        if stores.service_providers.get(tx, row.id) is not None:
            raise _duplicate("service_provider", f"entry found with ID {row.id}")
        stores.service_providers.insert(tx, row)
        return row

    return await keystone.change(write)


def enabled_service_providers(tx: Tx) -> list[ServiceProvider]:
    """Return the service providers that tokens show."""
    return stores.service_providers.all(tx, S.enabled.is_(True))
