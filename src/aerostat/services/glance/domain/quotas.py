"""Quotas of projects: keystone's unified limits, checked where the rows are written.

Source: glance documentation, "Per-Tenant Quotas"; oslo.limit (a limit that is not registered is 0).
"""

from msgspec import Struct

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import TooLarge
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.db import usage
from aerostat.services.glance.runtime import Glance

SIZE, STAGED = "image_size_total", "image_stage_total"
COUNT, COMING = "image_count_total", "image_count_uploading"
Limits = dict[str, int]
UNLIMITED = -1


class Needs(Struct, frozen=True):
    """What a change takes `more` of, and the limits of the project that it is for."""

    limits: Limits
    more: dict[str, int]


def mib(size: int | None) -> int:
    """Return what counts beforehand of data that will have `size` bytes: 0 if nobody knows."""
    return (size or 0) >> 20


async def limits(glance: Glance, owner: str | None) -> Limits:
    """Return the limits of a project; none if keystone is not asked. Raises: Unavailable."""
    if not glance.config.use_keystone_limits or owner is None or glance.identity is None:
        return {}
    known = await glance.identity.limits(service_type="image", project_id=owner)
    return {name: known.get(name, 0) for name in usage.COUNT}


async def of_image(glance: Glance, image_id: str) -> Limits:
    """Return the limits of the project that owns an image. Raises: NotFound, Unavailable."""
    if not glance.config.use_keystone_limits:
        return {}
    image = await glance.db.read(rows.get, image_id)
    return await limits(glance, image.owner)


def check(tx: Tx, owner: str | None, needs: Needs) -> None:
    """Refuse what would be more than the limits of the owner. Raises: TooLarge."""
    for name, delta in needs.more.items():
        limit = needs.limits.get(name, UNLIMITED)
        if limit == UNLIMITED or owner is None:
            continue
        used = usage.COUNT[name](tx, owner)
        if used + delta > limit:
            raise TooLarge(
                f"Project {owner} is over a limit for [Resource {name} is over limit of {limit} "
                f"due to current usage {used} and delta {delta}]"
            )


async def used(glance: Glance, owner: str) -> dict[str, dict[str, int]]:
    """Return each limit of a project and how much of it is used."""
    of = await limits(glance, owner)
    counted = await glance.db.read(usage.counted, owner, list(of))
    return {name: {"limit": of[name], "usage": counted[name]} for name in of}
