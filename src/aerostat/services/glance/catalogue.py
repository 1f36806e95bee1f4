"""The metadata definition catalogue in files: loaded, unloaded, written out.

Source: glance-manage db_load_metadefs, db_unload_metadefs, db_export_metadefs; the files are those
of upstream's etc/metadefs, one namespace each.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from aerostat.kit.clock import Clock
from aerostat.kit.db.engine import Database
from aerostat.kit.errors import BadRequest
from aerostat.services.glance.db import metadefs as rows
from aerostat.services.glance.domain import metadefs
from aerostat.services.glance.domain.metadefs import Merge
from aerostat.services.glance.model.metadef import (
    ASSOCIATIONS,
    KINDS,
    PROPERTIES,
    Item,
    Namespace,
)
from aerostat.services.glance.schemas.metadefs import check

OWNER = "admin"
"""Whom namespaces of files belong to that do not say."""


def mode(*, merge: bool, prefer_new: bool, overwrite: bool) -> Merge:
    """Return what happens to namespaces that are there. Raises: BadRequest (options that clash)."""
    if (prefer_new or overwrite) and not merge:
        raise BadRequest("--prefer_new and --overwrite go with --merge", field="merge")
    if prefer_new and overwrite:
        raise BadRequest("--prefer_new and --overwrite exclude each other", field="overwrite")
    if overwrite:
        return Merge.OVERWRITE
    if prefer_new:
        return Merge.PREFER_NEW
    return Merge.ADD if merge else Merge.SKIP


def files(path: Path) -> list[tuple[str, bytes]]:
    """Return a file, or all `*.json` of a folder, by name. Raises: BadRequest (none), OSError."""
    found = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not found or not all(file.is_file() for file in found):
        raise BadRequest(f"no JSON files of definitions in {path}", field="path")
    return [(file.name, file.read_bytes()) for file in found]


async def load(
    db: Database, given: Sequence[tuple[str, bytes]], how: Merge, clock: Clock
) -> list[tuple[str, str]]:
    """Load files; return each one's name and what became of it.

    A file that is wrong is left out; what became of it begins with "wrong".
    """
    done = []
    for name, raw in given:
        try:
            namespace, items = _parse(msgspec.json.decode(raw), clock.now())
        except (BadRequest, msgspec.MsgspecError) as why:
            done.append((name, f"wrong: {why}"))
            continue
        done.append((name, await db.write(metadefs.merge, namespace, items, how)))
    return done


def _parse(given: Any, now: float) -> tuple[Namespace, list[Item]]:
    doc = check("namespace", given, "namespace")
    name = doc["namespace"]
    namespace = Namespace(
        namespace=name,
        display_name=doc.get("display_name"),
        description=doc.get("description"),
        visibility=doc.get("visibility", "private"),
        protected=doc.get("protected", False),
        owner=doc.get("owner", OWNER),
        created_at=now,
        updated_at=now,
    )
    inside = {
        kind: [{**one, "name": key} for key, one in doc.get(kind, {}).items()]
        if kind == PROPERTIES
        else doc.get(kind, [])
        for kind in KINDS
    }
    items = {
        (kind, body["name"]): Item(name, kind, body["name"], body, now, now)
        for kind, bodies in inside.items()
        for body in (check(kind, one) for one in bodies)
    }
    return namespace, list(items.values())


async def unload(db: Database) -> int:
    """Delete the whole catalogue, protected or not; return how many namespaces it had."""
    return await db.write(rows.clear)


async def export(db: Database, folder: Path) -> list[str]:
    """Write each namespace to a file in `folder`; return the files' names. Raises: OSError."""
    names: list[str] = []
    for namespace, items in await db.read(rows.everything):
        shown = re.sub(r"[\W_]+", "", namespace.display_name or "")
        name = f"{shown or namespace.namespace}.json"
        if name in names:
            name = f"{namespace.namespace.replace('/', '_')}.json"
        raw = msgspec.json.format(msgspec.json.encode(_document(namespace, items)), indent=4)
        (folder / name).write_bytes(raw + b"\n")
        names.append(name)
    return names


def _document(namespace: Namespace, items: list[Item]) -> dict[str, Any]:
    names = ("namespace", "display_name", "description", "visibility", "protected", "owner")
    doc: dict[str, Any] = {name: getattr(namespace, name) for name in names}
    for kind in (ASSOCIATIONS, *(kind for kind in KINDS if kind != ASSOCIATIONS)):
        mine = [item for item in items if item.kind == kind]
        if kind == PROPERTIES:
            doc[kind] = {item.name: _without_name(item.document) for item in mine}
        else:
            doc[kind] = [{**item.document, "name": item.name} for item in mine]
    return doc


def _without_name(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "name"}
