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
    created_at: float | None = None
    last_active_at: float | None = None


class PasswordRecord(Struct, frozen=True):
    """A password that a user has or had; `self_service`: the user chose it."""

    id: str
    user_id: str
    password_hash: str
    created_at: float
    self_service: bool


class LoginFailures(Struct, frozen=True):
    """Wrong passwords given for a user since the last right one, and when the last was."""

    user_id: str
    count: int
    last_at: float


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
