"""Where the data of an image lies, as clients change it and as other services ask for it.

A URL that a client names must be one of a store of this cloud and have data behind it. A file of
this host or an object that is another image's is refused: it would give away what is not theirs.
"""

import re
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Conflict, Forbidden, NotFound
from aerostat.services.glance.db import garbage
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.domain import leases
from aerostat.services.glance.domain.images import LOCATIONS_MAX, Change
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import Image, Location, Move
from aerostat.services.glance.runtime import Glance

_IMAGE_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


async def size(glance: Glance, image_id: str, place: Location) -> int:
    """Return the bytes behind a location that a client named. Raises: BadRequest, Unavailable."""
    driver = glance.stores.get(place.store)
    if driver.local:
        raise BadRequest("Invalid location: files cannot be named by clients.", field="url")
    others = [found for found in _IMAGE_ID.findall(place.url.lower()) if found != image_id]
    if driver.writable and await glance.db.read(rows.known, others):
        raise BadRequest("Invalid location: it is another image's.", field="url")
    try:
        return await driver.size(place.url)
    except NotFound as why:
        raise BadRequest("Invalid location: there is no data.", field="url") from why


async def edit(glance: Glance, image_id: str, moves: Sequence[Move], change: Change) -> Image:
    """Apply moves and another change at once. Raises: NotFound, Conflict, and what those raise."""
    sizes = [await size(glance, image_id, place) for move in moves for place in move.places]
    keys = [glance.ids() for _ in range(LOCATIONS_MAX)] if moves else []

    def write(tx: Tx) -> Image:
        old = rows.get(tx, image_id)
        new = change(old)
        for move in moves:
            new = _moved(new, move)
        if moves:
            new = _with_data(old, new, sizes)
            lost = [place for place in old.locations if place not in new.locations]
            garbage.add(tx, image_id, list(zip(keys, lost, strict=False)), glance.clock.now())
        return old if new == old else rows.save(tx, old, new, glance.clock.now())

    return await glance.db.write(write)


def _with_data(old: Image, new: Image, sizes: Sequence[int]) -> Image:
    """Return the image with the status that its locations give it."""
    if old.lease is not None or old.status not in (states.QUEUED, states.ACTIVE):
        raise Conflict(f"It's not allowed to change locations of an image that is {old.status}.")
    if len(new.locations) > LOCATIONS_MAX or len({p.url for p in new.locations}) < len(
        new.locations
    ):
        raise BadRequest("Duplicate or too many locations.", field="locations")
    if old.status == states.QUEUED and new.locations:
        return replace(new, status=states.ACTIVE, size=sizes[0] if sizes else old.size)
    if not new.locations:
        return replace(new, status=states.QUEUED, size=None, checksum=None, hash_value=None)
    return new


def _moved(image: Image, move: Move) -> Image:
    places = list(image.locations)
    if move.kind == "replace":
        if places and move.places:
            raise BadRequest("Locations can be replaced by none, or where there are none.")
        return replace(image, locations=move.places)
    if move.kind == "remove":
        if move.at >= len(places):
            raise BadRequest("Invalid position of a location.", field="locations")
        if len(places) == 1:
            raise Forbidden("Cannot delete the last location of an image.")
        del places[move.at]
        return replace(image, locations=tuple(places))
    if move.at > len(places):
        raise BadRequest("Invalid position of a location.", field="locations")
    at = move.at if move.at >= 0 else len(places)
    return replace(image, locations=(*places[:at], *move.places, *places[at:]))


async def add(glance: Glance, image_id: str, url: str, expected: dict[str, Any]) -> Image:
    """Make `url` the data of a queued image. Source: image api-ref, "Add location".

    `expected`: os_hash_algo and os_hash_value, if the client knows them. The data is read and
    hashed unless do_secure_hash is off. Raises: NotFound, BadRequest, Conflict, Unavailable.
    """
    place = Location(url, glance.stores.of(url), {})
    place = replace(place, metadata={"store": place.store})
    length = await size(glance, image_id, place)

    def begin(_tx: Tx, image: Image) -> Image:
        if image.status != states.QUEUED:
            raise Conflict(f"Only queued images get a location; this one is {image.status}.")
        return replace(image, status=states.move(image.status, states.IMPORTING), size=length)

    async with leases.work(glance, image_id, begin) as lease:
        facts = await _hashed(glance, place, length, expected)

        def finish(tx: Tx) -> Image:
            now = rows.get(tx, image_id)
            if now.lease != lease:
                raise Conflict("The image was changed meanwhile.")
            new = replace(leases.finish(now), status=states.ACTIVE, locations=(place,), **facts)
            return rows.save(tx, now, new, glance.clock.now())

        return await glance.db.write(finish)


async def _hashed(
    glance: Glance, place: Location, length: int, expected: dict[str, Any]
) -> dict[str, Any]:
    given = {"hash_algo": expected.get("os_hash_algo"), "hash_value": expected.get("os_hash_value")}
    if not glance.config.do_secure_hash:
        return given if all(given.values()) else {}
    chunks = await glance.stores.read([place], 0, length)
    written = await glance.staging.digest(chunks)
    algo = glance.config.hashing_algorithm
    if given["hash_value"] and (given["hash_algo"], given["hash_value"]) != (
        algo,
        written.hash_value,
    ):
        raise BadRequest("The data is not what os_hash_value says.", field="validation_data")
    return {"checksum": written.checksum, "hash_algo": algo, "hash_value": written.hash_value}


async def drop(glance: Glance, image_id: str, store: str) -> None:
    """Remove an image's data from one store of several.

    Raises: NotFound (it is not there), Forbidden (the only one, protected), Conflict (in work).
    """
    glance.stores.get(store)
    key = glance.ids()

    def begin(tx: Tx, image: Image) -> Image:
        lost = [place for place in image.locations if place.store == store]
        if image.lease is not None:
            raise Conflict(f"Image {image_id} is being worked on.")
        kept = tuple(place for place in image.locations if place.store != store)
        if image.protected:
            raise Forbidden(f"Image {image_id} is protected and cannot be deleted.")
        if not lost:
            raise NotFound(f"Image {image_id} is not in store {store}")
        if not kept:
            raise Forbidden("Cannot delete the last location of an image.")
        garbage.add(tx, image_id, [(key, lost[0])], glance.clock.now())
        return replace(image, locations=kept)

    async with leases.work(glance, image_id, begin):
        """Its end removes what is garbage now."""
