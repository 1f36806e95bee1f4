"""Which tokens no longer count; a look-up costs the same however many revocations there are."""

from msgspec import Struct

from aerostat.services.keystone.model.tokens import Token

AUDIT, CHAIN, USER, PROJECT, DOMAIN, TRUST, ROLE = (
    "audit_id",
    "audit_chain_id",
    "user_id",
    "project_id",
    "domain_id",
    "trust_id",
    "role_id",
)
CONSUMER, ACCESS_TOKEN = "consumer_id", "access_token_id"
KINDS = (AUDIT, CHAIN, USER, PROJECT, DOMAIN, TRUST, ROLE, CONSUMER, ACCESS_TOKEN)


class Revocation(Struct, frozen=True):
    """Tokens with this property, issued until then, are void. Times in seconds."""

    kind: str
    key: str
    issued_before: float
    revoked_at: float
    generation: int = 0


class Ties(Struct, frozen=True):
    """What a token hangs on beside its own fields: domains, users of a trust, a consumer."""

    domain_ids: tuple[str, ...]
    user_ids: tuple[str, ...] = ()
    consumer_id: str = ""


CROWD = 10_000
"""Revocations from which on it is worth looking for those that no longer matter."""


class Revocations:
    """Every revocation that may still matter, by what it is about."""

    def __init__(self) -> None:
        self._until: dict[str, dict[str, float]] = {kind: {} for kind in KINDS}
        self.crowded_at = CROWD

    def add(self, revocation: Revocation) -> None:
        """Remember `revocation`; a later one about the same thing includes an earlier one."""
        known = self._until[revocation.kind]
        known[revocation.key] = max(revocation.issued_before, known.get(revocation.key, 0.0))

    def forget(self, before: float) -> None:
        """Drop what concerns only tokens that expired long ago."""
        for known in self._until.values():
            for key in [k for k, until in known.items() if until < before]:
                del known[key]
        self.crowded_at = max(CROWD, 2 * len(self))

    def revoked(self, token: Token, ties: Ties) -> bool:
        """Tell whether `token` is void."""
        until, issued = self._until, token.issued_at
        return (
            issued <= until[AUDIT].get(token.audit_ids[0], -1)
            or issued <= until[CHAIN].get(token.audit_ids[-1], -1)
            or issued <= until[USER].get(token.user_id, -1)
            or issued <= until[PROJECT].get(token.scope_id, -1)
            or _covered(issued, until[DOMAIN], ties.domain_ids)
            or _covered(issued, until[USER], ties.user_ids)
            or issued <= until[TRUST].get(token.trust_id, -1)
            or issued <= until[ACCESS_TOKEN].get(token.access_token_id, -1)
            or issued <= until[CONSUMER].get(ties.consumer_id, -1)
        )

    def __len__(self) -> int:
        return sum(map(len, self._until.values()))


def _covered(issued: float, until: dict[str, float], keys: tuple[str, ...]) -> bool:
    return bool(until and keys) and any(issued <= until.get(key, -1) for key in keys)
