"""The OpenAPI 3.1 document of an API, from the same declarations that serve it."""

import re
from typing import Any

import msgspec

from aerostat.kit.http.edge import ApiSpec
from aerostat.kit.http.route import Reply, Request, Route, Routes


def document(spec: ApiSpec) -> dict[str, Any]:
    """Return the OpenAPI document of every route of `spec`."""
    routes = spec.routes()
    bodies = [r.body for r in routes if r.body is not None]
    schemas, components = msgspec.json.schema_components(
        bodies, ref_template="#/components/schemas/{name}"
    )
    of_body = {id(body): found for body, found in zip(bodies, schemas, strict=True)}
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path or "/", {})[route.method.lower()] = _operation(route, of_body)
    newest = str(spec.versions.newest) if spec.versions else "1"
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{spec.name} (Aerostat)", "version": newest},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}
            },
        },
    }


def _operation(route: Route, of_body: dict[int, Any]) -> dict[str, Any]:
    doc = (route.handler.__doc__ or "").strip()
    names = re.findall(r"{(\w+)}", route.path)
    operation: dict[str, Any] = {
        "summary": doc.split("\n")[0],
        "responses": {str(route.status): {"description": "Success"}},
        "parameters": [
            {"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names
        ],
        "security": [] if route.public else [{"token": []}],
    }
    if route.policy is not None:
        operation["x-policy"] = route.policy.name
    for edge in ("since", "until"):
        if getattr(route, edge) is not None:
            operation[f"x-microversion-{edge}"] = str(getattr(route, edge))
    if route.body is not None:
        operation["requestBody"] = {
            "content": {"application/json": {"schema": of_body[id(route.body)]}}
        }
    return operation


def routes_for(spec_of: Any) -> Routes[Any]:
    """Return the route that serves /openapi.json; `spec_of()` gives the finished spec."""
    routes: Routes[Any] = Routes("openapi")
    made: list[bytes] = []

    @routes.get("/openapi.json", policy=None, public=True)
    async def show(_service: Any, _req: Request[None]) -> Reply:
        """Show this document."""
        if not made:
            made.append(msgspec.json.encode(document(spec_of())))
        return Reply(raw=made[0])

    return routes
