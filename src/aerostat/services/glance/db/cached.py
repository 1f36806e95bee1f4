"""Which copies of glance-api have which images in their caches, by their URLs."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from aerostat.kit.db.engine import Tx
from aerostat.services.glance.db import tables as t

C = t.cached_images.c
BATCH = 500


def tell(tx: Tx, node: str, image_ids: Sequence[str]) -> None:
    """Write down that a copy has these images, and no others."""
    before = {row[0] for row in tx.all(select(C.image_id).where(C.node == node))}
    gone, new = sorted(before - set(image_ids)), sorted(set(image_ids) - before)
    for start in range(0, len(gone), BATCH):
        some = C.image_id.in_(gone[start : start + BATCH])
        tx.run(delete(t.cached_images).where(C.node == node, some))
    if new:
        rows = [{"node": node, "image_id": image_id} for image_id in new]
        tx.run(insert(t.cached_images), rows)


def nodes(tx: Tx, image_id: str) -> list[str]:
    """Return the copies that have an image."""
    stmt = select(C.node).where(C.image_id == image_id).order_by(C.node)
    return [row[0] for row in tx.all(stmt)]
