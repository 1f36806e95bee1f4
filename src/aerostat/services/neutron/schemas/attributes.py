"""A resource's attributes: which a request may give, what holds when it does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.services.neutron.schemas.checks import Check


class _Missing:
    """No value: not given, no default."""

    def __bool__(self) -> bool:
        return False


UNSET: Any = _Missing()
REQUIRED: Any = _Missing()


@dataclass(frozen=True, slots=True)
class Attr:
    """One attribute. `default` UNSET leaves it out; REQUIRED demands it on creation."""

    name: str
    check: Check
    default: Any = UNSET
    post: bool = True
    put: bool = True


@dataclass(frozen=True)
class Schema:
    """The attributes of a noun and the body around them."""

    singular: str
    plural: str
    attrs: Mapping[str, Attr]

    def bodies(self, doc: Any) -> tuple[list[dict[str, Any]], bool]:
        """Return the resources in a POST body and whether it is a bulk one. Raises: BadRequest."""
        if isinstance(doc, dict) and isinstance(doc.get(self.plural), list):
            items = doc[self.plural]
            if not items:
                raise BadRequest("Resources required", code="HTTPBadRequest")
            inner = [i.get(self.singular, i) if isinstance(i, dict) else i for i in items]
            return [self._object(i) for i in inner], True
        return [self.body(doc)], False

    def body(self, doc: Any) -> dict[str, Any]:
        """Return the resource in a body. Raises: BadRequest."""
        if not isinstance(doc, dict) or self.singular not in doc:
            raise BadRequest(f"Unable to find '{self.singular}' in request body")
        return self._object(doc[self.singular])

    def _object(self, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BadRequest(f"Unable to find '{self.singular}' in request body")
        return value

    def create(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return checked values with defaults filled in. Raises: BadRequest, naming the field."""
        given = self._owned(given)
        out = {name: self._one(name, value, "post") for name, value in given.items()}
        for name, attr in self.attrs.items():
            if name in out or not attr.post:
                continue
            if attr.default is REQUIRED:
                raise BadRequest(
                    f"Failed to parse request. Required attribute '{name}' not specified",
                    field=name,
                )
            if attr.default is not UNSET:
                out[name] = attr.default() if callable(attr.default) else attr.default
        return out

    def update(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return checked values of what is to change. Raises: BadRequest, naming the field."""
        return {name: self._one(name, value, "put") for name, value in given.items()}

    def _owned(self, given: Mapping[str, Any]) -> dict[str, Any]:
        out = dict(given)
        tenant = out.pop("tenant_id", None)
        if tenant is not None and out.setdefault("project_id", tenant) != tenant:
            raise BadRequest("'project_id' and 'tenant_id' do not match", field="tenant_id")
        return out

    def _one(self, name: str, value: Any, verb: str) -> Any:
        attr = self.attrs.get(name)
        if attr is None:
            raise BadRequest(f"Unrecognized attribute(s) '{name}'", field=name)
        if not (attr.post if verb == "post" else attr.put):
            raise BadRequest(f"Attribute '{name}' not allowed in {verb.upper()}", field=name)
        try:
            return attr.check(value)
        except ValueError as why:
            raise BadRequest(
                f"Invalid input for {name}. Reason: {why}.", code="HTTPBadRequest", field=name
            ) from why


def schema(singular: str, plural: str, *attrs: Attr) -> Schema:
    return Schema(singular, plural, {attr.name: attr for attr in attrs})
