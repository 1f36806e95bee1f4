"""Many servers that come and go on a real installation, and the look at what is left of them."""

import random
import threading
import time
from typing import Any

from aerostat.cli.cloud import ApiError, Cloud
from aerostat.cli.console import CliError
from tests.installation import Installation

REST = {"ACTIVE", "ERROR", "SHUTOFF"}


def patiently(act: Any, timeout_s: float = 60) -> Any:
    """Return what `act` returns, however often the cloud is away meanwhile."""
    end = time.monotonic() + timeout_s
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


class Storm:
    """Threads that make servers and delete most of them; each server that was promised is noted."""

    def __init__(self, cloud: Installation, body: dict[str, Any], seed: int) -> None:
        self._cloud, self._body, self._seed = cloud, body, seed
        self._threads: list[threading.Thread] = []
        self.over = threading.Event()
        self.promised: list[str] = []
        self.deleted: set[str] = set()
        self.broke: list[BaseException] = []

    def start(self, threads: int, servers: int) -> None:
        """Let each thread make `servers` servers, or until `end` if that comes first."""
        for i in range(threads):
            thread = threading.Thread(target=self._run, args=(self._seed + i, servers))
            thread.start()
            self._threads.append(thread)

    def end(self, *, at_once: bool = True) -> None:
        """Wait for the threads. Raises: what one of them did not expect."""
        if at_once:
            self.over.set()
        for thread in self._threads:
            thread.join()
        if self.broke:
            raise self.broke[0]

    def _run(self, seed: int, servers: int) -> None:
        try:
            self._come_and_go(random.Random(seed), servers)
        except BaseException as why:
            self.broke.append(why)

    def _come_and_go(self, choose: random.Random, servers: int) -> None:
        """Make a server, let it be for a random while (less than a build, or more), delete it."""
        admin = self._cloud.admin()
        for _ in range(servers):
            if self.over.is_set():
                return
            made = patiently(lambda: admin.post("compute", "/servers", {"server": self._body}))
            server_id = made["server"]["id"]
            self.promised.append(server_id)
            self.over.wait(choose.uniform(0, 3))
            if choose.random() < 0.8:
                self.deleted.add(server_id)
                patiently(lambda: admin.delete("compute", f"/servers/{server_id}"))  # noqa: B023
            self.over.wait(choose.uniform(0, 1))


def rest(admin: Cloud, timeout_s: float) -> list[dict[str, Any]]:
    """Wait until nothing is under way; return the servers."""
    end = time.monotonic() + timeout_s
    while True:
        servers = patiently(lambda: admin.list("compute", "servers", "/servers/detail"))
        busy = [s for s in servers if s["status"] not in REST or s["OS-EXT-STS:task_state"]]
        if not busy or time.monotonic() > end:
            assert not busy, [(s["id"], s["status"], s["OS-EXT-STS:task_state"]) for s in busy]
            return list(servers)
        threading.Event().wait(0.2)


def check(cloud: Installation, timeout_s: float) -> list[dict[str, Any]]:
    """All comes to rest, and books and machine agree; then all is deleted, and nothing is left."""
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
    return servers
