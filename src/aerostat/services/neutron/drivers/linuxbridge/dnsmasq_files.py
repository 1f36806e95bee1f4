"""What dnsmasq reads, as text: a pure function of the wanted state; no newline ever gets in."""

import ipaddress
import re

from msgspec import Struct

from aerostat.kit.errors import BadRequest
from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.model.wanted import (
    DhcpHost,
    DhcpSubnet,
    DhcpWanted,
    RouterPort,
    RouterWanted,
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOSTNAME = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9-]{0,62})$")
METADATA_CIDR = "169.254.169.254/32"
LEASES_MAX = 65536


class DnsmasqFiles(Struct, frozen=True):
    """The contents of each file, by name; `config` takes a restart, the others a signal."""

    config: str
    hosts: str = ""
    options: str = ""
    names: str = ""


def safe(text: str) -> str:
    """Return `text` if a daemon's configuration may hold it. Raises: BadRequest."""
    if _CONTROL.search(text):
        raise BadRequest("a control character may not reach a daemon's configuration")
    return text


def dhcp_files(dhcp: DhcpWanted, directory: str, config: NetworkAgentConfig) -> DnsmasqFiles:
    """Return the files of a network's DHCP server. Source: dnsmasq(8); RFC 2131, 2132, 3442."""
    return DnsmasqFiles(
        config=_dhcp_config(dhcp, directory, config),
        hosts="".join(_host_line(h, config) + "\n" for h in _sorted(dhcp.hosts)),
        options="".join(line + "\n" for line in _option_lines(dhcp)),
        names="".join(_name_line(h, config) + "\n" for h in _sorted(dhcp.hosts)),
    )


def _sorted(hosts: list[DhcpHost]) -> list[DhcpHost]:
    return sorted(hosts, key=lambda h: (h.mac, h.ip))


def _dhcp_config(dhcp: DhcpWanted, directory: str, config: NetworkAgentConfig) -> str:
    device = "ns-" + dhcp.port_id[:11]
    lines = [
        "no-hosts",
        "no-resolv",
        "bind-dynamic",
        "except-interface=lo",
        f"interface={device}",
        f"pid-file={directory}/pid",
        f"dhcp-hostsfile={directory}/hosts",
        f"dhcp-optsfile={directory}/options",
        f"addn-hosts={directory}/names",
        f"dhcp-leasefile={directory}/leases",
        "dhcp-authoritative",
        f"dhcp-lease-max={LEASES_MAX}",
        f"domain={safe(config.dns_domain)}",
        f"dhcp-option-force=option:mtu,{dhcp.mtu}",
        *(f"server={safe(server)}" for server in config.dns_servers),
    ]
    for subnet in sorted(dhcp.subnets, key=lambda s: s.id):
        lines += _range_lines(subnet, config.dhcp_lease_duration_s)
    return "".join(line + "\n" for line in lines)


def _range_lines(subnet: DhcpSubnet, lease_s: int) -> list[str]:
    net = ipaddress.ip_network(subnet.cidr)
    tag = f"set:subnet-{subnet.id}"
    if net.version == 4:
        return [f"dhcp-range={tag},{net.network_address},static,{net.netmask},{lease_s}s"]
    if subnet.address_mode == "dhcpv6-stateful":
        return [
            f"dhcp-range={tag},{net.network_address},static,{max(64, net.prefixlen)},{lease_s}s"
        ]
    return []  # the router's advertisements say all that slaac and stateless guests need


def _host_line(host: DhcpHost, config: NetworkAgentConfig) -> str:
    ip = f"[{host.ip}]" if ":" in host.ip else host.ip
    tag = f"set:port-{host.port_id}," if host.options else ""
    return safe(f"{host.mac},{tag}{_fqdn(host, config)},{ip}")


def _name_line(host: DhcpHost, config: NetworkAgentConfig) -> str:
    return safe(f"{host.ip} {_fqdn(host, config)} {_label(host)}")


def _fqdn(host: DhcpHost, config: NetworkAgentConfig) -> str:
    return f"{_label(host)}.{config.dns_domain}"


def _label(host: DhcpHost) -> str:
    """Return the guest's name; one that is no host name is replaced by the address' usual one."""
    if _HOSTNAME.match(host.hostname):
        return host.hostname.lower()
    return "host-" + re.sub(r"[.:]", "-", host.ip)


def _option_lines(dhcp: DhcpWanted) -> list[str]:
    lines: list[str] = []
    for subnet in sorted(dhcp.subnets, key=lambda s: s.id):
        lines += _v4_options(subnet, dhcp) if subnet.version == 4 else _v6_options(subnet)
    for host in _sorted(dhcp.hosts):
        for name, value, version in host.options:
            if (version == 6) == (":" in host.ip):
                lines.append(safe(f"tag:port-{host.port_id},{_option(name, version)},{value}"))
    return lines


def _option(name: str, version: int) -> str:
    if name.isdigit():
        return name if version == 4 else f"option6:{name}"
    return f"option{'6' if version == 6 else ''}:{name}"


def _v4_options(subnet: DhcpSubnet, dhcp: DhcpWanted) -> list[str]:
    tag = f"tag:subnet-{subnet.id}"
    own = _own_address(subnet, dhcp)
    dns = ",".join(subnet.dns or ([own] if own else []))
    routes = [(cidr, hop) for cidr, hop in subnet.routes if ":" not in cidr]
    if dhcp.metadata_route and own:
        routes.append((METADATA_CIDR, own))
    if subnet.gateway and routes:
        routes.append(("0.0.0.0/0", subnet.gateway))
    flat = ",".join(f"{cidr},{hop}" for cidr, hop in routes)
    lines = [f"{tag},option:dns-server,{dns}"] if dns else []
    if flat:
        lines += [f"{tag},option:classless-static-route,{flat}", f"{tag},249,{flat}"]
    lines.append(f"{tag},option:router" + (f",{subnet.gateway}" if subnet.gateway else ""))
    return [safe(line) for line in lines]


def _v6_options(subnet: DhcpSubnet) -> list[str]:
    dns = ",".join(f"[{d}]" for d in subnet.dns if ":" in d)
    return [safe(f"tag:subnet-{subnet.id},option6:dns-server,{dns}")] if dns else []


def _own_address(subnet: DhcpSubnet, dhcp: DhcpWanted) -> str | None:
    net = ipaddress.ip_network(subnet.cidr)
    for address in dhcp.addresses:
        if ipaddress.ip_address(address.ip) in net:
            return address.ip
    return None


def advertising_files(router: RouterWanted, directory: str) -> DnsmasqFiles | None:
    """Return the files of a router's advertisement daemon, None if it has nothing to advertise.

    Source: RFC 4861, 8106.
    """
    ports = [p for p in router.ports if p.advertise]
    if not ports:
        return None
    lines = ["port=0", "no-hosts", "no-resolv", "enable-ra", f"pid-file={directory}/pid"]
    lines += [f"dhcp-leasefile={directory}/leases", "bind-dynamic", "except-interface=lo"]
    for port in sorted(ports, key=lambda p: p.id):
        lines += _advertise_lines(port)
    return DnsmasqFiles(config="".join(line + "\n" for line in lines))


def _advertise_lines(port: RouterPort) -> list[str]:
    device = "qr-" + port.id[:11]
    lines = [f"interface={device}", f"ra-param={device},mtu:{port.mtu},30"]
    modes = {"slaac": "ra-only", "dhcpv6-stateless": "ra-stateless"}
    for prefix in port.advertise:
        net = ipaddress.ip_network(prefix.cidr)
        mode = modes.get(prefix.mode, "static")
        tag = f"set:{device}"
        lines.append(f"dhcp-range={tag},{net.network_address},{mode},{max(64, net.prefixlen)}")
        if dns := ",".join(f"[{d}]" for d in prefix.dns if ":" in d):
            lines.append(safe(f"dhcp-option=tag:{device},option6:dns-server,{dns}"))
    return lines
