"""What identity providers call our users."""

from typing import Any

from sqlalchemy import Select, select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.model.federation import FederatedUser
from aerostat.services.keystone.runtime import Keystone

C = tables.federated_users.c

Links = list[tuple[str, str, str]]
"""Identity providers, protocols and what they call a user."""


def link(tx: Tx, user_id: str, links: Links) -> None:
    """Make exactly these what identity providers call a user.

    Raises: BadRequest (a provider or protocol that is not there), Conflict (another user's).
    """
    stores.federated_users.delete(tx, C.user_id == user_id)
    for idp_id, protocol_id, unique_id in links:
        if stores.federation_protocols.get(tx, idp_id, protocol_id) is None:
            raise BadRequest(
                f"Could not find federated protocol {protocol_id} for Identity Provider: {idp_id}.",
                field="user.federated",
            )
        if stores.federated_users.get(tx, idp_id, protocol_id, unique_id) is not None:
            raise Conflict(
                "Conflict occurred attempting to store federated_user - Duplicate entry: "
                f"{unique_id}."
            )
        row = FederatedUser(idp_id, protocol_id, unique_id, user_id, "")
        stores.federated_users.insert(tx, row)


async def links(keystone: Keystone, user_id: str) -> list[FederatedUser]:
    """Return what identity providers call a user."""
    return await keystone.db.read(stores.federated_users.all, C.user_id == user_id)


def called(idp_id: str, protocol_id: str, unique_id: str) -> Select[Any]:
    """Return the query for the ids of users that are called so; "" for any."""
    given = ((C.idp_id, idp_id), (C.protocol_id, protocol_id), (C.unique_id, unique_id))
    return select(C.user_id).where(*(column == value for column, value in given if value))
