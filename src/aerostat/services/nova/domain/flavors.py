"""What may be done with flavors."""

from typing import Any

from aerostat.kit.context import Context
from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest
from aerostat.services.nova.db import flavors as rows
from aerostat.services.nova.db.flavors import FlavorQuery
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.runtime import Nova

__all__ = ["FlavorQuery"]


async def find(nova: Nova, query: FlavorQuery) -> list[Flavor]:
    """Return a page. Raises: BadRequest."""
    return await nova.db.read(rows.find, query)


async def get(nova: Nova, ctx: Context, flavorid: str) -> Flavor:
    """Return a flavor the caller may use. Raises: NotFound."""
    return await nova.db.read(rows.get, flavorid, None if ctx.is_admin else ctx.project_id)


async def create(nova: Nova, flavor: Flavor) -> Flavor:
    """Raises: Conflict (id or name taken)."""
    return await nova.db.write(rows.add, flavor)


async def change(nova: Nova, flavorid: str, **values: Any) -> Flavor:
    """Write columns and return the flavor. Raises: NotFound."""

    def write(tx: Tx) -> Flavor:
        rows.change(tx, flavorid, **values)
        return rows.get(tx, flavorid)

    return await nova.db.write(write)


async def delete(nova: Nova, flavorid: str) -> None:
    """Raises: NotFound."""
    await nova.db.write(rows.remove, flavorid)


async def projects(nova: Nova, flavorid: str) -> list[str]:
    """Return the projects that may use a private flavor."""
    return await nova.db.read(rows.projects, flavorid)


async def grant(nova: Nova, flavorid: str, project_id: str) -> None:
    """Raises: Conflict (it has access), BadRequest (no such project)."""
    if not await nova.identity.project_exists(project_id=project_id):
        raise BadRequest(f"Project ID {project_id} is not a valid project.", field="tenant")
    await nova.db.write(rows.grant, flavorid, project_id)


async def revoke(nova: Nova, flavorid: str, project_id: str) -> None:
    """Raises: NotFound (it has none)."""
    await nova.db.write(rows.revoke, flavorid, project_id)
