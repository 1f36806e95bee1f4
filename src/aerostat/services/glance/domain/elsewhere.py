"""Images of another region's glance. Source: glance documentation, "glance-download"."""

import msgspec
from msgspec import Struct

from aerostat.kit.errors import BadRequest, Unavailable
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.web import Target

DOCUMENT_MAX = 1 << 20
INHERITED = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")
"""Beginnings of the properties that come along. Source: glance, [glance_download_properties]."""


class Remote(Struct, frozen=True):
    """An image of another region, and which of its endpoints to ask."""

    image_id: str
    region: str
    interface: str = "public"


class Found(Struct, frozen=True):
    """Where the data is, and what comes along: formats, and some properties."""

    target: Target
    disk_format: str
    container_format: str
    properties: dict[str, str]


async def find(glance: Glance, remote: Remote, token: str) -> Found:
    """Return where the data of a remote image is.

    Raises: BadRequest (no such region, the image is unknown there or not active), Unavailable.
    """
    if glance.identity is None:
        raise Unavailable("The catalogue is out of reach.")
    base = await glance.identity.endpoint(
        service_type="image", region=remote.region, interface=remote.interface
    )
    if not base:
        raise BadRequest(f"Region {remote.region} has no image service.", field="glance_region")
    url = f"{base.rstrip('/').removesuffix('/v2')}/v2/images/{remote.image_id}"
    parts, size = [], 0
    async for chunk in glance.web.fetch(
        await glance.web.trusted(url), headers={"x-auth-token": token}
    ):
        parts.append(chunk)
        size += len(chunk)
        if size > DOCUMENT_MAX:
            raise BadRequest("The remote image cannot be understood.", field="glance_image_id")
    try:
        document = msgspec.json.decode(b"".join(parts), type=dict[str, object])
    except msgspec.MsgspecError as why:
        raise BadRequest("The remote image cannot be understood.") from why
    if document.get("status") != "active":
        raise BadRequest("The remote image is not active.", field="glance_image_id")
    own = {k: v for k, v in document.items() if isinstance(v, str) and k.startswith(INHERITED)}
    disk, container = (str(document.get(f"{kind}_format")) for kind in ("disk", "container"))
    return Found(await glance.web.trusted(f"{url}/file"), disk, container, own)
