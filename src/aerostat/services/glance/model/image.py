"""An image: its attributes and the states it moves through."""

from typing import Any

from msgspec import Struct

from aerostat.kit.errors import Conflict

QUEUED = "queued"
"""The image is described; it has no data."""
SAVING = "saving"
"""Its data is being uploaded."""
UPLOADING = "uploading"
"""Data is being staged for an import."""
IMPORTING = "importing"
"""An import is under way."""
ACTIVE = "active"
"""Its data is whole and may be read."""
DEACTIVATED = "deactivated"
"""Its data is kept, only administrators may read it."""

NEXT: dict[str, frozenset[str]] = {
    QUEUED: frozenset({SAVING, UPLOADING, IMPORTING}),
    SAVING: frozenset({QUEUED, ACTIVE}),
    UPLOADING: frozenset({QUEUED, UPLOADING, IMPORTING}),
    IMPORTING: frozenset({QUEUED, ACTIVE}),
    ACTIVE: frozenset({ACTIVE, DEACTIVATED}),
    DEACTIVATED: frozenset({ACTIVE, DEACTIVATED}),
}
STATUSES = (QUEUED, SAVING, ACTIVE, DEACTIVATED, IMPORTING, UPLOADING, "killed", "deleted",
            "pending_delete")  # fmt: skip
"""What the schema of an image names, some of them for upstream's sake."""

VISIBILITIES = ("community", "public", "private", "shared")
MEMBER_STATUSES = ("pending", "accepted", "rejected")


class Location(Struct, frozen=True):
    """A place where an image's data lies: a URL of a store. `metadata` is for those who read it."""

    url: str
    store: str
    metadata: dict[str, Any] = {}


class Move(Struct, frozen=True):
    """A change of locations: add at a position (-1: at the end), remove one, or replace all.

    `claims`: what the client says of the data: checksum, hash_algo, hash_value.
    """

    kind: str
    places: tuple[Location, ...] = ()
    at: int = 0
    claims: dict[str, str] = {}


IMPORTING_TO, FAILED_IMPORT = "os_glance_importing_to_stores", "os_glance_failed_import"
"""Properties that tell how an import goes: ids of stores with commas between them."""
IMPORT_TASK = "os_glance_import_task"
"""The property that tells which task is importing."""
STAGE_HOST = "os_glance_stage_host"
"""The property that tells whose staging folder has the data; clients do not see it."""
OWN_PREFIX = "os_glance_"
"""Properties of this name are the service's: clients see them and cannot set them."""


class Outline(Struct, frozen=True):
    """What a list needs of an image whose document is remembered: who may see which version."""

    id: str
    owner: str | None = None
    visibility: str = "shared"
    generation: int = 0

    def target(self, member: str = "") -> dict[str, object]:
        """Return what policy rules are checked against; `member`: a project it is shared with."""
        return {
            "project_id": self.owner,
            "owner": self.owner,
            "member_id": member,
            "visibility": self.visibility,
            "image_id": self.id,
        }


class Image(Outline, frozen=True):
    """An image. `size`, `virtual_size`: bytes; `min_disk`: GiB; `min_ram`: MiB.

    `lease`: the work of a process that brings data in; when `lease_until` is past, it is dead.
    """

    name: str | None = None
    status: str = QUEUED
    disk_format: str | None = None
    container_format: str | None = None
    size: int | None = None
    virtual_size: int | None = None
    checksum: str | None = None
    hash_algo: str | None = None
    hash_value: str | None = None
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    hidden: bool = False
    created_at: float = 0.0
    updated_at: float = 0.0
    properties: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    locations: tuple[Location, ...] = ()
    lease: str | None = None
    lease_until: float | None = None

    def target(self, member: str = "") -> dict[str, object]:
        """Return what policy rules are checked against: properties too.

        Source: glance administration, "Policies", restricting downloads by a property.
        """
        own = ("name", "status", "disk_format", "container_format", "protected")
        return {
            **self.properties,
            **{name: getattr(self, name) for name in own},
            **super().target(member),
        }

    @property
    def stores(self) -> list[str]:
        """The stores that have the data."""
        return list(dict.fromkeys(place.store for place in self.locations))

    @property
    def custom(self) -> dict[str, str]:
        """The properties that are clients'."""
        return {k: v for k, v in self.properties.items() if not k.startswith(OWN_PREFIX)}

    @property
    def has_data(self) -> bool:
        """Whether there is a file to read."""
        return self.status in (ACTIVE, DEACTIVATED)


class Member(Struct, frozen=True):
    """A project that an image is shared with."""

    image_id: str
    member: str
    status: str
    created_at: float
    updated_at: float


def move(old: str, new: str) -> str:
    """Return `new` if an image may go there from `old`. Raises: Conflict."""
    if new not in NEXT[old]:
        raise Conflict(f"Image status transition from {old} to {new} is not allowed")
    return new
