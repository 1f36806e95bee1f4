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
