"""Regions, services, endpoints and the filters that choose among them."""

from typing import Any

from msgspec import Struct

INTERFACES = ("public", "internal", "admin")


class Region(Struct, frozen=True):
    """A region; regions make trees."""

    id: str
    description: str
    parent_region_id: str
    extra: dict[str, Any]


class Service(Struct, frozen=True):
    """A service of the cloud, such as compute."""

    id: str
    type: str
    name: str
    enabled: bool
    description: str
    extra: dict[str, Any]


class ServiceEndpoint(Struct, frozen=True):
    """Where a service answers. `url` may hold $(project_id)s and $(user_id)s."""

    id: str
    service_id: str
    region_id: str
    interface: str
    url: str
    enabled: bool
    extra: dict[str, Any]


class EndpointGroup(Struct, frozen=True):
    """Endpoints that match `filters` (interface, service_id, region_id, enabled)."""

    id: str
    name: str
    description: str
    filters: dict[str, Any]


class ProjectEndpoint(Struct, frozen=True):
    """An endpoint shown to a project. Source: OS-EP-FILTER."""

    project_id: str
    endpoint_id: str


class ProjectEndpointGroup(Struct, frozen=True):
    """An endpoint group shown to a project. Source: OS-EP-FILTER."""

    project_id: str
    endpoint_group_id: str


class PolicyBlob(Struct, frozen=True):
    """A policy document that keystone stores for others. Source: /v3/policies."""

    id: str
    type: str
    blob: Any
    extra: dict[str, Any]


class PolicyAssociation(Struct, frozen=True):
    """A policy for an endpoint, a service, or a service in a region; the rest is empty.

    Source: OS-ENDPOINT-POLICY.
    """

    endpoint_id: str
    service_id: str
    region_id: str
    policy_id: str


class Catalog(Struct, frozen=True):
    """The enabled services with their enabled endpoints."""

    entries: list[tuple[Service, list[ServiceEndpoint]]]


def is_template(url: str) -> bool:
    """Tell whether all is known that `url` wants filled in. Source: keystone, common/utils.py."""
    known = ("tenant_id", "project_id", "user_id", "compute_host", "public_endpoint")
    try:
        return bool(url.replace("$(", "%(") % dict.fromkeys(known, "x"))
    except (KeyError, TypeError, ValueError):
        return False


def substitute(url: str, project_id: str, user_id: str) -> str | None:
    """Return `url` for one project.

    None if it needs a project and there is none, or what nobody knows.
    """
    if "$(" not in url and "%(" not in url:
        return url
    if not is_template(url):
        return None
    for name, value in (
        ("project_id", project_id),
        ("tenant_id", project_id),
        ("user_id", user_id),
    ):
        for mark in (f"$({name})s", f"%({name})s"):
            if mark in url:
                if not value:
                    return None
                url = url.replace(mark, value)
    return url
