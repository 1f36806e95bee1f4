"""Sees to it that a libvirtd answers: the system's own, or one that we start beside no systemd."""

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

import libvirt
from msgspec import Struct

from aerostat.kit.errors import Unavailable
from aerostat.kit.log import Logger

log = Logger("nova.libvirtd")
SYSTEM_URI = "qemu:///system"
START_TIMEOUT_S = 60.0
POLL_S = 0.05
KVM_DEVICE = Path("/dev/kvm")
QEMU_USER = "libvirt-qemu"
QEMU_PKI = Path("/etc/pki/libvirt-migrate")
"""Where libvirt has QEMU look for certificates when a guest leaves or comes. Source: qemu.conf."""

CONF = """# Written by aerostat: no polkit; only root may speak to it.
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
max_clients = 1000
"""


class LiveConfig(Struct, frozen=True):
    """How this host is reached for live migrations, with upstream's option names.

    `live_migration_scheme`: tls, tcp (whoever reaches the port may do anything: for closed
    networks), or "" where guests cannot come live. `pki` holds ca.pem, cert.pem, key.pem for tls.
    """

    live_migration_scheme: str = ""
    live_migration_inbound_addr: str = "127.0.0.1"
    pki: Path = Path("/nonexistent")

    @property
    def client_pki(self) -> Path:
        """Where libvirt, as a client of other hosts, looks for its certificates."""
        return self.pki / "libvirt"

    def link_client_pki(self) -> None:
        """Give our certificates the names that libvirt's clients look for."""
        names = {"cacert": "ca", "clientcert": "cert", "clientkey": "key"}
        self.client_pki.mkdir(parents=True, exist_ok=True)
        for theirs, ours in names.items():
            link = self.client_pki / f"{theirs}.pem"
            if not link.is_symlink():
                link.symlink_to(self.pki / f"{ours}.pem")

    def furnish_qemu(self, place: Path = QEMU_PKI) -> None:
        """Give QEMU our certificates for guests under way, unless the operator gave it some."""
        if self.live_migration_scheme != "tls" or (place.exists() and not place.is_symlink()):
            return
        own = self.pki.parent / "qemu-pki"
        own.mkdir(mode=0o755, exist_ok=True)
        group = grp.getgrnam(QEMU_USER).gr_gid
        names = {"ca-cert": "ca", "server-cert": "cert", "client-cert": "cert"}
        for theirs, ours in {**names, "server-key": "key", "client-key": "key"}.items():
            file = own / f"{theirs}.pem"
            file.unlink(missing_ok=True)
            fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            with os.fdopen(fd, "wb") as copy:
                os.fchown(fd, 0, group)
                copy.write((self.pki / f"{ours}.pem").read_bytes())
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_symlink() and place.readlink() != own:
            place.unlink()
        if not place.is_symlink():
            with contextlib.suppress(FileExistsError):  # Hosts of a laboratory share /etc.
                place.symlink_to(own)

    def listening(self) -> str:
        """Return what libvirtd.conf says of sockets that other hosts reach."""
        if not self.live_migration_scheme:
            return ""
        lines = [f'listen_addr = "{self.live_migration_inbound_addr}"']
        if self.live_migration_scheme == "tcp":
            return "\n".join([*lines, "listen_tls = 0", "listen_tcp = 1", 'auth_tcp = "none"', ""])
        files = {"ca_file": "ca", "cert_file": "cert", "key_file": "key"}
        lines += [f'{option} = "{self.pki / name}.pem"' for option, name in files.items()]
        return "\n".join([*lines, "listen_tls = 1", "listen_tcp = 0", 'auth_tls = "none"', ""])


def ensure_libvirtd(state_dir: Path, live: LiveConfig) -> str:
    """Return the URI of a libvirtd that answers, started if need be; blocks, may be repeated.

    virtlogd and libvirtd become daemons of their own: they and the guests outlive this process.
    Raises: Unavailable.
    """
    _open_kvm_device()
    if answers(SYSTEM_URI):
        return SYSTEM_URI
    _check_installed()
    live.furnish_qemu()
    conf = state_dir / "libvirt" / "libvirtd.conf"
    conf.parent.mkdir(parents=True, exist_ok=True)
    # Hosts that were cloned, or share a machine, must not take each other for themselves.
    own_id = f'host_uuid = "{uuid.uuid5(uuid.NAMESPACE_DNS, socket.gethostname())}"\n'
    conf.write_text(CONF + own_id + live.listening())
    began = time.monotonic()
    # Each exits badly when another copy holds its pid file: then that copy will answer.
    _spawn("virtlogd", "-d")
    listen = ["--listen"] if live.live_migration_scheme else []
    output = _spawn("libvirtd", "-d", *listen, "-f", str(conf))
    while not answers(SYSTEM_URI):
        if time.monotonic() - began > START_TIMEOUT_S:
            raise Unavailable("libvirtd does not start.", detail=output)
        time.sleep(POLL_S)
    log.info("libvirtd.started", took_ms=int((time.monotonic() - began) * 1000))
    return SYSTEM_URI


def answers(uri: str) -> bool:
    """Tell whether a libvirtd answers at `uri`."""
    try:
        libvirt.open(uri).close()
    except libvirt.libvirtError:
        return False
    return True


def _open_kvm_device() -> None:
    """Let QEMU's user open /dev/kvm, as udev does where there is one.

    Without it QEMU's user cannot run KVM guests; worse, libvirt then finds its cached
    capabilities outdated at each call and probes QEMU anew for seconds, TCG guests included.
    """
    try:
        found = KVM_DEVICE.stat()
        if _may_open(found):
            return
        if found.st_gid == 0:
            os.chown(KVM_DEVICE, 0, grp.getgrnam("kvm").gr_gid)
            KVM_DEVICE.chmod(0o660)
        else:  # a container's node bears the host's group: it must stay usable out there
            KVM_DEVICE.chmod(0o666)
    except FileNotFoundError:
        return
    except (KeyError, OSError) as why:
        log.warning("kvm_device.closed", reason=str(why))


def _may_open(device: os.stat_result) -> bool:
    groups = os.getgrouplist(QEMU_USER, pwd.getpwnam(QEMU_USER).pw_gid)
    by_group = device.st_gid in groups and device.st_mode & 0o060 == 0o060
    return by_group or device.st_mode & 0o006 == 0o006


def _check_installed() -> None:
    missing = [name for name in ("virtlogd", "libvirtd") if not _program(name)]
    try:
        pwd.getpwnam(QEMU_USER)
    except KeyError:
        missing.append(f"user {QEMU_USER}")
    if missing:
        message = "libvirt is not installed: apt-get install libvirt-daemon-system"
        raise Unavailable(message, detail=f"missing: {missing}")


def _program(name: str) -> str | None:
    return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")


def _spawn(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [_program(name) or name, *arguments],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=START_TIMEOUT_S,
        check=False,
        start_new_session=True,
    )
    return done.stdout.decode(errors="replace")[-1000:]
