"""/flavors: list, show, create, update, delete; extra specs; access of projects."""

from typing import Annotated, Any

from msgspec import Meta, field

from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.kit.http.route import Request, Routes
from aerostat.kit.http.schema import Body, parse_bool, since
from aerostat.services.nova import policies
from aerostat.services.nova.api.paging import page_links
from aerostat.services.nova.api.queries import limit_of
from aerostat.services.nova.api.reading import base_of
from aerostat.services.nova.domain import flavors
from aerostat.services.nova.domain.flavors import FlavorQuery
from aerostat.services.nova.model.flavor import Flavor
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.schemas.views import links

routes: Routes[Nova] = Routes("flavors")

MAX = 2147483647
Size = Annotated[int, Meta(ge=0, le=MAX)]
Number = Size | Annotated[str, Meta(pattern="^[0-9]+$", max_length=10)]
Description = Annotated[str, Meta(max_length=65535)]


class FlavorBody(Body, kw_only=True):
    """POST /flavors."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    ram: Number
    vcpus: Number
    disk: Number
    id: Annotated[str, Meta(min_length=1, max_length=255)] | int | None = None
    swap: Number | str = 0
    ephemeral: Number = field(name="OS-FLV-EXT-DATA:ephemeral", default=0)
    rxtx_factor: float | str = 1.0
    is_public: bool | str = field(name="os-flavor-access:is_public", default=True)
    description: Annotated[Description | None, since("2.55")] = None


class FlavorCreate(Body):
    """The whole body of POST /flavors."""

    flavor: FlavorBody


class FlavorChange(Body):
    """PUT /flavors/{id}."""

    description: Description | None


class FlavorUpdate(Body):
    """The whole body of PUT /flavors/{id}."""

    flavor: FlavorChange


SpecKey = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9\-_:. ]+$")]


class ExtraSpecs(Body):
    """POST /flavors/{id}/os-extra_specs."""

    extra_specs: dict[SpecKey, str | int | float]


def view(flavor: Flavor, base: str) -> dict[str, Any]:
    """Return the newest form of a flavor."""
    return {
        "id": flavor.flavorid,
        "name": flavor.name,
        "ram": flavor.ram_mib,
        "disk": flavor.root_gb,
        "swap": flavor.swap_mib or 0,
        "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral_gb,
        "OS-FLV-DISABLED:disabled": flavor.disabled,
        "vcpus": flavor.vcpus,
        "os-flavor-access:is_public": flavor.is_public,
        "rxtx_factor": flavor.rxtx_factor,
        "description": flavor.description,
        "extra_specs": flavor.extra_specs,
        "links": links(base, "flavors", flavor.flavorid),
    }


def _brief(flavor: Flavor, base: str) -> dict[str, Any]:
    return {
        "id": flavor.flavorid,
        "name": flavor.name,
        "description": flavor.description,
        "links": links(base, "flavors", flavor.flavorid),
    }


def _query(req: Request[None], most: int) -> FlavorQuery:
    q, admin = req.query, req.ctx.is_admin
    public: bool | None = None
    asked = q.get("is_public")
    if admin:
        public = None if (asked or "").lower() == "none" else parse_bool(asked or "1", "is_public")
    return FlavorQuery(
        project_id=None if admin else req.ctx.project_id,
        is_public=public,
        min_ram=q.number("minRam", 0) or 0,
        min_disk=q.number("minDisk", 0) or 0,
        sort_key=q.get("sort_key") or "flavorid",
        sort_dir=q.get("sort_dir") or "asc",
        marker=q.get("marker"),
        limit=limit_of(req, most),
    )


async def _page(nova: Nova, req: Request[None], show: Any) -> dict[str, Any]:
    query = _query(req, nova.config.max_limit)
    found = await flavors.find(nova, query)
    doc: dict[str, Any] = {"flavors": [show(f, base_of(req)) for f in found]}
    ids = [f.flavorid for f in found]
    if more := page_links(req, ids, query.limit, nova.config.max_limit):
        doc["flavors_links"] = more
    return doc


@routes.get("/flavors", policy=policies.FLAVOR_LIST, tags=("flavor",))
async def index(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List flavors briefly."""
    return await _page(nova, req, _brief)


@routes.get("/flavors/detail", policy=policies.FLAVOR_LIST, tags=("flavor",))
async def list_detail(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List flavors with all there is to say of them."""
    return await _page(nova, req, view)


@routes.post(
    "/flavors",
    policy=policies.FLAVOR_CREATE,
    body=FlavorCreate,
    status=200,
    tags=("flavor",),
)
async def create(nova: Nova, req: Request[FlavorCreate]) -> dict[str, Any]:
    """Create a flavor."""
    body = req.body.flavor
    flavor = Flavor(
        id=0,
        flavorid=_id(nova, body.id),
        name=body.name.strip() or _bad("name"),
        vcpus=_least(body.vcpus, "vcpus", 1),
        ram_mib=_least(body.ram, "ram", 1),
        root_gb=int(body.disk),
        ephemeral_gb=int(body.ephemeral),
        swap_mib=int(body.swap) if str(body.swap).isdecimal() else _bad("swap"),
        rxtx_factor=_factor(body.rxtx_factor),
        is_public=parse_bool(body.is_public, "os-flavor-access:is_public"),
        disabled=False,
        description=body.description,
        extra_specs={},
    )
    return {"flavor": view(await flavors.create(nova, flavor), base_of(req))}


def _bad(name: str) -> Any:
    raise BadRequest(f"Invalid input for field/attribute {name}.", field=name)


def _id(nova: Nova, given: str | int | None) -> str:
    if given is None or given == "auto":
        return nova.ids()
    text = str(given)
    return text if text == text.strip() and text else str(_bad("id"))


def _least(value: int | str, name: str, least: int) -> int:
    number = int(value)
    return number if least <= number <= MAX else int(_bad(name))


def _factor(value: float | str) -> float:
    try:
        factor = float(value)
    except ValueError:
        factor = 0.0
    return factor if factor > 0 else float(_bad("rxtx_factor"))


@routes.get("/flavors/{flavor_id}", policy=policies.FLAVOR_LIST, tags=("flavor",))
async def show(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show a flavor."""
    return {"flavor": view(await _get(nova, req), base_of(req))}


async def _get(nova: Nova, req: Request[Any]) -> Flavor:
    return await flavors.get(nova, req.ctx, req.path["flavor_id"])


@routes.put(
    "/flavors/{flavor_id}",
    policy=policies.FLAVOR_UPDATE,
    body=FlavorUpdate,
    since="2.55",
    tags=("flavor",),
)
async def update(nova: Nova, req: Request[FlavorUpdate]) -> dict[str, Any]:
    """Change the description of a flavor."""
    flavor = await _get(nova, req)
    values = {"description": req.body.flavor.description}
    return {"flavor": view(await flavors.change(nova, flavor.flavorid, **values), base_of(req))}


@routes.delete("/flavors/{flavor_id}", policy=policies.FLAVOR_DELETE, status=202)
async def delete(nova: Nova, req: Request[None]) -> None:
    """Delete a flavor."""
    await flavors.delete(nova, req.path["flavor_id"])


@routes.get("/flavors/{flavor_id}/os-extra_specs", policy=policies.SPECS["index"])
async def specs(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the extra specs of a flavor."""
    return {"extra_specs": (await _get(nova, req)).extra_specs}


@routes.post(
    "/flavors/{flavor_id}/os-extra_specs",
    policy=policies.SPECS["create"],
    body=ExtraSpecs,
    status=200,
)
async def add_specs(nova: Nova, req: Request[ExtraSpecs]) -> dict[str, Any]:
    """Set some of the extra specs."""
    flavor = await _get(nova, req)
    wanted = {k: str(v) for k, v in req.body.extra_specs.items()}
    await flavors.change(nova, flavor.flavorid, extra_specs={**flavor.extra_specs, **wanted})
    return {"extra_specs": wanted}


@routes.get("/flavors/{flavor_id}/os-extra_specs/{key}", policy=policies.SPECS["show"])
async def spec(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show one extra spec."""
    flavor, key = await _get(nova, req), req.path["key"]
    _check_spec(flavor, key)
    return {key: flavor.extra_specs[key]}


def _check_spec(flavor: Flavor, key: str) -> None:
    if key not in flavor.extra_specs:
        raise NotFound(f"Flavor {flavor.flavorid} has no extra specs with key {key}.")


@routes.put(
    "/flavors/{flavor_id}/os-extra_specs/{key}",
    policy=policies.SPECS["update"],
    body=dict[SpecKey, str | int | float],
)
async def set_spec(nova: Nova, req: Request[dict[str, Any]]) -> dict[str, Any]:
    """Set one extra spec."""
    key = req.path["key"]
    if list(req.body) != [key]:
        raise BadRequest("Request body and URI mismatch", field=key)
    flavor = await _get(nova, req)
    wanted = {key: str(req.body[key])}
    await flavors.change(nova, flavor.flavorid, extra_specs={**flavor.extra_specs, **wanted})
    return wanted


@routes.delete(
    "/flavors/{flavor_id}/os-extra_specs/{key}", policy=policies.SPECS["delete"], status=200
)
async def delete_spec(nova: Nova, req: Request[None]) -> None:
    """Delete one extra spec."""
    flavor, key = await _get(nova, req), req.path["key"]
    _check_spec(flavor, key)
    left = {k: v for k, v in flavor.extra_specs.items() if k != key}
    await flavors.change(nova, flavor.flavorid, extra_specs=left)


def _access(flavorid: str, projects: list[str]) -> dict[str, Any]:
    return {"flavor_access": [{"flavor_id": flavorid, "tenant_id": p} for p in projects]}


@routes.get("/flavors/{flavor_id}/os-flavor-access", policy=policies.FLAVOR_ACCESS)
async def access(nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the projects that may use a private flavor."""
    flavor = await _get(nova, req)
    if flavor.is_public:
        raise NotFound("Access list not available for public flavors.")
    return _access(flavor.flavorid, await flavors.projects(nova, flavor.flavorid))


@routes.post("/flavors/{flavor_id}/action", policy=None, body=dict[str, dict[str, str]], status=200)
async def action(nova: Nova, req: Request[dict[str, dict[str, str]]]) -> dict[str, Any]:
    """Let a project use a private flavor, or no longer."""
    name = next(iter(req.body), "")
    project = req.body.get(name, {}).get("tenant", "")
    if name not in ("addTenantAccess", "removeTenantAccess") or not project:
        raise BadRequest(f"There is no such action: {name}", field=name)
    if name == "addTenantAccess":
        req.enforce(policies.FLAVOR_ACCESS_ADD)
    else:
        req.enforce(policies.FLAVOR_ACCESS_REMOVE)
    flavor = await _get(nova, req)
    if name == "addTenantAccess":
        if flavor.is_public:
            raise Conflict("Can not add access to a public flavor.")
        await flavors.grant(nova, flavor.flavorid, project)
    else:
        await flavors.revoke(nova, flavor.flavorid, project)
    return _access(flavor.flavorid, await flavors.projects(nova, flavor.flavorid))
