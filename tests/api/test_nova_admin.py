"""What operators and other services ask of nova besides servers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.sim.test_server_moves import built
from tests.whole_cloud import WholeCloud


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[WholeCloud]:
    cloud = WholeCloud(tmp_path, hosts=2)
    await cloud.start()
    yield cloud
    await cloud.stop()


async def test_diagnostics(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    url = f"/v2.1/servers/{server_id}/diagnostics"
    headers = {"OpenStack-API-Version": "compute 2.47"}
    old = (await admin.request("nova", "GET", url, None, headers)).json()
    assert {"cpu0_time", "memory", "vda_read", "vda_write_req"} <= old.keys()
    headers = {"OpenStack-API-Version": "compute 2.48"}
    reply = await admin.request("nova", "GET", url, None, headers)
    doc = reply.json()
    assert (doc["state"], doc["driver"], doc["num_cpus"]) == ("running", "libvirt", 1)
    assert doc["memory_details"]["maximum"] == 128 and doc["uptime"] >= 0
    member = await cloud.user("mia", "member", "admin")
    assert (await member.get("nova", url)).status_code == 403
    other = await cloud.user("mallory", "member", "elsewhere")
    assert (await other.get("nova", url)).status_code == 404


async def test_topology(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    url = f"/v2.1/servers/{server_id}/topology"
    for version, status in (("2.77", 404), ("2.78", 200)):
        headers = {"OpenStack-API-Version": f"compute {version}"}
        reply = await admin.request("nova", "GET", url, None, headers)
        assert reply.status_code == status
    assert reply.json() == {"nodes": [], "pagesize_kb": None}
    other = await cloud.user("mallory", "member", "elsewhere")
    assert (await other.request("nova", "GET", url, None, headers)).status_code == 404


async def test_changes_count_in_the_seconds_that_are_shown(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    url = "/v2.1/servers/detail"
    headers = {"OpenStack-API-Version": "compute 2.66"}

    async def ids(query: str) -> list[str]:
        reply = await admin.request("nova", "GET", f"{url}?{query}", None, headers)
        return [one["id"] for one in reply.json()["servers"]]

    (shown,) = (await admin.get("nova", url)).json()["servers"]
    when = shown["updated"]
    assert await ids(f"changes-since={when}&changes-before={when}") == [server_id]
    assert await ids("changes-before=2020-01-01T00:00:00Z") == []
    wrong = f"{url}?changes-since={when}&changes-before=2020-01-01T00:00:00Z"
    assert (await admin.request("nova", "GET", wrong, None, headers)).status_code == 400
    await admin.delete("nova", f"/v2.1/servers/{server_id}")
    await cloud.nova.sagas.idle()
    assert await ids("") == []
    assert await ids("changes-before=2099-01-01T00:00:00Z") == [server_id]


async def test_extensions_have_upstreams_names(cloud: WholeCloud) -> None:
    admin = await cloud.admin()
    found = (await admin.get("nova", "/v2.1/extensions")).json()["extensions"]
    names = {one["alias"]: one["name"] for one in found}
    assert names["OS-EXT-IMG-SIZE"] == "ImageSize" and names["os-quota-sets"] == "Quotas"
    one = (await admin.get("nova", "/v2.1/extensions/OS-DCF")).json()["extension"]
    assert one["name"] == "DiskConfig"


async def test_usage_audit_log(cloud: WholeCloud) -> None:
    admin = await cloud.admin()
    url = "/v2.1/os-instance_usage_audit_log"
    found = (await admin.get("nova", url)).json()["instance_usage_audit_logs"]
    assert (found["hosts_not_run"], found["num_hosts"]) == (["host-1", "host-2"], 2)
    assert found["overall_status"] == "0 of 2 hosts done. 0 errors."
    reply = await admin.get("nova", url + "/2026-03-01%2000:00:00.000000")
    found = reply.json()["instance_usage_audit_log"]
    assert found["period_beginning"] == "2026-02-01 00:00:00"
    assert found["period_ending"] == "2026-03-01 00:00:00"
    assert (await admin.get("nova", url + "/yesterday")).status_code == 400
    member = await cloud.user("mia", "member", "small")
    assert (await member.get("nova", url)).status_code == 403


async def test_external_events(cloud: WholeCloud) -> None:
    admin, server_id, _ = await built(cloud)
    url = "/v2.1/os-server-external-events"
    good = {"name": "network-changed", "server_uuid": server_id}
    lost = {"name": "network-vif-plugged", "server_uuid": "gone", "tag": "port"}

    async def post(*events: dict[str, Any]) -> tuple[int, Any]:
        reply = await admin.post("nova", url, {"events": list(events)})
        return reply.status_code, reply.json()

    said = {**good, "status": "completed", "code": 200}
    assert await post(good) == (200, {"events": [said]})
    status, doc = await post(good, lost)
    assert (status, [e["code"] for e in doc["events"]]) == (207, [200, 404])
    assert (await post(lost))[0] == 404
    assert (await post({**good, "name": "volume-extended"}))[0] == 400
    assert (await post())[0] == 400
    member = await cloud.user("mia", "member", "admin")
    assert (await member.post("nova", url, {"events": [good]})).status_code == 403


async def test_a_slash_at_the_end_is_another_path(cloud: WholeCloud) -> None:
    admin = await cloud.admin()
    for path in ("images", "servers", "os-security-groups"):
        reply = await admin.request("nova", "DELETE", f"/v2.1/{path}/")
        assert reply.status_code == 404, path
    assert (await admin.get("nova", "/v2.1/")).status_code == 200
