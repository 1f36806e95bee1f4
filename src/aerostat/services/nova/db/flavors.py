"""Rows of flavors and of who may use the private ones."""

from typing import Any

from msgspec import Struct, structs
from sqlalchemy import ColumnElement, delete, insert, or_, select, update

from aerostat.kit.db.engine import Tx
from aerostat.kit.db.pages import page, sort_columns
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.nova.db import tables as t
from aerostat.services.nova.model.flavor import Flavor

C, ACCESS = t.flavors.c, t.flavor_access.c
SORTABLE: dict[str, ColumnElement[Any]] = {
    "flavorid": C.flavorid,
    "name": C.name,
    "memory_mb": C.ram_mib,
    "vcpus": C.vcpus,
    "root_gb": C.root_gb,
    "ephemeral_gb": C.ephemeral_gb,
    "swap": C.swap_mib,
    "rxtx_factor": C.rxtx_factor,
    "is_public": C.is_public,
    "disabled": C.disabled,
    "id": C.id,
    "created_at": C.id,
    "updated_at": C.id,
}


def get(tx: Tx, flavorid: str, project_id: str | None = None) -> Flavor:
    """Return a flavor, one that `project_id` may use if given. Raises: NotFound."""
    stmt = select(t.flavors).where(C.flavorid == flavorid)
    if project_id is not None:
        stmt = stmt.where(_usable(project_id))
    row = tx.first(stmt)
    if row is None:
        raise NotFound(f"Flavor {flavorid} could not be found.")
    return Flavor(*row)


def _usable(project_id: str) -> ColumnElement[bool]:
    mine = select(ACCESS.flavorid).where(ACCESS.project_id == project_id)
    return or_(C.is_public.is_(True), C.flavorid.in_(mine))


class FlavorQuery(Struct, kw_only=True):
    """What a list asks for. `project_id` None: every flavor; `is_public` None: both kinds."""

    project_id: str | None
    is_public: bool | None = None
    min_ram: int = 0
    min_disk: int = 0
    sort_key: str = "flavorid"
    sort_dir: str = "asc"
    marker: str | None = None
    limit: int | None = None


def find(tx: Tx, query: FlavorQuery) -> list[Flavor]:
    """Return a page. Raises: BadRequest (marker, sort key)."""
    stmt = select(t.flavors).where(C.ram_mib >= query.min_ram, C.root_gb >= query.min_disk)
    if query.project_id is not None:
        stmt = stmt.where(_usable(query.project_id))
    if query.is_public is not None:
        stmt = stmt.where(C.is_public.is_(query.is_public))
    order = sort_columns([query.sort_key], [query.sort_dir], SORTABLE, [("id", "asc")])
    values = None
    if query.marker is not None:
        try:
            last = get(tx, query.marker)
        except NotFound as why:
            raise BadRequest(f"marker [{query.marker}] not found", field="marker") from why
        values = [getattr(last, str(column.key)) for column, _ in order]
    return [Flavor(*row) for row in page(tx, stmt, order, values, query.limit)]


def add(tx: Tx, flavor: Flavor) -> Flavor:
    """Insert a flavor. Raises: Conflict (id or name taken)."""
    for column, value in ((C.flavorid, flavor.flavorid), (C.name, flavor.name)):
        if tx.first(select(C.id).where(column == value)) is not None:
            raise Conflict(f"Flavor with {column.key} {value} already exists.")
    values = structs.asdict(flavor)
    del values["id"]
    tx.run(insert(t.flavors).values(**values))
    return get(tx, flavor.flavorid)


def change(tx: Tx, flavorid: str, **values: Any) -> None:
    """Write columns. Raises: NotFound."""
    if tx.run(update(t.flavors).where(C.flavorid == flavorid).values(**values)) != 1:
        raise NotFound(f"Flavor {flavorid} could not be found.")


def remove(tx: Tx, flavorid: str) -> None:
    """Delete a flavor; servers keep their copy. Raises: NotFound."""
    if tx.run(delete(t.flavors).where(C.flavorid == flavorid)) != 1:
        raise NotFound(f"Flavor {flavorid} could not be found.")
    tx.run(delete(t.flavor_access).where(ACCESS.flavorid == flavorid))


def projects(tx: Tx, flavorid: str) -> list[str]:
    """Return the projects that may use a private flavor."""
    stmt = select(ACCESS.project_id).where(ACCESS.flavorid == flavorid)
    return [row[0] for row in tx.all(stmt.order_by(ACCESS.project_id))]


def grant(tx: Tx, flavorid: str, project_id: str) -> None:
    """Raises: Conflict (it has access)."""
    if project_id in projects(tx, flavorid):
        raise Conflict(
            f"Flavor access already exists for flavor {flavorid} and project {project_id} "
            "combination."
        )
    tx.run(insert(t.flavor_access).values(flavorid=flavorid, project_id=project_id))


def revoke(tx: Tx, flavorid: str, project_id: str) -> None:
    """Raises: NotFound (it has none)."""
    where = (ACCESS.flavorid == flavorid, ACCESS.project_id == project_id)
    if tx.run(delete(t.flavor_access).where(*where)) != 1:
        raise NotFound(f"Flavor access not found for {flavorid} / {project_id} combination.")
