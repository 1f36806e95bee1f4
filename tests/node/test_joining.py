"""A host joins with a token: it has credentials for itself alone, takes servers, and leaves."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster import Cluster, running
from tests.comers import Comers

from aerostat.cli.cloud import ApiError

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running(lambda folder: Cluster(folder, "postgresql", copies=1, hosts=1)) as made:
        yield made


class NewHost:
    """A machine that knows nothing but its token; ports and names of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.state, self.name = folder / name, name
        kept = {k: v for k, v in os.environ.items() if not k.startswith("AEROSTAT_")}
        self.environment = {**kept, "AEROSTAT_STATE_DIR": str(self.state)}

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "aerostat.cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def _hosts(cluster: Cluster) -> set[str]:
    found = cluster.admin().get("compute", "/os-services", binary="nova-compute")["services"]
    return {s["host"] for s in found if s["state"] == "up"}


def test_a_host_joins_takes_servers_is_drained_and_leaves(cluster: Cluster) -> None:
    host = NewHost(cluster.folder, "joined-1")
    host.environment["AEROSTAT_METRICS_PORT"] = "8890"
    token = cluster.run("node", "token", host.name, "127.0.0.1").strip()
    assert host.run("node", "join", token[:-40]).returncode != 0
    assert not (host.state / "aerostat.toml").exists()
    done = host.run("node", "join", token)
    try:
        assert done.returncode == 0, done.stderr
        settings = (host.state / "aerostat.toml").read_text()
        assert "database" not in settings
        assert cluster.database.url not in settings
        assert (host.state / "aerostat.toml").stat().st_mode & 0o077 == 0
        assert host.run("node", "join", token).returncode != 0  # It has a cloud already.
        cluster.wait(lambda: host.name in _hosts(cluster))

        admin = cluster.admin()
        comers = Comers(admin)
        body = {**comers.body, "availability_zone": f"nova:{host.name}"}
        made = admin.post("compute", "/servers", {"server": {"name": "s", **body}})["server"]["id"]
        cluster.wait(lambda: _status(cluster, made)[0] != "BUILD")
        assert _status(cluster, made) == ("ACTIVE", host.name)

        cluster.run("node", "remove", host.name, code=1)  # It has a server.
        cluster.run("node", "drain", host.name)
        assert _status(cluster, made) == ("ACTIVE", "node-0.test")
        cluster.run("node", "remove", host.name)
        assert host.name not in _hosts(cluster)
        users = cluster.rabbit.control("list_users", "--formatter", "json")
        assert f"node-{host.name}" not in [u["user"] for u in json.loads(users)]
    finally:
        host.run("down")
    cluster.wait_empty(
        lambda: [] if _gone(cluster, host.name) else [host.name],
        30,
    )


def _status(cluster: Cluster, server_id: str) -> tuple[str, str]:
    server = cluster.admin().get("compute", f"/servers/{server_id}")["server"]
    return server["status"], server["OS-EXT-SRV-ATTR:host"]


def _gone(cluster: Cluster, host: str) -> bool:
    try:
        return host not in _hosts(cluster)
    except ApiError:
        return False
