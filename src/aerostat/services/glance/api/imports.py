"""Staging, import, tasks and /v2/info: interoperable image import."""

from typing import Any

from aerostat.kit.errors import BadRequest
from aerostat.kit.http.route import Request, Routes
from aerostat.kit.http.schema import Open
from aerostat.services.glance import policies
from aerostat.services.glance.api import views
from aerostat.services.glance.api.asking import permitted
from aerostat.services.glance.api.data import check_length, check_media
from aerostat.services.glance.api.views import STORE
from aerostat.services.glance.domain import imports
from aerostat.services.glance.domain.imports import Asker, Import
from aerostat.services.glance.model.image import Image
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.schemas import attributes

routes: Routes[Glance] = Routes("imports")


class ImportBody(Open):
    """How to import; `stores` and `all_stores` choose among the only store there is."""

    method: dict[str, Any]
    stores: list[str] = []
    all_stores: bool = False
    all_stores_must_succeed: bool = True


class TaskBody(Open):
    """A task of the task API."""

    type: str
    input: dict[str, Any]


def asker(req: Request[Any]) -> Asker:
    """Return who asks."""
    return Asker(req.ctx.request_id, req.ctx.user_id, req.ctx.project_id)


@routes.put("/images/{image_id}/stage", policy=None, status=204, stream=True)
async def stage(glance: Glance, req: Request[None]) -> None:
    """Keep data for a later import."""
    check_media(req)
    check_length(glance, req)
    found = await permitted(glance, req, policies.MODIFY)
    await imports.stage(glance, found.image.id, req.chunks())


@routes.post("/images/{image_id}/import", policy=None, status=202, body=ImportBody)
async def start(glance: Glance, req: Request[ImportBody]) -> None:
    """Import staged data, or data from the web."""
    method = req.body.method
    name, uri = str(method.get("name", "")), method.get("uri", "")
    if not isinstance(uri, str):
        raise BadRequest("The uri must be a string.", field="uri")
    if unknown := [store for store in req.body.stores if store != STORE]:
        raise BadRequest(f"Store {unknown[0]} is not known.", field="stores")
    found = await permitted(glance, req, policies.MODIFY)
    given = {"import_req": {"method": method}, "image_id": found.image.id, "backend": [STORE]}
    await imports.start(glance, found.image.id, Import(name, uri, given), asker(req))


@routes.get("/images/{image_id}/tasks", policy=None)
async def image_tasks(glance: Glance, req: Request[None]) -> dict[str, Any]:
    """List the tasks of an image."""
    found = await permitted(glance, req, policies.GET)
    listed = await imports.of_image(glance, found.image.id)
    return {"tasks": [views.task(task) for task in listed]}


@routes.get("/tasks", policy=policies.TASKS)
async def index(glance: Glance, req: Request[None]) -> dict[str, Any]:
    """List tasks."""
    equal = {name: req.query.get(name) for name in ("type", "status") if name in req.query}
    limit = req.query.number("limit", glance.config.limit_param_default) or 0
    listed = await imports.listed(glance, limit, **equal)
    return {
        "tasks": [views.task_in_list(task) for task in listed],
        "first": "/v2/tasks",
        "schema": "/v2/schemas/tasks",
    }


@routes.post("/tasks", policy=policies.TASKS, body=TaskBody)
async def create(glance: Glance, req: Request[TaskBody]) -> dict[str, Any]:
    """Create an image and import its data from the web."""
    if req.body.type != "import":
        raise BadRequest(f"Invalid type of task: {req.body.type}", field="type")
    given = req.body.input
    doc, uri = given.get("image_properties"), given.get("import_from")
    if not (isinstance(doc, dict) and isinstance(uri, str)):
        raise BadRequest("Input needs 'image_properties' and 'import_from'.", field="input")
    fields, properties = attributes.split(glance.config, doc)
    fields.setdefault("id", glance.ids())
    fields.setdefault("owner", req.ctx.project_id or None)
    image = Image(properties=properties, **fields)
    return views.task(await imports.create_task(glance, image, uri, given, asker(req)))


@routes.get("/tasks/{task_id}", policy=policies.TASKS)
async def show(glance: Glance, req: Request[None]) -> dict[str, Any]:
    """Show a task."""
    return views.task(await imports.get(glance, req.path["task_id"]))


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


@routes.get("/info/stores", policy=None)
async def info_stores(_glance: Glance, _req: Request[None]) -> dict[str, Any]:
    """Show the stores."""
    return {"stores": [{"id": STORE, "default": "true"}]}


@routes.get("/info/stores/detail", policy=policies.STORES_DETAIL)
async def info_stores_detail(_glance: Glance, _req: Request[None]) -> dict[str, Any]:
    """Show the stores as an operator sees them."""
    return {
        "stores": [{"id": STORE, "type": "file", "default": "true", "weight": 0, "properties": {}}]
    }


@routes.get("/info/usage", policy=None)
async def info_usage(_glance: Glance, _req: Request[None]) -> dict[str, Any]:
    """Show quotas and their usage; no quota is set."""
    return {"usage": {}}
