"""What must be true of a cloud: some of it always, all of it once it has come to rest."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.kit.saga.store import UNFINISHED, Record, State
from aerostat.services.neutron.config import NeutronConfig
from aerostat.services.neutron.db import tables as neutron
from aerostat.services.neutron.domain.wanted import wanted
from aerostat.services.nova.db import hosts as nova_hosts
from aerostat.services.nova.db import tables as nova
from aerostat.services.nova.model.guest import PowerState
from aerostat.services.nova.model.migration import Migration, MigrationStatus
from aerostat.services.nova.model.server import Server, VmState
from aerostat.services.nova.sagas.scheduling import claim_of
from aerostat.services.placement.db import allocations, providers
from aerostat.sim.people import Ledger

POWER = {
    VmState.ACTIVE: PowerState.RUNNING,
    VmState.STOPPED: PowerState.SHUTDOWN,
    VmState.PAUSED: PowerState.PAUSED,
    VmState.SUSPENDED: PowerState.SUSPENDED,
}
"""The guest that a server at rest has."""

RUNS = (PowerState.RUNNING, PowerState.PAUSED)

OVERDUE_S = 120.0
"""A saga may run so long past its deadline before it is called stuck."""

Guests = dict[str, dict[str, PowerState]]
"""Host -> server -> power state."""


class Books(Struct, frozen=True):
    """What the database says, read in one transaction."""

    servers: dict[str, Server]
    sagas: list[Record]
    moves: list[Migration]
    leftovers: list[tuple[str, str]]
    claims: dict[str, dict[str, dict[str, int]]]
    provider_of: dict[str, str]
    ports: list[Any]
    addresses: list[Any]
    floatings: list[Any]


def read_books(tx: Tx) -> Books:
    """Return everything that the checks want."""
    rows = tx.all(select(nova.servers).order_by(nova.servers.c.id))
    sagas = nova.sagas
    return Books(
        servers={row.uuid: Server(*row) for row in rows},
        sagas=[
            r
            for key in sorted({row[0] for row in tx.all(select(sagas.table.c.key))})
            for r in reversed(sagas.of_key(tx, key))
        ],
        moves=[Migration(*row) for row in tx.all(select(nova.migrations))],
        leftovers=[(row.host, row.server_uuid) for row in tx.all(select(nova.leftovers))],
        claims=allocations.everything(tx),
        provider_of={h.host: h.uuid for h in nova_hosts.hosts(tx)},
        ports=list(tx.all(select(neutron.ports).order_by(neutron.ports.c.id))),
        addresses=list(tx.all(select(neutron.addresses))),
        floatings=list(tx.all(select(neutron.floatings).order_by(neutron.floatings.c.id))),
    )


def always(tx: Tx, guests: Guests, now: float) -> Iterator[str]:
    """Yield what is wrong at a moment when it may never be."""
    yield from _twice(guests)
    yield from _overfull(tx)
    stmt = select(neutron.addresses.c.network_id, neutron.addresses.c.ip_address)
    for where, times in Counter(tuple(row) for row in tx.all(stmt)).items():
        if times > 1:
            yield f"address {where} was given {times} times"
    seen: set[str] = set()
    for record in nova.sagas.unfinished(tx):
        first, late = record.key not in seen, now - record.deadline_at
        seen.add(record.key)
        if first and record.state == State.RUNNING and late > OVERDUE_S:
            yield f"saga {record.name} of {record.key} runs {late:.0f} s past its deadline"


def _twice(guests: Guests) -> Iterator[str]:
    running = Counter(s for there in guests.values() for s, p in there.items() if p in RUNS)
    for server_id, times in running.items():
        if times > 1:
            on = [host for host, there in guests.items() if there.get(server_id) in RUNS]
            yield f"guest {server_id} runs on {' and '.join(on)}"


def _overfull(tx: Tx) -> Iterator[str]:
    ids = [row[0] for row in tx.all(select(providers.P.id))]
    inventories, used = providers.inventories(tx, ids), providers.used(tx, ids)
    for key in ids:
        for name, amount in used[key].items():
            if amount > inventories[key][name].capacity:
                yield f"provider {key} gave {amount} of {name}, it has less"


def at_rest(tx: Tx, guests: Guests, ledger: Ledger) -> Iterator[str]:
    """Yield what is wrong when nothing should be under way."""
    books = read_books(tx)
    for record in books.sagas:
        if record.state in UNFINISHED:
            yield f"saga {record.name} of {record.key} is {record.state}"
    for server in books.servers.values():
        if not server.deleted:
            yield from _server(server, books, guests)
    yield from _strangers(books, guests)
    yield from _ports(books, ledger)
    yield from _promises(books, ledger)


def _server(server: Server, books: Books, guests: Guests) -> Iterator[str]:
    name = f"server {server.uuid} ({server.vm_state})"
    if server.task_state is not None or server.vm_state == VmState.BUILDING:
        yield f"{name} rests in task {server.task_state}"
    if server.vm_state == VmState.ERROR and not (server.fault or {}).get("message"):
        yield f"{name} does not say why"
    held = books.claims.get(server.uuid, {})
    wanted = {books.provider_of[server.host]: claim_of(server)} if server.host else {}
    if held != wanted:
        yield f"{name} on {server.host} holds {held} instead of {wanted}"
    there = {host: states[server.uuid] for host, states in guests.items() if server.uuid in states}
    if server.vm_state == VmState.ERROR:
        if set(there) - {server.host}:
            yield f"{name} on {server.host} has a guest on {sorted(there)}"
    elif there != {server.host: POWER.get(VmState(server.vm_state), server.power_state)}:
        yield f"{name} on {server.host} has guests {there}"


def _strangers(books: Books, guests: Guests) -> Iterator[str]:
    living = {s.uuid for s in books.servers.values() if not s.deleted}
    for host, there in guests.items():
        yield from (f"guest {g} on {host} is no server" for g in there if g not in living)
    waiting = {m.uuid: m for m in books.moves if m.status == MigrationStatus.FINISHED}
    for consumer, held in books.claims.items():
        if consumer in living:
            continue
        move = waiting.get(consumer)
        if move is None:
            yield f"claim of {consumer}, which is no server"
        elif list(held) != [books.provider_of[move.source_compute]]:
            yield f"claim of move {consumer} from {move.source_compute} is {held}"
    for host, server_id in books.leftovers:
        yield f"{host} was not cleaned of {server_id}"
    for move in books.moves:
        server = books.servers[move.instance_uuid]
        verdict_waits = server.vm_state in (VmState.RESIZED, VmState.ERROR)
        if not move.over and not (verdict_waits and move.uuid in waiting):
            yield f"move {move.uuid} of {server.uuid} ({server.vm_state}) rests in {move.status}"


def _ports(books: Books, ledger: Ledger) -> Iterator[str]:
    by_server: dict[str, list[Any]] = {}
    for port in books.ports:
        if port.device_owner.startswith("compute:"):
            by_server.setdefault(port.device_id, []).append(port)
    for server_id, ports in by_server.items():
        server = books.servers.get(server_id)
        if server is None or server.deleted:
            yield f"ports of {server_id}, which is no server: {[p.id for p in ports]}"
        elif any(p.host != server.host for p in ports):
            yield f"ports of {server_id} on {server.host} are bound to {[p.host for p in ports]}"
    known = {port.id for port in books.ports}
    for row in books.addresses:
        if row.port_id not in known:
            yield f"address {row.ip_address} of port {row.port_id}, which is none"
    for fip in books.floatings:
        if fip.port_id is not None and fip.port_id not in known:
            yield f"floating address {fip.id} before port {fip.port_id}, which is none"
    for server in books.servers.values():
        given = len(by_server.get(server.uuid, []))
        if given > len(server.requested.get("networks", [])):
            yield f"server {server.uuid} has {given} ports, more than were asked for"
        asked = len(server.requested.get("networks", []))
        if server.vm_state in POWER and not server.deleted and given < asked:
            gone = [n for n in server.requested["networks"] if n.get("port_id") in ledger.deleted]
            if given + len(gone) < asked:
                yield f"server {server.uuid} has {given} of {asked} ports"
    there = known | {fip.id for fip in books.floatings}
    for key in (*ledger.ports, *ledger.floatings):
        if key not in there and key not in ledger.deleted:
            yield f"{key} (port or floating address) vanished"


def _promises(books: Books, ledger: Ledger) -> Iterator[str]:
    """Every request that was accepted has its saga, and a server goes only by being deleted."""
    ran = Counter((r.key, r.name) for r in books.sagas)
    promised = Counter((a.server_id, a.saga) for a in ledger.accepted if a.saga != "delete")
    for (server_id, saga), times in promised.items():
        if ran[server_id, saga] < times:
            yield f"{times} {saga} of {server_id} were accepted, {ran[server_id, saga]} ran"
    for server_id in {a.server_id for a in ledger.accepted}:
        server = books.servers.get(server_id)
        if server is None or (server.deleted and server_id not in ledger.deleted):
            yield f"server {server_id} vanished"
    for server_id in {a.server_id for a in ledger.accepted if a.saga == "delete"}:
        server = books.servers[server_id]
        if not server.deleted and server.vm_state != VmState.ERROR:
            yield f"server {server_id} was to be deleted and is {server.vm_state}"
    yield from ledger.surprises


def unfinished_moves(tx: Tx, host: str, waiting: list[str]) -> list[str]:
    """Return what waits on a host for the end of a move that nobody makes."""
    c = nova.migrations.c
    stmt = select(c.instance_uuid).where(
        c.source_compute == host, c.status == MigrationStatus.FINISHED
    )
    known = {row[0] for row in tx.all(stmt)}
    return [f"{host}: disks of {s} wait for nothing" for s in waiting if s not in known]


def unlike(tx: Tx, host: str, have: dict[str, object]) -> list[str]:
    """Return how a host's data plane differs from what the database wants of it."""
    from aerostat.services.neutron.drivers.fake import FakeDataplane

    plane = FakeDataplane()
    plane.have = have
    return [f"{host}: {line}" for line in plane.differences(wanted(tx, host, NeutronConfig()))]
