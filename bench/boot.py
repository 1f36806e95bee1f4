"""From the API call to a login by ssh, beside plain QEMU booting the same image to a login.

Both sides get the same machine (one vCPU, same memory, same accelerator and CPU model), a fresh
overlay over the same file and the same key; the login is tried alike. Runs alternate; the ratio
is of the medians of one session. Needs a running cloud with real guests (`./aerostat up`).

usage: ./aerostat bench boot [--runs=N]
"""

import argparse
import json
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aerostat.assembly.settings import Settings, load
from aerostat.cli.console import Console
from aerostat.cli.credentials import cloud_of
from aerostat.cli.demo import guest_image, run, server
from aerostat.cli.demo.surroundings import Surroundings
from aerostat.cli.places import GUEST_IMAGE
from aerostat.services.nova.drivers.libvirt.domain_xml import HostChoice

RAM_MIB = 128
TRY_S = 0.25
LIMIT_S = 120.0


def login(address: str, port: int, key: Path) -> None:
    """Return when a command ran in the guest."""
    end = time.monotonic() + LIMIT_S
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    quiet = ["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-p", str(port), "-i", str(key)]
    command = ["ssh", *options, *quiet, f"cirros@{address}", "true"]
    while time.monotonic() < end:
        if answers(address, port) and subprocess.run(command, check=False).returncode == 0:
            return
    raise TimeoutError(f"no login at {address}:{port}")


def answers(address: str, port: int) -> bool:
    """Tell whether an ssh server greets within TRY_S."""
    try:
        with socket.create_connection((address, port), TRY_S) as sock:
            sock.settimeout(TRY_S)
            return sock.recv(4) == b"SSH-"
    except OSError:
        time.sleep(0.02)
        return False


def through_the_api(settings: Settings, around: Surroundings) -> float:
    """Return seconds from POST /servers to the login, and delete the server."""
    demo = cloud_of(settings, "demo")
    began = time.monotonic()
    made = server.create(demo, around)
    server.await_active(demo, made["id"])
    address = server.give_floating_address(demo, made["id"], around.public)
    login(address, 22, around.key_file)
    took = time.monotonic() - began
    demo.delete("compute", f"/servers/{made['id']}")
    for found in demo.list("network", "floatingips", "/v2.0/floatingips"):
        if found["floating_ip_address"] == address:
            demo.delete("network", f"/v2.0/floatingips/{found['id']}")
    return took


@contextmanager
def plain_qemu(folder: Path, image: Path, key: Path, port: int) -> Iterator[None]:
    """Run QEMU by hand on an overlay, with a config drive that holds the key."""
    choice = HostChoice()
    drive = folder / "drive" / "openstack" / "latest"
    drive.mkdir(parents=True, exist_ok=True)
    public = Path(f"{key}.pub").read_text().strip()
    meta = {"uuid": "plain", "hostname": "plain", "name": "plain", "public_keys": {"k": public}}
    (drive / "meta_data.json").write_text(json.dumps(meta))
    iso, overlay = folder / "config.iso", folder / "overlay.qcow2"
    quietly("genisoimage", "-quiet", "-J", "-r", "-V", "config-2", "-o", iso, folder / "drive")
    quietly("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, overlay, "1G")
    nic = f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:22"
    accelerator = f"tcg,thread=multi,tb-size={choice.tb_cache_mib}"
    words = [choice.emulator, "-nodefaults", "-display", "none", "-M", choice.machine]
    words += ["-accel", accelerator, "-cpu", choice.tcg_cpu_model, "-m", str(RAM_MIB)]
    words += ["-drive", f"file={overlay},format=qcow2,if=virtio", "-netdev", nic]
    words += ["-device", "virtio-net-pci,netdev=n0,romfile=", "-device", "virtio-scsi-pci"]
    words += ["-drive", f"file={iso},format=raw,if=none,id=cd,media=cdrom"]
    words += ["-device", "scsi-cd,drive=cd", "-serial", f"file:{folder / 'console.log'}"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def quietly(*words: object) -> None:
    """Run a command that must succeed."""
    subprocess.run([str(w) for w in words], check=True, stdout=subprocess.DEVNULL)


def by_hand(key: Path, image: Path) -> float:
    """Return seconds from starting QEMU (overlay included) to the login."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        began = time.monotonic()
        with plain_qemu(Path(folder), image, key, port):
            login("127.0.0.1", port, key)
            return time.monotonic() - began


def main() -> None:
    """Alternate the two sides and print both medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    settings, console = load(), Console(as_json=False)
    around = run.surround(settings, console)
    image = guest_image.build(GUEST_IMAGE)
    api, plain = [], []
    for _ in range(runs):
        plain.append(by_hand(around.key_file, image))
        api.append(through_the_api(settings, around))
        print(f"plain QEMU {plain[-1]:5.2f} s   API to ssh {api[-1]:5.2f} s", flush=True)
    ratio = statistics.median(api) / statistics.median(plain)
    print(f"median     {statistics.median(plain):5.2f} s   {statistics.median(api):14.2f} s")
    print(f"API to ssh takes {ratio:.2f} times as long as plain QEMU")


if __name__ == "__main__":
    main()
