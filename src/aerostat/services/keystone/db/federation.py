"""Groups that identity providers say users are in, for as long as that counts."""

from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db.tables import expiring_memberships as E
from aerostat.services.keystone.db.tables import identity_providers as P

MINUTE_S = 60.0


def expiring_groups(tx: Tx, user_id: str, default_ttl: int) -> tuple[tuple[str, float], ...]:
    """Return the groups of a user with the time when each ends; `default_ttl` in minutes."""
    stmt = (
        select(E.c.group_id, E.c.last_verified, P.c.authorization_ttl)
        .join(P, P.c.id == E.c.idp_id)
        .where(E.c.user_id == user_id)
        .order_by(E.c.group_id)
    )
    return tuple((row[0], row[1] + (row[2] or default_ttl) * MINUTE_S) for row in tx.all(stmt))


def live_groups(tx: Tx, user_id: str, default_ttl: int, now: float) -> tuple[str, ...]:
    """Return the groups that identity providers say a user is in, those that have not ended."""
    return tuple(g for g, until in expiring_groups(tx, user_id, default_ttl) if until > now)


def live_members(tx: Tx, default_ttl: int, now: float) -> dict[str, list[str]]:
    """Return the users that identity providers put into groups, by group."""
    stmt = (
        select(E.c.group_id, E.c.user_id, E.c.last_verified, P.c.authorization_ttl)
        .join(P, P.c.id == E.c.idp_id)
        .order_by(E.c.group_id, E.c.user_id)
    )
    found: dict[str, list[str]] = {}
    for group_id, user_id, last_verified, ttl in tx.all(stmt):
        if last_verified + (ttl or default_ttl) * MINUTE_S > now:
            found.setdefault(group_id, []).append(user_id)
    return found
