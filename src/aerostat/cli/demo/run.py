"""Runs the demo from nothing to a login, and says how to go on; or removes what it made."""

import os

from aerostat.assembly.settings import Settings
from aerostat.cli import up
from aerostat.cli.command import Command
from aerostat.cli.console import CliError, Console
from aerostat.cli.credentials import cloud_of, ensure_demo, write_clouds_yaml
from aerostat.cli.demo import cleaning, guest_image, server, surroundings
from aerostat.cli.demo.surroundings import Surroundings
from aerostat.cli.places import GUEST_IMAGE, places


def run(command: Command) -> int:
    """Make a server and log in to it."""
    settings, console = command.settings, command.console
    if command.options.clean:
        return cleaning.run(settings, console)
    if settings.compute_driver == "fake":
        raise CliError(
            "the fake driver has no guests to log in to", "unset AEROSTAT_COMPUTE_DRIVER"
        )
    if os.geteuid() != 0:
        raise CliError("the demo makes networks and guests", "sudo ./aerostat demo")
    console.say("The cloud")
    if not up.start(settings, console):
        console.say("  runs already")
    ensure_demo(settings)
    write_clouds_yaml(settings)
    console.say("What a server needs")
    around = surround(settings, console)
    console.say("The server")
    _make(settings, console, around)
    return 0


def surround(settings: Settings, console: Console) -> Surroundings:
    """Return what a server needs, made if it is not there yet."""
    admin, demo = cloud_of(settings, "admin"), cloud_of(settings, "demo")
    image = guest_image.ensure(admin, console, GUEST_IMAGE)
    with console.step("flavor, key pair, security group"):
        flavor = surroundings.ensure_flavor(admin)
        key_file = surroundings.ensure_key(demo, places(settings).demo)
        group = surroundings.ensure_group(demo)
    with console.step("external network, network, router"):
        public = surroundings.ensure_public(admin)
        network = surroundings.ensure_network(demo, public)
    return Surroundings(image["id"], flavor, network, public, group, key_file)


def _make(settings: Settings, console: Console, around: Surroundings) -> None:
    admin, demo = cloud_of(settings, "admin"), cloud_of(settings, "demo")
    with console.step("asked for") as step:
        made = server.create(demo, around)
        step.note = f"{made['name']}  {made['id']}"
    with console.step("ACTIVE"):
        found = server.await_active(demo, made["id"])
    with console.step("floating address") as step:
        address = server.give_floating_address(demo, made["id"], around.public)
        step.note = address
    login = server.ssh_command(address, around.key_file)
    with console.step("login by ssh"):
        said = server.await_ssh(demo, made["id"], login)
    console.say("\nThe guest says")
    for line in said.strip().splitlines():
        console.say(f"  {line}")
    console.say("\nHow long its creation took")
    rows = [(p.name, f"{p.took_s:.2f} s") for p in server.phases(admin, made["id"])]
    console.table(rows or [("no events", "")])
    console.say("\nIts screen, in a browser (the link is good for a while)")
    console.say(f"  {server.console_url(demo, made['id'])}")
    _say_how_to_go_on(console, found["name"], login)


def _say_how_to_go_on(console: Console, name: str, login: list[str]) -> None:
    console.say(f"\nDone after {console.elapsed_s:.1f} s. How to go on")
    for line in (
        " ".join(login),
        "eval $(./aerostat openrc demo)       # or: admin",
        "openstack server list",
        f"openstack console log show {name}",
        f"openstack server delete {name}",
        "./aerostat demo                      # another server",
        "./aerostat demo --clean              # remove all of this",
    ):
        console.say(f"  {line}")
