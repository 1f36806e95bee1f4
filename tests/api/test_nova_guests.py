"""What reaches into a guest while it runs: its administrator's password, its screen."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_sagas import create, prepare
from tests.whole_cloud import User, WholeCloud

from aerostat.kit.errors import Unsupported


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def built(cloud: WholeCloud) -> tuple[User, str]:
    admin, body = await prepare(cloud)
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    return admin, server_id


async def said(user: User, server_id: str, action: Any) -> tuple[int, str]:
    reply = await user.post("nova", f"/v2.1/servers/{server_id}/action", action)
    return reply.status_code, reply.text


async def test_a_running_guest_gets_a_password(cloud: WholeCloud) -> None:
    admin, server_id = await built(cloud)
    rita = await cloud.user("rita", "reader", "admin")
    driver = cloud.drivers["host-1"]
    change = {"changePassword": {"adminPass": "Newpass1234"}}
    assert await said(admin, server_id, change) == (202, "")
    assert driver.passwords == {server_id: ("root", "Newpass1234")}
    assert (await said(rita, server_id, change))[0] in (403, 404)
    for wrong in ({}, {"adminPass": 5}, {"adminPass": "x", "more": 1}, None):
        assert (await said(admin, server_id, {"changePassword": wrong}))[0] == 400

    async def silent(operation: str, _server_id: str) -> None:
        if operation == "set_admin_password":
            raise Unsupported("Unable to set password on instance")

    driver.before = silent
    assert await said(admin, server_id, change) == (
        501,
        '{"notImplemented":{"code":501,"message":"Unable to set password on instance"}}',
    )
    await said(admin, server_id, {"os-stop": None})
    await cloud.nova.sagas.idle()
    assert (await said(admin, server_id, change))[0] == 409


async def test_a_fake_guest_has_a_screen(cloud: WholeCloud) -> None:
    """A client speaks RFB 3.8 with it: version, security, sizes, one picture."""
    _, server_id = await built(cloud)
    address = await cloud.drivers["host-1"].vnc(server_id)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    async with asyncio.timeout(5):
        version = await reader.readexactly(12)
        assert version == b"RFB 003.008\n"
        writer.write(version)
        assert await reader.readexactly(2) == b"\x01\x01"
        writer.write(b"\x01")
        assert await reader.readexactly(4) == bytes(4)
        writer.write(b"\x01")
        assert (await reader.readexactly(28))[-4:] == b"fake"
        writer.write(b"\x02\x00\x00\x01" + bytes(4))  # raw pictures, please
        writer.write(b"\x06\x00\x00\x00\x00\x00\x00\x02hi")
        writer.write(b"\x03\x00" + bytes(8))
        assert await reader.readexactly(16 + 16 * 16 * 4) == b"\x00\x00\x00\x01" + bytes(
            4
        ) + b"\x00\x10\x00\x10" + bytes(4 + 16 * 16 * 4)
        writer.write(b"\xff")  # no kind of message
        assert await reader.read() == b""
    writer.close()
