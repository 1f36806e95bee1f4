"""A laboratory of several hosts with real guests, driven as a user drives it."""

import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from aerostat.assembly.estate import Estate
from aerostat.assembly.lab import GATEWAY, Lab, entering
from aerostat.assembly.settings import load
from aerostat.cli import audit
from aerostat.cli.cloud import ApiError, Cloud
from aerostat.cli.console import Console
from aerostat.cli.credentials import cloud_of
from aerostat.cli.demo import guest_image, names, surroundings
from aerostat.cli.places import GUEST_IMAGE

QUIET = ("-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=3")
STRANGERS = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
PING_S = 0.05
LOOK = """
import asyncio, pathlib, sys, msgspec
from aerostat.assembly import estate, settings
found = asyncio.run(estate.look(settings.load(pathlib.Path(sys.argv[1]))))
print(msgspec.json.encode(found).decode())
"""


class Laboratory:
    """The hosts, and what servers in them need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        os.environ["AEROSTAT_STATE_DIR"] = str(folder)

    def run(self, *words: str) -> str:
        """Run `aerostat lab ...`; return what it printed."""
        command = [sys.executable, "-m", "aerostat.cli", "--state-dir", str(self.folder), "lab"]
        done = subprocess.run(
            [*command, *words], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self, hosts: int, share: int = 0) -> None:
        """Start the laboratory, and have everything that servers need."""
        self.run("up", str(hosts), "--share", str(share))
        self.settings = load(self.folder)
        assert self.settings.listen == GATEWAY
        self.lab = Lab(self.settings)
        self.admin: Cloud = cloud_of(self.settings, "admin")
        self.image = guest_image.ensure(self.admin, Console(as_json=True), GUEST_IMAGE)["id"]
        self.flavor = surroundings.ensure_flavor(self.admin)
        self.key_file = surroundings.ensure_key(self.admin, self.folder / "key")
        self.group = surroundings.ensure_group(self.admin)
        found = self.admin.list("network", "networks", "/v2.0/networks", name="lab")
        self.network = found[0]["id"] if found else self._network()

    def _network(self) -> str:
        body = {"network": {"name": "lab"}}
        network = self.admin.post("network", "/v2.0/networks", body)["network"]
        subnet = {"network_id": network["id"], "cidr": "10.88.0.0/24", "ip_version": 4}
        self.admin.post("network", "/v2.0/subnets", {"subnet": {**subnet, "gateway_ip": None}})
        # The first port says who serves DHCP: a host that no test switches off.
        anchor = {"network_id": network["id"], "binding:host_id": "lab-2"}
        self.admin.post("network", "/v2.0/ports", {"port": anchor})
        return str(network["id"])

    def number(self, host: str) -> int:
        return int(host.removeprefix("lab-"))

    def inside(self, host: str, *words: str) -> str:
        """Run a command in a host; return what it printed."""
        command = [*entering(self.lab.host(self.number(host))), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout

    def pids(self, host: str, *words: str) -> list[int]:
        """Return the processes of a host with all of these words in their command lines."""
        space = self.lab.host(self.number(host)).space
        said = subprocess.run(
            ["ip", "netns", "pids", space], capture_output=True, text=True, check=True
        ).stdout
        return [pid for pid in map(int, said.split()) if all(w in _command(pid) for w in words)]

    def cut(self, host: str) -> None:
        """Pull the network cable of a host."""
        self._cable(host, "down")

    def mend(self, host: str) -> None:
        """Put the network cable of a host back."""
        self._cable(host, "up")

    def _cable(self, host: str, state: str) -> None:
        name = f"aerolab-v{self.number(host)}"
        subprocess.run(["ip", "link", "set", name, state], check=True)

    def differences(self) -> list[str]:
        """Return what is different between the books and all hosts together."""
        found = [msgspec.json.decode(self._estate(h.name), type=Estate) for h in self.lab.hosts()]
        guests = [guest for one in found for guest in one.guests]
        twice = [
            f"guest {guest} is on two hosts" for guest in set(guests) if guests.count(guest) > 1
        ]
        machine = Estate(
            {guest: power for one in found for guest, power in one.guests.items()},
            *(
                sorted({name for one in found for name in getattr(one, kind)})
                for kind in ("directories", "namespaces", "devices")
            ),
        )
        return twice + audit.differences(audit.read_books(self.admin), machine, local_network=True)

    def _estate(self, host: str) -> str:
        return self.inside(host, sys.executable, "-c", LOOK, str(self.folder))

    def create(self, name: str, host: str, **more: Any) -> "Guest":
        """Ask for a server on a host."""
        body = {
            "name": name,
            "imageRef": self.image,
            "flavorRef": self.flavor,
            "key_name": names.KEY,
            "networks": [{"uuid": self.network}],
            "security_groups": [{"name": self.group}],
            "availability_zone": f"nova:{host}",
            **more,
        }
        made = self.admin.post("compute", "/servers", {"server": body})["server"]
        return Guest(self, str(made["id"]))

    def at_network(self) -> list[str]:
        """Return the beginning of a command that runs beside the network's DHCP server."""
        ports = self.admin.list(
            "network", "ports", "/v2.0/ports", network_id=self.network, device_owner="network:dhcp"
        )
        host = self.lab.host(int(ports[0]["binding:host_id"].removeprefix("lab-")))
        return [*entering(host), "ip", "netns", "exec", f"qdhcp-{self.network}"]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


class Guest:
    """A server in the laboratory."""

    def __init__(self, lab: Laboratory, server_id: str) -> None:
        self.lab, self.id = lab, server_id

    def show(self) -> Any:
        return self.lab.admin.get("compute", f"/servers/{self.id}")["server"]

    @property
    def host(self) -> str:
        return str(self.show()["OS-EXT-SRV-ATTR:host"])

    @property
    def address(self) -> str:
        return str(self.show()["addresses"]["lab"][0]["addr"])

    def act(self, action: dict[str, Any]) -> None:
        self.lab.admin.post("compute", f"/servers/{self.id}/action", action)

    def becomes(self, status: str, timeout_s: float = 120) -> Any:
        """Return the server once it has a status and nothing is done to it any more."""

        def settled() -> Any:
            server = self.show()
            idle = server["OS-EXT-STS:task_state"] is None
            assert not idle or server["status"] != "ERROR" or status == "ERROR", server["fault"]
            return server if idle and server["status"] == status else None

        return eventually(settled, timeout_s, lambda: f"{status}: {self.show()}")

    def answers(self, timeout_s: float = 90) -> None:
        """Return once the guest answers a ping."""
        ping = [*self.lab.at_network(), "ping", "-c1", "-W1", self.address]
        eventually(lambda: quiet(ping), timeout_s, lambda: f"{ping}\n{self.console()}")

    def ssh(self, *words: str, timeout_s: float = 150) -> str:
        """Run a command in the guest, once it lets us in."""
        login = ["ssh", "-i", str(self.lab.key_file), *STRANGERS, *QUIET, f"cirros@{self.address}"]
        command = [*self.lab.at_network(), *login, *words]
        said: list[str] = []

        def once() -> Any:
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            said[:] = [done.stderr]
            return done.stdout + "\n" if done.returncode == 0 else None

        return str(eventually(once, timeout_s, lambda: f"{said}\n{self.console()}")).strip()

    def console(self) -> str:
        try:
            body = {"os-getConsoleOutput": {"length": 30}}
            path = f"/servers/{self.id}/action"
            return str(self.lab.admin.post("compute", path, body)["output"])
        except ApiError as why:
            return str(why)

    def delete(self) -> None:
        self.lab.admin.delete("compute", f"/servers/{self.id}")
        eventually(lambda: not self._there(), 60, lambda: str(self.show()))

    def _there(self) -> bool:
        try:
            self.show()
        except ApiError as why:
            return why.status != 404
        return True

    def migrations(self) -> Any:
        return self.lab.admin.get("compute", f"/os-migrations?instance_uuid={self.id}")[
            "migrations"
        ]


class Pinging:
    """Pings a guest all the while; `lost` and `gap_ms` tell what it missed."""

    def __init__(self, guest: Guest) -> None:
        self._command = [*guest.lab.at_network(), "ping", "-D", "-i", str(PING_S), guest.address]

    def __enter__(self) -> "Pinging":
        self._child = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(20 * PING_S)  # what is under way may still arrive
        self._child.terminate()
        out, _ = self._child.communicate(timeout=10)
        times = [float(t) for t in re.findall(r"^\[([\d.]+)\] .*icmp_seq=", out, re.M)]
        seen = [int(n) for n in re.findall(r"icmp_seq=(\d+) ", out)]
        self.answers = len(seen)
        self.lost = (max(seen) - min(seen) + 1 - len(set(seen))) if seen else -1
        gaps = [b - a for a, b in itertools.pairwise(times)]
        self.gap_ms = int(1000 * max(gaps, default=0.0))


def quiet(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0


def eventually(ask: Callable[[], Any], timeout_s: float, complaint: Callable[[], str]) -> Any:
    """Return what `ask` returns once that is true."""
    end = time.monotonic() + timeout_s
    while not (found := ask()):
        assert time.monotonic() < end, complaint()
        time.sleep(0.05)
    return found


@contextmanager
def passing(lab: Laboratory, within_s: float) -> Iterator[list[Guest]]:
    """What a test makes; all of it goes at its end, and nothing is left."""
    made: list[Guest] = []
    yield made
    for guest in made:
        guest.delete()
    agree(lab, within_s)


def agree(lab: Laboratory, within_s: float) -> None:
    """Wait until the books and the hosts say the same."""
    eventually(lambda: not lab.differences(), within_s, lambda: str(lab.differences()))


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Let processes hang."""
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):  # It may have been killed meanwhile.
                os.kill(pid, signal.SIGCONT)
