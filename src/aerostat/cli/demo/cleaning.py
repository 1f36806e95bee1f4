"""Removes what the demo made; what others made or use stays."""

import shutil

from aerostat.assembly.settings import Settings
from aerostat.cli import processes
from aerostat.cli.cloud import ApiError, Cloud
from aerostat.cli.console import CliError, Console
from aerostat.cli.credentials import cloud_of
from aerostat.cli.demo import names
from aerostat.cli.demo.surroundings import one
from aerostat.cli.places import places

DELETE_TIMEOUT_S = 120.0


def run(settings: Settings, console: Console) -> int:
    """Remove servers first, then what they needed, in the order of dependence."""
    admin, demo = cloud_of(settings, "admin"), cloud_of(settings, "demo")
    with console.step("servers") as step:
        step.note = str(_servers(demo))
    with console.step("floating addresses") as step:
        step.note = str(_floating(demo))
    with console.step("router, network, security group"):
        _network(demo)
    with console.step("external network") as step:
        step.note = _public(admin)
    with console.step("key pair, flavor, image"):
        _rest(admin, demo)
    shutil.rmtree(places(settings).demo, ignore_errors=True)
    console.say("What the demo made is gone; the project and user demo stay.")
    return 0


def _servers(demo: Cloud) -> int:
    found = demo.list("compute", "servers", "/servers/detail")
    ours = [s["id"] for s in found if s["metadata"].get("made-by") == names.FLOATING_NOTE]
    for server_id in ours:
        demo.delete("compute", f"/servers/{server_id}")

    def gone() -> bool:
        return not {s["id"] for s in demo.list("compute", "servers")} & set(ours)

    if not processes.wait(gone, DELETE_TIMEOUT_S):
        advice = "./aerostat logs node -n 100\n./aerostat doctor --audit"
        raise CliError(f"servers are not gone after {DELETE_TIMEOUT_S:.0f} s", advice)
    return len(ours)


def _floating(demo: Cloud) -> int:
    found = demo.list("network", "floatingips", "/v2.0/floatingips", project_id=demo.project_id)
    ours = [f["id"] for f in found if f["description"] == names.FLOATING_NOTE]
    for floating_id in ours:
        demo.delete("network", f"/v2.0/floatingips/{floating_id}")
    return len(ours)


def _network(demo: Cloud) -> None:
    subnet = one(demo, "network", "subnets", "/v2.0/subnets", name=names.SUBNET)
    if router := one(demo, "network", "routers", "/v2.0/routers", name=names.ROUTER):
        path = f"/v2.0/routers/{router['id']}"
        if subnet:
            body = {"subnet_id": subnet["id"]}
            _unless_gone(demo, f"{path}/remove_router_interface", body)
        demo.delete("network", path)
    if network := one(demo, "network", "networks", "/v2.0/networks", name=names.NETWORK):
        demo.delete("network", f"/v2.0/networks/{network['id']}")
    path = "/v2.0/security-groups"
    if group := one(demo, "network", "security_groups", path, name=names.GROUP):
        demo.delete("network", f"{path}/{group['id']}")


def _unless_gone(demo: Cloud, path: str, body: dict[str, str]) -> None:
    try:
        demo.call("PUT", "network", path, body)
    except ApiError as why:
        if why.status != 404:
            raise


def _public(admin: Cloud) -> str:
    notes = [_unless_used(admin, "networks", names.PUBLIC)]
    notes.append(_unless_used(admin, "subnetpools", names.SUBNET_POOL))
    return ", ".join(filter(None, notes))


def _unless_used(admin: Cloud, nouns: str, name: str) -> str:
    found = one(admin, "network", nouns, f"/v2.0/{nouns}", name=name)
    if found is None:
        return ""
    try:
        admin.delete("network", f"/v2.0/{nouns}/{found['id']}")
    except ApiError as why:
        if why.status != 409:
            raise
        return f"{name} stays: others use it"
    return ""


def _rest(admin: Cloud, demo: Cloud) -> None:
    demo.delete("compute", f"/os-keypairs/{names.KEY}")
    for flavor in admin.list("compute", "flavors"):
        if flavor["name"] == names.FLAVOR:
            admin.delete("compute", f"/flavors/{flavor['id']}")
    for image in admin.list("image", "images", "/v2/images", name=names.IMAGE):
        admin.delete("image", f"/v2/images/{image['id']}")
