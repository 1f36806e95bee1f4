"""What neutron does for the other services."""

from aerostat.contracts.network import (
    Asker,
    BoundPort,
    Doc,
    PortOwner,
    RequestedNetwork,
    ServerAddress,
)
from aerostat.kit.db.engine import Tx
from aerostat.kit.ids import request_id
from aerostat.services.neutron.agent.endpoint import network_host
from aerostat.services.neutron.domain import (
    notices,
    nouns,
    server_groups,
    server_moves,
    server_views,
    servers,
    verbs,
)
from aerostat.services.neutron.domain.control import Control, system_call
from aerostat.services.neutron.model.listing import Listing
from aerostat.services.neutron.runtime import Call, NeutronService
from aerostat.services.neutron.schemas import nouns as schemas

__all__ = ["Control", "NetworkProvider"]


NOUNS = {
    "security_group": (nouns.GROUPS, schemas.GROUP),
    "security_group_rule": (nouns.RULES, schemas.RULE),
    "floatingip": (nouns.FLOATINGS, schemas.FLOATING),
    "port": (nouns.PORTS, schemas.PORT),
    "network": (nouns.NETWORKS, schemas.NETWORK),
}


class NetworkProvider:
    """Implements contracts.network.Network over this service's own tables."""

    def __init__(self, neutron: NeutronService) -> None:
        self._neutron, self._db = neutron, neutron.db

    async def check(
        self,
        *,
        project_id: str,
        is_admin: bool,
        requested: list[RequestedNetwork] | None,
        security_groups: list[str],
        count: int,
    ) -> list[RequestedNetwork]:
        """Return the NICs that `requested` means."""
        ctx = servers.member_context(project_id, is_admin=is_admin, request=request_id())
        call = Call(ctx, self._neutron, self._neutron.clock.now())
        return await self._db.write(servers.check, call, requested, security_groups, count)

    async def ensure_ports(
        self,
        *,
        server_id: str,
        project_id: str,
        host: str,
        availability_zone: str,
        hostname: str,
        requested: list[RequestedNetwork],
        security_groups: list[str],
    ) -> list[BoundPort]:
        """Make or adopt the server's ports, in order, and bind them to `host`."""
        call = system_call(self._neutron)
        wish = servers.Wish(server_id, project_id, host, availability_zone, hostname)

        def write(tx: Tx) -> list[BoundPort]:
            servers.ensure(tx, call, wish, requested, security_groups)
            return server_views.bound_ports(tx, server_id)

        return await self._db.write(write)

    async def wire(self, *, server_id: str, host: str) -> None:
        """Return when the agents on `host` have everything ready for the server's ports."""

        def read(tx: Tx) -> tuple[list[str], int]:
            found = server_moves.check_wireable(tx, server_id, host)
            return [row.id for row in found], notices.revision(tx)

        port_ids, revision = await self._db.read(read)
        if port_ids:
            timeout_s = self._neutron.config.wire_timeout_s
            agent = network_host.at(self._neutron.bus, host, timeout_s=timeout_s)
            await agent.ensure(port_ids=port_ids, revision=revision)

    async def ports(self, *, server_id: str) -> list[BoundPort]:
        """Return the ports of a server, in the order they were made."""
        return await self._db.read(server_views.bound_ports, server_id)

    async def prepare_ports(self, *, server_id: str, host: str) -> list[BoundPort]:
        """Let a second host have what the server's ports need; return them as they are there."""
        call = system_call(self._neutron)

        def write(tx: Tx) -> list[BoundPort]:
            server_moves.prepare(tx, call, server_id, host)
            return server_views.bound_ports(tx, server_id, host)

        return await self._db.write(write)

    async def move_ports(self, *, server_id: str, host: str) -> list[BoundPort]:
        """Bind the server's ports to `host` alone, and return them."""
        call = system_call(self._neutron)

        def write(tx: Tx) -> list[BoundPort]:
            server_moves.move(tx, call, server_id, host)
            return server_views.bound_ports(tx, server_id)

        return await self._db.write(write)

    async def unbind_ports(self, *, server_id: str) -> None:
        """Bind the server's ports to no host; they stay the server's."""
        await self._db.write(server_moves.unbind, system_call(self._neutron), server_id)

    async def attach_port(
        self, *, server: PortOwner, requested: RequestedNetwork, port_id: str = ""
    ) -> BoundPort:
        """Make or adopt one more port for a server."""
        call = system_call(self._neutron)
        s = server
        wish = servers.Wish(s.server_id, s.project_id, s.host, s.availability_zone, s.hostname)

        def write(tx: Tx) -> BoundPort:
            given = server_moves.attach(tx, call, wish, requested, port_id)
            found = server_views.bound_ports(tx, s.server_id)
            return next(port for port in found if port.port_id == given)

        return await self._db.write(write)

    async def detach_port(self, *, server_id: str, port_id: str) -> None:
        """Delete a port made for the server, or let go of an adopted one."""
        call = system_call(self._neutron)
        await self._db.write(server_moves.detach, call, server_id, port_id)

    async def release_ports(self, *, server_id: str) -> None:
        """Delete the ports made for the server and let go of the adopted ones."""
        await self._db.write(servers.release, system_call(self._neutron), server_id)

    async def holders(self) -> list[str]:
        """Return the servers that have ports."""
        return await self._db.read(servers.holders)

    async def addresses(self, *, server_ids: list[str]) -> dict[str, list[ServerAddress]]:
        """Return the addresses of many servers at once, fixed then floating."""
        return await self._db.read(server_views.addresses, server_ids)

    async def security_groups(self, *, server_ids: list[str]) -> dict[str, list[str]]:
        """Return the security group names of many servers at once."""
        return await self._db.read(server_views.group_names, server_ids)

    async def add_security_group(self, *, server_id: str, project_id: str, name: str) -> None:
        """Put every port of the server into a group."""
        call = system_call(self._neutron)
        await self._db.write(server_groups.add, call, server_id, project_id, name)

    async def remove_security_group(self, *, server_id: str, project_id: str, name: str) -> None:
        """Take every port of the server out of a group."""
        call = system_call(self._neutron)
        await self._db.write(server_groups.remove, call, server_id, project_id, name)

    async def find(self, *, asker: Asker, noun: str, filters: dict[str, str]) -> list[Doc]:
        """Return what the asker sees of a noun."""
        ask = Listing({name: [value] for name, value in filters.items()})
        return await verbs.index(self._neutron, self._call(asker), NOUNS[noun][0], ask)

    async def make(self, *, asker: Asker, noun: str, values: Doc) -> Doc:
        """Make a resource of the asker's project as neutron's API would."""
        kind, schema = NOUNS[noun]
        items = [(schema.create(values), set(values))]
        return (await verbs.create(self._neutron, self._call(asker), kind, items))[0]

    async def change(self, *, asker: Asker, noun: str, key: str, values: Doc) -> Doc:
        """Change a resource."""
        kind, schema = NOUNS[noun]
        changed = schema.update(values)
        return await verbs.update(self._neutron, self._call(asker), kind, (key, None), changed)

    async def remove(self, *, asker: Asker, noun: str, key: str) -> None:
        """Delete a resource."""
        await verbs.delete(self._neutron, self._call(asker), NOUNS[noun][0], (key, None))

    def _call(self, asker: Asker) -> Call:
        project, admin = asker.project_id, asker.is_admin
        ctx = servers.member_context(project, is_admin=admin, request=request_id())
        return Call(ctx, self._neutron, self._neutron.clock.now())
