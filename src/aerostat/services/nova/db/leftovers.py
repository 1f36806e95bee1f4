"""Rows of what hosts may have left of servers: an undo there was given up, they did not answer."""

from sqlalchemy import delete, insert, select

from aerostat.kit.db.engine import Tx
from aerostat.services.nova.db import tables as t

C = t.leftovers.c


def leave(tx: Tx, host: str, server_id: str, now: float) -> None:
    """Write down that a host may have, or may yet make, something of a server."""
    if host not in of_server(tx, server_id):
        values = {"host": host, "server_uuid": server_id, "created_at": now}
        tx.run(insert(t.leftovers).values(**values))


def on_host(tx: Tx, host: str) -> list[str]:
    """Return the servers of which a host may have something, oldest first."""
    stmt = select(C.server_uuid).where(C.host == host).order_by(C.created_at, C.server_uuid)
    return [row[0] for row in tx.all(stmt)]


def of_server(tx: Tx, server_id: str) -> list[str]:
    """Return the hosts that may have something of a server, in order of their names."""
    stmt = select(C.host).where(C.server_uuid == server_id).order_by(C.host)
    return [row[0] for row in tx.all(stmt)]


def settle(tx: Tx, host: str, server_id: str) -> None:
    """The host has been cleaned."""
    tx.run(delete(t.leftovers).where(C.host == host, C.server_uuid == server_id))


def forget_host(tx: Tx, host: str) -> None:
    """The host is no more."""
    tx.run(delete(t.leftovers).where(C.host == host))
