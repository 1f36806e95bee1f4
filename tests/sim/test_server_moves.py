"""Every step of moving a server, failing, crashing and run twice: it is whole, in one place."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_sagas import (
    NOTHING,
    SIDES,
    Injected,
    create,
    left_behind,
    prepare,
    restart,
    status,
)
from tests.whole_cloud import User, WholeCloud

from aerostat.services.nova.db import moves as move_rows
from aerostat.services.nova.model.guest import PowerState
from aerostat.services.nova.sagas import (
    server_confirm_resize,
    server_resize,
    server_revert_resize,
)
from aerostat.services.nova.tasks import leftovers

RESIZE = [step.name for step in server_resize.saga.steps]
CONFIRM = [step.name for step in server_confirm_resize.saga.steps]
REVERT = [step.name for step in server_revert_resize.saga.steps]
GOES_ON = ["crash", "twice", "retry"]


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path, hosts=2)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def act(cloud: WholeCloud, user: User, server_id: str, action: dict[str, Any]) -> int:
    reply = await user.post("nova", f"/v2.1/servers/{server_id}/action", action)
    assert reply.status_code in (202, 204), reply.text
    await cloud.nova.sagas.idle()
    return reply.status_code


async def built(cloud: WholeCloud) -> tuple[User, str, str]:
    """Return the administrator, a running server, and a larger flavor."""
    admin, body = await prepare(cloud)
    flavor = {"flavor": {"name": "large", "ram": 256, "vcpus": 2, "disk": 2}}
    made = (await admin.post("nova", "/v2.1/flavors", flavor)).json()["flavor"]
    server_id = await create(admin, body)
    await cloud.nova.sagas.idle()
    return admin, server_id, made["id"]


def where(cloud: WholeCloud, server_id: str) -> dict[str, PowerState]:
    return {n: d.states[server_id] for n, d in cloud.drivers.items() if server_id in d.states}


def aside(cloud: WholeCloud, server_id: str) -> list[str]:
    return [name for name, d in cloud.drivers.items() if server_id in d.aside]


async def held(cloud: WholeCloud) -> list[dict[str, int]]:
    """Return every claim that anybody holds."""
    found = await cloud.nova.placement.holders()
    return [claim for held in found.values() for claim in held.values()]


async def is_whole(cloud: WholeCloud, admin: User, server_id: str, name: str, ram: int) -> str:
    """Check that a server runs in one place, with one flavor, claim and port; return its host."""
    server = await status(admin, server_id)
    host = str(server["OS-EXT-SRV-ATTR:host"])
    assert (server["status"], server["flavor"]["original_name"]) == ("ACTIVE", name)
    assert where(cloud, server_id) == {host: PowerState.RUNNING}
    assert aside(cloud, server_id) == []
    claims = (await cloud.nova.placement.holders())[server_id]
    assert [claim["MEMORY_MB"] for claim in claims.values()] == [ram]
    assert len(await held(cloud)) == 1
    found = (await admin.get("neutron", f"/v2.0/ports?device_id={server_id}")).json()["ports"]
    assert [port["binding:host_id"] for port in found] == [host]
    return host


async def waits(cloud: WholeCloud, admin: User, server_id: str) -> None:
    """Check that a resized server waits for a verdict."""
    server = await status(admin, server_id)
    host = server["OS-EXT-SRV-ATTR:host"]
    assert (server["status"], server["flavor"]["original_name"]) == ("VERIFY_RESIZE", "large")
    assert where(cloud, server_id) == {host: PowerState.RUNNING}
    assert len(aside(cloud, server_id)) == 1
    assert sorted(claim["MEMORY_MB"] for claim in await held(cloud)) == [128, 256]


@pytest.mark.parametrize("step", RESIZE)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", GOES_ON)
async def test_resize_goes_on(cloud: WholeCloud, step: str, side: str, how: str) -> None:
    admin, server_id, large = await built(cloud)
    cloud.nova.sagas.probe = Injected("resize", step, side, how)
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    if how == "crash":
        admin = await restart(cloud)
    await waits(cloud, admin, server_id)
    await act(cloud, admin, server_id, {"confirmResize": None})
    await is_whole(cloud, admin, server_id, "large", 256)


@pytest.mark.parametrize("step", RESIZE)
@pytest.mark.parametrize("side", SIDES)
async def test_resize_fails(cloud: WholeCloud, step: str, side: str) -> None:
    """Everything is as it was, and the guest runs."""
    admin, server_id, large = await built(cloud)
    before = (await status(admin, server_id))["OS-EXT-SRV-ATTR:host"]
    cloud.nova.sagas.probe = Injected("resize", step, side, "fail")
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    assert await is_whole(cloud, admin, server_id, "tiny", 128) == before
    moves = (await admin.get("nova", "/v2.1/os-migrations")).json()["migrations"]
    assert [(m["migration_type"], m["status"]) for m in moves] == [("resize", "error")]


@pytest.mark.parametrize("step", RESIZE)
@pytest.mark.parametrize("side", SIDES)
async def test_resize_crashes_while_it_is_undone(cloud: WholeCloud, step: str, side: str) -> None:
    admin, server_id, large = await built(cloud)
    first = Injected("resize", "finish_resize", "after", "fail")
    second = Injected("resize", step, side, "crash", undo=True)

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
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    admin = await restart(cloud)
    await is_whole(cloud, admin, server_id, "tiny", 128)


@pytest.mark.parametrize(
    ("action", "step"),
    [("confirmResize", s) for s in CONFIRM] + [("revertResize", s) for s in REVERT],
)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", GOES_ON)
async def test_verdicts(cloud: WholeCloud, action: str, step: str, side: str, how: str) -> None:
    admin, server_id, large = await built(cloud)
    before = (await status(admin, server_id))["OS-EXT-SRV-ATTR:host"]
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    cloud.nova.sagas.probe = Injected(action, step, side, how)
    await act(cloud, admin, server_id, {action: None})
    if how == "crash":
        admin = await restart(cloud)
    name, ram = ("large", 256) if action == "confirmResize" else ("tiny", 128)
    after = await is_whole(cloud, admin, server_id, name, ram)
    assert (after == before) is (action == "revertResize")


@pytest.mark.parametrize("step", RESIZE)
async def test_delete_while_it_is_resized(cloud: WholeCloud, step: str) -> None:
    admin, server_id, large = await built(cloud)
    cloud.nova.sagas.probe = Injected("resize", step, "after", "crash")
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    admin = await restart(cloud)
    assert await left_behind(cloud, admin, server_id) == NOTHING
    assert (await held(cloud), aside(cloud, server_id)) == ([], [])


async def test_delete_while_it_waits_for_a_verdict(cloud: WholeCloud) -> None:
    admin, server_id, large = await built(cloud)
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    assert (await admin.delete("nova", f"/v2.1/servers/{server_id}")).status_code == 204
    await cloud.nova.sagas.idle()
    assert await left_behind(cloud, admin, server_id) == NOTHING
    assert (await held(cloud), aside(cloud, server_id)) == ([], [])


async def test_a_claim_that_was_handed_to_a_move_a_second_time_comes_back(
    cloud: WholeCloud,
) -> None:
    """Seed 5669: the message came again when the move was long over."""
    admin, server_id, large = await built(cloud)
    before = await cloud.nova.placement.holders()
    cloud.nova.sagas.probe = Injected("resize", "prep_resize", "before", "fail")
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    (move,) = await cloud.nova.db.read(lambda tx: move_rows.of_server(tx, server_id))
    await cloud.nova.placement.transfer(from_id=server_id, to_id=move.uuid)
    assert list(await cloud.nova.placement.holders()) == [move.uuid]
    assert await leftovers.sweep(cloud.nova) == [f"claim of move {move.uuid}, for {server_id}"]
    assert await cloud.nova.placement.holders() == before
    assert await leftovers.sweep(cloud.nova) == []
