"""Staging, import, tasks and /v2/info: interoperable image import."""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.kit.http.schema import Open
from aerostat.kit.ids import is_uuid
from aerostat.services.glance import policies
from aerostat.services.glance.api import passing, protecting, views
from aerostat.services.glance.api.asking import asker, permitted
from aerostat.services.glance.api.data import announced, check_media
from aerostat.services.glance.domain import imports, quotas, staging, tasks
from aerostat.services.glance.domain.elsewhere import Remote
from aerostat.services.glance.domain.imports import Import
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.model.task import TaskListing
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.schemas import attributes

routes: Routes[Glance] = Routes("imports")


class ImportBody(Open):
    """How to import, and into which stores."""

    method: dict[str, Any]
    stores: list[str] = []
    all_stores: bool = False
    all_stores_must_succeed: bool | None = None


class TaskBody(Open):
    """A task of the task API."""

    type: str
    input: dict[str, Any]


@routes.put("/images/{image_id}/stage", policy=None, status=204, stream=True)
async def stage(glance: Glance, req: Request[None]) -> None:
    """Keep data for a later import."""
    check_media(req)
    size = announced(glance, req)
    found = await permitted(glance, req, policies.MODIFY)
    await staging.stage(glance, found.image.id, req.chunks(), size)


@routes.post("/images/{image_id}/import", policy=None, status=202, body=ImportBody)
async def start(glance: Glance, req: Request[ImportBody]) -> Reply | None:
    """Import data that was staged, is on the web or in another region; copy it to other stores."""
    body, method = req.body, req.body.method
    copying = method.get("name") == imports.COPY
    found = await permitted(glance, req, policies.COPY if copying else policies.MODIFY)
    if body.stores and body.all_stores:
        raise BadRequest("Stores and all_stores exclude each other.", field="all_stores")
    if method.get("name") == imports.DIRECT:
        passed = await passing.pass_on(glance, req, found.image)
        if passed is not None:
            return passed
    stores = tuple(body.stores)
    if not stores and (header := req.headers.get("x-image-meta-store")):
        stores = (header,)
    chosen = glance.stores.writable if body.all_stores else stores or (glance.stores.default,)
    given = {
        "import_req": {"method": method},
        "image_id": found.image.id,
        "backend": list(chosen),
    }
    wanted = Import(
        method=str(method.get("name", "")),
        input=given,
        uri=_text(method, "uri"),
        remote=_remote(method),
        stores=stores,
        all_stores=body.all_stores,
        all_must=body.all_stores_must_succeed is not False,
    )
    await imports.start(glance, found.image.id, wanted, asker(req))
    return None


def _text(method: dict[str, Any], name: str) -> str:
    value = method.get(name, "")
    if not isinstance(value, str):
        raise BadRequest(f"{name} must be a string.", field=name)
    return value


def _remote(method: dict[str, Any]) -> Remote | None:
    image_id = _text(method, "glance_image_id")
    if not image_id:
        return None
    if not is_uuid(image_id):
        raise BadRequest(
            "glance_image_id: the image id does not look like a UUID.", field="glance_image_id"
        )
    interface = _text(method, "glance_service_interface") or "public"
    return Remote(image_id, _text(method, "glance_region"), interface)


@routes.get("/images/{image_id}/tasks", policy=None)
async def image_tasks(glance: Glance, req: Request[None]) -> dict[str, Any]:
    """List the tasks of an image."""
    found = await permitted(glance, req, policies.GET)
    listed = await tasks.of_image(glance, found.image.id)
    return {"tasks": [views.task(task) for task in listed]}


@routes.get("/tasks", policy=policies.TASKS)
async def index(glance: Glance, req: Request[None]) -> dict[str, Any]:
    """List tasks, the newest first unless another order is asked for."""
    q = req.query
    limit = q.number("limit", glance.config.limit_param_default) or 0
    wanted = TaskListing(
        {name: q.get(name) for name in ("type", "status") if name in q},
        min(limit, glance.config.api_limit_max),
        q.get("marker"),
        (q.all("sort_key"), q.all("sort_dir")),
    )
    listed = await tasks.listed(glance, wanted)
    kept = [(name, v) for name, values in q.items() for v in values if name != "marker"]
    doc: dict[str, Any] = {
        "tasks": [views.task_in_list(task) for task in listed],
        "first": views.link("/v2/tasks", kept),
        "schema": "/v2/schemas/tasks",
    }
    if listed and len(listed) == wanted.limit:
        doc["next"] = views.link("/v2/tasks", [*kept, ("marker", listed[-1].id)])
    return doc


@routes.post("/tasks", policy=policies.TASKS, body=TaskBody)
async def create(glance: Glance, req: Request[TaskBody]) -> Reply:
    """Create an image and import its data from the web."""
    if req.body.type != "import":
        raise BadRequest(f"Invalid type of task: {req.body.type}", field="type")
    given = req.body.input
    doc, uri = given.get("image_properties"), given.get("import_from")
    if not (isinstance(doc, dict) and isinstance(uri, str)):
        raise BadRequest("Input needs 'image_properties' and 'import_from'.", field="input")
    fields, properties = attributes.split(glance.config, doc)
    protecting.check_new(glance, req, properties)
    fields.setdefault("id", glance.ids())
    fields.setdefault("owner", req.ctx.project_id or None)
    image = Image(properties=properties, **fields)
    made = await imports.create_task(glance, image, uri, given, asker(req))
    return Reply(views.task(made), headers={"location": f"{req.base}/v2/tasks/{made.id}"})


@routes.get("/tasks/{task_id}", policy=policies.TASKS)
async def show(glance: Glance, req: Request[None]) -> dict[str, Any]:
    """Show a task."""
    return views.task(await tasks.get(glance, req.path["task_id"]))


@routes.get("/info/import", policy=None)
async def info_import(glance: Glance, _req: Request[None]) -> dict[str, Any]:
    """Show the import methods."""
    return {
        "import-methods": {
            "description": "Import methods available.",
            "type": "array",
            "value": list(glance.config.import_methods),
        }
    }


@routes.get("/info/usage", policy=None)
async def info_usage(glance: Glance, req: Request[None]) -> dict[str, Any]:
    """Show the limits of the project, and how much of each is used."""
    return {"usage": await quotas.used(glance, req.ctx.project_id)}
