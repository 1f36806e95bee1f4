"""/{resource}/{id}/tags of every noun that has tags."""

from typing import Any

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.neutron.api.resources import call_of, nothing
from aerostat.services.neutron.domain import resources
from aerostat.services.neutron.runtime import NeutronService
from aerostat.services.neutron.schemas.checks import list_of, text

NOUNS = (
    "networks",
    "subnets",
    "ports",
    "security-groups",
    "security_groups",
    "security-group-rules",
    "routers",
    "floatingips",
    "subnetpools",
)
routes: Routes[NeutronService] = Routes("tags")


def _declare(noun: str) -> None:
    url = f"/{noun}/{{id}}/tags"

    async def change(
        neutron: NeutronService, req: Request[Any], add: set[str], drop: set[str] | None
    ) -> list[str]:
        """Add some tags after dropping some (None: all)."""
        call, key = call_of(neutron, req), req.path["id"]

        def write(tx: Tx) -> list[str]:
            now = set(resources.tags_of(tx, call, noun, key))
            if drop and not add and not drop <= now:
                raise NotFound(f"Tag {drop.pop()} could not be found.", code="TagNotFound")
            kept = set() if drop is None else now - drop
            return resources.set_tags(tx, call, noun, key, sorted(kept | add))

        return await neutron.db.write(write)

    @routes.get(url, policy=None)
    async def index(neutron: NeutronService, req: Request[None]) -> dict[str, Any]:
        call = call_of(neutron, req)
        return {"tags": await neutron.db.read(resources.tags_of, call, noun, req.path["id"])}

    @routes.put(url, policy=None, body=dict[str, Any])
    async def replace(neutron: NeutronService, req: Request[dict[str, Any]]) -> dict[str, Any]:
        return {"tags": await change(neutron, req, set(_tags(req.body)), None)}

    @routes.post(url, policy=None, body=dict[str, Any], status=200)
    async def more(neutron: NeutronService, req: Request[dict[str, Any]]) -> dict[str, Any]:
        given = _tags(req.body)
        await change(neutron, req, set(given), set())
        return {"tags": given}

    @routes.delete(url, policy=None)
    async def clear(neutron: NeutronService, req: Request[None]) -> None:
        await change(neutron, req, set(), None)

    @routes.get(url + "/{tag}", policy=None, status=204)
    async def show(neutron: NeutronService, req: Request[None]) -> None:
        call = call_of(neutron, req)
        found = await neutron.db.read(resources.tags_of, call, noun, req.path["id"])
        if req.path["tag"] not in found:
            raise NotFound(f"Tag {req.path['tag']} could not be found.", code="TagNotFound")

    @routes.put(url + "/{tag}", policy=None, status=201)
    async def add(neutron: NeutronService, req: Request[None]) -> Reply:
        await change(neutron, req, set(_tags({"tags": [req.path["tag"]]})), set())
        return nothing()

    @routes.delete(url + "/{tag}", policy=None)
    async def remove(neutron: NeutronService, req: Request[None]) -> None:
        await change(neutron, req, set(), {req.path["tag"]})


def _tags(body: dict[str, Any]) -> list[str]:
    try:
        return [str(tag) for tag in list_of(text(255))(body["tags"])]
    except KeyError as why:
        raise BadRequest("Invalid tags body", code="HTTPBadRequest", field="tags") from why
    except ValueError as why:
        raise BadRequest(f"Invalid tags: {why}", code="HTTPBadRequest", field="tags") from why


for _noun in NOUNS:
    _declare(_noun)
