"""/servers/{id}/os-interface: the ports of a server, plugged and unplugged while it runs."""

from typing import Any

from aerostat.contracts.network import BoundPort, RequestedNetwork
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Request, Routes
from aerostat.services.nova import policies
from aerostat.services.nova.domain import parts, rescuing, servers
from aerostat.services.nova.model.server import Server
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.actions import InterfaceBody

routes: Routes[Nova] = Routes("interfaces", "interface")
URL = "/servers/{server_id}/os-interface"


async def _server(nova: Nova, req: Request[Any], rule: Rule) -> Server:
    server = await servers.get(nova, req.ctx, req.path["server_id"])
    req.enforce(rule, {"project_id": server.project_id})
    return server


async def _port(nova: Nova, server: Server, port_id: str) -> BoundPort:
    for port in await nova.network.ports(server_id=server.uuid):
        if port.port_id == port_id:
            return port
    raise NotFound(f"Port {port_id} is not attached to {server.uuid}")


@routes.get(URL, policy=None)
async def index(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the ports of a server."""
    server = await _server(nova, req, policies.INTERFACES["list"])
    ports = await nova.network.ports(server_id=server.uuid)
    return {"interfaceAttachments": [parts.interface(p) for p in ports]}


@routes.get(URL + "/{port_id}", policy=None)
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a port of a server."""
    server = await _server(nova, req, policies.INTERFACES["show"])
    return {"interfaceAttachment": parts.interface(await _port(nova, server, req.path["port_id"]))}


@routes.post(URL, policy=None, body=InterfaceBody, status=200, tags=("interface",))
async def attach(nova: Nova, req: Request[InterfaceBody]) -> dict[str, Any]:
    """Give a server one more port, a new one or one that there is; it is plugged at once."""
    server = await _server(nova, req, policies.INTERFACES["create"])
    wanted = req.body.attachment
    if wanted.port_id is not None and wanted.net_id is not None:
        raise BadRequest("Must not input both network_id and port_id", field="port_id")
    if wanted.fixed_ips and wanted.net_id is None:
        raise BadRequest("Must input network_id when request IP address", field="net_id")
    address = wanted.fixed_ips[0].ip_address if wanted.fixed_ips else None
    nic = None
    if wanted.port_id is not None or wanted.net_id is not None:
        nic = RequestedNetwork(wanted.net_id, wanted.port_id, address, wanted.tag)
    port = await rescuing.attach(nova, req.ctx, server, nic)
    return {"interfaceAttachment": parts.interface(port)}


@routes.delete(URL + "/{port_id}", policy=None, status=202)
async def detach(nova: Nova, req: Request[None]) -> None:
    """Take a port from a server; one that was made for it is deleted."""
    server = await _server(nova, req, policies.INTERFACES["delete"])
    port = await _port(nova, server, req.path["port_id"])
    await rescuing.detach(nova, req.ctx, server, port)
