"""Whether what [keystone.federation] points at is there: for `aerostat config check`."""

import time
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from aerostat.assembly.services import keystone_config
from aerostat.assembly.settings import Settings
from aerostat.kit.errors import BadRequest
from aerostat.services.keystone.drivers.openid import openid_providers
from aerostat.services.keystone.federation_config import OpenIdClient, SamlPeer
from aerostat.services.keystone.saml.peer import peer


def configured(settings: Settings) -> dict[str, OpenIdClient | SamlPeer]:
    """Return how each provider and protocol is configured. Raises: BadRequest."""
    tables = keystone_config(settings).federation
    return {
        f"{idp_id}.{protocol_id}": config
        for idp_id, protocols in tables.items()
        for protocol_id, config in protocols.items()
    }


async def check(config: OpenIdClient | SamlPeer) -> str:
    """Return what a provider is. Raises: BadRequest (a file), Unavailable (no answer)."""
    try:
        if isinstance(config, SamlPeer):
            return _saml(config)
        if config.client_secret_file:
            Path(config.client_secret_file).read_text()
    except (OSError, ValueError) as why:
        raise BadRequest(str(why), field="federation") from why
    endpoint = await openid_providers()(config).authorization_endpoint(time.time())
    return f"{config.issuer}: {endpoint}"


def _saml(config: SamlPeer) -> str:
    found = peer(Path(config.metadata_file).read_bytes(), config.idp_entity_id)
    if config.key_file:
        load_pem_private_key(Path(config.key_file).read_bytes(), None)
    return f"{found.entity_id}: {len(found.certificates)} certificate(s)"
