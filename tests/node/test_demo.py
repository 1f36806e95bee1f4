"""The whole promise: `demo` ends with a login, `down` leaves the guest, nothing is left at last."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.installation import Installation

pytestmark = [pytest.mark.guest, pytest.mark.root, pytest.mark.timeout(600)]

PORT_OFFSET = 20300


@pytest.fixture
def cloud() -> Iterator[Installation]:
    folder = Path("/var/lib/aerostat-test-demo")
    installation = Installation(folder, PORT_OFFSET, "libvirt")
    installation.run("reset", "--yes")
    yield installation
    installation.run("reset", "--yes")


def login_of(said: str) -> list[str]:
    (line,) = {line.strip() for line in said.splitlines() if line.strip().startswith("ssh -i")}
    return line.split()


def guest_answers(login: list[str]) -> bool:
    options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "LogLevel=ERROR"]
    command = [*login[:-1], *options, login[-1], "hostname"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0 and done.stdout.startswith("demo-")


def test_demo(cloud: Installation) -> None:
    said = cloud.run("demo")
    for expected in ("hostname: demo-1", "source: metadata-service", "vnc", "scheduling"):
        assert expected in said, said
    login = login_of(said)
    assert "No differences" in cloud.run("doctor", "--audit")

    cloud.run("down")
    assert guest_answers(login), "a guest goes on without the cloud"
    cloud.run("up")
    assert cloud.json("status")["guests"] == 1
    assert guest_answers(login), "a guest goes on when the cloud comes back"
    assert "No differences" in cloud.run("doctor", "--audit")

    cloud.run("demo", "--clean")
    assert cloud.json("status")["guests"] == 0
    assert "0 guests, 0 guest directories" in cloud.run("doctor", "--audit")
