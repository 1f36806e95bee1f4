"""Bodies about domains, projects, users and groups."""

from typing import Annotated

from msgspec import UNSET, Meta

from aerostat.kit.http.schema import Body, Open
from aerostat.services.keystone.schemas.fields import ID, NAME_64, NAME_255, Maybe, Options

Tag = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^,/]*$")]
Tags = Annotated[list[Tag], Meta(max_length=80)]
Password = Annotated[str, Meta(max_length=4096)]


class DomainNew(Open, frozen=True, kw_only=True):
    name: NAME_64  # type: ignore[valid-type]
    description: str | None = None
    enabled: bool = True
    tags: Tags = []
    options: Options = {}
    explicit_domain_id: Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{32}$")] = ""


class DomainChanges(Open, frozen=True, kw_only=True):
    name: NAME_64 | Maybe = UNSET  # type: ignore[valid-type]
    description: str | None | Maybe = UNSET
    enabled: bool | Maybe = UNSET
    tags: Tags | Maybe = UNSET
    options: Options | Maybe = UNSET


class DomainCreate(Body):
    domain: DomainNew


class DomainUpdate(Body):
    domain: DomainChanges


class ProjectNew(Open, frozen=True, kw_only=True):
    name: NAME_64  # type: ignore[valid-type]
    description: str | None = None
    enabled: bool = True
    domain_id: ID | None = None
    parent_id: ID | None = None
    is_domain: bool = False
    tags: Tags = []
    options: Options = {}


class ProjectChanges(Open, frozen=True, kw_only=True):
    name: NAME_64 | Maybe = UNSET  # type: ignore[valid-type]
    description: str | None | Maybe = UNSET
    enabled: bool | Maybe = UNSET
    domain_id: ID | None | Maybe = UNSET
    parent_id: ID | None | Maybe = UNSET
    is_domain: bool | Maybe = UNSET
    tags: Tags | Maybe = UNSET
    options: Options | Maybe = UNSET


class ProjectCreate(Body):
    project: ProjectNew


class ProjectUpdate(Body):
    project: ProjectChanges


class TagsPut(Body):
    tags: Tags


class UserNew(Open, frozen=True, kw_only=True):
    name: NAME_255  # type: ignore[valid-type]
    password: Password | None = None
    enabled: bool = True
    domain_id: ID | None = None
    default_project_id: ID | None = None
    options: Options = {}


class UserChanges(Open, frozen=True, kw_only=True):
    name: NAME_255 | Maybe = UNSET  # type: ignore[valid-type]
    password: Password | None | Maybe = UNSET
    enabled: bool | Maybe = UNSET
    domain_id: ID | None | Maybe = UNSET
    default_project_id: ID | None | Maybe = UNSET
    options: Options | Maybe = UNSET


class UserCreate(Body):
    user: UserNew


class UserUpdate(Body):
    user: UserChanges


class PasswordChange(Body):
    original_password: Password
    password: Password


class PasswordPost(Body):
    user: PasswordChange


class GroupNew(Open, frozen=True, kw_only=True):
    name: NAME_64  # type: ignore[valid-type]
    description: str | None = None
    domain_id: ID | None = None


class GroupChanges(Open, frozen=True, kw_only=True):
    name: NAME_64 | Maybe = UNSET  # type: ignore[valid-type]
    description: str | None | Maybe = UNSET
    domain_id: ID | None | Maybe = UNSET


class GroupCreate(Body):
    group: GroupNew


class GroupUpdate(Body):
    group: GroupChanges
