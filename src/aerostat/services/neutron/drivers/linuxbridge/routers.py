"""A router's namespace: its devices, addresses, routes and NAT."""

import ipaddress
import socket
import struct
from typing import Any

from pyroute2.netlink.exceptions import NetlinkError

from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.linuxbridge import nft
from aerostat.services.neutron.drivers.linuxbridge.netlink import Links, write_sysctl
from aerostat.services.neutron.drivers.linuxbridge.nft import Script
from aerostat.services.neutron.model.wanted import FloatingWanted, RouterPort, RouterWanted

METADATA_PORT = 9697
STATIC = 4
"""The routing protocol number of our routes: the kernel's own bear 2. Source: rtnetlink(7)."""


class Router:
    """Brings the namespace that the calling thread is in to what is wanted."""

    def __init__(self, router: RouterWanted, config: NetworkAgentConfig, links: Links) -> None:
        self._router = router
        self._config = config
        self._links = links

    def settle(self) -> None:
        """Set forwarding, devices, addresses, NAT and routes, in this order."""
        for path in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            if write_sysctl(path, "1"):
                self._links.note(path)
        self._links.settle("lo")
        floating = {f"{f.floating}/32" for f in self._router.floating}
        for port in self._router.ports:
            self._device("qr-" + port.id[:11], port, set())
        if nft.apply(nat_script(self._router, self._config)):
            self._links.note("nft nat")
        if self._router.gateway is not None:
            gateway = self._router.gateway
            self._device("qg-" + gateway.id[:11], gateway, floating)
        self._routes()

    def _device(self, name: str, port: RouterPort, extra: set[str]) -> None:
        if self._links.get(name) is None:
            raise OSError(f"{name} is missing")
        self._links.settle(name, mtu=port.mtu)
        wanted = {a.cidr for a in port.addresses} | extra
        for cidr in sorted(self._links.settle_addresses(name, wanted)):
            if ":" not in cidr:
                announce(name, port.mac, cidr.split("/")[0])

    def _routes(self) -> None:
        wanted = {("default", hop) for hop in self._router.gateway_ips}
        wanted |= {(_cidr(cidr), hop) for cidr, hop in self._router.routes}
        have = self._have()
        for cidr, hop in sorted(have - wanted):
            self._route("del", cidr, hop)
        for cidr, hop in sorted(wanted - have):
            self._route("add", cidr, hop)

    def _have(self) -> set[tuple[str, str]]:
        routes: set[tuple[str, str]] = set()
        for family in (socket.AF_INET, socket.AF_INET6):
            for route in self._links.ip.get_routes(family=family, table=254):
                hop = route.get_attr("RTA_GATEWAY")
                if hop and route["proto"] == STATIC:
                    to = route.get_attr("RTA_DST")
                    routes.add((f"{to}/{route['dst_len']}" if to else "default", str(hop)))
        return routes

    def _route(self, verb: str, cidr: str, hop: str) -> None:
        family = socket.AF_INET6 if ":" in hop else socket.AF_INET
        options: dict[str, Any] = {"dst": cidr, "gateway": hop, "proto": STATIC, "family": family}
        gateway = self._router.gateway
        if cidr == "default" and gateway is not None and verb == "add":
            device = self._links.get("qg-" + gateway.id[:11])
            if device is not None:
                options |= {"oif": device.index, "flags": ["onlink"]}
        try:
            self._links.ip.route(verb, **options)
        except NetlinkError as why:
            if why.code not in (3, 17, 101, 113):  # absent, there, no way to the hop (yet)
                raise
            return
        self._links.note(f"route {verb} {cidr} via {hop}")


def _cidr(text: str) -> str:
    net = str(ipaddress.ip_network(text, strict=False))
    return "default" if net in ("0.0.0.0/0", "::/0") else net


def nat_script(router: RouterWanted, config: NetworkAgentConfig) -> Script:
    """Return a router's NAT: metadata, floating addresses both ways, and SNAT for the others."""
    lines_in = [
        f'iifname "qr-*" ip daddr 169.254.169.254 tcp dport 80 redirect to :{METADATA_PORT}'
    ]
    lines_in += [f"ip daddr {f.floating} dnat ip to {f.fixed}" for f in _sorted(router)]
    lines_own = [f"ip daddr {f.floating} dnat ip to {f.fixed}" for f in _sorted(router)]
    body = (
        "chain prerouting {\ntype nat hook prerouting priority -100; policy accept;\n"
        + "\n".join(lines_in)
        + "\n}\nchain output {\ntype nat hook output priority -100; policy accept;\n"
        + "\n".join(lines_own)
        + "\n}\nchain postrouting {\ntype nat hook postrouting priority 100; policy accept;\n"
        + "\n".join(_source_nat(router))
        + "\n}\nchain input {\ntype filter hook input priority 0; policy accept;\n"
        + f"tcp dport {METADATA_PORT} ct status dnat accept\ntcp dport {METADATA_PORT} drop\n}}"
    )
    return Script([("inet", config.mark + "_nat", body)])


def _sorted(router: RouterWanted) -> list[FloatingWanted]:
    return sorted(router.floating, key=lambda f: f.floating)


def _source_nat(router: RouterWanted) -> list[str]:
    if router.gateway is None:
        return []
    device = "qg-" + router.gateway.id[:11]
    own = next((a.ip for a in router.gateway.addresses if ":" not in a.ip), None)
    lines = []
    for pair in _sorted(router):
        to = f"ip saddr {pair.fixed} snat ip to {pair.floating}"
        lines += [f'oifname "{device}" {to}', f'iifname "qr-*" oifname "qr-*" ct status dnat {to}']
    if own and router.enable_snat:
        lines.append(f'oifname "{device}" iifname "qr-*" meta nfproto ipv4 snat ip to {own}')
        lines.append(f'oifname "qr-*" iifname "qr-*" ct status dnat snat ip to {own}')
    return lines


def announce(device: str, mac: str, ip: str) -> None:
    """Tell the neighbours who has this address now. Source: RFC 5227, section 3 (announcing)."""
    raw_mac, raw_ip = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(ip)
    ether = b"\xff" * 6 + raw_mac + struct.pack("!H", 0x0806)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((device, 0))
        for kind, target in ((1, b"\0" * 6), (2, raw_mac)):
            arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, kind)
            try:
                sock.send(ether + arp + raw_mac + raw_ip + target + raw_ip)
            except OSError:
                return  # the link is down; the kernel's own ARP will do
