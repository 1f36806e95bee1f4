"""Bodies about roles."""

from msgspec import UNSET

from aerostat.kit.http.schema import Body, Open
from aerostat.services.keystone.schemas.fields import ID, NAME_255, Maybe, Options


class RoleNew(Open, frozen=True, kw_only=True):
    name: NAME_255  # type: ignore[valid-type]
    description: str | None = None
    domain_id: ID | None = None
    options: Options = {}


class RoleChanges(Open, frozen=True, kw_only=True):
    name: NAME_255 | Maybe = UNSET  # type: ignore[valid-type]
    description: str | None | Maybe = UNSET
    domain_id: ID | None | Maybe = UNSET
    options: Options | Maybe = UNSET


class RoleCreate(Body):
    role: RoleNew


class RoleUpdate(Body):
    role: RoleChanges
