"""/v2/images: list, create, show, change, delete, deactivate, reactivate."""

from typing import Any

from aerostat.kit.errors import BadRequest, Forbidden, NotFound
from aerostat.kit.http.errors import MethodNotAllowed
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.glance import policies
from aerostat.services.glance.api import passing, protecting, views
from aerostat.services.glance.api.asking import document, permitted, viewer
from aerostat.services.glance.domain import images, locations
from aerostat.services.glance.model.image import Image, Move, Outline
from aerostat.services.glance.runtime import Glance
from aerostat.services.glance.schemas import attributes, patch
from aerostat.services.glance.schemas.listing import listing

routes: Routes[Glance] = Routes("images")


@routes.get("/images", policy=policies.LIST)
async def index(glance: Glance, req: Request[None]) -> Reply:
    """List images."""
    check_path(req)
    wanted = listing(req.query, viewer(req.ctx), glance.config)
    texts = None
    while texts is None:
        shown = _permitted(glance, req, await images.outlines(glance, wanted))
        texts = await _documents(glance, req, shown)
    last = shown[-1][0].id if shown and len(shown) == wanted.limit else ""
    return Reply(raw=views.page(texts, req.query, last))


async def _documents(
    glance: Glance, req: Request[None], shown: list[tuple[Outline, bool]]
) -> list[bytes] | None:
    """Return images as JSON; None: one was changed meanwhile, so look again which are seen."""
    known = [views.remembered(glance, one, places) for one, places in shown]
    missing = [one for (one, _), text in zip(shown, known, strict=True) if text is None]
    whole = await images.as_outlined(glance, missing)
    if len(whole) < len(missing):
        return None
    return [
        text or views.encoded(glance, protecting.seen(glance, req, whole[one.id]), places)
        for (one, places), text in zip(shown, known, strict=True)
    ]


def check_path(req: Request[Any]) -> None:
    """Raises: NotFound (an image is asked for, with an empty id)."""
    if req.url.endswith("/"):
        raise NotFound("No image found with ID ''")


@routes.delete("/images", policy=None)
async def delete_all(_glance: Glance, req: Request[None]) -> None:
    """Refuse: only one image at a time may be deleted."""
    check_path(req)
    raise MethodNotAllowed()


def _permitted(
    glance: Glance, req: Request[None], found: list[Outline]
) -> list[tuple[Outline, bool]]:
    """Return those that get_image allows, and whether locations are shown with each.

    Policy is asked once for images that are alike to it.
    """
    member = req.ctx.project_id
    answers: dict[tuple[str | None, str], tuple[bool, bool]] = {}
    shown: list[tuple[Outline, bool]] = []
    for image in found:
        key = (image.owner, image.visibility)
        if key not in answers:
            allowed = req.allows(policies.GET, image.target(member))
            answers[key] = (allowed, places_shown(glance, req, image))
        allowed, places = answers[key]
        if allowed:
            shown.append((image, places))
    return shown


def places_shown(glance: Glance, req: Request[Any], image: Outline) -> bool:
    """Tell whether the caller is shown where the data lies."""
    shows = views.shows_places(glance)
    return shows and req.allows(policies.GET_LOCATION, image.target())


def reply(glance: Glance, req: Request[Any], image: Image, **headers: str) -> Reply:
    """Return the document of an image as the caller may see it."""
    shown = protecting.seen(glance, req, image)
    raw = views.encoded(glance, shown, places_shown(glance, req, image))
    return Reply(raw=raw, headers=headers)


@routes.post("/images", policy=None, body=dict[str, Any])
async def create(glance: Glance, req: Request[dict[str, Any]]) -> Reply:
    """Create an image without data."""
    fields, properties = attributes.split(glance.config, req.body)
    protecting.check_new(glance, req, properties)
    fields.setdefault("id", glance.ids())
    fields.setdefault("owner", req.ctx.project_id or None)
    image = Image(properties=properties, **fields)
    target = {**image.target(), "project_id": req.ctx.project_id}
    if not req.allows(policies.ADD, target) and image.owner != req.ctx.project_id:
        raise Forbidden(
            f"You are not permitted to create images owned by '{image.owner}'", field="owner"
        )
    req.enforce(policies.ADD, target)
    _check_visibility(req, image, target)
    made = await images.create(glance, image)
    headers = {"location": f"{req.base}/v2/images/{made.id}"}
    if glance.config.import_methods:
        headers["openstack-image-import-methods"] = ",".join(glance.config.import_methods)
    headers["openstack-image-store-ids"] = ",".join(glance.stores.ids)
    return reply(glance, req, made, **headers)


def _check_visibility(req: Request[Any], image: Image, target: dict[str, object]) -> None:
    if image.visibility == "public":
        req.enforce(policies.PUBLICIZE, target)
    elif image.visibility == "community":
        req.enforce(policies.COMMUNITIZE, target)


@routes.get("/images/{image_id}", policy=None)
async def show(glance: Glance, req: Request[None]) -> Reply:
    """Show an image."""
    found = await permitted(glance, req, policies.GET)
    return reply(glance, req, found.image)


@routes.patch("/images/{image_id}", policy=None, stream=True)
async def update(glance: Glance, req: Request[None]) -> Reply:
    """Change attributes, properties and tags by a JSON patch."""
    every = patch.parse(req.headers.get("content-type", ""), await document(req))
    ops = [op for op in every if op.name != "locations"]
    found = await permitted(glance, req, policies.MODIFY)
    moves = [moved(glance, req, found.image, op) for op in every if op.name == "locations"]

    def change(image: Image) -> Image:
        new = protecting.changed(
            glance, req, image, lambda seen: patch.apply(glance.config, seen, ops)
        )
        if new.visibility != image.visibility:
            _check_visibility(req, new, image.target())
        if new.owner != image.owner and not req.ctx.is_admin:
            raise Forbidden("Owner can't be updated by non admin.", field="owner")
        images.check_quotas(glance.config, new)
        return new

    made = await locations.edit(glance, found.image.id, moves, change)
    return reply(glance, req, made)


def moved(glance: Glance, req: Request[Any], image: Image, op: patch.Op) -> Move:
    """Return what a change of `locations` asks for. Raises: Forbidden, BadRequest."""
    if not glance.config.show_multiple_locations:
        raise Forbidden("It's not allowed to add/remove/replace locations if they are invisible.")
    rules = {
        "add": (policies.SET_LOCATION,),
        "replace": (policies.SET_LOCATION if op.value else policies.DELETE_LOCATION,),
        "remove": (policies.DELETE_LOCATION,),
    }
    for rule in rules[op.op]:
        req.enforce(rule, image.target())
    return patch.move(glance.stores, op)


@routes.delete("/images/{image_id}", policy=None)
async def delete(glance: Glance, req: Request[None]) -> Reply | None:
    """Delete an image and its data."""
    found = await permitted(glance, req, policies.DELETE)
    passed = await passing.pass_deletion_on(glance, req, found.image)
    if passed is None:
        await images.delete(glance, found.image.id)
    return passed


@routes.post("/images/{image_id}/actions/{action}", policy=None, status=204)
async def act(glance: Glance, req: Request[None]) -> None:
    """Deactivate an image, or reactivate it."""
    action = req.path["action"]
    if action not in ("deactivate", "reactivate"):
        raise BadRequest(f"There is no action {action}.", field="action")
    off = action == "deactivate"
    await permitted(glance, req, policies.DEACTIVATE if off else policies.REACTIVATE)
    change = images.deactivate if off else images.reactivate
    await images.edit(glance, req.path["image_id"], change)


@routes.put("/images/{image_id}/tags/{tag}", policy=None, status=204)
async def add_tag(glance: Glance, req: Request[None]) -> None:
    """Add a tag."""
    tag = attributes.tag(req.path["tag"])
    await permitted(glance, req, policies.MODIFY)
    await images.edit(glance, req.path["image_id"], images.tagged(tag, glance.config))


@routes.delete("/images/{image_id}/tags/{tag}", policy=None)
async def remove_tag(glance: Glance, req: Request[None]) -> None:
    """Take a tag away."""
    await permitted(glance, req, policies.MODIFY)
    await images.edit(glance, req.path["image_id"], images.untagged(req.path["tag"]))
