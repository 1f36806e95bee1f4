"""/routers, their interfaces and extra routes."""

from collections.abc import Callable
from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.services.neutron.api.resources import call_of, crud
from aerostat.services.neutron.domain import nouns, routers
from aerostat.services.neutron.domain.resources import found, shown
from aerostat.services.neutron.runtime import NeutronService
from aerostat.services.neutron.schemas.checks import list_of, uuid
from aerostat.services.neutron.schemas.nouns import ROUTE, ROUTER

routes: Routes[NeutronService] = crud("/routers", ROUTER, nouns.ROUTERS)
Verb = Callable[..., dict[str, Any]]


async def _interface(neutron: NeutronService, req: Request[Any], verb: Verb) -> dict[str, Any]:
    body = req.body if isinstance(req.body, dict) else {}
    for name in ("subnet_id", "port_id"):
        if body.get(name) is not None:
            try:
                uuid(body[name])
            except ValueError as why:
                raise BadRequest(f"Bad router request: {why}", code="BadRequest") from why
    call = call_of(neutron, req)

    def write(tx: Tx) -> dict[str, Any]:
        return verb(tx, call, found(tx, call, nouns.ROUTERS, req.path["id"]), body)

    return await neutron.db.write(write)


@routes.put("/routers/{id}/add_router_interface", policy=None, body=dict[str, Any])
async def add_interface(neutron: NeutronService, req: Request[Any]) -> dict[str, Any]:
    """Put a router on a subnet."""
    return await _interface(neutron, req, routers.add_interface)


@routes.put("/routers/{id}/remove_router_interface", policy=None, body=dict[str, Any])
async def remove_interface(neutron: NeutronService, req: Request[Any]) -> dict[str, Any]:
    """Take a router off a subnet."""
    return await _interface(neutron, req, routers.remove_interface)


async def _extra(neutron: NeutronService, req: Request[Any], *, add: bool) -> dict[str, Any]:
    try:
        wanted = list_of(ROUTE)(ROUTER.body(req.body).get("routes"))
    except ValueError as why:
        raise BadRequest(f"Invalid input for routes. Reason: {why}.", field="routes") from why
    call = call_of(neutron, req)

    def write(tx: Tx) -> dict[str, Any]:
        row = found(tx, call, nouns.ROUTERS, req.path["id"])
        routers.extra_routes(tx, call, row, wanted, add=add)
        return shown(tx, nouns.ROUTERS, row.id)

    return {"router": await neutron.db.write(write)}


@routes.put("/routers/{id}/add_extraroutes", policy=None, body=dict[str, Any])
async def add_routes(neutron: NeutronService, req: Request[Any]) -> dict[str, Any]:
    """Add some routes."""
    return await _extra(neutron, req, add=True)


@routes.put("/routers/{id}/remove_extraroutes", policy=None, body=dict[str, Any])
async def remove_routes(neutron: NeutronService, req: Request[Any]) -> dict[str, Any]:
    """Remove some routes."""
    return await _extra(neutron, req, add=False)
