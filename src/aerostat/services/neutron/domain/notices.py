"""Tells the hosts concerned that what they shall have is another; they read it for themselves."""

from collections.abc import Iterable

from sqlalchemy import insert, select, update

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.runtime import Call


def revision(tx: Tx) -> int:
    """Return the revision of the world."""
    return tx.scalar(select(t.revision.c.value)) or 0


def changed(tx: Tx, call: Call, networks: Iterable[str] = (), hosts: Iterable[str] = ()) -> int:
    """Give the world a new revision if anybody is concerned, and tell them after the commit."""
    told = {h for h in hosts if h}
    if ids := list(networks):
        c = t.ports.c
        stmt = select(c.host).where(among(c.network_id, ids), c.host != "").distinct()
        told |= {row[0] for row in tx.all(stmt)}
    if not told:
        return revision(tx)
    if not tx.run(update(t.revision).values(value=t.revision.c.value + 1)):
        tx.run(insert(t.revision).values(id=1, value=1))
    number = revision(tx)
    tx.after_commit(lambda: call.neutron.notify(told, number))
    return number


def group_hosts(tx: Tx, groups: Iterable[str]) -> set[str]:
    """Return the hosts of ports that are in these groups or have rules about their members."""
    ids = list(groups)
    if not ids:
        return set()
    r, pg, p = t.rules.c, t.port_groups.c, t.ports.c
    about = select(r.security_group_id).where(among(r.remote_group_id, ids))
    stmt = (
        select(p.host)
        .join_from(t.port_groups, t.ports, pg.port_id == p.id)
        .where(among(pg.group_id, ids) | pg.group_id.in_(about), p.host != "")
        .distinct()
    )
    return {row[0] for row in tx.all(stmt)}
