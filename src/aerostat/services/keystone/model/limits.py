"""Unified limits: defaults per service and what a project or domain has instead."""

from msgspec import Struct


class RegisteredLimit(Struct, frozen=True):
    """The default limit of a resource of a service, in all regions or in one."""

    id: str
    service_id: str
    region_id: str
    resource_name: str
    default_limit: int
    description: str | None


class Limit(Struct, frozen=True):
    """The limit of one project or domain where it differs from the registered one."""

    id: str
    project_id: str
    domain_id: str
    service_id: str
    region_id: str
    resource_name: str
    resource_limit: int
    description: str | None


UNLIMITED = -1
MODELS = {
    "flat": "Limit enforcement and validation does not take project hierarchy into consideration.",
    "strict_two_level": "This model requires project hierarchy never exceeds a depth of two.",
}
"""How limits of a tree relate, as told to clients."""


def within(limit: int, above: int) -> bool:
    """Tell whether `limit` is no more than `above`; -1 is no limit."""
    return above == UNLIMITED or (limit != UNLIMITED and limit <= above)
