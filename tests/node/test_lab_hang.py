"""A host whose libvirtd hangs for longer than anybody waits, among hosts that work.

Every request ends by its deadline, in its good state or with a reason; other hosts take what comes
later; and when libvirtd goes on, the host is as the books say, whatever it did late.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from laboratory import LOOK, Guest, Laboratory, agree, eventually, passing, stopped

from aerostat.assembly.lab import entering

pytestmark = [pytest.mark.guest, pytest.mark.root, pytest.mark.timeout(400)]
FOLDER = Path("/var/lib/aerostat-test-lab-hang")
ONE, TWO = "lab-1", "lab-2"
OPTIONS = """hypervisor_silence_s = 4.0
[nova]
build_timeout_s = 60.0
power_timeout_s = 15.0
delete_timeout_s = 20.0
"""
ENDED_S = 90.0
"""More than the longest of the deadlines above."""

AGREED_S = 60.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    made = Laboratory(FOLDER)
    made.run("down")
    try:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / "aerostat.toml").write_text(OPTIONS)
        made.up(2)
        yield made
    finally:
        made.run("down")


@pytest.fixture
def guests(lab: Laboratory) -> Iterator[list[Guest]]:
    with passing(lab, AGREED_S) as made:
        yield made


@contextmanager
def hanging(lab: Laboratory, host: str) -> Iterator[None]:
    """Let libvirtd of a host stand still."""
    (pid,) = lab.pids(host, "libvirtd", "-d")
    with stopped([pid]):
        yield


def service(lab: Laboratory, host: str) -> dict[str, Any]:
    found = lab.admin.list("compute", "services", "/os-services", host=host, binary="nova-compute")
    return dict(found[0])


def ails(lab: Laboratory, host: str) -> bool:
    shown = service(lab, host)
    disabled = shown["status"] == "disabled" and shown["disabled_reason"].startswith("AUTO: ")
    return bool(disabled and shown["state"] == "up")


def is_well(lab: Laboratory, host: str) -> bool:
    shown = service(lab, host)
    return (shown["status"], shown["state"]) == ("enabled", "up")


def enable(lab: Laboratory, host: str, status: str) -> None:
    found = service(lab, host)["id"]
    lab.admin.call("PUT", "compute", f"/os-services/{found}", {"status": status})


def ended(guest: Guest, action: str) -> Any:
    """Return the event of the newest action of a server, once nothing is done to it any more."""

    def settled() -> Any:
        server = guest.show()
        return server if server["OS-EXT-STS:task_state"] is None else None

    eventually(settled, ENDED_S, lambda: str(guest.show()))
    actions = guest.lab.admin.get("compute", f"/servers/{guest.id}/os-instance-actions")
    newest = actions["instanceActions"][0]
    assert newest["action"] == action, actions
    path = f"/servers/{guest.id}/os-instance-actions/{newest['request_id']}"
    return guest.lab.admin.get("compute", path)["instanceAction"]


def failed_for_silence(guest: Guest, action: str) -> None:
    shown = ended(guest, action)
    assert "does not answer" in shown["message"], shown
    assert "Error" in {event["result"] for event in shown["events"]}


def look(lab: Laboratory, host: str) -> str:
    """Return what looking at a host's guests from outside its node ends in."""
    command = [*entering(lab.lab.host(lab.number(host))), sys.executable, "-c", LOOK, str(FOLDER)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr


def anywhere(lab: Laboratory, name: str) -> Guest:
    return lab.create(name, ONE, availability_zone="nova")


def test_everything_ends_while_libvirtd_hangs(lab: Laboratory, guests: list[Guest]) -> None:
    names = ("to-stop", "to-start", "to-reboot", "to-delete")
    stop, start, reboot, delete = (lab.create(name, ONE) for name in names)
    there = lab.create("there", TWO)
    guests += [stop, start, reboot, delete, there]
    for guest in guests:
        guest.becomes("ACTIVE")
    start.act({"os-stop": None})
    start.becomes("SHUTOFF")
    enable(lab, TWO, "disabled")
    with hanging(lab, ONE):
        caught = anywhere(lab, "caught")
        guests.append(caught)
        stop.act({"os-stop": None})
        start.act({"os-start": None})
        reboot.act({"reboot": {"type": "HARD"}})
        lab.admin.delete("compute", f"/servers/{delete.id}")
        eventually(lambda: caught.show()["OS-EXT-SRV-ATTR:host"] == ONE, 30, lambda: "no host")
        enable(lab, TWO, "enabled")

        for guest, action in ((stop, "stop"), (start, "start"), (reboot, "reboot")):
            failed_for_silence(guest, action)
        fault = caught.becomes("ERROR", ENDED_S)["fault"]["message"]
        assert fault == "The hypervisor does not answer."
        failed_for_silence(delete, "delete")
        assert delete.show()["status"] == "ERROR"
        assert "does not answer" in delete.show()["fault"]["message"]

        eventually(lambda: ails(lab, ONE), 30, lambda: str(service(lab, ONE)))
        agents = lab.admin.list("network", "agents", "/v2.0/agents", host=ONE)
        assert {agent["alive"] for agent in agents} == {True}
        there.act({"pause": None})
        there.becomes("PAUSED")
        assert "libvirtd does not answer" in look(lab, ONE)
        elsewhere = anywhere(lab, "elsewhere")
        guests.append(elsewhere)
        assert elsewhere.becomes("ACTIVE")["OS-EXT-SRV-ATTR:host"] == TWO
    eventually(lambda: is_well(lab, ONE), 30, lambda: str(service(lab, ONE)))
    agree(lab, AGREED_S)
    for guest, action in ((start, "os-start"), (stop, "os-stop")):
        status = "ACTIVE" if action == "os-start" else "SHUTOFF"
        if guest.show()["status"] != status:
            guest.act({action: None})
        guest.becomes(status)


def test_a_node_stops_and_starts_beside_a_hanging_libvirtd(
    lab: Laboratory, guests: list[Guest]
) -> None:
    here = lab.create("here", ONE)
    guests.append(here)
    here.becomes("ACTIVE")
    host = lab.lab.host(1)
    with hanging(lab, ONE):
        here.act({"pause": None})
        pid = int((host.folder / "node.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        eventually(
            lambda: not lab.pids(ONE, "run", "node"), 20, lambda: host.log.read_text()[-3000:]
        )
        lab.lab.start_node(host)
        failed_for_silence(here, "pause")
        eventually(lambda: ails(lab, ONE), 60, lambda: str(service(lab, ONE)))
    eventually(lambda: is_well(lab, ONE), 60, lambda: str(service(lab, ONE)))
    here.act({"pause": None})
    here.becomes("PAUSED")
    agree(lab, AGREED_S)


def test_a_guest_that_hangs_can_be_rebooted_stopped_and_deleted(
    lab: Laboratory, guests: list[Guest]
) -> None:
    """Its QEMU stands still, and with it a call of libvirtd: only killing it helps."""
    names = ("to-reboot", "to-stop", "to-delete")
    reboot, stop, delete = hanging = [lab.create(f"hangs-{name}", TWO) for name in names]
    guests += hanging
    for guest in hanging:
        guest.becomes("ACTIVE")
    with stopped([pid for guest in hanging for pid in lab.pids(TWO, "qemu-system", guest.id)]):
        reboot.act({"pause": None})
        delete.act({"pause": None})
        stop.act({"os-stop": None})
        failed = ended(reboot, "pause")
        assert failed["message"], failed
        reboot.act({"reboot": {"type": "HARD"}})
        delete.delete()
        guests.remove(delete)
        reboot.becomes("ACTIVE")
        failed = ended(stop, "stop")
        assert failed["message"], failed
        stop.act({"reboot": {"type": "HARD"}})
        stop.becomes("ACTIVE")
    agree(lab, AGREED_S)
