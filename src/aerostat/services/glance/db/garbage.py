"""What lies in stores, or may lie there, and belongs to no image.

A row is there before data is written to a store, and goes in the transaction that makes the data
an image's: so nothing that a crash leaves behind is unknown. Deleting an image puts rows here.
"""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import delete, insert, select, update

from aerostat.kit.db.engine import Tx
from aerostat.services.glance.db import tables as t
from aerostat.services.glance.model.image import Location

G = t.garbage.c
_SELECT = select(G.id, G.image_id, G.store, G.url)
BATCH_MAX = 1000


class Garbage(Struct, frozen=True):
    """Data that is to be removed from a store."""

    id: str
    image_id: str
    store: str
    url: str


def add(tx: Tx, image_id: str, places: Sequence[tuple[str, Location]], due_at: float) -> None:
    """Insert rows; `places`: ids of the rows, and what they are about."""
    rows = [
        {"id": key, "image_id": image_id, "store": p.store, "url": p.url, "due_at": due_at}
        for key, p in places
    ]
    if rows:
        tx.run(insert(t.garbage), rows)


def due(tx: Tx, now: float) -> list[Garbage]:
    """Return what may be removed now, of images that are gone; the oldest first.

    What is of an image that is still there waits for the work on it to end, or its deletion.
    """
    there = select(t.images.c.id)
    stmt = _SELECT.where(G.due_at <= now, G.image_id.not_in(there))
    return [Garbage(*row) for row in tx.all(stmt.order_by(G.due_at, G.id).limit(BATCH_MAX))]


def of_image(tx: Tx, image_id: str, now: float) -> list[Garbage]:
    """Return what was of an image and may be removed now."""
    stmt = _SELECT.where(G.image_id == image_id, G.due_at <= now).order_by(G.id)
    return [Garbage(*row) for row in tx.all(stmt)]


def defer(tx: Tx, image_id: str, due_at: float) -> None:
    """Let all that was of an image be removed from `due_at` on, not before."""
    tx.run(update(t.garbage).where(G.image_id == image_id).values(due_at=due_at))


def remove(tx: Tx, ids: Sequence[str]) -> None:
    """Delete rows."""
    tx.run(delete(t.garbage).where(G.id.in_(ids)))


def keep(tx: Tx, image_id: str, urls: Sequence[str]) -> None:
    """Delete the rows of data that is an image's now."""
    if urls:
        tx.run(delete(t.garbage).where(G.image_id == image_id, G.url.in_(urls)))
