"""A task: an import that runs in the background."""

from typing import Any

from msgspec import Struct

PENDING, PROCESSING, SUCCESS, FAILURE = "pending", "processing", "success", "failure"


class Task(Struct, frozen=True):
    """An import; `type` is api_image_import (of an image) or import (by the task API)."""

    id: str
    type: str
    status: str
    owner: str | None
    image_id: str | None
    request_id: str
    user_id: str
    input: dict[str, Any]
    result: dict[str, Any] | None
    message: str
    created_at: float
    updated_at: float
    expires_at: float | None


class TaskListing(Struct, frozen=True):
    """Which tasks are wanted: columns' values, how many at most, after which, in what order."""

    equal: dict[str, Any]
    limit: int
    marker: str | None = None
    order: tuple[list[str], list[str]] = ([], [])
