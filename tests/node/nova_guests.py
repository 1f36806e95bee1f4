"""What the driver suite and its friends need: specs, an image source, and a watcher of states."""

import asyncio
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec

from aerostat.services.nova.model.guest import GuestImage, GuestSpec, PowerState

GUEST_DIR = Path("/var/cache/aerostat/guest")
BUILD = Path(__file__).parents[2] / "guest" / "build.sh"


def guest_image() -> GuestImage:
    """Return the tiny guest, built if need be."""
    subprocess.run([str(BUILD), str(GUEST_DIR)], check=True)
    path = GUEST_DIR / "aerostat-guest.qcow2"
    digest = subprocess.run(["sha512sum", str(path)], check=True, capture_output=True).stdout
    return GuestImage(
        id=str(uuid.uuid4()),
        disk_format="qcow2",
        size_bytes=path.stat().st_size,
        path=str(path),
        hash_algo="sha512",
        hash_value=digest.split()[0].decode(),
    )


def spec(image: GuestImage | None, **changes: object) -> GuestSpec:
    server_id = str(uuid.uuid4())
    base = GuestSpec(
        server_id=server_id,
        name="a <guest> & more",
        instance_name=f"test-{server_id[:8]}",
        project_id="project",
        user_id="user",
        flavor_name="tiny",
        vcpus=1,
        ram_mib=128,
        root_gb=1,
        image=image,
    )
    return msgspec.structs.replace(base, **changes)


class FileSource:
    """An image source that reads files, counts downloads, and breaks off when told."""

    def __init__(self) -> None:
        self.downloads = 0
        self.break_next = False

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        self.downloads += 1
        data = await asyncio.to_thread(Path(path).read_bytes)
        for at in range(0, len(data), 1 << 20):
            if self.break_next and at:
                self.break_next = False
                raise ConnectionResetError("the process died here")
            yield data[at : at + (1 << 20)]

    async def upload(self, path: str, data: AsyncIterator[bytes]) -> None:
        Path(path).write_bytes(b"".join([chunk async for chunk in data]))

    async def close(self) -> None:
        pass


class Watcher:
    """Collects lifecycle events and waits for one."""

    def __init__(self) -> None:
        self.events: list[tuple[str, PowerState]] = []

    def sink(self, server_id: str, state: PowerState) -> None:
        self.events.append((server_id, state))

    async def saw(self, server_id: str, state: PowerState, timeout_s: float = 30) -> None:
        await until(lambda: _now((server_id, state) in self.events), timeout_s)
        self.events.clear()


async def _now(value: bool) -> bool:
    return value


async def until(ask: Callable[[], Awaitable[bool]], timeout_s: float = 60) -> None:
    """Return when `ask` says yes."""
    async with asyncio.timeout(timeout_s):
        while not await ask():  # noqa: ASYNC110 - a log file has no events
            await asyncio.sleep(0.05)
