"""/os-keypairs: list, create (import or generate), show, delete."""

from typing import Annotated, Any

from msgspec import Meta

from aerostat.kit.clock import iso
from aerostat.kit.http.policy import Rule
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.kit.http.schema import Body, since
from aerostat.services.nova import policies
from aerostat.services.nova.api.paging import page_links
from aerostat.services.nova.api.queries import limit_of
from aerostat.services.nova.domain import keypairs
from aerostat.services.nova.domain.keypairs import Keypair
from aerostat.services.nova.runtime import Nova

routes: Routes[Nova] = Routes("keypairs")


class KeypairBody(Body, kw_only=True):
    """One keypair."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    public_key: str | None = None
    type: Annotated[str, since("2.2")] = "ssh"
    user_id: Annotated[str | None, since("2.10")] = None


class KeypairCreate(Body):
    """POST /os-keypairs."""

    keypair: KeypairBody


def view(keypair: Keypair) -> dict[str, Any]:
    """Return the newest form of a keypair."""
    return {
        "name": keypair.name,
        "public_key": keypair.public_key,
        "fingerprint": keypair.fingerprint,
        "type": keypair.type,
    }


def _user(req: Request[Any], rule: Rule, given: str | None) -> str:
    user_id = given or req.ctx.user_id
    req.enforce(rule, {"user_id": user_id})
    return user_id


@routes.get("/os-keypairs", policy=None, tags=("keypair",))
async def index(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List keypairs."""
    user_id = _user(req, policies.KEYPAIRS["index"], req.query.get("user_id"))
    limit, most = limit_of(req, nova.config.max_limit), nova.config.max_limit
    found = await keypairs.find(nova, user_id, req.query.get("marker"), limit)
    doc: dict[str, Any] = {"keypairs": [{"keypair": view(k)} for k in found]}
    if more := page_links(req, [k.name for k in found], limit, most):
        doc["keypairs_links"] = more
    return doc


async def _create(nova: Nova, req: Request[KeypairCreate]) -> dict[str, Any]:
    body = req.body.keypair
    user_id = _user(req, policies.KEYPAIRS["create"], body.user_id)
    made, private = await keypairs.create(nova, user_id, body.name, body.type, body.public_key)
    doc = {**view(made), "user_id": user_id}
    if private is not None:
        doc["private_key"] = private
    return {"keypair": doc}


@routes.post(
    "/os-keypairs", policy=None, body=KeypairCreate, status=200, until="2.1", tags=("keypair",)
)
async def create_first(nova: Nova, req: Request[KeypairCreate]) -> dict[str, Any]:
    """Import or generate a keypair; answered with 200 at first."""
    return await _create(nova, req)


@routes.post("/os-keypairs", policy=None, body=KeypairCreate, status=201, since="2.2")
async def create(nova: Nova, req: Request[KeypairCreate]) -> dict[str, Any]:
    """Import or generate a keypair."""
    return await _create(nova, req)


@routes.get("/os-keypairs/{name}", policy=None, tags=("keypair",))
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a keypair."""
    user_id = _user(req, policies.KEYPAIRS["show"], req.query.get("user_id"))
    found = await keypairs.get(nova, user_id, req.path["name"])
    extra = {
        "user_id": found.user_id,
        "id": found.id,
        "created_at": iso(found.created_at, micros=True, zone=""),
        "updated_at": None,
        "deleted": False,
        "deleted_at": None,
    }
    return {"keypair": {**view(found), **extra}}


async def _delete(nova: Nova, req: Request[None]) -> None:
    user_id = _user(req, policies.KEYPAIRS["delete"], req.query.get("user_id"))
    await keypairs.delete(nova, user_id, req.path["name"])


@routes.delete("/os-keypairs/{name}", policy=None, until="2.1", status=202)
async def delete_first(nova: Nova, req: Request[None]) -> Reply:
    """Delete a keypair; answered with 202 at first."""
    await _delete(nova, req)
    return Reply(status=202)


@routes.delete("/os-keypairs/{name}", policy=None, since="2.2")
async def delete(nova: Nova, req: Request[None]) -> None:
    """Delete a keypair."""
    await _delete(nova, req)
