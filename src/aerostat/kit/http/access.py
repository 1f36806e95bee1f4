"""Access rules: an application credential may be limited to requests of certain shapes.

Source: keystone, "Application credentials with access rules".
"""

import re
from collections.abc import Iterable
from functools import lru_cache


def permitted(
    rules: Iterable[tuple[str, str, str]], service_type: str, method: str, path: str
) -> bool:
    """Tell whether one of `rules` (service, method, path) allows the request.

    In a path `*` and `{name}` stand for one segment, `**` for any number of them.
    """
    return any(
        service == service_type and verb == method and _pattern(shape).fullmatch(path)
        for service, verb, shape in rules
    )


@lru_cache(maxsize=1024)
def _pattern(shape: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*|\{[^}]*\})", shape)
    return re.compile("".join(_part(part) for part in parts))


def _part(part: str) -> str:
    if part == "**":
        return ".*"
    if part == "*" or (part.startswith("{") and part.endswith("}")):
        return "[^/]+"
    return re.escape(part)
