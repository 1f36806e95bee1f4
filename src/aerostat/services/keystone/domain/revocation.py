"""Making tokens void, durably and at once."""

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone import generation
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.model.revocations import Revocation
from aerostat.services.keystone.runtime import Keystone

C = tables.revocations.c


def record(keystone: Keystone, tx: Tx, kind: str, key: str) -> None:
    """Make the tokens with this property void, all that were issued until now."""
    now = keystone.clock.now()
    revocation = Revocation(kind, key, now, now, generation.read(tx))
    stores.revocations.delete(tx, C.kind == kind, C.key == key)
    stores.revocations.insert(tx, revocation)
    stores.revocations.delete(tx, C.revoked_at < _oldest(keystone))
    tx.after_commit(lambda: _remember(keystone, revocation))


def _remember(keystone: Keystone, revocation: Revocation) -> None:
    keystone.revocations.add(revocation)
    if len(keystone.revocations) > keystone.revocations.crowded_at:
        keystone.revocations.forget(_oldest(keystone))


def _oldest(keystone: Keystone) -> float:
    """Return before when a revocation no longer matters: its tokens expired long since."""
    cfg = keystone.config
    kept_s = cfg.expiration + cfg.allow_expired_window + cfg.revocation_buffer
    return keystone.clock.now() - kept_s


async def revoke_token(keystone: Keystone, kind: str, audit_id: str) -> None:
    """Make void one token (kind AUDIT), or all that come from the same proof (kind CHAIN)."""

    def write(tx: Tx) -> None:
        record(keystone, tx, kind, audit_id)

    await keystone.change(write)


async def refresh(keystone: Keystone) -> None:
    """Afterwards nothing is remembered that another process changed before this call."""
    if keystone.shared and await keystone.watch.current() != keystone.seen:
        await _catch_up(keystone)


async def load(keystone: Keystone) -> None:
    """Read what was revoked before this start; drop what no longer matters."""
    await keystone.db.write(stores.revocations.delete, C.revoked_at < _oldest(keystone))
    await _catch_up(keystone)


async def _catch_up(keystone: Keystone) -> None:
    number, newer = await keystone.db.read(_since, keystone.seen)
    for revocation in newer:
        _remember(keystone, revocation)
    keystone.changed()
    keystone.seen = max(keystone.seen, number)


def _since(tx: Tx, seen: int) -> tuple[int, list[Revocation]]:
    return generation.read(tx), stores.revocations.all(tx, C.generation >= seen)


async def events(keystone: Keystone, since: float) -> list[Revocation]:
    """Return what was revoked at `since` or later."""

    def read(tx: Tx) -> list[Revocation]:
        return stores.revocations.all(tx, C.revoked_at >= since)

    return await keystone.db.read(read)
