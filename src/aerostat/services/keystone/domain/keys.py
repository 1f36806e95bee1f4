"""Rotating keys by hand or by cron, as operators of keystone do.

Tokens and receipts need nothing more. Credentials rest encrypted for years: what is sealed with
an old key is sealed anew before that key may go.
"""

from collections.abc import Awaitable, Callable

from aerostat.kit.db.engine import Tx
from aerostat.kit.errors import Conflict
from aerostat.services.keystone.db import stores, tables
from aerostat.services.keystone.domain.secrets import reseal
from aerostat.services.keystone.runtime import Keystone


async def rotate_tokens(keystone: Keystone) -> str:
    """Sign tokens with the staged key from now on."""
    keystone.token_format.rotate()
    return "tokens are signed with the next key"


async def rotate_receipts(keystone: Keystone) -> str:
    """Sign receipts with the staged key from now on."""
    keystone.receipt_keys.rotate()
    return "receipts are signed with the next key"


async def rotate_credentials(keystone: Keystone) -> str:
    """Seal credentials with the staged key from now on. Raises: Conflict (migrate first)."""
    if await keystone.db.read(_older, keystone.credential_keys.primary_hash):
        raise Conflict("Some credentials are sealed with an older key: credential-migrate first.")
    keystone.credential_keys.rotate()
    return "credentials are sealed with the next key; now run credential-migrate"


def _older(tx: Tx, primary: str) -> bool:
    return stores.credentials.first(tx, tables.credentials.c.key_hash != primary) is not None


async def migrate_credentials(keystone: Keystone) -> str:
    """Seal every credential with the primary key."""
    return f"{await reseal(keystone)} credentials were sealed anew"


ACTIONS: dict[str, Callable[[Keystone], Awaitable[str]]] = {
    "token-rotate": rotate_tokens,
    "receipt-rotate": rotate_receipts,
    "credential-rotate": rotate_credentials,
    "credential-migrate": migrate_credentials,
}
"""What `aerostat keystone` does, by name."""
