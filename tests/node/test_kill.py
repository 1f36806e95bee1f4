"""kill -9 at random moments while servers come and go: nothing is stuck, nothing is left over."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.installation import Installation

from aerostat.cli.cloud import ApiError, Cloud
from aerostat.cli.console import CliError

SERVERS = 20
KILLS = 6
REST = {"ACTIVE", "ERROR", "SHUTOFF"}
GUEST = Path("/var/cache/aerostat/guest/aerostat-guest.qcow2")


def installation(driver: str, port_offset: int) -> Iterator[Installation]:
    cloud = Installation(Path(f"/var/lib/aerostat-test-kill-{driver}"), port_offset, driver)
    cloud.run("reset", "--yes")
    cloud.run("up")
    yield cloud
    cloud.run("reset", "--yes")


@pytest.fixture
def fake() -> Iterator[Installation]:
    yield from installation("fake", 22000)


@pytest.fixture
def real() -> Iterator[Installation]:
    yield from installation("libvirt", 23000)


def patiently(act: Any) -> Any:
    """Return what `act` returns, however often the cloud is away meanwhile."""
    end = time.monotonic() + 60
    while True:
        try:
            return act()
        except ApiError as why:
            if 0 < why.status < 500 or time.monotonic() > end:
                raise
        except (CliError, OSError):
            if time.monotonic() > end:
                raise
        threading.Event().wait(0.05)


def prepare(admin: Cloud, image: bytes, disk_format: str) -> dict[str, Any]:
    """Make an image, a flavor, a network and room in the quota; return the body of a server."""
    project = admin.project_id
    quota = {"quota_set": {"instances": -1, "cores": -1, "ram": -1}}
    admin.call("PUT", "compute", f"/os-quota-sets/{project}", quota)
    body = {"name": "i", "disk_format": disk_format, "container_format": "bare"}
    made = admin.post("image", "/v2/images", body)
    admin.upload("image", f"/v2/images/{made['id']}/file", iter([image]))
    make_room(admin)
    flavor = {"flavor": {"name": "tiny", "ram": 96, "vcpus": 1, "disk": 1}}
    flavor_id = admin.post("compute", "/flavors", flavor)["flavor"]["id"]
    net = admin.post("network", "/v2.0/networks", {"network": {"name": "n"}})["network"]["id"]
    subnet = {"network_id": net, "cidr": "10.77.0.0/24", "ip_version": 4}
    admin.post("network", "/v2.0/subnets", {"subnet": subnet})
    return {
        "name": "victim",
        "imageRef": made["id"],
        "flavorRef": flavor_id,
        "networks": [{"uuid": net}],
    }


def make_room(admin: Cloud) -> None:
    """Let the host take every server at once, however few processors it has."""
    for provider in admin.list("placement", "resource_providers"):
        url = f"/resource_providers/{provider['uuid']}/inventories/VCPU"
        inventory = admin.get("placement", url)
        admin.call("PUT", "placement", url, {**inventory, "allocation_ratio": 64.0})


def come_and_go(admin: Cloud, body: dict[str, Any], seed: int, over: threading.Event) -> None:
    """Make a server, let it be for a random while (less than a build, or more), delete it."""
    choose = random.Random(seed)
    while not over.is_set():
        made = patiently(lambda: admin.post("compute", "/servers", {"server": body}))
        over.wait(choose.uniform(0, 3))
        if choose.random() < 0.2:
            return  # This one stays.
        patiently(lambda: admin.delete("compute", f"/servers/{made['server']['id']}"))  # noqa: B023
        over.wait(choose.uniform(0, 1))


def storm(cloud: Installation, body: dict[str, Any], seed: int) -> None:
    """Let servers come and go while processes are killed, then let all come to rest."""
    choose, over = random.Random(seed), threading.Event()
    threads = [
        threading.Thread(target=come_and_go, args=(cloud.admin(), body, seed + i, over))
        for i in range(SERVERS)
    ]
    for thread in threads:
        thread.start()
    for _ in range(KILLS):
        over.wait(choose.uniform(0.2, 2.0))
        for name in choose.choice((["control"], ["node"], ["control", "node"])):
            cloud.kill(name)
        over.wait(choose.uniform(0, 0.5))
        cloud.run("up")
    over.set()
    for thread in threads:
        thread.join()


def rest(admin: Cloud, timeout_s: float) -> list[dict[str, Any]]:
    """Wait until nothing is under way; return the servers."""
    end = time.monotonic() + timeout_s
    while True:
        servers = admin.list("compute", "servers", "/servers/detail")
        busy = [s for s in servers if s["status"] not in REST or s["OS-EXT-STS:task_state"]]
        if not busy or time.monotonic() > end:
            assert not busy, [(s["id"], s["status"], s["OS-EXT-STS:task_state"]) for s in busy]
            return servers
        threading.Event().wait(0.2)


def check(cloud: Installation, timeout_s: float) -> None:
    admin = cloud.admin()
    servers = rest(admin, timeout_s)
    assert cloud.json("doctor", "--audit")["differences"] == []
    for server in servers:
        admin.delete("compute", f"/servers/{server['id']}")
    end = time.monotonic() + timeout_s
    while admin.list("compute", "servers"):
        assert time.monotonic() < end
        threading.Event().wait(0.2)
    assert cloud.json("doctor", "--audit")["differences"] == []


@pytest.mark.root
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_fake_hosts(fake: Installation, seed: int) -> None:
    body = prepare(fake.admin(), b"\x01" * 4096, "raw")
    storm(fake, body, seed)
    check(fake, 60)


@pytest.mark.root
@pytest.mark.guest
@pytest.mark.timeout(600)
def test_real_guests(real: Installation) -> None:
    body = prepare(real.admin(), GUEST.read_bytes(), "qcow2")
    storm(real, body, 7)
    check(real, 240)
