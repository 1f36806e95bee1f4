"""What a domain's users and groups come from when that is not keystone's own database."""

import hashlib
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from aerostat.kit.errors import BadRequest

EntityType = Literal["user", "group"]

READ_ONLY = "LDAP does not support write operations"
"""What is said to who wants to change a directory. Source: keystone, identity/backends/ldap."""


class LdapConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The [ldap] options of a domain with upstream's names and defaults.

    Source: keystone, conf/ldap.py.
    """

    url: str = "ldap://localhost"
    user: str | None = None
    password: str | None = None
    suffix: str = "cn=example,cn=com"
    query_scope: Literal["one", "sub"] = "one"
    page_size: int = 0
    chase_referrals: bool = False
    connection_timeout: int = 5
    """Seconds until a connection or an answer is given up."""
    use_tls: bool = False
    """StartTLS on a ldap:// connection."""
    tls_cacertfile: str | None = None
    tls_req_cert: Literal["demand", "allow", "never"] = "demand"
    user_tree_dn: str | None = None
    user_filter: str | None = None
    user_objectclass: str = "inetOrgPerson"
    user_id_attribute: str = "cn"
    user_name_attribute: str = "sn"
    user_description_attribute: str = "description"
    user_mail_attribute: str = "mail"
    user_enabled_attribute: str = "enabled"
    user_enabled_mask: int = 0
    user_enabled_default: str = "True"
    user_enabled_invert: bool = False
    user_default_project_id_attribute: str | None = None
    user_attribute_ignore: tuple[str, ...] = ("default_project_id",)
    group_tree_dn: str | None = None
    group_filter: str | None = None
    group_objectclass: str = "groupOfNames"
    group_id_attribute: str = "cn"
    group_name_attribute: str = "ou"
    group_desc_attribute: str = "description"
    group_member_attribute: str = "member"
    group_members_are_ids: bool = False
    group_attribute_ignore: tuple[str, ...] = ()

    @property
    def user_tree(self) -> str:
        """The entry below which users are."""
        return self.user_tree_dn or f"ou=Users,{self.suffix}"

    @property
    def group_tree(self) -> str:
        """The entry below which groups are."""
        return self.group_tree_dn or f"ou=UserGroups,{self.suffix}"


def ldap_config(options: dict[str, Any]) -> LdapConfig:
    """Return [ldap] options read as what they mean: "FALSE" is false, "a,b" a list.

    Raises: BadRequest (a value that its option cannot have, or an unknown option).
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name in ("user_attribute_ignore", "group_attribute_ignore"):
        if isinstance(given.get(name), str):
            given[name] = [word.strip() for word in given[name].split(",") if word.strip()]
    try:
        config = msgspec.convert(given, LdapConfig, strict=False)
    except msgspec.ValidationError as why:
        raise BadRequest(f"Invalid value in group ldap: {why}", field="ldap") from why
    if config.chase_referrals:
        raise BadRequest(
            "chase_referrals can only be false: no referral is followed.", field="ldap"
        )
    return config


class DirectoryUser(Struct, frozen=True):
    """A user as a directory has it; `dn` is where, `local_id` what the directory calls it."""

    local_id: str
    name: str
    dn: str
    enabled: bool
    default_project_id: str
    extra: dict[str, Any]


class DirectoryGroup(Struct, frozen=True):
    """A group as a directory has it; `members` are DNs or local ids of users."""

    local_id: str
    name: str
    dn: str
    description: str
    members: tuple[str, ...]


class IdentityBackend(Protocol):
    """The users and groups of one domain that live outside keystone's database; read only.

    Every call raises Unavailable if the directory is out of reach or refuses to work.
    """

    async def users(self, name: str = "") -> list[DirectoryUser]:
        """Return all users, or those with this name."""

    async def user(self, local_id: str) -> DirectoryUser | None:
        """Return one user."""

    async def groups(self, name: str = "") -> list[DirectoryGroup]:
        """Return all groups, or those with this name."""

    async def group(self, local_id: str) -> DirectoryGroup | None:
        """Return one group."""

    async def groups_of(self, user: DirectoryUser) -> list[DirectoryGroup]:
        """Return the groups that a user is in."""

    async def members_of(self, group: DirectoryGroup) -> list[DirectoryUser]:
        """Return the users in a group."""

    async def check_password(self, user: DirectoryUser, password: str) -> bool:
        """Tell whether `password` is the user's; an empty one never is."""


class IdMapping(Struct, frozen=True):
    """Which entry of which domain's directory a public id means."""

    public_id: str
    domain_id: str
    local_id: str
    entity_type: EntityType


def id_mapping(domain_id: str, local_id: str, entity_type: EntityType) -> IdMapping:
    """Return the mapping with the id that upstream gives: SHA-256 over its three parts.

    Source: keystone, identity/id_generators/sha256.py; operators' ids stay when they come here.
    """
    text = f"{domain_id}{entity_type}{local_id}"
    return IdMapping(hashlib.sha256(text.encode()).hexdigest(), domain_id, local_id, entity_type)
