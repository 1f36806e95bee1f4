"""Property protections at the API: what a caller sees and changes of an image's properties."""

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from aerostat.kit.errors import Forbidden
from aerostat.kit.http.route import Request
from aerostat.services.glance.model.image import OWN_PREFIX, Image
from aerostat.services.glance.protections import CREATE, DELETE, READ, UPDATE, Caller
from aerostat.services.glance.runtime import Glance


def seen(glance: Glance, req: Request[Any], image: Image) -> Image:
    """Return the image with the properties that the caller may read."""
    known, caller = glance.protections, _caller(req)
    if known is None:
        return image
    properties = {
        name: value
        for name, value in image.properties.items()
        if name.startswith(OWN_PREFIX) or known.permits(READ, name, caller)
    }
    return replace(image, properties=properties)


def check_new(glance: Glance, req: Request[Any], names: Iterable[str]) -> None:
    """Raises: Forbidden (a property that the caller may not create)."""
    for name in names:
        _check(glance, req, CREATE, name)


def changed(
    glance: Glance, req: Request[Any], image: Image, change: Callable[[Image], Image]
) -> Image:
    """Apply a change to what the caller sees of an image; what they do not see stays as it is.

    Raises: Forbidden (a property that the caller may not change so), and what `change` raises.
    """
    if glance.protections is None:
        return change(image)
    before = seen(glance, req, image)
    after = change(before)
    old, new = before.properties, after.properties
    check_new(glance, req, [name for name in new if name not in old])
    for name, value in old.items():
        if name not in new:
            _check(glance, req, DELETE, name)
        elif new[name] != value:
            _check(glance, req, UPDATE, name)
    hidden = {name: value for name, value in image.properties.items() if name not in old}
    return replace(after, properties={**hidden, **new})


def _check(glance: Glance, req: Request[Any], action: str, name: str) -> None:
    known = glance.protections
    if known is not None and not known.permits(action, name, _caller(req)):
        raise Forbidden(f"Attribute '{name}' is reserved.", field=name)


def _caller(req: Request[Any]) -> Caller:
    roles = [*req.ctx.roles, *req.ctx.extra.get("service_roles", ())]

    def passes(name: str) -> bool:
        rule = req.policy.named(name)
        return rule is not None and req.allows(rule)

    return Caller(frozenset(role.lower() for role in roles), passes)
