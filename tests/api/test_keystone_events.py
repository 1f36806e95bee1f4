"""CADF notifications: who did what, and who tried to come in."""

from pathlib import Path
from typing import Any

import pytest
from keystone_cloud import PASSWORD, Cloud, Heard, by_name, by_password, by_token, cloud_at
from keystone_world import GUARDED

from aerostat.contracts import events
from aerostat.contracts.events import BusNotifier, notifications
from aerostat.kit.bus.embedded import EmbeddedBus
from aerostat.services.keystone.api.notifications import told
from aerostat.services.keystone.config import KeystoneConfig


@pytest.fixture
def heard(cloud: Cloud) -> Heard:
    cloud.keystone.notifier = heard = Heard()
    return heard


def test_every_change_has_an_event() -> None:
    from aerostat.kit.http.route import Route

    def tell(route: Route) -> Any:
        return told(Route(route.method, route.path.removeprefix("/v3"), *[None] * 3))  # type: ignore[arg-type]

    changes = [route for route in GUARDED if route.method != "GET"]
    silent = {r.path for r in changes if tell(r) is None}
    assert silent == {"/v3/ec2tokens", "/v3/s3tokens"}  # Those are logins.


async def test_changes(cloud: Cloud, heard: Heard) -> None:
    user = await cloud.user()
    said = heard.last("identity.user.created")
    assert said["action"] == "created.user" and said["outcome"] == "success"
    assert said["typeURI"] == "http://schemas.dmtf.org/cloud/audit/1.0/event"
    assert said["target"] == {"typeURI": "data/security/account/user", "id": user["id"]}
    assert said["resource_info"] == user["id"] and said["eventTime"].endswith("+0000")
    who = said["initiator"]
    assert who["username"] == "admin" and who["project_id"] and who["request_id"]
    assert who["host"]["address"] and who["host"]["agent"].startswith("python-httpx")
    project = await cloud.make("project")
    await cloud.grant(f"/projects/{project['id']}/users/{user['id']}", "member")
    said = heard.last("identity.role_assignment.created")
    assert said["user"] == user["id"] and said["project"] == project["id"]
    group = await cloud.make("group")
    await cloud.call("PUT", f"/groups/{group['id']}/users/{user['id']}")
    assert heard.last("identity.group.added")["user"] == user["id"]
    await cloud.call("PATCH", f"/users/{user['id']}", json={"user": {"enabled": False}})
    assert heard.last("identity.user.updated")["resource_info"] == user["id"]
    await cloud.call("DELETE", f"/users/{user['id']}")
    assert heard.last("identity.user.deleted")["resource_info"] == user["id"]
    before = len(heard.events)
    await cloud.call("DELETE", f"/users/{user['id']}")
    await cloud.get("/users")
    assert len(heard.events) == before  # Nothing happened.


async def test_logins(cloud: Cloud, heard: Heard) -> None:
    user = await cloud.user(options={"multi_factor_auth_rules": [["password", "totp"]]})
    await cloud.authenticate(by_name("admin", PASSWORD, {"id": "default"}))
    said = heard.last("identity.authenticate")
    assert said["outcome"] == "success" and said["initiator"]["username"] == "admin"
    await cloud.authenticate(by_password(user["id"]))
    assert heard.last("identity.authenticate")["outcome"] == "pending"
    for identity, name in (
        (by_password(user["id"], "wrong"), user["id"]),
        (by_name("nobody", PASSWORD, {"id": "default"}), "unknown"),
        (by_token("forged"), "unknown"),
    ):
        await cloud.authenticate(identity)
        said = heard.last("identity.authenticate")
        assert said["outcome"] == "failure" and said["initiator"]["id"] == name
    assert PASSWORD not in str(heard.events) and "wrong" not in str(said["initiator"])


async def test_some_may_be_left_out(tmp_path: Path) -> None:
    hidden = ("identity.authenticate.success", "identity.user.created")
    async with cloud_at(tmp_path, notification_opt_out=hidden) as cloud:
        cloud.keystone.notifier = heard = Heard()
        user = await cloud.user()
        await cloud.authenticate(by_password(user["id"]))
        assert not heard.events
        await cloud.authenticate(by_password(user["id"], "wrong"))
        assert len(heard.events) == 1


async def test_over_the_bus(
    cloud: Cloud, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus, heard = EmbeddedBus(), Heard()
    cloud.keystone.notifier = notifier = BusNotifier(bus)
    monkeypatch.setattr(events, "AWAY_S", 0.0)
    with caplog.at_level("INFO", "aerostat.events"):
        await cloud.user()
        assert notifier.sending is not None
        await notifier.sending
    assert [r.message for r in caplog.records if r.name == "aerostat.events"] == [
        "identity.user.created"
    ]
    notifications.serve(bus, heard)
    made = await cloud.user()
    await notifier.sending
    assert [e.payload["resource_info"] for e in heard.events] == [made["id"]]
    await bus.close()


async def test_wrong_passwords_are_told_apart_but_not_told(tmp_path: Path) -> None:
    options = {
        "report_invalid_password_hash": ("event",),
        "invalid_password_hash_secret_key": "pepper",
        "invalid_password_hash_max_chars": 6,
    }
    async with cloud_at(tmp_path, **options) as cloud:
        cloud.keystone.notifier = heard = Heard()
        user = await cloud.user()

        async def hash_of(user_id: str, password: str) -> list[str]:
            assert (await cloud.authenticate(by_password(user_id, password))).status_code == 401
            told = heard.last("identity.authenticate")
            assert password not in str(told)
            return [part["content"] for part in told.get("attachments", [])]

        first, again = await hash_of(user["id"], "guess-1"), await hash_of(user["id"], "guess-1")
        assert first == again and len(first[0]) == 6
        assert await hash_of(user["id"], "guess-2") != first
        assert await hash_of("nobody", "guess-1") == []  # Nobody's password is not wrong.
    with pytest.raises(ValueError, match="secret_key"):
        KeystoneConfig(report_invalid_password_hash=("event",))
