"""The language of mappings: which rules are well-formed.

Source: keystone, "Mapping Combinations"; schema versions 1.0, 2.0 and 3.0.
"""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

VERSIONS = ("1.0", "2.0", "3.0")
"""2.0: `domain` beside a local user or project is the default one; 3.0: `projects_json`, and
roles that the provider no longer names are taken away."""


class _Strict(Struct, forbid_unknown_fields=True, kw_only=True):
    """Base of every part: unknown words are refused."""


class Domain(_Strict):
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class LocalUser(_Strict):
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET
    type: Literal["ephemeral", "local"] | UnsetType = UNSET


class LocalGroup(_Strict):
    id: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET


class RoleName(_Strict):
    name: str


class LocalProject(_Strict):
    name: str
    roles: list[RoleName]
    domain: Domain | UnsetType = UNSET


class Local(_Strict):
    user: LocalUser | UnsetType = UNSET
    group: LocalGroup | UnsetType = UNSET
    groups: str | UnsetType = UNSET
    group_ids: str | UnsetType = UNSET
    domain: Domain | UnsetType = UNSET
    projects: list[LocalProject] | UnsetType = UNSET
    projects_json: str | UnsetType = UNSET


class Remote(_Strict):
    type: str
    any_one_of: list[str] | UnsetType = UNSET
    not_any_of: list[str] | UnsetType = UNSET
    blacklist: list[str] | UnsetType = UNSET
    whitelist: list[str] | UnsetType = UNSET
    regex: bool | UnsetType = UNSET


class Rule(_Strict):
    local: list[Local]
    remote: Annotated[list[Remote], Meta(min_length=1)]


Rules = Annotated[list[Rule], Meta(min_length=1)]
CONDITIONS = ("any_one_of", "not_any_of", "blacklist", "whitelist")


def check(rules: list[dict[str, Any]], version: str) -> None:
    """Raises: ValueError, which says where the rules are not those of schema `version`."""
    if version not in VERSIONS:
        raise ValueError(f"schema_version must be one of {', '.join(VERSIONS)}")
    try:
        parsed = msgspec.convert(rules, Rules)
    except msgspec.ValidationError as why:
        raise ValueError(f"rules: {why}") from why
    for number, rule in enumerate(parsed):
        for local in rule.local:
            _check_local(local, version, f"rules[{number}].local")
        for remote in rule.remote:
            _check_remote(remote, f"rules[{number}].remote")


def projects_of(value: Any) -> list[dict[str, Any]]:
    """Return `value` as the projects that a provider names. Raises: ValueError."""
    try:
        return [_plain(p) for p in msgspec.convert(value, list[LocalProject])]
    except msgspec.ValidationError as why:
        raise ValueError(f"projects_json: {why}") from why


def _plain(item: Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(item)
    return plain


def _check_local(local: Local, version: str, where: str) -> None:
    group = local.group
    if group is not UNSET:
        by_id = group.id is not UNSET and group.name is UNSET and group.domain is UNSET
        by_name = group.name is not UNSET and group.domain is not UNSET and group.id is UNSET
        if not (by_id or by_name):
            raise ValueError(f"{where}.group: needs an id, or a name and a domain")
    if local.projects_json is not UNSET and version < "3.0":
        raise ValueError(f"{where}.projects_json: since schema_version 3.0")
    for project in [] if local.projects is UNSET else local.projects:
        if project.domain is not UNSET and version < "2.0":
            raise ValueError(f"{where}.projects.domain: since schema_version 2.0")


def _check_remote(remote: Remote, where: str) -> None:
    given = [name for name in CONDITIONS if getattr(remote, name) is not UNSET]
    if len(given) > 1:
        raise ValueError(f"{where}: {' and '.join(given)} exclude each other")
    if remote.regex is UNSET:
        return
    if not given:
        raise ValueError(f"{where}.regex: needs one of {', '.join(CONDITIONS)}")
    for pattern in getattr(remote, given[0]) if remote.regex else ():
        try:
            re.compile(pattern)
        except re.error as why:
            raise ValueError(f"{where}.{given[0]}: {pattern!r} is no regex: {why}") from why
