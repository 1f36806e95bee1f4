"""What a project has: counted, never stored."""

from collections.abc import Callable

from sqlalchemy import func, select

from aerostat.kit.db.engine import Tx
from aerostat.services.glance.db import tables as t
from aerostat.services.glance.model import image as states

C = t.images.c
MIB = 1 << 20
COMING = (states.SAVING, states.UPLOADING, states.IMPORTING)


def stored_mib(tx: Tx, owner: str) -> int:
    """Return the data in stores, each copy counted."""
    total = select(func.sum(C.size * C.copies)).where(C.owner == owner, C.copies > 0)
    return int(tx.scalar(total) or 0) // MIB


def staged_mib(tx: Tx, owner: str) -> int:
    """Return the data that waits for an import, or is in one."""
    waiting = C.status.in_((states.UPLOADING, states.IMPORTING))
    return int(tx.scalar(select(func.sum(C.size)).where(C.owner == owner, waiting)) or 0) // MIB


def count(tx: Tx, owner: str) -> int:
    """Return how many images there are."""
    return int(tx.scalar(select(func.count()).where(C.owner == owner)) or 0)


def coming(tx: Tx, owner: str) -> int:
    """Return how many images get data right now."""
    busy = C.status.in_(COMING)
    return int(tx.scalar(select(func.count()).where(C.owner == owner, busy)) or 0)


COUNT: dict[str, Callable[[Tx, str], int]] = {
    "image_size_total": stored_mib,
    "image_stage_total": staged_mib,
    "image_count_total": count,
    "image_count_uploading": coming,
}
"""Unified limit -> how much of it is used; sizes are in MiB."""


def counted(tx: Tx, owner: str, names: list[str]) -> dict[str, int]:
    """Return how much of each limit is used."""
    return {name: COUNT[name](tx, owner) for name in names}
