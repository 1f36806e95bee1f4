"""An image: its attributes and the states it moves through."""

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


class Image(Struct, frozen=True):
    """An image. `size`, `virtual_size`: bytes; `min_disk`: GiB; `min_ram`: MiB."""

    id: str
    name: str | None = None
    status: str = QUEUED
    visibility: str = "shared"
    owner: str | None = None
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
    generation: int = 0
    properties: dict[str, str] = {}
    tags: tuple[str, ...] = ()

    @property
    def has_data(self) -> bool:
        """Whether there is a file to read."""
        return self.status in (ACTIVE, DEACTIVATED)

    def target(self, member: str = "") -> dict[str, object]:
        """Return what policy rules are checked against; `member`: a project it is shared with."""
        return {
            "project_id": self.owner,
            "owner": self.owner,
            "member_id": member,
            "visibility": self.visibility,
            "image_id": self.id,
        }


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
