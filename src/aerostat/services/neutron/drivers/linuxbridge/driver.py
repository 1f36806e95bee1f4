"""The Linux bridge data plane: kernel bridges, VXLAN, dnsmasq, namespaces and nftables."""

import socket
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

from pyroute2.netlink.exceptions import NetlinkError

from aerostat.kit.errors import Fault
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.base import Applied, Listener
from aerostat.services.neutron.drivers.linuxbridge import conntrack, nft, watch
from aerostat.services.neutron.drivers.linuxbridge.dnsmasq import Dnsmasq
from aerostat.services.neutron.drivers.linuxbridge.dnsmasq_files import (
    METADATA_CIDR,
    advertising_files,
    dhcp_files,
)
from aerostat.services.neutron.drivers.linuxbridge.links import (
    HostLinks,
    Veth,
    cables,
    remove_leftovers,
    unplug_strangers,
    wanted_devices,
)
from aerostat.services.neutron.drivers.linuxbridge.namespaces import (
    Namespaces,
    exists,
    inode,
)
from aerostat.services.neutron.drivers.linuxbridge.netlink import Links, inside, write_sysctl
from aerostat.services.neutron.drivers.linuxbridge.routers import METADATA_PORT, Router
from aerostat.services.neutron.drivers.linuxbridge.ruleset import security_script, table_name
from aerostat.services.neutron.model.wanted import DhcpWanted, RouterWanted, Wanted

DHCP, L3 = "neutron-dhcp-agent", "neutron-l3-agent"
EXPECTED = (OSError, NetlinkError, subprocess.SubprocessError, Fault, ValueError)
"""What a part of the machine may answer; anything else is our own mistake."""


class LinuxBridge:
    """Everything of ours bears `group` (devices), the tag (nft tables) or a record (namespaces)."""

    def __init__(self, config: NetworkAgentConfig) -> None:
        self._config = config
        self._dir = Path(config.state_dir)
        self._namespaces = Namespaces(self._dir / "namespaces")
        self._group = 0x10000 | zlib.crc32(config.mark.encode()) & 0x7FFFFFFF
        self._flush = conntrack.Flusher()

    def sync(self, wanted: Wanted) -> Applied:
        run = _Run(wanted)
        with Links(self._group, run.changes) as links:
            if self._config.bridges:
                self._host(run, links)
            self._cables(run, links)
            for dhcp in wanted.dhcp if DHCP in self._config.agents else ():
                run.attempt(dhcp.namespace, lambda d=dhcp: self._dhcp(run, d))  # type: ignore[misc]
            for router in wanted.routers if L3 in self._config.agents else ():
                run.attempt(router.namespace, lambda r=router: self._router(run, r))  # type: ignore[misc]
            run.attempt("leftovers", lambda: self._leftovers(run, links))
        return Applied(run.changes, run.plugged, run.failed)

    def _host(self, run: "_Run", links: Links) -> None:
        wanted, host = run.wanted, HostLinks(self._config, links)
        run.attempt("bridge filter", lambda: _bridge_filter(links))
        run.attempt("strangers", lambda: unplug_strangers(links, wanted))
        run.attempt("security groups", lambda: self._filters(run))
        for network in wanted.networks:
            run.attempt(f"network {network.id}", lambda n=network: host.settle(n))  # type: ignore[misc]
        for port in wanted.ports:
            plugged = run.attempt(f"port {port.id}", lambda p=port: host.tap(p))  # type: ignore[misc]
            if plugged and port.admin_up:
                run.plugged.append(port.id)

    def _cables(self, run: "_Run", links: Links) -> None:
        host = HostLinks(self._config, links)
        for veth in cables(run.wanted):
            run.attempt(veth.outer, lambda v=veth: self._cable(run, host, v))  # type: ignore[misc]

    def _cable(self, run: "_Run", host: HostLinks, veth: Veth) -> None:
        """The agent at the inner end makes a cable, the bridge agent plugs it in."""
        if self._owns(veth.namespace):
            self._namespace(run, veth.namespace)
            host.cable(veth)
        if self._config.bridges:
            host.plug(veth)

    def _owns(self, namespace: str) -> bool:
        return (DHCP if namespace.startswith("qdhcp-") else L3) in self._config.agents

    def _namespace(self, run: "_Run", name: str) -> None:
        if self._namespaces.ensure(name):
            run.changes.append(f"add namespace {name}")

    def _filters(self, run: "_Run") -> None:
        if nft.apply(security_script(run.wanted, self._config)):
            run.changes.append("nft security groups")
            self._flush.changed(run.wanted)

    def _dhcp(self, run: "_Run", dhcp: DhcpWanted) -> None:
        self._namespace(run, dhcp.namespace)
        inside(dhcp.namespace, lambda: self._dhcp_inside(run, dhcp))

    def _dhcp_inside(self, run: "_Run", dhcp: DhcpWanted) -> None:
        device = "ns-" + dhcp.port_id[:11]
        with Links(self._group, run.changes, dhcp.namespace) as links:
            for old in [n for n in links.by_name if n.startswith("ns-") and n != device]:
                links.remove(old)
            links.settle("lo")
            links.settle(device, mtu=dhcp.mtu)
            extra = {METADATA_CIDR} if dhcp.metadata else set()
            links.settle_addresses(device, {a.cidr for a in dhcp.addresses} | extra)
        directory = self._dir / "dhcp" / dhcp.network_id
        done = Dnsmasq(directory).settle(dhcp_files(dhcp, str(directory), self._config))
        if done:
            run.changes.append(f"{dhcp.namespace}: dnsmasq {done}")

    def _router(self, run: "_Run", router: RouterWanted) -> None:
        self._namespace(run, router.namespace)
        inside(router.namespace, lambda: self._router_inside(run, router))

    def _router_inside(self, run: "_Run", router: RouterWanted) -> None:
        with Links(self._group, run.changes, router.namespace) as links:
            Router(router, self._config, links).settle()
        directory = self._dir / "ra" / router.id
        files = advertising_files(router, str(directory))
        if files is not None and (done := Dnsmasq(directory).settle(files)):
            run.changes.append(f"{router.namespace}: advertising {done}")
        if files is None and directory.exists() and Dnsmasq(directory).stop():
            run.changes.append(f"{router.namespace}: advertising stop")

    def _leftovers(self, run: "_Run", links: Links) -> None:
        keep = {d.namespace for d in run.wanted.dhcp} | {r.namespace for r in run.wanted.routers}
        for name in self._namespaces.ours():
            if name not in keep and self._owns(name):
                self._remove_namespace(run, name)
        links.refresh()
        if self._config.bridges:
            remove_leftovers(links, run.wanted, self._config)

    def _remove_namespace(self, run: "_Run", name: str) -> None:
        kind, _, owner = name.partition("-")
        directory = self._dir / ("dhcp" if kind == "qdhcp" else "ra") / owner
        Dnsmasq(directory).stop()
        if self._namespaces.remove(name):
            run.changes.append(f"remove namespace {name}")
        for file in directory.glob("*") if directory.exists() else ():
            file.unlink(missing_ok=True)
        if directory.exists():
            for file in directory.glob(".*.new"):
                file.unlink(missing_ok=True)
            directory.rmdir()

    def listen(self, wanted: Wanted, namespace: str) -> Listener:
        isolated = namespace.startswith("qdhcp-")
        at = ("169.254.169.254", 80) if isolated else ("0.0.0.0", METADATA_PORT)
        number = inode(namespace)
        return Listener(inside(namespace, lambda: _listen(at)), namespace, number)

    def stands(self, listener: Listener) -> bool:
        return listener.inode == inode(listener.namespace)

    def watch(self, on_device: Callable[[str], None]) -> Callable[[], None]:
        return watch.devices(on_device)

    def differences(self, wanted: Wanted) -> list[str]:
        """Return what is missing and what is left over, by name; changes nothing."""
        with Links(self._group, []) as links:
            have = {d.name for d in links.by_name.values() if d.group == self._group}
        devices = wanted_devices(wanted, self._config)
        spaces = {d.namespace for d in wanted.dhcp} | {r.namespace for r in wanted.routers}
        ours = {name for name in self._namespaces.ours() if exists(name)}
        out = [f"missing device {name}" for name in devices - have]
        out += [f"leftover device {name}" for name in have - devices]
        out += [f"missing namespace {name}" for name in spaces - ours]
        return sorted(out + [f"leftover namespace {name}" for name in ours - spaces])

    def purge(self) -> list[str]:
        changes = self.sync(Wanted("", 0)).changes
        for family in ("bridge", "inet"):
            if nft.delete(family, table_name(self._config)):
                changes.append(f"remove {family} {table_name(self._config)}")
        return changes


class _Run:
    """One run of sync: what is wanted, and what came of it."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.changes: list[str] = []
        self.plugged: list[str] = []
        self.failed: dict[str, str] = {}

    def attempt(self, part: str, act: Callable[[], object]) -> object:
        try:
            return act()
        except EXPECTED as why:
            self.failed[part] = str(why) or type(why).__name__
            return None


def _bridge_filter(links: Links) -> None:
    if not Path("/proc/sys/net/bridge").exists():
        subprocess.run(["modprobe", "br_netfilter"], check=True, capture_output=True, timeout=30)
    for name in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        if write_sysctl(f"net/bridge/{name}", "1"):
            links.note(name)


def _listen(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
