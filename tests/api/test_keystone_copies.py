"""Several keystones over one database and one key repository: what one does, all know at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from keystone_cloud import PASSWORD, Cloud, TickingClock, by_password, cloud_at

from aerostat.kit.errors import Conflict
from aerostat.services.keystone.domain.keys import ACTIONS
from aerostat.services.keystone.generation import Watch


@pytest.fixture
async def copies(tmp_path: Path) -> AsyncIterator[list[Cloud]]:
    clock = TickingClock()
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(cloud_at(tmp_path, shared=True, clock=clock))
            for _ in range(3)
        ]


async def test_a_revocation_is_known_everywhere_at_once(copies: list[Cloud]) -> None:
    first, *others = copies
    user, project, token = await first.member()
    for other in others:
        assert (await other.validate(token)).status_code == 200
        assert (await other.validate(token)).status_code == 200  # Remembered now.
    reply = await first.call("DELETE", "/auth/tokens", **{"X-Subject-Token": token})
    assert reply.status_code == 204
    for other in copies:
        assert (await other.validate(token)).status_code == 404
        assert (await other.call("GET", "/auth/projects", token)).status_code == 401
    assert user and project


async def test_so_is_every_other_change(copies: list[Cloud]) -> None:
    first, second, third = copies
    user, project, token = await first.member()
    grant = f"/projects/{project['id']}/users/{user['id']}/roles/{first.roles['member']}"
    assert (await second.validate(token)).status_code == 200
    assert (await third.call("DELETE", grant)).status_code == 204
    assert (await second.validate(token)).status_code == 404
    assert (await first.call("PUT", grant)).status_code == 204
    assert (await second.validate(token)).status_code == 200
    off = {"user": {"enabled": False}}
    assert (await third.call("PATCH", f"/users/{user['id']}", json=off)).status_code == 200
    assert (await first.validate(token)).status_code == 404
    assert (await second.authenticate(by_password(user["id"]))).status_code == 401


async def test_many_validations_share_a_read(copies: list[Cloud]) -> None:
    cloud = copies[0]
    reads = 0
    read = cloud.keystone.db.read

    async def counted(fn, *args):  # type: ignore[no-untyped-def]
        nonlocal reads
        reads += 1
        await asyncio.sleep(0)
        return await read(fn, *args)

    _, _, token = await cloud.member()
    await cloud.validate(token)
    cloud.keystone.db.read = counted  # type: ignore[method-assign]
    replies = await asyncio.gather(*(cloud.validate(token) for _ in range(100)))
    assert {r.status_code for r in replies} == {200}
    assert reads <= 20, reads


async def test_who_asks_waits_for_a_read_that_began_later() -> None:
    """A number read before somebody asked may be older than what that one already knows."""

    class Slow:
        def __init__(self) -> None:
            self.value = 0
            self.gates: list[asyncio.Event] = []
            self.came = asyncio.Condition()

        async def read(self, _fn: object) -> int:
            found, gate = self.value, asyncio.Event()
            async with self.came:
                self.gates.append(gate)
                self.came.notify_all()
            await gate.wait()
            return found

    async def until(count: int) -> None:
        async with db.came:
            await db.came.wait_for(lambda: len(db.gates) >= count)

    db = Slow()
    watch = Watch(db)  # type: ignore[arg-type]
    first = asyncio.create_task(watch.current())
    await until(1)
    db.value = 7
    later = [asyncio.create_task(watch.current()) for _ in range(5)]
    db.gates[0].set()
    await until(2)
    db.gates[1].set()
    assert await first == 0
    assert await asyncio.gather(*later) == [7] * 5
    assert len(db.gates) == 2


@pytest.mark.parametrize("provider", ["fernet", "jws"])
async def test_keys_rotate_without_a_gap(tmp_path: Path, provider: str) -> None:
    """Each copy understands what any other signs, before and after it heard of a rotation."""
    clock = TickingClock()
    options = {"shared": True, "clock": clock, "token_provider": provider}
    async with cloud_at(tmp_path, **options) as one, cloud_at(tmp_path, **options) as two:
        user, project, _ = await one.member()
        scope = {"project": {"id": project["id"]}}
        admin = (await one.get("/users?name=admin"))["users"][0]["id"]
        for _ in range(5):
            old = await two.log_in(user["id"], scope=scope)
            one.keystone.token_format.rotate()
            one.admin = await one.log_in(admin, scope={"system": {"all": True}})
            two.admin = one.admin
            new = await one.log_in(user["id"], scope=scope)
            theirs = await two.log_in(user["id"], scope=scope)
            for cloud in (one, two):
                for token in (old, new, theirs):
                    cloud.keystone.changed()
                    assert (await cloud.validate(token)).status_code == 200
        if provider == "jws":
            assert old.count(".") == 2
            head, body, signature = old.split(".")
            for forged in (f"{head}.{body}.", f"{head}.{body[:-2]}AA.{signature}", f"e30.{body}.x"):
                assert (await one.validate(forged)).status_code == 404


async def test_credentials_are_encrypted_again_after_a_rotation(copies: list[Cloud]) -> None:
    cloud, other, _ = copies
    user = await cloud.user()
    made = [
        await cloud.make("credential", type="x", blob=f"secret-{i}", user_id=user["id"])
        for i in range(3)
    ]
    assert (await ACTIONS["credential-migrate"](cloud.keystone)).startswith("0 ")
    for _ in range(4):  # More often than keys are kept.
        await ACTIONS["credential-rotate"](cloud.keystone)
        with pytest.raises(Conflict):  # A second one might drop the key that is in use.
            await ACTIONS["credential-rotate"](cloud.keystone)
        assert (await ACTIONS["credential-migrate"](cloud.keystone)).startswith("3 ")
    for item in made:
        shown = (await other.get(f"/credentials/{item['id']}"))["credential"]
        assert shown["blob"] == item["blob"] and "key_hash" not in shown
    assert PASSWORD
