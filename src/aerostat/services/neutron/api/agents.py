"""/agents, and which networks and routers they have."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.neutron import policies
from aerostat.services.neutron.api.resources import PAGING, Shown, call_of, nothing
from aerostat.services.neutron.domain import agents, scheduling
from aerostat.services.neutron.runtime import NeutronService
from aerostat.services.neutron.schemas.checks import boolean

routes: Routes[NeutronService] = Routes("agents")
GET, UPDATE = policies.BY_NAME["get_agent"], policies.BY_NAME["update_agent"]


@routes.get("/agents", policy=None)
async def index(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """List the agents that the caller may see."""
    if not req.allows(GET):
        return {"agents": []}
    filters = {name: values for name, values in req.query.items() if name not in PAGING}
    found = await neutron.db.read(agents.index, call_of(neutron, req), filters)
    shown = Shown(req, "agent")
    return {"agents": [shown.of(one) for one in found]}


@routes.get("/agents/{id}", policy=GET)
async def show(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
    """Show an agent."""
    call = call_of(neutron, req)
    row = await neutron.db.read(agents.get, req.path["id"])
    return {"agent": Shown(req, "agent").of(agents.view(call, row))}


@routes.put("/agents/{id}", policy=UPDATE, body=dict[str, Any])
async def update(neutron: NeutronService, req: Request[dict[str, Any]]) -> dict[str, Any]:
    """Change the description or the administrative state."""
    given = req.body.get("agent")
    if not isinstance(given, dict) or not given.keys() <= {"admin_state_up", "description"}:
        raise BadRequest("Only admin_state_up and description of an agent can be changed")
    values = dict(given)
    if "admin_state_up" in values:
        values["admin_state_up"] = boolean(values["admin_state_up"])
    call = call_of(neutron, req)
    return {"agent": await neutron.db.write(agents.change, call, req.path["id"], values)}


@routes.delete("/agents/{id}", policy=policies.BY_NAME["delete_agent"])
async def delete(neutron: NeutronService, req: Request[None]) -> None:
    """Forget an agent; one that lives reports again."""
    await neutron.db.write(agents.remove, req.path["id"])


def _list(url: str, rule: str, key: str, read: Any) -> None:
    @routes.get(url, policy=policies.BY_NAME[rule])
    async def handler(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
        call = call_of(neutron, req)

        def inside(tx: Tx) -> Any:
            return read(tx, call, req.path["id"])

        return {key: await neutron.db.read(inside)}


_list("/agents/{id}/dhcp-networks", "get_dhcp-networks", "networks", scheduling.networks_of)
_list("/agents/{id}/l3-routers", "get_l3-routers", "routers", scheduling.routers_of)
_list("/networks/{id}/dhcp-agents", "get_dhcp-agents", "agents", scheduling.dhcp_agents)
_list("/routers/{id}/l3-agents", "get_l3-agents", "agents", scheduling.l3_agents)


def _assign(url: str, key: str, rules: tuple[str, str], verbs: tuple[Any, Any]) -> None:
    create, delete = (policies.BY_NAME[rule] for rule in rules)
    add, drop = verbs

    @routes.post(url, policy=create, body=dict[str, Any])
    async def assign(neutron: NeutronService, req: Request[dict[str, Any]]) -> Reply:
        call, wanted = call_of(neutron, req), req.body.get(key)
        if not isinstance(wanted, str):
            raise BadRequest(f"'{key}' is required", field=key)
        await neutron.db.write(add, call, req.path["id"], wanted)
        return nothing()

    @routes.delete(url + "/{other}", policy=delete)
    async def dismiss(neutron: NeutronService, req: Request[None]) -> None:
        call = call_of(neutron, req)
        await neutron.db.write(drop, call, req.path["id"], req.path["other"])


_assign(
    "/agents/{id}/dhcp-networks",
    "network_id",
    ("create_dhcp-network", "delete_dhcp-network"),
    (scheduling.add_network, scheduling.remove_network),
)
_assign(
    "/agents/{id}/l3-routers",
    "router_id",
    ("create_l3-router", "delete_l3-router"),
    (scheduling.add_router, scheduling.remove_router),
)
