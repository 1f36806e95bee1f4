"""Where the data of an image lies, as clients change it and as other services ask for it.

A URL that a client names must be one of a store of this cloud and have data behind it. A file of
this host or an object that is another image's is refused: it would give away what is not theirs.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aerostat.kit.errors import BadRequest, Conflict, Fault, Forbidden, NotFound, TooLarge
from aerostat.kit.log import Logger
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.domain import changes, imports, leases
from aerostat.services.glance.domain.changes import Draft
from aerostat.services.glance.domain.images import Change
from aerostat.services.glance.domain.imports import Asker
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import Image, Location, Move
from aerostat.services.glance.model.task import FAILURE, SUCCESS, Task
from aerostat.services.glance.runtime import Glance

log = Logger("glance.locations")
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

    def step(old: Image) -> Draft:
        new, lost = change(old), list[Location]()
        for move in moves:
            new = _moved(new, move)
        if moves:
            new = _with_data(old, new, moves, sizes)
            quota = glance.config.image_location_quota
            if 0 <= quota < len(new.locations):
                raise TooLarge(f"The limit of {quota} image locations has been exceeded.")
            kept = {place.url for place in new.locations}
            lost = [place for place in old.locations if place.url not in kept]
        return Draft(new, lost=tuple((glance.ids(), place) for place in lost))

    return await changes.change(glance, image_id, step)


def _with_data(old: Image, new: Image, moves: Sequence[Move], sizes: Sequence[int]) -> Image:
    """Return the image with the status that its locations give it. Raises: Conflict, BadRequest."""
    if old.lease is not None or old.status not in (states.QUEUED, states.ACTIVE):
        raise Conflict(f"It's not allowed to change locations of an image that is {old.status}.")
    urls = [place.url for place in new.locations]
    if len(set(urls)) < len(urls):
        raise BadRequest("A location is there twice.", field="locations")
    for move in moves:
        new = _claimed(new, move.claims, fresh=old.status == states.QUEUED)
    if old.status == states.QUEUED and new.locations:
        return replace(new, status=states.ACTIVE, size=sizes[0] if sizes else old.size)
    return new


def _claimed(image: Image, claims: dict[str, str], *, fresh: bool) -> Image:
    """Raises: Conflict (the image's digests are others)."""
    if fresh:
        _check(claims)
        return replace(image, **claims)
    for name, value in claims.items():
        if getattr(image, name) != value:
            raise Conflict(f"{name} of the location is not that of the image.")
    return image


def _moved(image: Image, move: Move) -> Image:
    places = list(image.locations)
    if move.kind == "replace":
        same = {place.url for place in places} == {place.url for place in move.places}
        if places and not move.places:  # Other data would get the same id: CVE-2016-0757.
            raise Forbidden("Cannot replace locations from an image with none.")
        if places and not same:
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


def _check(claims: dict[str, str]) -> None:
    """Raises: BadRequest (digests that no data can have)."""
    algo, value = claims.get("hash_algo"), claims.get("hash_value")
    if (algo is None) != (value is None):
        raise BadRequest("os_hash_algo and os_hash_value go together.", field="validation_data")
    if algo is not None and algo not in hashlib.algorithms_guaranteed:
        raise BadRequest(f"Unknown hash algorithm {algo}.", field="validation_data")
    sizes = {"checksum": 16, "hash_value": hashlib.new(algo).digest_size if algo else 0}
    for name, size_bytes in sizes.items():
        if not re.fullmatch(
            rf"[0-9a-f]{{{2 * size_bytes}}}", claims.get(name, "0" * 2 * size_bytes)
        ):
            raise BadRequest(f"Invalid {name}.", field="validation_data")


async def add(
    glance: Glance, image_id: str, url: str, claims: dict[str, str], asker: Asker
) -> None:
    """Make `url` the data of a queued image. Source: image api-ref, "Add location".

    The data is read and hashed in the background unless do_secure_hash is off. The image is
    active at once if nothing was claimed of the data, else when the claims have proved true.
    Raises: NotFound, BadRequest, Conflict, Unavailable.
    """
    store = glance.stores.of(url)
    place = Location(url, store, {"store": store})
    length = await size(glance, image_id, place)
    secure = glance.config.do_secure_hash
    _check(claims)
    given = {"image_id": image_id, "loc_url": url, "validation_data": claims}
    task = imports.new_task(glance, "location_import", image_id, given, asker)

    def begin(image: Image) -> Draft:
        if image.status != states.QUEUED:
            raise Conflict(f"Only queued images get a location; this one is {image.status}.")
        if secure and claims:
            return Draft(replace(image, status=states.IMPORTING, size=length), task=task)
        algo = {"hash_algo": glance.config.hashing_algorithm}
        facts: dict[str, Any] = algo if secure else claims
        new = replace(image, status=states.ACTIVE, size=length, locations=(place,), **facts)
        return Draft(new, task=task)

    work = leases.work(glance, image_id, begin)
    lease = await work.__aenter__()
    if secure:
        glance.spawn(_prove(glance, work, task, _Proof(lease, image_id, place, claims)))
    else:
        await work.__aexit__(None, None, None)
        await imports.finish(glance, task, SUCCESS, "", image_id)


class _Proof(Struct, frozen=True):
    """What is to be proved of the data at a place."""

    lease: str
    image_id: str
    place: Location
    claims: dict[str, str]


async def _prove(glance: Glance, work: Any, task: Task, proof: _Proof) -> None:
    """Hash the data of an image and write down what it is; nothing if the claims are false."""
    try:
        try:
            await _hash(glance, proof)
        finally:
            await work.__aexit__(None, None, None)
    except Fault as why:
        log.warning("location.unproved", image_id=proof.image_id, reason=why.message)
        await imports.finish(glance, task, FAILURE, why.message, proof.image_id)
    else:
        await imports.finish(glance, task, SUCCESS, "", proof.image_id)


async def _hash(glance: Glance, proof: _Proof) -> None:
    image = await glance.db.read(rows.get, proof.image_id)
    chunks = await glance.stores.read(glance.stores.ordered([proof.place]), 0, image.size or 0)
    algo = proof.claims.get("hash_algo", glance.config.hashing_algorithm)
    written = await glance.staging.digest(chunks, algo)
    facts = {"checksum": written.checksum, "hash_algo": algo, "hash_value": written.hash_value}
    if not proof.claims.items() <= facts.items():
        raise BadRequest("The data is not what was said of it.")

    def finish(now: Image) -> Draft:
        new = replace(now, status=states.ACTIVE, locations=(proof.place,), **facts)
        return Draft(leases.finish(new))

    await changes.change(glance, proof.image_id, finish, proof.lease)


async def drop(glance: Glance, image_id: str, store: str) -> None:
    """Remove an image's data from one store of several.

    Raises: NotFound (it is not there), Forbidden (the only one, protected), Conflict (in work,
    in use).
    """
    glance.stores.get(store)
    there = (await glance.db.read(rows.get, image_id)).locations
    await glance.stores.check_free([place for place in there if place.store == store])

    def begin(image: Image) -> Draft:
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
        return Draft(replace(image, locations=kept), lost=((glance.ids(), lost[0]),))

    async with leases.work(glance, image_id, begin):
        """Its end removes what is garbage now."""
