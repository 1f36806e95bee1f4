"""The attributes of an image that a client may set, and what each may hold."""

from collections.abc import Mapping
from typing import Any

from aerostat.kit.errors import BadRequest, Forbidden
from aerostat.kit.ids import is_uuid
from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.model.image import OWN_PREFIX, VISIBILITIES

READ_ONLY = frozenset({
    "created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self",
    "file", "schema", "os_hash_algo", "os_hash_value", "stores",
})  # fmt: skip
RESERVED = frozenset({"deleted", "deleted_at", "location"})
FIELD_OF = {
    "id": "id", "name": "name", "disk_format": "disk_format", "container_format":
    "container_format", "visibility": "visibility", "min_disk": "min_disk", "min_ram": "min_ram",
    "protected": "protected", "os_hidden": "hidden", "owner": "owner", "tags": "tags",
}  # fmt: skip
"""The base attributes as the API names them, and as an Image does."""

INT_MAX = (1 << 31) - 1
TEXT_MAX = 255
VALUE_MAX = 65_535


def wrong(reason: str, field: str) -> BadRequest:
    """Return the fault for a value that the schema does not allow."""
    return BadRequest(f"Provided object does not match schema 'image': {reason}", field=field)


def check_writable(name: str) -> None:
    """Raises: Forbidden (clients may not set it)."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.", field=name)
    if name in RESERVED or name.startswith(OWN_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.", field=name)


def check(config: GlanceConfig, name: str, value: Any) -> Any:
    """Return the value of an attribute as an Image holds it. Raises: BadRequest."""
    if name in ("name", "owner"):
        return _text_or_none(name, value)
    if name in ("min_disk", "min_ram"):
        return _whole_number(name, value)
    if name in ("protected", "os_hidden"):
        if not isinstance(value, bool):
            raise wrong(f"{value!r} is not of type 'boolean'", name)
        return value
    if name == "tags":
        return _tags(value)
    if name == "id":
        if not (isinstance(value, str) and len(value) == 36 and is_uuid(value)):
            raise wrong(f"{value!r} is not a valid image id", name)
        return value.lower()
    return _choice(config, name, value) if name in FIELD_OF else custom(name, value)


def _text_or_none(name: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and len(value) <= TEXT_MAX):
        return value
    raise wrong(f"{name} must be a string of at most {TEXT_MAX} characters", name)


def _whole_number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(f"{value!r} is not of type 'integer'", name)
    if not 0 <= value <= INT_MAX:
        raise wrong(f"{name} must be from 0 to {INT_MAX}", name)
    return value


def _tags(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise wrong(f"{value!r} is not of type 'array'", "tags")
    return tuple(dict.fromkeys(tag(one) for one in value))


def tag(value: Any) -> str:
    """Return a tag. Raises: BadRequest."""
    if not (isinstance(value, str) and len(value) <= TEXT_MAX):
        raise wrong(f"a tag is a string of at most {TEXT_MAX} characters", "tags")
    return value


def _choice(config: GlanceConfig, name: str, value: Any) -> str | None:
    if name == "visibility":
        allowed: tuple[str, ...] = VISIBILITIES
    else:
        allowed = config.disk_formats if name == "disk_format" else config.container_formats
        if value is None:
            return None
    if value not in allowed:
        raise wrong(f"{value!r} is not one of {list(allowed)}", name)
    return str(value)


def custom(name: str, value: Any) -> str:
    """Return the value of a custom property. Raises: BadRequest."""
    if not name or len(name) > TEXT_MAX:
        raise wrong(f"a property's name has 1 to {TEXT_MAX} characters", name)
    if not isinstance(value, str):
        raise wrong(f"{value!r} is not of type 'string'", name)
    if len(value) > VALUE_MAX:
        raise wrong(f"a property has at most {VALUE_MAX} characters", name)
    return value


def split(config: GlanceConfig, doc: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the fields of an Image and the custom properties that `doc` sets.

    Raises: Forbidden (read-only or reserved attributes), BadRequest.
    """
    fields: dict[str, Any] = {}
    properties: dict[str, str] = {}
    for name, value in doc.items():
        check_writable(name)
        if name == "locations":
            raise Forbidden("Attribute 'locations' is reserved.", field=name)
        if name in FIELD_OF:
            fields[FIELD_OF[name]] = check(config, name, value)
        else:
            properties[name] = custom(name, value)
    return fields, properties
