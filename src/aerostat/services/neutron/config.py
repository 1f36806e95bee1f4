"""Every setting of neutron, with upstream's option names where the meaning is the same."""

from msgspec import Struct, field


class NetworkAgentConfig(Struct, frozen=True, kw_only=True):
    """What the agents of one host need to know.

    state_dir: directory (made if absent) for dnsmasq files and the record of our namespaces.
    tag: tells this installation's devices and nft tables from others on the same machine.
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
    coalesce_s: changes within this time are applied by one run.
    metadata_timeout_s: a guest's metadata request ends after this time.
    metadata_connections: guests' connections served at once per namespace.
    """

    state_dir: str = "/var/lib/aerostat/node/neutron"
    tag: str = "aerostat"
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
    coalesce_s: float = 0.02
    metadata_timeout_s: float = 30.0
    metadata_connections: int = 64
