"""Bodies about domains, projects, users and groups."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, field

from aerostat.kit.http.schema import Body, Open
from aerostat.services.keystone.schemas.fields import ID, NAME_64, NAME_255, Maybe, Options

Tag = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^,/]*$")]
Tags = Annotated[list[Tag], Meta(max_length=80)]


def _check_tags(tags: Any) -> None:
    """Raises: ValueError (one of them twice)."""
    if tags is not UNSET and len(set(tags)) != len(tags):
        raise ValueError("tags has non-unique elements")


Password = Annotated[str, Meta(max_length=4096)]


class DomainNew(Open, kw_only=True):
    name: NAME_64
    description: str | None = None
    enabled: bool = True
    tags: Tags = field(default_factory=list)
    options: Options = field(default_factory=dict)
    explicit_domain_id: Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{32}$")] = ""

    def __post_init__(self) -> None:
        _check_tags(self.tags)


class DomainChanges(Open, kw_only=True):
    name: NAME_64 | Maybe = UNSET
    description: str | Maybe | None = UNSET
    enabled: bool | Maybe = UNSET
    tags: Tags | Maybe = UNSET
    options: Options | Maybe = UNSET

    def __post_init__(self) -> None:
        _check_tags(self.tags)


class DomainCreate(Body):
    domain: DomainNew


class DomainUpdate(Body):
    domain: DomainChanges


class ProjectNew(Open, kw_only=True):
    name: NAME_64
    description: str | None = None
    enabled: bool = True
    domain_id: ID | None = None
    parent_id: ID | None = None
    is_domain: bool = False
    tags: Tags = field(default_factory=list)
    options: Options = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check_tags(self.tags)


class ProjectChanges(Open, kw_only=True):
    name: NAME_64 | Maybe = UNSET
    description: str | Maybe | None = UNSET
    enabled: bool | Maybe = UNSET
    domain_id: ID | Maybe | None = UNSET
    parent_id: ID | Maybe | None = UNSET
    is_domain: bool | Maybe = UNSET
    tags: Tags | Maybe = UNSET
    options: Options | Maybe = UNSET

    def __post_init__(self) -> None:
        _check_tags(self.tags)


class ProjectCreate(Body):
    project: ProjectNew


class ProjectUpdate(Body):
    project: ProjectChanges


class TagsPut(Body):
    tags: Tags

    def __post_init__(self) -> None:
        _check_tags(self.tags)


class ProtocolOfUser(Open, kw_only=True):
    protocol_id: str
    unique_id: Annotated[str, Meta(min_length=1, max_length=255)]


class FederatedObject(Open, kw_only=True):
    idp_id: str
    protocols: Annotated[list[ProtocolOfUser], Meta(min_length=1)]


class UserNew(Open, kw_only=True):
    name: NAME_255
    password: Password | None = None
    enabled: bool = True
    domain_id: ID | None = None
    default_project_id: ID | None = None
    options: Options = field(default_factory=dict)
    federated: list[FederatedObject] = field(default_factory=list)


class UserChanges(Open, kw_only=True):
    name: NAME_255 | Maybe = UNSET
    password: Password | Maybe | None = UNSET
    enabled: bool | Maybe = UNSET
    domain_id: ID | Maybe | None = UNSET
    default_project_id: ID | Maybe | None = UNSET
    options: Options | Maybe = UNSET
    federated: list[FederatedObject] | Maybe = UNSET


class UserCreate(Body):
    user: UserNew


class UserUpdate(Body):
    user: UserChanges


class PasswordChange(Body):
    original_password: Password
    password: Password


class PasswordPost(Body):
    user: PasswordChange


class GroupNew(Open, kw_only=True):
    name: NAME_64
    description: str | None = None
    domain_id: ID | None = None


class GroupChanges(Open, kw_only=True):
    name: NAME_64 | Maybe = UNSET
    description: str | Maybe | None = UNSET
    domain_id: ID | Maybe | None = UNSET


class GroupCreate(Body):
    group: GroupNew


class GroupUpdate(Body):
    group: GroupChanges


class DomainConfigGroups(Body):
    config: dict[str, dict[str, Any]]


class DomainConfigOptions(Body):
    config: dict[str, Any]
