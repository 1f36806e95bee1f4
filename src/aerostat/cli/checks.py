"""What a machine needs to be a cloud, checked one by one."""

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from aerostat.assembly.settings import Settings
from aerostat.cli import health, processes

OK, WARN, FAIL = "ok", "warn", "FAIL"
PROGRAMS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "virsh": "libvirt-clients",
    "libvirtd": "libvirt-daemon",
    "virtlogd": "libvirt-daemon",
    "dnsmasq": "dnsmasq-base",
    "nft": "nftables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "genisoimage": "genisoimage",
    "ssh": "openssh-client",
}
SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DISK_GB_MIN = 5
MEMORY_MIB_MIN = 1024
OPEN_FILES_MIN = 4096


class Check(Struct, frozen=True):
    """What was checked, what came out, and what to do about it."""

    name: str
    verdict: str
    text: str
    advice: str = ""


def every(settings: Settings) -> list[Check]:
    """Return all checks of this machine for these settings."""
    parts: list[Callable[[Settings], Check]] = [
        _system, _root, _programs, _user, _reachable, _virtualisation, _kernel, _forwarding,
        _disk, _memory, _ports, _libvirt, _console_page,
    ]  # fmt: skip
    return [part(settings) for part in parts]


def _system(settings: Settings) -> Check:
    name = "operating system"
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        text = ""
    known = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    pretty = known.get("PRETTY_NAME", "unknown").strip('"')
    good = known.get("ID") == "debian" and known.get("VERSION_ID") == '"12"'
    return Check(name, OK if good else WARN, pretty, "developed and tested on Debian 12 only")


def _root(settings: Settings) -> Check:
    root = os.geteuid() == 0
    return Check("privileges", OK if root else WARN, f"uid {os.geteuid()}", "up needs root")


def _programs(settings: Settings) -> Check:
    missing = {p for name, p in PROGRAMS.items() if not shutil.which(name, path=SEARCHED)}
    if not missing:
        return Check("programs", OK, f"all {len(PROGRAMS)} are installed")
    advice = f"apt-get install --no-install-recommends {' '.join(sorted(missing))}"
    return Check("programs", FAIL, f"missing: {', '.join(sorted(missing))}", advice)


def _user(settings: Settings) -> Check:
    name = settings.service_user
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        advice = f"useradd --system --user-group {name}"
        return Check("service user", FAIL, f"{name} does not exist", advice)
    verdict = OK if account.pw_uid else FAIL
    return Check("service user", verdict, f"{name} (uid {account.pw_uid})", "choose another one")


def _reachable(settings: Settings) -> Check:
    folders = [p for p in settings.state_dir.resolve().parents if p.exists()]
    closed = [str(p) for p in folders if not p.stat().st_mode & 0o001]
    if closed:
        advice = f"chmod o+x {' '.join(closed)}, or another --state-dir"
        return Check("state directory", FAIL, f"QEMU cannot pass {', '.join(closed)}", advice)
    return Check("state directory", OK, str(settings.state_dir))


def _virtualisation(settings: Settings) -> Check:
    name, device = "virtualisation", Path("/dev/kvm")
    record = settings.node_dir / "kvm-self-test.json"
    if record.exists():
        verdict = json.loads(record.read_text())
        if verdict["virt_type"] == "kvm":
            return Check(name, OK, "KVM runs guests (self-test)")
        why = "present, but runs no guest" if device.exists() else "absent"
        return Check(name, WARN, f"/dev/kvm is {why}: TCG", "guests run, several times slower")
    there = device.exists()
    text = "/dev/kvm is there; the first start tests it" if there else "no /dev/kvm: TCG"
    return Check(name, OK if there else WARN, text, "guests run, several times slower")


def _kernel(settings: Settings) -> Check:
    """Try in a namespace of its own what the networks are made of."""
    if os.geteuid() != 0:
        return Check("kernel", WARN, "only root can try its devices", "sudo ./aerostat doctor")
    tries = {
        "bridge": "ip link add br0 type bridge",
        "veth": "ip link add v0 type veth peer name v1",
        "tap": "ip tuntap add t0 mode tap",
        "vxlan": "ip link add x0 type vxlan id 1 dstport 4789 local 127.0.0.1",
        "nft": "nft add table inet t && nft add chain inet t c"
        " '{ type nat hook output priority 0; }'",
        "nft bridge": "nft add table bridge t && nft add chain bridge t c"
        " '{ type filter hook forward priority -10; }'",
        "br_netfilter": "test -e /proc/sys/net/bridge || modprobe br_netfilter",
    }
    script = "; ".join(f"({command}) >/dev/null 2>&1 || echo {n}" for n, command in tries.items())
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    if done.returncode:
        return Check("kernel", FAIL, f"no network namespaces: {done.stderr.strip()}",
                     "run on a machine or VM, or give the container CAP_SYS_ADMIN")  # fmt: skip
    missing = done.stdout.split("\n")[:-1]
    if missing:
        advice = "load the modules, or use a kernel that has them (Debian's linux-image-amd64)"
        return Check("kernel", FAIL, f"does not know: {', '.join(missing)}", advice)
    return Check("kernel", OK, f"{os.uname().release}: {', '.join(tries)}")


def _forwarding(settings: Settings) -> Check:
    value = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()
    text = "on" if value == "1" else "off; the node turns it on with the first external network"
    return Check("IP forwarding", OK, text)


def _disk(settings: Settings) -> Check:
    where = settings.state_dir
    while not where.exists():
        where = where.parent
    free_gb = shutil.disk_usage(where).free // 10**9
    verdict = OK if free_gb >= DISK_GB_MIN else WARN
    advice = f"make room, {DISK_GB_MIN} GB at least, or use another --state-dir"
    return Check("disk", verdict, f"{free_gb} GB free at {where}", advice)


def _memory(settings: Settings) -> Check:
    lines = Path("/proc/meminfo").read_text().splitlines()
    kib = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    verdict = OK if kib // 1024 >= MEMORY_MIB_MIN else WARN
    return Check("memory", verdict, f"{kib // 1024} MiB available", "a small guest takes 250 MiB")


def _ports(settings: Settings) -> Check:
    if any(p.name == "control" for p in processes.running(settings)):
        bad = [s.name for s in health.services(settings) if not s.healthy]
        advice = "./aerostat logs control"
        text = f"no answer from {', '.join(bad)}" if bad else "every API answers"
        return Check("ports", FAIL if bad else OK, text, advice)
    taken = health.taken(settings)
    advice = "ss -tnap shows who; stop it or set AEROSTAT_PORT_OFFSET=10000"
    text = f"in use: {', '.join(map(str, taken))}" if taken else "all are free"
    return Check("ports", FAIL if taken else OK, text, advice)


def _libvirt(settings: Settings) -> Check:
    if settings.compute_driver == "fake":
        return Check("libvirt", OK, "not needed by the fake driver")
    done = subprocess.run(
        ["virsh", "-c", "qemu:///system", "version", "--daemon"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    if done.returncode:
        return Check("libvirt", OK, "does not run; the node starts it")
    return Check("libvirt", OK, done.stdout.strip().splitlines()[-1])


def _console_page(settings: Settings) -> Check:
    there = Path("/usr/share/novnc/vnc_lite.html").exists()
    text = "noVNC is installed" if there else "noVNC is not installed"
    return Check("console page", OK if there else WARN, text, "apt-get install novnc")
