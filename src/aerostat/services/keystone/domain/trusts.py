"""Trusts: one user lets another act for it in a project."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import or_, update

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest, Forbidden
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.db.assignments import role_graph, role_ids_on_project
from aerostat.services.keystone.domain import identity, nouns, revocation
from aerostat.services.keystone.domain.tokens import refusal, trust_chain
from aerostat.services.keystone.model.revocations import TRUST
from aerostat.services.keystone.model.secrets import Trust
from aerostat.services.keystone.runtime import Keystone

C = tables.trusts.c


class Redelegation(Struct, frozen=True):
    """Whether and how often a new trust may be passed on, and the trust it is passed on from."""

    allowed: bool
    count: int | None
    source_trust_id: str = ""


async def create(
    keystone: Keystone, trust: Trust, role_refs: list[dict[str, str]], wish: Redelegation
) -> Trust:
    """Store `trust` with the roles meant by `role_refs` (id or name each).

    Raises: Forbidden (roles that the trustor has not, too many steps), BadRequest, NotFound.
    """

    now = keystone.clock.now()

    def write(tx: Tx) -> Trust:
        nouns.users.must(tx, trust.trustee_user_id)
        if trust.project_id:
            nouns.projects.must(tx, trust.project_id)
        chain = trust_chain(tx, wish.source_trust_id)
        if wish.source_trust_id and not chain:
            raise nouns.trusts.missing(wish.source_trust_id)
        roles = _roles(tx, role_refs)
        grantor = chain[-1].trustor_user_id if chain else trust.trustor_user_id
        said = identity.said_groups(keystone, tx, grantor, now)
        held = role_graph(tx).expand(role_ids_on_project(tx, grantor, trust.project_id, said))
        for role_id in roles:
            if role_id not in {r.id for r in held}:
                raise nouns.roles.missing(role_id)
        if trust.project_id and not roles:
            raise Forbidden("At least one role should be specified.")
        made = replace(trust, roles=roles, redelegation_count=_steps(keystone, trust, wish, chain))
        if chain:
            made = replace(made, redelegated_trust_id=chain[0].id)
        for parent in chain:
            made = _within(keystone, made, parent)
        stores.trusts.insert(tx, made)
        return made

    if trust.expires_at is not None and trust.expires_at <= keystone.clock.now():
        raise BadRequest("Expiration time must be in the future.", field="expires_at")
    return await keystone.change(write)


def _steps(keystone: Keystone, trust: Trust, wish: Redelegation, chain: tuple[Trust, ...]) -> int:
    """Return how often the new trust may be passed on."""
    most = keystone.config.max_redelegation_count
    if not wish.allowed or wish.count == 0:
        return 0
    if trust.remaining_uses is not None:
        raise BadRequest("remaining_uses must not be set if redelegation is allowed")
    if wish.count is not None and wish.count > most:
        raise Forbidden(
            f"Requested redelegation depth of {wish.count} is greater than allowed {most}"
        )
    if not chain:
        return most if wish.count is None else wish.count
    left = chain[0].redelegation_count - 1
    if wish.count is not None and wish.count != left:
        raise Forbidden(
            'Modifying "redelegation_count" upon redelegation is forbidden. Omitting this '
            "parameter is advised."
        )
    return left


def _within(keystone: Keystone, trust: Trust, parent: Trust) -> Trust:
    """Return `trust`, which ends with `parent` at the latest. Raises: Forbidden (is more)."""
    most = keystone.config.max_redelegation_count
    if not 0 < parent.redelegation_count <= most:
        raise Forbidden(
            f"Remaining redelegation depth of {parent.redelegation_count} out of allowed range "
            f"of [0..{most}]"
        )
    if trust.remaining_uses is not None:
        raise Forbidden(
            f'Field "remaining_uses" is set to {trust.remaining_uses} while it must not be set '
            "in order to redelegate a trust"
        )
    if not set(trust.roles) <= set(parent.roles) or trust.project_id != parent.project_id:
        raise Forbidden("Some of requested roles are not in redelegated trust")
    if trust.impersonation and not parent.impersonation:
        raise Forbidden(
            "Impersonation is not allowed because redelegated trust does not specify "
            f"impersonation. Redelegated trust id: {parent.id}"
        )
    if parent.expires_at is None:
        return trust
    if trust.expires_at is not None and trust.expires_at > parent.expires_at:
        raise Forbidden("Requested expiration time is more than redelegated trust can provide")
    return trust if trust.expires_at else replace(trust, expires_at=parent.expires_at)


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
    """End a trust, those it was passed on as, and their tokens."""

    def write(tx: Tx) -> None:
        ending = [trust_id]
        while ending:
            one = ending.pop()
            stmt = update(tables.trusts).where(C.id == one, C.deleted_at.is_(None))
            tx.run(stmt.values(deleted_at=keystone.clock.now()))
            revocation.record(keystone, tx, TRUST, one)
            passed_on = stores.trusts.all(tx, C.redelegated_trust_id == one)
            ending += [t.id for t in passed_on if t.deleted_at is None]

    await keystone.change(write)


async def find(keystone: Keystone, trust_id: str) -> Trust:
    """Return a trust that may be used. Raises: Unauthorized."""
    trust = await nouns.look(keystone, nouns.trusts, trust_id)
    if trust is None or trust.deleted_at is not None or trust.remaining_uses == 0:
        raise refusal("trust is gone or used up")
    return trust


async def consume(keystone: Keystone, trust: Trust) -> None:
    """Use up one of a trust's uses, if they are counted. Raises: Unauthorized (none is left)."""
    if trust.remaining_uses is None:
        return
    stmt = update(tables.trusts).where(C.id == trust.id, C.remaining_uses > 0)

    def write(tx: Tx) -> int:
        return tx.run(stmt.values(remaining_uses=C.remaining_uses - 1))

    if not await keystone.change(write):
        raise refusal("trust is used up")
