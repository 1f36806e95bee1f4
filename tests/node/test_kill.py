"""kill -9 at random moments while servers come and go: nothing is stuck, nothing is left over."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.installation import Installation
from tests.storm import Storm, check, prepare

SERVERS = 20
KILLS = 6
GUEST = Path("/var/cache/aerostat/guest/aerostat-guest.qcow2")


def installation(driver: str, port_offset: int) -> Iterator[Installation]:
    cloud = Installation(Path(f"/var/lib/aerostat-test-kill-{driver}"), port_offset, driver)
    cloud.run("reset", "--yes")
    cloud.run("up")
    yield cloud
    cloud.run("reset", "--yes")


@pytest.fixture
def fake() -> Iterator[Installation]:
    yield from installation("fake", 19000)


@pytest.fixture
def real() -> Iterator[Installation]:
    yield from installation("libvirt", 19500)


def storm(cloud: Installation, body: dict[str, Any], seed: int) -> None:
    """Let servers come and go while processes are killed, then let all come to rest."""
    choose, over = random.Random(seed), threading.Event()
    servers = Storm(cloud, body, seed)
    servers.start(SERVERS, 1000)
    for _ in range(KILLS):
        over.wait(choose.uniform(0.2, 2.0))
        for name in choose.choice((["control"], ["node"], ["control", "node"])):
            cloud.kill(name)
        over.wait(choose.uniform(0, 0.5))
        cloud.run("up")
    servers.end()


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
