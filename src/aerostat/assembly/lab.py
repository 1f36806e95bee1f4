"""A laboratory: several hosts on one machine, each in namespaces of its own, joined by a bridge.

A host has its own network, mounts and name: /run, libvirt's directories and <state>/node are
private, so that each runs a libvirtd, agents and guests of its own beside the others. It lives as
long as its holder, a process that does nothing; whatever runs in it is found by its namespaces.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from aerostat.assembly.joining import Authority, write_private
from aerostat.assembly.settings import Settings
from aerostat.kit.errors import BadRequest, Unavailable

BRIDGE = "aerolab0"
SUBNET = "172.31.77"
GATEWAY = f"{SUBNET}.254"
HOSTS_MAX = 200
READY_TIMEOUT_S = 30.0
POLL_S = 0.02
LIBVIRT = ("etc", "var/lib", "var/log", "var/cache")
SCRIPT = """set -e
hostname {name}
mount -t tmpfs -o mode=755 tmpfs /run
for place in {places}; do
    mkdir -p /$place/libvirt
    mount --bind {folder}/$place /$place/libvirt
done
mount --bind {folder}/node {node}
mount --bind {folder}/hosts /etc/hosts
{shared}
ip link set lo up
touch {folder}/ready
exec sleep infinity
"""


class LabHost(Struct, frozen=True):
    """A host of the laboratory. `folder` is where its private directories are kept."""

    number: int
    folder: Path
    node_dir: Path

    @property
    def name(self) -> str:
        return f"lab-{self.number}"

    @property
    def space(self) -> str:
        """Its network namespace."""
        return f"aerolab-{self.number}"

    @property
    def address(self) -> str:
        return f"{SUBNET}.{self.number}"

    @property
    def log(self) -> Path:
        """What its node wrote."""
        return self.folder / "node.log"

    @property
    def holder(self) -> int | None:
        """The process that keeps it alive, None if it is off."""
        file = self.folder / "holder.pid"
        pid = int(file.read_text()) if file.exists() else 0
        return pid if pid and Path(f"/proc/{pid}/ns/net").exists() else None


class Lab:
    """The hosts of one installation."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.state_dir / "lab"

    def host(self, number: int) -> LabHost:
        """Return a host by its number, from 1. Raises: BadRequest."""
        if not 0 < number <= HOSTS_MAX:
            raise BadRequest(f"Hosts have numbers from 1 to {HOSTS_MAX}.", field="host")
        folder = self._folder / f"lab-{number}"
        return LabHost(number, folder, self._settings.node_dir)

    def hosts(self) -> list[LabHost]:
        """Return the hosts that there are, running or not."""
        found = self._folder.glob("lab-*") if self._folder.exists() else []
        return [self.host(n) for n in sorted(int(p.name.removeprefix("lab-")) for p in found)]

    def bridge(self) -> None:
        """Have the bridge that joins the hosts, with the address that the APIs listen on."""
        if not Path(f"/sys/class/net/{BRIDGE}").exists():
            _ip("link", "add", BRIDGE, "type", "bridge")
            _ip("addr", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")

    def boot(self, host: LabHost, *, sharing: int = 0) -> None:
        """Switch a host on; one that is on stays so.

        Hosts with numbers up to `sharing` see one instances directory. Raises: Unavailable.
        """
        if host.holder is not None:
            return
        self._furnish(host)
        _connect(host)
        shared = ""
        if host.number <= sharing:
            common = self._folder / "shared-instances"
            common.mkdir(mode=0o755, exist_ok=True)
            inside = host.node_dir / "instances"
            shared = f"mkdir -p {inside}; mount --bind {common} {inside}"
        script = SCRIPT.format(
            name=host.name,
            places=" ".join(LIBVIRT),
            folder=host.folder,
            node=host.node_dir,
            shared=shared,
        )
        (host.folder / "ready").unlink(missing_ok=True)
        enter = ["ip", "netns", "exec", host.space, "unshare", "--mount", "--uts"]
        with host.log.open("ab") as log:
            child = subprocess.Popen(
                [*enter, "sh", "-c", script],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (host.folder / "holder.pid").write_text(str(child.pid))
        _await((host.folder / "ready").exists, f"{host.name} does not start: see {host.log}")

    def _furnish(self, host: LabHost) -> None:
        for place in LIBVIRT:
            into, origin = host.folder / place, Path("/", place, "libvirt")
            if into.exists():
                continue
            into.parent.mkdir(parents=True, exist_ok=True)
            keep = place in ("etc", "var/cache") and origin.exists()
            if keep:
                shutil.copytree(origin, into, symlinks=True)
            else:
                into.mkdir(mode=0o755)
        (host.folder / "node").mkdir(mode=0o711, exist_ok=True)
        self._certify(host)
        # libvirt asks for its own name again and again while a guest migrates.
        known = [f"{SUBNET}.{n} lab-{n}" for n in range(1, HOSTS_MAX + 1)]
        (host.folder / "hosts").write_text("\n".join(["127.0.0.1 localhost", *known, ""]))

    def _certify(self, host: LabHost) -> None:
        """Have the key pair with which hosts know each other when disks and guests move."""
        pki = host.folder / "node" / "pki"
        if pki.exists():
            return
        authority = Authority(self._folder / "pki")
        pki.mkdir(mode=0o700)
        cert, key = authority.issue(host.name, host.address)
        for name, text in (("ca", authority.certificate), ("cert", cert), ("key", key)):
            write_private(pki / f"{name}.pem", text)

    def start_node(self, host: LabHost) -> None:
        """Start the agents of a host that is on; they outlive this process."""
        environment = {
            **os.environ,
            "AEROSTAT_HOST": host.name,
            "AEROSTAT_MY_IP": host.address,
        }
        own = [sys.executable, "-m", "aerostat.cli", "--state-dir", str(self._settings.state_dir)]
        with host.log.open("ab") as log:
            child = subprocess.Popen(
                [*entering(host), *own, "run", "node"],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (host.folder / "node.pid").write_text(str(child.pid))

    def kill(self, host: LabHost) -> int:
        """Let a host lose its power: kill -9 everything in it; return how much that was."""
        if host.holder is None:
            _unplug(host)
            return 0
        spaces = {os.readlink(f"/proc/{host.holder}/ns/{kind}") for kind in ("net", "mnt")}
        count = 0
        while found := _inside(spaces):
            for pid in found:
                _kill(pid)
            count += len(found)
            time.sleep(POLL_S)
        _unplug(host)
        (host.folder / "holder.pid").unlink(missing_ok=True)
        return count

    def remove(self) -> None:
        """Switch every host off and forget what it had."""
        for host in self.hosts():
            self.kill(host)
        if self._folder.exists():
            shutil.rmtree(self._folder)
        if Path(f"/sys/class/net/{BRIDGE}").exists():
            _ip("link", "del", BRIDGE)


def entering(host: LabHost) -> list[str]:
    """Return the beginning of a command that runs inside a host. Raises: Unavailable."""
    if host.holder is None:
        raise Unavailable(f"{host.name} is off.")
    return ["nsenter", "-t", str(host.holder), "--mount", "--uts", "--net", "--"]


def _connect(host: LabHost) -> None:
    """Make the host's network namespace, with eth0 on the bridge."""
    outer = _cable(host)
    _unplug(host)
    _ip("netns", "add", host.space)
    _ip("link", "add", outer, "type", "veth", "peer", "name", "eth0", "netns", host.space)
    _ip("link", "set", outer, "master", BRIDGE, "up")
    for words in (
        ("addr", "add", f"{host.address}/24", "dev", "eth0"),
        ("link", "set", "eth0", "up"),
        ("route", "add", "default", "via", GATEWAY),
    ):
        _ip("-n", host.space, *words)


def _cable(host: LabHost) -> str:
    return f"aerolab-v{host.number}"


def _unplug(host: LabHost) -> None:
    """Remove the host's network; the cable too, for a namespace takes its time about that."""
    for words in (("link", "del", _cable(host)), ("netns", "del", host.space)):
        subprocess.run(["ip", *words], capture_output=True, check=False)


def _inside(spaces: set[str]) -> list[int]:
    """Return the processes that are in one of these namespaces."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            theirs = {os.readlink(entry / "ns" / kind) for kind in ("net", "mnt")}
        except OSError:
            continue  # it has ended
        if theirs & spaces:
            found.append(int(entry.name))
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return  # somebody else's child


def _await(done: Callable[[], bool], complaint: str) -> None:
    end = time.monotonic() + READY_TIMEOUT_S
    while not done():
        if time.monotonic() > end:
            raise Unavailable(complaint)
        time.sleep(POLL_S)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unavailable(f"ip {' '.join(words)}: {done.stderr.strip()}")
