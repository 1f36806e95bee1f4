"""What may happen to data between its arrival and its inspection, if an operator wants it.

Source: glance documentation, "Interoperable image import: customizing the process"
(image_import_plugins: image_decompression, image_conversion, inject_image_metadata).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator

from msgspec.structs import replace

from aerostat.services.glance import unpacking
from aerostat.services.glance.converter import convert
from aerostat.services.glance.domain import uploads
from aerostat.services.glance.domain.changes import Draft, change
from aerostat.services.glance.domain.uploads import Arrived
from aerostat.services.glance.inspector import check
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.runtime import Glance

DECOMPRESSION, CONVERSION, INJECTION = (
    "image_decompression",
    "image_conversion",
    "inject_image_metadata",
)


async def apply(glance: Glance, image_id: str, arrived: Arrived, roles: tuple[str, ...]) -> Arrived:
    """Return the data as the plugins leave it; what they change of the image is written.

    Raises: Unsupported, TooLarge, Unavailable, Fault (gone).
    """
    plugins = glance.config.image_import_plugins
    if INJECTION in plugins and not set(roles) & set(glance.config.ignore_user_roles):
        await _change(glance, image_id, arrived, properties=glance.config.inject)
    if DECOMPRESSION in plugins:
        arrived = await _decompress(glance, image_id, arrived)
    if CONVERSION in plugins:
        arrived = await _convert(glance, image_id, arrived)
    return arrived


async def _decompress(glance: Glance, image_id: str, arrived: Arrived) -> Arrived:
    image = await uploads.held(glance, image_id, arrived.lease)
    if image.container_format != "compressed":
        return arrived
    pieces = unpacking.unpack(arrived.source)
    if pieces is None:
        return arrived
    chunks, cap = _in_thread(pieces), glance.config.image_size_cap
    await glance.staging.write(arrived.fresh, chunks, cap)
    await _change(glance, image_id, arrived, container_format="bare")
    return await _replaced(glance, arrived)


async def _in_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


async def _convert(glance: Glance, image_id: str, arrived: Arrived) -> Arrived:
    image = await uploads.held(glance, image_id, arrived.lease)
    wanted = glance.config.output_format
    if image.container_format != "bare" or image.disk_format in (wanted, "iso"):
        return arrived
    finding = await glance.inspector.inspect(arrived.source)
    check(finding, str(image.disk_format))
    limit = (glance.config.image_size_cap, glance.config.conversion_timeout_s)
    to = glance.staging.part(arrived.fresh)
    to.touch(0o600)
    await convert(arrived.source, finding.disk_format, to, wanted, limit)
    await _change(glance, image_id, arrived, disk_format=wanted)
    return await _replaced(glance, arrived)


async def _replaced(glance: Glance, arrived: Arrived) -> Arrived:
    source = glance.staging.part(arrived.lease)
    await glance.staging.move(arrived.fresh, arrived.lease)
    return replace(arrived, source=source, written=await glance.staging.measure(source))


async def _change(glance: Glance, image_id: str, arrived: Arrived, **new: object) -> None:
    await change(glance, image_id, lambda now: Draft(_changed(now, new)), arrived.lease)


def _changed(image: Image, new: dict[str, object]) -> Image:
    properties = new.get("properties")
    if isinstance(properties, dict):
        return replace(image, properties={**image.properties, **properties})
    return replace(image, **new)
