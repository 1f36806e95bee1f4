"""Moves between hosts of which one does not answer: each ends by its deadline, and is mended later.

The server is then in ERROR and says why, or in a good state; never do two of its guests run.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_live_moves import MIGRATE_LIVE, dead, force_down, host_of, moves
from tests.sim.test_server_moves import act, aside, built, held, is_whole, where
from tests.sim.test_server_sagas import Injected, status
from tests.sim.test_silent_hypervisors import is_back
from tests.whole_cloud import User, WholeCloud

from aerostat.kit.errors import Unavailable
from aerostat.services.nova.agent.endpoint import compute_control
from aerostat.services.nova.db import leftovers
from aerostat.services.nova.model.guest import SILENT, PowerState
from aerostat.services.nova.sagas import (
    server_confirm_resize,
    server_evacuate,
    server_live_migrate,
    server_resize,
    server_revert_resize,
)
from aerostat.services.nova.tasks import leftovers as leftover_sweep

ENDS_S = 0.4
SAGAS = (
    server_resize.saga,
    server_resize.migrate,
    server_live_migrate.saga,
    server_evacuate.saga,
    server_confirm_resize.saga,
    server_revert_resize.saga,
)
HOW = [SILENT, "unavailable"]
"""A hypervisor that is silent, and a node that cannot be reached."""


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path, hosts=2)
    await cloud.start()
    yield cloud
    await cloud.stop()


def soon(cloud: WholeCloud) -> None:
    deadlines: Any = cloud.nova.sagas._deadlines
    deadlines.update(dict.fromkeys(SAGAS, ENDS_S))


def away(code: str) -> Callable[[str, str], Awaitable[None]]:
    async def before(_operation: str, _server_id: str) -> None:
        raise Unavailable("The host does not answer.", code=code)

    return before


def falls_silent(cloud: WholeCloud, host: str, at: str, code: str) -> list[str]:
    """Let a host be away from an operation on; return what it was asked for since."""
    gone: list[str] = []

    async def before(operation: str, server_id: str) -> None:
        if operation == at or gone:
            gone.append(operation)
            await away(code)(operation, server_id)

    cloud.drivers[host].before = before
    return gone


def other(host: str) -> str:
    return "host-2" if host == "host-1" else "host-1"


async def unclean(cloud: WholeCloud, server_id: str) -> list[str]:
    return await cloud.nova.db.read(leftovers.of_server, server_id)


async def is_in_error(cloud: WholeCloud, admin: User, server_id: str, host: str) -> None:
    """Check that a server says why it is in ERROR, holds one claim and has its port on its host."""
    server = await status(admin, server_id)
    assert (server["status"], server["OS-EXT-STS:task_state"]) == ("ERROR", None)
    assert server["fault"]["message"] == "The host does not answer."
    assert server["OS-EXT-SRV-ATTR:host"] == host
    assert list(await cloud.nova.placement.holders()) == [server_id]
    found = (await admin.get("neutron", f"/v2.0/ports?device_id={server_id}")).json()["ports"]
    assert [port["binding:host_id"] for port in found] == [host]


async def reboots(cloud: WholeCloud, admin: User, server_id: str) -> None:
    await act(cloud, admin, server_id, {"reboot": {"type": "HARD"}})
    await is_whole(cloud, admin, server_id, "tiny", 128)
    assert await unclean(cloud, server_id) == []


@pytest.mark.parametrize("code", HOW)
@pytest.mark.parametrize("at", ["set_aside", "offer"])
async def test_a_resize_from_a_silent_host(cloud: WholeCloud, at: str, code: str) -> None:
    """Before the disks were put aside, and after."""
    admin, server_id, large = await built(cloud)
    soon(cloud)
    source = await host_of(admin, server_id)
    falls_silent(cloud, source, at, code)
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    await is_in_error(cloud, admin, server_id, source)
    assert await moves(admin) == [("resize", "error")]
    assert aside(cloud, server_id) == ([source] if at == "offer" else [])
    await is_back(cloud, source)
    assert aside(cloud, server_id) == []
    assert list(where(cloud, server_id)) == [source]
    await reboots(cloud, admin, server_id)


@pytest.mark.parametrize("code", HOW)
async def test_a_migration_to_a_silent_host(cloud: WholeCloud, code: str) -> None:
    """It may start the guest late: until it says that it did not, no other one is started."""
    admin, server_id, _ = await built(cloud)
    soon(cloud)
    source = await host_of(admin, server_id)
    dest = other(source)
    tried = falls_silent(cloud, dest, "take_over", code)
    await act(cloud, admin, server_id, {"migrate": {}})
    assert "take_over" in tried
    await is_in_error(cloud, admin, server_id, source)
    assert await moves(admin) == [("migration", "error")]
    assert where(cloud, server_id) == {source: PowerState.SHUTDOWN}
    url = f"/v2.1/servers/{server_id}/action"
    for asked in ({"reboot": {"type": "HARD"}}, {"rescue": {}}):
        assert (await admin.post("nova", url, asked)).status_code == 409

    cloud.drivers[dest].states[server_id] = PowerState.RUNNING
    await is_back(cloud, dest)
    assert where(cloud, server_id) == {source: PowerState.SHUTDOWN}
    await reboots(cloud, admin, server_id)


async def test_a_heartbeat_is_enough_to_be_cleaned(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    soon(cloud)
    source = await host_of(admin, server_id)
    falls_silent(cloud, other(source), "take_over", SILENT)
    await act(cloud, admin, server_id, {"migrate": {}})
    assert await unclean(cloud, server_id) == [other(source)]
    cloud.drivers[other(source)].before = None
    await compute_control.at(cloud.bus).heartbeat(host=other(source))
    await cloud.nova.sagas.idle()
    await reboots(cloud, admin, server_id)


async def test_a_server_whose_new_host_died_is_started_where_it_was(cloud: WholeCloud) -> None:
    """Forcing the host down is the operator's word that nothing runs there."""
    admin, server_id, _ = await built(cloud)
    soon(cloud)
    source = await host_of(admin, server_id)
    falls_silent(cloud, other(source), "take_over", "unavailable")
    await act(cloud, admin, server_id, {"migrate": {}})
    await force_down(admin, other(source), down=True)
    await act(cloud, admin, server_id, {"reboot": {"type": "HARD"}})
    await is_whole(cloud, admin, server_id, "tiny", 128)


async def test_a_server_is_deleted_while_its_new_host_is_silent(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    soon(cloud)
    source = await host_of(admin, server_id)
    falls_silent(cloud, other(source), "take_over", SILENT)
    await act(cloud, admin, server_id, {"migrate": {}})
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    assert (where(cloud, server_id), await held(cloud)) == ({}, [])
    cloud.drivers[other(source)].states[server_id] = PowerState.RUNNING
    await is_back(cloud, other(source))
    assert (where(cloud, server_id), await unclean(cloud, server_id)) == ({}, [])


@pytest.mark.parametrize("code", HOW)
async def test_confirming_towards_a_silent_host(cloud: WholeCloud, code: str) -> None:
    admin, server_id, large = await built(cloud)
    source = await host_of(admin, server_id)
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    soon(cloud)
    falls_silent(cloud, source, "forget_aside", code)
    await act(cloud, admin, server_id, {"confirmResize": None})
    assert (await status(admin, server_id))["status"] == "VERIFY_RESIZE"
    assert await moves(admin) == [("resize", "finished")]
    await is_back(cloud, source)
    await act(cloud, admin, server_id, {"confirmResize": None})
    await is_whole(cloud, admin, server_id, "large", 256)


@pytest.mark.parametrize("code", HOW)
@pytest.mark.parametrize("at", ["destroy", "take_back"])
async def test_reverting_over_a_silent_host(cloud: WholeCloud, at: str, code: str) -> None:
    """The server is in ERROR until it is asked for again."""
    admin, server_id, large = await built(cloud)
    source = await host_of(admin, server_id)
    silent = source if at == "take_back" else other(source)
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    soon(cloud)
    falls_silent(cloud, silent, at, code)
    await act(cloud, admin, server_id, {"revertResize": None})
    server = await status(admin, server_id)
    assert (server["status"], server["OS-EXT-STS:task_state"]) == ("ERROR", None)
    assert server["fault"]["message"] == "The host does not answer."
    await is_back(cloud, silent)
    await act(cloud, admin, server_id, {"revertResize": None})
    assert await is_whole(cloud, admin, server_id, "tiny", 128) == source


@pytest.mark.parametrize("code", HOW)
async def test_an_evacuation_to_a_silent_host(cloud: WholeCloud, code: str) -> None:
    """It may build the server late: until it says that it did not, no other one is tried."""
    admin, server_id, source = await dead(cloud)
    soon(cloud)
    dest = other(source)
    falls_silent(cloud, dest, "spawn", code)
    await act(cloud, admin, server_id, {"evacuate": {}})
    await is_in_error(cloud, admin, server_id, source)
    assert await moves(admin) == [("evacuation", "error")]
    url = f"/v2.1/servers/{server_id}/action"
    assert (await admin.post("nova", url, {"evacuate": {}})).status_code == 409
    cloud.drivers[dest].states[server_id] = PowerState.RUNNING
    await is_back(cloud, dest)
    assert list(where(cloud, server_id)) == [source]
    await act(cloud, admin, server_id, {"evacuate": {}})
    assert await host_of(admin, server_id) == dest


@pytest.mark.parametrize("code", HOW)
async def test_a_live_migration_to_a_silent_host(cloud: WholeCloud, code: str) -> None:
    """The guest goes on where it was."""
    admin, server_id, _ = await built(cloud)
    soon(cloud)
    source = await host_of(admin, server_id)
    dest = other(source)
    falls_silent(cloud, dest, "live_prepare", code)
    await act(cloud, admin, server_id, MIGRATE_LIVE)
    assert await is_whole(cloud, admin, server_id, "tiny", 128) == source
    assert await moves(admin) == [("live-migration", "error")]
    cloud.drivers[dest].arriving[server_id] = cloud.drivers[source].specs[server_id]
    await is_back(cloud, dest)
    assert not cloud.drivers[dest].arriving
    assert await is_whole(cloud, admin, server_id, "tiny", 128) == source


@pytest.mark.parametrize("code", HOW)
@pytest.mark.parametrize("left", [True, False])
async def test_a_live_migration_from_a_host_that_fell_silent(
    cloud: WholeCloud, code: str, left: bool
) -> None:
    """Whether the guest had left is found out when the old host answers."""
    admin, server_id, _ = await built(cloud)
    soon(cloud)
    source = await host_of(admin, server_id)
    dest = other(source)
    falls_silent(cloud, source, "live_migrate", code)
    await act(cloud, admin, server_id, MIGRATE_LIVE)
    await is_in_error(cloud, admin, server_id, source)
    assert await moves(admin) == [("live-migration", "error")]
    url = f"/v2.1/servers/{server_id}/action"
    hard = {"reboot": {"type": "HARD"}}
    assert (await admin.post("nova", url, hard)).status_code == 409
    if left:
        driver = cloud.drivers[source]
        driver.left.add(server_id)
        driver._gone(server_id)
    await is_back(cloud, source)
    await is_back(cloud, dest)
    assert not any(d.arriving or d.left for d in cloud.drivers.values())
    if left:
        assert await is_whole(cloud, admin, server_id, "tiny", 128) == dest
        assert await moves(admin) == [("live-migration", "completed")]
    else:
        await reboots(cloud, admin, server_id)
        assert await host_of(admin, server_id) == source


@pytest.mark.parametrize("code", HOW)
async def test_a_live_migration_whose_new_host_fell_silent_at_the_end(
    cloud: WholeCloud, code: str
) -> None:
    """The guest is over there: the server is the new host's, who keeps it when it answers."""
    admin, server_id, _ = await built(cloud)
    soon(cloud)
    source = await host_of(admin, server_id)
    dest = other(source)
    falls_silent(cloud, dest, "live_arrived", code)
    await act(cloud, admin, server_id, MIGRATE_LIVE)
    assert await host_of(admin, server_id) == dest
    assert await moves(admin) == [("live-migration", "completed")]
    assert len(await held(cloud)) == 1
    await is_back(cloud, dest)
    assert await is_whole(cloud, admin, server_id, "tiny", 128) == dest
    assert await unclean(cloud, server_id) == []


async def test_a_host_that_is_forced_down_and_silent_is_cleaned_later(cloud: WholeCloud) -> None:
    """Seed 9568: its server was deleted meanwhile, and a sweep found the guest long after."""
    admin, server_id, host = await dead(cloud)
    falls_silent(cloud, host, "destroy", SILENT)
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    assert (list(where(cloud, server_id)), await held(cloud)) == ([host], [])
    cloud.drivers[host].before = None
    await compute_control.at(cloud.bus).heartbeat(host=host)
    await cloud.nova.sagas.idle()
    assert (where(cloud, server_id), await unclean(cloud, server_id)) == ({}, [])


async def test_what_is_deleted_but_for_its_claims_is_on_no_host(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    cloud.nova.sagas.probe = Injected("delete", "release_ports", "before", "fail")
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    server = await status(admin, server_id)
    assert (server["status"], server["OS-EXT-SRV-ATTR:host"]) == ("ERROR", None)
    assert len(await leftover_sweep.sweep(cloud.nova)) == 2  # its claim and its ports
    assert (where(cloud, server_id), await held(cloud)) == ({}, [])
