"""Roles in many processes over real servers: whatever is killed, nothing is lost or left behind."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.cluster import Cluster, running
from tests.comers import Comers

from aerostat.cli.cloud import ApiError, Cloud

SERVERS = 60
SETTLED = ("ACTIVE", "ERROR")
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(params=["postgresql", "mariadb"])
def cluster(request: Any) -> Iterator[Cluster]:
    with running(lambda folder: Cluster(folder, request.param)) as made:
        yield made


def _unsettled(cluster: Cluster, comers: Comers) -> list[str]:
    """Return the servers that are still on their way somewhere."""
    return [
        f"{s['id']} {s['status']} {s['OS-EXT-STS:task_state']} {s['OS-EXT-SRV-ATTR:host']}"
        for s in cluster.admin().list("compute", "servers", "/servers/detail")
        if s["id"] in comers.deleted or s["status"] not in SETTLED or s["OS-EXT-STS:task_state"]
    ]


def _differences(cluster: Cluster) -> list[str]:
    found: list[str] = json.loads(cluster.run("doctor", "--audit", "--json", code=None))[
        "differences"
    ]
    return found


def _break(cluster: Cluster, what: str) -> None:
    if what == "rabbitmq":
        cluster.rabbit.sync()
        cluster.rabbit.kill()
        cluster.rabbit.start()
    elif what == "database":
        cluster.database.kill()
        cluster.database.start()
    else:
        cluster.kill(what)
        cluster.spawn(what)


class Strict(threading.Thread):
    """Lists and makes servers all the time (40, or more slowly without end); no call may fail."""

    def __init__(self, comers: Comers, pause_s: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.pause_s = pause_s
        self.comers, self.over = comers, threading.Event()
        self.failures: list[str] = []
        self.made: list[str] = []

    def run(self) -> None:
        cloud = Cloud(self.comers.admin.login)
        body = {"server": {"name": "rolling", **self.comers.body}}
        while not self.over.is_set():
            try:
                cloud.list("compute", "servers", "/servers", limit=1)
                cloud.list("network", "ports", "/v2.0/ports")
                self.over.wait(self.pause_s)
                if self.pause_s or len(self.made) < 40:
                    self.made.append(cloud.post("compute", "/servers", body)["server"]["id"])
            except ApiError as why:
                self.failures.append(str(why))


def _roll(cluster: Cluster, comers: Comers) -> None:
    """Restart every process of the control plane, one after the other, under load."""
    strict = Strict(comers)
    strict.start()
    for name in ("api-0", "api-1", "engine-0", "engine-1"):
        cluster.stop(name)
        cluster.spawn(name)
        cluster.wait(lambda name=name: cluster.healthy(name))  # type: ignore[misc]
    strict.over.set()
    strict.join(60)
    assert not strict.failures, strict.failures
    assert strict.made
    cloud = cluster.admin()
    cluster.wait_empty(lambda: _unsettled(cluster, comers), 120)
    for server in strict.made:
        assert cloud.get("compute", f"/servers/{server}")["server"]["status"] == "ACTIVE"
        cloud.delete("compute", f"/servers/{server}")


@pytest.mark.root
def test_nothing_is_lost_whatever_is_killed(cluster: Cluster) -> None:
    comers = Comers(cluster.admin())
    _roll(cluster, comers)
    with ThreadPoolExecutor(8) as people:
        coming = [people.submit(comers.come, number) for number in range(SERVERS)]
        assert comers.under_way.wait(60)
        for what in ("engine-0", "api-0", "rabbitmq", "node-0", "database", "engine-1"):
            _break(cluster, what)
        for one in coming:
            one.result(120)
    cluster.wait_empty(lambda: _unsettled(cluster, comers), 120)
    cluster.wait(lambda: cluster.hosts_up() == cluster.hosts)
    cluster.wait_empty(lambda: _differences(cluster), 60)
    found = cluster.admin().list("compute", "servers", "/servers/detail")
    errors = [s["fault"]["message"] for s in found if s["status"] == "ERROR"]
    assert len(found) >= SERVERS // 2
    assert not errors, errors
