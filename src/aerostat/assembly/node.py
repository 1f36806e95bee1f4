"""The `node` process: compute, L2, DHCP, L3 and metadata agents of a host; root, no database."""

from aerostat.assembly.buses import connect, make_bus
from aerostat.assembly.inspection import Probe
from aerostat.assembly.roles import NETWORK, NODE, Roles
from aerostat.assembly.settings import Settings
from aerostat.kit.errors import Unavailable
from aerostat.kit.log import Logger
from aerostat.services.neutron.agent.node import NetworkAgent
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.base import Dataplane
from aerostat.services.nova.agent.compute import ComputeAgent
from aerostat.services.nova.agent.endpoint import compute_control
from aerostat.services.nova.drivers.base import Driver, NodeIdentity
from aerostat.services.nova.drivers.image_source import HttpImageSource

log = Logger("node")
GLANCE_PORT = 9292


class Node:
    """The agents of this host; with the fake driver, of as many hosts as the settings say."""

    def __init__(self, settings: Settings, roles: Roles = frozenset(NODE)) -> None:
        self._settings, self._roles = settings, roles
        self.bus = make_bus(settings)
        self._compute: list[ComputeAgent] = []
        self._network: list[NetworkAgent] = []

    def parts(self) -> dict[str, Probe]:
        """Return what tells whether the parts of this process are well."""
        return {"bus": self.bus.probe, "hypervisor": self._hypervisor}

    async def _hypervisor(self) -> None:
        """Raises: Unavailable (the hypervisor of a host here does not work)."""
        for agent in self._compute:
            if agent.ailment:
                raise Unavailable(f"{agent.ailment}.")

    async def start(self) -> None:
        """Connect, announce the hosts, and take up what they were doing."""
        s = self._settings
        s.node_dir.mkdir(parents=True, exist_ok=True)
        await connect(self.bus, s, node=True)
        for host in self._hosts():
            if self._roles & set(NETWORK):
                network = NetworkAgent(
                    self.bus, host, self._network_config(host), self._dataplane()
                )
                self._network.append(network)
                await network.start()
            if "nova-compute" in self._roles:
                agent = ComputeAgent(host, self._driver(host), compute_control.at(self.bus))
                agent.serve(self.bus)
                self._compute.append(agent)
        for agent in self._compute:
            await agent.open()
        log.info("node.ready", roles=sorted(self._roles), driver=s.compute_driver)

    def _network_config(self, host: str) -> NetworkAgentConfig:
        s = self._settings
        return NetworkAgentConfig(
            state_dir=str(s.node_dir / "neutron" / host),
            local_ip=s.node_ip,
            agents=sorted(self._roles & set(NETWORK)),
        )

    def _hosts(self) -> list[str]:
        s = self._settings
        if s.compute_driver != "fake" or s.fake_hosts == 1:
            return [s.host_name]
        return [f"{s.host_name}-{i + 1}" for i in range(s.fake_hosts)]

    def _driver(self, host: str) -> Driver:
        s = self._settings
        who = NodeIdentity(host, host, s.node_ip)
        images = HttpImageSource(s.url(GLANCE_PORT), cacert=s.tls_ca)
        if s.compute_driver == "fake":
            from aerostat.services.nova.drivers.fake import FakeDriver

            return FakeDriver(who, journal=s.node_dir / f"fake-{host}.json", images=images)
        from aerostat.services.nova.drivers.exchange import ExchangeConfig
        from aerostat.services.nova.drivers.libvirt.daemon import LiveConfig
        from aerostat.services.nova.drivers.libvirt.driver import LibvirtDriver

        pki = s.node_dir / "pki"
        exchange = ExchangeConfig(s.node_ip, s.port(s.migration_port), pki)
        scheme = s.live_migration_scheme or ("tls" if exchange.tls else "")
        live = LiveConfig(scheme, s.live_migration_inbound_addr or s.node_ip, pki)
        return LibvirtDriver(
            who,
            s.node_dir,
            images,
            exchange=exchange,
            live=live,
            silence_s=s.hypervisor_silence_s,
        )

    def _dataplane(self) -> Dataplane | None:
        if self._settings.compute_driver != "fake":
            return None
        from aerostat.services.neutron.drivers.fake import FakeDataplane

        return FakeDataplane()

    async def stop(self) -> None:
        """Let go; guests and their networks go on."""
        for agent in self._compute:
            await agent.close()
        for network in self._network:
            await network.close()
        await self.bus.close()
