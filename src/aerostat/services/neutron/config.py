"""Every setting of neutron, with upstream's option names where the meaning is the same."""

import zlib

from msgspec import Struct, field

AGENTS = (
    "neutron-linuxbridge-agent",
    "neutron-dhcp-agent",
    "neutron-l3-agent",
    "neutron-metadata-agent",
)
"""What a host may have, by upstream's names."""


class NetworkAgentConfig(Struct, frozen=True, kw_only=True):
    """What the agents of one host need to know.

    state_dir: directory (made if absent) for dnsmasq files and the record of our namespaces.
    tag: tells this installation's devices and nft tables from others on the same machine; if
        empty it is made from the state directory.
    local_ip: the address other hosts send VXLAN to.
    vxlan_port: UDP port of VXLAN. Source: RFC 7348.
    bridge_mappings: physical network -> bridge to use in place of a brq one.
    physical_interface_mappings: physical network -> interface to put into its brq bridge.
    own_bridges: those bridges of bridge_mappings that the agent makes itself; the host gets the
        gateway address of the external subnet on them and masquerades what leaves by it.
    dns_servers: where dnsmasq forwards names to; none: it answers local names only.
    dns_domain: the domain of guests' names.
    dhcp_lease_duration_s: seconds that a lease lasts.
    poll_interval_s: the wanted state is read again this often even if nobody told of a change.
    report_interval_s: seconds between heartbeats.
    coalesce_s: the agent rests after a run as long as the run took, but no longer than this, so
        that a storm of changes makes few runs.
    agents: the agents that this process is; what a host has no agent for is not put on it.
    metadata_timeout_s: a guest's metadata request ends after this time.
    metadata_connections: guests' connections served at once per namespace.
    """

    state_dir: str = "/var/lib/aerostat/node/neutron"
    tag: str = ""
    local_ip: str = "127.0.0.1"
    vxlan_port: int = 4789
    bridge_mappings: dict[str, str] = field(default_factory=lambda: {"public": "br-ex"})
    physical_interface_mappings: dict[str, str] = {}
    own_bridges: list[str] = field(default_factory=lambda: ["br-ex"])
    dns_servers: list[str] = []
    dns_domain: str = "openstacklocal"
    dhcp_lease_duration_s: int = 86400
    poll_interval_s: float = 30.0
    report_interval_s: float = 30.0
    coalesce_s: float = 0.25
    agents: list[str] = field(default_factory=lambda: list(AGENTS))
    metadata_timeout_s: float = 30.0
    metadata_connections: int = 64

    @property
    def bridges(self) -> bool:
        """Whether this process is the host's bridge agent."""
        return AGENTS[0] in self.agents

    @property
    def whole(self) -> bool:
        """Whether every agent that makes devices is in this process."""
        return set(AGENTS[:3]) <= set(self.agents)

    @property
    def mark(self) -> str:
        """The tag in effect: letters, digits and underscores."""
        return self.tag or f"aerostat_{zlib.crc32(self.state_dir.encode()):08x}"


class NeutronConfig(Struct, frozen=True, kw_only=True):
    """What neutron-server needs to know. Source: neutron configuration reference.

    global_physnet_mtu: bytes a packet of the underlying network may have.
    tenant_network_type: what a network is made of when nobody asks for something.
    physical_networks: names of physical networks that flat networks may use.
    vni_ranges: first and last VXLAN identifier for tenants' networks.
    base_mac: the first three octets of generated MACs.
    dns_domain: the domain of ports' names.
    quotas: limits per project, -1 for none.
    agent_down_time_s: an agent that has not reported for so long counts as dead.
    pagination_max_limit: rows that a page has at most; 0 for no limit.
    max_allowed_address_pair: address pairs that a port may have.
    max_routes: extra routes that a router may have.
    max_subnet_host_routes: host routes that a subnet may have.
    max_dns_nameservers: name servers that a subnet may have.
    wire_timeout_s: a host's agents must have wired ports within this time.
    allow_automatic_dhcp_failover: networks of a dead DHCP agent go to a living one.
    allow_automatic_l3agent_failover: routers of a dead L3 agent go to a living one (upstream's
        default is not to).
    enable_isolated_metadata: networks without a router get metadata from their DHCP server.
    """

    global_physnet_mtu: int = 1500
    tenant_network_type: str = "vxlan"
    physical_networks: list[str] = field(default_factory=lambda: ["public"])
    vni_ranges: tuple[int, int] = (1, 16777215)
    base_mac: str = "fa:16:3e"
    dns_domain: str = "openstacklocal"
    quotas: dict[str, int] = field(
        default_factory=lambda: {
            "network": 100,
            "subnet": 100,
            "port": 500,
            "router": 10,
            "floatingip": 50,
            "security_group": 10,
            "security_group_rule": 100,
            "subnetpool": -1,
            "rbac_policy": 10,
        }
    )
    agent_down_time_s: float = 75.0
    pagination_max_limit: int = 0
    max_allowed_address_pair: int = 10
    max_routes: int = 30
    max_subnet_host_routes: int = 20
    max_dns_nameservers: int = 5
    wire_timeout_s: float = 60.0
    allow_automatic_dhcp_failover: bool = True
    allow_automatic_l3agent_failover: bool = True
    enable_isolated_metadata: bool = True
