"""`aerostat node`: hosts join the cloud, are emptied, and leave it."""

import time
from typing import Any

from aerostat.assembly import joining
from aerostat.assembly.settings import load
from aerostat.cli import up
from aerostat.cli.cloud import ApiError, Cloud
from aerostat.cli.command import Command
from aerostat.cli.console import CliError
from aerostat.cli.credentials import cloud_of
from aerostat.cli.places import prepare
from aerostat.kit.errors import Fault

REASON = "drained by aerostat node drain"
MOVE_TIMEOUT_S = 600.0
MOVABLE = {"ACTIVE": "os-migrateLive", "PAUSED": "os-migrateLive", "SHUTOFF": "migrate"}
"""What moves a server that is in a state."""


def run(command: Command) -> int:
    """Do what was asked."""
    try:
        ACTIONS[command.options.verb](command)
    except Fault as why:
        raise CliError(why.message, f"see {why.field}" if why.field else "") from why
    return 0


def token(command: Command) -> None:
    """Print the token of a new host."""
    options = command.options
    print(joining.make_token(command.settings, options.host, options.address))


def join(command: Command) -> None:
    """Make this machine a host of the cloud that the token is from."""
    prepare(command.settings)
    host = joining.join(command.settings, command.options.token)
    up.start_node(load(command.settings.state_dir), command.console)
    command.console.say(f"{host} is a host of the cloud. ./aerostat up and down start and stop it.")


def drain(command: Command) -> None:
    """Let a host take no more servers, and move those that it has."""
    admin, host = cloud_of(command.settings, "admin"), command.options.host
    service = _service(admin, host)
    body = {"status": "disabled", "disabled_reason": REASON}
    admin.call("PUT", "compute", f"/os-services/{service['id']}", body)
    for server in _servers(admin, host):
        how = MOVABLE.get(server["status"])
        if how is None:
            raise CliError(f"server {server['id']} is {server['status']}", "it has to be seen to")
        with command.console.step(f"{how} {server['name'][:20]}") as step:
            step.note = _move(admin, server, how)


def evacuate(command: Command) -> None:
    """Say that a host is dead, and build its servers again on others."""
    admin, host = cloud_of(command.settings, "admin"), command.options.host
    service = _service(admin, host)
    admin.call("PUT", "compute", f"/os-services/{service['id']}", {"forced_down": True})
    for server in _servers(admin, host):
        with command.console.step(f"evacuate {server['name'][:20]}") as step:
            admin.post("compute", f"/servers/{server['id']}/action", {"evacuate": {}})
            step.note = _arrived(admin, server)


def remove(command: Command) -> None:
    """Take a host that has no servers out of the cloud; its credentials end at once."""
    admin, host = cloud_of(command.settings, "admin"), command.options.host
    if left := _servers(admin, host):
        raise CliError(f"{host} has {len(left)} servers", f"./aerostat node drain {host}")
    joining.BusUsers(command.settings.bus_admin_urls).remove(host)
    for agent in admin.list("network", "agents", "/v2.0/agents", host=host):
        admin.delete("network", f"/v2.0/agents/{agent['id']}")
    for service in admin.get("compute", "/os-services", host=host)["services"]:
        admin.delete("compute", f"/os-services/{service['id']}")
    command.console.say(f"{host} is no longer a host of the cloud.")


ACTIONS = {"token": token, "join": join, "drain": drain, "evacuate": evacuate, "remove": remove}


def _service(admin: Cloud, host: str) -> Any:
    found = admin.get("compute", "/os-services", host=host, binary="nova-compute")["services"]
    if not found:
        raise CliError(f"no compute host is named {host}", "openstack compute service list")
    return found[0]


def _servers(admin: Cloud, host: str) -> list[Any]:
    return admin.list("compute", "servers", "/servers/detail", host=host, all_tenants=1)


def _move(admin: Cloud, server: Any, how: str) -> str:
    live = {"host": None, "block_migration": "auto"}
    body = {how: live if how == "os-migrateLive" else None}
    admin.post("compute", f"/servers/{server['id']}/action", body)
    where = _arrived(admin, server)
    if how == "migrate":
        admin.post("compute", f"/servers/{server['id']}/action", {"confirmResize": None})
    return where


def _arrived(admin: Cloud, server: Any) -> str:
    """Wait until a server rests on another host; return which. Raises: CliError."""
    old, end = server["OS-EXT-SRV-ATTR:host"], time.monotonic() + MOVE_TIMEOUT_S
    while time.monotonic() < end:
        try:
            now = admin.get("compute", f"/servers/{server['id']}")["server"]
        except ApiError as why:
            if why.status != 404:
                raise
            return "deleted meanwhile"
        if now["OS-EXT-STS:task_state"] is None:
            if now["OS-EXT-SRV-ATTR:host"] != old:
                return f"to {now['OS-EXT-SRV-ATTR:host']}"
            fault = now.get("fault", {}).get("message", "it stayed where it was")
            raise CliError(f"server {server['id']}: {fault}", "openstack server event list")
        time.sleep(0.2)
    raise CliError(f"server {server['id']} does not arrive", "openstack server migration list")
