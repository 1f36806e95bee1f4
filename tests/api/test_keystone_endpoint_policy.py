"""Policies of endpoints, and what is left of PKI."""

from keystone_cloud import Cloud


async def test_the_nearest_association_counts(cloud: Cloud) -> None:
    north = await cloud.make("region", id="north")
    town = await cloud.make("region", id="town", parent_region_id=north["id"])
    service = await cloud.make("service", type="thing")
    place = {"service_id": service["id"], "interface": "public", "url": "http://x"}
    inside = await cloud.make("endpoint", region_id=town["id"], **place)
    outside = await cloud.make("endpoint", **place)
    names = ("service", "region", "endpoint", "other")
    policy = {n: (await cloud.make("policy", "policies", type="x", blob=n))["id"] for n in names}
    base = "/policies/{}/OS-ENDPOINT-POLICY"
    of_service = f"{base}/services/{service['id']}"
    paths = {
        "service": of_service,
        "region": f"{of_service}/regions/north",
        "endpoint": f"{base}/endpoints/{inside['id']}",
    }
    found = f"/endpoints/{inside['id']}/OS-ENDPOINT-POLICY/policy"
    assert (await cloud.call("GET", found)).status_code == 404
    for name, path in paths.items():
        mine = path.format(policy[name])
        assert (await cloud.call("GET", mine)).status_code == 404
        assert (await cloud.call("PUT", mine)).status_code == 204
        assert (await cloud.call("GET", mine)).status_code == 204
        assert (await cloud.get(found))["policy"]["id"] == policy[name]
    both = {inside["id"], outside["id"]}
    for name, ids in (("service", both), ("region", {inside["id"]}), ("endpoint", {inside["id"]})):
        listed = (await cloud.get(base.format(policy[name]) + "/endpoints"))["endpoints"]
        assert {e["id"] for e in listed} == ids
    assert (await cloud.call("PUT", paths["endpoint"].format(policy["other"]))).status_code == 204
    assert (await cloud.get(found))["policy"]["id"] == policy["other"]
    mine = paths["endpoint"].format(policy["endpoint"])
    assert (await cloud.call("DELETE", mine)).status_code == 404  # Replaced.
    await cloud.call("DELETE", f"/policies/{policy['other']}")
    assert (await cloud.get(found))["policy"]["id"] == policy["region"]
    await cloud.call("DELETE", paths["region"].format(policy["region"]))
    assert (await cloud.get(found))["policy"]["id"] == policy["service"]
    unknown = paths["service"].format("unknown")
    assert (await cloud.call("PUT", unknown)).status_code == 404


async def test_pki_is_gone(cloud: Cloud) -> None:
    for path in ("ca", "certificates"):
        reply = await cloud.http.get(f"/v3/OS-SIMPLE-CERT/{path}")
        assert reply.status_code == 410 and "PKI" in reply.text
    assert (await cloud.call("GET", "/auth/tokens/OS-PKI/revoked")).status_code == 410
