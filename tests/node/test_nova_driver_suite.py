"""One suite for every compute driver: what nova-compute relies on, whoever runs the guests."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from nova_guests import FileSource, Watcher, guest_image, spec, until

from aerostat.contracts.network import BoundPort
from aerostat.kit.errors import BadRequest, Conflict, NotFound
from aerostat.services.nova.drivers.base import Driver, NodeIdentity
from aerostat.services.nova.drivers.fake import FakeDriver
from aerostat.services.nova.drivers.fake_moves import DISK_BYTES
from aerostat.services.nova.drivers.libvirt.cold_moves import disk_info
from aerostat.services.nova.drivers.libvirt.inspection import qcow2_size
from aerostat.services.nova.model.guest import GuestImage, GuestSpec, PowerState
from aerostat.services.nova.model.moving import LiveTarget

IDENTITY = NodeIdentity(host="node", hypervisor_hostname="node", host_ip="127.0.0.1")
BRIDGE = "brqdrvsuite"
TAP = "tapdrvsuite"
FLAVOR_BYTES = 1 << 30


class Bench:
    """A driver under test and what is around it."""

    def __init__(self, driver: Driver, image: GuestImage | None, state: Path) -> None:
        self.driver, self.image, self.state = driver, image, state
        self.source = FileSource()
        self.watcher = Watcher()
        self.spawned: list[str] = []

    @property
    def real(self) -> bool:
        return self.image is not None

    async def spawn(self, **changes: object) -> GuestSpec:
        wanted = spec(self.image, **changes)
        self.spawned.append(wanted.server_id)
        await self.driver.spawn(wanted)
        return wanted

    async def booted(self, server_id: str) -> None:
        """Return when the guest offers a login and hears the power button."""

        async def is_up() -> bool:
            return "login:" in await self.driver.console_output(server_id, None)

        await until(is_up)

    async def state_of(self, server_id: str) -> PowerState | None:
        found = {g.server_id: g.power_state for g in await self.driver.guests()}
        return found.get(server_id)


@pytest.fixture(
    params=[
        "fake",
        pytest.param("libvirt", marks=[pytest.mark.guest, pytest.mark.root]),
    ]
)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    state = Path(tempfile.mkdtemp(prefix="nova-suite-", dir="/var/tmp"))
    state.chmod(0o755)
    made = Bench(FakeDriver(IDENTITY), None, state)
    if request.param == "libvirt":
        from aerostat.services.nova.drivers.libvirt.driver import LibvirtDriver

        made.image = await asyncio.to_thread(guest_image)
        made.driver = LibvirtDriver(IDENTITY, state, made.source)
    else:
        made.driver = FakeDriver(IDENTITY, images=made.source)
    await made.driver.open(made.watcher.sink)
    yield made
    for server_id in made.spawned:
        await made.driver.destroy(server_id)
    await made.driver.close()
    shutil.rmtree(state)


async def test_whole_life(bench: Bench) -> None:
    driver, saw = bench.driver, bench.watcher.saw
    guest = (await bench.spawn(config_drive=CONFIG_DRIVE)).server_id
    await saw(guest, PowerState.RUNNING)
    await bench.booted(guest)
    assert await bench.state_of(guest) is PowerState.RUNNING
    assert len((await driver.console_output(guest, 1)).splitlines()) == 1
    await _screen_answers(bench, guest)
    used = await driver.diagnostics(guest)
    assert (used.state, len(used.cpu_ns), len(used.disks) > 0) == (PowerState.RUNNING, 1, True)
    assert used.memory_max_mib >= 64
    if bench.real:
        assert used.cpu_ns[0] > 0 and used.memory_used_mib > 0 and used.disks[0].read_bytes > 0

    await driver.pause(guest)
    await driver.pause(guest)
    await saw(guest, PowerState.PAUSED)
    await driver.unpause(guest)
    await driver.unpause(guest)
    await saw(guest, PowerState.RUNNING)

    await driver.suspend(guest)
    await driver.suspend(guest)
    await saw(guest, PowerState.SUSPENDED)
    assert await bench.state_of(guest) is PowerState.SUSPENDED
    await driver.resume(guest)
    await driver.resume(guest)
    await saw(guest, PowerState.RUNNING)

    await driver.reboot(guest, hard=False)
    await saw(guest, PowerState.RUNNING)
    await bench.booted(guest)
    await driver.stop(guest, 30)
    await driver.stop(guest, 30)
    await saw(guest, PowerState.SHUTDOWN)
    if bench.real:
        assert "Power down" in await driver.console_output(guest, None)
    with pytest.raises(Conflict):
        await driver.vnc(guest)
    assert (await driver.diagnostics(guest)).state is PowerState.SHUTDOWN

    await driver.start(guest)
    await driver.start(guest)
    await saw(guest, PowerState.RUNNING)
    await driver.reboot(guest, hard=True)
    await saw(guest, PowerState.RUNNING)
    await driver.stop(guest, 0)
    await saw(guest, PowerState.SHUTDOWN)

    await driver.destroy(guest)
    await driver.destroy(guest)
    assert await bench.state_of(guest) is None
    assert not (bench.state / "instances" / guest).exists()


async def test_metadata_from_config_drive(bench: Bench) -> None:
    if not bench.real:
        pytest.skip("fake guests read nothing")
    guest = (await bench.spawn(config_drive=CONFIG_DRIVE)).server_id

    async def read() -> bool:
        return "user data ran on vm1" in await bench.driver.console_output(guest, None)

    await until(read)
    files = {p.name for p in (bench.state / "instances" / guest).iterdir()}
    assert files == {"disk", "disk.config", "disk.info", "console.log", "libvirt.xml"}


async def test_disks_set_aside_and_taken_over(bench: Bench) -> None:
    """A resize on one host: the new guest has larger disks, the old ones come back on a revert."""
    driver, small = bench.driver, await bench.spawn()
    guest = small.server_id
    await bench.booted(guest)
    await driver.set_aside(guest, 0)
    await driver.set_aside(guest, 0)
    assert await bench.state_of(guest) is PowerState.NOSTATE
    large = msgspec.structs.replace(small, root_gb=2, ephemeral_gb=1)
    for _ in range(2):
        offer = await driver.offer(guest, True)
        await driver.take_over(large, offer, True)
    await driver.withdraw(guest)
    assert await bench.state_of(guest) is PowerState.RUNNING
    await bench.booted(guest)
    disk = bench.state / "instances" / guest / "disk"
    if bench.real:
        assert (await disk_info(disk))["virtual-size"] == 2 << 30
        assert "disk.eph0" in {p.name for p in disk.parent.iterdir()}

    await driver.take_back(guest, True)
    await driver.take_back(guest, True)
    assert await bench.state_of(guest) is PowerState.RUNNING
    if bench.real:
        assert (await disk_info(disk))["virtual-size"] == 1 << 30
        assert not list((bench.state / "instances").glob("*_resize"))

    await driver.set_aside(guest, 0)
    offer = await driver.offer(guest, True)
    await driver.take_over(large, offer, False)
    assert await bench.state_of(guest) is PowerState.SHUTDOWN
    await driver.forget_aside(guest)
    await driver.forget_aside(guest)
    with pytest.raises(NotFound):
        await driver.offer(guest, True)
    assert await bench.state_of(guest) is PowerState.SHUTDOWN


@pytest.mark.parametrize("disk_format", ["qcow2", "raw"])
async def test_snapshots_of_guests_on_and_off(bench: Bench, disk_format: str) -> None:
    driver, guest = bench.driver, (await bench.spawn()).server_id
    await bench.booted(guest)
    image = bench.state / "image"
    for state in (PowerState.RUNNING, PowerState.SHUTDOWN):
        if state is PowerState.SHUTDOWN:
            await driver.stop(guest, 0)
        await driver.snapshot(guest, disk_format, str(image))
        assert await bench.state_of(guest) is state
        found = qcow2_size(image.read_bytes()) if disk_format == "qcow2" else image.stat().st_size
        assert found == (FLAVOR_BYTES if bench.real else DISK_BYTES)
    if bench.real:
        left = {p.name for p in (bench.state / "instances" / guest).iterdir()}
        assert left == {"disk", "disk.info", "console.log", "libvirt.xml"}


async def test_rescue_boots_another_disk(bench: Bench) -> None:
    driver, wanted = bench.driver, await bench.spawn()
    guest = wanted.server_id
    await bench.booted(guest)
    for _ in range(2):
        await driver.rescue(wanted)
        assert await bench.state_of(guest) is PowerState.RUNNING
    rescue = bench.state / "instances" / guest / "disk.rescue"
    assert rescue.exists() is bench.real
    for _ in range(2):
        await driver.unrescue(guest)
        assert await bench.state_of(guest) is PowerState.RUNNING
    assert not rescue.exists()


async def test_interfaces_come_and_go(bench: Bench) -> None:
    driver, guest = bench.driver, (await bench.spawn()).server_id
    await bench.booted(guest)
    port = BoundPort(
        port_id="p",
        network_id="n",
        network_name="net",
        project_id="project",
        mac="fa:16:3e:00:00:02",
        tap=TAP,
        bridge=BRIDGE,
        mtu=1450,
        vif_type="bridge",
    )
    async with _bridge():
        for _ in range(2):
            await driver.attach_interface(guest, port)
        if bench.real:
            assert Path(f"/sys/class/net/{TAP}/master").resolve().name == BRIDGE
        for _ in range(2):
            await driver.detach_interface(guest, port)
        assert not Path(f"/sys/class/net/{TAP}").exists()


async def test_live_migration_needs_a_running_guest(bench: Bench) -> None:
    driver, unknown = bench.driver, "11111111-2222-3333-4444-555555555555"
    target = LiveTarget("qemu+tcp://127.0.0.1:1/system", "tcp://127.0.0.1", "/x", "127.0.0.1")
    with pytest.raises(NotFound):
        await driver.live_migrate(unknown, target, True)
    guest = (await bench.spawn()).server_id
    for call in (driver.live_stats, driver.live_force):
        with pytest.raises(Conflict):
            await call(guest)
    assert await driver.live_abort(guest)
    if bench.real:
        with pytest.raises(Conflict):  # nobody listens there, and the guest goes on
            await driver.live_migrate(guest, target, True)
        assert await bench.state_of(guest) is PowerState.RUNNING


async def test_killed_in_the_middle_of_a_spawn(bench: Bench) -> None:
    if not bench.real:
        pytest.skip("a fake spawn has no middle")
    wanted = spec(bench.image)
    bench.spawned.append(wanted.server_id)
    bench.source.break_next = True
    with pytest.raises(ConnectionResetError):
        await bench.driver.spawn(wanted)
    assert await bench.state_of(wanted.server_id) is PowerState.NOSTATE
    root = bench.state / "instances" / wanted.server_id
    (root / "disk.part").write_bytes(b"half")
    await bench.driver.spawn(wanted)
    await bench.watcher.saw(wanted.server_id, PowerState.RUNNING)

    # dead between defining and starting
    await bench.driver.stop(wanted.server_id, 0)
    (root / "spawning").touch()
    await bench.driver.spawn(wanted)
    assert await bench.state_of(wanted.server_id) is PowerState.RUNNING

    # repeated long after: a guest that its owner stopped stays down
    await bench.driver.stop(wanted.server_id, 0)
    await bench.driver.spawn(wanted)
    assert await bench.state_of(wanted.server_id) is PowerState.SHUTDOWN


async def test_files_without_a_guest_are_destroyed(bench: Bench) -> None:
    if not bench.real:
        pytest.skip("fake guests have no files")
    root = bench.state / "instances" / "11111111-2222-3333-4444-555555555555"
    root.mkdir()
    (root / "disk.part").touch()
    assert await bench.state_of(root.name) is PowerState.NOSTATE
    await bench.driver.destroy(root.name)
    assert not root.exists()


async def test_guests_share_one_download_and_get_their_nic(bench: Bench) -> None:
    if not bench.real:
        pytest.skip("nothing to download")
    async with _bridge():
        port = BoundPort(
            port_id="p",
            network_id="n",
            network_name="net",
            project_id="project",
            mac="fa:16:3e:00:00:01",
            tap=TAP,
            bridge=BRIDGE,
            mtu=1450,
            vif_type="bridge",
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bench.spawn(ram_mib=96, ports=[port]))
            tasks.create_task(bench.spawn(ram_mib=96, ephemeral_gb=1, swap_mib=64))
        assert bench.source.downloads == 1
        assert Path(f"/sys/class/net/{TAP}/master").resolve().name == BRIDGE
        assert Path(f"/sys/class/net/{TAP}/mtu").read_text().strip() == "1450"
        for server_id in bench.spawned:
            await bench.driver.destroy(server_id)
        assert not Path(f"/sys/class/net/{TAP}").exists()


async def test_image_larger_than_the_flavor(bench: Bench, tmp_path: Path) -> None:
    if not bench.real:
        pytest.skip("fake guests have no disk")
    data = tmp_path / "big.qcow2"
    await _command("qemu-img", "create", "-q", "-f", "qcow2", str(data), str(FLAVOR_BYTES + 4096))
    size = data.stat().st_size
    image = GuestImage(id="big", disk_format="qcow2", size_bytes=size, path=str(data))
    wanted = spec(image, root_gb=1)
    bench.spawned.append(wanted.server_id)
    with pytest.raises(BadRequest, match="Flavor's disk is too small"):
        await bench.driver.spawn(wanted)


async def test_unknown_guest(bench: Bench) -> None:
    driver, unknown = bench.driver, "11111111-2222-3333-4444-555555555555"
    for call in (driver.start, driver.pause, driver.unpause, driver.suspend, driver.resume):
        with pytest.raises(NotFound):
            await call(unknown)
    for call in (
        driver.stop(unknown, 1),
        driver.reboot(unknown, hard=False),
        driver.console_output(unknown, None),
        driver.vnc(unknown),
        driver.diagnostics(unknown),
    ):
        with pytest.raises(NotFound):
            await call
    await driver.destroy(unknown)


async def test_facts(bench: Bench) -> None:
    facts = await bench.driver.facts()
    assert facts.vcpus and facts.ram_mib and facts.disk_gb and facts.hypervisor_version
    assert "COMPUTE_NODE" in facts.traits


CONFIG_DRIVE = {
    "openstack/latest/meta_data.json": (
        b'{"uuid": "11111111-2222-3333-4444-555555555555", "hostname": "vm1.novalocal"}'
    ),
    "openstack/latest/user_data": b"#!/bin/sh\necho user data ran on $(hostname)\n",
}


class _bridge:
    async def __aenter__(self) -> None:
        await _ip("link", "add", BRIDGE, "type", "bridge")
        await _ip("link", "set", BRIDGE, "up")

    async def __aexit__(self, *_: object) -> None:
        await _ip("link", "del", BRIDGE)


async def _ip(*arguments: str) -> None:
    await _command("ip", *arguments)


async def _command(*argv: str) -> None:
    child = await asyncio.create_subprocess_exec(*argv)
    assert await child.wait() == 0


async def _screen_answers(bench: Bench, guest: str) -> None:
    address = await bench.driver.vnc(guest)
    if bench.real:
        reader, writer = await asyncio.open_connection(address.host, address.port)
        assert (await reader.readexactly(4)) == b"RFB "
        writer.close()
