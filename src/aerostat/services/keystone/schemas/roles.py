"""Bodies about roles."""

from msgspec import UNSET, field

from aerostat.kit.http.schema import Body, Open
from aerostat.services.keystone.schemas.fields import ID, NAME_255, Maybe, Options


class RoleNew(Open, kw_only=True):
    name: NAME_255
    description: str | None = None
    domain_id: ID | None = None
    options: Options = field(default_factory=dict)


class RoleChanges(Open, kw_only=True):
    name: NAME_255 | Maybe = UNSET
    description: str | Maybe | None = UNSET
    domain_id: ID | Maybe | None = UNSET
    options: Options | Maybe = UNSET


class RoleCreate(Body):
    role: RoleNew


class RoleUpdate(Body):
    role: RoleChanges
