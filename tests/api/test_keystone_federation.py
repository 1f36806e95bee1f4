"""The OS-FEDERATION API: providers, protocols, mappings, service providers. Source: api-ref."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from keystone_cloud import Cloud, cloud_at
from keystone_world import RULES, SERVICE_PROVIDER
from lxml import html

from aerostat.services.keystone.api import sso_pages
from aerostat.services.keystone.config import KeystoneConfig
from aerostat.services.keystone.federation_config import OpenIdClient

BASE = "/OS-FEDERATION"
CORP = f"{BASE}/identity_providers/corp"


async def put(cloud: Cloud, path: str, status: int = 201, **body: Any) -> Any:
    reply = await cloud.call("PUT", f"{BASE}/{path}", json=body)
    assert reply.status_code == status, reply.text
    return reply.json()


async def corp(cloud: Cloud, **fields: Any) -> Any:
    made = await put(cloud, "identity_providers/corp", identity_provider=fields)
    return made["identity_provider"]


async def test_providers(cloud: Cloud) -> None:
    made = await corp(cloud, enabled=True, remote_ids=["https://b", "https://a"])
    assert made == {
        "id": "corp",
        "enabled": True,
        "description": None,
        "authorization_ttl": None,
        "remote_ids": ["https://a", "https://b"],
        "domain_id": made["domain_id"],
        "links": {
            "self": f"http://ks/v3{CORP}",
            "protocols": f"http://ks/v3{CORP}/protocols",
        },
    }
    domain = (await cloud.get(f"/domains/{made['domain_id']}"))["domain"]
    assert domain["name"] == domain["id"] and domain["enabled"]
    assert (await cloud.get(CORP))["identity_provider"] == made
    await put(cloud, "identity_providers/corp", 409, identity_provider={})
    taken = {"remote_ids": ["https://a"]}
    await put(cloud, "identity_providers/other", 409, identity_provider=taken)
    assert (await cloud.call("GET", f"{BASE}/identity_providers/other")).status_code == 404
    await put(cloud, "identity_providers/other", 404, identity_provider={"domain_id": "none"})
    made = await put(cloud, "identity_providers/other", identity_provider={"domain_id": "default"})
    assert made["identity_provider"]["enabled"] is False
    found = await cloud.get(f"{BASE}/identity_providers?enabled=true")
    assert [p["id"] for p in found["identity_providers"]] == ["corp"]
    body = {"identity_provider": {"remote_ids": ["https://c"], "authorization_ttl": 5}}
    changed = (await cloud.call("PATCH", CORP, json=body)).json()["identity_provider"]
    assert (changed["remote_ids"], changed["authorization_ttl"]) == (["https://c"], 5)
    for wrong in ({}, {"domain_id": "default"}, {"authorization_ttl": -1}, {"enabled": "x"}):
        reply = await cloud.call("PATCH", CORP, json={"identity_provider": wrong})
        assert reply.status_code == 400, wrong
    assert (await cloud.call("DELETE", CORP)).status_code == 204
    assert (await cloud.call("DELETE", CORP)).status_code == 404
    await put(cloud, f"identity_providers/{'x' * 65}", 400, identity_provider={})


async def test_protocols(cloud: Cloud) -> None:
    await corp(cloud)
    await put(cloud, "mappings/rules", mapping={"rules": RULES})
    path = "identity_providers/corp/protocols/openid"
    await put(cloud, path, 400, protocol={"mapping_id": "none"})
    await put(cloud, path, 400, protocol={})
    nowhere = "identity_providers/none/protocols/openid"
    await put(cloud, nowhere, 404, protocol={"mapping_id": "rules"})
    made = (await put(cloud, path, protocol={"mapping_id": "rules"}))["protocol"]
    assert made == {
        "id": "openid",
        "mapping_id": "rules",
        "remote_id_attribute": None,
        "links": {
            "self": f"http://ks/v3{CORP}/protocols/openid",
            "identity_provider": f"http://ks/v3{CORP}",
        },
    }
    await put(cloud, path, 409, protocol={"mapping_id": "rules"})
    assert (await cloud.get(f"{CORP}/protocols"))["protocols"] == [made]
    body = {"protocol": {"mapping_id": "rules", "remote_id_attribute": "MELLON_IDP"}}
    changed = (await cloud.call("PATCH", f"{BASE}/{path}", json=body)).json()["protocol"]
    assert changed["remote_id_attribute"] == "MELLON_IDP"
    assert (await cloud.get(f"{BASE}/{path}"))["protocol"] == changed
    assert (await cloud.call("DELETE", f"{BASE}/{path}")).status_code == 204
    assert (await cloud.call("GET", f"{BASE}/{path}")).status_code == 404


def rule(**parts: Any) -> dict[str, Any]:
    return {"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "a"}], **parts}


WRONG: list[Any] = [
    [],
    [{}],
    [rule(remote=[])],
    [rule(more=1)],
    [rule(local=[{"user": {"name": "{0}", "password": "x"}}])],
    [rule(local=[{"user": {"name": 5}}])],
    [rule(local=[{"user": {"type": "magic"}}])],
    [rule(local=[{"group": {"name": "x"}}])],
    [rule(local=[{"group": {"id": "x", "name": "y", "domain": {"id": "z"}}}])],
    [rule(local=[{"projects": [{"name": "x"}]}])],
    [rule(local=[{"projects": [{"name": "x", "roles": [], "domain": {"id": "d"}}]}])],
    [rule(local=[{"projects_json": "{0}"}])],
    [rule(remote=[{"type": "a", "any_one_of": ["x"], "not_any_of": ["y"]}])],
    [rule(remote=[{"type": "a", "regex": True}])],
    [rule(remote=[{"type": "a", "any_one_of": ["("], "regex": True}])],
    [rule(remote=[{"any_one_of": ["x"]}])],
]


@pytest.mark.parametrize("rules", WRONG, ids=range(len(WRONG)))
async def test_rules_that_are_refused(cloud: Cloud, rules: Any) -> None:
    await put(cloud, "mappings/rules", 400, mapping={"rules": rules})


async def test_mappings(cloud: Cloud) -> None:
    made = (await put(cloud, "mappings/rules", mapping={"rules": RULES}))["mapping"]
    link = {"self": f"http://ks/v3{BASE}/mappings/rules"}
    assert made == {"id": "rules", "rules": RULES, "schema_version": "1.0", "links": link}
    await put(cloud, "mappings/rules", 409, mapping={"rules": RULES})
    newer = [rule(local=[{"projects": [{"name": "x", "roles": [], "domain": {"id": "d"}}]}])]
    body: dict[str, Any] = {"mapping": {"rules": newer, "schema_version": "2.0"}}
    changed = await cloud.call("PATCH", f"{BASE}/mappings/rules", json=body)
    assert changed.json()["mapping"]["schema_version"] == "2.0"
    assert (await cloud.get(f"{BASE}/mappings"))["mappings"] == [changed.json()["mapping"]]
    body["mapping"]["schema_version"] = "9.0"
    reply = await cloud.call("PATCH", f"{BASE}/mappings/rules", json=body)
    assert reply.status_code == 400
    assert (await cloud.call("DELETE", f"{BASE}/mappings/rules")).status_code == 204
    assert (await cloud.call("GET", f"{BASE}/mappings/rules")).status_code == 404


async def test_service_providers_are_in_tokens(cloud: Cloud) -> None:
    made = await put(cloud, "service_providers/far", service_provider=SERVICE_PROVIDER)
    assert made["service_provider"]["enabled"] is False
    assert made["service_provider"]["relay_state_prefix"] == "ss:mem:"
    assert "service_providers" not in (await cloud.validate(cloud.admin)).json()["token"]
    body = {"service_provider": {"enabled": True}}
    assert (await cloud.call("PATCH", f"{BASE}/service_providers/far", json=body)).is_success
    shown = (await cloud.validate(cloud.admin)).json()["token"]["service_providers"]
    assert shown == [{"id": "far", **SERVICE_PROVIDER}]
    found = await cloud.get(f"{BASE}/service_providers?id=far")
    assert [p["id"] for p in found["service_providers"]] == ["far"]
    bad = {"auth_url": "no url", "sp_url": "http://x"}
    await put(cloud, "service_providers/bad", 400, service_provider=bad)
    assert (await cloud.call("DELETE", f"{BASE}/service_providers/far")).status_code == 204
    assert "service_providers" not in (await cloud.validate(cloud.admin)).json()["token"]


async def test_a_domain_takes_its_providers_with_it(cloud: Cloud) -> None:
    made = await corp(cloud)
    domain = f"/domains/{made['domain_id']}"
    await cloud.call("PATCH", domain, json={"domain": {"enabled": False}})
    assert (await cloud.call("DELETE", domain)).status_code == 204
    assert (await cloud.call("GET", CORP)).status_code == 404


async def test_people_choose_their_provider(tmp_path: Path) -> None:
    dashboard = "http://dashboard.example.org/?a=b&c"
    client = OpenIdClient(issuer="https://nowhere.example.org", client_id="x")
    options = {
        "federation": {"corp": {"openid": client}, "<b>": {"openid": client}},
        "trusted_dashboard": (dashboard,),
    }
    async with cloud_at(tmp_path, **options) as cloud:
        await put(cloud, "mappings/rules", mapping={"rules": RULES})
        url = f"/v3/auth/OS-FEDERATION/websso/openid?origin={quote(dashboard, safe='')}"
        assert (await cloud.http.get(url)).status_code == 401  # Nobody is registered.
        for name in ("corp", "%3Cb%3E", "not-configured"):
            path = f"identity_providers/{name}"
            await put(cloud, path, identity_provider={"enabled": True})
            await put(cloud, f"{path}/protocols/openid", protocol={"mapping_id": "rules"})
        for page in (await cloud.http.get(url), await cloud.http.post(url)):
            assert page.status_code == 200 and "<b>" not in page.text
            links = [link for _, _, link, _ in html.fromstring(page.text).iterlinks()]
            assert [urlsplit(link).path for link in links] == [
                f"/v3/auth/OS-FEDERATION/identity_providers/{name}/protocols/openid/websso"
                for name in ("%3Cb%3E", "corp")
            ]
            assert all(parse_qs(urlsplit(link).query) == {"origin": [dashboard]} for link in links)


async def test_the_page_that_hands_over(tmp_path: Path) -> None:
    keystone: Any = SimpleNamespace(config=KeystoneConfig())
    user = SimpleNamespace(user=SimpleNamespace(id="u", name="ada"))
    found: Any = SimpleNamespace(text="a-token", user=user, token=SimpleNamespace(group_ids=()))
    page = sso_pages.hand_over(keystone, 'http://x/"><script>', found)
    assert page.raw is not None and b'"><script>' not in page.raw and b"a-token" in page.raw
    assert "script-src 'sha256-" in page.headers["Content-Security-Policy"]
    (tmp_path / "page.html").write_text("<p>$host $token $other</p>")
    keystone.config = KeystoneConfig(sso_callback_template=str(tmp_path / "page.html"))
    page = sso_pages.hand_over(keystone, "http://x/", found)
    assert page.raw == b"<p>http://x/ a-token $other</p>"
