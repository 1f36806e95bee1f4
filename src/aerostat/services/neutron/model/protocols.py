"""IP protocols of security group rules, by name and by number. Source: IANA; api-ref."""

import ipaddress

from aerostat.services.neutron.model import faults

NUMBERS: dict[str, int] = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": 1,
    "igmp": 2,
    "ip": 0,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "icmpv6": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
WITH_PORTS = (6, 17, 33, 132, 136)
ICMP = (1, 58)
ONLY_V6 = (41, 43, 44, 58, 59, 60)


def number_of(protocol: str | None) -> int | None:
    """Return a protocol's number, None for any."""
    if protocol is None:
        return None
    return NUMBERS[protocol] if protocol in NUMBERS else int(protocol)


def proper_protocol(protocol: str | None, ethertype: str) -> str | None:
    """Return the protocol as it is stored. Raises: BadRequest."""
    if protocol is None:
        return None
    if protocol not in NUMBERS and not (protocol.isdecimal() and int(protocol) <= 255):
        raise faults.bad(
            "SecurityGroupRuleInvalidProtocol",
            f"Security group rule protocol {protocol} not supported. Only protocol values "
            f"{sorted(NUMBERS)} and integer representations [0 to 255] are supported.",
        )
    if ethertype == "IPv6" and protocol in ("icmp", "icmpv6"):
        return "ipv6-icmp"
    if ethertype == "IPv4" and number_of(protocol) in ONLY_V6:
        raise faults.bad(
            "SecurityGroupEthertypeConflictWithProtocol",
            f"Invalid ethertype {ethertype} for protocol {protocol}.",
        )
    return protocol


def same_protocol(one: str | None, other: str | None) -> bool:
    return number_of(one) == number_of(other)


def check_ports(protocol: str | None, low: int | None, high: int | None) -> None:
    """Raises: BadRequest (ports without a protocol that has some, or a bad range)."""
    if low is None and high is None:
        return
    number = number_of(protocol)
    if number is None:
        raise faults.bad(
            "SecurityGroupProtocolRequiredWithPorts",
            "Must also specify protocol if port range is given.",
        )
    if number in WITH_PORTS:
        if low is None or high is None or low > high or low < 0:
            raise faults.bad(
                "SecurityGroupInvalidPortRange",
                "For TCP/UDP protocols, port_range_min must be <= port_range_max",
            )
    elif number in ICMP:
        _check_icmp(low, high)
    else:
        raise faults.bad(
            "SecurityGroupInvalidProtocolForPort",
            f"Invalid protocol {protocol} for port range, only supported for TCP, UDP, UDPLITE, "
            "SCTP and DCCP.",
        )


def _check_icmp(kind: int | None, code: int | None) -> None:
    for name, value in (("type", kind), ("code", code)):
        if value is not None and not 0 <= value <= 255:
            raise faults.bad(
                "SecurityGroupInvalidIcmpValue",
                f"Invalid value for ICMP {name} ({value}). It must be 0 to 255.",
            )
    if kind is None:
        raise faults.bad(
            "SecurityGroupMissingIcmpType",
            f"ICMP code (port-range-max) {code} is provided but ICMP type (port-range-min) is "
            "missing.",
        )


def normalized_cidr(prefix: str | None) -> str | None:
    """Return the network that a remote prefix means: host bits cleared."""
    return prefix and str(ipaddress.ip_network(prefix, strict=False))
