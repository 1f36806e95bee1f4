"""The JSON schemas that /v2/schemas serves."""

from typing import Any

from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.model.image import MEMBER_STATUSES, STATUSES, VISIBILITIES

Document = dict[str, Any]


def _text(description: str, most: int = 255, **more: Any) -> Document:
    return {"type": "string", "description": description, "maxLength": most, **more}


def _maybe(description: str, most: int = 255, **more: Any) -> Document:
    return {**_text(description, most, **more), "type": ["null", "string"]}


def _read_only(kind: Any, description: str) -> Document:
    return {"type": kind, "description": description, "readOnly": True}


LOCATION: Document = {
    "type": "object",
    "properties": {
        "url": {"type": "string", "maxLength": 255},
        "metadata": {"type": "object"},
        "validation_data": {"type": "object"},
    },
    "required": ["url", "metadata"],
}


def image(config: GlanceConfig) -> Document:
    """Return the schema of an image."""
    count = {"type": "integer", "minimum": 0}
    number = ["null", "integer"]
    return {
        "name": "image",
        "properties": {
            "id": _text("Identifier of the image", 36),
            "name": _maybe("Name of the image"),
            "status": {**_read_only("string", "Status of the image"), "enum": list(STATUSES)},
            "visibility": _text("Who sees the image", 16, enum=list(VISIBILITIES)),
            "protected": {"type": "boolean", "description": "Whether it cannot be deleted"},
            "os_hidden": {"type": "boolean", "description": "Whether lists leave it out"},
            "checksum": _read_only(["null", "string"], "MD5 of the data"),
            "os_hash_algo": _read_only(["null", "string"], "Algorithm of os_hash_value"),
            "os_hash_value": _read_only(["null", "string"], "Digest of the data"),
            "owner": _maybe("Project that owns the image"),
            "size": _read_only(number, "Bytes of the data"),
            "virtual_size": _read_only(number, "Bytes of the disk in the data"),
            "container_format": _maybe("Container", enum=[None, *config.container_formats]),
            "disk_format": _maybe("Format of the disk", enum=[None, *config.disk_formats]),
            "created_at": _read_only("string", "When it was registered"),
            "updated_at": _read_only("string", "When it was changed last"),
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 255}},
            "min_ram": {**count, "description": "MiB of RAM that a server needs"},
            "min_disk": {**count, "description": "GiB of disk that a server needs"},
            "self": _read_only("string", "URL of the image"),
            "file": _read_only("string", "URL of the data"),
            "schema": _read_only("string", "URL of this schema"),
            "stores": _read_only("string", "Stores that have the data"),
            "direct_url": _read_only("string", "Where the data lies, if this is shown"),
            "locations": {"type": "array", "items": LOCATION},
        },
        "additionalProperties": {"type": "string"},
        "links": [
            {"rel": "self", "href": "{self}"},
            {"rel": "enclosure", "href": "{file}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def member() -> Document:
    """Return the schema of an image member."""
    return {
        "name": "member",
        "properties": {
            "created_at": {"type": "string"},
            "image_id": {"type": "string"},
            "member_id": {"type": "string"},
            "status": {"type": "string", "enum": list(MEMBER_STATUSES)},
            "updated_at": {"type": "string"},
            "schema": {"readOnly": True, "type": "string"},
        },
    }


def task() -> Document:
    """Return the schema of a task."""
    names = ("id", "type", "status", "owner", "message", "self", "schema", "created_at",
             "updated_at", "expires_at", "image_id", "request_id", "user_id")  # fmt: skip
    properties: Document = {name: {"type": ["null", "string"]} for name in names}
    properties["input"] = properties["result"] = {"type": ["null", "object"]}
    return {"name": "task", "properties": properties}


def several(noun: str, one: Document) -> Document:
    """Return the schema of a list of `one`."""
    return {
        "name": noun,
        "properties": {
            noun: {"type": "array", "items": one},
            "first": {"type": "string"},
            "next": {"type": "string"},
            "schema": {"type": "string"},
        },
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    }


def every(config: GlanceConfig) -> dict[str, Document]:
    """Return the schemas by name."""
    ones = {"image": image(config), "member": member(), "task": task()}
    return {**ones, **{f"{name}s": several(f"{name}s", one) for name, one in ones.items()}}
