"""Servers that change hosts, on several real hosts with real guests, who answer all the while.

lab-1 and lab-2 see one instances directory; lab-3 has its own.
"""

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from laboratory import Guest, Laboratory, Pinging, eventually

pytestmark = [pytest.mark.guest, pytest.mark.root, pytest.mark.timeout(400)]
SHARED, OTHER_SHARED, ALONE = "lab-1", "lab-2", "lab-3"
GAP_MS_MAX = 3000
"""How long a guest may be silent while it is live-migrated; two cores emulate everything here."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Laboratory]:
    made = Laboratory(Path("/var/lib/aerostat-test-lab"))
    made.run("down")
    made.up(3, share=2)
    yield made
    made.run("down")


@pytest.fixture
def guest(lab: Laboratory) -> Iterator[Guest]:
    made = lab.create("mover", SHARED)
    made.becomes("ACTIVE")
    made.answers()
    yield made
    with contextlib.suppress(AssertionError):
        made.delete()


def files(lab: Laboratory, host: str, guest: Guest) -> str:
    return lab.inside(host, "sh", "-c", f"ls -d {lab.settings.node_dir}/instances/{guest.id}*")


def domains(lab: Laboratory, host: str) -> list[str]:
    return lab.inside(host, "virsh", "list", "--all", "--uuid").split()


def is_only_on(lab: Laboratory, guest: Guest, host: str) -> None:
    """Check that one host alone has the guest, and that the network knows."""
    assert guest.host == host
    assert [h.name for h in lab.lab.hosts() if guest.id in domains(lab, h.name)] == [host]
    ports = lab.admin.list("network", "ports", "/v2.0/ports", device_id=guest.id)
    assert [p["binding:host_id"] for p in ports] == [host]
    assert "_resize" not in files(lab, host, guest)


def greeted(guest: Guest, asking: str) -> bool:
    """Ask for an ssh server's greeting; a guest answers pings some time before it has one."""
    return "SSH-2" in guest.ssh(asking)


def test_guests_of_two_hosts_reach_each_other(lab: Laboratory) -> None:
    here, there = lab.create("here", SHARED), lab.create("there", ALONE)
    for one in (here, there):
        one.becomes("ACTIVE")
    for one in (here, there):
        one.answers()
    for one, other in ((here, there), (there, here)):
        asking = f"nc -w 5 {other.address} 22 < /dev/null | head -n 1"
        eventually(partial(greeted, one, asking), 120, other.console)
    for one in (here, there):
        one.delete()


def test_live_migration(lab: Laboratory, guest: Guest) -> None:
    """With shared disks, then to a host without them, and back again."""
    guest.ssh("echo remembered > /tmp/memory; sync")
    for host in (OTHER_SHARED, ALONE, SHARED):
        with Pinging(guest) as pinging:
            guest.act({"os-migrateLive": {"host": host, "block_migration": "auto"}})
            guest.becomes("ACTIVE")
        is_only_on(lab, guest, host)
        assert guest.migrations()[0]["status"] == "completed"
        print(f"live to {host}: {pinging.lost} lost, {pinging.gap_ms} ms of silence")
        assert pinging.answers and pinging.gap_ms < GAP_MS_MAX
    assert guest.ssh("cat", "/tmp/memory") == "remembered"
    assert files(lab, ALONE, guest) == ""


def test_hosts_speak_tls_to_each_other(lab: Laboratory, guest: Guest) -> None:
    """libvirtd, QEMU and the disks; nobody without a certificate of this cloud gets anywhere."""
    listening = lab.inside(ALONE, "ss", "-ltnH")
    assert ":16514 " in listening and ":16509 " not in listening
    guest.act({"os-migrateLive": {"host": ALONE, "block_migration": "auto"}})
    guest.becomes("ACTIVE")
    is_only_on(lab, guest, ALONE)
    assert "server-key.pem" in lab.inside(ALONE, "ls", "/etc/pki/libvirt-migrate/")
    uri = f"qemu+tls://{lab.lab.host(lab.number(ALONE)).address}/system"
    stranger = lab.inside(SHARED, "sh", "-c", f"virsh -c '{uri}?pkipath=/tmp' list 2>&1")
    assert "failed to connect" in stranger


def test_block_migration_must_fit_the_storage(lab: Laboratory, guest: Guest) -> None:
    for host, block in ((OTHER_SHARED, True), (ALONE, False)):
        guest.act({"os-migrateLive": {"host": host, "block_migration": block}})
        guest.becomes("ACTIVE")
        is_only_on(lab, guest, SHARED)
        assert guest.migrations()[0]["status"] == "error"


def test_cold_migration_and_resize(lab: Laboratory, guest: Guest) -> None:
    """The disk goes along, with what is written on it; the verdict leaves one copy."""
    guest.ssh("echo written > ~/disk; sync")
    guest.act({"migrate": {"host": ALONE}})
    guest.becomes("VERIFY_RESIZE")
    assert "_resize" in files(lab, SHARED, guest)
    guest.answers()
    guest.act({"confirmResize": None})
    guest.becomes("ACTIVE")
    is_only_on(lab, guest, ALONE)
    assert files(lab, SHARED, guest) == ""

    flavor = {"name": f"larger-{guest.id[:8]}", "ram": 160, "vcpus": 1, "disk": 2}
    larger = lab.admin.post("compute", "/flavors", {"flavor": flavor})["flavor"]
    guest.act({"resize": {"flavorRef": larger["id"]}})
    guest.becomes("VERIFY_RESIZE")
    assert guest.host != ALONE
    assert guest.ssh("cat", "disk") == "written"
    guest.act({"revertResize": None})
    guest.becomes("ACTIVE")
    is_only_on(lab, guest, ALONE)
    assert guest.ssh("cat", "disk") == "written"


@pytest.mark.parametrize("host", [SHARED, ALONE])
def test_evacuation(lab: Laboratory, host: str) -> None:
    """A host loses its power; shared disks are kept, others made anew; it cleans up when back."""
    guest = lab.create("refugee", host)
    guest.becomes("ACTIVE")
    guest.ssh("echo written > ~/disk; sync")
    assert lab.lab.kill(lab.lab.host(lab.number(host))) >= 5
    services = lab.admin.list("compute", "services", "/os-services", host=host)
    at = f"/os-services/{services[0]['id']}"
    lab.admin.call("PUT", "compute", at, {"forced_down": True})
    assert guest.show()["host_status"] == "DOWN"
    guest.act({"evacuate": {"host": OTHER_SHARED}})
    guest.becomes("SHUTOFF")
    guest.act({"os-start": None})
    guest.becomes("ACTIVE")
    kept = guest.ssh("cat disk 2>/dev/null || echo anew")
    assert kept == ("written" if host == SHARED else "anew")

    lab.admin.call("PUT", "compute", at, {"forced_down": False})
    lab.up(3, share=2)
    done = lambda: guest.migrations()[0]["status"] == "completed"  # noqa: E731
    eventually(done, 60, lambda: str(guest.migrations()))
    is_only_on(lab, guest, OTHER_SHARED)
    assert (files(lab, host, guest) == "") is (host == ALONE)
    guest.answers()
    guest.delete()
