"""Hosts with real guests over PostgreSQL and RabbitMQ, while one part after the other fails.

Afterwards every server is what it was promised to be, runs once, and books and hosts agree.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from laboratory import Guest, Laboratory, agree, eventually, passing, stopped

from aerostat.assembly.engines import PostgreSql, RabbitMq
from aerostat.assembly.lab import GATEWAY, Lab
from aerostat.assembly.settings import Settings

pytestmark = [pytest.mark.guest, pytest.mark.root, pytest.mark.timeout(400)]
FOLDER = Path("/var/lib/aerostat-test-lab-faults")
AGREED_S = 30.0
ENGINES = Path("/var/lib/aerostat-test-lab-engines")
ONE, TWO = "lab-1", "lab-2"
DOWN_S = 90.0
"""A host is down when nothing was heard of it for a minute (service_down_time)."""


class Engines:
    """The database and RabbitMQ of the laboratory."""

    def __init__(self) -> None:
        shutil.rmtree(ENGINES, ignore_errors=True)
        ENGINES.mkdir(mode=0o755)
        self.database = PostgreSql(ENGINES / "database")
        self.rabbit = RabbitMq(ENGINES / "rabbitmq", listen=GATEWAY)

    def start(self) -> None:
        Lab(Settings(state_dir=FOLDER)).bridge()
        self.database.start()
        self.rabbit.start()
        os.environ["AEROSTAT_DATABASE_URL"] = self.database.url
        os.environ["AEROSTAT_BUS_URL"] = self.rabbit.url
        command = [sys.executable, "-m", "aerostat.cli", "--state-dir", str(FOLDER)]
        subprocess.run([*command, "db", "migrate"], check=True, capture_output=True)

    def close(self) -> None:
        for name in ("AEROSTAT_DATABASE_URL", "AEROSTAT_BUS_URL"):
            os.environ.pop(name, None)
        self.rabbit.kill()
        self.database.kill()
        shutil.rmtree(ENGINES, ignore_errors=True)


@pytest.fixture(scope="module")
def engines() -> Iterator[Engines]:
    made = Engines()
    yield made
    made.close()


@pytest.fixture(scope="module")
def lab(engines: Engines) -> Iterator[Laboratory]:
    made = Laboratory(FOLDER)
    made.run("down")
    try:
        engines.start()
        made.up(2)
        yield made
    finally:
        made.run("down")


@pytest.fixture
def guests(lab: Laboratory) -> Iterator[list[Guest]]:
    with passing(lab, AGREED_S) as made:
        yield made


def pauses(guest: Guest) -> None:
    """Show that a guest and its host do what they are asked."""
    for action, status in (("pause", "PAUSED"), ("unpause", "ACTIVE")):
        guest.act({action: None})
        guest.becomes(status)


def states(lab: Laboratory, host: str) -> set[bool]:
    """Return whether the agents of a host are up, as the APIs show it."""
    services = lab.admin.list("compute", "services", "/os-services", host=host)
    agents = lab.admin.list("network", "agents", "/v2.0/agents", host=host)
    return {s["state"] == "up" for s in services} | {a["alive"] for a in agents}


def test_rabbitmq_and_the_database_die_while_guests_are_made(
    lab: Laboratory, engines: Engines, guests: list[Guest]
) -> None:
    engines.rabbit.sync()
    for number, server in enumerate((engines.rabbit, engines.database)):
        guests += [lab.create(f"promised-{number}-{host}", host) for host in (ONE, TWO)]
        server.kill()
        server.start()
    for guest in guests:
        guest.becomes("ACTIVE")
    for guest in guests:
        guest.answers()
    agree(lab, AGREED_S)


def test_a_hanging_libvirtd_holds_up_its_own_host_alone(
    lab: Laboratory, guests: list[Guest]
) -> None:
    here, there = lab.create("here", ONE), lab.create("there", TWO)
    guests += [here, there]
    for guest in guests:
        guest.becomes("ACTIVE")
    with stopped(lab.pids(ONE, "libvirtd", "-d")):
        here.act({"pause": None})
        guests.append(lab.create("asked", ONE))
        pauses(there)
        assert here.show()["OS-EXT-STS:task_state"] == "pausing"
    here.becomes("PAUSED")
    guests[-1].becomes("ACTIVE")
    agree(lab, AGREED_S)


def test_a_hanging_guest_holds_up_itself_alone(lab: Laboratory, guests: list[Guest]) -> None:
    hanging, beside = lab.create("hanging", ONE), lab.create("beside", ONE)
    guests += [hanging, beside]
    for guest in guests:
        guest.becomes("ACTIVE")
    with stopped(lab.pids(ONE, "qemu-system", hanging.id)):
        hanging.act({"pause": None})
        pauses(beside)
        assert hanging.show()["OS-EXT-STS:task_state"] == "pausing"
    hanging.becomes("PAUSED")
    agree(lab, AGREED_S)


def test_no_room_on_a_host_is_said_and_leaves_nothing(lab: Laboratory, guests: list[Guest]) -> None:
    instances = str(lab.settings.node_dir / "instances")
    small = ["-t", "tmpfs", "-o", "size=100m,mode=755", "aerostat-test", instances]
    lab.inside(TWO, "mount", *small)
    lab.inside(TWO, "mkdir", f"{instances}/_base")
    try:
        lab.inside(TWO, "sh", "-c", f"cat /dev/zero > {instances}/_filler")
        refused = lab.create("refused", TWO)
        server = refused.becomes("ERROR")
        assert server["fault"]["message"]
        refused.delete()
        assert lab.inside(TWO, "ls", instances).split() == ["_base", "_filler"]
        lab.inside(TWO, "rm", f"{instances}/_filler")
        welcome = lab.create("welcome", TWO)
        welcome.becomes("ACTIVE")
        welcome.delete()
        agree(lab, AGREED_S)
    finally:
        lab.inside(TWO, "umount", instances)


def test_a_host_that_was_cut_off_gives_up_what_was_evacuated(
    lab: Laboratory, guests: list[Guest]
) -> None:
    """A minute without network; its guests run on, until it learns that one lives elsewhere."""
    moved, stays = lab.create("moved", ONE), lab.create("stays", ONE)
    guests += [moved, stays]
    for guest in guests:
        guest.becomes("ACTIVE")
    stays.answers()
    lab.cut(ONE)
    try:
        eventually(lambda: states(lab, ONE) == {False}, DOWN_S, lambda: str(states(lab, ONE)))
        moved.act({"evacuate": {"host": TWO}})
        moved.becomes("SHUTOFF")
        moved.act({"os-start": None})
        moved.becomes("ACTIVE")
        assert len(lab.pids(ONE, "qemu-system", moved.id)) == 1  # Nobody could tell it.
    finally:
        lab.mend(ONE)
    eventually(lambda: not lab.pids(ONE, "qemu-system", moved.id), 60, lambda: str(moved.show()))
    eventually(lambda: states(lab, ONE) == {True}, 60, lambda: str(states(lab, ONE)))
    assert len(lab.pids(TWO, "qemu-system", moved.id)) == 1
    assert len(lab.pids(ONE, "qemu-system", stays.id)) == 1
    for guest in guests:
        guest.answers()
    agree(lab, AGREED_S)
