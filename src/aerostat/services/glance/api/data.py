"""/v2/images/{image_id}/file: upload and download."""

import re
from typing import Any

from aerostat.kit.errors import BadRequest, Forbidden
from aerostat.kit.http.errors import UnsupportedMediaType
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.glance import policies
from aerostat.services.glance.api.asking import enforce, permitted
from aerostat.services.glance.domain import downloads, uploads
from aerostat.services.glance.model.image import DEACTIVATED, Image
from aerostat.services.glance.runtime import Glance

routes: Routes[Glance] = Routes("image data")
URL = "/images/{image_id}/file"
OCTETS = "application/octet-stream"
SIZE_HEADER = "x-openstack-image-size"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


def check_media(req: Request[Any]) -> None:
    """Raises: UnsupportedMediaType (the body does not say that it is bytes)."""
    media = req.headers.get("content-type", "").partition(";")[0].strip()
    if media != OCTETS:
        raise UnsupportedMediaType(f"Content-Type must be {OCTETS}, not {media or 'missing'}")


@routes.put(URL, policy=None, status=204, stream=True, public=True)
async def upload(glance: Glance, req: Request[None]) -> None:
    """Upload the data of an image, with a token or with a ticket for just this image."""
    image_id, ticket = req.path["image_id"], req.query.get("ticket")
    store = req.headers.get("x-image-meta-store", "")
    if ticket is None or not downloads.may_upload(glance, image_id, ticket):
        req.ctx = await req.identify()
        image_id = (await permitted(glance, req, policies.UPLOAD)).image.id
    check_media(req)
    await uploads.upload(glance, image_id, req.chunks(), announced(glance, req), store)


def announced(glance: Glance, req: Request[Any]) -> int | None:
    """Return how many bytes of data a request says will come, None if it does not say.

    Raises: BadRequest (that is no number), TooLarge.
    """
    length = req.headers.get(SIZE_HEADER, req.headers.get("content-length"))
    if length is None:
        return None
    if not length.isdecimal():
        raise BadRequest("Invalid or missing image size in request headers.", field=SIZE_HEADER)
    if int(length) > glance.config.image_size_cap:
        raise uploads.too_large()
    return int(length)


@routes.get(URL, policy=None, public=True)
async def download(glance: Glance, req: Request[None]) -> Reply:
    """Download the data of an image, with a token or with a ticket for just this image."""
    image = await _readable(glance, req)
    prefer = _preferred(glance, req)
    if not image.size or not image.has_data:
        return Reply(status=204)
    asked = req.headers.get("range", "")
    start, length = _range(asked, image.size)
    if not asked and (asked := req.headers.get("content-range", "")):
        start, length = _content_range(asked, image.size)
    headers = {"content-length": str(length), "accept-ranges": "bytes"}
    if image.checksum:
        headers["content-md5"] = image.checksum
    if asked:
        headers["content-range"] = f"bytes {start}-{start + length - 1}/{image.size}"
    return Reply(
        status=206 if asked else 200,
        headers=headers,
        content_type=OCTETS,
        stream=await downloads.data(glance, image, (start, length), prefer),
    )


def _preferred(glance: Glance, req: Request[None]) -> list[str]:
    """Return the stores that the caller wants to be tried first. Raises: BadRequest (no store)."""
    stores = [store.strip() for store in (req.query.get("prefer") or "").split(",")]
    for store in filter(None, stores):
        if store not in glance.stores.ids:
            raise BadRequest(f"Store '{store}' is not configured.", field="prefer")
    return [store for store in stores if store]


async def _readable(glance: Glance, req: Request[None]) -> Image:
    """Raises: Unauthorized, NotFound, Forbidden."""
    ticket = req.query.get("ticket")
    if ticket is not None:
        opened = await downloads.by_ticket(glance, req.path["image_id"], ticket)
        if opened is not None:
            return opened
    req.ctx = await req.identify()
    found = await permitted(glance, req, policies.DOWNLOAD)
    image = found.image
    if image.status == DEACTIVATED and not req.ctx.is_admin:
        raise Forbidden(
            "The requested image has been deactivated. Image data download is forbidden."
        )
    if req.query.get("prefer"):
        enforce(req, policies.DOWNLOAD_FROM_STORE, found)
    return image


def _range(header: str, size: int) -> tuple[int, int]:
    """Return start and length. Raises: BadRequest (416: it cannot be satisfied)."""
    if not header:
        return 0, size
    found = _RANGE.fullmatch(header.strip())
    if found and found[1]:
        start, last = int(found[1]), min(int(found[2] or size - 1), size - 1)
    elif found and found[2]:
        start, last = max(size - int(found[2]), 0), size - 1
    else:
        start, last = 1, 0
    return _part(header, start, last)


def _content_range(header: str, size: int) -> tuple[int, int]:
    """Return start and length of what a request names as answers do, which old clients do.

    Raises: BadRequest (416).
    """
    found = _CONTENT_RANGE.fullmatch(header.strip())
    start, last = (int(found[1]), int(found[2])) if found else (1, 0)
    whole = size if found is None or found[3] == "*" else int(found[3])
    return _part(header, start, last if last < min(size, whole) else -1)


def _part(header: str, start: int, last: int) -> tuple[int, int]:
    if start > last:
        raise BadRequest(f"The byte range of {header} is invalid.", code="range_not_satisfiable")
    return start, last - start + 1
