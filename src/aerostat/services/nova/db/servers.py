"""Rows of servers. The only module that names their columns."""

from collections.abc import Sequence
from typing import Any

from msgspec import structs
from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.kit.db.pages import page, sort_columns
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.services.nova.db import tables as t
from aerostat.services.nova.model.listing import ServerQuery
from aerostat.services.nova.model.server import Server, TaskState, VmState

C = t.servers.c
_ALL = select(t.servers)
FIELDS = Server.__struct_fields__


SORTABLE: dict[str, ColumnElement[Any]] = {
    "created_at": C.created_at,
    "updated_at": C.updated_at,
    "display_name": C.name,
    "display_description": C.description,
    "uuid": C.uuid,
    "id": C.id,
    "host": C.host,
    "hostname": C.hostname,
    "image_ref": C.image_id,
    "instance_type_id": C.flavor_id,
    "key_name": C.key_name,
    "launch_index": C.launch_index,
    "launched_at": C.launched_at,
    "power_state": C.power_state,
    "project_id": C.project_id,
    "task_state": C.task_state,
    "terminated_at": C.terminated_at,
    "user_id": C.user_id,
    "vm_state": C.vm_state,
    "availability_zone": C.availability_zone,
    "config_drive": C.config_drive,
    "locked": C.locked,
    "root_device_name": C.id,
    "access_ip_v4": C.access_ip_v4,
    "access_ip_v6": C.access_ip_v6,
    "progress": C.id,
    "auto_disk_config": C.id,
}


def get(tx: Tx, uuid: str, project_id: str | None = None, *, deleted: bool = False) -> Server:
    """Return a server, of `project_id` if given. Raises: NotFound."""
    stmt = _ALL.where(C.uuid == uuid)
    if project_id is not None:
        stmt = stmt.where(C.project_id == project_id)
    if not deleted:
        stmt = stmt.where(C.deleted == 0)
    row = tx.first(stmt)
    if row is None:
        raise NotFound(f"Instance {uuid} could not be found.")
    return Server(*row)


def is_busy(tx: Tx, uuid: str) -> bool:
    """Tell whether something is being done to a server that is there."""
    stmt = select(C.id).where(C.uuid == uuid, C.deleted == 0, C.task_state.is_not(None))
    return tx.first(stmt) is not None


def find(tx: Tx, query: ServerQuery) -> list[Server]:
    """Return a page of servers. Raises: BadRequest (marker, sort key)."""
    sort = sort_columns(
        query.sort_keys, query.sort_dirs, SORTABLE, [("created_at", "desc"), ("id", "desc")]
    )
    marker = None
    if query.marker is not None:
        try:
            last = get(tx, query.marker, query.project_id, deleted=True)
        except NotFound as why:
            raise BadRequest(f"marker [{query.marker}] not found", field="marker") from why
        marker = [getattr(last, str(column.key)) for column, _ in sort]
    stmt = _ALL.where(*_conditions(query))
    return [Server(*row) for row in page(tx, stmt, sort, marker, query.limit)]


def _conditions(query: ServerQuery) -> list[ColumnElement[bool]]:
    out: list[ColumnElement[bool]] = []
    if query.deleted:
        out.append(C.deleted != 0)
    elif query.changed_since is None and query.changed_before is None:
        out.append(C.deleted == 0)
    if query.project_id is not None:
        out.append(C.project_id == query.project_id)
    for column, value in query.equals.items():
        out.append(C[column].is_(None) if value is None else C[column] == value)
    if query.states is not None:
        out.append(C.vm_state.in_(query.states))
    if query.name:
        out.append(C.name.regexp_match(query.name))
    if query.uuids is not None:
        out.append(C.uuid.in_(query.uuids))
    if query.changed_since is not None:
        out.append(C.updated_at >= query.changed_since)
    if query.changed_before is not None:
        out.append(C.updated_at <= query.changed_before)
    return out + _tag_conditions(query)


def _tag_conditions(query: ServerQuery) -> list[ColumnElement[bool]]:
    out: list[ColumnElement[bool]] = []
    if query.tags:
        out.append(and_(*(_tagged(tag) for tag in query.tags)))
    if query.tags_any:
        out.append(or_(*(_tagged(tag) for tag in query.tags_any)))
    if query.not_tags:
        out.append(~and_(*(_tagged(tag) for tag in query.not_tags)))
    if query.not_tags_any:
        out.append(~or_(*(_tagged(tag) for tag in query.not_tags_any)))
    return out


def _tagged(tag: str) -> ColumnElement[bool]:
    escaped = tag.replace("\\", "\\\\").replace('"', '\\"')
    return C.tags.op("LIKE")(f'%"{escaped}"%')


def add(tx: Tx, server: Server) -> Server:
    """Insert a server; return it with its number."""
    values = structs.asdict(server)
    del values["id"]
    made = tx.connection.execute(insert(t.servers).values(**values))
    assert made.inserted_primary_key is not None
    return structs.replace(server, id=made.inserted_primary_key[0])


def change(tx: Tx, uuid: str, now: float, **values: Any) -> None:
    """Write columns of a server that is there. Raises: NotFound."""
    stmt = update(t.servers).where(C.uuid == uuid, C.deleted == 0)
    if tx.run(stmt.values(updated_at=now, **values)) != 1:
        raise NotFound(f"Instance {uuid} could not be found.")


def is_going(tx: Tx, uuid: str) -> bool:
    """Tell whether a server is being deleted, or gone."""
    row = tx.first(select(C.task_state).where(C.uuid == uuid, C.deleted == 0))
    return row is None or row[0] == TaskState.DELETING


def gone(tx: Tx, uuids: Sequence[str]) -> list[str]:
    """Return those of `uuids` that name a server which holds nothing any more, and never will.

    It was deleted, or could not be built: then it is in ERROR, has no host, and nothing is being
    done to it.
    """
    given_up = and_(C.vm_state == VmState.ERROR, C.host.is_(None), C.task_state.is_(None))
    stmt = select(C.uuid).where(among(C.uuid, uuids), or_(C.deleted != 0, given_up))
    return [row[0] for row in tx.all(stmt.order_by(C.id))]


def leave_host(tx: Tx, uuid: str, now: float) -> None:
    """Let a server be on no host, if it is there."""
    stmt = update(t.servers).where(C.uuid == uuid, C.deleted == 0)
    tx.run(stmt.values(updated_at=now, host=None))


def bury(tx: Tx, uuid: str, now: float) -> None:
    """Mark a server as deleted; it stays as history."""
    tx.run(
        update(t.servers)
        .where(C.uuid == uuid, C.deleted == 0)
        .values(
            vm_state=VmState.DELETED,
            task_state=None,
            power_state="nostate",
            deleted=C.id,
            terminated_at=now,
            updated_at=now,
        )
    )


def strangers(tx: Tx, host: str, uuids: Sequence[str]) -> list[str]:
    """Return those of these servers that are gone, or at rest and not on this host."""
    elsewhere = and_(C.task_state.is_(None), or_(C.host.is_(None), C.host != host))
    stmt = select(C.uuid).where(among(C.uuid, uuids), or_(C.deleted != 0, elsewhere))
    return [row[0] for row in tx.all(stmt.order_by(C.id))]


def usage(tx: Tx, project_id: str, user_id: str | None = None) -> dict[str, int]:
    """Return instances, cores and ram (MiB) of a project; counted, never stored."""
    where = [C.deleted == 0, C.project_id == project_id]
    if user_id is not None:
        where.append(C.user_id == user_id)
    row = tx.first(
        select(
            func.count(C.id),
            func.coalesce(func.sum(C.vcpus), 0),
            func.coalesce(func.sum(C.ram_mib), 0),
        ).where(*where)
    )
    return {"instances": row[0], "cores": int(row[1]), "ram": int(row[2])}


def on_host(tx: Tx, host: str) -> list[Server]:
    """Return the servers of a host."""
    return [Server(*row) for row in tx.all(_ALL.where(C.deleted == 0, C.host == host))]


def hosts_of(tx: Tx, uuids: Sequence[str]) -> list[str]:
    """Return the hosts of these servers."""
    stmt = select(C.host).where(C.uuid.in_(uuids), C.host.is_not(None), C.deleted == 0)
    return [row[0] for row in tx.all(stmt)]


def counts_by_host(tx: Tx) -> dict[str, dict[str, int]]:
    """Return servers, vcpus and ram_mib in use by host."""
    stmt = select(C.host, func.count(C.id), func.sum(C.vcpus), func.sum(C.ram_mib)).where(
        C.deleted == 0, C.host.is_not(None)
    )
    return {
        row[0]: {"servers": row[1], "vcpus": int(row[2]), "ram_mib": int(row[3])}
        for row in tx.all(stmt.group_by(C.host))
    }


def in_group(tx: Tx, group_id: str) -> list[tuple[str, str | None]]:
    """Return (uuid, host) of the members of a server group."""
    stmt = select(C.uuid, C.host).where(C.deleted == 0, C.group_id == group_id)
    return [(row[0], row[1]) for row in tx.all(stmt.order_by(C.id))]


def alive_between(tx: Tx, project_id: str | None, start: float, stop: float) -> list[Server]:
    """Return the servers that were there in a period, of a project or of all."""
    stmt = _ALL.where(
        C.created_at <= stop, or_(C.terminated_at.is_(None), C.terminated_at >= start)
    )
    if project_id is not None:
        stmt = stmt.where(C.project_id == project_id)
    return [Server(*row) for row in tx.all(stmt.order_by(C.id))]
