"""Rows of images, with their tags and custom properties."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, insert, or_, select, update

from aerostat.kit.db.among import among
from aerostat.kit.db.engine import Tx
from aerostat.kit.db.pages import Sort, paged, sort_columns
from aerostat.kit.errors import BadRequest, Conflict, GenerationConflict, NotFound
from aerostat.services.glance.db import tables as t
from aerostat.services.glance.model.image import Image, Location, Outline
from aerostat.services.glance.model.listing import Comparison, Listing, Viewer

C = t.images.c
_COLUMNS = [C[name] for name in Image.__struct_fields__]
TAGS, PLACES = (Image.__struct_fields__.index(name) for name in ("tags", "locations"))
_SELECT = select(*_COLUMNS)
_OUTLINE = select(*(C[name] for name in Outline.__struct_fields__))
_BY_ID = _SELECT.where(C.id == bindparam("image_id"))
SORT_KEYS = {
    name: C[name]
    for name in ("name", "status", "container_format", "disk_format", "size", "id", "created_at",
                 "updated_at", "owner", "visibility", "min_disk", "min_ram")
}  # fmt: skip
DEFAULT_SORT = (("created_at", "desc"), ("id", "desc"))
STATEMENTS_MAX = 256
"""Lists whose statement is kept: building it costs as much as running it."""


def _image(row: Any) -> Image:
    values = list(row)
    values[TAGS] = tuple(values[TAGS])
    values[PLACES] = tuple(Location(**place) for place in values[PLACES] or ())
    return Image(*values)


def find(tx: Tx, image_id: str) -> Image | None:
    """Return the image, whoever asks, or None."""
    row = tx.first(_BY_ID, {"image_id": image_id})
    return None if row is None else _image(row)


def get(tx: Tx, image_id: str) -> Image:
    """Return the image, whoever asks. Raises: NotFound."""
    found = find(tx, image_id)
    if found is None:
        raise unknown(image_id)
    return found


def unknown(image_id: str) -> NotFound:
    """Return the fault for an image that is not there or not seen."""
    return NotFound(f"No image found with ID {image_id}")


def add(tx: Tx, image: Image) -> Image:
    """Insert an image. Raises: Conflict (the id is taken)."""
    if known(tx, [image.id]):
        raise Conflict(f"Image ID {image.id} already exists!")
    tx.run(insert(t.images), _values(image))
    _write_tags(tx, image)
    _write_properties(tx, image)
    return image


def save(tx: Tx, old: Image, new: Image, now: float) -> Image:
    """Write `new` in the place of `old`. Raises: GenerationConflict (it changed meanwhile)."""
    new = replace(new, generation=old.generation + 1, updated_at=now)
    values = _values(new)
    if new.lease == old.lease:
        del values["lease_until"]  # Its holder may have renewed it meanwhile.
    stmt = update(t.images).where(C.id == old.id, C.generation == old.generation)
    if tx.run(stmt.values(**values)) != 1:
        raise GenerationConflict(f"Image {old.id} was changed by another request")
    if new.tags != old.tags:
        tx.run(delete(t.tags).where(t.tags.c.image_id == new.id))
        _write_tags(tx, new)
    if new.properties != old.properties:
        tx.run(delete(t.properties).where(t.properties.c.image_id == new.id))
        _write_properties(tx, new)
    return new


def remove(tx: Tx, image: Image, now: float) -> None:
    """Delete the row and all that hangs on it; its id stays used. Raises: GenerationConflict."""
    stmt = delete(t.images).where(C.id == image.id, C.generation == image.generation)
    if tx.run(stmt) != 1:
        raise GenerationConflict(f"Image {image.id} was changed by another request")
    tx.run(insert(t.deleted_images).values(id=image.id, deleted_at=now))


def known(tx: Tx, ids: Sequence[str]) -> bool:
    """Tell whether one of `ids` is an image, or was one."""
    gone = t.deleted_images.c.id
    return bool(
        tx.first(select(C.id).where(C.id.in_(ids))) or tx.first(select(gone).where(gone.in_(ids)))
    )


def missing(tx: Tx, ids: Sequence[str]) -> list[str]:
    """Return those of `ids` that are no images."""
    return [one for one in ids if find(tx, one) is None]


def beat(tx: Tx, leases: Sequence[str], until: float) -> None:
    """Say that the work behind `leases` goes on; what it changes is no change of an image."""
    tx.run(update(t.images).where(C.lease.in_(leases)).values(lease_until=until))


def expired(tx: Tx, now: float) -> list[Image]:
    """Return the images whose work died: nobody said for too long that it goes on."""
    stmt = _SELECT.where(C.lease.is_not(None), C.lease_until < now).order_by(C.id)
    return [_image(row) for row in tx.all(stmt)]


def in_status(tx: Tx, *statuses: str) -> list[Image]:
    """Return the images in one of `statuses`."""
    return [_image(row) for row in tx.all(_SELECT.where(C.status.in_(statuses)).order_by(C.id))]


def owned(tx: Tx, owner: str) -> list[Image]:
    """Return a project's images, the newest first."""
    stmt = _SELECT.where(C.owner == owner).order_by(C.created_at.desc(), C.id.desc())
    return [_image(row) for row in tx.all(stmt)]


def _values(image: Image) -> dict[str, Any]:
    values = {name: getattr(image, name) for name in Image.__struct_fields__}
    return {**values, "copies": len(image.locations)}


def _write_tags(tx: Tx, image: Image) -> None:
    if image.tags:
        tx.run(insert(t.tags), [{"image_id": image.id, "value": tag} for tag in image.tags])


def _write_properties(tx: Tx, image: Image) -> None:
    if image.properties:
        rows = [
            {"image_id": image.id, "name": name, "value": value}
            for name, value in image.properties.items()
        ]
        tx.run(insert(t.properties), rows)


def listed(tx: Tx, listing: Listing) -> list[Image]:
    """Return a page of the images that the viewer sees and that match.

    Raises: BadRequest (unknown sort key, unknown marker).
    """
    return [_image(row) for row in tx.all(_page(_SELECT, listing, _marker(tx, listing)))]


def outlines(tx: Tx, listing: Listing) -> list[Outline]:
    """Return the outlines of such a page. Raises: as `listed`."""
    rows = tx.all(_page(_OUTLINE, listing, _marker(tx, listing)))
    return [Outline(*row) for row in rows]


def whole(tx: Tx, ids: Sequence[str]) -> list[Image]:
    """Return those of `ids` that are images."""
    return [_image(row) for row in tx.all(_SELECT.where(among(C.id, ids)))]


@lru_cache(STATEMENTS_MAX)
def _page(of: Select[Any], listing: Listing, marker: tuple[Any, ...] | None) -> Select[Any]:
    stmt = of.where(*_seen(listing), *(_compare(c) for c in listing.comparisons))
    for tag in listing.tags:
        stmt = stmt.where(C.id.in_(select(t.tags.c.image_id).where(t.tags.c.value == tag)))
    p = t.properties.c
    for name, value in listing.properties:
        stmt = stmt.where(C.id.in_(select(p.image_id).where(p.name == name, p.value == value)))
    return paged(stmt, _sort(listing), marker, listing.limit)


def _sort(listing: Listing) -> Sort:
    dirs = listing.sort_dirs if listing.sort_keys else ()
    last = listing.sort_dirs[0] if listing.sort_dirs else "desc"
    default = [(key, last) for key, _ in DEFAULT_SORT]
    return sort_columns(listing.sort_keys, dirs, SORT_KEYS, default)


def _marker(tx: Tx, listing: Listing) -> tuple[Any, ...] | None:
    """Return the marker's values of the sort columns, if there is one."""
    if listing.marker is None:
        return None
    found = find(tx, listing.marker)
    if found is None:
        raise BadRequest(f"No image found with ID {listing.marker}", field="marker")
    return tuple(getattr(found, column.name) for column, _ in _sort(listing))


def _seen(listing: Listing) -> list[ColumnElement[bool]]:
    viewer, wanted = listing.viewer, listing.visibility
    mine = C.owner == viewer.project_id
    out: list[ColumnElement[bool]] = []
    if wanted is None:
        out.append(or_(C.visibility != "community", mine))
    elif wanted != "all":
        out.append(C.visibility == wanted)
    if not viewer.is_admin:
        open_to_all = C.visibility.in_(("public", "community"))
        out.append(or_(open_to_all, mine, _shared_with(viewer, listing.member_status)))
    return out


def _shared_with(viewer: Viewer, status: str) -> ColumnElement[bool]:
    m = t.members.c
    mine = select(m.image_id).where(m.member == viewer.project_id)
    if status != "all":
        mine = mine.where(m.status == status)
    return and_(C.visibility == "shared", C.id.in_(mine))


def _compare(wanted: Comparison) -> ColumnElement[bool]:
    column, value = C[wanted.column], wanted.values[0] if wanted.values else None
    if wanted.op == "in":
        return column.in_(wanted.values)
    if wanted.op == "in_second":
        return and_(column >= value, column < value + 1)  # type: ignore[operator]
    if wanted.op == "not_second":
        return or_(column < value, column >= value + 1)  # type: ignore[operator]
    result: ColumnElement[bool] = {
        "eq": column.__eq__,
        "neq": column.__ne__,
        "gt": column.__gt__,
        "gte": column.__ge__,
        "lt": column.__lt__,
        "lte": column.__le__,
    }[wanted.op](value)
    return result
