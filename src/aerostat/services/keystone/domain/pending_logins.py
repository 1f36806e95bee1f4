"""Logins that wait for what an identity provider answers, and assertions that were used.

Both are rows, so that any copy can take the answer, and only one can.
"""

import base64
import hashlib
import secrets

from sqlalchemy import select

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.domain.tokens import refusal
from aerostat.services.keystone.model.federation import PendingLogin, SeenAssertion
from aerostat.services.keystone.runtime import Keystone

WAIT_S = 600
"""Seconds in which somebody must log in at the provider."""

PENDING_MAX = 20_000
"""Logins that wait at the most; anybody may begin one, so the oldest go when there are more."""

C, S = tables.federation_requests.c, tables.federation_seen.c


def random_text(keystone: Keystone) -> str:
    """Return 32 random bytes as 43 characters, which URLs and XML ids (after a `_`) may have."""
    return base64.urlsafe_b64encode(keystone.randomness(32)).decode().rstrip("=")


def hashed(secret: str) -> str:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def put(keystone: Keystone, login: tuple[str, str, str], data: dict[str, str]) -> None:
    """Let a login wait: its random id, identity provider and protocol."""
    now = keystone.clock.now()
    login_id, idp_id, protocol_id = login

    def write(tx: Tx) -> None:
        stores.federation_requests.delete(tx, C.expires_at <= now)
        row = PendingLogin(hashed(login_id), idp_id, protocol_id, data, now + WAIT_S)
        stores.federation_requests.insert(tx, row)
        newest = select(C.expires_at).order_by(C.expires_at.desc())
        too_old = tx.scalar(newest.offset(PENDING_MAX).limit(1))
        if too_old is not None:
            stores.federation_requests.delete(tx, C.expires_at <= too_old)

    await keystone.db.write(write)


async def take(keystone: Keystone, login: tuple[str, str, str], cookie: str = "") -> dict[str, str]:
    """Return what waits, which is gone then; `cookie` is that of the browser it began in.

    Raises: Unauthorized (nothing waits, or it began in another browser, or too long ago).
    """
    now = keystone.clock.now()
    login_id, idp_id, protocol_id = login

    def write(tx: Tx) -> dict[str, str] | None:
        key = hashed(login_id)
        found = stores.federation_requests.get(tx, key)
        if found is None or (found.idp_id, found.protocol_id) != (idp_id, protocol_id):
            return None
        bound_to = found.data.get("cookie", "")
        if bound_to and not secrets.compare_digest(bound_to, hashed(cookie)):
            return None
        alone = stores.federation_requests.delete(tx, C.id == key) == 1
        return found.data if alone and found.expires_at > now else None

    data = await keystone.db.write(write)
    if data is None:
        raise refusal("no login waits for this answer in this browser")
    return data


async def once(keystone: Keystone, issuer: str, assertion_id: str, until: float) -> None:
    """Let an assertion count this one time. Raises: Unauthorized (it did before)."""
    now = keystone.clock.now()
    key = hashed(f"{issuer}\n{assertion_id}")

    def write(tx: Tx) -> None:
        stores.federation_seen.delete(tx, S.expires_at <= now)
        stores.federation_seen.insert(tx, SeenAssertion(key, until))

    try:
        await keystone.db.write(write)
    except Conflict as why:
        raise refusal("the assertion was used before") from why
