"""The host's own devices: a bridge for each network, VXLAN into it, guests' taps on it."""

from msgspec import Struct

from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.linuxbridge.netlink import Links, write_sysctl
from aerostat.services.neutron.model.wanted import NetworkWanted, PortWanted, Wanted, tap_name

FLOOD = "00:00:00:00:00:00"


class Veth(Struct, frozen=True):
    """A cable from a bridge into a namespace."""

    outer: str
    inner: str
    bridge: str
    mac: str
    mtu: int
    namespace: str


def host_end(bridge: str) -> str:
    """Return the device by which the host itself is on an own bridge.

    The host's address is not on the bridge: so what the host sends to guests is forwarded by the
    bridge and passes their filters like anyone's traffic.
    """
    return bridge[:13] + "-h"


def bridge_end(bridge: str) -> str:
    """Return the bridge's end of the host's cable."""
    return bridge[:13] + "-b"


def cables(wanted: Wanted) -> list[Veth]:
    """Return the cables that DHCP servers and routers need."""
    dhcp = [
        Veth(tap_name(d.port_id), "ns-" + d.port_id[:11], d.bridge, d.mac, d.mtu, d.namespace)
        for d in wanted.dhcp
    ]
    routers = [
        Veth(tap_name(p.id), prefix + p.id[:11], p.bridge, p.mac, p.mtu, r.namespace)
        for r in wanted.routers
        for prefix, ports in (("qr-", r.ports), ("qg-", [r.gateway] if r.gateway else []))
        for p in ports
    ]
    return dhcp + routers


def vxlan_name(network: NetworkWanted) -> str:
    return f"vxlan-{network.vni}"


class HostLinks:
    """Brings the root namespace's devices to what is wanted."""

    def __init__(self, config: NetworkAgentConfig, links: Links) -> None:
        self._config = config
        self._links = links

    def settle(self, network: NetworkWanted) -> None:
        """Make a network's bridge and what joins it to other hosts."""
        if network.bridge not in self._config.bridge_mappings.values():
            self._bridge(network.bridge, network.mtu)
        elif network.bridge in self._config.own_bridges:
            self._bridge(network.bridge, network.mtu)
            self._host_cable(network)
        elif self._links.get(network.bridge) is None:
            raise OSError(f"bridge {network.bridge} of {network.physical_network} is missing")
        if network.type == "vxlan" and network.vni is not None:
            self._vxlan(network)
        elif interface := self._interface(network):
            if self._links.get(interface) is None:
                raise OSError(f"interface {interface} of {network.physical_network} is missing")
            self._links.settle(interface, master=network.bridge)

    def _interface(self, network: NetworkWanted) -> str | None:
        mapping = self._config.physical_interface_mappings
        return mapping.get(network.physical_network or "")

    def _bridge(self, name: str, mtu: int) -> None:
        if self._links.get(name) is None:
            self._links.add(
                name,
                "bridge",
                br_stp_state=0,
                br_forward_delay=0,
                br_mcast_snooping=0,
                mtu=mtu,
            )
        if self._links.get(host_end(name)) is None:
            _quiet_v6(self._links, name)
        self._links.settle(name, mtu=mtu)

    def _host_cable(self, network: NetworkWanted) -> None:
        outer, inner = bridge_end(network.bridge), host_end(network.bridge)
        if self._links.get(outer) is None or self._links.get(inner) is None:
            self._links.remove(outer)
            peer = {"ifname": inner, "group": self._links.group, "mtu": network.mtu}
            self._links.add(outer, "veth", mtu=network.mtu, peer=peer)
            _quiet_v6(self._links, outer)
        self._links.settle(outer, mtu=network.mtu, master=network.bridge)
        self._links.settle(inner, mtu=network.mtu)
        self._links.settle_addresses(inner, {a.cidr for a in network.host_addresses})
        if write_sysctl("net/ipv4/ip_forward", "1"):
            self._links.note("ip_forward 1")

    def _vxlan(self, network: NetworkWanted) -> None:
        name = vxlan_name(network)
        wanted = (network.vni or 0, self._config.local_ip, self._config.vxlan_port)
        device = self._links.get(name)
        if device is not None and device.vxlan != wanted:
            self._links.remove(name)
            device = None
        if device is None:
            self._links.add(
                name,
                "vxlan",
                vxlan_id=wanted[0],
                vxlan_local=wanted[1],
                vxlan_port=wanted[2],
                vxlan_learning=False,
                mtu=network.mtu,
            )
            _quiet_v6(self._links, name)
        self._links.settle(name, mtu=network.mtu, master=network.bridge)
        flood = {(FLOOD, peer) for peer in network.peers}
        self._links.settle_flood(name, flood | {(mac, ip) for mac, ip in network.remote_macs})

    def tap(self, port: PortWanted) -> bool:
        """Wire a guest's device if the hypervisor has made it; tell whether it is there."""
        if self._links.get(port.tap) is None:
            return False
        self._links.settle(port.tap, mtu=port.mtu, master=port.bridge, up=port.admin_up)
        return True

    def cable(self, veth: Veth) -> None:
        """Make a cable's outer end with its peer, still outside of the namespace."""
        if self._links.get(veth.outer) is not None:
            return
        self._links.remove(veth.inner)
        peer = {
            "ifname": veth.inner,
            "group": self._links.group,
            "mtu": veth.mtu,
            "address": veth.mac,
            "net_ns_fd": veth.namespace,
        }
        self._links.add(veth.outer, "veth", mtu=veth.mtu, peer=peer)
        _quiet_v6(self._links, veth.outer)

    def plug(self, veth: Veth) -> None:
        """Put a cable's outer end into its bridge, if its maker has come so far."""
        if self._links.get(veth.outer) is not None:
            self._links.settle(veth.outer, mtu=veth.mtu, master=veth.bridge)


def unplug_strangers(links: Links, wanted: Wanted) -> None:
    """Take taps off our bridges that no wanted port owns: without filters nobody may speak."""
    known = {p.tap for p in wanted.ports} | {v.outer for v in cables(wanted)}
    for device in list(links.by_name.values()):
        bridge = links.by_index.get(device.master or -1)
        ours = bridge is not None and bridge.group == links.group
        if ours and device.name.startswith("tap") and device.name not in known:
            links.ip.link("set", index=device.index, master=0)
            links.note(f"unplug {device.name}")
            links.refresh()


def wanted_devices(wanted: Wanted, config: NetworkAgentConfig) -> set[str]:
    """Return the names of the devices that the agent itself makes in the root namespace."""
    bridges = {n.bridge for n in wanted.networks}
    mapped = set(config.bridge_mappings.values()) - set(config.own_bridges)
    keep = (bridges - mapped) | {vxlan_name(n) for n in wanted.networks if n.type == "vxlan"}
    keep |= {v.outer for v in cables(wanted)}
    for own in bridges & set(config.own_bridges):
        keep |= {host_end(own), bridge_end(own)}
    return keep


def remove_leftovers(links: Links, wanted: Wanted, config: NetworkAgentConfig) -> None:
    """Remove devices that bear our group and that nothing wants.

    Cables of agents in other processes end with their namespaces, which is for those to see to.
    """
    keep = wanted_devices(wanted, config)
    ours = [d for d in links.by_name.values() if d.group == links.group and d.name not in keep]
    if not config.whole:
        ours = [d for d in ours if not d.name.startswith("tap")]
    for device in sorted(ours, key=lambda d: d.kind == "bridge"):
        if links.get(device.name) is not None:
            links.remove(device.name)
            links.refresh()


def _quiet_v6(links: Links, name: str) -> None:
    try:
        if write_sysctl(f"net/ipv6/conf/{name}/disable_ipv6", "1"):
            links.note(f"{name} no ipv6")
    except FileNotFoundError:
        return  # the kernel has no IPv6
