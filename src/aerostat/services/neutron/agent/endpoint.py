"""The two ends of neutron on the bus: the host's, and the server's as hosts see it."""

from typing import Protocol

from msgspec import Struct

from aerostat.contracts.compute import MetadataReply
from aerostat.kit.bus.endpoint import Endpoint
from aerostat.services.neutron.config import AGENTS
from aerostat.services.neutron.model.wanted import Wanted


class AgentReport(Struct, frozen=True):
    """One line of the agents list. Source: api-ref, agents.

    `configurations` say `apart` of an agent that `apart` has an endpoint of.
    """

    agent_type: str
    binary: str
    configurations: dict[str, object] = {}


class MetadataRequest(Struct, frozen=True):
    """A guest's question: where it came in (a network's or a router's namespace) and from whom."""

    address: str
    path: str
    network_id: str | None = None
    router_id: str | None = None


class NetworkHost(Protocol):
    """The network agents of a host."""

    async def changed(self, *, revision: int) -> None:
        """Something concerning the host changed: read the wanted state again, soon."""
        ...

    async def ensure(self, *, port_ids: list[str], revision: int) -> None:
        """Return once everything up to `revision` is applied and the ports may be plugged.

        Raises: Unavailable (the data plane refuses; the text says what).
        """
        ...

    async def audit(self) -> list[str]:
        """Return what of ours is missing on the host or left over, by name; changes nothing."""
        ...


class NetworkControl(Protocol):
    """neutron-server, as hosts see it."""

    async def wanted(self, *, host: str) -> Wanted:
        """Return all that the host shall have."""
        ...

    async def report(
        self, *, host: str, agents: list[AgentReport], ports_up: list[str] | None, now: float
    ) -> None:
        """The host lives; `ports_up` are all the ports whose device is plugged and wired.

        None: agents that are apart from the bridge agent do not know.

        `now` is what the host's clock says, in seconds since the epoch.
        """
        ...

    async def metadata(self, *, host: str, request: MetadataRequest) -> MetadataReply:
        """Answer a guest's metadata request."""
        ...


network_host: Endpoint[NetworkHost] = Endpoint("neutron-agent", NetworkHost)
apart: dict[str, Endpoint[NetworkHost]] = {
    binary: Endpoint(binary, NetworkHost) for binary in AGENTS[1:]
}
"""Where those agents are told of changes that have another process than the bridge agent."""
network_control: Endpoint[NetworkControl] = Endpoint("neutron-server", NetworkControl)
