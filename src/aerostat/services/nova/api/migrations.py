"""/os-migrations, and the live migrations of one server under way."""

from typing import Any

from aerostat.kit.clock import iso
from aerostat.kit.errors import BadRequest
from aerostat.kit.http.microversion import Version
from aerostat.kit.http.route import Request, Routes
from aerostat.services.nova import policies
from aerostat.services.nova.api.paging import page_links
from aerostat.services.nova.api.queries import changed_between, limit_of
from aerostat.services.nova.api.reading import base_of
from aerostat.services.nova.domain import migrations
from aerostat.services.nova.domain.migrations import Migration, MigrationQuery
from aerostat.services.nova.model.migration import LIVE_NOW, MigrationStats, MigrationType
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.views import links

routes: Routes[Nova] = Routes("migrations", "migration")
EQUALS = ("status", "migration_type", "source_compute", "instance_uuid")
QUERY = {*EQUALS, "host", "hidden", "limit", "marker", "changes-since"}
ABORTS_QUEUED = Version.parse("2.65")


def _ends(migration: Migration, addresses: dict[str, str], hosts: bool) -> dict[str, Any]:
    source, dest = migration.source_compute, migration.dest_compute
    return {
        "source_compute": source if hosts else None,
        "source_node": source if hosts else None,
        "dest_compute": dest if hosts else None,
        "dest_node": dest if hosts else None,
        "dest_host": addresses.get(dest or "") if hosts else None,
        "created_at": iso(migration.created_at, micros=True, zone=""),
        "updated_at": iso(migration.updated_at, micros=True, zone=""),
        "status": migration.status,
        "uuid": migration.uuid,
        "user_id": migration.user_id,
        "project_id": migration.project_id,
    }


def _view(
    req: Request[None], migration: Migration, addresses: dict[str, str], hosts: bool
) -> dict[str, Any]:
    doc = {
        **_ends(migration, addresses, hosts),
        "id": migration.id,
        "instance_uuid": migration.instance_uuid,
        "migration_type": migration.migration_type,
        "old_instance_type_id": migration.old_flavor["id"],
        "new_instance_type_id": migration.new_flavor["id"],
    }
    live = migration.migration_type == MigrationType.LIVE_MIGRATION
    if live and migration.status in LIVE_NOW:
        noun = f"servers/{migration.instance_uuid}/migrations"
        doc["links"] = links(base_of(req), noun, str(migration.id))
    return doc


def _query(req: Request[None], most: int | None) -> MigrationQuery:
    equals = {n: str(req.query.get(n)) for n in EQUALS if n in req.query}
    if not req.allows(policies.MIGRATIONS_ALL):
        equals["project_id"] = req.ctx.project_id
    paged = most is not None
    since, before = changed_between(req) if paged else (None, None)
    return MigrationQuery(
        equals=equals,
        host=req.query.get("host"),
        changed_since=since,
        changed_before=before,
        marker=req.query.get("marker") if paged else None,
        limit=limit_of(req, most) if most is not None else None,
    )


async def _list(nova: Nova, req: Request[None], query: MigrationQuery) -> list[dict[str, Any]]:
    found = await migrations.find(nova, query)
    hosts = req.allows(policies.MIGRATIONS_HOST)
    addresses = await migrations.addresses(nova)
    return [_view(req, m, addresses, hosts) for m in found]


@routes.get("/os-migrations", policy=policies.MIGRATIONS, until="2.58")
async def index_whole(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List moves, the newest first, all at once."""
    return {"migrations": await _list(nova, req, _query(req, None))}


@routes.get("/os-migrations", policy=policies.MIGRATIONS, since="2.59")
async def index(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List moves, the newest first, page by page."""
    known = QUERY | ({"changes-before"} if req.version >= Version(2, 66) else set())
    known |= {"user_id", "project_id"} if req.version >= Version(2, 80) else set()
    if unknown := [name for name in req.query.names() if name not in known]:
        raise BadRequest(
            f"Additional properties are not allowed ('{unknown[0]}' was unexpected)",
            field=unknown[0],
        )
    query = _query(req, nova.config.max_limit)
    for name in ("user_id", "project_id"):
        if name in req.query:
            query.equals.setdefault(name, str(req.query.get(name)))
    found = await _list(nova, req, query)
    doc: dict[str, Any] = {"migrations": found}
    ids = [m["uuid"] for m in found]
    if more := page_links(req, ids, query.limit, nova.config.max_limit):
        doc["migrations_links"] = more
    return doc


URL = "/servers/{server_id}/migrations"


def _live(
    migration: Migration, stats: MigrationStats, addresses: dict[str, str], hosts: bool
) -> dict[str, Any]:
    carried = {
        name: getattr(stats, name) for name in stats.__struct_fields__ if name.endswith("_bytes")
    }
    ends = _ends(migration, addresses, hosts)
    doc = {**ends, **carried, "id": migration.id, "server_uuid": migration.instance_uuid}
    return doc


@routes.get(URL, policy=policies.SERVER_MIGRATIONS["index"], since="2.23")
async def of_server(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the live migrations of a server that are under way."""
    found = await migrations.live_of(nova, req.ctx, req.path["server_id"])
    addresses = await migrations.addresses(nova)
    hosts = req.allows(policies.SERVER_MIGRATIONS["host"])
    shown = [_live(m, await migrations.stats(nova, m), addresses, hosts) for m in found]
    return {"migrations": shown}


@routes.get(URL + "/{migration_id}", policy=policies.SERVER_MIGRATIONS["show"], since="2.23")
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a live migration that is under way."""
    path = req.path
    found = await migrations.live(nova, req.ctx, path["server_id"], path["migration_id"])
    addresses = await migrations.addresses(nova)
    return {"migration": _live(found, await migrations.stats(nova, found), addresses, True)}


@routes.post(
    URL + "/{migration_id}/action",
    policy=policies.SERVER_MIGRATIONS["force_complete"],
    body=dict[str, Any],
    status=202,
    since="2.22",
)
async def force_complete(nova: Nova, req: Request[dict[str, Any]]) -> None:
    """Let a live migration end, the guest standing still for it."""
    if req.body != {"force_complete": None}:
        raise BadRequest("The only action is force_complete, without arguments.", field="body")
    await migrations.force(nova, req.ctx, req.path["server_id"], req.path["migration_id"])


@routes.delete(
    URL + "/{migration_id}",
    policy=policies.SERVER_MIGRATIONS["delete"],
    status=202,
    since="2.24",
)
async def abort(nova: Nova, req: Request[None]) -> None:
    """Give up a live migration."""
    server_id, number = req.path["server_id"], req.path["migration_id"]
    queued = req.version >= ABORTS_QUEUED
    await migrations.abort(nova, req.ctx, server_id, number, queued=queued)
