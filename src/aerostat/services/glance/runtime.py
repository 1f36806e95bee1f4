"""What glance runs with: database, files, tickets, inspections."""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aerostat.contracts.identity import Identity
from aerostat.kit.clock import Clock, SystemClock
from aerostat.kit.db.engine import Database
from aerostat.kit.ids import IdSource, new_uuid
from aerostat.services.glance.cache import ImageCache
from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.filestore import FileStore
from aerostat.services.glance.inspector import Inspector
from aerostat.services.glance.model.certificates import Certificates
from aerostat.services.glance.peers import Peers
from aerostat.services.glance.protections import Protections, load
from aerostat.services.glance.stores import Stores
from aerostat.services.glance.tickets import Tickets
from aerostat.services.glance.web import Web

RENDERED_MAX = 10_000
"""Images whose JSON is remembered; about a kilobyte each."""


@dataclass
class Glance:
    """The image service of one process; first argument of handlers and verbs.

    Data arrives in `staging`, and waits there for an import. `leases` are those of the work that
    goes on in this process. `identity` says what limits projects have,
    `certificates` who signed what (no key manager: None). `rendered` remembers the
    JSON of an image by id, generation, and whether it shows locations.
    """

    db: Database
    clock: Clock
    ids: IdSource
    config: GlanceConfig
    stores: Stores
    cache: ImageCache | None
    staging: FileStore
    tickets: Tickets
    inspector: Inspector
    web: Web
    peers: Peers
    rendered: OrderedDict[tuple[str, int, bool], bytes] = field(default_factory=OrderedDict)
    background: set[Any] = field(default_factory=set)
    leases: set[str] = field(default_factory=set)
    protections: Protections | None = None
    identity: Identity | None = None
    certificates: Certificates | None = None

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` run on its own, and keep it alive until it is done."""
        task = asyncio.create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    async def close(self) -> None:
        """Finish what is under way."""
        await asyncio.gather(*self.background, return_exceptions=True)
        await self.stores.close()
        if self.cache is not None:
            await self.cache.close()
        await self.staging.close()
        await self.peers.close()


def build(
    db: Database,
    state: Path,
    stores: Stores,
    config: GlanceConfig,
    *,
    keys: Path,
    clock: Clock | None = None,
) -> Glance:
    """Return glance with its data under `state`, and its key in `keys`, where all copies look."""
    folder = Path(config.node_staging_uri.removeprefix("file://") or state / "staging")
    staging = FileStore(folder, config.transfer_threads, config.hashing_algorithm)
    staging.prepare("node_staging_uri")
    return Glance(
        db=db,
        clock=clock or SystemClock(),
        ids=new_uuid,
        config=config,
        stores=stores,
        cache=_cache(config, state),
        staging=staging,
        tickets=Tickets(keys / "glance-ticket-key"),
        inspector=Inspector(config.inspection_timeout_s, config.inspection_memory_mib),
        web=web_of(config),
        peers=Peers(),
        protections=_protections(config),
    )


def _protections(config: GlanceConfig) -> Protections | None:
    if not config.property_protection_file:
        return None
    return load(Path(config.property_protection_file), config.property_protection_rule_format)


def _cache(config: GlanceConfig, state: Path) -> ImageCache | None:
    if not config.image_cache:
        return None
    folder = Path(config.image_cache_dir or state / "cache")
    cache = ImageCache(FileStore(folder, config.transfer_threads, config.hashing_algorithm))
    cache.load()
    return cache


def web_of(config: GlanceConfig) -> Web:
    """Return what fetches URLs that tenants gave."""
    return Web(
        config.web_download_ports, config.web_download_networks, config.web_download_timeout_s
    )
