"""nova-metadata on HTTP, as a metadata proxy asks it."""

from pathlib import Path

import httpx
from tests.sim.test_server_moves import built
from tests.whole_cloud import WholeCloud

from aerostat.services.nova.tasks.metadata import MetadataApi, signature

SECRET = "between-proxies-and-us"
PATH = "/openstack/latest/meta_data.json"


async def test_a_proxy_asks_for_its_guest(tmp_path: Path) -> None:
    cloud = WholeCloud(tmp_path)
    cloud.settings.nova["metadata_proxy_shared_secret"] = SECRET
    await cloud.start()
    admin, server_id, _ = await built(cloud)
    server = (await admin.get("nova", f"/v2.1/servers/{server_id}")).json()["server"]
    good = {
        "X-Instance-ID": server_id,
        "X-Tenant-ID": server["tenant_id"],
        "X-Instance-ID-Signature": signature(server_id, SECRET),
        "X-Forwarded-For": "10.0.0.5",
    }
    transport = httpx.ASGITransport(app=MetadataApi(cloud.nova))
    async with httpx.AsyncClient(transport=transport, base_url="http://metadata") as http:
        reply = await http.get(PATH, headers=good)
        assert (reply.status_code, reply.json()["uuid"]) == (200, server_id)
        assert (await http.head(PATH, headers=good)).content == b""
        assert (await http.post(PATH, headers=good)).status_code == 405
        for name in good.keys() - {"X-Forwarded-For"}:
            reply = await http.get(PATH, headers={k: v for k, v in good.items() if k != name})
            assert (reply.status_code, reply.text) == (
                400,
                f"{name} header is missing from request.",
            )
            twice = [*good.items(), (name, good[name])]
            assert (await http.get(PATH, headers=twice)).status_code == 400
        forged = {**good, "X-Instance-ID-Signature": signature(server_id, "guess")}
        reply = await http.get(PATH, headers=forged)
        assert (reply.status_code, reply.text) == (403, "Invalid proxy request signature.")
        reply = await http.get(PATH, headers={**good, "X-Instance-ID-Signature": b"\xfc"})
        assert reply.status_code == 403
        assert (await http.get(PATH, headers={**good, "X-Tenant-ID": "other"})).status_code == 404
        absent = {
            **good,
            "X-Instance-ID": "gone",
            "X-Instance-ID-Signature": signature("gone", SECRET),
        }
        assert (await http.get(PATH, headers=absent)).status_code == 404
    await cloud.stop()
