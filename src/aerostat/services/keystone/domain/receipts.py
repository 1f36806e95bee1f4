"""Several methods for one login: what is still missing, and receipts for what was proven.

Source: keystone, "Multi-Factor Authentication", "Auth receipts".
"""

from typing import Any

import msgspec
from msgspec import Struct

from aerostat.kit.errors import Unauthorized
from aerostat.services.keystone.db.actors import UserRecord
from aerostat.services.keystone.runtime import Keystone


class Receipt(Struct, frozen=True):
    """What was proven already. Times are seconds since the epoch."""

    user_id: str
    methods: tuple[str, ...]
    issued_at: float
    expires_at: float


class MoreNeeded(Unauthorized):
    """The methods so far are right, but not enough for this user."""

    def __init__(
        self, text: str, receipt: Receipt, user: UserRecord, required: list[list[str]]
    ) -> None:
        super().__init__(detail="more methods are needed")
        self.text, self.receipt, self.user, self.required = text, receipt, user, required


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Receipt).decode


def with_receipt(
    keystone: Keystone, user: UserRecord, methods: tuple[str, ...], receipt: str
) -> tuple[str, ...]:
    """Return `methods` and those that `receipt` stands for, if there is one.

    Raises: Unauthorized (somebody else's receipt, an expired one, or none of ours).
    """
    if not receipt:
        return methods
    try:
        known = _decode(keystone.receipt_keys.decrypt(receipt))
    except (ValueError, msgspec.MsgspecError) as why:
        raise _unknown() from why
    if known.user_id != user.user.id or known.expires_at <= keystone.clock.now():
        raise _unknown()
    return tuple(dict.fromkeys((*methods, *known.methods)))


def _unknown() -> Unauthorized:
    return Unauthorized("Could not find auth receipt.", detail="receipt expired or foreign")


def check(keystone: Keystone, user: UserRecord, methods: tuple[str, ...]) -> None:
    """Raises: MoreNeeded with a receipt, unless `methods` fulfil one of the user's rules."""
    rules = _rules(keystone, user.user.options)
    if not rules or any(rule <= set(methods) for rule in rules):
        return
    now = keystone.clock.now()
    until = float(int(now) + keystone.config.receipt_expiration)
    receipt = Receipt(user.user.id, methods, now, until)
    required = [sorted(rule) for rule in rules if rule & set(methods)]
    text = keystone.receipt_keys.encrypt(_encode(receipt))
    raise MoreNeeded(text, receipt, user, required)


def _rules(keystone: Keystone, options: dict[str, Any]) -> list[set[str]]:
    """Return the rules as far as they can be met here; one that names no open method is void."""
    if not options.get("multi_factor_auth_enabled", True):
        return []
    rules = [set(rule) for rule in options.get("multi_factor_auth_rules", [])]
    return [met for rule in rules if (met := rule.intersection(keystone.config.methods))]
