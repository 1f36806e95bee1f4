"""cloud-init's own data sources (Debian's) read what guests are told, and do not complain."""

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_sagas import prepare
from tests.whole_cloud import WholeCloud

from aerostat.services.nova.provides import MetadataProvides

READER = Path(__file__).parent / "cloud_init_reader.py"
USER_DATA = "#!/bin/sh\necho hello\n"
MOTD = "welcome\n"

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(
        not Path("/usr/lib/python3/dist-packages/cloudinit").exists()
        or shutil.which("/usr/bin/python3") is None,
        reason="cloud-init is not installed",
    ),
]


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path)
    await cloud.start()
    yield cloud
    await cloud.stop()


class Guest:
    """A server of the cloud, and what the test knows of it."""

    def __init__(self, cloud: WholeCloud, server_id: str, public_key: str) -> None:
        self.cloud, self.server_id, self.public_key = cloud, server_id, public_key

    async def macs(self) -> list[str]:
        ports = await self.cloud.nova.network.ports(server_id=self.server_id)
        return [port.mac for port in ports]

    def config_drive(self) -> dict[str, bytes]:
        drive = self.cloud.drivers["host-1"].specs[self.server_id].config_drive
        assert drive is not None
        return drive


@pytest.fixture
async def guest(cloud: WholeCloud) -> Guest:
    admin, body = await prepare(cloud)
    headers = {"OpenStack-API-Version": "compute 2.50"}
    made = await admin.request(
        "nova", "POST", "/v2.1/os-keypairs", {"keypair": {"name": "mine"}}, headers
    )
    assert made.status_code == 201, made.text
    server = {
        **body["server"],
        "name": "Web One",
        "key_name": "mine",
        "config_drive": True,
        "metadata": {"role": "web"},
        "user_data": base64.b64encode(USER_DATA.encode()).decode(),
        "personality": [
            {"path": "/etc/motd", "contents": base64.b64encode(MOTD.encode()).decode()}
        ],
    }
    reply = await admin.request("nova", "POST", "/v2.1/servers", {"server": server}, headers)
    assert reply.status_code == 202, reply.text
    await cloud.nova.sagas.idle()
    return Guest(cloud, reply.json()["server"]["id"], made.json()["keypair"]["public_key"])


@asynccontextmanager
async def metadata_service(guest: Guest) -> AsyncIterator[str]:
    """Serve the guest's metadata on a local port, as the agent in its network does."""
    provider = MetadataProvides(guest.cloud.nova)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split(" ", 2)[1]
        reply = await provider.get(server_id=guest.server_id, path=path, address="10.0.0.2")
        start = f"HTTP/1.1 {reply.status} Said\r\nContent-Type: {reply.content_type}\r\n"
        start += f"Content-Length: {len(reply.body)}\r\nConnection: close\r\n\r\n"
        writer.write(start.encode() + reply.body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def read(kind: str, where: str, folder: Path, macs: list[str]) -> dict[str, Any]:
    """Return what cloud-init understood; it must have had nothing to complain of."""
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/python3", str(READER), kind, where, str(folder), *macs,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    said: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    assert said.pop("complaints") == []
    return said


def check_openstack(said: dict[str, Any], guest: Guest) -> None:
    """The OpenStack tree says all there is to say."""
    assert said["metadata"]["uuid"] == guest.server_id
    assert said["metadata"]["instance-id"] == guest.server_id
    assert said["metadata"]["local-hostname"].startswith("web-one")
    assert said["metadata"]["meta"] == {"role": "web"}
    assert said["user_data"] == USER_DATA
    assert said["keys"] == [guest.public_key]
    assert said["files"] == {"/etc/motd": MOTD}
    config = said["network"]["config"]
    assert [c["name"] for c in config if c["type"] == "physical"] == ["eth0"]
    assert any(
        s["type"].startswith(("dhcp", "static")) for c in config for s in c.get("subnets", [])
    )


async def test_openstack(guest: Guest, tmp_path: Path) -> None:
    async with metadata_service(guest) as url:
        said = await read("openstack", url, tmp_path / "ci", await guest.macs())
    assert said["version"] == 2
    check_openstack(said, guest)
    assert said["ec2"]["instance-type"]


async def test_ec2(guest: Guest, tmp_path: Path) -> None:
    async with metadata_service(guest) as url:
        said = await read("ec2", url, tmp_path / "ci", [])
    assert said["instance_id"].startswith("i-")
    assert said["zone"] == "nova"
    assert said["user_data"] == USER_DATA
    assert said["keys"] == [guest.public_key]
    found = said["metadata"]
    assert found["local-hostname"].startswith("web-one")
    assert found["local-ipv4"].count(".") == 3
    assert found["block-device-mapping"]["root"] == "/dev/vda"


async def test_config_drive(guest: Guest, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    for name, data in guest.config_drive().items():
        path = drive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    said = await read("configdrive", str(drive), tmp_path / "ci", await guest.macs())
    assert said["version"] == 2
    check_openstack(said, guest)
    assert said["ec2"]["instance-type"]
