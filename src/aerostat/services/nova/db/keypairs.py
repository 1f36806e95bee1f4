"""Rows of keypairs: by user, private keys never stored."""

from msgspec import Struct
from sqlalchemy import delete, func, insert, select

from aerostat.kit.db.engine import Tx
from aerostat.kit.db.pages import page
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.nova.db import tables as t

C = t.keypairs.c


class Keypair(Struct, frozen=True):
    """A public key under a name; `type` is ssh or x509."""

    id: int
    user_id: str
    name: str
    type: str
    fingerprint: str
    public_key: str
    created_at: float


def get(tx: Tx, user_id: str, name: str) -> Keypair:
    """Raises: NotFound."""
    row = tx.first(select(t.keypairs).where(C.user_id == user_id, C.name == name))
    if row is None:
        raise NotFound(f"Keypair {name} not found for user {user_id}")
    return Keypair(*row)


def find(tx: Tx, user_id: str, marker: str | None, limit: int | None) -> list[Keypair]:
    """Return a page by name. Raises: BadRequest (marker)."""
    values = None
    if marker is not None:
        try:
            values = [get(tx, user_id, marker).name]
        except NotFound as why:
            raise BadRequest(f"marker [{marker}] not found", field="marker") from why
    stmt = select(t.keypairs).where(C.user_id == user_id)
    return [Keypair(*row) for row in page(tx, stmt, [(C.name, "asc")], values, limit)]


def count(tx: Tx, user_id: str) -> int:
    """Return how many keypairs a user has."""
    return int(tx.scalar(select(func.count(C.id)).where(C.user_id == user_id)))


def add(tx: Tx, keypair: Keypair) -> Keypair:
    """Raises: Conflict (name taken)."""
    where = (C.user_id == keypair.user_id, C.name == keypair.name)
    if tx.first(select(C.id).where(*where)) is not None:
        raise Conflict(f"Key pair '{keypair.name}' already exists.")
    values = {n: getattr(keypair, n) for n in Keypair.__struct_fields__ if n != "id"}
    tx.run(insert(t.keypairs).values(**values))
    return get(tx, keypair.user_id, keypair.name)


def remove(tx: Tx, user_id: str, name: str) -> None:
    """Raises: NotFound."""
    if tx.run(delete(t.keypairs).where(C.user_id == user_id, C.name == name)) != 1:
        raise NotFound(f"Keypair {name} not found for user {user_id}")
