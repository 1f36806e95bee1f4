"""Domains, projects, users and groups: whom and where rights are given."""

from typing import Any

from msgspec import Struct

NO_DOMAIN = ""
"""The domain of domains."""


class Project(Struct, frozen=True):
    """A project; a domain is a project with `is_domain`, no domain and no parent."""

    id: str
    name: str
    domain_id: str
    parent_id: str
    is_domain: bool
    enabled: bool
    description: str
    tags: list[str]
    options: dict[str, Any]
    extra: dict[str, Any]


class User(Struct, frozen=True):
    """A user. `password_hash` is empty for one who has no password."""

    id: str
    name: str
    domain_id: str
    enabled: bool
    default_project_id: str
    password_hash: str
    password_expires_at: float | None
    options: dict[str, Any]
    extra: dict[str, Any]


class Group(Struct, frozen=True):
    """Users that hold rights together."""

    id: str
    name: str
    domain_id: str
    description: str
    extra: dict[str, Any]


class Membership(Struct, frozen=True):
    """A user in a group."""

    user_id: str
    group_id: str


class DomainOption(Struct, frozen=True):
    """An option that holds for one domain. Source: api-ref, "Domain configuration"."""

    domain_id: str
    option_group: str
    option: str
    value: Any
