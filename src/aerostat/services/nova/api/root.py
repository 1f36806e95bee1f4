"""/, /v2.1 and /extensions: what this API is."""

from typing import Any

from aerostat.kit.errors import NotFound
from aerostat.kit.http.route import Reply, Request, Routes
from aerostat.services.nova import policies
from aerostat.services.nova.runtime import Nova
from aerostat.services.nova.versions import VERSIONS

root: Routes[Nova] = Routes("root")
routes: Routes[Nova] = Routes("v2.1")


def _version(base: str) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": str(VERSIONS.newest),
        "min_version": str(VERSIONS.least),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{base}/v2.1/"}],
    }


@root.get("/", policy=None, public=True)
async def versions(_nova: Nova, req: Request[None]) -> dict[str, Any]:
    """List the versions."""
    return {"versions": [_version(req.base)]}


@routes.get("", policy=None, public=True)
async def version(_nova: Nova, req: Request[None]) -> Reply:
    """Show this version."""
    media = {
        "base": "application/json",
        "type": "application/vnd.openstack.compute+json;version=2.1",
    }
    return Reply({"version": {**_version(req.base), "media-types": [media]}})


EXTENSIONS = (
    "os-availability-zone",
    "os-aggregates",
    "os-console-output",
    "os-extended-server-attributes",
    "os-extended-status",
    "os-flavor-access",
    "os-flavor-extra-specs",
    "os-flavor-manage",
    "os-consoles",
    "os-hosts",
    "os-hypervisors",
    "os-instance-actions",
    "os-keypairs",
    "os-lock-server",
    "os-pause-server",
    "os-quota-sets",
    "os-remote-consoles",
    "os-security-groups",
    "os-server-groups",
    "os-server-password",
    "os-server-tags",
    "os-services",
    "os-simple-tenant-usage",
    "os-suspend-server",
    "OS-DCF",
    "OS-SCH-HNT",
)


def _extension(alias: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": alias.removeprefix("os-").replace("-", " ").title().replace(" ", ""),
        "description": f"{alias} of the compute API.",
        "links": [],
        "namespace": "http://docs.openstack.org/compute/ext/fake_xml",
        "updated": "2014-12-03T00:00:00Z",
    }


@routes.get("/extensions", policy=policies.EXTENSIONS)
async def extensions(_nova: Nova, _req: Request[None]) -> dict[str, Any]:
    """List what this API can, by the names that extensions had."""
    return {"extensions": [_extension(alias) for alias in EXTENSIONS]}


@routes.get("/extensions/{alias}", policy=policies.EXTENSIONS)
async def extension(_nova: Nova, req: Request[None]) -> dict[str, Any]:
    """Show one of them."""
    if req.path["alias"] not in EXTENSIONS:
        raise NotFound(f"Extension {req.path['alias']} could not be found.")
    return {"extension": _extension(req.path["alias"])}
