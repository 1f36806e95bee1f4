"""Who an image is shared with."""

from collections.abc import Callable
from typing import TypeVar

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, Forbidden, NotFound, TooLarge
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.db import members
from aerostat.services.glance.model.image import MEMBER_STATUSES, Image, Member
from aerostat.services.glance.runtime import Glance

T = TypeVar("T")


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
    return await glance.db.read(_get, image_id, member)


def _get(tx: Tx, image_id: str, member: str) -> Member:
    found = members.find(tx, image_id, member)
    if found is None:
        raise NotFound(f"{member} not found in the member list of the image {image_id}.")
    return found


async def add(glance: Glance, image_id: str, project_id: str) -> Member:
    """Share the image. Raises: NotFound, Forbidden, Conflict (it is shared), TooLarge (quota)."""
    now = glance.clock.now()
    member = Member(image_id, project_id, "pending", now, now)
    quota = glance.config.image_member_quota

    def write(tx: Tx) -> Member:
        check_shared(rows.get(tx, image_id))
        if members.find(tx, image_id, project_id) is not None:
            raise Conflict(f"The target member {project_id} is already associated with image.")
        if 0 <= quota <= members.count(tx, image_id):
            raise TooLarge(f"The limit of {quota} image members has been exceeded.")
        members.add(tx, member)
        return member

    return await glance.db.write(write)


async def set_status(glance: Glance, image_id: str, project_id: str, status: str) -> Member:
    """Accept, reject or put off. Raises: NotFound, BadRequest (no such status)."""
    if status not in MEMBER_STATUSES:
        raise BadRequest(f"Status must be one of {', '.join(MEMBER_STATUSES)}", field="status")

    def write(tx: Tx, member: Member) -> Member:
        members.set_status(tx, member, status, glance.clock.now())
        return _get(tx, image_id, project_id)

    return await _change(glance, image_id, project_id, write)


async def remove(glance: Glance, image_id: str, project_id: str) -> None:
    """Share it no longer. Raises: NotFound."""
    await _change(glance, image_id, project_id, members.remove)


async def _change(
    glance: Glance, image_id: str, project_id: str, fn: Callable[[Tx, Member], T]
) -> T:
    return await glance.db.write(lambda tx: fn(tx, _get(tx, image_id, project_id)))
