"""Passwords: what a new one must be, how long it counts, and what wrong ones lead to.

Source: keystone, "Security compliance and PCI-DSS".
"""

import re
from typing import Any

from msgspec.structs import replace
from sqlalchemy import update

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import BadRequest
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.domain.tokens import DAY_S
from aerostat.services.keystone.model.actors import LoginFailures, PasswordRecord, User
from aerostat.services.keystone.runtime import Keystone

P, F = tables.passwords.c, tables.failures.c


def check_strength(keystone: Keystone, password: str) -> None:
    """Raises: BadRequest, unless `password` is as the operator wants passwords to be."""
    config = keystone.config
    if len(password) > config.max_password_length:
        raise BadRequest(
            f"Password validation error: longer than {config.max_password_length} characters.",
            field="password",
        )
    if config.password_regex and not re.match(config.password_regex, password):
        raise BadRequest(
            f"The password does not match the requirements: {config.password_regex_description}.",
            field="password",
        )


async def check_choice(keystone: Keystone, user: User, password: str) -> None:
    """Raises: BadRequest, unless `user` may choose `password` for itself now."""
    check_strength(keystone, password)
    if user.options.get("lock_password"):
        raise BadRequest(
            "You cannot change your password at this time due to password policy disallowing "
            "password changes. Please contact your administrator to reset your password."
        )
    former = await keystone.db.read(history, user.id)
    _check_age(keystone, former)
    unique = keystone.config.unique_last_password_count
    for record in former[-unique:] if unique else ():
        if await keystone.hasher.verify(password, record.password_hash):
            raise BadRequest(
                "The new password cannot be identical to a previous password. The total number "
                f"which includes the new password must be unique is {unique}.",
                field="password",
            )


def _check_age(keystone: Keystone, former: list[PasswordRecord]) -> None:
    days = keystone.config.minimum_password_age
    if not days or not former or not former[-1].self_service:
        return
    left_s = former[-1].created_at + days * DAY_S - keystone.clock.now()
    if left_s > 0:
        raise BadRequest(
            "You cannot change your password at this time due to the minimum password age. Once "
            f"you change your password, it must be used for {days} day(s) before it can be "
            f"changed. Please try again in {int(left_s // DAY_S)} day(s) or contact your "
            "administrator to reset your password."
        )


def history(tx: Tx, user_id: str) -> list[PasswordRecord]:
    """Return the passwords of a user that are remembered, the present one last."""
    found = stores.passwords.all(tx, P.user_id == user_id)
    return sorted(found, key=lambda record: record.created_at)


def put(keystone: Keystone, tx: Tx, user: User, hashed: str, *, self_service: bool) -> User:
    """Return `user` with another password, which is remembered; "" takes the password away.

    One that an administrator set may have to be changed at once.
    """
    now = keystone.clock.now()
    config = keystone.config
    kept = max(config.unique_last_password_count, 1)
    for old in history(tx, user.id)[:-kept]:
        stores.passwords.delete(tx, P.id == old.id)
    stores.passwords.insert(tx, PasswordRecord(keystone.ids(), user.id, hashed, now, self_service))
    expires: float | None = None
    if config.password_expires_days and not user.options.get("ignore_password_expiry"):
        expires = float(int(now) + config.password_expires_days * DAY_S)
    exempt = user.options.get("ignore_change_password_upon_first_use")
    if config.change_password_upon_first_use and not self_service and not exempt:
        expires = now
    return replace(user, password_hash=hashed, password_expires_at=expires)


def expired(keystone: Keystone, user: User) -> bool:
    """Tell whether the password of `user` must be changed before it lets anybody in."""
    until = user.password_expires_at
    if until is None or user.options.get("ignore_password_expiry"):
        return False
    return until <= keystone.clock.now()


async def locked_out(keystone: Keystone, user: User) -> bool:
    """Tell whether `user` is locked out for wrong passwords; asked before and after checking one.

    Asked twice, since guesses that are made at the same time must not get around the limit.
    """
    limit = keystone.config.lockout_failure_attempts
    if not limit or user.options.get("ignore_lockout_failure_attempts"):
        return False
    failures = await keystone.db.read(stores.failures.get, user.id)
    return failures is not None and failures.count >= limit and _lasts(keystone, failures)


def _lasts(keystone: Keystone, failures: LoginFailures) -> bool:
    duration = keystone.config.lockout_duration
    return not duration or failures.last_at + duration > keystone.clock.now()


async def failed(keystone: Keystone, user: User) -> None:
    """Count a wrong password; the first one after a lockout begins anew."""
    limit = keystone.config.lockout_failure_attempts
    if not limit:
        return

    def write(tx: Tx) -> None:
        now = keystone.clock.now()
        before = stores.failures.get(tx, user.id)
        if before is None:
            stores.failures.insert(tx, LoginFailures(user.id, 1, now))
            return
        over = before.count >= limit and not _lasts(keystone, before)
        count: Any = 1 if over else F.count + 1
        stmt = update(tables.failures).where(F.user_id == user.id)
        tx.run(stmt.values(count=count, last_at=now))

    await keystone.db.write(write)


async def succeeded(keystone: Keystone, user: User) -> None:
    """Forget the wrong passwords that came before the right one."""
    if not keystone.config.lockout_failure_attempts:
        return
    if await keystone.db.read(stores.failures.get, user.id) is not None:
        await keystone.db.write(forgive, user.id)


def forgive(tx: Tx, user_id: str) -> None:
    """Forget the wrong passwords given for a user."""
    stores.failures.delete(tx, F.user_id == user_id)


async def seen(keystone: Keystone, user: User) -> None:
    """Note that a user was let in, once a day, if idle users are to be disabled."""
    if not keystone.config.disable_user_account_days_inactive:
        return
    now = keystone.clock.now()
    if (user.last_active_at or 0) // DAY_S == now // DAY_S:
        return
    u = tables.users
    stmt = update(u).where(u.c.id == user.id).values(last_active_at=now)

    def write(tx: Tx) -> None:
        tx.run(stmt)

    await keystone.change(write)
