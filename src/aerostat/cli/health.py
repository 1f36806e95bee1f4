"""Whether the cloud is well: every API answers, every host and agent is up."""

import socket
from typing import Any

from msgspec import Struct

from aerostat.assembly.settings import Settings
from aerostat.cli.cloud import ApiError, Cloud, send

PROBE_TIMEOUT_S = 3.0
SERVICES = (
    ("keystone", 5000, "/v3"),
    ("glance", 9292, "/"),
    ("placement", 8778, "/"),
    ("nova", 8774, "/"),
    ("neutron", 9696, "/"),
    ("novncproxy", 6080, "/vnc_lite.html"),
)
"""Name, upstream's port, and a path that answers without a token (a test compares assembly)."""


class Service(Struct, frozen=True):
    """An API and whether it answers."""

    name: str
    url: str
    healthy: bool


class Agent(Struct, frozen=True):
    """A program on a host, as the APIs report it; `seen` is its last sign of life, in UTC."""

    name: str
    host: str
    up: bool
    seen: str


def services(settings: Settings) -> list[Service]:
    """Return every API."""
    return [
        Service(name, settings.url(port), answers(settings.url(port, path), settings.tls_ca))
        for name, port, path in SERVICES
    ]


def answers(url: str, cacert: str = "") -> bool:
    """Tell whether something answers that is not an error of the server."""
    try:
        return send("GET", url, timeout_s=PROBE_TIMEOUT_S, cacert=cacert)[0] < 500
    except ApiError:
        return False


def taken(settings: Settings) -> list[int]:
    """Return the ports of the cloud that something holds; while it is down, something else."""
    wanted = [port for _, port, _ in SERVICES] + [settings.gateway_port]
    if settings.metrics_port:
        wanted.append(settings.metrics_port)
    return [settings.port(p) for p in wanted if not _free(settings.listen, settings.port(p))]


def _free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def agents(admin: Cloud) -> list[Agent]:
    """Return nova's services on hosts and neutron's agents. Raises: ApiError."""
    found = admin.list("compute", "services", "/os-services")
    networks = admin.list("network", "agents", "/v2.0/agents")
    return [
        Agent(s["binary"], s["host"], s["state"] == "up", _moment(s["updated_at"])) for s in found
    ] + [
        Agent(a["binary"], a["host"], bool(a["alive"]), _moment(a["heartbeat_timestamp"]))
        for a in networks
    ]


def hosts_up(admin: Cloud, since: str = "") -> bool:
    """Tell whether there is a compute host with network agents that were seen after `since`."""
    try:
        found = [a for a in agents(admin) if a.up and a.seen >= since]
    except ApiError as why:
        if why.status in (0, 503):
            return False
        raise
    computes = {a.host for a in found if a.name == "nova-compute"}
    return bool(computes) and computes <= {a.host for a in found if a.name.startswith("neutron")}


def _moment(text: str | None) -> str:
    return (text or "")[:19].replace(" ", "T")


def document(found: list[Service]) -> list[dict[str, Any]]:
    return [{"name": s.name, "url": s.url, "healthy": s.healthy} for s in found]
