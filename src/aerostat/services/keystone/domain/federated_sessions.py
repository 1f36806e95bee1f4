"""Logins that an identity provider may end later: then their tokens end at once.

A row for each login knows the audit chain of its tokens. What came of a login by other ways, such
as an application credential or a trust, goes on: docs/rfd/0009 says why.
"""

from aerostat.kit.db.engine import Tx
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.domain import revocation
from aerostat.services.keystone.domain.pending_logins import hashed
from aerostat.services.keystone.domain.tokens import Resolved
from aerostat.services.keystone.model.federation import Assertion, FederatedSession
from aerostat.services.keystone.model.revocations import CHAIN
from aerostat.services.keystone.runtime import Keystone

C = tables.federation_sessions.c


async def begin(
    keystone: Keystone, way: tuple[str, str], assertion: Assertion, found: Resolved
) -> None:
    """Remember whose login led to a token, by the ids of identity provider and protocol."""
    if not assertion.subject:
        return
    subject = hashed(assertion.subject)
    session = hashed(assertion.session) if assertion.session else ""
    chain_id, end = found.token.audit_ids[-1], float(found.token.expires_at)
    now = keystone.clock.now()

    def write(tx: Tx) -> None:
        stores.federation_sessions.delete(tx, C.expires_at <= now)
        row = FederatedSession(chain_id, *way, subject, session, end)
        stores.federation_sessions.insert(tx, row)

    await keystone.db.write(write)


async def end(keystone: Keystone, way: tuple[str, str], subject: str, session: str) -> int:
    """End the tokens of a user's logins, or of those in one session; return how many logins.

    Either may be "", but not both.
    """
    assert subject or session
    where = [C.idp_id == way[0], C.protocol_id == way[1]]
    if subject:
        where.append(C.subject == hashed(subject))
    if session:
        where.append(C.session == hashed(session))

    def write(tx: Tx) -> int:
        ended = stores.federation_sessions.all(tx, *where)
        for row in ended:
            revocation.record(keystone, tx, CHAIN, row.chain_id)
        stores.federation_sessions.delete(tx, *where)
        return len(ended)

    return await keystone.change(write)
