"""The image cache of this process: what is fetched, listed and forgotten.

Source: glance documentation, "The Image Cache"; image api-ref, "Cache manage".
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from aerostat.kit.errors import BadRequest, Conflict, Fault, NotFound
from aerostat.kit.log import Logger
from aerostat.services.glance.cache import Entry, ImageCache
from aerostat.services.glance.db import cached
from aerostat.services.glance.db import images as rows
from aerostat.services.glance.model.image import ACTIVE, Image
from aerostat.services.glance.runtime import Glance

log = Logger("glance.cache")


def of(glance: Glance) -> ImageCache:
    """Return the cache. Raises: NotFound (there is none)."""
    if glance.cache is None:
        raise NotFound("Caching via API is not supported at this site.")
    return glance.cache


async def read(
    glance: Glance, image: Image, span: tuple[int, int], prefer: Sequence[str] = ()
) -> AsyncIterator[bytes]:
    """Return data of an image: from the cache, or from a store and into the cache on the way."""
    cache, (start, length) = glance.cache, span
    places = glance.stores.ordered(image.locations, prefer)
    if cache is None or not image.checksum:
        return await glance.stores.read(places, start, length)
    now = glance.clock.now()
    if entry := cache.find(image.id, image.checksum):
        data = await cache.read(entry, start, length, now)
        if data is not None:
            return data
    chunks = await glance.stores.read(places, start, length)
    if glance.stores.near(places):
        return chunks
    cache.misses += 1
    if length != image.size or image.id in cache.arriving:
        return chunks
    return _passed_on(glance, cache.keep(image.id, image.checksum, chunks, now))


async def _passed_on(
    glance: Glance, chunks: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk
    await _tell(glance)


async def _note(glance: Glance) -> None:
    """Write down what there is, for this process and for the others."""
    await of(glance).save()
    await _tell(glance)


async def _tell(glance: Glance) -> None:
    """Let the other copies of glance-api know what is in this one's cache."""
    cache, here = of(glance), glance.config.worker_self_reference_url
    if not here:
        return
    async with cache.telling:
        there = sorted(cache.entries)
        if there == cache.told:
            return
        try:
            await glance.db.write(cached.tell, here, there)
        except Fault as why:  # It is done again when the cache is tidied.
            log.warning("cache.not_told", reason=why.message)
        else:
            cache.told = there


async def nodes(glance: Glance, image_id: str) -> list[str]:
    """Return the URLs of the copies of glance-api that have an image in their caches.

    Raises: NotFound (there is no cache), Conflict (copies do not know each other).
    """
    of(glance)
    if not glance.config.worker_self_reference_url:
        raise Conflict("Centralized caching is not enabled")
    return await glance.db.read(cached.nodes, image_id)


def listed(glance: Glance) -> tuple[list[Entry], list[str]]:
    """Return what is cached and what waits. Raises: NotFound (there is no cache)."""
    cache = of(glance)
    return list(cache.entries.values()), list(cache.queue)


async def enqueue(glance: Glance, image: Image) -> None:
    """Have an image fetched. Raises: NotFound (no cache), BadRequest (it is not active)."""
    cache = of(glance)
    if image.status != ACTIVE:
        raise BadRequest("Only images with status active can be targeted for queueing")
    cache.enqueue(image.id)
    await _note(glance)
    glance.spawn(prefetch(glance))


async def forget(glance: Glance, image_id: str) -> None:
    """Take an image out of the cache and the queue. Raises: NotFound (it is in neither)."""
    cache = of(glance)
    waiting = cache.unqueue(image_id)
    if not await cache.remove(image_id) and not waiting:
        raise NotFound(f"Image {image_id} is not cached.")
    await _note(glance)


async def clear(glance: Glance, target: str) -> None:
    """Empty the cache, the queue, or both if `target` is empty. Raises: BadRequest, NotFound."""
    cache = of(glance)
    if target not in ("", "cache", "queue"):
        raise BadRequest(
            "If provided 'x-image-cache-clear-target' must be 'cache', 'queue' or empty string."
        )
    if target != "cache":
        cache.queue = []
    if target != "queue":
        for image_id in list(cache.entries):
            await cache.remove(image_id)
    await _note(glance)


async def prefetch(glance: Glance) -> None:
    """Fetch what waits, one after the other."""
    cache = of(glance)
    for image_id in list(cache.queue):
        if not cache.unqueue(image_id) or image_id in cache.arriving:
            continue
        image = await glance.db.read(rows.find, image_id)
        if image is None or image.status != ACTIVE or not image.checksum:
            continue
        try:
            places = glance.stores.ordered(image.locations)
            chunks = await glance.stores.read(places, 0, image.size or 0)
            async for _ in cache.keep(image_id, image.checksum, chunks, glance.clock.now()):
                pass
        except Fault as why:
            log.warning("cache.not_fetched", image_id=image_id, reason=why.message)
    await _note(glance)


async def clean(glance: Glance) -> None:
    """Forget copies of images that are gone, and what stalled. Raises: NotFound (no cache)."""
    cache = of(glance)
    for image_id in await glance.db.read(rows.missing, list(cache.entries)):
        await cache.remove(image_id)
    await cache.clean(glance.config.image_cache_stall_time)
    await _note(glance)


async def prune(glance: Glance) -> list[Entry]:
    """Forget what is too much; return it. Raises: NotFound (there is no cache)."""
    gone = await of(glance).prune(glance.config.image_cache_max_size)
    await _note(glance)
    return gone


async def tidy(glance: Glance) -> None:
    """Bring the cache into order, and fetch what waits."""
    cache = glance.cache
    if cache is None:
        return
    await clean(glance)
    await prune(glance)
    await prefetch(glance)
    log.info("cache.state", images=len(cache.entries), hits=cache.hits, misses=cache.misses)
