"""Who an image is shared with."""

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, Forbidden, NotFound, TooLarge
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.db import members
from aerostat.services.glance.model.image import MEMBER_STATUSES, Image, Member
from aerostat.services.glance.runtime import Glance


def check_shared(image: Image) -> None:
    """Raises: Forbidden (only images that are `shared` have members)."""
    if image.visibility != "shared":
        raise Forbidden("Only shared images have members.")


async def listed(glance: Glance, image: Image, only: str) -> list[Member]:
    """Return the members of the image; only `only` if that is not empty."""
    found = await glance.db.read(members.of_image, image.id)
    return [m for m in found if not only or m.member == only]


async def get(glance: Glance, image_id: str, member: str) -> Member:
    """Raises: NotFound."""
    return await glance.db.read(find, image_id, member)


def find(tx: Tx, image_id: str, member: str) -> Member:
    """Raises: NotFound."""
    found = members.find(tx, image_id, member)
    if found is None:
        raise NotFound(f"{member} not found in the member list of the image {image_id}.")
    return found


async def add(glance: Glance, image_id: str, project_id: str) -> Member:
    """Share the image. Raises: NotFound, Forbidden, Conflict (it is shared), TooLarge (quota)."""
    now = glance.clock.now()
    member = Member(image_id, project_id, "pending", now, now)
    return await glance.db.write(insert, member, glance.config.image_member_quota)


def insert(tx: Tx, member: Member, quota: int) -> Member:
    """Raises: NotFound, Forbidden, Conflict, TooLarge."""
    image_id = member.image_id
    check_shared(rows.get(tx, image_id))
    if members.find(tx, image_id, member.member) is not None:
        raise Conflict(f"The target member {member.member} is already associated with image.")
    if 0 <= quota <= members.count(tx, image_id):
        raise TooLarge(f"The limit of {quota} image members has been exceeded.")
    members.add(tx, member)
    return member


async def set_status(glance: Glance, image_id: str, project_id: str, status: str) -> Member:
    """Accept, reject or put off. Raises: NotFound, BadRequest (no such status)."""
    if status not in MEMBER_STATUSES:
        raise BadRequest(f"Status must be one of {', '.join(MEMBER_STATUSES)}", field="status")

    now = glance.clock.now()
    return await glance.db.write(write_status, image_id, project_id, status, now)


def write_status(tx: Tx, image_id: str, member: str, status: str, now: float) -> Member:
    """Raises: NotFound."""
    members.set_status(tx, find(tx, image_id, member), status, now)
    return find(tx, image_id, member)


async def remove(glance: Glance, image_id: str, project_id: str) -> None:
    """Share it no longer. Raises: NotFound."""
    await glance.db.write(drop, image_id, project_id)


def drop(tx: Tx, image_id: str, member: str) -> None:
    """Raises: NotFound."""
    members.remove(tx, find(tx, image_id, member))
