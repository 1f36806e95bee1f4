"""What a mapping makes of what an identity provider said.

Source: keystone, "Mapping Combinations". Values are lists from the beginning: upstream splits
text at every `;`, so that a name with one in it becomes two groups.
"""

import ast
import json
import re
from collections.abc import Mapping as ReadOnly
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from aerostat.services.keystone.model.federation import Mapping
from aerostat.services.keystone.model.mapping_rules import projects_of

Attributes = ReadOnly[str, Sequence[str]]
Value = str | list[str]

JSON_GROUP = "JSON:"
"""What begins a value that is a group with its domain, as keystone tells keystone."""


class MappingFailed(ValueError):
    """The rules make nobody of these attributes, or cannot be applied to them."""


class GroupName(Struct, frozen=True):
    """A group by name, with its domain by id or else by name."""

    name: str
    domain_id: str
    domain_name: str


class Mapped(Struct, frozen=True):
    """Who somebody is here: a user, groups, and projects with roles."""

    user: dict[str, Any]
    group_ids: list[str]
    group_names: list[GroupName]
    projects: list[dict[str, Any]]
    schema_version: str = "1.0"


class _Found(Struct):
    user: dict[str, Any] = field(default_factory=dict)
    group_ids: dict[str, None] = field(default_factory=dict)
    group_names: dict[GroupName, None] = field(default_factory=dict)
    projects: list[dict[str, Any]] = field(default_factory=list)


def apply(mapping: Mapping, attributes: Attributes) -> Mapped:
    """Return what `mapping` makes of `attributes`. Raises: MappingFailed."""
    locals_ = [
        _filled(mapping, local, maps)
        for rule in mapping.rules
        if (maps := _direct_maps(rule["remote"], attributes)) is not None
        for local in rule["local"]
    ]
    if not locals_:
        raise MappingFailed("Could not map any federated user properties to identity values.")
    found = _Found()
    for local in locals_:
        _take(found, local, mapping.schema_version)
    user = {"type": "ephemeral", **found.user}
    if mapping.schema_version >= "2.0" and not user.get("domain") and locals_[-1].get("domain"):
        user["domain"] = locals_[-1]["domain"]
    return Mapped(
        user,
        list(found.group_ids),
        list(found.group_names),
        found.projects,
        mapping.schema_version,
    )


def _direct_maps(remote: Sequence[dict[str, Any]], attributes: Attributes) -> list[Value] | None:
    """Return what {0}, {1}... stand for, or None if the rule does not apply."""
    maps: list[Value] = []
    for wanted in remote:
        values = list(attributes.get(wanted["type"], ()))
        if not values:
            return None
        regex = bool(wanted.get("regex"))
        if "any_one_of" in wanted:
            if not _matching(wanted["any_one_of"], values, regex):
                return None
        elif "not_any_of" in wanted:
            if _matching(wanted["not_any_of"], values, regex):
                return None
        elif "blacklist" in wanted:
            refused = _matching(wanted["blacklist"], values, regex)
            maps.append([v for v in values if v not in refused])
        elif "whitelist" in wanted:
            maps.append(_matching(wanted["whitelist"], values, regex))
        else:
            maps.append(values[0] if len(values) == 1 else values)
    return maps


def _matching(patterns: Sequence[str], values: Sequence[str], regex: bool) -> list[str]:
    unique = dict.fromkeys(values)
    if not regex:
        return [v for v in unique if v in patterns]
    return [v for v in unique if any(re.search(pattern, v) for pattern in patterns)]


_PLACE = re.compile(r"\{\{|\}\}|\{(\d+)\}")


def _filled(mapping: Mapping, local: Any, maps: Sequence[Value]) -> Any:
    """Return `local` with values in the places of {0}, {1}...; a list stays one if it is all."""
    if isinstance(local, dict):
        return {name: _filled(mapping, part, maps) for name, part in local.items()}
    if isinstance(local, list):
        return [_filled(mapping, part, maps) for part in local]
    whole = _PLACE.fullmatch(local)
    if whole and whole[1]:
        return _value(mapping, maps, whole[1])
    return _PLACE.sub(lambda m: _text(_value(mapping, maps, m[1])) if m[1] else m[0][0], local)


def _value(mapping: Mapping, maps: Sequence[Value], number: str) -> Value:
    try:
        value = maps[int(number)]
    except IndexError as why:
        raise MappingFailed(
            f"Local section in mapping {mapping.id} refers to a remote match that doesn't exist "
            f"(e.g. {{{number}}} in a local section)."
        ) from why
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _take(found: _Found, local: dict[str, Any], version: str) -> None:
    if local.get("user") and not found.user:
        found.user = {name: _plain(part) for name, part in local["user"].items()}
    group = local.get("group", {})
    if "id" in group:
        found.group_ids[_text(group["id"])] = None
    elif "name" in group:
        found.group_names[_group(_text(group["name"]), group["domain"])] = None
    if "groups" in local:
        found.group_names.update(dict.fromkeys(_groups(local)))
    if "group_ids" in local:
        found.group_ids.update(dict.fromkeys(_listed(local["group_ids"])))
    if "projects" in local or "projects_json" in local:
        found.projects = _projects(local, version)


def _plain(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _text(value) for name, value in part.items()}
    return _text(part)


def _listed(value: Value) -> list[str]:
    """Return the values; an operator's "['a', 'b']" is a list too, as upstream."""
    if isinstance(value, list):
        return value
    if not value.startswith("["):
        return [value]
    try:
        parsed = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return [value]
    return [str(v) for v in parsed] if isinstance(parsed, list) else [value]


def _groups(local: dict[str, Any]) -> list[GroupName]:
    values = _listed(local["groups"])
    if not values and not local.get("domain"):
        raise MappingFailed(NO_DOMAIN)
    return [_named(value, local) for value in values]


NO_DOMAIN = "Invalid rule: Both 'groups' and 'domain' keywords must be specified."


def _named(value: str, local: dict[str, Any]) -> GroupName:
    if not value.startswith(JSON_GROUP):
        if not local.get("domain"):
            raise MappingFailed(NO_DOMAIN)
        return _group(value, local["domain"])
    try:
        group = json.loads(value.removeprefix(JSON_GROUP))
        return _group(str(group["name"]), dict(group["domain"]))
    except (ValueError, KeyError, TypeError, RecursionError) as why:
        raise MappingFailed(f"A group is not a JSON object with name and domain: {why!r}") from why


def _group(name: str, domain: dict[str, Any]) -> GroupName:
    return GroupName(name, _text(domain.get("id", "")), _text(domain.get("name", "")))


def _projects(local: dict[str, Any], version: str) -> list[dict[str, Any]]:
    projects = [_project(p) for p in local.get("projects", [])]
    if "projects_json" in local:
        try:
            projects += projects_of(json.loads(_text(local["projects_json"])))
        except (ValueError, RecursionError) as why:
            raise MappingFailed(f"projects_json: {why}") from why
    if version >= "2.0" and local.get("domain"):
        projects = [{"domain": local["domain"], **p} for p in projects]
    return projects


def _project(project: dict[str, Any]) -> dict[str, Any]:
    roles = [{"name": _text(role["name"])} for role in project["roles"]]
    shown = {"name": _text(project["name"]), "roles": roles}
    return {**shown, "domain": _plain(project["domain"])} if project.get("domain") else shown


def split(said: ReadOnly[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return attributes as Apache's modules pass them on: text with `;` between values.

    What is no text is left out, as upstream.
    """
    return {name: tuple(v.split(";")) for name, v in said.items() if isinstance(v, str)}
