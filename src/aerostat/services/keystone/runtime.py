"""Keystone as it runs: what its handlers and verbs work with."""

import os
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aerostat.contracts.events import LogNotifier, Notifier
from aerostat.kit.clock import Clock, SystemClock
from aerostat.kit.db.engine import Database, Tx
from aerostat.kit.ids import IdSource, new_hex
from aerostat.services.keystone.config import KeystoneConfig
from aerostat.services.keystone.federation_config import OpenIdClient
from aerostat.services.keystone.generation import Watch, bump
from aerostat.services.keystone.hasher import Hasher
from aerostat.services.keystone.jws import Signer
from aerostat.services.keystone.keyring import Keyring
from aerostat.services.keystone.model.directories import IdentityBackend, LdapConfig
from aerostat.services.keystone.model.openid import OpenIdProvider
from aerostat.services.keystone.model.revocations import Revocations
from aerostat.services.keystone.saml.peer import Peers
from aerostat.services.keystone.token_formats import FernetTokens, JwsTokens, TokenFormat

T = TypeVar("T")

Directories = Callable[[LdapConfig], IdentityBackend]
"""How the directory of a domain is reached."""

OpenIdProviders = Callable[[OpenIdClient], OpenIdProvider]
"""How an OpenID Connect provider is reached."""

MEMO_MAX = 50_000
"""Remembered look-ups; all are dropped when there are more."""


@dataclass
class Keystone:
    """The identity service of one process.

    What is remembered (`memo`, `resolved`, `replies`) holds for one generation, which grows with
    everything that may change what a token is worth. `shared`: other processes work on the same
    database, so memory counts only after `domain.revocation.refresh`; `seen` is the database's
    generation up to which that was done. `looked` has when users of directories were looked
    at, which `directories` reach.
    """

    db: Database
    clock: Clock
    ids: IdSource
    config: KeystoneConfig
    token_format: TokenFormat
    receipt_keys: Keyring
    credential_keys: Keyring
    hasher: Hasher
    directories: Directories | None = None
    openid: OpenIdProviders | None = None
    saml: Peers | None = None
    shared: bool = False
    notifier: Notifier = field(default_factory=LogNotifier)
    randomness: Callable[[int], bytes] = os.urandom
    revocations: Revocations = field(default_factory=Revocations)
    generation: int = 0
    memo: dict[Hashable, Any] = field(default_factory=dict)
    resolved: OrderedDict[str, Any] = field(default_factory=OrderedDict)
    replies: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)

    looked: dict[str, float] = field(default_factory=dict)

    watch: Watch = field(init=False)
    seen: int = 0

    def __post_init__(self) -> None:
        self.watch = Watch(self.db)

    def changed(self) -> None:
        """Forget everything that was remembered."""
        self.generation += 1
        self.memo.clear()
        self.resolved.clear()
        self.replies.clear()

    def note_change(self, tx: Tx) -> None:
        """Say within a transaction that it changes what tokens are worth."""
        bump(tx)
        tx.after_commit(self.changed)

    async def change(self, fn: Callable[..., T], *args: Any) -> T:
        """Run the transaction `fn(tx, *args)`, which may change what tokens are worth."""

        def run(tx: Tx) -> T:
            self.note_change(tx)
            return fn(tx, *args)

        return await self.db.write(run)

    async def remember(self, fn: Callable[..., T], *args: Hashable) -> T:
        """Return `fn(tx, *args)`, read once in a generation."""
        key = (fn, *args)
        if key in self.memo:
            found: T = self.memo[key]
            return found
        number = self.generation
        found = await self.db.read(fn, *args)
        self.note(key, found, number)
        return found

    def note(self, key: Hashable, found: object, generation: int) -> None:
        """Remember `found`, unless something changed since `generation`, when it was looked up."""
        if generation == self.generation:
            if len(self.memo) >= MEMO_MAX:
                self.memo.clear()
            self.memo[key] = found


def build(
    db: Database,
    state: Path,
    config: KeystoneConfig | None = None,
    *,
    clock: Clock | None = None,
    ids: IdSource = new_hex,
    shared: bool = False,
    directories: Directories | None = None,
    openid: OpenIdProviders | None = None,
    saml: Peers | None = None,
) -> Keystone:
    """Return keystone with its keys under `state`; `shared`: other processes use `db` too.

    Without `directories` no domain can have its users in LDAP, without `openid` and `saml` nobody
    can come from a provider of that kind.
    The repositories are fernet-keys or jws-keys, receipt-keys and credential-keys.
    """
    config = config or KeystoneConfig()
    return Keystone(
        db=db,
        clock=clock or SystemClock(),
        ids=ids,
        config=config,
        token_format=token_format(state, config),
        receipt_keys=Keyring(state / "receipt-keys", config.max_active_keys),
        credential_keys=Keyring(state / "credential-keys", config.max_active_keys),
        hasher=Hasher(config.password_hash_rounds, config.password_hash_threads),
        directories=directories,
        openid=openid,
        saml=saml,
        shared=shared,
    )


def token_format(state: Path, config: KeystoneConfig) -> TokenFormat:
    """Return how tokens are written, with the keys under `state`."""
    if config.token_provider == "jws":
        return JwsTokens(Signer(state / "jws-keys", config.max_active_keys))
    return FernetTokens(Keyring(state / "fernet-keys", config.max_active_keys))
