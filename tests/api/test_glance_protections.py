"""Property protections: who may create, read, update and delete which custom properties."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from glance_cloud import Cloud, cloud_in

from aerostat.kit.errors import BadRequest
from aerostat.services.glance.config import GlanceConfig
from aerostat.services.glance.protections import load

ROLES = """
[^x_billing_code_]
create = admin
read = admin, billing
update = billing
delete = admin
[^x_none]
create = !
read = @
update = !
delete = !
[^x_secret$]
create = billing
read = billing
update = billing
delete = billing
[^x_]
create = @
read = @
update = @
delete =
[hw_]
create = member
read = reader
update = member
delete = member
"""
CODE = "x_billing_code_1"


def _config(folder: Path, text: str, rule_format: Any = "roles") -> GlanceConfig:
    path = folder / "protections.conf"
    path.write_text(text)
    return GlanceConfig(
        property_protection_file=str(path), property_protection_rule_format=rule_format
    )


@pytest.fixture
async def cloud(tmp_path: Path) -> AsyncIterator[Cloud]:
    async with cloud_in(tmp_path, _config(tmp_path, ROLES)) as cloud:
        yield cloud


async def _create(cloud: Cloud, who: str, **properties: str) -> int:
    body = {"name": "i", **properties}
    return (await cloud.ask("POST", "/v2/images", who, json=body)).status_code


async def _patch(cloud: Cloud, who: str, image_id: str, op: str, name: str) -> int:
    ops = [{"op": op, "path": f"/{name}", **({} if op == "remove" else {"value": "new"})}]
    return (await cloud.patch(image_id, ops, who)).status_code


async def test_creation(cloud: Cloud) -> None:
    assert await _create(cloud, "admin", **{CODE: "1"}) == 201
    assert await _create(cloud, "member", **{CODE: "1"}) == 403
    assert await _create(cloud, "billing", **{CODE: "1"}) == 403
    assert await _create(cloud, "member", x_any="1", hw_disk_bus="scsi") == 201
    for who in ("admin", "member"):
        assert await _create(cloud, who, x_none="1") == 403
    assert await _create(cloud, "admin", of_no_section="1") == 403


async def test_reading(cloud: Cloud) -> None:
    made = await cloud.image("admin", owner="p1", **{CODE: "7"}, x_any="1")
    for who, seen in (("admin", True), ("billing", True), ("member", False)):
        shown = await cloud.show(made["id"], who)
        listed = (await cloud.ask("GET", "/v2/images", who)).json()["images"][0]
        for document in (shown, listed):
            assert (CODE in document) == seen and document["x_any"] == "1"


async def test_changes(cloud: Cloud) -> None:
    made = await cloud.image("admin", owner="p1", **{CODE: "7"}, x_any="1", hw_a="1")
    image_id = made["id"]
    for who, op, name, status in (
        ("member", "replace", CODE, 409),  # Not seen: it does not exist.
        ("member", "remove", CODE, 409),
        ("member", "add", CODE, 403),
        ("admin", "replace", CODE, 403),
        ("billing", "replace", CODE, 200),
        ("billing", "remove", CODE, 403),
        ("member", "replace", "x_any", 200),
        ("member", "remove", "x_any", 403),
        ("admin", "remove", "x_any", 403),
        ("member", "add", "x_secret", 403),
        ("billing", "add", "x_secret", 200),
        ("member", "replace", "hw_a", 200),
        ("member", "remove", "hw_a", 200),
        ("admin", "remove", CODE, 200),
    ):
        assert await _patch(cloud, who, image_id, op, name) == status, (who, op, name)
        shown = await cloud.show(image_id, "billing")
        assert name != CODE or op == "remove" or shown[CODE] in ("7", "new")
    # What a member does not see is still there after the member's changes.
    assert (await cloud.show(image_id, "billing"))["x_secret"] == "new"
    assert "x_secret" not in await cloud.show(image_id)


async def test_policy_rules(tmp_path: Path) -> None:
    text = "[^x_]\ncreate = context_is_admin\nread = @\nupdate = get_images\ndelete = unknown\n"
    async with cloud_in(tmp_path, _config(tmp_path, text, "policies")) as cloud:
        assert await _create(cloud, "member", x_a="1") == 403
        made = await cloud.image("admin", owner="p1", x_a="1")
        assert await _patch(cloud, "member", made["id"], "replace", "x_a") == 200
        assert await _patch(cloud, "admin", made["id"], "remove", "x_a") == 403


@pytest.mark.parametrize(
    ("text", "rule_format"),
    [
        ("[x]\ncreate = a\nread = a\nupdate = a\n", "roles"),
        ("[(x]\ncreate = a\nread = a\nupdate = a\ndelete = a\n", "roles"),
        ("[x]\ncreate = @, !\nread = a\nupdate = a\ndelete = a\n", "roles"),
        ("[x]\ncreate = a, b\nread = a\nupdate = a\ndelete = a\n", "policies"),
        ("create = a\n", "roles"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, rule_format: str) -> None:
    path = tmp_path / "f"
    with pytest.raises(BadRequest):
        load(path, rule_format)
    path.write_text(text)
    with pytest.raises(BadRequest, match="property_protection_file"):
        load(path, rule_format)
