"""Who may create, read, update and delete which custom properties of images.

Source: glance documentation, "Property protections" (property_protection_file).
"""

import configparser
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from aerostat.kit.errors import BadRequest

CREATE, READ, UPDATE, DELETE = ACTIONS = ("create", "read", "update", "delete")
EVERYBODY, NOBODY = "@", "!"


class Caller(Struct, frozen=True):
    """Who acts: roles in lower case, and whether a policy rule lets them through."""

    roles: Collection[str]
    passes: Callable[[str], bool]


class Protection(Struct, frozen=True):
    """Who may do what to properties whose names have `pattern` in them: roles, or policy rules."""

    pattern: re.Pattern[str]
    permitted: Mapping[str, tuple[str, ...]]


class Protections:
    """The protections of a file; the first that fits a name decides, none that fits: nobody."""

    def __init__(self, protections: Sequence[Protection], *, by_policy: bool) -> None:
        self._protections, self._by_policy = protections, by_policy

    def permits(self, action: str, name: str, caller: Caller) -> bool:
        """Tell whether the caller may do that to the property."""
        found = next((p for p in self._protections if p.pattern.search(name)), None)
        named = found.permitted[action] if found is not None else ()
        if NOBODY in named:
            return False
        if EVERYBODY in named:
            return True
        if self._by_policy:
            return any(caller.passes(rule) for rule in named)
        return any(role.lower() in caller.roles for role in named)


def load(path: Path, rule_format: str) -> Protections:
    """Return what a file says. Raises: BadRequest (it is not there, or wrong)."""
    parser = configparser.ConfigParser()
    try:
        with path.open() as file:
            parser.read_file(file)
        found = [
            Protection(re.compile(name), {a: _listed(parser.get(name, a)) for a in ACTIONS})
            for name in parser.sections()
        ]
    except (OSError, configparser.Error, re.error) as why:
        raise _wrong(path, str(why)) from why
    by_policy = rule_format == "policies"
    for one in found:
        for named in one.permitted.values():
            if {EVERYBODY, NOBODY} <= set(named):
                raise _wrong(path, f"[{one.pattern.pattern}]: @ and ! exclude each other")
            if by_policy and len(named) > 1:
                raise _wrong(path, f"[{one.pattern.pattern}]: more than one policy rule")
    return Protections(found, by_policy=by_policy)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _wrong(path: Path, why: str) -> BadRequest:
    return BadRequest(f"property_protection_file {path}: {why}", field="property_protection_file")
