"""The wanted state of one host's data plane: complete, resolved, pure; it travels on the bus."""

from msgspec import Struct

DEVICE_ID_CHARS = 11
"""So much of an id goes into a device name: 3 letters and 11 digits fit the kernel's 15."""


def bridge_name(network_id: str) -> str:
    """Return the name of a network's own bridge."""
    return "brq" + network_id[:DEVICE_ID_CHARS]


def tap_name(port_id: str) -> str:
    """Return the name of a port's device on its bridge."""
    return "tap" + port_id[:DEVICE_ID_CHARS]


class Address(Struct, frozen=True):
    """An address of a port with the prefix length of its subnet."""

    ip: str
    prefix: int

    @property
    def cidr(self) -> str:
        return f"{self.ip}/{self.prefix}"


class NetworkWanted(Struct, frozen=True):
    """A network that has something on this host.

    `type` is local, flat or vxlan; `bridge` the device that holds it; `host_addresses` are what
    the host itself gets on an own bridge (the external subnet's gateway).
    """

    id: str
    type: str
    bridge: str
    mtu: int
    physical_network: str | None = None
    vni: int | None = None
    peers: list[str] = []
    remote_macs: list[tuple[str, str]] = []
    host_addresses: list[Address] = []


class AddressPair(Struct, frozen=True):
    """An address (or CIDR) and MAC that a port may send from besides its own."""

    cidr: str
    mac: str


class RuleWanted(Struct, frozen=True):
    """A rule of a security group, resolved: the remote is a CIDR, a group's members, or anyone.

    `protocol` is a number; for ICMP `port_min` is the type and `port_max` the code.
    """

    direction: str
    ethertype: str
    protocol: int | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_cidr: str | None = None
    remote_group: str | None = None


class SecurityGroupWanted(Struct, frozen=True):
    """A security group that ports of this host use. Answers pass by themselves if `stateful`."""

    id: str
    rules: list[RuleWanted] = []
    stateful: bool = True


class PortWanted(Struct, frozen=True):
    """A guest's port on this host. Nothing goes through it unless it is `admin_up`."""

    id: str
    network_id: str
    mac: str
    tap: str
    bridge: str
    mtu: int
    addresses: list[Address] = []
    allowed_pairs: list[AddressPair] = []
    port_security: bool = True
    security_groups: list[str] = []
    admin_up: bool = True


class DhcpHost(Struct, frozen=True):
    """A guest that gets its address by DHCP. `options` are (name or number, value, version)."""

    port_id: str
    mac: str
    ip: str
    hostname: str
    subnet_id: str
    options: list[tuple[str, str, int]] = []


class DhcpSubnet(Struct, frozen=True):
    """A subnet that DHCP serves. `ra_mode` and `address_mode` are of IPv6 only."""

    id: str
    cidr: str
    version: int
    gateway: str | None = None
    dns: list[str] = []
    routes: list[tuple[str, str]] = []
    ra_mode: str | None = None
    address_mode: str | None = None


class DhcpWanted(Struct, frozen=True):
    """The DHCP server of a network: its own port, its subnets, its guests.

    With `metadata` it answers at 169.254.169.254 too; with `metadata_route` guests are told to
    reach that address through it.
    """

    network_id: str
    port_id: str
    mac: str
    bridge: str
    mtu: int
    addresses: list[Address] = []
    subnets: list[DhcpSubnet] = []
    hosts: list[DhcpHost] = []
    metadata: bool = True
    metadata_route: bool = False

    @property
    def namespace(self) -> str:
        return "qdhcp-" + self.network_id


class AdvertisedPrefix(Struct, frozen=True):
    """A prefix that a router advertises. `mode` is slaac, dhcpv6-stateless or -stateful."""

    cidr: str
    mode: str
    dns: list[str] = []


class RouterPort(Struct, frozen=True):
    """An interface of a router: to a tenant's network, or its gateway."""

    id: str
    network_id: str
    mac: str
    bridge: str
    mtu: int
    addresses: list[Address] = []
    advertise: list[AdvertisedPrefix] = []


class FloatingWanted(Struct, frozen=True):
    """A floating address and the fixed one behind it."""

    floating: str
    fixed: str


class RouterWanted(Struct, frozen=True):
    """A router on this host. `gateway_ips` are next hops of the default routes."""

    id: str
    ports: list[RouterPort] = []
    gateway: RouterPort | None = None
    gateway_ips: list[str] = []
    enable_snat: bool = True
    floating: list[FloatingWanted] = []
    routes: list[tuple[str, str]] = []

    @property
    def namespace(self) -> str:
        return "qrouter-" + self.id


class Wanted(Struct, frozen=True):
    """Everything that one host shall have, and the revision of the world it was read at.

    `groups` holds the addresses behind each remote group that a rule names.
    """

    host: str
    revision: int
    networks: list[NetworkWanted] = []
    ports: list[PortWanted] = []
    security_groups: list[SecurityGroupWanted] = []
    groups: dict[str, list[str]] = {}
    dhcp: list[DhcpWanted] = []
    routers: list[RouterWanted] = []
