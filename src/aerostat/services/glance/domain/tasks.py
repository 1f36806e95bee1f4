"""Tasks: what is written down of work in the background."""

from aerostat.kit.errors import NotFound
from aerostat.services.glance.db import tasks
from aerostat.services.glance.model.task import Task, TaskListing
from aerostat.services.glance.runtime import Glance

TASKS_MAX = 1000


async def of_image(glance: Glance, image_id: str) -> list[Task]:
    """Return the tasks of an image, oldest first."""
    order = (["created_at"], ["asc"])
    return await listed(glance, TaskListing({"image_id": image_id}, TASKS_MAX, order=order))


async def listed(glance: Glance, wanted: TaskListing) -> list[Task]:
    """Return a page of tasks. Raises: BadRequest."""
    return await glance.db.read(tasks.listed, wanted)


async def get(glance: Glance, task_id: str) -> Task:
    """Raises: NotFound."""
    found = await glance.db.read(tasks.find, task_id)
    if found is None:
        raise NotFound(f"Task {task_id} not found")
    return found
