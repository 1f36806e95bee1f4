"""/auto-allocated-topology/{project}: asking for it makes it."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.kit.http.route import Request, Routes
from aerostat.services.neutron.api.resources import call_of
from aerostat.services.neutron.domain import auto_topology
from aerostat.services.neutron.model import faults
from aerostat.services.neutron.runtime import NeutronService

routes: Routes[NeutronService] = Routes("auto_allocated_topology")
URL = "/auto-allocated-topology/{project_id}"
DRY_RUN = "dry-run"


def _view(key: str, project: str) -> dict[str, Any]:
    return {"auto_allocated_topology": {"id": key, "tenant_id": project, "project_id": project}}


@routes.get(URL, policy=None)
async def show(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """Show the project's network, made now if need be; fields=dry-run tells if it could be."""
    call, fields = call_of(neutron, req), req.query.all("fields")
    project = auto_topology.project_of(call, req.path["project_id"], "get_auto_allocated_topology")
    if DRY_RUN in fields:
        await neutron.db.read(auto_topology.check, project)
        return _view("dry-run=pass", project)
    if fields:
        raise faults.bad("BadRequest", "Bad auto_allocate request: Unrecognized field.")

    def write(tx: Tx) -> str:
        return auto_topology.ensure(tx, call, project)

    return _view(await neutron.db.write(write), project)


@routes.delete(URL, policy=None)
async def delete(neutron: NeutronService, req: Request[None]) -> None:
    """Delete the project's network, its subnets and its router."""
    call = call_of(neutron, req)
    action = "delete_auto_allocated_topology"
    project = auto_topology.project_of(call, req.path["project_id"], action)
    await neutron.db.write(auto_topology.remove, call, project)
