"""`aerostat doctor --audit`: what the APIs say beside what the machine has; every difference.

The books are read through the public APIs as admin, the machine is looked at directly. The cloud
should be at rest: an operation under way shows as a difference.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from aerostat.assembly import estate
from aerostat.assembly.estate import Estate
from aerostat.assembly.settings import Settings
from aerostat.cli.cloud import Cloud
from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.cli.credentials import cloud_of
from aerostat.kit.errors import Unavailable

POWER = {
    "ACTIVE": "RUNNING",
    "SHUTOFF": "SHUTDOWN",
    "PAUSED": "PAUSED",
    "SUSPENDED": "SUSPENDED",
}
"""What a server's status says about its guest's power state."""

WAITING = ("finished", "done")
"""Migrations at rest that hold something on the old host: until a verdict, or until it is back."""

ASIDE = "_resize"
ID_CHARS = 11
SETTLE_TIMEOUT_S = 5.0
SETTLE_POLL_S = 0.25


class Server(Struct, frozen=True):
    """A server as nova shows it."""

    id: str
    status: str
    task: str
    host: str


class Port(Struct, frozen=True):
    """A port as neutron shows it."""

    id: str
    owner: str
    device_id: str
    network_id: str
    addresses: list[str]


class Books(Struct, frozen=True):
    """What the cloud believes; `allocated` are placement's consumers.

    `moves` are the migrations that have still something on a host.
    """

    servers: dict[str, Server]
    allocated: set[str]
    ports: list[Port]
    networks: set[str]
    routers: set[str]
    moves: set[str] = set()


def run(command: Command) -> int:
    """Print every difference; 1 if there is one."""
    settings, console = command.settings, command.console
    books, machine, found = _settled(settings)
    if console.as_json:
        console.json({"differences": found})
        return 1 if found else 0
    console.say(
        f"Compared: {len(books.servers)} servers, {len(books.allocated)} allocations,"
        f" {len(books.ports)} ports, {len(machine.guests)} guests,"
        f" {len(machine.directories)} guest directories, {len(machine.namespaces)} namespaces,"
        f" {len(machine.devices)} network devices."
    )
    for line in found:
        console.say(f"  DIFFERENT  {line}")
    console.say(f"{len(found)} differences." if found else "No differences.")
    return 1 if found else 0


def _settled(settings: Settings) -> tuple[Books, Estate, list[str]]:
    """Return both sides and their differences once there are none, or they last.

    Agents follow the books with a short delay: what goes away by itself is no difference.
    """
    admin, end = cloud_of(settings, "admin"), time.monotonic() + SETTLE_TIMEOUT_S
    while True:
        try:
            books, machine = read_books(admin), asyncio.run(estate.look(settings))
        except Unavailable as why:
            raise CliError(why.message, "see to libvirtd first, then ask again") from why
        found = differences(books, machine, local_network=settings.compute_driver != "fake")
        if not found or time.monotonic() > end:
            return books, machine, found
        time.sleep(SETTLE_POLL_S)


def read_books(admin: Cloud) -> Books:
    """Return what the APIs say."""
    servers = admin.list("compute", "servers", "/servers/detail", all_tenants=1)
    providers = admin.list("placement", "resource_providers")
    allocated: set[str] = set()
    for provider in providers:
        answer = admin.get("placement", f"/resource_providers/{provider['uuid']}/allocations")
        allocated |= set(answer["allocations"])
    return Books(
        {s["id"]: _server(s) for s in servers},
        allocated,
        [_port(p) for p in admin.list("network", "ports", "/v2.0/ports")],
        {n["id"] for n in admin.list("network", "networks", "/v2.0/networks")},
        {r["id"] for r in admin.list("network", "routers", "/v2.0/routers")},
        {
            m["uuid"]
            for m in admin.list("compute", "migrations", "/os-migrations")
            if m["status"] in WAITING
        },
    )


def differences(books: Books, machine: Estate, *, local_network: bool) -> list[str]:
    """Return every difference, as sentences."""
    found = [*_servers(books), *_guests(books, machine), *_ports(books)]
    if local_network:
        found += [*_files(books, machine), *_network(books, machine)]
    return found


def _servers(books: Books) -> Iterator[str]:
    for server in books.servers.values():
        if server.status == "BUILD" or server.task:
            yield f"server {server.id} rests in {server.status} ({server.task or 'no task'})"
        if server.host and server.id not in books.allocated:
            yield f"server {server.id} on {server.host} has no allocation in placement"
    for consumer in sorted(books.allocated - set(books.servers) - books.moves):
        yield f"placement: allocation of {consumer}, which is no server and no move"
    for move in sorted(books.moves - books.allocated):
        yield f"placement: move {move} waits for its end without an allocation"


def _guests(books: Books, machine: Estate) -> Iterator[str]:
    for server in books.servers.values():
        if not server.host or server.status == "ERROR":
            continue
        power = machine.guests.get(server.id)
        if power is None:
            yield f"server {server.id} ({server.status}) has no guest on the hypervisor"
        elif POWER.get(server.status, power) != power:
            yield f"server {server.id} is {server.status}, its guest is {power}"
    for guest in sorted(set(machine.guests) - set(books.servers)):
        yield f"hypervisor: guest {guest}, which is no server"


def _ports(books: Books) -> Iterator[str]:
    for port in books.ports:
        if port.owner.startswith("compute:") and port.device_id not in books.servers:
            yield f"neutron: port {port.id} of {port.device_id}, which is no server"
    used = Counter((p.network_id, a) for p in books.ports for a in p.addresses)
    for (network, address), times in used.items():
        if times > 1:
            yield f"neutron: address {address} is used {times} times on network {network}"


def _files(books: Books, machine: Estate) -> Iterator[str]:
    for name in machine.directories:
        server = books.servers.get(name.removesuffix(ASIDE))
        if server is None:
            yield f"files: instances/{name}, which is no server"
        elif name.endswith(ASIDE) and server.status != "VERIFY_RESIZE":
            yield f"files: instances/{name}, but server {server.id} is {server.status}"
    for guest in sorted(set(machine.guests) - set(machine.directories)):
        yield f"files: guest {guest} has no directory"


def _network(books: Books, machine: Estate) -> Iterator[str]:
    wanted = {f"qdhcp-{p.network_id}" for p in books.ports if p.owner == "network:dhcp"}
    known = wanted | {f"qrouter-{r}" for r in books.routers}
    for name in machine.namespaces:
        if name not in known:
            yield f"namespaces: {name}, which no network or router wants"
    for name in sorted(wanted - set(machine.namespaces)):
        yield f"namespaces: {name} is missing"
    ports = {"tap" + p.id[:ID_CHARS] for p in books.ports}
    bridges = {"brq" + n[:ID_CHARS] for n in books.networks}
    for name in machine.devices:
        if name.startswith("tap") and name not in ports:
            yield f"devices: {name}, which is no port"
        if name.startswith("brq") and name not in bridges:
            yield f"devices: {name}, which is no network"
    for port in books.ports:
        server = books.servers.get(port.device_id)
        running = server is not None and machine.guests.get(server.id) == "RUNNING"
        if running and "tap" + port.id[:ID_CHARS] not in machine.devices:
            yield f"devices: port {port.id} of running server {port.device_id} has no tap"


def _server(doc: dict[str, Any]) -> Server:
    task = doc.get("OS-EXT-STS:task_state") or ""
    return Server(doc["id"], doc["status"], task, doc.get("OS-EXT-SRV-ATTR:host") or "")


def _port(doc: dict[str, Any]) -> Port:
    addresses = [a["ip_address"] for a in doc["fixed_ips"]]
    return Port(doc["id"], doc["device_owner"], doc["device_id"], doc["network_id"], addresses)
