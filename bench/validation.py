"""Token validations a second, with 0, 100 and 10,000 revocations.

One process over SQLite, alone and as one of several copies (each validation then waits for a
fresh look at the database), the whole way through the HTTP edge but for the socket. "again" is a
token that was seen before, "new" one that was not (it is decrypted and looked up).

usage: ./aerostat bench validation [--seconds=N]
"""

import argparse
import asyncio
import tempfile
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec

from aerostat.kit.db.engine import Tx
from aerostat.kit.db.migrate import upgrade
from aerostat.kit.db.sqlite import SqliteDatabase
from aerostat.kit.http.edge import Api
from aerostat.kit.http.policy import Policy
from aerostat.services.keystone.config import KeystoneConfig
from aerostat.services.keystone.domain import revocation
from aerostat.services.keystone.domain.bootstrap import bootstrap
from aerostat.services.keystone.model.revocations import AUDIT
from aerostat.services.keystone.provides import IdentityProvider
from aerostat.services.keystone.runtime import Keystone, build
from aerostat.services.keystone.service import manifest

PASSWORD = "of the benchmark"
TOGETHER = 32


class Caller:
    """Calls an application without a socket."""

    def __init__(self, keystone: Keystone) -> None:
        authenticate = IdentityProvider(keystone).authenticate
        self._app: Api[Any] = Api(manifest.api, keystone, Policy(manifest.rules), authenticate)

    async def call(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[bytes, bytes]]:
        """Return the status and the headers of the answer."""
        sent = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
        answer: dict[str, Any] = {}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, Any]) -> None:
            answer.update(message)

        scope = {"type": "http", "method": method, "path": path, "headers": sent}
        await self._app({**scope, "query_string": b"", "client": None}, receive, send)
        return answer["status"], dict(answer["headers"])

    async def log_in(self) -> str:
        """Return a token of the administrator."""
        domain = {"id": "default"}
        user = {"name": "admin", "password": PASSWORD, "domain": domain}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": "admin", "domain": domain}}
        body = msgspec.json.encode({"auth": {"identity": identity, "scope": scope}})
        status, headers = await self.call("POST", "/v3/auth/tokens", body)
        assert status == 201, status
        return headers[b"x-subject-token"].decode()


async def rate(caller: Caller, token: str, subjects: list[str], seconds: float) -> float:
    """Return validations a second, TOGETHER at a time."""
    done = 0

    async def one(worker: int) -> None:
        nonlocal done
        number = worker
        while time.perf_counter() < end:
            subject = subjects[number % len(subjects)]
            status, _ = await caller.call(
                "GET", "/v3/auth/tokens", x_auth_token=token, x_subject_token=subject
            )
            assert status == 200, status
            done += 1
            number += TOGETHER

    began = time.perf_counter()
    end = began + seconds
    await asyncio.gather(*(one(worker) for worker in range(TOGETHER)))
    return done / (time.perf_counter() - began)


async def measure(shared: bool, revocations: int, seconds: float) -> tuple[float, float]:
    """Return the rates of tokens seen before and of new ones."""
    with tempfile.TemporaryDirectory() as folder:
        db = SqliteDatabase(Path(folder) / "db")
        await upgrade(db, "keystone", manifest.migrations)
        config = KeystoneConfig(password_hash_rounds=4)
        keystone = build(db, Path(folder), config, shared=shared)
        await bootstrap(keystone, admin_password=PASSWORD)

        def revoke(tx: Tx) -> None:
            for number in range(revocations):
                revocation.record(keystone, tx, AUDIT, f"audit-{number}")

        await keystone.change(revoke)
        caller = Caller(keystone)
        token = await caller.log_in()
        again = await rate(caller, token, [token], seconds)
        subjects = [await caller.log_in() for _ in range(500)]
        keystone.config = KeystoneConfig(token_cache_entries=1)  # Nothing is seen before.
        keystone.changed()
        keystone.replies = Forgetful()
        new = await rate(caller, token, subjects, seconds)
        keystone.hasher.close()
        await db.close()
    return again, new


class Forgetful(OrderedDict[Any, Any]):
    """Remembers nothing."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0)
    seconds = parser.parse_args().seconds
    print("copies  revocations   again/s     new/s")
    for shared in (False, True):
        for revocations in (0, 100, 10_000):
            again, new = asyncio.run(measure(shared, revocations, seconds))
            copies = "several" if shared else "one"
            print(f"{copies:7} {revocations:11,} {again:9,.0f} {new:9,.0f}")


if __name__ == "__main__":
    main()
