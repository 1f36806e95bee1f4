"""Rows of compute hosts, of the services on them, and of aggregates."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import insert, select, update

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import NotFound
from aerostat.services.nova.db import leftovers
from aerostat.services.nova.db import tables as t
from aerostat.services.nova.model.guest import HostFacts

AUTO = "AUTO: "
"""Begins the reason of a service that was disabled by the cloud itself. Source: nova."""

H, S, A = t.hosts.c, t.services.c, t.aggregates.c


class Host(Struct, frozen=True):
    """A compute host; `uuid` is its resource provider's too."""

    id: int
    uuid: str
    host: str
    facts: HostFacts
    updated_at: float


class Service(Struct, frozen=True):
    """A nova service on a host."""

    id: int
    uuid: str
    host: str
    binary: str
    disabled: bool
    disabled_reason: str | None
    forced_down: bool
    seen_at: float
    created_at: float

    def up(self, now: float, down_time_s: float) -> bool:
        """Tell whether it was heard of lately and is not forced down."""
        return not self.forced_down and now - self.seen_at <= down_time_s


class Aggregate(Struct, frozen=True):
    """A host aggregate; `availability_zone` in its metadata makes it a zone."""

    id: int
    uuid: str
    name: str
    metadata: dict[str, str]
    hosts: list[str]
    created_at: float
    updated_at: float | None


def _host(row: Any) -> Host:
    return Host(row[0], row[1], row[2], msgspec.convert(row[3], HostFacts), row[4])


def hosts(tx: Tx, providers: Sequence[str] | None = None) -> list[Host]:
    """Return the compute hosts, all or those of these providers."""
    stmt = select(t.hosts).order_by(H.id)
    if providers is not None:
        stmt = stmt.where(among(H.uuid, providers))
    return [_host(row) for row in tx.all(stmt)]


def known(tx: Tx, before: Mapping[str, Host]) -> dict[str, Host]:
    """Return the compute hosts by provider; those that are as they were `before` are not read."""
    seen = tx.all(select(H.uuid, H.updated_at).order_by(H.id))
    found = {key: before[key] for key, at in seen if key in before and before[key].updated_at == at}
    if other := [key for key, _ in seen if key not in found]:
        found |= {host.uuid: host for host in hosts(tx, other)}
    return found


def host(tx: Tx, name: str) -> Host:
    """Raises: NotFound."""
    row = tx.first(select(t.hosts).where(H.host == name))
    if row is None:
        raise NotFound(f"Compute host {name} could not be found.")
    return _host(row)


def register(tx: Tx, facts: HostFacts, uuid: str, service_uuid: str, now: float) -> Host:
    """Write down a host that reports, and its service; return it."""
    values = {"facts": msgspec.to_builtins(facts), "updated_at": now}
    if tx.run(update(t.hosts).where(H.host == facts.host).values(**values)) == 0:
        tx.run(insert(t.hosts).values(uuid=uuid, host=facts.host, **values))
    seen(tx, facts.host, "nova-compute", service_uuid, now)
    return host(tx, facts.host)


def seen(tx: Tx, name: str, binary: str, uuid: str, now: float) -> None:
    """Write down that a service is alive."""
    stmt = update(t.services).where(S.host == name, S.binary == binary)
    if tx.run(stmt.values(seen_at=now)) == 0:
        tx.run(
            insert(t.services).values(
                uuid=uuid,
                host=name,
                binary=binary,
                disabled=False,
                forced_down=False,
                seen_at=now,
                created_at=now,
            )
        )


def follow_health(tx: Tx, name: str, ailment: str) -> None:
    """Disable nova-compute on a host whose hypervisor does not work; enable it when it does.

    What an operator disabled stays so. Source: nova, libvirt driver, _set_host_enabled.
    """
    row = tx.first(select(t.services).where(S.host == name, S.binary == "nova-compute"))
    if row is None:
        return
    service = Service(*row)
    if ailment and not service.disabled:
        change_service(tx, service.id, {"disabled": True, "disabled_reason": AUTO + ailment})
    elif not ailment and service.disabled and (service.disabled_reason or "").startswith(AUTO):
        change_service(tx, service.id, {"disabled": False, "disabled_reason": None})


def services(tx: Tx) -> list[Service]:
    """Return every service."""
    return [Service(*row) for row in tx.all(select(t.services).order_by(S.id))]


def is_up(tx: Tx, name: str, now: float, down_time_s: float) -> bool:
    """Tell whether nova-compute on a host was heard of lately and is not forced down."""
    row = tx.first(select(t.services).where(S.host == name, S.binary == "nova-compute"))
    return row is not None and Service(*row).up(now, down_time_s)


def is_heard(tx: Tx, name: str, now: float, down_time_s: float) -> bool:
    """Tell whether nova-compute on a host was heard of lately, forced down or not."""
    row = tx.first(select(t.services).where(S.host == name, S.binary == "nova-compute"))
    return row is not None and now - Service(*row).seen_at <= down_time_s


def change_service(tx: Tx, service_id: int, values: Mapping[str, Any]) -> None:
    """Write columns of a service."""
    tx.run(update(t.services).where(S.id == service_id).values(**values))


def remove_service(tx: Tx, service: Service) -> None:
    """Forget a service, and the host with it."""
    tx.run(t.services.delete().where(S.id == service.id))
    if service.binary == "nova-compute":
        tx.run(t.hosts.delete().where(H.host == service.host))
        leftovers.forget_host(tx, service.host)


def aggregates(tx: Tx) -> list[Aggregate]:
    """Return every aggregate."""
    return [Aggregate(*row) for row in tx.all(select(t.aggregates).order_by(A.id))]


def zone_of(name: str, found: Sequence[Aggregate], default: str) -> str:
    """Return the availability zone of a host."""
    for aggregate in found:
        if name in aggregate.hosts and "availability_zone" in aggregate.metadata:
            return aggregate.metadata["availability_zone"]
    return default
