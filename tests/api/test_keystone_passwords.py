"""Passwords by the rules of an operator: strength, age, history, expiry, lockout, idle users."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from keystone_cloud import PASSWORD, Cloud, by_name, by_password, cloud_at

DAY = 86_400


async def change(cloud: Cloud, user_id: str, old: str, new: str) -> httpx.Response:
    body = {"user": {"original_password": old, "password": new}}
    return await cloud.call("POST", f"/users/{user_id}/password", "", body)


async def status(cloud: Cloud, user_id: str, password: str = PASSWORD) -> int:
    return (await cloud.authenticate(by_password(user_id, password))).status_code


async def test_lockout_ends_by_time_and_by_an_administrator(tmp_path: Path) -> None:
    async with cloud_at(tmp_path, lockout_failure_attempts=3, lockout_duration=60) as cloud:
        user = await cloud.user()
        for _ in range(2):
            assert await status(cloud, user["id"], "wrong") == 401
        assert await status(cloud, user["id"]) == 201  # Begins anew.
        for _ in range(3):
            assert await status(cloud, user["id"], "wrong") == 401
        locked = await cloud.authenticate(by_password(user["id"]))
        unknown = await cloud.authenticate(by_password("nobody"))
        assert (locked.status_code, locked.json()) == (401, unknown.json())  # CVE-2021-38155
        assert (await change(cloud, user["id"], PASSWORD, "another")).status_code == 401
        cloud.clock.time += 61
        assert await status(cloud, user["id"]) == 201
        for _ in range(3):
            await status(cloud, user["id"], "wrong")
        assert await status(cloud, user["id"]) == 401
        await cloud.call("PATCH", f"/users/{user['id']}", json={"user": {"enabled": True}})
        assert await status(cloud, user["id"]) == 201


async def test_lockout_is_shared_with_passcodes_and_may_be_ignored(tmp_path: Path) -> None:
    async with cloud_at(tmp_path, lockout_failure_attempts=2) as cloud:
        user = await cloud.user()
        proof = {"methods": ["totp"], "totp": {"user": {"id": user["id"], "passcode": "000000"}}}
        for _ in range(2):
            assert (await cloud.authenticate(proof)).status_code == 401
        assert await status(cloud, user["id"]) == 401
        body = {"user": {"options": {"ignore_lockout_failure_attempts": True}}}
        assert (await cloud.call("PATCH", f"/users/{user['id']}", json=body)).status_code == 200
        assert await status(cloud, user["id"]) == 201


async def test_strength(tmp_path: Path) -> None:
    rule = {"password_regex": r"^(?=.*\d).{7,}$", "password_regex_description": "a digit, 7 long"}
    async with cloud_at(tmp_path, **rule) as cloud:
        body = {"user": {"name": "weak", "password": "short1"}}
        reply = await cloud.call("POST", "/users", json=body)
        assert reply.status_code == 400 and "a digit, 7 long" in reply.text
        user = await cloud.make("user", password="long enough 1")
        reply = await change(cloud, user["id"], "long enough 1", "weak")
        assert reply.status_code == 400
        body = {"user": {"password": "weak"}}
        assert (await cloud.call("PATCH", f"/users/{user['id']}", json=body)).status_code == 400
        path = "/domains/default/config/security_compliance"
        shown = (await cloud.get(path))["config"]["security_compliance"]
        assert shown == {
            "password_regex": rule["password_regex"],
            "password_regex_description": "a digit, 7 long",
        }


async def test_history_and_minimum_age(tmp_path: Path) -> None:
    rule = {"unique_last_password_count": 2, "minimum_password_age": 1}
    async with cloud_at(tmp_path, **rule) as cloud:
        user = (await cloud.user())["id"]
        assert (await change(cloud, user, PASSWORD, PASSWORD)).status_code == 400
        assert (await change(cloud, user, PASSWORD, "second")).status_code == 204
        early = await change(cloud, user, "second", "third")
        assert early.status_code == 400 and "minimum password age" in early.text
        cloud.clock.time += DAY
        again = await change(cloud, user, "second", PASSWORD)
        assert again.status_code == 400 and "identical to a previous" in again.text
        assert (await change(cloud, user, "second", "third")).status_code == 204
        cloud.clock.time += DAY
        assert (await change(cloud, user, "third", PASSWORD)).status_code == 204


async def test_passwords_expire(tmp_path: Path) -> None:
    async with cloud_at(tmp_path, password_expires_days=2) as cloud:
        user = await cloud.user()
        exempt = await cloud.user(options={"ignore_password_expiry": True})
        assert user["password_expires_at"] and exempt["password_expires_at"] is None
        cloud.clock.time += 2 * DAY
        reply = await cloud.authenticate(by_password(user["id"]))
        assert reply.status_code == 401 and "needs to be changed" in reply.text
        assert await status(cloud, user["id"], "wrong") == 401
        assert await status(cloud, exempt["id"]) == 201
        assert (await change(cloud, user["id"], PASSWORD, "fresh")).status_code == 204
        assert await status(cloud, user["id"], "fresh") == 201
        assert await status(cloud, user["id"]) == 401


async def test_users_by_the_end_of_their_password(tmp_path: Path) -> None:
    async with cloud_at(tmp_path, password_expires_days=2) as cloud:
        user = await cloud.user()
        at = user["password_expires_at"].split(".")[0] + "Z"
        found = (await cloud.get(f"/users?password_expires_at=lte:{at}"))["users"]
        assert user["id"] in {u["id"] for u in found}
        assert not (await cloud.get(f"/users?password_expires_at=gt:{at}"))["users"]
        reply = await cloud.call("GET", "/users?password_expires_at=lt:yesterday")
        assert reply.status_code == 400
        reply = await cloud.call("GET", f"/users?password_expires_at=about:{at}")
        assert reply.status_code == 400


async def test_first_use(tmp_path: Path) -> None:
    async with cloud_at(tmp_path, change_password_upon_first_use=True) as cloud:
        user = (await cloud.user())["id"]
        option = {"ignore_change_password_upon_first_use": True}
        service = (await cloud.user(options=option))["id"]
        assert await status(cloud, user) == 401 and await status(cloud, service) == 201
        assert (await change(cloud, user, PASSWORD, "mine")).status_code == 204
        assert await status(cloud, user, "mine") == 201
        body = {"user": {"password": "reset"}}
        await cloud.call("PATCH", f"/users/{user}", json=body)
        assert await status(cloud, user, "reset") == 401


async def test_idle_users_are_disabled(tmp_path: Path) -> None:
    async with cloud_at(tmp_path, disable_user_account_days_inactive=3) as cloud:
        user = (await cloud.user())["id"]
        option = {"ignore_user_inactivity": True}
        exempt = (await cloud.user(options=option))["id"]
        cloud.clock.time += 2 * DAY
        assert await status(cloud, user) == 201
        cloud.clock.time += 2 * DAY
        assert await status(cloud, user) == 201  # The last login counts.
        cloud.clock.time += 3 * DAY
        assert await status(cloud, user) == 401 and await status(cloud, exempt) == 201
        admin = (
            await cloud.authenticate(by_name("admin", PASSWORD, {"id": "default"}))
        ).status_code
        assert admin == 401


async def test_locked_passwords(tmp_path: Path) -> None:
    async with cloud_at(tmp_path) as cloud:
        user = (await cloud.user(options={"lock_password": True}))["id"]
        reply = await change(cloud, user, PASSWORD, "another")
        assert reply.status_code == 400 and "disallowing" in reply.text
        body: Any = {"user": {"options": {"lock_password": None}}}
        changed = (await cloud.call("PATCH", f"/users/{user}", json=body)).json()["user"]
        assert changed["options"] == {}
        assert (await change(cloud, user, PASSWORD, "another")).status_code == 204


@pytest.mark.parametrize(
    "options",
    [
        {"unheard_of": True},
        {"lock_password": "yes"},
        {"multi_factor_auth_rules": ["password"]},
        {"multi_factor_auth_rules": [[]]},
        {"multi_factor_auth_rules": [["password", "password"]]},
        {"multi_factor_auth_rules": [["password", 5]]},
    ],
)
async def test_wrong_options(tmp_path: Path, options: Any) -> None:
    async with cloud_at(tmp_path) as cloud:
        body = {"user": {"name": "x", "options": options}}
        assert (await cloud.call("POST", "/users", json=body)).status_code == 400


async def test_immutable_things_stay(tmp_path: Path) -> None:
    async with cloud_at(tmp_path) as cloud:
        for noun in ("role", "project", "domain"):
            item = await cloud.make(noun, options={"immutable": True})
            path = f"/{noun}s/{item['id']}"
            for body in (
                {"description": "x"},
                {"description": "x", "options": {"immutable": False}},
            ):
                reply = await cloud.call("PATCH", path, json={noun: body})
                assert reply.status_code == 403 and "immutable" in reply.text
            assert (await cloud.call("DELETE", path)).status_code == 403
            free = {noun: {"options": {"immutable": False}}}
            assert (await cloud.call("PATCH", path, json=free)).status_code == 200
            more = {noun: {"enabled": False} if noun == "domain" else {"description": "x"}}
            assert (await cloud.call("PATCH", path, json=more)).status_code == 200
            assert (await cloud.call("DELETE", path)).status_code == 204
