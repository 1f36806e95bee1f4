"""The libvirt driver without a hypervisor: headers, the image cache, consoles, domain XML."""

import asyncio
import hashlib
import struct
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import libvirt
import pytest

from aerostat.contracts.network import BoundPort
from aerostat.kit.errors import BadRequest, Conflict, NotFound, Unavailable, Unsupported
from aerostat.services.nova.drivers.image_source import HttpImageSource
from aerostat.services.nova.drivers.libvirt import guest_agent
from aerostat.services.nova.drivers.libvirt.console import CONSOLE_BYTES_MAX, tail
from aerostat.services.nova.drivers.libvirt.disks import Disk, GuestDisks, prepare
from aerostat.services.nova.drivers.libvirt.domain_xml import HostChoice, domain_xml
from aerostat.services.nova.drivers.libvirt.files import is_on_network
from aerostat.services.nova.drivers.libvirt.image_cache import ImageCache
from aerostat.services.nova.drivers.libvirt.inspection import check, qcow2_size
from aerostat.services.nova.drivers.libvirt.long_mode import boot_sector
from aerostat.services.nova.drivers.libvirt.paths import StatePaths
from aerostat.services.nova.drivers.libvirt.self_test import boots
from aerostat.services.nova.model.guest import GuestImage, GuestSpec

EMULATOR = "/usr/bin/qemu-system-x86_64"


def qcow2(*, backing: int = 0, features: int = 0, version: int = 3, encryption: int = 0) -> bytes:
    head = struct.pack(">4sIQIIQI", b"QFI\xfb", version, backing, 0, 16, 5 << 30, encryption)
    return head.ljust(72, b"\0") + struct.pack(">Q", features) + bytes(64)


@pytest.mark.parametrize(
    "head",
    [
        qcow2(backing=512),
        qcow2(features=0b100),
        qcow2(features=1 << 40),
        qcow2(features=0b10),
        qcow2(encryption=1),
        qcow2(version=4),
        b"QFI\xfb",
    ],
)
def test_hostile_qcow2_is_refused(head: bytes) -> None:
    with pytest.raises(BadRequest):
        qcow2_size(head)


def test_honest_qcow2() -> None:
    assert qcow2_size(qcow2()) == 5 << 30
    check(qcow2(), "qcow2")


@pytest.mark.parametrize(
    ("head", "disk_format"),
    [
        (qcow2(), "raw"),
        (b"KDMV".ljust(512, b"\0"), "raw"),
        (b"KDMV".ljust(512, b"\0"), "vmdk"),
        (b"# Disk DescriptorFile\n".ljust(512), "vmdk"),
        (b"vhdxfile".ljust(512, b"\0"), "vdi"),
        (bytes(512), "nonsense"),
    ],
)
def test_data_is_what_it_is_called(head: bytes, disk_format: str) -> None:
    with pytest.raises(BadRequest):
        check(head, disk_format)


class Pieces:
    """An image source of bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self.data, self.downloads = data, 0

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        self.downloads += 1
        for at in range(0, len(self.data), 1000):
            await asyncio.sleep(0)
            yield self.data[at : at + 1000]

    async def close(self) -> None:
        pass


def image(data: bytes, disk_format: str = "raw", digest: str | None = None) -> GuestImage:
    return GuestImage(
        id="image",
        disk_format=disk_format,
        size_bytes=len(data),
        path="p",
        hash_algo="sha512",
        hash_value=digest or hashlib.sha512(data).hexdigest(),
    )


def cache(tmp_path: Path, data: bytes) -> tuple[ImageCache, Pieces]:
    paths, source = StatePaths(tmp_path), Pieces(data)
    paths.base.mkdir(parents=True)
    return ImageCache(paths, source, ThreadPoolExecutor(1)), source


async def test_concurrent_guests_share_a_download(tmp_path: Path) -> None:
    data = b"disk" * 5000
    images, source = cache(tmp_path, data)
    found = await asyncio.gather(*(images.ensure(image(data)) for _ in range(5)))
    assert source.downloads == 1
    name = hashlib.sha1(b"image").hexdigest()
    assert {f.path for f in found} == {tmp_path / "instances" / "_base" / name}
    assert found[0].path.read_bytes() == data


async def test_a_wrong_hash_leaves_nothing(tmp_path: Path) -> None:
    data = b"disk" * 5000
    images, _ = cache(tmp_path, data)
    with pytest.raises(Unavailable):
        await images.ensure(image(data, digest="0" * 128))
    assert list((tmp_path / "instances" / "_base").iterdir()) == []


async def test_a_short_download_leaves_nothing(tmp_path: Path) -> None:
    images, _ = cache(tmp_path, b"short")
    with pytest.raises(Unavailable):
        await images.ensure(image(b"much longer than that"))
    assert list((tmp_path / "instances" / "_base").iterdir()) == []


async def test_an_image_with_a_backing_file_never_reaches_the_cache(tmp_path: Path) -> None:
    data = qcow2(backing=200)
    images, _ = cache(tmp_path, data)
    with pytest.raises(BadRequest):
        await images.ensure(image(data, "qcow2"))
    assert list((tmp_path / "instances" / "_base").iterdir()) == []


async def test_no_path_leaves_the_config_drive(tmp_path: Path) -> None:
    data = bytes(512)
    images, _ = cache(tmp_path, data)
    paths = StatePaths(tmp_path).instance("guest")
    paths.root.mkdir()
    with pytest.raises(BadRequest):
        await prepare(guest(image(data), config_drive={"a/../../../b": b""}), paths, images)


def guest(root: GuestImage | None = None, **changes: object) -> GuestSpec:
    fields: dict[str, object] = {
        "server_id": "11111111-2222-3333-4444-555555555555",
        "name": "<web> & \x01co",
        "instance_name": "instance-00000001",
        "project_id": "p",
        "user_id": "u",
        "flavor_name": "m1.tiny",
        "vcpus": 2,
        "ram_mib": 128,
        "root_gb": 1,
        "image": root,
    }
    return GuestSpec(**(fields | changes))  # type: ignore[arg-type]


def xml(spec: GuestSpec, disks: GuestDisks, choice: HostChoice) -> ElementTree.Element:
    paths = StatePaths(Path("/state"))
    text = domain_xml(spec, paths.instance(spec.server_id), disks, choice, paths.state)
    return ElementTree.fromstring(text)


def test_domain_of_a_guest() -> None:
    port = BoundPort(
        port_id="p",
        network_id="n",
        network_name="net",
        project_id="p",
        mac="fa:16:3e:00:00:01",
        tap="tap1",
        bridge="brq1",
        mtu=1450,
        vif_type="bridge",
    )
    disks = GuestDisks(
        [
            Disk(Path("/d/disk"), "qcow2", "vda"),
            Disk(Path("/d/disk.swap"), "raw", "vdb"),
            Disk(Path("/d/disk.config"), "raw", "sdb", device="cdrom"),
        ]
    )
    domain = xml(guest(ports=[port]), disks, HostChoice())
    assert domain.get("type") == "qemu"
    assert domain.findtext("name") == "instance-00000001"
    assert [t.get("dev") for t in domain.findall("devices/disk/target")] == ["vda", "vdb", "sdc"]
    assert domain.find("devices/disk/boot") is not None
    nic = domain.find("devices/interface")
    assert nic is not None
    found = [nic.find(tag) for tag in ("mac", "source", "target", "mtu")]
    assert [dict(e.attrib) for e in found if e is not None] == [
        {"address": "fa:16:3e:00:00:01"},
        {"bridge": "brq1"},
        {"dev": "tap1"},
        {"size": "1450"},
    ]
    log = domain.find("devices/serial/log")
    assert log is not None
    assert log.get("file") == "/state/instances/11111111-2222-3333-4444-555555555555/console.log"
    assert domain.findtext("features/tcg/tb-cache") == "64"


def test_domain_under_kvm_with_a_kernel() -> None:
    disks = GuestDisks([Disk(Path("/d/disk"), "qcow2", "vda")], Path("/b/k"), Path("/b/r"))
    domain = xml(guest(), disks, HostChoice(virt_type="kvm"))
    assert domain.get("type") == "kvm"
    cpu = domain.find("cpu")
    assert cpu is not None and cpu.get("mode") == "host-passthrough"
    assert (domain.findtext("os/kernel"), domain.findtext("os/initrd")) == ("/b/k", "/b/r")
    assert "console=ttyS0" in (domain.findtext("os/cmdline") or "")


def test_console_tail(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    assert tail(log, None) == ""
    log.write_text("three\nfour\n")
    (tmp_path / "console.log.0").write_text("one\ntwo\n")
    assert tail(log, None) == "one\ntwo\nthree\nfour\n"
    assert tail(log, 3) == "two\nthree\nfour\n"
    assert tail(log, 0) == ""
    log.write_bytes(b"\xff" * (3 * CONSOLE_BYTES_MAX))
    assert len(tail(log, None)) == CONSOLE_BYTES_MAX


async def test_boot_sector_reaches_long_mode() -> None:
    assert len(boot_sector()) == 512
    assert await boots(EMULATOR, "tcg", "Nehalem")


async def test_http_source_streams_and_tells_what_is_gone() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        body = b"data" * 1000
        status = b"200 OK" if b"/v2/there" in request else b"404 Not Found"
        head = b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    source = HttpImageSource(f"http://127.0.0.1:{port}")
    assert b"".join([c async for c in source.stream("/v2/there")]) == b"data" * 1000
    with pytest.raises(NotFound):
        [c async for c in source.stream("/v2/gone")]
    server.close()
    await source.close()
    source = HttpImageSource(f"http://127.0.0.1:{port}")
    with pytest.raises(Unavailable):
        [c async for c in source.stream("/v2/there")]
    await source.close()


def test_hosts_that_share_a_cache_leave_each_others_downloads_alone(tmp_path: Path) -> None:
    paths = StatePaths(tmp_path)
    paths.base.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        one, other = (
            ImageCache(paths, HttpImageSource(""), pool, host) for host in ("one", "other")
        )
        mine, theirs = (cache.half_of(paths.image("x")) for cache in (one, other))
        for part in (mine, theirs):
            part.touch()
        one.clean()
    assert (mine.exists(), theirs.exists()) == (False, True)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/var/lib/aerostat/node/instances", True),
        ("/var/lib/aerostat/node", False),
        ("/var/lib/aerostat/node/instances-2", False),
        ("/mnt/ceph/instances", True),
        ("/tmp", False),
    ],
)
def test_directories_that_other_hosts_see(path: str, expected: bool) -> None:
    mounts = """/dev/vda / ext4 rw 0 0
tmpfs /tmp tmpfs rw 0 0
store:/i /var/lib/aerostat/node/instances nfs4 rw,vers=4.2 0 0
ceph-fuse /mnt/ceph fuse.ceph-fuse rw 0 0
"""
    assert is_on_network(Path(path), mounts) is expected


class Guest:
    """A domain whose agent keeps passwords, or says nothing."""

    def __init__(self, xml: str, silent: bool = False) -> None:
        self.xml, self.silent = xml, silent
        self.passwords: dict[str, str] = {}

    def lookupByUUIDString(self, _uuid: str) -> "Guest":
        return self

    def XMLDesc(self) -> str:
        return self.xml

    def setUserPassword(self, user: str, password: str, _flags: int) -> None:
        if self.silent:
            why = libvirt.libvirtError("no answer")
            why.err = (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, *[None] * 8)
            raise why
        self.passwords[user] = password


def test_passwords_go_through_the_guests_agent() -> None:
    with_agent = guest(image_properties={"hw_qemu_guest_agent": "yes"})
    texts = [
        ElementTree.tostring(xml(spec, GuestDisks([]), HostChoice()), encoding="unicode")
        for spec in (guest(), with_agent)
    ]
    with pytest.raises(Conflict, match="QEMU guest agent is not enabled"):
        guest_agent.set_password(Guest(texts[0]), "", "root", "x")
    found = Guest(texts[1])
    guest_agent.set_password(found, "", "root", "secret")
    assert found.passwords == {"root": "secret"}
    with pytest.raises(Unsupported):
        guest_agent.set_password(Guest(texts[1], silent=True), "", "root", "x")
