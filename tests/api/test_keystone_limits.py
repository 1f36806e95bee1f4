"""Unified limits by the strict two level model: no project has more than its domain."""

from pathlib import Path
from typing import Any

import httpx
from keystone_cloud import Cloud, cloud_at


async def limit(cloud: Cloud, *limits: dict[str, Any]) -> httpx.Response:
    return await cloud.call("POST", "/limits", json={"limits": list(limits)})


async def test_two_levels(tmp_path: Path) -> None:
    async with cloud_at(tmp_path, enforcement_model="strict_two_level") as cloud:
        assert (await cloud.get("/limits/model"))["model"]["name"] == "strict_two_level"
        service = await cloud.make("service", type="thing")
        what = {"service_id": service["id"], "resource_name": "cores"}
        default = {"registered_limits": [{**what, "default_limit": 10}]}
        assert (await cloud.call("POST", "/registered_limits", json=default)).status_code == 201
        domain = (await cloud.make("domain"))["id"]
        project = (await cloud.make("project", domain_id=domain))["id"]
        other = (await cloud.make("project", domain_id=domain))["id"]
        body = {"project": {"name": "deeper", "parent_id": project}}
        assert (await cloud.call("POST", "/projects", json=body)).status_code == 403

        def of(project_id: str, most: int) -> dict[str, Any]:
            return {**what, "project_id": project_id, "resource_limit": most}

        def of_domain(most: int) -> dict[str, Any]:
            return {**what, "domain_id": domain, "resource_limit": most}

        for most in (11, -1):
            reply = await limit(cloud, of(project, most))
            assert reply.status_code == 403 and "hierarchy model" in reply.text
        both = await limit(cloud, of_domain(20), of(project, 15))
        assert both.status_code == 201, both.text
        ids = {bool(item["domain_id"]): item["id"] for item in both.json()["limits"]}
        assert (await limit(cloud, of(other, 21))).status_code == 403
        assert (await limit(cloud, of(other, 20))).status_code == 201

        async def change(limit_id: str, most: int) -> int:
            body = {"limit": {"resource_limit": most}}
            return (await cloud.call("PATCH", f"/limits/{limit_id}", json=body)).status_code

        assert await change(ids[True], 19) == 403
        assert await change(ids[False], 21) == 403
        assert await change(ids[True], -1) == 200
        assert await change(ids[False], 100) == 200
        assert (await cloud.get(f"/limits/{ids[False]}"))["limit"]["resource_limit"] == 100


async def test_flat_limits_know_no_parents(tmp_path: Path) -> None:
    async with cloud_at(tmp_path) as cloud:
        assert (await cloud.get("/limits/model"))["model"]["name"] == "flat"
        service = await cloud.make("service", type="thing")
        what = {"service_id": service["id"], "resource_name": "cores"}
        default = {"registered_limits": [{**what, "default_limit": 10}]}
        await cloud.call("POST", "/registered_limits", json=default)
        project = (await cloud.make("project"))["id"]
        reply = await limit(cloud, {**what, "project_id": project, "resource_limit": 11})
        assert reply.status_code == 201
