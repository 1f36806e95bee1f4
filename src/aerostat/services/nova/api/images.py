"""/images: images as nova showed them before glance was asked itself; gone after 2.35.

Source: compute api-ref, "Images (deprecated)".
"""

from collections.abc import Callable
from typing import Any

from aerostat.contracts.image import ImageFacts
from aerostat.kit.clock import iso
from aerostat.kit.errors import BadRequest, NotFound
from aerostat.kit.http.route import Request, Routes
from aerostat.services.nova.api.paging import page_links
from aerostat.services.nova.api.queries import limit_of, time_of
from aerostat.services.nova.api.reading import base_of
from aerostat.services.nova.domain import images
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.servers import MetaBody, MetadataBody
from aerostat.services.nova.schemas.views import links

routes: Routes[Nova] = Routes("images")
LAST, LAST_METADATA = "2.35", "2.38"
STATUS = {
    "active": "ACTIVE",
    "queued": "SAVING",
    "saving": "SAVING",
    "deleted": "DELETED",
    "pending_delete": "DELETED",
    "killed": "ERROR",
}
PROGRESS = {"queued": 25, "saving": 50, "active": 100}


def _links(base: str, image_id: str) -> list[dict[str, str]]:
    root = base.removesuffix("/v2.1")
    other = {
        "rel": "alternate",
        "type": "application/vnd.openstack.image",
        "href": f"{root}/images/{image_id}",
    }
    return [*links(base, "images", image_id), other]


def _brief(image: ImageFacts, base: str) -> dict[str, Any]:
    return {"id": image.id, "name": image.name, "links": _links(base, image.id)}


def _detail(image: ImageFacts, base: str) -> dict[str, Any]:
    doc = {
        **_brief(image, base),
        "minRam": image.min_ram_mib,
        "minDisk": image.min_disk_gb,
        "metadata": image.properties,
        "created": iso(image.created_at),
        "updated": iso(image.updated_at),
        "status": STATUS.get(image.status, "UNKNOWN"),
        "progress": PROGRESS.get(image.status, 0),
        "OS-EXT-IMG-SIZE:size": image.size_bytes,
    }
    if server_id := image.properties.get("instance_uuid"):
        doc["server"] = {"id": server_id, "links": links(base, "servers", server_id)}
    if disk_config := image.properties.get("auto_disk_config"):
        doc["OS-DCF:diskConfig"] = "AUTO" if disk_config == "True" else "MANUAL"
    return doc


def _matching(req: Request[None], found: list[ImageFacts]) -> list[ImageFacts]:
    q = req.query
    since = time_of(q.get("changes-since"), "changes-since")
    tests: list[Callable[[ImageFacts], bool]] = []
    if (name := q.get("name")) is not None:
        tests.append(lambda i: i.name == name)
    if (status := q.get("status")) is not None:
        tests.append(lambda i: STATUS.get(i.status, "UNKNOWN") == status.upper())
    if (server := q.get("server")) is not None:
        server_id = server.rsplit("/", 1)[-1]
        tests.append(lambda i: i.properties.get("instance_uuid") == server_id)
    if (kind := q.get("type")) is not None:
        tests.append(lambda i: i.properties.get("image_type", "base") == kind.lower())
    if since is not None:
        tests.append(lambda i: i.updated_at >= since)
    for field, column in (("minRam", "min_ram_mib"), ("minDisk", "min_disk_gb")):
        if (least := q.number(field)) is not None:
            tests.append(lambda i, c=column, n=least: getattr(i, c) >= n)  # type: ignore[misc]
    return [image for image in found if all(test(image) for test in tests)]


async def _page(nova: Nova, req: Request[None]) -> tuple[list[ImageFacts], dict[str, Any]]:
    found = _matching(req, await images.visible(nova, req.ctx))
    if (marker := req.query.get("marker")) is not None:
        ids = [image.id for image in found]
        if marker not in ids:
            raise BadRequest(f"marker [{marker}] not found", field="marker")
        found = found[ids.index(marker) + 1 :]
    most = nova.config.max_limit
    found = found[: limit_of(req, most)]
    limit = req.query.number("limit")
    more = page_links(req, [i.id for i in found], limit, most) if limit else []
    return found, {"images_links": more} if more else {}


@routes.get("/images", policy=None, until=LAST)
async def index(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List images briefly."""
    found, more = await _page(nova, req)
    return {"images": [_brief(i, base_of(req)) for i in found], **more}


@routes.get("/images/detail", policy=None, until=LAST)
async def list_detail(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List images with all there is to say of them."""
    found, more = await _page(nova, req)
    return {"images": [_detail(i, base_of(req)) for i in found], **more}


@routes.get("/images/{image_id}", policy=None, until=LAST)
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show an image."""
    found = await images.get(nova, req.ctx, req.path["image_id"])
    return {"image": _detail(found, base_of(req))}


@routes.delete("/images/{image_id}", policy=None, until=LAST)
async def delete(nova: Nova, req: Request[None]) -> None:
    """Delete an image."""
    await images.delete(nova, req.ctx, req.path["image_id"])


URL = "/images/{image_id}/metadata"


@routes.get(URL, policy=None, until=LAST_METADATA)
async def metadata(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the metadata of an image."""
    return {"metadata": (await images.get(nova, req.ctx, req.path["image_id"])).properties}


@routes.post(URL, policy=None, body=MetadataBody, status=200, until=LAST_METADATA)
async def add_metadata(nova: Nova, req: Request[MetadataBody]) -> dict[str, Any]:
    """Set some of the metadata."""
    image = await images.get(nova, req.ctx, req.path["image_id"])
    wanted = {**image.properties, **req.body.metadata}
    return {"metadata": await images.set_metadata(nova, req.ctx, image.id, wanted)}


@routes.put(URL, policy=None, body=MetadataBody, until=LAST_METADATA)
async def replace_metadata(nova: Nova, req: Request[MetadataBody]) -> dict[str, Any]:
    """Make the metadata exactly those of the body."""
    image = await images.get(nova, req.ctx, req.path["image_id"])
    return {"metadata": await images.set_metadata(nova, req.ctx, image.id, req.body.metadata)}


def _item(image: ImageFacts, key: str) -> str:
    if key not in image.properties:
        raise NotFound("Metadata item was not found")
    return image.properties[key]


@routes.get(URL + "/{key}", policy=None, until=LAST_METADATA)
async def meta(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show one item of the metadata."""
    image = await images.get(nova, req.ctx, req.path["image_id"])
    return {"meta": {req.path["key"]: _item(image, req.path["key"])}}


@routes.put(URL + "/{key}", policy=None, body=MetaBody, until=LAST_METADATA)
async def set_meta(nova: Nova, req: Request[MetaBody]) -> dict[str, Any]:
    """Set one item of the metadata."""
    image = await images.get(nova, req.ctx, req.path["image_id"])
    if req.path["key"] not in req.body.meta:
        raise BadRequest("Request body and URI mismatch", field="meta")
    wanted = {**image.properties, **req.body.meta}
    await images.set_metadata(nova, req.ctx, image.id, wanted)
    return {"meta": req.body.meta}


@routes.delete(URL + "/{key}", policy=None, until=LAST_METADATA)
async def delete_meta(nova: Nova, req: Request[None]) -> None:
    """Delete one item of the metadata."""
    image, key = await images.get(nova, req.ctx, req.path["image_id"]), req.path["key"]
    _item(image, key)
    left = {k: v for k, v in image.properties.items() if k != key}
    await images.set_metadata(nova, req.ctx, image.id, left)
