"""Live migration and evacuation, each step failing, crashing and run twice."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_moves import GOES_ON, act, aside, built, held, is_whole, where
from tests.sim.test_server_sagas import NOTHING, SIDES, Injected, left_behind, restart, status
from tests.whole_cloud import User, WholeCloud

from aerostat.contracts.network import RequestedNetwork
from aerostat.services.nova.db import servers as rows
from aerostat.services.nova.model.guest import PowerState
from aerostat.services.nova.sagas import (
    evacuated_cleanup,
    server_evacuate,
    server_live_migrate,
)

LIVE = [step.name for step in server_live_migrate.saga.steps]
EVACUATE = [step.name for step in server_evacuate.saga.steps]
CLEANUP = [step.name for step in evacuated_cleanup.saga.steps]
MIGRATE_LIVE = {"os-migrateLive": {"host": None, "block_migration": "auto"}}


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path, hosts=2)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def host_of(admin: User, server_id: str) -> str:
    return str((await status(admin, server_id))["OS-EXT-SRV-ATTR:host"])


async def moves(admin: User) -> list[tuple[str, str]]:
    found = (await admin.get("nova", "/v2.1/os-migrations")).json()["migrations"]
    return [(m["migration_type"], m["status"]) for m in found]


def nothing_arriving(cloud: WholeCloud) -> bool:
    return not any(d.arriving or d.left for d in cloud.drivers.values())


@pytest.mark.parametrize("step", LIVE)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", GOES_ON)
async def test_live_migration_goes_on(cloud: WholeCloud, step: str, side: str, how: str) -> None:
    admin, server_id, _ = await built(cloud)
    before = await host_of(admin, server_id)
    cloud.nova.sagas.probe = Injected("live-migration", step, side, how)
    await act(cloud, admin, server_id, MIGRATE_LIVE)
    if how == "crash":
        admin = await restart(cloud)
    assert await is_whole(cloud, admin, server_id, "tiny", 128) != before
    assert nothing_arriving(cloud)
    assert await moves(admin) == [("live-migration", "completed")]


@pytest.mark.parametrize("step", LIVE)
@pytest.mark.parametrize("side", SIDES)
async def test_live_migration_fails(cloud: WholeCloud, step: str, side: str) -> None:
    """The guest runs where it was; once its memory is over there, it runs there."""
    admin, server_id, _ = await built(cloud)
    before = await host_of(admin, server_id)
    cloud.nova.sagas.probe = Injected("live-migration", step, side, "fail")
    await act(cloud, admin, server_id, MIGRATE_LIVE)
    gone = (step, side) == ("live_migration", "after") or step == "post_live_migration"
    assert (await is_whole(cloud, admin, server_id, "tiny", 128) != before) is gone
    assert nothing_arriving(cloud)
    assert await moves(admin) == [("live-migration", "completed" if gone else "error")]


@pytest.mark.parametrize("step", LIVE)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("at", ["pre_live_migration", "live_migration"])
async def test_live_migration_crashes_while_it_is_undone(
    cloud: WholeCloud, step: str, side: str, at: str
) -> None:
    admin, server_id, _ = await built(cloud)
    first = Injected("live-migration", at, "after", "fail")
    second = Injected("live-migration", step, side, "crash", undo=True)

    class Both:
        async def before(self, saga: str, name: str, undo: bool) -> None:
            await first.before(saga, name, undo)
            await second.before(saga, name, undo)

        async def after(self, saga: str, name: str, undo: bool) -> None:
            await first.after(saga, name, undo)
            await second.after(saga, name, undo)

        def repeats(self, saga: str, name: str) -> int:
            return 1

    cloud.nova.sagas.probe = Both()
    await act(cloud, admin, server_id, MIGRATE_LIVE)
    admin = await restart(cloud)
    await is_whole(cloud, admin, server_id, "tiny", 128)
    assert nothing_arriving(cloud)


@pytest.mark.parametrize("step", LIVE)
async def test_delete_while_it_is_live_migrated(cloud: WholeCloud, step: str) -> None:
    admin, server_id, _ = await built(cloud)
    cloud.nova.sagas.probe = Injected("live-migration", step, "after", "crash")
    await act(cloud, admin, server_id, MIGRATE_LIVE)
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    admin = await restart(cloud)
    assert await left_behind(cloud, admin, server_id) == NOTHING
    assert (await held(cloud), aside(cloud, server_id)) == ([], [])
    assert nothing_arriving(cloud)


async def test_ports_that_are_ensured_once_more_stay_where_they_went(cloud: WholeCloud) -> None:
    """Seed 9249: the message of the build came again after the server had moved."""
    admin, server_id, _ = await built(cloud)
    server = await cloud.nova.db.read(rows.get, server_id)
    await act(cloud, admin, server_id, MIGRATE_LIVE)
    await cloud.nova.network.ensure_ports(
        server_id=server_id,
        project_id=server.project_id,
        host=str(server.host),
        availability_zone="nova",
        hostname=server.hostname,
        requested=[RequestedNetwork(**n) for n in server.requested["networks"]],
        security_groups=[],
    )
    assert await is_whole(cloud, admin, server_id, "tiny", 128) != server.host


async def force_down(admin: User, host: str, *, down: bool) -> None:
    found = (await admin.get("nova", f"/v2.1/os-services?host={host}")).json()["services"]
    url = f"/v2.1/os-services/{found[0]['id']}"
    reply = await admin.request("nova", "PUT", url, {"forced_down": down})
    assert reply.status_code == 200, reply.text


async def dead(cloud: WholeCloud) -> tuple[User, str, str]:
    """Return the administrator, a server, and its host, which is down."""
    admin, server_id, _ = await built(cloud)
    host = await host_of(admin, server_id)
    await force_down(admin, host, down=True)
    return admin, server_id, host


async def comes_back(cloud: WholeCloud, admin: User, host: str) -> None:
    await force_down(admin, host, down=False)
    from aerostat.services.nova.agent.endpoint import compute_control

    driver: Any = cloud.drivers[host]
    facts, guests = await driver.facts(), await driver.guests()
    await compute_control.at(cloud.bus).host_up(host=facts.host, facts=facts, guests=guests)
    await cloud.nova.sagas.idle()


@pytest.mark.parametrize("step", EVACUATE)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", GOES_ON)
async def test_evacuation_goes_on(cloud: WholeCloud, step: str, side: str, how: str) -> None:
    admin, server_id, host = await dead(cloud)
    cloud.nova.sagas.probe = Injected("evacuate", step, side, how)
    await act(cloud, admin, server_id, {"evacuate": {}})
    if how == "crash":
        admin = await restart(cloud)
    server = await status(admin, server_id)
    after = server["OS-EXT-SRV-ATTR:host"]
    assert (server["status"], after != host) == ("SHUTOFF", True)
    found = where(cloud, server_id)
    assert found == {host: PowerState.RUNNING, after: PowerState.SHUTDOWN}
    assert len(await held(cloud)) == 2
    await comes_back(cloud, admin, host)
    assert where(cloud, server_id) == {after: PowerState.SHUTDOWN}
    assert len(await held(cloud)) == 1
    assert await moves(admin) == [("evacuation", "completed")]


@pytest.mark.parametrize("step", EVACUATE)
@pytest.mark.parametrize("side", SIDES)
async def test_evacuation_fails(cloud: WholeCloud, step: str, side: str) -> None:
    """The server is in ERROR on its dead host; evacuating again succeeds."""
    admin, server_id, host = await dead(cloud)
    cloud.nova.sagas.probe = Injected("evacuate", step, side, "fail")
    await act(cloud, admin, server_id, {"evacuate": {}})
    server = await status(admin, server_id)
    assert (server["status"], server["OS-EXT-SRV-ATTR:host"]) == ("ERROR", host)
    assert server["host_status"] == "DOWN"
    assert where(cloud, server_id) == {host: PowerState.RUNNING}
    assert len(await held(cloud)) == 1
    await act(cloud, admin, server_id, {"evacuate": {}})
    assert await host_of(admin, server_id) != host


@pytest.mark.parametrize("step", CLEANUP)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", [*GOES_ON, "fail"])
async def test_cleanup(cloud: WholeCloud, step: str, side: str, how: str) -> None:
    admin, server_id, host = await dead(cloud)
    await act(cloud, admin, server_id, {"evacuate": {}})
    cloud.nova.sagas.probe = Injected("evacuated-cleanup", step, side, how)
    await comes_back(cloud, admin, host)
    if how == "crash":
        admin = await restart(cloud)
    if how == "fail":
        await comes_back(cloud, admin, host)
    assert host not in where(cloud, server_id)
    assert len(await held(cloud)) == 1


async def test_delete_of_an_evacuated_server_before_its_host_is_back(cloud: WholeCloud) -> None:
    admin, server_id, host = await dead(cloud)
    await act(cloud, admin, server_id, {"evacuate": {}})
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    assert list(where(cloud, server_id)) == [host]
    await comes_back(cloud, admin, host)
    assert (where(cloud, server_id), await held(cloud)) == ({}, [])


async def test_delete_while_its_host_is_down(cloud: WholeCloud) -> None:
    """The server is gone at once; the host removes the guest when it is back."""
    admin, server_id, host = await dead(cloud)
    served: Any = cloud.bus._local
    reached = served.pop(f"nova-compute@{host}")
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    assert (await admin.get("nova", f"/v2.1/servers/{server_id}")).status_code == 404
    assert (list(where(cloud, server_id)), await held(cloud)) == ([host], [])
    served[f"nova-compute@{host}"] = reached
    await comes_back(cloud, admin, host)
    assert where(cloud, server_id) == {}


async def test_delete_while_its_host_is_only_forced_down(cloud: WholeCloud) -> None:
    """Seed 5285: it had been back for a while, and would not compare again for long."""
    admin, server_id, _ = await dead(cloud)
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    assert (where(cloud, server_id), await held(cloud)) == ({}, [])


async def test_disks_of_a_deleted_server_go_when_their_host_is_back(cloud: WholeCloud) -> None:
    """Seed 5015: it was deleted between a move and its verdict, and its old host was away."""
    admin, server_id, _ = await built(cloud)
    host = await host_of(admin, server_id)
    await act(cloud, admin, server_id, {"migrate": {}})
    await force_down(admin, host, down=True)
    served: Any = cloud.bus._local
    reached = served.pop(f"nova-compute@{host}")
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    assert aside(cloud, server_id) == [host]
    served[f"nova-compute@{host}"] = reached
    await comes_back(cloud, admin, host)
    assert aside(cloud, server_id) == []
