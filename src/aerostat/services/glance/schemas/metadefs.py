"""Bodies and schemas of the metadata definition catalogue."""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.services.glance.model.metadef import ASSOCIATIONS, OBJECTS, PROPERTIES, TAGS
from aerostat.services.glance.schemas.documents import several

Document = dict[str, Any]
SHOWN = frozenset({"created_at", "updated_at", "self", "schema"})
"""What documents show and bodies may repeat; it is not taken from them."""

FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "namespace": {
        "namespace": str,
        "display_name": (str, type(None)),
        "description": (str, type(None)),
        "visibility": str,
        "protected": bool,
        "owner": (str, type(None)),
        OBJECTS: list,
        PROPERTIES: dict,
        TAGS: list,
        ASSOCIATIONS: list,
    },
    OBJECTS: {"name": str, "description": (str, type(None)), "required": list, PROPERTIES: dict},
    TAGS: {"name": str},
    ASSOCIATIONS: {
        "name": str, "prefix": (str, type(None)), "properties_target": (str, type(None))
    },
}  # fmt: skip
NAME_MAX = 80
NUMBERS = (int, float)
TYPES = ("array", "boolean", "integer", "number", "object", "string", "null")


def wrong(field: str, reason: str) -> BadRequest:
    """Return the fault for a value that the schema does not allow."""
    return BadRequest(f"Invalid input for {field}: {reason}", field=field)


def check(kind: str, doc: Any, name: str = "name") -> Document:
    """Return the checked body of a definition. Raises: BadRequest."""
    if not isinstance(doc, dict):
        raise wrong("body", "an object is wanted")
    body: Document = {key: value for key, value in doc.items() if key not in SHOWN}
    if kind == PROPERTIES:
        _check_property(body)
    else:
        _check_fields(kind, body)
    found = body.get(name)
    if not (isinstance(found, str) and 0 < len(found) <= NAME_MAX):
        raise wrong(name, f"a name of 1 to {NAME_MAX} characters is required")
    if body.get("visibility", "private") not in ("public", "private"):
        raise wrong("visibility", "it is public or private")
    return body


def shown(doc: Document) -> Document:
    """Return a property as upstream shows it: numbers in `default` and `enum` are text."""
    if type(doc.get("default")) in NUMBERS:
        doc = {**doc, "default": str(doc["default"])}
    if any(type(one) in NUMBERS for one in doc.get("enum") or ()):
        doc = {**doc, "enum": [str(one) for one in doc["enum"]]}
    return doc


def _check_fields(kind: str, body: Document) -> None:
    for field, value in body.items():
        if field not in FIELDS[kind]:
            raise wrong(field, "additional properties are not allowed")
        if not isinstance(value, FIELDS[kind][field]):
            raise wrong(field, "the type is wrong")


def _check_property(doc: Document) -> None:
    for field in ("type", "title"):
        if field not in doc:
            raise wrong(field, "it is required")
    if doc["type"] not in TYPES:
        raise wrong("type", f"it is one of {', '.join(TYPES)}")
    if not isinstance(doc["title"], str):
        raise wrong("title", "a string is wanted")


_JSON = {str: "string", bool: "boolean", list: "array", dict: "object", type(None): "null"}


def _schema(name: str, kind: str) -> Document:
    properties: Document = {key: {"type": "string", "readOnly": True} for key in SHOWN}
    for field, kinds in FIELDS.get(kind, {"name": str, "type": str, "title": str}).items():
        many = kinds if isinstance(kinds, tuple) else (kinds,)
        properties[field] = {"type": [_JSON[one] for one in many] if many[1:] else _JSON[many[0]]}
    key = "namespace" if kind == "namespace" else "name"
    return {"name": name, "properties": properties, "required": [key]}


def every() -> dict[str, Document]:
    """Return the schemas by the name that the URL has."""
    namespace, tag = _schema("namespace", "namespace"), _schema("tag", TAGS)
    link, thing = _schema("resource_type_association", ASSOCIATIONS), _schema("object", OBJECTS)
    one = _schema("property", PROPERTIES)
    one["required"], one["additionalProperties"] = ["name", "type", "title"], True
    return {
        "namespace": namespace,
        "namespaces": several("namespaces", namespace),
        "resource_type": link,
        "resource_types": several(ASSOCIATIONS, link),
        "object": thing,
        "objects": several(OBJECTS, thing),
        "property": one,
        "properties": several(PROPERTIES, one),
        "tag": tag,
        "tags": several(TAGS, tag),
    }
