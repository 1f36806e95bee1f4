"""Options of users, roles, projects and domains: which there are, and what immutable means."""

from collections.abc import Callable, Mapping
from typing import Any

from aerostat.kit.errors import BadRequest, Forbidden

Check = Callable[[Any], bool]


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _rules(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(_rule(rule) for rule in value)
        and all(rule not in value[:i] for i, rule in enumerate(value))
    )


def _rule(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(method, str) for method in value) and len(set(value)) == len(value)


USER: Mapping[str, Check] = {
    "ignore_change_password_upon_first_use": _flag,
    "ignore_password_expiry": _flag,
    "ignore_lockout_failure_attempts": _flag,
    "lock_password": _flag,
    "ignore_user_inactivity": _flag,
    "multi_factor_auth_rules": _rules,
    "multi_factor_auth_enabled": _flag,
}
RESOURCE: Mapping[str, Check] = {"immutable": _flag}


def merged(
    known: Mapping[str, Check], before: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return `before` with what is `given`; null takes an option away. Raises: BadRequest."""
    for name, value in given.items():
        if name not in known:
            raise BadRequest(
                "Invalid input for field 'options': Additional properties are not allowed "
                f"('{name}' was unexpected)",
                field=f"options.{name}",
            )
        if value is not None and not known[name](value):
            raise BadRequest(f"Invalid input for field 'options/{name}'.", field=f"options.{name}")
    return {k: v for k, v in {**before, **given}.items() if v is not None}


def check_update(kind: str, item: Any, changes: Mapping[str, Any]) -> None:
    """Raises: Forbidden, if `item` is immutable and `changes` are more than ending that."""
    ending = "immutable" in (options := changes.get("options", {})) and not options["immutable"]
    named = [name for name, value in changes.items() if name != "extra" or value]
    if item.options.get("immutable") and not (ending and len(named) == 1):
        raise _forbidden("update", kind, item.id)


def check_delete(kind: str, item: Any) -> None:
    """Raises: Forbidden, if `item` is immutable."""
    if item.options.get("immutable"):
        raise _forbidden("delete", kind, item.id)


def _forbidden(verb: str, kind: str, item_id: str) -> Forbidden:
    return Forbidden(
        f'Unable to {verb} immutable {kind} resource: `{item_id}. Set resource option "immutable" '
        "to false first."
    )
