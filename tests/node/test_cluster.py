"""Roles in many processes over real servers: whatever is killed, nothing is lost or left behind."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.cluster import Cluster
from tests.comers import Comers

SERVERS = 60
SETTLED = ("ACTIVE", "ERROR")
pytestmark = pytest.mark.timeout(400)


@pytest.fixture(params=["postgresql", "mariadb"])
def cluster(request: Any) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="aerostat-cluster-"))
    folder.chmod(0o755)  # The servers' users have to get through.
    made = Cluster(folder / "c", request.param)
    try:
        made.start()
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


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


@pytest.mark.root
def test_nothing_is_lost_whatever_is_killed(cluster: Cluster) -> None:
    comers = Comers(cluster.admin())
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
