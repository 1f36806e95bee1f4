"""Finds the route of a request: a tree of path segments, so the cost is the path's length."""

from urllib.parse import unquote

from aerostat.kit.http.microversion import Version
from aerostat.kit.http.route import Route


class _Node:
    __slots__ = ("children", "param", "routes")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.param: tuple[str, _Node] | None = None
        self.routes: dict[str, list[Route]] = {}


class Router:
    """Literal segments win over parameters; a parameter never matches an empty segment.

    `exact`: a slash at the end of more than one segment makes it another path.
    """

    def __init__(self, *, exact: bool = False) -> None:
        self._root, self._exact = _Node(), exact
        self._fixed: dict[str, _Node] = {}

    def add(self, route: Route) -> None:
        """Make `route` findable. Two nouns must name a parameter at one place alike."""
        node = self._root
        for segment in _split(route.path):
            if segment.startswith("{"):
                name = segment[1:-1]
                if node.param is None:
                    node.param = (name, _Node())
                assert node.param[0] == name, f"{route.path}: {node.param[0]} is the name here"
                node = node.param[1]
            else:
                node = node.children.setdefault(segment, _Node())
        node.routes.setdefault(route.method, []).append(route)
        if "{" not in route.path:
            self._fixed[route.path] = node

    def find(self, path: str) -> tuple[dict[str, list[Route]], dict[str, str]] | None:
        """Return the routes at `path` by method, and its parameters; None if there are none."""
        if (fixed := self._fixed.get(path)) is not None:
            return fixed.routes, {}
        params: dict[str, str] = {}
        segments = _split(path)
        if self._exact and path.endswith("/") and len(segments) > 1:
            return None
        node = _descend(self._root, segments, 0, params)
        return None if node is None else (node.routes, params)


def _split(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _descend(node: _Node, segments: list[str], at: int, params: dict[str, str]) -> _Node | None:
    if at == len(segments):
        return node if node.routes else None
    segment = segments[at]
    child = node.children.get(segment)
    if child is not None:
        found = _descend(child, segments, at + 1, params)
        if found is not None:
            return found
    if node.param is not None:
        name, below = node.param
        found = _descend(below, segments, at + 1, params)
        if found is not None:
            params[name] = unquote(segment) if "%" in segment else segment
            return found
    return None


def choose(routes: list[Route], version: Version) -> Route | None:
    """Return the route whose version range holds `version`."""
    for route in routes:
        if (route.since is None or version >= route.since) and (
            route.until is None or version <= route.until
        ):
            return route
    return None
