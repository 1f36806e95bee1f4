"""The commands on a real cloud of two processes, with the fake driver: no root, no guests."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.folders import open_folder

PORT_OFFSET = "20100"


class Installation:
    """A cloud of its own, driven as a user drives it."""

    def __init__(self, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "AEROSTAT_STATE_DIR": str(folder / "state"),
            "AEROSTAT_PORT_OFFSET": PORT_OFFSET,
            "AEROSTAT_COMPUTE_DRIVER": "fake",
            "AEROSTAT_PASSWORD_HASH_ROUNDS": "4",
            "HOME": str(folder),
        }

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "aerostat.cli", *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    def pids(self, code: int = 0) -> dict[str, int]:
        doc = json.loads(self.run("status", "--json", code=code).stdout)
        return {p["name"]: p["pid"] for p in doc["processes"]}


@pytest.fixture
def cloud() -> Iterator[Installation]:
    with open_folder("cli") as folder:
        installation = Installation(folder)
        yield installation
        installation.run("reset", "--yes")


def test_a_day_in_the_life(cloud: Installation) -> None:
    assert cloud.pids(code=3) == {}
    assert "aerostat up" in cloud.run("openrc", code=1).stderr
    took = json.loads(cloud.run("up", "--json").stdout)
    assert 0 < took["first_answer_s"] <= took["healthy_s"] < 20
    first = cloud.pids()
    assert set(first) == {"control", "node"}
    assert "runs already" in cloud.run("up").stdout

    exports = cloud.run("openrc", "demo").stdout
    assert "export OS_USERNAME='demo'" in exports
    assert "export OS_AUTH_URL='http://127.0.0.1:25100/v3'" in exports
    assert "No differences" in cloud.run("doctor", "--audit").stdout
    assert "control.ready" in cloud.run("logs", "control", "-n", "500").stdout

    os.kill(first["control"], signal.SIGKILL)
    assert set(cloud.pids(code=3)) == {"node"}
    cloud.run("up")
    second = cloud.pids()
    assert second["node"] == first["node"]
    assert second["control"] != first["control"]

    cloud.run("down")
    assert cloud.pids(code=3) == {}
    assert cloud.run("openrc", "demo").stdout == exports
    cloud.run("up")
    assert cloud.pids().keys() == first.keys()


def test_a_port_in_use_is_named(cloud: Installation) -> None:
    with socket.create_server(("127.0.0.1", 8774 + int(PORT_OFFSET))):
        said = cloud.run("up", code=1).stderr
    assert "28874" in said
    assert "AEROSTAT_PORT_OFFSET" in said
