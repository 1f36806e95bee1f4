"""PATCH bodies: JSON patch as images have it, v2.0 and v2.1.

Source: image api-ref, "HTTP PATCH media types".
"""

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from aerostat.kit.errors import BadRequest, Conflict, Forbidden
from aerostat.kit.http.errors import UnsupportedMediaType
from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.model.image import QUEUED, Image, Location, Move
from aerostat.services.glance.schemas import attributes
from aerostat.services.glance.stores import Stores

MEDIA = {
    "application/openstack-images-v2.1-json-patch": True,
    "application/openstack-images-v2.0-json-patch": False,
}
"""Media types, and whether they are the form with "op"."""

OPS = ("add", "replace", "remove")
CLAIMS = {"checksum": "checksum", "os_hash_algo": "hash_algo", "os_hash_value": "hash_value"}
"""What a client may say of data at a location, and how an Image calls it."""
FORMATS = ("disk_format", "container_format")
_POINTER = re.compile(r"(/([^/~]|~[01])+)+")


class Op(Struct, frozen=True):
    """One change: `op` is add, replace or remove; `name` the attribute, `at` a place in it."""

    op: str
    name: str
    value: Any = None
    at: str = ""


def parse(media: str, doc: Any) -> list[Op]:
    """Return the changes. Raises: UnsupportedMediaType, BadRequest, Forbidden."""
    kind = media.partition(";")[0].strip().lower()
    if kind not in MEDIA:
        fault = UnsupportedMediaType(f"Unsupported Content-Type: {kind or 'none'}")
        fault.headers["Accept-Patch"] = ", ".join(MEDIA)
        raise fault
    if not isinstance(doc, list):
        raise BadRequest("Request body must be a JSON array of operation objects.")
    return [_op(one, MEDIA[kind]) for one in doc]


def _op(one: Any, named: bool) -> Op:
    if not isinstance(one, dict):
        raise BadRequest("Operations must be JSON objects.")
    if named:
        op = one.get("op")
        path = one.get("path")
        if op is None:
            raise BadRequest("Unable to find '`op`' in JSON Schema change", field="op")
    else:
        given = [name for name in OPS if name in one]
        if len(given) != 1:
            raise BadRequest(f"Operation objects must contain only one of {', '.join(OPS)}.")
        op, path = given[0], one[given[0]]
    if op not in OPS:
        raise BadRequest(f"Invalid operation: `{op}`. It must be one of {', '.join(OPS)}.")
    name, at = _name(path)
    if name == "locations" and (op == "replace") == bool(at):
        raise BadRequest(f"Invalid JSON pointer for this resource: '{path}'", field="path")
    if op != "remove" and "value" not in one:
        raise BadRequest(f"Operation \"{op}\" requires a member named 'value'.", field=name)
    return Op(op, name, one.get("value"), at)


def _name(path: Any) -> tuple[str, str]:
    if not isinstance(path, str):
        raise BadRequest("Unable to find '`path`' in JSON Schema change", field="path")
    if not _POINTER.fullmatch(path):
        raise BadRequest(f"Invalid JSON pointer for this resource: '{path}'", field="path")
    parts = [p.replace("~1", "/").replace("~0", "~") for p in path[1:].split("/")]
    attributes.check_writable(parts[0])
    if parts[0] == "id":
        raise Forbidden("Attribute 'id' is read-only.", field="id")
    if len(parts) > (2 if parts[0] == "locations" else 1):
        raise BadRequest(f"Invalid JSON pointer for this resource: '{path}'", field="path")
    return parts[0], parts[1] if len(parts) > 1 else ""


def move(stores: Stores, op: Op) -> Move:
    """Return what a change of `locations` asks for. Raises: BadRequest."""
    if op.op == "remove":
        if not op.at.isdecimal():
            raise BadRequest("Invalid position of a location.", field="locations")
        return Move("remove", at=int(op.at))
    if op.op == "add":
        if not (op.at.isdecimal() or op.at == "-"):
            raise BadRequest("Invalid position of a location.", field="locations")
        place = _location(stores, op.value)
        at = -1 if op.at == "-" else int(op.at)
        return Move("add", (place,), at, claims(op.value.get("validation_data", {})))
    if not isinstance(op.value, list):
        raise BadRequest("Locations must be a JSON array.", field="locations")
    return Move("replace", tuple(_location(stores, one) for one in op.value))


def claims(given: Any) -> dict[str, str]:
    """Return what `validation_data` says, named as an Image names it. Raises: BadRequest."""
    if not isinstance(given, dict) or not given.keys() <= CLAIMS.keys():
        raise BadRequest("Invalid validation_data.", field="validation_data")
    if not all(isinstance(text, str) for text in given.values()):
        raise BadRequest("Invalid validation_data.", field="validation_data")
    return {CLAIMS[name]: str(text) for name, text in given.items()}


def _location(stores: Stores, value: Any) -> Location:
    known = isinstance(value, dict) and value.keys() >= {"url", "metadata"}
    if not known or not isinstance(value["url"], str) or not isinstance(value["metadata"], dict):
        raise BadRequest("A location has 'url' and 'metadata'.", field="locations")
    store = stores.of(value["url"])
    return Location(value["url"], store, {**value["metadata"], "store": store})


def apply(config: GlanceConfig, image: Image, ops: Sequence[Op]) -> Image:
    """Return the image after all changes. Raises: BadRequest, Forbidden, Conflict."""
    for op in ops:
        image = _apply(config, image, op)
    return image


def _apply(config: GlanceConfig, image: Image, op: Op) -> Image:
    if op.name in attributes.FIELD_OF:
        return _set_base(config, image, op)
    properties = dict(image.properties)
    if op.op != "add" and op.name not in properties:
        raise Conflict(f"Property {op.name} does not exist.", field=op.name)
    if op.op == "remove":
        del properties[op.name]
    else:
        properties[op.name] = attributes.custom(op.name, op.value)
    return replace(image, properties=properties)


def _set_base(config: GlanceConfig, image: Image, op: Op) -> Image:
    if op.op == "remove":
        raise Forbidden(f"Property {op.name} may not be removed.", field=op.name)
    if op.name in FORMATS and image.status != QUEUED:
        raise Forbidden(f"Attribute {op.name} can be only replaced for a queued image.")
    value = attributes.check(config, op.name, op.value)
    return replace(image, **{attributes.FIELD_OF[op.name]: value})
