"""What an operator's rules of the image service see, and what they hide."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from glance_cloud import PATCH, Cloud, authenticate, cloud_in

from aerostat.kit.context import Context
from aerostat.kit.http.policy import Policy
from aerostat.services.glance.config import FileStore, GlanceConfig, HttpStore
from aerostat.services.glance.service import manifest

METADEFS = "/v2/metadefs/namespaces"


class Rules:
    """A policy file that a test writes."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self._cloud, self._file = cloud, folder / "glance.json"

    def are(self, **rules: str) -> None:
        self._file.write_text(json.dumps(rules))
        self._cloud.app.policy = Policy(manifest.rules, self._file)


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    stores: dict[str, Any] = {"file": FileStore(), "web": HttpStore(weight=-1)}
    config = GlanceConfig(
        show_multiple_locations=True,
        enabled_backends=stores,
        web_download_networks=("127.0.0.0/8",),
        web_download_ports=(9,),
    )
    async with cloud_in(tmp_path, config) as cloud:
        yield cloud


@pytest.fixture
def rules(cloud: Cloud, tmp_path: Path) -> Rules:
    return Rules(cloud, tmp_path)


IMAGE_CALLS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("get_image", "GET", "", {}),
    ("modify_image", "PATCH", "", {"json": [], "headers": {"content-type": PATCH}}),
    ("delete_image", "DELETE", "", {}),
    ("download_image", "GET", "/file", {}),
    ("upload_image", "PUT", "/file", {}),
    ("deactivate", "POST", "/actions/deactivate", {}),
    ("get_members", "GET", "/members", {}),
    ("add_member", "POST", "/members", {"json": {"member": "p2"}}),
    ("modify_member", "PUT", "/members/p2", {"json": {"status": "accepted"}}),
    ("delete_member", "DELETE", "/members/p2", {}),
    ("modify_image", "PUT", "/tags/t", {}),
]


@pytest.mark.parametrize("call", IMAGE_CALLS)
async def test_what_may_not_be_seen_is_not_there(
    cloud: Cloud, rules: Rules, call: tuple[str, str, str, dict[str, Any]]
) -> None:
    rule, method, path, more = call
    image = await cloud.image()
    url = f"/v2/images/{image['id']}{path}"
    if rule != "get_image":
        rules.are(**{rule: "!"})
        assert (await cloud.ask(method, url, **more)).status_code == 403
    rules.are(**{rule: "!", "get_image": "!"})
    assert (await cloud.ask(method, url, **more)).status_code == 404


async def test_downloads_may_depend_on_a_property(cloud: Cloud, rules: Rules) -> None:
    rules.are(
        restricted="not ('secret':%(x_level)s and role:member)",
        download_image="rule:context_is_admin or rule:restricted",
    )
    for level, status in (("secret", 403), ("open", 200)):
        image = await cloud.image(x_level=level)
        await cloud.upload(image["id"], b"data")
        assert (await cloud.ask("GET", f"/v2/images/{image['id']}/file")).status_code == status
        assert (await cloud.ask("GET", f"/v2/images/{image['id']}/file", "admin")).is_success


async def test_images_for_others_are_the_administrators(cloud: Cloud) -> None:
    body = {"name": "x", "owner": "p2"}
    reply = await cloud.ask("POST", "/v2/images", json=body)
    assert reply.status_code == 403 and "owned by 'p2'" in reply.text
    assert (await cloud.ask("POST", "/v2/images", "admin", json=body)).status_code == 201


async def test_locations_hidden_are_an_empty_list(cloud: Cloud, rules: Rules) -> None:
    image = await cloud.image()
    assert image["locations"] == []
    await cloud.upload(image["id"], b"data")
    assert len((await cloud.show(image["id"]))["locations"]) == 1
    cloud.glance.rendered.clear()
    rules.are(get_image_location="!")
    assert (await cloud.show(image["id"]))["locations"] == []


async def test_services_may_add_locations(cloud: Cloud) -> None:
    image = await cloud.image("admin", visibility="public")
    url = f"/v2/images/{image['id']}/locations"
    place = {"url": "http://127.0.0.1:9/image"}
    assert (await cloud.ask("POST", url, json=place)).status_code == 403
    reply = await cloud.ask("POST", url, "service", json=place)
    assert reply.status_code != 403, reply.text


async def test_a_location_that_is_away_is_said_before_anything_else(cloud: Cloud) -> None:
    image = await cloud.image()
    place = {"url": "http://127.0.0.1:9/image", "metadata": {}}
    ops = [{"op": "add", "path": "/locations/-", "value": place}]
    await cloud.upload(image["id"], b"data")
    reply = await cloud.patch(image["id"], ops)
    assert reply.status_code in (200, 503), reply.text
    target = await cloud.glance.web.target(place["url"])
    assert target.port == 9
    with pytest.raises(Exception, match="could not be fetched"):
        await cloud.glance.stores.get("web").read(place["url"], 0, 4)


async def _namespace(cloud: Cloud, name: str, **inside: Any) -> int:
    body = {"namespace": name, "visibility": "public", **inside}
    return (await cloud.ask("POST", METADEFS, "admin", json=body)).status_code


async def test_rules_for_definitions(cloud: Cloud, rules: Rules) -> None:
    kinds: dict[str, Any] = {
        "add_metadef_object": {"objects": [{"name": "o"}]},
        "add_metadef_property": {"properties": {"p": {"type": "string", "title": "P"}}},
        "add_metadef_tag": {"tags": [{"name": "t"}]},
        "add_metadef_resource_type_association": {"resource_type_associations": [{"name": "r"}]},
    }
    assert await _namespace(cloud, "ns", **{k: v for d in kinds.values() for k, v in d.items()})
    for rule, inside in kinds.items():
        rules.are(**{rule: "!"})
        assert await _namespace(cloud, "other", **inside) == 403
    for rule, path in (
        ("get_metadef_objects", "/objects"),
        ("get_metadef_object", "/objects/o"),
        ("get_metadef_property", "/properties/p"),
        ("get_metadef_tags", "/tags"),
        ("list_metadef_resource_types", "/resource_types"),
        ("list_metadef_resource_types", ""),
        ("get_metadef_properties", ""),
    ):
        for more, status in (({}, 403), ({"get_metadef_namespace": "!"}, 404)):
            rules.are(**{rule: "!", **more})
            reply = await cloud.ask("GET", f"{METADEFS}/ns{path}", "admin")
            assert reply.status_code == status, (rule, path)
    rules.are(get_metadef_namespace="!")
    assert (await cloud.ask("GET", METADEFS, "admin")).json()["namespaces"] == []
    rules.are(delete_metadef_tags="!")
    assert (await cloud.ask("DELETE", f"{METADEFS}/ns/tags", "admin")).status_code == 403


async def test_loose_rules_give_nobody_others_images(cloud: Cloud, rules: Rules) -> None:
    image = await cloud.image("admin", visibility="public")
    url = f"/v2/images/{image['id']}"
    rules.are(deactivate="", modify_image="", delete_image="", upload_image="")
    for method, path in (
        ("POST", "/actions/deactivate"),
        ("PUT", "/tags/t"),
        ("PUT", "/file"),
        ("DELETE", ""),
    ):
        assert (await cloud.ask(method, url + path)).status_code == 403


async def test_members_and_objects_that_may_not_be_seen(cloud: Cloud, rules: Rules) -> None:
    image = await cloud.image()
    url = f"/v2/images/{image['id']}/members"
    await cloud.ask("POST", url, json={"member": "p2"})
    assert await _namespace(cloud, "ns", objects=[{"name": "o"}]) == 201
    rules.are(get_member="!", get_metadef_object="!")
    assert (await cloud.ask("GET", url)).json()["members"] == []
    assert (await cloud.ask("GET", f"{url}/p2")).status_code == 404
    assert (await cloud.ask("GET", f"{METADEFS}/ns/objects")).json()["objects"] == []


async def test_protections_may_name_rules_of_the_operators_own(tmp_path: Path) -> None:
    file = tmp_path / "protections"
    actions = "".join(f"{action} = makers\n" for action in ("create", "read", "update", "delete"))
    file.write_text(f"[^x_.*]\n{actions}[.*]\n" + actions.replace("makers", "everybody"))
    config = GlanceConfig(
        property_protection_file=str(file), property_protection_rule_format="policies"
    )
    async with cloud_in(tmp_path / "cloud", config) as cloud:
        Rules(cloud, tmp_path).are(makers="role:billing or role:Billing", everybody="")
        body = {"name": "i", "x_a": "1", "b": "2"}
        assert (await cloud.ask("POST", "/v2/images", json=body)).status_code == 403
        made = await cloud.ask("POST", "/v2/images", "billing", json=body)
        assert made.status_code == 201 and made.json()["x_a"] == "1"
        assert "x_a" not in await cloud.show(made.json()["id"])


async def test_tokens_of_the_system_and_of_domains_get_nowhere(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of glance's rules are for tokens of projects. Source: its policies' scope_types."""
    roles = ("admin", "manager", "member", "reader")
    scopes = {
        "system": Context("", user_id="s", system_scope="all", roles=roles),
        "domain": Context("", user_id="d", domain_id="default", roles=roles),
    }

    async def known(token: str, late: bool = False) -> Context:
        return scopes[token] if token in scopes else await authenticate(token)

    image = await cloud.image("admin", visibility="public")
    monkeypatch.setattr(cloud.app, "_authenticate", known)
    for who in scopes:
        for path in ("/v2/images", "/v2/cache", "/v2/info/stores/detail", METADEFS):
            assert (await cloud.ask("GET", path, who)).status_code == 403, (who, path)
        assert (await cloud.ask("GET", f"/v2/images/{image['id']}", who)).status_code == 404
        assert (await cloud.ask("POST", "/v2/images", who, json={})).status_code == 403
    assert (await cloud.ask("GET", f"/v2/images/{image['id']}", "other")).status_code == 200
