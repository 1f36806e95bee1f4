"""Security groups as nftables text: a pure function of the wanted state.

Two tables work together (design B of machine.md, section 3). The bridge table knows devices: it
drops what a guest may not send (foreign MAC, ARP, IP; DHCP answers; router advertisements) and
marks each frame with the numbers of the ports it comes from (low half) and goes to (high half).
The inet table, reached through br_netfilter, knows connections: it filters by mark and state, with
a conntrack zone per network so that equal addresses in two networks stay apart.
"""

import hashlib
import ipaddress

from aerostat.services.neutron.config import NetworkAgentConfig
from aerostat.services.neutron.drivers.linuxbridge.links import bridge_end, host_end
from aerostat.services.neutron.drivers.linuxbridge.nft import Script
from aerostat.services.neutron.model.wanted import (
    PortWanted,
    RuleWanted,
    SecurityGroupWanted,
    Wanted,
)

ICMP, ICMPV6 = 1, 58
PORT_PROTOCOLS = {6: "tcp", 17: "udp", 33: "dccp", 132: "sctp", 136: "udplite"}
ND_TYPES = "{ 130, 131, 132, 135, 136 }"
"""ICMPv6 that IPv6 cannot live without: multicast listeners, neighbours. Source: RFC 4890."""


def security_script(wanted: Wanted, config: NetworkAgentConfig) -> Script:
    """Return the tables that filter the guests of this host."""
    ports = sorted(wanted.ports, key=lambda p: p.id)
    secured = {n: p for n, p in enumerate(ports, 1) if p.port_security}
    return Script(
        [
            ("bridge", table_name(config), _bridge_table(secured, wanted, config)),
            ("inet", table_name(config), _inet_table(secured, wanted, config)),
        ]
    )


def table_name(config: NetworkAgentConfig) -> str:
    return config.mark + "_sg"


def zones(wanted: Wanted) -> dict[str, int]:
    """Return a conntrack zone for each bridge: stable from its network's id, unique on the host."""
    taken: dict[int, str] = {}
    for network in sorted(wanted.networks, key=lambda n: n.id):
        zone = int(hashlib.sha256(network.id.encode()).hexdigest()[:8], 16) % 65000 + 1
        while zone in taken:
            zone = zone % 65000 + 1
        taken[zone] = network.bridge
    return {bridge: zone for zone, bridge in taken.items()}


def _bridge_table(
    secured: dict[int, PortWanted], wanted: Wanted, config: NetworkAgentConfig
) -> str:
    entries = "".join(f'iifname "{p.tap}" goto from_{n}\n' for n, p in _few(secured))
    leaves = "".join(f'oifname "{p.tap}" goto to_{n}\n' for n, p in _few(secured))
    if len(secured) > 1:
        entries = f"iifname vmap {{ {_devices(secured, 'from')} }}\n"
        leaves = f"oifname vmap {{ {_devices(secured, 'to')} }}\n"
    text = [
        *(_from_chain(n, p) for n, p in secured.items()),
        *(f"chain to_{n} {{\nmeta mark set meta mark or {n << 16:#x}\n}}" for n in secured),
    ]
    ours = _own_cables(wanted, config)
    unmark = f"iifname {{ {ours} }} meta mark set 0\n" if ours else ""
    text.append(
        "chain prerouting {\ntype filter hook prerouting priority -300; policy accept;\n"
        f"{unmark}{entries}}}"
    )
    text.append(
        f"chain forward {{\ntype filter hook forward priority -10; policy accept;\n{leaves}}}"
    )
    return "\n".join(text)


def _few(secured: dict[int, PortWanted]) -> list[tuple[int, PortWanted]]:
    return list(secured.items()) if len(secured) == 1 else []


def _devices(secured: dict[int, PortWanted], way: str) -> str:
    return ", ".join(f'"{p.tap}" : goto {way}_{n}' for n, p in secured.items())


def _own_cables(wanted: Wanted, config: NetworkAgentConfig) -> str:
    own = {n.bridge for n in wanted.networks} & set(config.own_bridges)
    return ", ".join(f'"{bridge_end(name)}"' for name in sorted(own))


def _from_chain(number: int, port: PortWanted) -> str:
    """Return what a guest may send at all. Source: RFC 2827 (ingress filtering), RFC 6105."""
    macs = _set({port.mac.lower(), *(pair.mac.lower() for pair in port.allowed_pairs)})
    v4, v6 = _sources(port)
    arp_v4 = _set({*v4, "0.0.0.0"})
    lines = [
        f"ether saddr != {macs} drop",
        f"ether type arp arp saddr ether != {macs} drop",
        f"ether type arp arp saddr ip != {arp_v4} drop",
        "ether type arp accept",
        "ether type != { ip, ip6 } drop",
        "udp sport 67 udp dport 68 drop",
        "udp sport 547 udp dport 546 drop",
        "icmpv6 type { nd-router-advert, nd-redirect } drop",
        f"meta mark set {number:#x}",
        "ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept",
        "ip6 saddr :: icmpv6 type { 131, 135, 143 } accept",
        f"ip saddr {_set(v4)} accept" if v4 else "",
        f"ip6 saddr {_set(v6)} accept" if v6 else "",
        "drop",
    ]
    return f"chain from_{number} {{\n" + "\n".join(line for line in lines if line) + "\n}"


def _sources(port: PortWanted) -> tuple[set[str], set[str]]:
    every = {a.ip for a in port.addresses} | {pair.cidr for pair in port.allowed_pairs}
    v4 = {_cidr(a) for a in every if ":" not in a}
    v6 = {_cidr(a) for a in every if ":" in a} | {link_local(port.mac)}
    return v4, v6 | {link_local(pair.mac) for pair in port.allowed_pairs}


def _cidr(text: str) -> str:
    network = ipaddress.ip_network(text, strict=False)
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def link_local(mac: str) -> str:
    """Return the IPv6 link-local address made from a MAC. Source: RFC 4291, appendix A."""
    digits = [int(part, 16) for part in mac.split(":")]
    eui = [digits[0] ^ 2, *digits[1:3], 0xFF, 0xFE, *digits[3:]]
    return str(ipaddress.IPv6Address(bytes([0xFE, 0x80, *[0] * 6, *eui])))


def _set(values: set[str]) -> str:
    """Return an anonymous set; overlapping CIDRs are merged, which interval sets demand."""
    if any(":" in v and len(v) == 17 and v.count(":") == 5 for v in values):
        return f"{{ {', '.join(sorted(values))} }}"
    return f"{{ {', '.join(_collapse(values))} }}"


def _collapse(values: set[str]) -> list[str]:
    nets = [ipaddress.ip_network(v, strict=False) for v in values]
    v4 = ipaddress.collapse_addresses(n for n in nets if isinstance(n, ipaddress.IPv4Network))
    v6 = ipaddress.collapse_addresses(n for n in nets if isinstance(n, ipaddress.IPv6Network))
    return [_cidr(str(n)) for n in (*v4, *v6)]


def _inet_table(secured: dict[int, PortWanted], wanted: Wanted, config: NetworkAgentConfig) -> str:
    used = {g for p in secured.values() for g in p.security_groups}
    groups = [g for g in wanted.security_groups if g.id in used]
    text = [_member_set(name, members) for name, members in sorted(wanted.groups.items())]
    text += [_port_chains(n, p, {g.id for g in groups}) for n, p in secured.items()]
    stateless = _stateless(secured, groups)
    known, answered = _states(stateless)
    text.append(f"chain inbound {{\n{answered}{_dispatch(secured, 'in', 16)}accept\n}}")
    text += [_group_chains(g, wanted.groups) for g in groups]
    zone_map = ", ".join(f'"{b}" : {z}' for b, z in sorted(zones(wanted).items()))
    zoning = f"ct zone set iifname map {{ {zone_map} }}\n" if zone_map else ""
    bridges = ", ".join(f'"{b}"' for b in sorted({n.bridge for n in wanted.networks}))
    guard = f"iifname {{ {bridges} }} meta mark != 0 jump guests\n" if bridges else ""
    text += [
        f"chain zoning {{\ntype filter hook prerouting priority -300; policy accept;\n{zoning}}}",
        f"chain guests {{\nicmpv6 type {ND_TYPES} accept\n"
        f"{known}{_dispatch(secured, 'out', 0)}goto inbound\n}}",
        f"chain forward {{\ntype filter hook forward priority 0; policy accept;\n{guard}}}",
        *_masquerade(wanted, config),
    ]
    return "\n".join(text)


def _stateless(secured: dict[int, PortWanted], groups: list[SecurityGroupWanted]) -> list[int]:
    """Return the ports whose groups judge each packet by itself; a port's groups are alike."""
    kinds = {group.id: group.stateful for group in groups}
    return [
        n
        for n, p in secured.items()
        if any(g in kinds for g in p.security_groups)
        and not any(kinds.get(g, True) for g in p.security_groups)
    ]


def _states(stateless: list[int]) -> tuple[str, str]:
    """Return what connection tracking decides before the sender's rules, and the receiver's."""
    if not stateless:
        return "ct state established,related accept\nct state invalid drop\n", ""
    senders = f"meta mark and 0xffff != {{ {', '.join(f'{n:#x}' for n in stateless)} }}"
    marks = ", ".join(f"{n << 16:#x}" for n in stateless)
    receivers = f"meta mark and 0xffff0000 != {{ {marks} }}"
    before = f"{senders} ct state established,related goto inbound\n"
    before += f"{senders} ct state invalid drop\n"
    return before, f"{receivers} ct state established,related accept\n"


def _dispatch(secured: dict[int, PortWanted], way: str, shift: int) -> str:
    if not secured:
        return ""
    mask = 0xFFFF << shift
    entries = ", ".join(f"{n << shift:#x} : goto {way}_{n}" for n in secured)
    return f"meta mark and {mask:#x} vmap {{ {entries} }}\n"


def _port_chains(number: int, port: PortWanted, known: set[str]) -> str:
    groups = [g for g in port.security_groups if g in known]
    out = "".join(f"jump eg_{_word(g)}\n" for g in groups)
    into = "".join(f"jump ig_{_word(g)}\n" for g in groups)
    return (
        f"chain out_{number} {{\nudp sport 68 udp dport 67 goto inbound\n"
        f"udp sport 546 udp dport 547 goto inbound\n"
        f"icmpv6 type {{ 133, 143 }} goto inbound\n{out}drop\n}}\n"
        f"chain in_{number} {{\nudp sport 67 udp dport 68 accept\n"
        f"udp sport 547 udp dport 546 accept\nicmpv6 type {{ 134, 143 }} accept\n{into}drop\n}}"
    )


def _word(group_id: str) -> str:
    return group_id.replace("-", "")


def _member_set(group_id: str, members: list[str]) -> str:
    texts = []
    for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        mine = {m for m in members if (":" in m) == (version == 6)}
        elements = f"elements = {_set(mine)}\n" if mine else ""
        name = f"m{version}_{_word(group_id)}"
        texts.append(f"set {name} {{\ntype {kind}; flags interval;\n{elements}}}")
    return "\n".join(texts)


def _group_chains(group: SecurityGroupWanted, members: dict[str, list[str]]) -> str:
    rules: dict[str, list[str]] = {"ingress": [], "egress": []}
    for rule in group.rules:
        if rule.remote_group is None or rule.remote_group in members:
            rules[rule.direction].append(rule_text(rule))
    name = _word(group.id)
    into, out = "\n".join(sorted(rules["ingress"])), "\n".join(sorted(rules["egress"]))
    return f"chain ig_{name} {{\n{into}\n}}\nchain eg_{name} {{\n{out}\n}}"


def rule_text(rule: RuleWanted) -> str:
    """Return one rule as nft text; a match ends in `accept` (in) or goes on to the receiver."""
    family = "ip6" if rule.ethertype == "IPv6" else "ip"
    side = "saddr" if rule.direction == "ingress" else "daddr"
    parts = [f"meta nfproto {'ipv6' if family == 'ip6' else 'ipv4'}"]
    if rule.remote_cidr:
        parts.append(f"{family} {side} {_cidr(rule.remote_cidr)}")
    elif rule.remote_group:
        parts.append(f"{family} {side} @m{6 if family == 'ip6' else 4}_{_word(rule.remote_group)}")
    parts.append(_protocol_text(rule, family))
    parts.append("accept" if rule.direction == "ingress" else "goto inbound")
    return " ".join(p for p in parts if p)


def _protocol_text(rule: RuleWanted, family: str) -> str:
    if rule.protocol is None:
        return ""
    if rule.protocol in (ICMP, ICMPV6):
        icmp, number = ("icmpv6", 58) if family == "ip6" else ("icmp", 1)
        kind = f"{icmp} type {rule.port_min}" if rule.port_min is not None else ""
        code = f"{icmp} code {rule.port_max}" if rule.port_max is not None else ""
        return f"{kind} {code}".strip() or f"meta l4proto {number}"
    if rule.port_min is None or rule.protocol not in PORT_PROTOCOLS:
        return f"meta l4proto {rule.protocol}"
    last = rule.port_max if rule.port_max is not None else rule.port_min
    ports = f"{rule.port_min}-{last}" if last != rule.port_min else f"{last}"
    return f"meta l4proto {rule.protocol} th dport {ports}"


def _masquerade(wanted: Wanted, config: NetworkAgentConfig) -> list[str]:
    """Return a chain that gives external networks on own bridges the host's way out.

    Only for what the host routes from the bridge: br_netfilter brings bridged packets of
    tenants' networks here too, and those must keep the source that the guest answers to.
    """
    rules = []
    for network in wanted.networks:
        if network.bridge not in config.own_bridges:
            continue
        routed = host_end(network.bridge)
        inside = f'{{ "{network.bridge}", "{routed}", "lo" }}'
        for address in network.host_addresses:
            family = "ip6" if ":" in address.ip else "ip"
            cidr = str(ipaddress.ip_network(address.cidr, strict=False))
            rules.append(f'iifname "{routed}" {family} saddr {cidr} oifname != {inside} masquerade')
    if not rules:
        return []
    body = "\n".join(sorted(rules))
    return [f"chain natting {{\ntype nat hook postrouting priority 100; policy accept;\n{body}\n}}"]
