"""What an installation has on this machine, looked at and removed without its processes.

For `doctor --audit`, which must not believe what the agents say, and for `reset`.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct

from aerostat.assembly.settings import Settings
from aerostat.kit.errors import Unavailable
from aerostat.services.nova.drivers.base import NodeIdentity
from aerostat.services.nova.drivers.fake import FakeDriver
from aerostat.services.nova.drivers.threads import Threads


class Estate(Struct, frozen=True):
    """Guests with their power states, guests' directories, namespaces, and network devices."""

    guests: dict[str, str]
    directories: list[str] = []
    namespaces: list[str] = []
    devices: list[str] = []


async def look(settings: Settings) -> Estate:
    """Return what is there. Raises: Unavailable (libvirtd does not answer)."""
    if settings.compute_driver == "fake":
        return Estate(await _fake_guests(settings))
    instances = settings.node_dir / "instances"
    directories = [p.name for p in instances.iterdir()] if instances.exists() else []
    try:
        async with asyncio.timeout(settings.hypervisor_silence_s):
            guests = await Threads("libvirt", 1).run(_libvirt_guests, settings)
    except TimeoutError as why:
        raise Unavailable("libvirtd does not answer.") from why
    found = Estate(guests, sorted(set(directories) - {"_base"}))
    for folder in _network_folders(settings):
        found.namespaces.extend(_namespaces(folder))
        found.devices.extend(await asyncio.to_thread(_devices, folder))
    return found


def tear_down(settings: Settings, tell: Callable[[str], None]) -> None:
    """Destroy every guest and remove every network device and namespace; files stay."""
    if settings.compute_driver == "fake":
        return
    guests = _libvirt_guests(settings)
    if guests:
        from aerostat.services.nova.drivers.libvirt import domains

        connection = _libvirt()
        for server_id in guests:
            domains.remove(connection, server_id)
            tell(f"guest {server_id}")
    for folder in _network_folders(settings):
        for change in _dataplane(folder).purge():
            tell(change)


def remove_files(settings: Settings) -> None:
    """Remove everything below the state directory."""
    if settings.state_dir.exists():
        for path in settings.state_dir.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


async def _fake_guests(settings: Settings) -> dict[str, str]:
    guests: dict[str, str] = {}
    for journal in settings.node_dir.glob("fake-*.json"):
        driver = FakeDriver(NodeIdentity("", "", ""), journal=journal)
        await driver.open(lambda server_id, state: None)
        guests |= {server_id: state.name for server_id, state in driver.states.items()}
        await driver.close()
    return guests


def _libvirt_guests(settings: Settings) -> dict[str, str]:
    from aerostat.services.nova.drivers.libvirt import daemon, domains

    if not daemon.answers(daemon.SYSTEM_URI):
        return {}
    found = domains.ours(_libvirt(), settings.node_dir)
    return {guest.server_id: guest.power_state.name for guest in found}


def _libvirt() -> Any:
    import libvirt

    from aerostat.services.nova.drivers.libvirt import daemon

    return libvirt.open(daemon.SYSTEM_URI)


def _network_folders(settings: Settings) -> list[Path]:
    folder = settings.node_dir / "neutron"
    return sorted(folder.iterdir()) if folder.exists() else []


def _dataplane(folder: Path) -> Any:
    from aerostat.services.neutron.config import NetworkAgentConfig
    from aerostat.services.neutron.drivers.linuxbridge.driver import LinuxBridge

    return LinuxBridge(NetworkAgentConfig(state_dir=str(folder)))


def _namespaces(folder: Path) -> list[str]:
    record = folder / "namespaces"
    names = {p.name for p in record.iterdir()} if record.exists() else set()
    return sorted(name for name in names if Path("/run/netns", name).exists())


def _devices(folder: Path) -> list[str]:
    """Return our bridges and what is plugged into them."""
    from aerostat.services.neutron.drivers.linuxbridge.netlink import Links

    group = _dataplane(folder)._group
    with Links(group, []) as links:
        ours = {d.index for d in links.by_name.values() if d.group == group}
        return sorted(d.name for d in links.by_name.values() if d.index in ours or d.master in ours)
