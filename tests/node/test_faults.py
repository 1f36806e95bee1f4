"""A hundred servers come and go on real processes while faults strike, one by one and mixed.

Afterwards nothing is stuck, nothing is left over, and every server that was promised is there,
in ERROR with a reason, or was deleted.
"""

import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.installation import Installation
from tests.storm import Storm, check, prepare

FOLDER = Path("/var/lib/aerostat-test-faults")
THREADS, SERVERS_EACH = 10, 10
STRIKES = 4

Fault = Callable[[Installation, random.Random], None]


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Installation]:
    """Three fake hosts; the node's state lies on a small disk of its own."""
    cloud = Installation(FOLDER, 14000, "fake")
    cloud.environment["AEROSTAT_FAKE_HOSTS"] = "3"
    unmount()
    cloud.run("reset", "--yes")
    (FOLDER / "node").mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", "size=4m", "aerostat-test"]
    subprocess.run(["mount", *options, str(FOLDER / "node")], check=True)
    cloud.run("up")
    yield cloud
    cloud.run("down")
    unmount()
    cloud.run("reset", "--yes")


def unmount() -> None:
    while os.path.ismount(FOLDER / "node"):
        subprocess.run(["umount", "-l", str(FOLDER / "node")], check=True)


@pytest.fixture(scope="module")
def body(cloud: Installation) -> dict[str, object]:
    return prepare(cloud.admin(), b"\x01" * 4096, "raw")


def pid_of(cloud: Installation, name: str) -> int:
    return int((cloud.folder / "run" / f"{name}.pid").read_text().split()[0])


def kill_control(cloud: Installation, choose: random.Random) -> None:
    cloud.kill("control")
    wait(choose.uniform(0, 0.5))
    cloud.run("up")


def kill_node(cloud: Installation, choose: random.Random) -> None:
    cloud.kill("node")
    wait(choose.uniform(0, 0.5))
    cloud.run("up")


def kill_both(cloud: Installation, choose: random.Random) -> None:
    cloud.kill("control")
    cloud.kill("node")
    wait(choose.uniform(0, 0.5))
    cloud.run("up")


def fill_disk(cloud: Installation, choose: random.Random) -> None:
    """No room for the journal of the guests: whatever the driver does cannot be written down."""
    filler = cloud.folder / "node" / "filler"
    with filler.open("wb") as file:
        try:
            while file.write(b"\0" * 65536):
                file.flush()
        except OSError:
            pass
    wait(choose.uniform(0.5, 2))
    filler.unlink()


def hang_node(cloud: Installation, choose: random.Random) -> None:
    """The node answers nothing for a while, its driver least of all; then it goes on."""
    pid = pid_of(cloud, "node")
    os.kill(pid, signal.SIGSTOP)
    wait(choose.uniform(0.5, 3))
    os.kill(pid, signal.SIGCONT)


FAULTS: list[Fault] = [kill_control, kill_node, kill_both, fill_disk, hang_node]


def strike(cloud: Installation, body: dict[str, object], faults: list[Fault], seed: int) -> None:
    """Let servers come and go while faults strike; see that all ends well."""
    choose = random.Random(seed)
    storm = Storm(cloud, body, seed)
    storm.start(THREADS, SERVERS_EACH)
    for fault in faults:
        wait(choose.uniform(0.3, 1.5))
        fault(cloud, choose)
    storm.end(at_once=False)
    servers = {s["id"]: s for s in check(cloud, 90)}
    assert len(storm.promised) == THREADS * SERVERS_EACH
    for server_id in storm.promised:
        assert server_id in servers or server_id in storm.deleted, f"{server_id} vanished"
    for server in servers.values():
        assert server["status"] != "ERROR" or server["fault"]["message"], server


@pytest.mark.root
@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_again_and_again(
    cloud: Installation, body: dict[str, object], fault: Fault
) -> None:
    strike(cloud, body, [fault] * STRIKES, seed=1)


@pytest.mark.root
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [2, 3])
def test_faults_mixed(cloud: Installation, body: dict[str, object], seed: int) -> None:
    choose = random.Random(seed)
    faults = FAULTS * 2
    choose.shuffle(faults)
    strike(cloud, body, faults, seed)
