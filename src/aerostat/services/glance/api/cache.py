"""/v2/cache: what this process has copies of. Source: image api-ref, "Cache manage"."""

from typing import Any

from aerostat.kit.http.route import Request, Routes
from aerostat.services.glance import policies
from aerostat.services.glance.domain import caching, images
from aerostat.services.glance.runtime import Glance

routes: Routes[Glance] = Routes("cache")


@routes.get("/cache", policy=policies.CACHE_LIST)
async def index(glance: Glance, _req: Request[None]) -> dict[str, Any]:
    """List the images in the cache, and those that wait to be fetched."""
    cached, queued = caching.listed(glance)
    return {
        "cached_images": [
            {
                "image_id": entry.image_id,
                "hits": entry.hits,
                "last_accessed": entry.last_accessed,
                "last_modified": entry.last_modified,
                "size": entry.size,
                "checksum": entry.checksum,
            }
            for entry in cached
        ],
        "queued_images": queued,
    }


@routes.put("/cache/{image_id}", policy=policies.CACHE_IMAGE, status=202)
async def enqueue(glance: Glance, req: Request[None]) -> None:
    """Have an image fetched into the cache."""
    await caching.enqueue(glance, await images.one(glance, req.path["image_id"]))


@routes.get("/cache/nodes/{image_id}", policy=policies.CACHE_NODES)
async def nodes(glance: Glance, req: Request[None]) -> list[str]:
    """List the copies of glance-api that have an image in their caches, by their URLs."""
    found = await images.one(glance, req.path["image_id"])
    return await caching.nodes(glance, found.id)


@routes.delete("/cache/{image_id}", policy=policies.CACHE_DELETE)
async def forget(glance: Glance, req: Request[None]) -> None:
    """Take an image out of the cache and the queue."""
    await caching.forget(glance, req.path["image_id"])


@routes.delete("/cache", policy=policies.CACHE_DELETE)
async def clear(glance: Glance, req: Request[None]) -> None:
    """Empty the cache and the queue, or what the header x-image-cache-clear-target says."""
    await caching.clear(glance, req.headers.get("x-image-cache-clear-target", "").lower())


@routes.post("/cache/clean", policy=policies.CACHE_CLEAN, status=200)
async def clean(glance: Glance, _req: Request[None]) -> None:
    """Forget copies of images that are gone, and those that stalled on their way."""
    await caching.clean(glance)


@routes.post("/cache/prune", policy=policies.CACHE_PRUNE, status=200)
async def prune(glance: Glance, _req: Request[None]) -> dict[str, Any]:
    """Forget what is over the limit of the cache, what was not read for longest first."""
    gone = await caching.prune(glance)
    return {
        "total_files_pruned": len(gone),
        "total_bytes_pruned": sum(entry.size for entry in gone),
    }
