"""What glance runs with: database, files, tickets, inspections."""

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aerostat.kit.clock import Clock, SystemClock
from aerostat.kit.db.engine import Database
from aerostat.kit.ids import IdSource, new_uuid
from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.filestore import FileStore
from aerostat.services.glance.inspector import Inspector
from aerostat.services.glance.tickets import Tickets
from aerostat.services.glance.web import Web

RENDERED_MAX = 10_000
"""Images whose JSON is remembered; about a kilobyte each."""


@dataclass
class Glance:
    """The image service of one process; first argument of handlers and verbs.

    `staging` holds data that was staged for an import. `rendered` remembers the JSON of an image
    by id and generation.
    """

    db: Database
    clock: Clock
    ids: IdSource
    config: GlanceConfig
    files: FileStore
    staging: FileStore
    tickets: Tickets
    inspector: Inspector
    web: Web
    rendered: OrderedDict[tuple[str, int], bytes] = field(default_factory=OrderedDict)
    background: set[Any] = field(default_factory=set)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let `work` run on its own, and keep it alive until it is done."""
        task = asyncio.create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    async def close(self) -> None:
        """Finish what is under way."""
        await asyncio.gather(*self.background, return_exceptions=True)
        await self.files.close()
        await self.staging.close()


def build(
    db: Database,
    state: Path,
    config: GlanceConfig | None = None,
    *,
    clock: Clock | None = None,
    ids: IdSource = new_uuid,
) -> Glance:
    """Return glance with its data and keys under `state` (images/, staging/, ticket-key)."""
    config = config or GlanceConfig()
    files = FileStore(state / "images", config.transfer_threads, config.hashing_algorithm)
    staging = FileStore(state / "staging", config.transfer_threads, config.hashing_algorithm)
    files.prepare()
    staging.prepare()
    return Glance(
        db=db,
        clock=clock or SystemClock(),
        ids=ids,
        config=config,
        files=files,
        staging=staging,
        tickets=Tickets(state / "ticket-key"),
        inspector=Inspector(config.inspection_timeout_s, config.inspection_memory_mib),
        web=Web(
            config.web_download_ports,
            config.web_download_networks,
            config.web_download_timeout_s,
        ),
    )
