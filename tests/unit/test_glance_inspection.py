"""The inspection of image files, by the process that does it for real, and tickets."""

import subprocess
import sys
from pathlib import Path

import glance_disks as disks
import pytest

from aerostat.services.glance.inspector import SCRIPT, Inspector, UnacceptableImage
from aerostat.services.glance.tickets import Tickets


@pytest.mark.parametrize(
    ("data", "name", "size"),
    [
        (b"plain", "raw", 5),
        (disks.qcow2(), "qcow2", 1 << 30),
        (disks.qcow2(version=2), "qcow2", 1 << 30),
        (disks.vmdk(), "vmdk", 2048 * 512),
        (disks.vmdk(b"streamOptimized"), "vmdk", 2048 * 512),
        (disks.vhd(), "vhd", 1 << 20),
        (disks.vdi(), "vdi", 1 << 20),
        (disks.iso(), "iso", len(disks.iso())),
    ],
)
async def test_honest(tmp_path: Path, data: bytes, name: str, size: int) -> None:
    file = tmp_path / "image"
    file.write_bytes(data)
    found = await Inspector(10, 256).inspect(file)
    assert (found.disk_format, found.virtual_size) == (name, size)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (disks.qcow2(backing=512), "backing file"),
        (disks.qcow2(features=4), "external data file"),
        (disks.qcow2(extension=0x44415441), "external data file"),
        (disks.qcow2(features=1 << 40), "unknown"),
        (disks.qcow2(features=2), "corrupt"),
        (disks.qcow2(version=9), "version"),
        (disks.qcow2(size=1 << 63), "size"),
        (b"QFI\xfb", "cut off"),
        (b"QED\0" + bytes(200), "QED"),
        (disks.vmdk(b"monolithicFlat", b'RW 2048 FLAT "/etc/passwd" 0'), "not allowed"),
        (disks.vmdk(extents=b'RW 2048 FLAT "/etc/passwd" 0'), "other files"),
        (disks.vmdk(extents=b'RW 2048 SPARSE "/etc/shadow"'), "other files"),
        (disks.vmdk(extents=disks.SPARSE + b"\n" + disks.SPARSE), "several files"),
        (disks.vmdk(parent=b"12345678"), "parent"),
        (disks.vmdk(extents=disks.SPARSE + b'\nparentFileNameHint="/x"'), "parent"),
        (disks.DESCRIPTOR % (b"ffffffff", b"monolithicSparse", disks.SPARSE), "descriptor"),
        (b"KDMV" + b"\xff" * 300, "VMDK"),
        (b"KDMV", "cut off"),
        (disks.vhd(kind=4), "another one"),
        (disks.vdi(kind=4), "another one"),
        (b"vhdxfile" + bytes(1 << 20), "VHDX"),
        (disks.qcow2() + disks.iso()[len(disks.qcow2()) :], "several formats"),
    ],
)
async def test_hostile(tmp_path: Path, data: bytes, why: str) -> None:
    file = tmp_path / "image"
    file.write_bytes(data)
    with pytest.raises(UnacceptableImage, match=why):
        await Inspector(10, 256).inspect(file)


async def test_an_inspection_that_dies_refuses(tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(b"x")
    with pytest.raises(UnacceptableImage):
        await Inspector(10, 1).inspect(file)
    with pytest.raises(UnacceptableImage):
        await Inspector(0, 256).inspect(file)


def test_the_child_is_light_and_limited(tmp_path: Path) -> None:
    code = (
        "import sys, runpy; "
        f"m = runpy.run_path({str(SCRIPT)!r}); "
        "print([n for n in sys.modules if n in ('aerostat', 'asyncio', 'socket', 'json')])"
    )
    out = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, check=True, text=True
    )
    assert out.stdout.strip() == "[]"


def test_tickets(tmp_path: Path) -> None:
    tickets = Tickets(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    ticket = tickets.issue("one", 1000)
    assert tickets.opens(ticket, "one", 999)
    assert Tickets(tmp_path / "key").opens(ticket, "one", 999)
    assert not tickets.opens(ticket, "one", 1000)
    assert not tickets.opens(ticket, "two", 999)
    assert not tickets.opens("2000" + ticket[4:], "one", 999)
    for bad in ("", ".", "1000.", "1000", "x." + ticket, "²." + ticket, "9" * 20 + ".x"):
        assert not tickets.opens(bad, "one", 999)
    assert not Tickets(tmp_path / "other").opens(ticket, "one", 999)
