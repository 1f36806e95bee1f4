"""Finds out whether KVM really runs guests here; the presence of /dev/kvm proves nothing."""

import asyncio
import os
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from aerostat.kit.log import Logger
from aerostat.services.nova.drivers.libvirt.long_mode import (
    DEBUG_EXIT_PORT,
    EXIT_STATUS,
    boot_sector,
)
from aerostat.services.nova.drivers.libvirt.paths import write_whole
from aerostat.services.nova.drivers.process import CommandFailed, run

log = Logger("nova.self_test")
KVM_DEVICE = Path("/dev/kvm")
# Ten times what working hardware needs; a KVM slower than this is worse than TCG.
TEST_TIMEOUT_S = 2.0


class _Verdict(Struct, frozen=True):
    """What was found, and on what: another kernel or QEMU is tested anew."""

    kernel: str
    qemu: str
    virt_type: str


async def choose_virt_type(emulator: str, record: Path) -> str:
    """Return "kvm" or "qemu"; the verdict is kept in the file `record`."""
    qemu = (await run(emulator, "--version")).decode().splitlines()[0]
    kernel = os.uname().release
    try:
        known = msgspec.json.decode(record.read_bytes(), type=_Verdict)
        if (known.kernel, known.qemu) == (kernel, qemu):
            return known.virt_type
    except (OSError, msgspec.DecodeError):
        pass
    works = KVM_DEVICE.exists() and await boots(emulator, "kvm", "host")
    verdict = _Verdict(kernel, qemu, "kvm" if works else "qemu")
    write_whole(record, msgspec.json.encode(verdict))
    log.info("kvm.self_test", virt_type=verdict.virt_type, kernel=kernel, qemu=qemu)
    return verdict.virt_type


async def boots(emulator: str, accelerator: str, cpu: str) -> bool:
    """Tell whether a boot sector reaches 64-bit mode under `accelerator`."""
    with tempfile.NamedTemporaryFile(prefix="aerostat-boot-") as disk:
        await asyncio.to_thread(disk.write, boot_sector())
        disk.flush()
        argv = [emulator, "-accel", accelerator, "-cpu", cpu, "-M", "pc", "-m", "32"]
        argv += ["-nodefaults", "-display", "none", "-no-reboot", "-drive"]
        argv += [f"file={disk.name},format=raw,if=floppy", "-device"]
        argv += [f"isa-debug-exit,iobase={DEBUG_EXIT_PORT},iosize=4"]
        try:
            await run(*argv, timeout_s=TEST_TIMEOUT_S)
        except CommandFailed as why:
            return why.status == EXIT_STATUS
        return False
