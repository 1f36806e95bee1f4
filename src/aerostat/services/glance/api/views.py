"""Images and members as JSON documents."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

import msgspec

from aerostat.kit.clock import iso
from aerostat.kit.http.schema import Query
from aerostat.services.glance.model import image as states
from aerostat.services.glance.model.image import Image, Location, Member, Outline
from aerostat.services.glance.model.task import Task
from aerostat.services.glance.runtime import RENDERED_MAX, Glance

_encode = msgspec.json.Encoder().encode


def image(glance: Glance, found: Image, places: bool) -> dict[str, Any]:
    """Return the document of an image; its own attributes win over custom properties.

    `places`: whether the locations are shown, if this cloud shows any.
    """
    url = f"/v2/images/{found.id}"
    hidden = states.STAGE_HOST in found.properties
    return {
        **(_without_host(found.properties) if hidden else found.properties),
        **({"stores": ",".join(glance.stores.holding(found))} if found.locations else {}),
        **_places(glance, found, places),
        "name": found.name,
        "disk_format": found.disk_format,
        "container_format": found.container_format,
        "visibility": found.visibility,
        "size": found.size,
        "virtual_size": found.virtual_size,
        "status": found.status,
        "checksum": found.checksum,
        "protected": found.protected,
        "min_ram": found.min_ram,
        "min_disk": found.min_disk,
        "owner": found.owner,
        "os_hidden": found.hidden,
        "os_hash_algo": found.hash_algo,
        "os_hash_value": found.hash_value,
        "id": found.id,
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
        "tags": list(found.tags),
        "self": url,
        "file": f"{url}/file",
        "schema": "/v2/schemas/image",
    }


def _without_host(properties: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in properties.items() if name != states.STAGE_HOST}


def shows_places(glance: Glance) -> bool:
    """Tell whether anybody is shown where data lies."""
    return glance.config.show_multiple_locations or glance.config.show_image_direct_url


def _places(glance: Glance, found: Image, allowed: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if glance.config.show_image_direct_url and found.locations and allowed:
        shown["direct_url"] = glance.stores.preferred(found.locations).url
    if glance.config.show_multiple_locations:
        shown["locations"] = [location(place) for place in found.locations if allowed]
    return shown


def location(place: Location) -> dict[str, Any]:
    """Return the document of a location."""
    return {"url": place.url, "metadata": place.metadata}


def remembered(glance: Glance, found: Outline, places: bool) -> bytes | None:
    """Return the document of an image as JSON, if this version of it was encoded before."""
    return glance.rendered.get((found.id, found.generation, places))


def encoded(glance: Glance, found: Image, places: bool = False) -> bytes:
    """Return the document of an image as JSON, remembered by its generation."""
    text = remembered(glance, found, places)
    if text is None:
        text = _encode(image(glance, found, places))
        if glance.protections is None:  # Otherwise not everybody sees the same.
            glance.rendered[found.id, found.generation, places] = text
            if len(glance.rendered) > RENDERED_MAX:
                glance.rendered.popitem(last=False)
    return text


def page(documents: list[bytes], query: Query, last: str) -> bytes:
    """Return the document of a page of images as JSON; `last`: after which image it goes on."""
    kept = [(name, value) for name, values in query.items() for value in values if name != "marker"]
    links = {"first": link("/v2/images", kept), "schema": "/v2/schemas/images"}
    if last:
        links["next"] = link("/v2/images", [*kept, ("marker", last)])
    return b'{"images":[' + b",".join(documents) + b"]," + _encode(links)[1:]


def link(path: str, query: Iterable[tuple[str, str]]) -> str:
    """Return a path with a query string."""
    text = urlencode(list(query))
    return f"{path}?{text}" if text else path


def member(found: Member) -> dict[str, Any]:
    """Return the document of a member."""
    return {
        "created_at": iso(found.created_at),
        "image_id": found.image_id,
        "member_id": found.member,
        "schema": "/v2/schemas/member",
        "status": found.status,
        "updated_at": iso(found.updated_at),
    }


def task(found: Task) -> dict[str, Any]:
    """Return the document of a task."""
    return {
        **task_in_list(found),
        "input": found.input,
        "result": found.result,
        "message": found.message,
        "image_id": found.image_id,
        "request_id": found.request_id,
        "user_id": found.user_id,
    }


def task_in_list(found: Task) -> dict[str, Any]:
    """Return the document of a task in a list."""
    return {
        "id": found.id,
        "type": found.type,
        "status": found.status,
        "owner": found.owner,
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
        "expires_at": iso(found.expires_at),
        "self": f"/v2/tasks/{found.id}",
        "schema": "/v2/schemas/task",
    }
