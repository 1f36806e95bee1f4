"""Values of attributes: each check returns the value in its one proper form, or says why not."""

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from aerostat.kit.ids import is_uuid

Check = Callable[[Any], Any]
"""Returns the value to store. Raises: ValueError with a sentence."""

_MAC = re.compile(r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")
_OPTION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9-]*$")
_LABEL = re.compile(r"^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$")


def text(most: int = 255) -> Check:
    """A string of `most` characters."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"'{value}' is not a valid string")
        if len(value) > most:
            raise ValueError(f"'{value[:40]}...' exceeds maximum length of {most}")
        return value

    return check


def optional(inner: Check) -> Check:
    """None, or what `inner` takes."""
    return lambda value: None if value is None else inner(value)


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word in ("true", "1"):
        return True
    if word in ("false", "0"):
        return False
    raise ValueError(f"'{value}' cannot be converted to boolean")


def integer(least: int | None = None, most: int | None = None) -> Check:
    """An integer, or a string of one."""

    def check(value: Any) -> int:
        try:
            number = int(value) if not isinstance(value, bool | float) else None
        except (TypeError, ValueError):
            number = None
        if number is None:
            raise ValueError(f"'{value}' is not an integer")
        if (least is not None and number < least) or (most is not None and number > most):
            raise ValueError(f"'{value}' is not in range {least} through {most}")
        return number

    return check


def one_of(*choices: Any) -> Check:
    def check(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"'{value}' is not in {list(choices)}")
        return value

    return check


def uuid(value: Any) -> str:
    if not isinstance(value, str) or not is_uuid(value):
        raise ValueError(f"'{value}' is not a valid UUID")
    return value


def ip(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(value if isinstance(value, str) else ""))
    except ValueError as why:
        raise ValueError(f"'{value}' is not a valid IP address") from why


def cidr(value: Any) -> str:
    """A network in CIDR notation; host bits are cleared."""
    try:
        if not isinstance(value, str) or "/" not in value:
            raise ValueError
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError as why:
        raise ValueError(f"'{value}' is not a valid IP subnet") from why


def ip_or_cidr(value: Any) -> str:
    return cidr(value) if isinstance(value, str) and "/" in value else ip(value)


def prefix(value: Any) -> str:
    """A remote prefix: a CIDR, or an address that means itself alone."""
    return str(ipaddress.ip_network(ip_or_cidr(value), strict=False))


def remote_prefix(value: Any) -> str:
    """A prefix as it was given, host bits included."""
    prefix(value)
    return str(ipaddress.ip_interface(value))


def mac(value: Any) -> str:
    try:
        digits = re.sub(r"[:.-]", "", value).lower()
    except TypeError as why:
        raise ValueError(f"'{value}' is not a valid MAC address") from why
    found = ":".join(digits[i : i + 2] for i in range(0, len(digits), 2))
    if not _MAC.match(found) or found == "00:00:00:00:00:00":
        raise ValueError(f"'{value}' is not a valid MAC address")
    return found


def list_of(inner: Check, *, unique: bool = True, most: int | None = None) -> Check:
    """A list; None is the empty one."""

    def check(value: Any) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise ValueError(f"'{value}' is not a list")
        out = [inner(item) for item in value]
        if unique and any(item in out[:i] for i, item in enumerate(out)):
            raise ValueError(f"Duplicate items in the list: '{value}'")
        if most is not None and len(out) > most:
            raise ValueError(f"more than {most} items")
        return out

    return check


def struct(required: dict[str, Check], other: dict[str, Check] | None = None) -> Check:
    """An object with these keys and no others."""
    known = {**required, **(other or {})}

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"'{value}' is not a dictionary")
        if unknown := [k for k in value if k not in known]:
            raise ValueError(f"Unexpected keys: {unknown}")
        if missing := [k for k in required if k not in value]:
            raise ValueError(f"Expected keys not found: {missing}")
        return {k: known[k](v) for k, v in value.items()}

    return check


def document(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"'{value}' is not a dictionary")
    return value


def dns_name(value: Any) -> str:
    name: str = text()(value or "")
    if name and not all(_LABEL.match(part) for part in name.removesuffix(".").split(".")):
        raise ValueError(f"'{value}' not a valid PQDN or FQDN")
    return name.lower()


def option_name(value: Any) -> str:
    """The name or number of a DHCP option."""
    name: str = text(64)(value)
    if not _OPTION.match(name):
        raise ValueError(f"'{value}' is not a valid DHCP option name")
    return name


def anything(value: Any) -> Any:
    return value


def no_control(inner: Check) -> Check:
    """What `inner` takes, without control characters: daemons' files will hold it."""

    def check(value: Any) -> Any:
        found = inner(value)
        if any(ord(c) < 32 or ord(c) == 127 for c in str(found)):
            raise ValueError("control characters are not allowed")
        return found

    return check
