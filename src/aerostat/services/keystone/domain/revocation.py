"""Making tokens void, durably and at once."""

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.model.revocations import AUDIT, Revocation
from aerostat.services.keystone.runtime import Keystone

C = tables.revocations.c


def record(keystone: Keystone, tx: Tx, kind: str, key: str) -> None:
    """Make the tokens with this property void, all that were issued until now."""
    now = keystone.clock.now()
    revocation = Revocation(kind, key, now, now)
    stores.revocations.delete(tx, C.kind == kind, C.key == key)
    stores.revocations.insert(tx, revocation)
    tx.after_commit(lambda: keystone.revocations.add(revocation))


async def revoke_token(keystone: Keystone, audit_id: str) -> None:
    """Make one token void; those made from it live on."""

    def write(tx: Tx) -> None:
        record(keystone, tx, AUDIT, audit_id)

    await keystone.change(write)


async def load(keystone: Keystone) -> None:
    """Read what was revoked before this start; drop what no longer matters."""
    await prune(keystone)
    for revocation in await keystone.db.read(stores.revocations.all):
        keystone.revocations.add(revocation)


async def prune(keystone: Keystone) -> None:
    """Drop the revocations of tokens that have expired long since; run it now and then."""
    cfg = keystone.config
    kept_s = cfg.expiration + cfg.allow_expired_window + cfg.revocation_buffer
    oldest = keystone.clock.now() - kept_s
    await keystone.db.write(stores.revocations.delete, C.revoked_at < oldest)
    keystone.revocations.forget(oldest)


async def events(keystone: Keystone, since: float) -> list[Revocation]:
    """Return what was revoked at `since` or later."""

    def read(tx: Tx) -> list[Revocation]:
        return stores.revocations.all(tx, C.revoked_at >= since)

    return await keystone.db.read(read)
