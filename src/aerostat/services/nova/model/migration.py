"""A move of a server from host to host: its kinds, its states, and what it took; pure.

Source: compute api-ref, "Migrations"; states as upstream names them.
"""

from enum import StrEnum
from typing import Any

from msgspec import Struct

from aerostat.services.nova.model.flavor import Flavor


class MigrationType(StrEnum):
    """Why a server moves."""

    RESIZE = "resize"
    MIGRATION = "migration"
    LIVE_MIGRATION = "live-migration"
    EVACUATION = "evacuation"


class MigrationStatus(StrEnum):
    """Where a move is."""

    ACCEPTED = "accepted"
    PRE_MIGRATING = "pre-migrating"
    MIGRATING = "migrating"
    POST_MIGRATING = "post-migrating"
    FINISHED = "finished"
    CONFIRMING = "confirming"
    CONFIRMED = "confirmed"
    REVERTING = "reverting"
    REVERTED = "reverted"
    QUEUED = "queued"
    PREPARING = "preparing"
    RUNNING = "running"
    COMPLETED = "completed"
    DONE = "done"
    CANCELLED = "cancelled"
    ERROR = "error"


OVER = frozenset(
    {
        MigrationStatus.CONFIRMED,
        MigrationStatus.REVERTED,
        MigrationStatus.COMPLETED,
        MigrationStatus.CANCELLED,
        MigrationStatus.ERROR,
    }
)
"""States after which nothing of the move is left on any host."""

LIVE_NOW = frozenset(
    {
        MigrationStatus.ACCEPTED,
        MigrationStatus.QUEUED,
        MigrationStatus.PREPARING,
        MigrationStatus.RUNNING,
        MigrationStatus.POST_MIGRATING,
    }
)
"""States of a live migration that is under way."""


class MigrationStats(Struct, frozen=True):
    """What a live migration carried, in bytes, and what it took.

    `downtime_ms` is for how long the guest stood still; None as long as nobody measured.
    """

    memory_total_bytes: int = 0
    memory_processed_bytes: int = 0
    memory_remaining_bytes: int = 0
    disk_total_bytes: int = 0
    disk_processed_bytes: int = 0
    disk_remaining_bytes: int = 0
    elapsed_ms: int = 0
    downtime_ms: int | None = None


class Migration(Struct, frozen=True):
    """A move as its row has it. Times: seconds since the epoch.

    `uuid` is also the consumer that holds the source's resources in placement meanwhile.
    `old_vm_state`: what the server was before, and is again when it is over.
    """

    id: int
    uuid: str
    instance_uuid: str
    project_id: str
    user_id: str
    migration_type: str
    status: str
    source_compute: str
    dest_compute: str | None
    old_vm_state: str
    old_flavor: dict[str, Any]
    new_flavor: dict[str, Any]
    stats: dict[str, Any] | None
    created_at: float
    updated_at: float

    @property
    def over(self) -> bool:
        """Whether nothing of the move is left on any host."""
        return self.status in OVER

    def flavor(self, *, old: bool) -> Flavor:
        """Return the flavor from before or after the move."""
        return Flavor(**(self.old_flavor if old else self.new_flavor))
