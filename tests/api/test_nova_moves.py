"""Moves of servers through the API: who may, what is refused and how, what each version shows."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_moves import act, built, is_whole, where
from tests.sim.test_server_sagas import status
from tests.whole_cloud import User, WholeCloud

from aerostat.kit.clock import SystemClock
from aerostat.services.nova.model.guest import PowerState


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path, hosts=2)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def said(user: User, server_id: str, action: Any, version: str = "latest") -> tuple[int, str]:
    """Return what an action is answered with."""
    headers = {"OpenStack-API-Version": f"compute {version}"}
    url = f"/v2.1/servers/{server_id}/action"
    reply = await user.request("nova", "POST", url, action, headers)
    return reply.status_code, reply.text


async def test_what_a_resize_refuses(cloud: WholeCloud) -> None:
    admin, server_id, large = await built(cloud)
    same = (await admin.get("nova", f"/v2.1/servers/{server_id}")).json()["server"]["flavor"]
    flavors = (await admin.get("nova", "/v2.1/flavors")).json()["flavors"]
    tiny = next(f["id"] for f in flavors if f["name"] == same["original_name"])
    for ref, code, words in (
        (tiny, 400, "must change flavor"),
        ("nope", 400, "could not be found"),
        ("", 400, "could not be found"),
    ):
        code_said, text = await said(admin, server_id, {"resize": {"flavorRef": ref}})
        assert (code_said, words in text) == (code, True), text
    assert (await said(admin, server_id, {"resize": {}}))[0] == 400
    for verdict in ("confirmResize", "revertResize"):
        assert (await said(admin, server_id, {verdict: None}))[0] == 409
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    assert (await said(admin, server_id, {"resize": {"flavorRef": tiny}}))[0] == 409
    assert (await said(admin, server_id, {"confirmResize": {}}))[0] == 204


async def test_a_smaller_disk_is_taken_back(cloud: WholeCloud) -> None:
    """Upstream accepts it and fails on the host: the server stays what it was."""
    admin, server_id, large = await built(cloud)
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    await act(cloud, admin, server_id, {"confirmResize": None})
    flavors = (await admin.get("nova", "/v2.1/flavors")).json()["flavors"]
    tiny = next(f["id"] for f in flavors if f["name"] == "tiny")
    await act(cloud, admin, server_id, {"resize": {"flavorRef": tiny}})
    await is_whole(cloud, admin, server_id, "large", 256)
    url = f"/v2.1/servers/{server_id}/os-instance-actions"
    last = (await admin.get("nova", url)).json()["instanceActions"][0]
    assert (last["action"], "resize disk down" in last["message"]) == ("resize", True)


async def test_quotas_count_before_a_resize(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    member = await cloud.user("mia", "member", "small")
    flavor = {"flavor": {"name": "huge", "ram": 256, "vcpus": 99, "disk": 2}}
    huge = (await admin.post("nova", "/v2.1/flavors", flavor)).json()["flavor"]["id"]
    code, text = await said(admin, server_id, {"resize": {"flavorRef": huge}})
    assert (code, "Quota exceeded for cores" in text) == (403, True)
    for action in ({"resize": {"flavorRef": huge}}, {"migrate": None}, {"evacuate": {}}):
        assert (await said(member, server_id, action))[0] == 404


async def test_only_some_may_migrate(cloud: WholeCloud) -> None:
    admin, body = await prepare_member(cloud)
    member, server_id = body
    for action in (
        {"migrate": None},
        {"os-migrateLive": {"host": None, "block_migration": "auto"}},
        {"evacuate": {}},
        {"injectNetworkInfo": None},
        {"os-resetState": {"state": "error"}},
    ):
        assert (await said(member, server_id, action))[0] == 403
    for url in ("/v2.1/os-migrations", f"/v2.1/servers/{server_id}/migrations"):
        assert (await member.get("nova", url)).status_code == 403
    assert (await admin.get("nova", "/v2.1/os-migrations")).json() == {"migrations": []}


async def prepare_member(cloud: WholeCloud) -> tuple[User, tuple[User, str]]:
    from tests.sim.test_server_sagas import create, prepare

    admin, body = await prepare(cloud)
    member = await cloud.user("mia", "member", "small")
    image = await cloud.image(member)
    server = {**body["server"], "imageRef": image, "networks": "none"}
    server_id = await create(member, {"server": server})
    await cloud.nova.sagas.idle()
    return admin, (member, server_id)


@pytest.mark.parametrize(
    ("action", "version", "code", "words"),
    [
        ({"migrate": {"host": "nowhere"}}, "latest", 400, "nowhere"),
        ({"migrate": {"host": "host-1"}}, "2.55", 400, "host"),
        ({"os-migrateLive": {"host": "nowhere", "block_migration": "auto"}}, "latest", 400, ""),
        ({"os-migrateLive": {"host": None, "block_migration": "auto"}}, "2.24", 400, ""),
        ({"os-migrateLive": {"host": None}}, "latest", 400, "block_migration"),
        (
            {"os-migrateLive": {"host": "host-1", "block_migration": "auto", "force": True}},
            "2.68",
            400,
            "force",
        ),
        ({"evacuate": {"host": "nowhere"}}, "latest", 400, "nowhere"),
        ({"evacuate": {}}, "latest", 400, "still in use"),
        ({"evacuate": {"onSharedStorage": False}}, "2.14", 400, "onSharedStorage"),
        ({"evacuate": {}}, "2.13", 400, "onSharedStorage"),
        ({"rescue": {"rescue_image_ref": "nope"}}, "latest", 400, "nope"),
        ({"unrescue": None}, "latest", 409, "unrescue"),
        ({"unshelve": None}, "latest", 409, "unshelve"),
        ({"shelveOffload": None}, "latest", 409, "shelveOffload"),
        ({"createImage": {"name": ""}}, "latest", 400, "name"),
        ({"createBackup": {"name": "b", "backup_type": "daily"}}, "latest", 400, "rotation"),
    ],
)
async def test_refusals(
    cloud: WholeCloud, action: dict[str, Any], version: str, code: int, words: str
) -> None:
    admin, server_id, _ = await built(cloud)
    code_said, text = await said(admin, server_id, action, version)
    assert (code_said, words in text) == (code, True), text
    assert (await status(admin, server_id))["status"] == "ACTIVE"


async def test_migrate_to_a_host(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    here = (await status(admin, server_id))["OS-EXT-SRV-ATTR:host"]
    there = next(h for h in cloud.host_names if h != here)
    assert (await said(admin, server_id, {"migrate": {"host": here}}))[0] == 400
    await act(cloud, admin, server_id, {"migrate": {"host": there}})
    assert (await status(admin, server_id))["OS-EXT-SRV-ATTR:host"] == there
    await act(cloud, admin, server_id, {"revertResize": None})
    assert (await status(admin, server_id))["OS-EXT-SRV-ATTR:host"] == here


async def test_live_migrations_are_shown_forced_and_given_up(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    here = (await status(admin, server_id))["OS-EXT-SRV-ATTR:host"]
    driver = cloud.drivers[here]
    url = f"/v2.1/servers/{server_id}/migrations"
    action = {"os-migrateLive": {"host": None, "block_migration": "auto"}}

    async def under_way() -> dict[str, Any]:
        driver.live_s = 60.0
        assert (await said(admin, server_id, action))[0] == 202
        while not driver._flights:  # noqa: ASYNC110
            await asyncio.sleep(0)
        found = (await admin.get("nova", url)).json()["migrations"]
        assert [m["status"] for m in found] == ["running"]
        return dict(found[0])

    migration = await under_way()
    assert (await status(admin, server_id))["status"] == "MIGRATING"
    assert migration["memory_remaining_bytes"] > 0
    at = f"{url}/{migration['id']}"
    assert (await admin.get("nova", at)).json()["migration"]["source_compute"] == here
    listed = (await admin.get("nova", "/v2.1/os-migrations")).json()["migrations"][0]
    assert listed["links"][0]["href"].endswith(at.removeprefix("/v2.1"))
    assert (await admin.delete("nova", at)).status_code == 202
    await cloud.nova.sagas.idle()
    assert await is_whole(cloud, admin, server_id, "tiny", 128) == here
    assert (await admin.get("nova", at)).status_code == 404
    assert (await admin.delete("nova", at)).status_code == 409

    at = f"{url}/{(await under_way())['id']}"
    reply = await admin.post("nova", f"{at}/action", {"force_complete": None})
    assert reply.status_code == 202, reply.text
    await cloud.nova.sagas.idle()
    assert await is_whole(cloud, admin, server_id, "tiny", 128) != here
    listed = (await admin.get("nova", "/v2.1/os-migrations")).json()["migrations"]
    assert [m["status"] for m in listed] == ["completed", "cancelled"]


async def test_a_paused_server_moves_paused(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    here = (await status(admin, server_id))["OS-EXT-SRV-ATTR:host"]
    await act(cloud, admin, server_id, {"pause": None})
    await act(cloud, admin, server_id, {"os-migrateLive": {"host": None, "block_migration": True}})
    server = await status(admin, server_id)
    assert (server["status"], server["OS-EXT-SRV-ATTR:host"] != here) == ("PAUSED", True)
    assert where(cloud, server_id) == {server["OS-EXT-SRV-ATTR:host"]: PowerState.PAUSED}
    await act(cloud, admin, server_id, {"unpause": None})
    await is_whole(cloud, admin, server_id, "tiny", 128)


async def test_versions_of_migrations(cloud: WholeCloud) -> None:
    admin, server_id, large = await built(cloud)
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})

    async def fields(version: str) -> set[str]:
        headers = {"OpenStack-API-Version": f"compute {version}"}
        reply = await admin.request("nova", "GET", "/v2.1/os-migrations", headers=headers)
        return set(reply.json()["migrations"][0])

    assert not {"migration_type", "uuid", "user_id"} & await fields("2.1")
    assert await fields("2.23") - await fields("2.22") == {"migration_type"}
    assert await fields("2.59") - await fields("2.58") == {"uuid"}
    assert await fields("2.80") - await fields("2.79") == {"user_id", "project_id"}
    page = await admin.get("nova", "/v2.1/os-migrations?limit=1")
    assert "migrations_links" in page.json()
    for query, code in (("colour=red", 400), ("marker=nope", 400), ("limit=-1", 400)):
        found = await admin.get("nova", f"/v2.1/os-migrations?{query}")
        assert found.status_code == code
    for query, count in (("host=host-1", 1), ("host=mars", 0), ("status=finished", 1)):
        found = await admin.get("nova", f"/v2.1/os-migrations?{query}")
        assert len(found.json()["migrations"]) == count


async def test_a_resize_is_confirmed_by_itself(cloud: WholeCloud) -> None:
    import msgspec

    from aerostat.services.nova.agent.endpoint import compute_control

    admin, server_id, large = await built(cloud)
    here = (await status(admin, server_id))["OS-EXT-SRV-ATTR:host"]
    await act(cloud, admin, server_id, {"resize": {"flavorRef": large}})
    control = compute_control.at(cloud.bus)
    await control.heartbeat(host=here)
    await cloud.nova.sagas.idle()
    assert (await status(admin, server_id))["status"] == "VERIFY_RESIZE"

    class Later(SystemClock):
        def now(self) -> float:
            return super().now() + 11

    config = msgspec.structs.replace(cloud.nova.config, resize_confirm_window_s=10.0)
    object.__setattr__(cloud.nova, "config", config)
    object.__setattr__(cloud.nova, "clock", Later())
    await control.heartbeat(host=here)
    await cloud.nova.sagas.idle()
    await is_whole(cloud, admin, server_id, "large", 256)


async def test_a_host_that_is_no_longer_the_servers_is_not_believed(cloud: WholeCloud) -> None:
    """A late report of the old host must not stop a server that runs elsewhere by now."""
    from aerostat.services.nova.agent.endpoint import compute_control
    from aerostat.services.nova.model.guest import PowerState

    admin, server_id, _ = await built(cloud)
    here = (await status(admin, server_id))["OS-EXT-SRV-ATTR:host"]
    action = {"os-migrateLive": {"host": None, "block_migration": "auto"}}
    await act(cloud, admin, server_id, action)
    control = compute_control.at(cloud.bus)
    await control.lifecycle(host=here, server_id=server_id, power_state=PowerState.SHUTDOWN)
    assert (await status(admin, server_id))["status"] == "ACTIVE"
    assert here not in where(cloud, server_id)


async def test_old_and_new_answers_of_create_image(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    url = f"/v2.1/servers/{server_id}/action"
    headers = {"OpenStack-API-Version": "compute 2.44"}
    old = await admin.request("nova", "POST", url, {"createImage": {"name": "a"}}, headers)
    assert (old.status_code, old.content) == (202, b"")
    image_id = old.headers["location"].rsplit("/", 1)[-1]
    await cloud.nova.sagas.idle()
    image = (await admin.get("glance", f"/v2/images/{image_id}")).json()
    assert (image["status"], image["min_disk"], image["visibility"]) == ("active", 1, "private")
    assert (image["instance_uuid"], image["image_type"]) == (server_id, "snapshot")
    new = await admin.post("nova", url, {"createImage": {"name": "b"}})
    assert list(new.json()) == ["image_id"]
    await cloud.nova.sagas.idle()
