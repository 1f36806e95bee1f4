"""Rows of image members."""

from sqlalchemy import delete, func, insert, select, update

from aerostat.kit.db.engine import Tx
from aerostat.services.glance.db import tables as t
from aerostat.services.glance.model.image import Member

M = t.members.c
_SELECT = select(M.image_id, M.member, M.status, M.created_at, M.updated_at)


def find(tx: Tx, image_id: str, member: str) -> Member | None:
    """Return the member of the image, or None."""
    row = tx.first(_SELECT.where(M.image_id == image_id, M.member == member))
    return None if row is None else Member(*row)


def of_image(tx: Tx, image_id: str) -> list[Member]:
    """Return the members of the image, oldest first."""
    stmt = _SELECT.where(M.image_id == image_id).order_by(M.created_at, M.member)
    return [Member(*row) for row in tx.all(stmt)]


def count(tx: Tx, image_id: str) -> int:
    """Return how many members the image has."""
    return int(tx.scalar(select(func.count()).where(M.image_id == image_id)) or 0)


def add(tx: Tx, member: Member) -> None:
    """Insert a member."""
    names = Member.__struct_fields__
    tx.run(insert(t.members).values(**{name: getattr(member, name) for name in names}))


def set_status(tx: Tx, member: Member, status: str, now: float) -> None:
    """Write the status of a member."""
    stmt = update(t.members).where(M.image_id == member.image_id, M.member == member.member)
    tx.run(stmt.values(status=status, updated_at=now))


def remove(tx: Tx, member: Member) -> None:
    """Delete a member."""
    tx.run(delete(t.members).where(M.image_id == member.image_id, M.member == member.member))
