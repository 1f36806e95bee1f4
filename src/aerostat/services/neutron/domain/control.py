"""neutron-server as the hosts' agents see it."""

from typing import Any

from msgspec import structs
from sqlalchemy import select

from aerostat.contracts.compute import MetadataReply, metadata
from aerostat.kit.context import system_context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound
from aerostat.kit.ids import request_id
from aerostat.kit.log import Logger
from aerostat.services.neutron.agent.endpoint import AgentReport, MetadataRequest
from aerostat.services.neutron.db import tables as t
from aerostat.services.neutron.domain import agents, wanted
from aerostat.services.neutron.domain.notifier import Notifier
from aerostat.services.neutron.model.wanted import Wanted
from aerostat.services.neutron.runtime import Call, NeutronService

P, A = t.ports.c, t.addresses.c

log = Logger("neutron.agents")

CLOCK_OFF_S = 2.0
"""A host whose clock differs by more than this, a report's way included, should see to its NTP."""


def system_call(neutron: NeutronService) -> Call:
    """Return an operation that the cloud itself does."""
    return Call(system_context(request_id()), neutron, neutron.clock.now())


class Control:
    """Implements agent.endpoint.NetworkControl; from its making on, hosts are told of changes."""

    def __init__(self, neutron: NeutronService) -> None:
        self._neutron = neutron
        neutron.notify = Notifier(neutron.bus, self._apart)

    async def _apart(self, host: str) -> list[str]:
        return await self._neutron.db.read(agents.apart, host)

    async def wanted(self, *, host: str) -> Wanted:
        return await self._neutron.db.read(wanted.wanted, host, self._neutron.config)

    async def report(
        self, *, host: str, agents: list[AgentReport], ports_up: list[str] | None, now: float
    ) -> None:
        off_s = round(now - self._neutron.clock.now(), 1)
        if abs(off_s) > CLOCK_OFF_S:
            log.warning("host.clock_off", host=host, off_s=off_s)
            agents = [
                structs.replace(a, configurations={**a.configurations, "clock_off_s": off_s})
                for a in agents
            ]
        said = _reported(host, agents, ports_up)
        await self._neutron.db.write(_report, system_call(self._neutron), said)

    async def metadata(self, *, host: str, request: MetadataRequest) -> MetadataReply:
        server = await self._neutron.db.read(_server_at, request)
        stub = metadata.at(self._neutron.bus)
        return await stub.get(server_id=server, path=request.path, address=request.address)


def _reported(host: str, said: list[AgentReport], ports_up: list[str] | None) -> agents.Reported:
    return agents.Reported(host, said, ports_up)


def _report(tx: Tx, call: Call, said: agents.Reported) -> None:
    agents.report(tx, call, said)


def _server_at(tx: Tx, request: MetadataRequest) -> str:
    """Return the server whose port has the address. Raises: NotFound."""
    stmt = (
        select(P.device_id)
        .join_from(t.addresses, t.ports, A.port_id == P.id)
        .where(A.ip_address == request.address, P.device_owner.not_like("network:%"))
    )
    if request.network_id is not None:
        stmt = stmt.where(A.network_id == request.network_id)
    else:
        inner: Any = select(P.network_id).where(
            P.device_id == request.router_id, P.device_owner == "network:router_interface"
        )
        stmt = stmt.where(A.network_id.in_(inner))
    found = tx.scalar(stmt)
    if not found:
        raise NotFound(f"No server has the address {request.address} there")
    return str(found)
