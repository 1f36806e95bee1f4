"""What may be done with server groups."""

from typing import Any

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import QuotaExceeded
from aerostat.services.nova.db import groups as rows
from aerostat.services.nova.db import servers
from aerostat.services.nova.db.groups import ServerGroup
from aerostat.services.nova.domain import quotas
from aerostat.services.nova.domain.servers import project_of
from aerostat.services.nova.runtime import Nova

__all__ = ["ServerGroup"]


def _with_members(tx: Tx, group: ServerGroup) -> tuple[ServerGroup, list[str]]:
    return group, [uuid for uuid, _ in servers.in_group(tx, group.uuid)]


async def find(
    nova: Nova, project_id: str | None, limit: int, offset: int
) -> list[tuple[ServerGroup, list[str]]]:
    """Return groups with their members."""
    return await nova.db.read(
        lambda tx: [_with_members(tx, g) for g in rows.find(tx, project_id, limit, offset)]
    )


async def get(nova: Nova, ctx: Context, uuid: str) -> tuple[ServerGroup, list[str]]:
    """Raises: NotFound."""
    return await nova.db.read(lambda tx: _with_members(tx, rows.get(tx, uuid, project_of(ctx))))


async def create(
    nova: Nova, ctx: Context, name: str, policy: str, rules: dict[str, Any]
) -> ServerGroup:
    """Raises: QuotaExceeded (server_groups)."""

    def write(tx: Tx) -> ServerGroup:
        limit = quotas.limits(tx, ctx.project_id)["server_groups"]
        if 0 <= limit <= rows.count(tx, ctx.project_id):
            raise QuotaExceeded("Quota exceeded, too many server groups.", field="server_groups")
        return rows.add(
            tx,
            uuid=nova.ids(),
            project_id=ctx.project_id,
            user_id=ctx.user_id,
            name=name,
            policy=policy,
            rules=rules,
        )

    return await nova.db.write(write)


async def delete(nova: Nova, uuid: str) -> None:
    """Delete a group."""
    await nova.db.write(rows.remove, uuid)
