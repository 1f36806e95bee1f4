"""Trusts: one user lets another act for it in a project."""

from typing import Any

from sqlalchemy import or_, update

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Forbidden
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.db.assignments import role_graph, role_ids_on_project
from aerostat.services.keystone.domain import nouns, revocation
from aerostat.services.keystone.domain.tokens import refusal
from aerostat.services.keystone.model.revocations import TRUST
from aerostat.services.keystone.model.secrets import Trust
from aerostat.services.keystone.runtime import Keystone

C = tables.trusts.c


async def create(keystone: Keystone, trust: Trust, role_refs: list[dict[str, str]]) -> Trust:
    """Store `trust` with the roles meant by `role_refs` (id or name each).

    Raises: Forbidden (roles that the trustor has not), BadRequest, NotFound.
    """

    def write(tx: Tx) -> Trust:
        from msgspec.structs import replace

        nouns.users.must(tx, trust.trustee_user_id)
        if trust.project_id:
            nouns.projects.must(tx, trust.project_id)
        roles = _roles(tx, role_refs)
        held = role_graph(tx).expand(
            role_ids_on_project(tx, trust.trustor_user_id, trust.project_id)
        )
        if not set(roles) <= {r.id for r in held} or (trust.project_id and not roles):
            raise Forbidden("At least one role should be specified, all held by the trustor.")
        made = replace(trust, roles=roles)
        stores.trusts.insert(tx, made)
        return made

    if trust.expires_at is not None and trust.expires_at <= keystone.clock.now():
        raise BadRequest("Expiration time must be in the future.", field="expires_at")
    return await keystone.db.write(write)


def _roles(tx: Tx, refs: list[dict[str, str]]) -> list[str]:
    ids = []
    for ref in refs:
        if "id" in ref:
            ids.append(nouns.roles.must(tx, ref["id"]).id)
            continue
        c = tables.roles.c
        found = stores.roles.first(tx, c.name == ref.get("name", ""), c.domain_id == "")
        if found is None:
            raise nouns.roles.missing(ref.get("name", ""))
        ids.append(found.id)
    return ids


async def listed(keystone: Keystone, trustor: str, trustee: str) -> list[Trust]:
    """Return the trusts that live, of this trustor and trustee where given."""

    def read(tx: Tx) -> list[Trust]:
        conds: list[Any] = [C.deleted_at.is_(None)]
        now = keystone.clock.now()
        conds.append(or_(C.expires_at.is_(None), C.expires_at > now))
        if trustor:
            conds.append(C.trustor_user_id == trustor)
        if trustee:
            conds.append(C.trustee_user_id == trustee)
        return stores.trusts.all(tx, *conds)

    return await keystone.db.read(read)


async def show(keystone: Keystone, trust_id: str) -> Trust:
    """Return a trust that lives. Raises: NotFound."""
    trust = await nouns.find(keystone, nouns.trusts, trust_id)
    ended = trust.expires_at is not None and trust.expires_at <= keystone.clock.now()
    if ended or trust.deleted_at is not None:
        raise nouns.trusts.missing(trust_id)
    return trust


async def delete(keystone: Keystone, trust_id: str) -> None:
    """End a trust and its tokens."""

    def write(tx: Tx) -> None:
        tx.run(
            update(tables.trusts).where(C.id == trust_id).values(deleted_at=keystone.clock.now())
        )
        revocation.record(keystone, tx, TRUST, trust_id)

    await keystone.change(write)


async def consume(keystone: Keystone, trust_id: str, user_id: str) -> Trust:
    """Use up one of a trust's uses. Raises: Unauthorized, Forbidden (not the trustee)."""
    trust = await nouns.look(keystone, nouns.trusts, trust_id)
    if trust is None or trust.deleted_at is not None:
        raise refusal("trust is gone")
    if trust.trustee_user_id != user_id:
        raise Forbidden("User is not a trustee.")
    if trust.remaining_uses is not None:
        left = C.remaining_uses > 0
        stmt = update(tables.trusts).where(C.id == trust_id, left)

        def write(tx: Tx) -> int:
            return tx.run(stmt.values(remaining_uses=C.remaining_uses - 1))

        if not await keystone.change(write):
            raise refusal("trust is used up")
    return trust
